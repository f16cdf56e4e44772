"""Those who wait: one wait, and a group of waits under one deadline.

A group wakes whoever waits for it and holds no task of its own, so cancelling that task is all it
takes to leave. The engine settles waits one by one and minds the deadline, also while nobody
listens. When the deadline comes, what is still pending gets **one last look**, so that nobody is
told *timeout* about a session that had just become ready. And when it is time to believe that a
session is missing, or at rest for good, it is looked at, not only when its turn comes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol, Self

import anyio

from greenroom._results import WaitResult, WaitResults
from greenroom._states import Goal, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from greenroom._tracker import Patience

LAST_LOOK = 2.0
"""Seconds past the deadline in which the answer to the last look must arrive."""


class Wait:
    """One id, one goal, one outcome.

    Attributes:
        id: The session.
        goal: The states waited for.
        since: When the wait began, on the loop's clock.
        reads_before: Answers about the session that came before.
        history_from: Where in the session's history this wait's own begins.
        final_at: When its last look was asked for; infinity before the deadline.
        group: Whom to tell of the outcome.
    """

    __slots__ = ("final_at", "goal", "group", "history_from", "id", "reads_before", "since")

    def __init__(self, session_id: str, goal: Goal, since: float, group: Group) -> None:
        self.id = session_id
        self.goal = goal
        self.since = since
        self.group = group
        self.reads_before = 0
        self.history_from = 0
        self.final_at = math.inf


class Polling(Protocol):
    """What a group asks of the engine."""

    @property
    def patience(self) -> Patience:
        """For how long news that may be old is not acted on."""
        ...

    def join(self, wait: Wait) -> None:
        """Begin to poll for this wait."""
        ...

    def leave(self, wait: Wait) -> None:
        """Stop polling for this wait; it has no outcome."""
        ...

    def leave_later(self, leave: Callable[[], None]) -> None:
        """Have `leave` called at a safe time."""
        ...

    def look_again(self, waits: Iterable[Wait]) -> None:
        """Look at those of these that only doubt keeps pending."""
        ...

    def look_last(self, waits: Iterable[Wait]) -> None:
        """Read these once more; what is then still pending has timed out."""
        ...

    def settle(self, wait: Wait, verdict: Verdict) -> None:
        """End this wait now."""
        ...

    def set_alarm(self, at: float, method: Callable[[], None]) -> None:
        """Have `method` called at `at`, unless its object is gone by then."""
        ...


class Group:
    """Waits that share a goal, a start and a deadline.

    Args:
        engine: Who polls.
        ids: The sessions, each once.
        goal: The states waited for.
        now: The present, on the loop's clock.
        timeout: Seconds until the deadline; infinity for none.
    """

    def __init__(
        self, engine: Polling, ids: Iterable[str], goal: Goal, now: float, timeout: float
    ) -> None:
        self._engine = engine
        self._ids = tuple(ids)
        self._pending = {session_id: Wait(session_id, goal, now, self) for session_id in self._ids}
        self._fresh: deque[WaitResult] = deque()
        self._changed = anyio.Event()
        for wait in self._pending.values():
            engine.join(wait)
        for patience in engine.patience.durations:
            engine.set_alarm(now + patience, self._patience_over)
        engine.set_alarm(now + timeout, self._deadline_reached)

    def settled(self, wait: Wait, result: WaitResult) -> None:
        """Take in an outcome. The engine calls this once per wait."""
        del self._pending[wait.id]
        self._fresh.append(result)
        self._changed.set()

    async def next(self) -> WaitResult | None:
        """Return the next result in the order of settling, or None after the last."""
        while not self._fresh:
            if not self._pending:
                return None
            await self._change()
        return self._fresh.popleft()

    async def all(self) -> WaitResults:
        """Return every result, in the order in which the ids were given."""
        while self._pending:
            await self._change()
        results = {result.id: result for result in self._fresh}
        return WaitResults({session_id: results[session_id] for session_id in self._ids})

    def leave(self) -> None:
        """Leave what is still pending. Nobody waits for it any more."""
        for wait in self._pending.values():
            self._engine.leave(wait)
        self._pending.clear()
        self._changed.set()

    def leave_later(self) -> None:
        """Leave what is still pending, at a time that is safe for everybody else."""
        if self._pending:
            self._engine.leave_later(self.leave)

    async def _change(self) -> None:
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def _patience_over(self) -> None:
        self._engine.look_again(self._pending.values())

    def _deadline_reached(self) -> None:
        self._engine.look_last(self._pending.values())
        self._engine.set_alarm(anyio.current_time() + LAST_LOOK, self._out_of_time)

    def _out_of_time(self) -> None:
        for wait in tuple(self._pending.values()):
            self._engine.settle(wait, Verdict.TIMEOUT)


class AsCompleted(AsyncIterator[WaitResult]):
    """Results in the order in which they settle.

    The remaining waits are left as soon as the iterator is closed, cancelled while it waits, or
    dropped, as an early exit from `async for` does. Another task that iterates over it is then at
    its end.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WaitResult:
        try:
            result = await self._group.next()
        except BaseException:
            self._group.leave()
            raise
        if result is None:
            raise StopAsyncIteration
        return result

    async def aclose(self) -> None:
        """Leave what is still pending."""
        self._group.leave()

    def __del__(self) -> None:
        self._group.leave_later()
