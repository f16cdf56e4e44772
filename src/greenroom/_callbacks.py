"""Callbacks: each event once, in order per session, and nobody waits for anybody else's.

Every (callback, session) pair has a queue of its own and, while it is not empty, one task that
drains it. So a callback sees the transitions of a session one after the other, while a slow or
raising one delays neither polling, nor another callback, nor itself on another session. One that
*blocks* delays everything: that is measured, and its name is told.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from greenroom import _cancellation
from greenroom._blocking import LIMIT, Holding
from greenroom._errors import ConfigurationError
from greenroom._results import Transition, WaitResult
from greenroom._states import TransitionTable, Verdict

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Trigger = str | Verdict | tuple[str | None, str | None]
"""A state entered, `"*"` for every change, a verdict, or a (before, after) pair of states."""

Callback = Callable[[Any], object]
"""Called with a `Transition`, or with a `WaitResult` where the trigger is a `Verdict`.

What it returns is awaited if it can be, and ignored.
"""

BOUND = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)

PATIENCE = 5.0
"""Seconds for which callbacks may hold up the end of a poller before they are named."""

BEHIND = 16
"""Events of one session that wait for one callback when it is said to be behind."""


class Told(Protocol):
    """Who is told of callbacks that misbehave. They are named as `name_of` does."""

    def callback_failed(
        self, callback: str, event: Transition | WaitResult, error: BaseException
    ) -> None:
        """Take in that a callback raised."""
        ...

    def callback_blocked(
        self, callback: str, event: Transition | WaitResult, seconds: float, *, again: bool
    ) -> None:
        """Take in that a callback held the event loop; `again` if it was as bad before."""
        ...

    def callback_behind(self, callback: str, event: Transition | WaitResult) -> None:
        """Take in that many events of one session wait for a callback. Told once of each."""
        ...

    def callback_unfinished(self, callback: str, sessions: int) -> None:
        """Take in that a callback, called for so many sessions, holds up the end."""
        ...


_Key = tuple[Hashable, str]
"""A callback, and the session that it is called for."""


class _Registration:
    """One callback for one trigger, and what was said of it.

    Attributes:
        held: The longest that it was said to have held the event loop, in seconds.
        behind: Whether it was said to be behind.
    """

    __slots__ = ("behind", "callback", "held")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.held = 0.0
        self.behind = False


class Callbacks:
    """Who wants to hear of what.

    Args:
        table: Where the states of triggers are looked up.
        told: Who is told of callbacks that raise, block or fall behind.
    """

    def __init__(self, table: TransitionTable, told: Told) -> None:
        self._table = table
        self._told = told
        self._by_change: dict[Trigger, list[_Registration]] = {}
        self._by_verdict: dict[Verdict, list[_Registration]] = {}
        self._queues: dict[_Key, deque[Transition | WaitResult]] = {}
        self._running: dict[_Key, _Registration] = {}
        self._idle = anyio.Event()

    def on(self, trigger: Trigger, callback: Callback) -> Callable[[], None]:
        """Register `callback`, and return what takes the registration back.

        Raises:
            ConfigurationError: `callback` cannot be called, or the trigger can never happen.
            TableError: The trigger names a state that the kind does not have.
        """
        if not callable(callback):
            raise ConfigurationError(f"callback={callback!r} cannot be called; pass a function")
        if inspect.isgeneratorfunction(callback) or inspect.isasyncgenfunction(callback):
            raise ConfigurationError(
                f"callback={name_of(callback)} yields, so that calling it runs nothing of it; pass "
                "a plain or an async function"
            )
        if isinstance(trigger, Verdict):
            if trigger is Verdict.PENDING:
                raise ConfigurationError("no wait ends as PENDING; on('*', ...) hears every change")
            registered = self._by_verdict.setdefault(trigger, [])
        elif not isinstance(trigger, (str, tuple)):
            raise ConfigurationError(f"{trigger!r} is no state, no Verdict and no (before, after)")
        else:
            self._check(trigger)
            registered = self._by_change.setdefault(trigger, [])
        registration = _Registration(callback)
        registered.append(registration)

        def forget() -> None:
            if registration in registered:
                registered.remove(registration)

        return forget

    def transition(self, event: Transition, tasks: TaskGroup) -> None:
        """Hand a transition to those who asked for its state, its pair, or every change."""
        for trigger in ("*", event.after, (event.before, event.after)):
            if trigger is not None:
                self._hand(self._by_change.get(trigger, ()), event, tasks)

    def outcome(self, event: WaitResult, tasks: TaskGroup) -> None:
        """Hand a result to those who asked for its verdict."""
        self._hand(self._by_verdict.get(event.verdict, ()), event, tasks)

    async def see_off(self) -> None:
        """Wait for those that are running, and name them where that takes long."""
        with anyio.move_on_after(PATIENCE):
            while self._queues:
                self._idle = anyio.Event()
                await self._idle.wait()
        names = Counter(name_of(one.callback) for one in self._running.values())
        for name, sessions in names.items():
            self._told.callback_unfinished(name, sessions)

    @property
    def backlog(self) -> int:
        """Events that wait until a callback is done with an earlier one of their session."""
        return sum(map(len, self._queues.values()))

    def _check(self, trigger: str | tuple[str | None, str | None]) -> None:
        states = trigger if isinstance(trigger, tuple) else (trigger,)
        if isinstance(trigger, tuple) and (len(trigger) != 2 or "*" in trigger):
            raise ConfigurationError(f"{trigger!r} is no pair of states (before, after)")
        named = [state for state in states if state is not None]
        if named:
            self._table.goal(named, what="the trigger")

    def _hand(
        self,
        registered: Iterable[_Registration],
        event: Transition | WaitResult,
        tasks: TaskGroup,
    ) -> None:
        for registration in registered:
            callback = registration.callback
            # What is called may be equal to another, or refuse to be hashed: identity counts. Bound
            # methods are made anew at each access, but compare and hash by that of their object.
            one = callback if isinstance(callback, BOUND) else id(callback)
            key = (one, event.id)
            if key not in self._queues:
                self._queues[key] = deque((event,))
                self._running[key] = registration
                tasks.start_soon(self._drain, registration, key)
                continue
            self._queues[key].append(event)
            if len(self._queues[key]) >= BEHIND and not registration.behind:
                registration.behind = True
                self._told.callback_behind(name_of(callback), event)

    async def _drain(self, registration: _Registration, key: _Key) -> None:
        queue = self._queues[key]
        try:
            while queue:
                await self._call(registration, queue.popleft())
        finally:
            del self._queues[key], self._running[key]
            if not self._queues:
                self._idle.set()

    async def _call(self, registration: _Registration, event: Transition | WaitResult) -> None:
        callback = registration.callback
        holding = Holding()
        try:
            await holding.run(callback, event)
        except anyio.get_cancelled_exc_class() as error:
            if _cancellation.is_ours():
                raise
            self._told.callback_failed(name_of(callback), event, error)
        except Exception as error:  # noqa: BLE001  # a callback may raise anything
            self._told.callback_failed(name_of(callback), event, error)
        finally:
            if holding.longest >= LIMIT:
                again = holding.longest < 2 * registration.held
                registration.held = max(registration.held, holding.longest)
                self._told.callback_blocked(name_of(callback), event, holding.longest, again=again)


def name_of(callback: Callback) -> str:
    """Return where a callback is defined: `module.function`, or the class of what is called."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    defined = callback if hasattr(callback, "__qualname__") else type(callback)
    module = getattr(defined, "__module__", None)
    return f"{module}.{defined.__qualname__}" if module else defined.__qualname__
