"""The front of the engine: one source, one clock, one budget, any number of waits.

Shared: all waits on a session share every read, and all sessions share every call.
Paced: a call is made when somebody's turn has come *and* the budget grants it, in that order; whom
it reads is decided only then, so that it carries as many as it can.
Bounded: one task per call in flight, none per session; a call has a time limit of its own.
Honest: throttling, outages and garbage slow a wait down and never end it; what ends a wait is a
verdict, a refusal by the service, or its deadline.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, overload

import anyio

from greenroom import _arguments, _observing
from greenroom._callbacks import Callback, Trigger
from greenroom._engine import Engine
from greenroom._errors import ConfigurationError, PollerClosed
from greenroom._history import History
from greenroom._limiter import Limiter, RateLimiter
from greenroom._overload import Shortfall
from greenroom._results import Transition, WaitResult, WaitResults
from greenroom._schedule import PayAsYouWait, Schedule, default_schedule
from greenroom._source import Source
from greenroom._states import TransitionTable, Verdict
from greenroom._tracker import Patience
from greenroom._waiting import AsCompleted, Group
from greenroom._watching import Watch

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

NOT_FOUND_GRACE = 30.0
"""Seconds after the start of a wait in which not found may be too early, where nobody says."""


@dataclass(frozen=True, slots=True)
class PollerStatistics:
    """A poller at one moment. Counts are since it was made.

    Attributes:
        calls: API calls begun, pages and failed ones included.
        throttled: Calls that the service throttled.
        failed: Calls that brought no states: throttled, refused, garbage, no answer.
        reads: Answers about single sessions.
        reads_per_call: `reads / calls`; 0 before the first call.
        transitions: Changes seen, first sights included.
        stale: Answers not believed because they were older than what was known.
        sessions: Sessions being polled now.
        waiting: Waits in progress now.
        in_flight: Calls in flight now.
        outcomes: Waits that ended, by verdict.
        callback_errors: Exceptions that callbacks raised.
        lag: Seconds by which the call that should be next is overdue.
        last_error: Why the latest call failed that is being tried again; None while calls succeed.
        overload: What would do where calls have come late for half a minute; else None.
        callbacks_blocked: Times that a callback held the event loop for 0.1 s or more, so that
            nothing else could run.
        callback_backlog: Events that wait until a callback is done with an earlier one.
    """

    calls: int
    throttled: int
    failed: int
    reads: int
    reads_per_call: float
    transitions: int
    stale: int
    sessions: int
    waiting: int
    in_flight: int
    outcomes: Mapping[Verdict, int]
    callback_errors: int
    lag: float
    last_error: str | None
    overload: Shortfall | None = None
    callbacks_blocked: int = 0
    callback_backlog: int = 0


class Poller:
    """Polls many sessions for many waits, under one budget. Use it as an async context manager.

    Leaving it normally waits for the callbacks that are still running, for as long as they take
    (after 5 s the log names them: `callback.unfinished`); leaving it by an exception cancels them.
    What other tasks still wait for ends as CANCELLED: `wait` raises `PollerClosed`, groups get a
    result. A call that cannot be cancelled, such as one that blocks in a thread, is waited for.

    Args:
        source: What reads the states.
        limiter: The budget; give one object to everything that shares a quota. Without it the
            poller has its own of 10 calls per second with a burst of 20.
        schedule: When a session is worth another look. Without it: where one call reads many
            sessions, pay as you wait, at the source's own `price` if it has one, else at 20; else
            jittered backoff from 2 s to 20 s.
        settle: Seconds after the start of a wait in which a state at rest may be old news.
        not_found_grace: Seconds after the start of a wait in which not found may be too early; None
            for what the source says of itself by an attribute of that name, else 30.
        call_timeout: Seconds that one call may take before it counts as failed.
        strict: Whether a state that the table does not know ends a wait with `TableError`.
        raise_callback_errors: Whether closing raises what callbacks raised, the latest hundred, as
            one BaseExceptionGroup.

    Attributes:
        limiter: The budget, to be shared with whatever else draws on the quota.
        settle, not_found_grace: Its patience, in seconds.
        observer: Who looks on, as `greenroom.otel` does, or None. Set before it is entered.

    Raises:
        ConfigurationError: A duration is negative, NaN or infinite, the source lacks something that
            a source has, its `max_batch` is not a whole number of at least 1, or `schedule` or
            `limiter` is none. On entering: the limiter belongs to another event loop, which still
            runs.
    """

    def __init__(
        self,
        source: Source,
        *,
        limiter: Limiter | None = None,
        schedule: Schedule | PayAsYouWait | None = None,
        settle: float = 30.0,
        not_found_grace: float | None = None,
        call_timeout: float = 30.0,
        strict: bool = False,
        raise_callback_errors: bool = False,
    ) -> None:
        _check_source(source)
        if not_found_grace is None:
            not_found_grace = getattr(source, "not_found_grace", NOT_FOUND_GRACE)
        _arguments.count("max_batch", source.max_batch)
        self.limiter: Limiter = (
            RateLimiter(max_rate=10, burst=20)
            if limiter is None
            else _arguments.limiter("limiter", limiter)
        )
        self.settle = _arguments.seconds("settle", settle)
        self.not_found_grace = _arguments.seconds("not_found_grace", not_found_grace)
        self._engine = Engine(
            source,
            self.limiter,
            usual_schedule(source) if schedule is None else _checked(schedule),
            Patience(self.settle, self.not_found_grace),
            _arguments.seconds("call_timeout", call_timeout, zero=False),
            strict=strict,
        )
        self.observer = _observing.observer()
        self._raise_callback_errors = raise_callback_errors
        self._tasks: TaskGroup | None = None
        self._polling: anyio.CancelScope | None = None

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise PollerClosed("this poller has been entered before; make a new Poller(...)")
        if (bind := getattr(self.limiter, "bind", None)) is not None:
            bind()  # which refuses a second event loop
        self._tasks = anyio.create_task_group()
        self._polling = anyio.CancelScope()
        await self._tasks.__aenter__()
        if self.observer is not None:
            self.observer.opened(self._engine, self.limiter)
        self._engine.open(self._tasks, self.observer)
        self._tasks.start_soon(self._poll, self._polling)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        assert self._polling is not None
        broken = self._tasks.cancel_scope.cancel_called
        self._polling.cancel()
        self._engine.close()
        if exc is None:
            self._tasks.start_soon(self._engine.callbacks.see_off)
        else:
            self._tasks.cancel_scope.cancel()
        # The body's own exception passes by the task group, which would wrap it.
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            if self.observer is not None:
                self.observer.closed()
        cancelled = broken and isinstance(exc, anyio.get_cancelled_exc_class())
        if cancelled and anyio.current_effective_deadline() > -math.inf:
            raise PollerClosed("a task of the poller was cancelled by what it had called") from exc
        if exc is None and self._raise_callback_errors and self._engine.callback_errors:
            raise BaseExceptionGroup("callbacks raised", tuple(self._engine.callback_errors))

    async def wait(
        self, session_id: str, /, *, until: str | Iterable[str], timeout: float | None
    ) -> WaitResult:
        """Wait for one session to reach `until`.

        Args:
            session_id: The session.
            until: The goal: a state, or several of which any will do.
            timeout: Seconds from now, time spent in calls included; None for no deadline. At the
                deadline the session is looked at once more, so the wait may end up to two seconds
                later; 0 is that last look alone.

        Returns:
            The result, whose verdict is SUCCESS.

        Raises:
            WaitTimeout: The deadline came first.
            WaitFailed: The session failed on its way to the goal.
            GoalUnreachable: The service will not lead it to the goal by itself.
            SessionMissing: The session does not exist.
            AccessDenied, InvalidRequest: The source refuses.
            TableError: `until` is no state of the kind, or with `strict` one appeared that is none.
            ConfigurationError: The id or the timeout is no such thing. Nothing was called.
            PollerClosed: The poller is not open, or was closed meanwhile.
        """
        result = (await self.wait_all((session_id,), until=until, timeout=timeout))[session_id]
        result.raise_for_failure()
        return result

    async def wait_all(
        self, ids: Iterable[str], /, *, until: str | Iterable[str], timeout: float | None
    ) -> WaitResults:
        """Wait for each of many sessions to reach `until`, under one deadline.

        Args:
            ids: The sessions. One that is given twice is waited for once.
            until: The goal, as for `wait`.
            timeout: Seconds from now, as for `wait`, for all of them together.

        Returns:
            Every session's result, in the order of `ids`. A member that fails, is refused or times
            out is a result too, and does not raise.

        Raises:
            TableError, ConfigurationError: As for `wait`.
            PollerClosed: The poller is not open.
        """
        group = self._group(ids, until, timeout)
        try:
            return await group.all()
        finally:
            group.leave()

    def as_completed(
        self, ids: Iterable[str], /, *, until: str | Iterable[str], timeout: float | None
    ) -> AsCompleted:
        """Iterate over results in the order in which the sessions settle.

        The waits begin now, not with the first iteration. Arguments, deadline and errors are those
        of `wait_all`; no member raises. Leaving the loop early leaves the remaining waits.
        """
        return AsCompleted(self._group(ids, until, timeout))

    @asynccontextmanager
    async def watch(self, ids: Iterable[str], /) -> AsyncIterator[Watch]:
        """Watch sessions: an async iterator over every `Transition` of them, until left.

        For a session that this poller has seen before, the first is the last change it knows of.
        For a consumer that is slow, the last 16 transitions of each session are kept apart; what is
        older becomes one, whose `skipped` names the states between, so that the states still join
        up. `conflated` of what this yields counts them.

        Raises:
            ConfigurationError, PollerClosed: As for `wait`.
            AccessDenied, InvalidRequest: Raised by the iterator: the source refuses an id, named in
                the error's `ids`. Iterating again goes on with the others.
        """
        watched = _arguments.unique_ids(ids)
        watch = Watch(watched)
        self._engine.check_open()
        for session_id in watched:
            self._engine.watch(session_id, watch)
        try:
            yield watch
        finally:
            watch.close()
            for session_id in watched:
                self._engine.unwatch(session_id, watch)

    @overload
    def on(
        self, trigger: Verdict, callback: Callable[[WaitResult], object], /
    ) -> Callable[[], None]: ...

    @overload
    def on(
        self,
        trigger: str | tuple[str | None, str | None],
        callback: Callable[[Transition], object],
        /,
    ) -> Callable[[], None]: ...

    def on(self, trigger: Trigger, callback: Callback, /) -> Callable[[], None]:
        """Call `callback`, a plain or an async function, whenever `trigger` happens.

        Args:
            trigger: A state that a session enters, or `"*"` for every change, or a (before, after)
                pair of states, where a `before` of None is first sight and an `after` of None is
                the session's disappearance: the callback is given the `Transition`. Or a `Verdict`
                with which a wait ends: it is given the `WaitResult`.
            callback: Called once for each event, in order per session. Plain functions run on the
                event loop and should be short; one that holds the loop for 0.1 s or more is named
                in the log (`callback.blocked`) and counted, for it delays every wait. What it
                raises is logged and counted.

        Returns:
            A function that takes the registration back.

        Raises:
            TableError: The trigger names a state that the kind does not have.
            ConfigurationError: The callback cannot be called, or is a generator function.
        """
        return self._engine.callbacks.on(trigger, callback)

    def check_open(self) -> None:
        """Return if waits are taken.

        Raises:
            PollerClosed: The poller was not entered, or was left.
        """
        self._engine.check_open()

    def notify(self, session_id: str) -> None:
        """Look at a session now, because something outside hinted that it changed.

        A hint decides nothing: the session is read, and the read counts. One about a session that
        nobody waits for or watches is ignored.

        Raises:
            ConfigurationError: The id is none.
        """
        _arguments.unique_ids((session_id,))
        self._engine.look_now(session_id)

    def history(self) -> History:
        """Return what this poller has learned of how long sessions stay in their states.

        It is nothing unless the schedule is `PayAsYouWait`. What one that was given as `history`
        already knew is not in it: `history + poller.history()` is both.
        """
        return self._engine.history()

    def statistics(self) -> PollerStatistics:
        """Return the present figures. Only where an event loop runs."""
        engine, reader = self._engine, self._engine.reader
        lag, short = reader.lag(), reader.overload.advice
        return PollerStatistics(
            calls=reader.calls,
            throttled=reader.throttled,
            failed=reader.failed,
            reads=engine.reads,
            reads_per_call=engine.reads / reader.calls if reader.calls else 0.0,
            transitions=engine.transitions,
            stale=engine.stale,
            sessions=len(engine.sessions),
            waiting=sum(len(session.waits) for session in engine.sessions.values()),
            in_flight=reader.in_flight,
            outcomes=dict(engine.outcomes),
            callback_errors=engine.callback_failures,
            lag=lag,
            last_error=reader.last_error,
            overload=short and replace(short, lag=max(short.lag, lag)),
            callbacks_blocked=engine.callbacks_blocked,
            callback_backlog=engine.callbacks.backlog,
        )

    async def _poll(self, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._engine.alarms.run)
                    await self._engine.reader.run(tasks)
        finally:  # whatever ended it: nobody may wait for a poller that is gone
            self._engine.close()

    def _group(
        self, ids: Iterable[str], until: str | Iterable[str], timeout: float | None
    ) -> Group:
        goal = self._engine.table.goal(until)
        unique = _arguments.unique_ids(ids)
        limit = _arguments.timeout(timeout)
        self._engine.check_open()
        return Group(self._engine, unique, goal, anyio.current_time(), limit)


def _check_source(source: Source) -> None:
    lacking = [each for each in ("table", "max_batch", "describe") if not hasattr(source, each)]
    if lacking:
        raise ConfigurationError(
            f"a {type(source).__name__} is no source: it lacks {' and '.join(lacking)}; a source "
            "has a table, such as TransitionTable(...), max_batch, such as 100, and an async "
            "describe(ids)"
        )
    if not isinstance(source.table, TransitionTable):
        raise ConfigurationError(f"table={source.table!r} must be a TransitionTable(...)")


def usual_schedule(source: Source) -> Schedule | PayAsYouWait:
    """Return when a session of this source is worth another look, where nobody says."""
    return default_schedule(source.max_batch, price=getattr(source, "price", None))


def _checked(schedule: Schedule | PayAsYouWait) -> Schedule | PayAsYouWait:
    if isinstance(schedule, PayAsYouWait) or callable(getattr(schedule, "delay", None)):
        return schedule
    raise ConfigurationError(
        f"schedule={schedule!r} is no schedule, such as Every(10) or PayAsYouWait()"
    )


async def wait(
    source: Source,
    session_id: str,
    /,
    *,
    until: str | Iterable[str],
    timeout: float | None,
    limiter: Limiter | None = None,
) -> WaitResult:
    """Wait for one session of `source` to reach `until`, with a poller of its own.

    For more than one session use a `Poller`: its waits share calls and budget. Several of these
    share at least the budget if they are given the same `limiter`.

    Args and errors are those of `Poller` and `Poller.wait`.
    """
    async with Poller(source, limiter=limiter) as poller:
        return await poller.wait(session_id, until=until, timeout=timeout)
