"""The engine: many waits, one source, one clock, one budget.

Shared: all waits on a session share every read, and all sessions share every call.
Paced: a call is made when somebody's turn has come *and* the budget grants it, in that order; whom
it reads is decided only then, so that it carries as many as it can.
Bounded: one task per call in flight, none per session; a call has a time limit of its own.
Honest: throttling, outages and garbage slow a wait down and never end it; what ends a wait is a
verdict, a refusal by the service, or its deadline.

Decisions are made elsewhere, by plain code: what a state means (`_states`), what an answer means
for a wait (`_tracker`), when to look (`_schedule`), whom to read together (`_batch`). This file
acts on them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import anyio

from greenroom import _arguments, _log
from greenroom._callbacks import Callback, Callbacks, Trigger
from greenroom._errors import GreenroomError, PollerClosed, TableError
from greenroom._limiter import Limiter, RateLimiter
from greenroom._reader import Reader, Source
from greenroom._results import Transition, WaitResult, WaitResults, explain
from greenroom._schedule import Backoff, Every, Schedule
from greenroom._states import Observation, Verdict
from greenroom._tracker import Patience, Tracker
from greenroom._waiting import AsCompleted, Group, Wait, Watch

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

BATCHED_INTERVAL = 2.5
"""Seconds between looks where one call reads many sessions and no schedule is given."""

MAX_REMEMBERED = 10_000
"""Sessions nobody waits for any more whose last state is kept, so that no change is told twice."""


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
        lag: Seconds by which the call that should be next is overdue; above a second or two, the
            budget is too small for the number of sessions.
        last_error: Why the latest call brought no states; None while calls succeed.
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


class _Session:
    """What the poller keeps per session: its memory, and who is interested."""

    __slots__ = ("tracker", "waits", "watches")

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.waits: list[Wait] = []
        self.watches: list[Watch] = []


class Poller:
    """Polls many sessions for many waits, under one budget. Use it as an async context manager.

    Leaving it normally waits for the callbacks that are still running; leaving it by an exception
    cancels them. Waits of other tasks that are still pending then raise `PollerClosed`.

    Args:
        source: What reads the states.
        limiter: The budget; give one object to everything that shares a quota. Without it the
            poller has its own of 10 calls per second with a burst of 20.
        schedule: When a session is worth another look. Without it: every 2.5 s where one call reads
            many sessions, else jittered backoff from 2 s to 20 s.
        settle: Seconds after the start of a wait in which a state at rest may be old news.
        not_found_grace: Seconds after the start of a wait in which not found may be too early.
        call_timeout: Seconds that one call may take before it counts as failed.
        strict: Whether a state that the table does not know ends a wait with `TableError`.
        raise_callback_errors: Whether closing raises what callbacks raised, as an ExceptionGroup.

    Raises:
        ConfigurationError: A duration is negative, NaN or infinite, or the source's `max_batch` is
            not a whole number of at least 1.
    """

    def __init__(
        self,
        source: Source,
        *,
        limiter: Limiter | None = None,
        schedule: Schedule | None = None,
        settle: float = 30.0,
        not_found_grace: float = 30.0,
        call_timeout: float = 30.0,
        strict: bool = False,
        raise_callback_errors: bool = False,
    ) -> None:
        batch = _arguments.count("max_batch", source.max_batch)
        self._table = source.table
        self._schedule = schedule or (Every(BATCHED_INTERVAL) if batch > 1 else Backoff())
        self._patience = Patience(
            _arguments.seconds("settle", settle),
            _arguments.seconds("not_found_grace", not_found_grace),
        )
        self._strict = strict
        self._raise_callback_errors = raise_callback_errors
        self._log = _log.logger(kind=self._table.kind)
        self._reader = Reader(
            source,
            RateLimiter(max_rate=10, burst=20) if limiter is None else limiter,
            _arguments.seconds("call_timeout", call_timeout, zero=False),
            self,
            self._log,
        )
        self._callbacks = Callbacks(self._table, self._callback_failed)
        self._callback_errors: list[Exception] = []
        self._sessions: dict[str, _Session] = {}
        self._remembered: OrderedDict[str, Tracker] = OrderedDict()
        self._unknown_states: set[str] = set()
        self._outcomes: Counter[Verdict] = Counter()
        self._counts: Counter[str] = Counter()
        self._started = (0.0, datetime.min)
        self._tasks: TaskGroup | None = None
        self._polling: anyio.CancelScope | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise PollerClosed("this poller has been entered before; make a new Poller(...)")
        self._started = (anyio.current_time(), datetime.now(UTC))
        self._polling = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._poll)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        assert self._polling is not None
        self._polling.cancel()
        self._close_waits()
        if exc is not None:
            self._tasks.cancel_scope.cancel()
        # The body's own exception passes by the task group, which would wrap it.
        await self._tasks.__aexit__(None, None, None)
        if exc is None and self._raise_callback_errors and self._callback_errors:
            raise ExceptionGroup("callbacks raised", self._callback_errors)

    async def wait(
        self, session_id: str, /, *, until: str | Iterable[str], timeout: float | None
    ) -> WaitResult:
        """Wait for one session to reach `until`.

        Args:
            session_id: The session.
            until: The goal: a state, or several of which any will do.
            timeout: Seconds from now, time spent in calls included; None for no deadline. At the
                deadline the session is looked at once more, so the wait may end up to two seconds
                later; 0 is one look.

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
            TableError, ConfigurationError, PollerClosed: As for `wait`.
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

        The first transition of each session is the one that led to the state it is in. Transitions
        queue up for a slow consumer without bound.

        Raises:
            ConfigurationError, PollerClosed: As for `wait`.
            AccessDenied, InvalidRequest: Raised by the iterator: the source refuses an id, named in
                the error's `ids`. Iterating again goes on with the others.
        """
        watch = Watch()
        watched = _arguments.unique_ids(ids)
        self._open_tasks()
        for session_id in watched:
            session = self._look_at(session_id)
            session.watches.append(watch)
            if session.tracker.history:
                watch.put(session.tracker.history[-1])
        try:
            yield watch
        finally:
            watch.close()
            for session_id in watched:
                if (left := self._sessions.get(session_id)) and watch in left.watches:
                    left.watches.remove(watch)
                    self._release(left)

    def on(self, trigger: Trigger, callback: Callback) -> Callable[[], None]:
        """Call `callback`, a plain or an async function, whenever `trigger` happens.

        Args:
            trigger: A state that a session enters, or a (before, after) pair of states, where a
                `before` of None is first sight and an `after` of None is the session's
                disappearance: the callback is given the `Transition`. Or a `Verdict` with which a
                wait ends: it is given the `WaitResult`.
            callback: Called once for each event, in order per session. Plain functions run on the
                event loop and should be short. What it raises is logged and counted.

        Returns:
            A function that takes the registration back.

        Raises:
            TableError: The trigger names a state that the kind does not have.
            ConfigurationError: The callback cannot be called.
        """
        return self._callbacks.on(trigger, callback)

    def notify(self, session_id: str) -> None:
        """Look at a session now, because something outside hinted that it changed.

        A hint decides nothing: the session is read, and the read counts. One about a session that
        nobody waits for is ignored.
        """
        if session_id in self._sessions:
            self._look_at(session_id)

    def statistics(self) -> PollerStatistics:
        """Return the present figures. Only where an event loop runs."""
        calls, reads = self._reader.calls, self._counts["reads"]
        return PollerStatistics(
            calls=calls,
            throttled=self._reader.throttled,
            failed=self._reader.failed,
            reads=reads,
            reads_per_call=reads / calls if calls else 0.0,
            transitions=self._counts["transitions"],
            stale=self._counts["stale"],
            sessions=len(self._sessions),
            waiting=sum(len(session.waits) for session in self._sessions.values()),
            in_flight=self._reader.in_flight,
            outcomes=dict(self._outcomes),
            callback_errors=self._counts["callback_errors"],
            lag=self._reader.lag(),
            last_error=self._reader.last_error,
        )

    # What a group asks of its engine.

    def join(self, wait: Wait) -> None:
        """Begin to poll for a wait. For the poller's own groups."""
        session = self._look_at(wait.id)
        wait.reads_before = session.tracker.reads
        wait.history_from = max(0, len(session.tracker.history) - 1)
        session.waits.append(wait)

    def leave(self, wait: Wait) -> None:
        """Stop polling for a wait. For the poller's own groups."""
        session = self._sessions.get(wait.id)
        if session is not None and wait in session.waits:
            session.waits.remove(wait)
            self._release(session)

    def look_last(self, waits: Iterable[Wait]) -> None:
        """Read these once more and then time out. For the poller's own groups."""
        now = anyio.current_time()
        for wait in waits:
            wait.final_at = now
            self._look_at(wait.id)

    def settle(self, wait: Wait, verdict: Verdict, error: GreenroomError | None = None) -> None:
        """End a wait. For the poller's own groups."""
        session = self._sessions[wait.id]
        tracker = session.tracker
        seen = tracker.observation
        result = WaitResult(
            id=wait.id,
            verdict=verdict,
            state=tracker.state,
            reason=None if seen is None else seen.reason,
            message=str(error) if error is not None else None if seen is None else seen.message,
            elapsed=anyio.current_time() - wait.since,
            reads=tracker.reads - wait.reads_before,
            history=tuple(tracker.history[wait.history_from :]),
            resource={} if seen is None else seen.resource,
            goal=wait.goal,
            error=error,
        )
        result = replace(result, explanation=explain(result, self._table))
        self._outcomes[verdict] += 1
        self._log.info("wait.settled", id=wait.id, verdict=verdict.value, state=result.state)
        session.waits.remove(wait)
        wait.group.settled(wait, result)
        if not self._closed:
            self._callbacks.outcome(result, self._open_tasks())
        self._release(session)

    # What the reader tells.

    def observed(self, session_id: str, seen: Observation, asked_at: float) -> None:
        """Take in a state. For the poller's own reader."""
        session = self._sessions[session_id]
        tracker, now = session.tracker, anyio.current_time()
        if seen.state not in self._table.moves and seen.state not in self._unknown_states:
            self._unknown_states.add(seen.state)
            self._log.warning("state.unknown", id=session_id, state=seen.state)
        before = tracker.stale
        transition = tracker.observe(seen, asked_at=asked_at, now=now, at=self._utc(now))
        self._counts["stale"] += tracker.stale - before
        self._told(session, transition, asked_at)

    def not_found(self, session_id: str, asked_at: float) -> None:
        """Take in that a session does not exist. For the poller's own reader."""
        session, now = self._sessions[session_id], anyio.current_time()
        transition = session.tracker.observe_absence(asked_at=asked_at, now=now, at=self._utc(now))
        self._told(session, transition, asked_at)

    def unlisted(self, session_id: str, asked_at: float) -> None:
        """Take in that a page left a session out. For the poller's own reader."""
        session, now = self._sessions[session_id], anyio.current_time()
        session.tracker.unlisted()
        worth_a_call = bool(session.watches and session.tracker.state) or any(
            session.tracker.absence_would_count(wait.goal, wait.since, now)
            for wait in session.waits
        )
        if worth_a_call:
            self._counts["reads"] += 1
            self._reader.alone(session_id)
        else:
            self._told(session, None, asked_at)

    def refused(self, session_id: str, error: GreenroomError) -> None:
        """Take in that the source refuses an id. For the poller's own reader."""
        session = self._sessions[session_id]
        self._log.error("source.refused", id=session_id, error=str(error))
        for watch in session.watches:
            watch.put(error)
        session.watches.clear()
        for wait in tuple(session.waits):
            self.settle(wait, Verdict.ERROR, error)
        self._release(session)

    def unanswered(self, session_id: str, asked_at: float) -> None:
        """Take in that a call failed. For the poller's own reader."""
        for wait in tuple(self._sessions[session_id].waits):
            if wait.final_at <= asked_at:
                self.settle(wait, Verdict.TIMEOUT)

    def _told(self, session: _Session, transition: Transition | None, asked_at: float) -> None:
        """Pass on what an answer showed, settle what it decides, and give the next turn."""
        self._counts["reads"] += 1
        tracker = session.tracker
        self._reader.later(tracker.id, self._schedule.delay(max(1, tracker.looks)))
        if transition is not None:
            self._counts["transitions"] += 1
            self._log.info(
                "session.changed",
                id=transition.id,
                before=transition.before,
                after=transition.after,
                reason=transition.reason,
            )
            for watch in session.watches:
                watch.put(transition)
            self._callbacks.transition(transition, self._open_tasks())
        now = anyio.current_time()
        for wait in tuple(session.waits):
            if self._strict and tracker.state in self._unknown_states:
                self.settle(wait, Verdict.ERROR, self._unknown(tracker))
                continue
            verdict = tracker.verdict(wait.goal, wait.since, now)
            if verdict is not Verdict.PENDING:
                self.settle(wait, verdict)
            elif wait.final_at <= asked_at:
                self.settle(wait, Verdict.TIMEOUT)

    # Housekeeping.

    async def _poll(self) -> None:
        assert self._polling is not None
        with self._polling:
            async with anyio.create_task_group() as calls:
                await self._reader.run(calls)

    def _group(
        self, ids: Iterable[str], until: str | Iterable[str], timeout: float | None
    ) -> Group:
        goal = self._table.goal(until)
        unique = _arguments.unique_ids(ids)
        limit = _arguments.timeout(timeout)
        self._open_tasks()
        return Group(self, unique, goal, anyio.current_time(), limit)

    def _look_at(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            tracker = self._remembered.pop(session_id, None)
            session = _Session(tracker or Tracker(session_id, self._table, self._patience))
            self._sessions[session_id] = session
        self._reader.now(session_id)
        return session

    def _release(self, session: _Session) -> None:
        tracker = session.tracker
        if session.waits or session.watches or self._sessions.get(tracker.id) is not session:
            return
        del self._sessions[tracker.id]
        self._reader.discard(tracker.id)
        tracker.forget_details()
        self._remembered[tracker.id] = tracker
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def _close_waits(self) -> None:
        self._closed = True
        for session in tuple(self._sessions.values()):
            for watch in session.watches:
                watch.close()
            for wait in tuple(session.waits):
                self.settle(wait, Verdict.CANCELLED, PollerClosed("the poller was closed"))

    def _callback_failed(
        self, callback: Callback, event: Transition | WaitResult, error: Exception
    ) -> None:
        self._counts["callback_errors"] += 1
        name = getattr(callback, "__qualname__", repr(callback))
        self._log.error("callback.failed", id=event.id, callback=name, exc_info=error)
        if self._raise_callback_errors:
            self._callback_errors.append(error)

    def _unknown(self, tracker: Tracker) -> TableError:
        return TableError(f"{tracker.id} is in {tracker.state}, which {self._table.kind} has not")

    def _utc(self, now: float) -> datetime:
        loop_time, wall_time = self._started
        return wall_time + timedelta(seconds=now - loop_time)

    def _open_tasks(self) -> TaskGroup:
        if self._tasks is None or self._closed:
            raise PollerClosed("the poller is not open: use it inside `async with Poller(...)`")
        return self._tasks


async def wait(
    source: Source, session_id: str, /, *, until: str | Iterable[str], timeout: float | None
) -> WaitResult:
    """Wait for one session of `source` to reach `until`, with a poller of its own.

    For more than one session use a `Poller`: waits share its calls and its budget.

    Args and errors are those of `Poller.wait`.
    """
    async with Poller(source) as poller:
        return await poller.wait(session_id, until=until, timeout=timeout)
