"""Callbacks: each event once, in order per session, and nobody waits for anybody else's.

Every (callback, session) pair has a queue of its own and, while it is not empty, one task that
drains it. So a callback sees the transitions of a session one after the other, while a slow or
raising one delays neither polling, nor another callback, nor itself on another session.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

import anyio

from greenroom import _cancellation
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


class _Registration:
    """One callback for one trigger."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback = callback


class Callbacks:
    """Who wants to hear of what.

    Args:
        table: Where the states of triggers are looked up.
        failed: Told of every exception that a callback raises, with the event it was called for.
    """

    def __init__(
        self,
        table: TransitionTable,
        failed: Callable[[Callback, Transition | WaitResult, BaseException], None],
    ) -> None:
        self._table = table
        self._failed = failed
        self._by_change: dict[Trigger, list[_Registration]] = {}
        self._by_verdict: dict[Verdict, list[_Registration]] = {}
        self._queues: dict[tuple[Hashable, str], deque[Transition | WaitResult]] = {}

    def on(self, trigger: Trigger, callback: Callback) -> Callable[[], None]:
        """Register `callback`, and return what takes the registration back.

        Raises:
            ConfigurationError: `callback` cannot be called, or the trigger can never happen.
            TableError: The trigger names a state that the kind does not have.
        """
        if not callable(callback):
            raise ConfigurationError(f"callback={callback!r} cannot be called; pass a function")
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
            # Bound methods are made anew at each access, but compare and hash as one.
            one = callback if isinstance(callback, Hashable) else id(callback)
            key = (one, event.id)
            if key in self._queues:
                self._queues[key].append(event)
            else:
                self._queues[key] = deque((event,))
                tasks.start_soon(self._drain, callback, key)

    async def _drain(self, callback: Callback, key: tuple[Hashable, str]) -> None:
        queue = self._queues[key]
        try:
            while queue:
                event = queue.popleft()
                try:
                    returned = callback(event)
                    if inspect.isawaitable(returned):
                        await returned
                except anyio.get_cancelled_exc_class() as error:
                    if _cancellation.is_ours():
                        raise
                    self._failed(callback, event, error)
                except Exception as error:  # noqa: BLE001  # a callback may raise anything
                    self._failed(callback, event, error)
        finally:
            del self._queues[key]
