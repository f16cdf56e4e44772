"""Callbacks: each event once, in order per session, and nobody waits for anybody else's.

Every (callback, session) pair has a queue of its own and, while it is not empty, one task that
drains it. So a callback sees the transitions of a session one after the other, while a slow or
raising one delays neither polling, nor another callback, nor itself on another session.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from greenroom._errors import ConfigurationError
from greenroom._results import Transition, WaitResult
from greenroom._states import TransitionTable, Verdict

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Trigger = str | Verdict | tuple[str | None, str | None]
"""A state entered, `"*"` for every change, a verdict, or a (before, after) pair of states."""

Callback = Callable[[Any], Awaitable[object] | object]
"""Called with a `Transition`, or with a `WaitResult` where the trigger is a `Verdict`."""


class Callbacks:
    """Who wants to hear of what.

    Args:
        table: Where the states of triggers are looked up.
        failed: Told of every exception that a callback raises, with the event it was called for.
    """

    def __init__(
        self,
        table: TransitionTable,
        failed: Callable[[Callback, Transition | WaitResult, Exception], None],
    ) -> None:
        self._table = table
        self._failed = failed
        self._by_trigger: dict[Trigger, list[Callback]] = {}
        self._queues: dict[tuple[int, str], deque[Transition | WaitResult]] = {}

    def on(self, trigger: Trigger, callback: Callback) -> Callable[[], None]:
        """Register `callback`, and return what takes the registration back.

        Raises:
            ConfigurationError: `callback` cannot be called, or the trigger is of no known form.
            TableError: The trigger names a state that the kind does not have.
        """
        if not callable(callback):
            raise ConfigurationError(f"callback={callback!r} cannot be called; pass a function")
        if isinstance(trigger, tuple):
            if len(trigger) != 2 or "*" in trigger:
                raise ConfigurationError(f"{trigger!r} is no pair of states (before, after)")
            self._table.goal([state for state in trigger if state is not None])
        elif not isinstance(trigger, Verdict):
            self._table.goal(trigger)
        registered = self._by_trigger.setdefault(trigger, [])
        registered.append(callback)

        def forget() -> None:
            if callback in registered:
                registered.remove(callback)

        return forget

    def transition(self, event: Transition, tasks: TaskGroup) -> None:
        """Hand a transition to those who asked for its state, its pair, or every change."""
        self._hand("*", event, tasks)
        if event.after is not None:
            self._hand(event.after, event, tasks)
        self._hand((event.before, event.after), event, tasks)

    def outcome(self, event: WaitResult, tasks: TaskGroup) -> None:
        """Hand a result to those who asked for its verdict."""
        self._hand(event.verdict, event, tasks)

    def _hand(self, trigger: Trigger, event: Transition | WaitResult, tasks: TaskGroup) -> None:
        # A Verdict equals its own text, but no state is written in lower case.
        for callback in self._by_trigger.get(trigger, ()):
            key = (id(callback), event.id)
            if key in self._queues:
                self._queues[key].append(event)
            else:
                self._queues[key] = deque((event,))
                tasks.start_soon(self._drain, callback, key)

    async def _drain(self, callback: Callback, key: tuple[int, str]) -> None:
        queue = self._queues[key]
        try:
            while queue:
                event = queue.popleft()
                try:
                    returned = callback(event)
                    if inspect.isawaitable(returned):
                        await returned
                except Exception as error:  # noqa: BLE001  # a callback may raise anything
                    self._failed(callback, event, error)
        finally:
            del self._queues[key]
