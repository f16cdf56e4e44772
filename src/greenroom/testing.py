"""Tools for testing code that waits: a source that follows a script, and time that flies.

    from greenroom.testing import ScriptedSource, run

    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (240, "READY")]})
        result = await greenroom.wait(source, "s-1", until="READY", timeout=1800)
        assert 240 <= result.elapsed < 255

    run(main)                   # at once, on asyncio
    run(main, backend="trio")   # at once, on trio

In virtual time a sleep ends as soon as nothing else can run, and the clock then shows the time at
which it would have ended. Hours pass in milliseconds.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, TypeVarTuple

import anyio

from greenroom._states import Observation, TransitionTable
from greenroom.sources._nimble_tables import STREAMING_SESSION

__all__ = ["Call", "Script", "ScriptedSource", "VirtualClockEventLoop", "run"]

Script = Sequence[tuple[float, str | Observation | None]]
"""What a session shows from when on: seconds since the source's first call, and a state, a whole
observation, or None for *not found*. In order of time."""

T = TypeVar("T")
Args = TypeVarTuple("Args")

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_DEADLOCK = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a `ScriptedSource` received.

    Attributes:
        at: Seconds since the source's first call.
        ids: What it was asked for.
    """

    at: float
    ids: tuple[str, ...]


class ScriptedSource:
    """A source whose sessions change exactly when the script says so.

    Args:
        scripts: For each session, what it shows from when on. An id without a script is not found.
        table: The transition table; that of a Nimble streaming session unless given.
        max_batch: Most ids in one call.
        latency: Seconds that each call takes. It shows the states at its end.
        timestamps: Whether observations carry the time of the change, as services with an
            `updatedAt` do.

    Attributes:
        calls: Every `Call` so far, failed ones included.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script],
        *,
        table: TransitionTable = STREAMING_SESSION,
        max_batch: int = 100,
        latency: float = 0.0,
        timestamps: bool = False,
    ) -> None:
        self.table = table
        self.max_batch = max_batch
        self.calls: list[Call] = []
        self._scripts = {session_id: list(script) for session_id, script in scripts.items()}
        self._latency = latency
        self._timestamps = timestamps
        self._failures: list[tuple[Callable[[Call], bool], Callable[[], Exception]]] = []
        self._began: float | None = None

    def fail(
        self,
        error: Callable[[], Exception],
        *,
        when: Callable[[Call], bool] = lambda call: True,  # noqa: ARG005  # every call
    ) -> None:
        """Make every call for which `when` holds raise what `error` returns.

        Several may be given; the first whose `when` holds is raised.
        """
        self._failures.append((when, error))

    def script(self, session_id: str, script: Script) -> None:
        """Give a session a new script."""
        self._scripts[session_id] = list(script)

    def elapsed(self) -> float:
        """Return seconds since the first call; 0 before it."""
        return 0.0 if self._began is None else anyio.current_time() - self._began

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Return what the scripts show of `ids`, after the latency."""
        if self._began is None:
            self._began = anyio.current_time()
        call = Call(self.elapsed(), tuple(ids))
        self.calls.append(call)
        await anyio.sleep(self._latency)
        for when, error in self._failures:
            if when(call):
                raise error()
        shown = {session_id: self._shown(session_id) for session_id in ids}
        return {session_id: seen for session_id, seen in shown.items() if seen is not None}

    def _shown(self, session_id: str) -> Observation | None:
        now = self.elapsed()
        shown: Observation | None = None
        for at, what in self._scripts.get(session_id, ()):
            if at > now:
                break
            if isinstance(what, str):
                changed_at = _EPOCH + timedelta(seconds=at) if self._timestamps else None
                shown = Observation(
                    what, changed_at=changed_at, resource={"sessionId": session_id, "state": what}
                )
            else:
                shown = what
        return shown


def run(
    main: Callable[[*Args], Awaitable[T]],
    *args: *Args,
    backend: Literal["asyncio", "trio"] = "asyncio",
) -> T:
    """Run an async function in virtual time, and return what it returns.

    Args:
        main: The async function.
        args: Its arguments.
        backend: The event loop; `trio` has to be installed.
    """
    options: dict[str, Any] = {"loop_factory": VirtualClockEventLoop}
    if backend == "trio":
        try:
            from trio.testing import MockClock
        except ModuleNotFoundError as error:
            message = "backend='trio' needs its extra: pip install 'greenroom[trio]'"
            raise ModuleNotFoundError(message, name="trio") from error

        options = {"clock": MockClock(autojump_threshold=0)}
    return anyio.run(main, *args, backend=backend, backend_options=options)


class VirtualClockEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose clock jumps to the next timer as soon as nothing else can run.

    Sockets work, but they do not hold the clock: use it where nothing waits for the outside. Where
    everything waits and no timer is set, it raises RuntimeError rather than hang.
    """

    def __init__(self) -> None:
        self._virtual_now = 0.0
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        """Return the virtual time in seconds, 0 at the start."""
        return self._virtual_now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule `callback`; a timer at infinity is none, so that it cannot hold the clock."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def _jump(self, seconds: float) -> None:
        self._virtual_now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping for a timer, tells the clock to jump."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            if ready := super().select(_DEADLOCK):
                return ready
            raise RuntimeError("virtual time stands still: everything waits and no timer is set")
        ready = super().select(0)
        if not ready and timeout > 0:
            self._jump(timeout)
        return ready
