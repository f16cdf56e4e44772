"""The engine: which sessions are polled, for whom, and what each answer means for them.

It stands between two parties. Groups of waits (`_waiting`) join and leave. The reader (`_reader`)
brings answers. A session is polled from the moment when somebody is interested until nobody is; an
answer goes to the session's tracker, which all who wait on it share, and then each of them is
judged on its own.

Decisions are made elsewhere, by plain code: what a state means (`_states`), what an answer is worth
(`_tracker`), whose turn is next (`_worth`, `_intervals`). This file carries them out.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from greenroom import _log
from greenroom._alarms import Alarms
from greenroom._callbacks import Callbacks
from greenroom._errors import GreenroomError, PollerClosed, TableError
from greenroom._history import History
from greenroom._intervals import Intervals
from greenroom._reader import Reader
from greenroom._results import Transition, WaitResult, explain
from greenroom._schedule import PayAsYouWait
from greenroom._source import Source
from greenroom._states import Observation, Verdict
from greenroom._tracker import Patience, Tracker
from greenroom._turns import Look
from greenroom._waiting import Wait
from greenroom._watching import Watch
from greenroom._worth import Worth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from anyio.abc import TaskGroup

    from greenroom._limiter import Limiter
    from greenroom._observing import Observer
    from greenroom._schedule import Schedule

MAX_REMEMBERED = 10_000
"""Sessions nobody waits for any more whose last state is kept, so that no change is told twice."""

UNKNOWN = "?"
"""The one state that those which the table does not know are for the order of turns."""

MAX_UNKNOWN_STATES = 100
"""States that the table does not know of which each is logged once; of further ones none is."""

LAG_INTERVAL = 10.0
"""Seconds between looks at how long the next call has been waiting to be made."""

ANSWERED = frozenset((Verdict.SUCCESS, Verdict.FAILURE, Verdict.UNREACHABLE, Verdict.MISSING))
"""The verdicts with which an answer ends a wait."""

MAX_CALLBACK_ERRORS = 100
"""Exceptions of callbacks that are kept; all of them are logged and counted."""


class Session:
    """What the engine keeps per session.

    Attributes:
        tracker: Its memory.
        waits: Who waits on it, in the order of joining.
        watches: Who watches it.
        steady: Whether an answer that shows the same state again changes nothing for anybody.
    """

    __slots__ = ("steady", "tracker", "waits", "watches")

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.waits: dict[Wait, None] = {}
        self.watches: list[Watch] = []
        self.steady = False


class Engine:
    """Polls for whoever is interested.

    Args:
        source: What reads the states.
        limiter: The budget.
        schedule: When a session is worth another look.
        patience: For how long news that may be old is not acted on.
        call_timeout: Seconds that one call may take.
        strict: Whether a state that the table does not know ends a wait.

    Attributes:
        table: The source's transition table.
        patience: For how long news that may be old is not acted on.
        reader: Makes the calls, and counts them.
        alarms: Minds the deadlines.
        callbacks: Who wants to hear of what.
        reads: Answers about single sessions.
        transitions: Changes seen.
        stale: Answers not believed.
        callback_failures: Exceptions that callbacks raised.
        callbacks_blocked: Times that a callback held the event loop.
        outcomes: Waits that ended, by verdict.
        callback_errors: The latest of what callbacks raised.
        sessions: Those being polled, by id.
    """

    def __init__(
        self,
        source: Source,
        limiter: Limiter,
        schedule: Schedule | PayAsYouWait,
        patience: Patience,
        call_timeout: float,
        *,
        strict: bool,
    ) -> None:
        self.table = source.table
        self.callbacks = Callbacks(self.table, self)
        self.alarms = Alarms()
        self.reads = self.transitions = self.stale = 0
        self.callback_failures = self.callbacks_blocked = 0
        self.outcomes: Counter[Verdict] = Counter()
        self.callback_errors: deque[BaseException] = deque(maxlen=MAX_CALLBACK_ERRORS)
        self.sessions: dict[str, Session] = {}
        self._log = _log.logger(kind=self.table.kind)
        self._turns: Intervals | Worth
        if isinstance(schedule, PayAsYouWait):
            past = (schedule.history or History()).weak(self.table.kind)
            self._turns = Worth(schedule, source.max_batch, past)
        else:
            self._turns = Intervals(schedule, source.max_batch)
        self.reader = Reader(source, limiter, self._turns, call_timeout, self, self._log)
        self.patience = patience
        self._strict = strict
        self._remembered: OrderedDict[str, Tracker] = OrderedDict()
        self._unknown_states: set[str] = set()
        self._minding_the_lag = False
        self._observer: Observer | None = None
        self._tasks: TaskGroup | None = None
        self._started = (0.0, datetime.min)

    def open(self, tasks: TaskGroup, observer: Observer | None) -> None:
        """Begin to take waits; callbacks run in `tasks`, and `observer` looks on."""
        self._tasks = tasks
        self._observer = self.reader.observer = observer
        self._started = (anyio.current_time(), datetime.now(UTC))

    def close(self) -> None:
        """End the waits that are pending, and take no more."""
        for session in tuple(self.sessions.values()):
            for watch in session.watches:
                watch.close()
            for wait in tuple(session.waits):
                self.settle(wait, Verdict.CANCELLED, PollerClosed("the poller was closed"))
        self._tasks = None

    def check_open(self) -> None:
        """Return if waits are taken.

        Raises:
            PollerClosed: The poller was not entered, or was left.
        """
        if self._tasks is None:
            raise PollerClosed("the poller is not open: use it inside `async with Poller(...)`")

    def history(self) -> History:
        """Return what was learned of how long sessions stay in their states."""
        learned = self._turns.evidence() if isinstance(self._turns, Worth) else {}
        return History({self.table.kind: learned} if learned else {})

    # What those who wait ask for.

    def look_now(self, session_id: str) -> None:
        """Look at a session now, if somebody is interested in it."""
        if session_id in self.sessions:
            self.reader.at_once(session_id)

    def join(self, wait: Wait) -> None:
        """Begin to poll for a wait."""
        session = self._poll(wait.id)
        wait.reads_before = session.tracker.reads
        wait.history_from = max(0, len(session.tracker.history) - 1)
        session.waits[wait] = None
        session.steady = False
        if self._observer is not None:
            self._observer.wait_began(wait)

    def leave_later(self, leave: Callable[[], None]) -> None:
        """Have `leave` called at a safe time: this is called by garbage collection."""
        self.alarms.soon(leave)

    def leave(self, wait: Wait) -> None:
        """Stop polling for a wait."""
        session = self.sessions.get(wait.id)
        if session is not None and wait in session.waits:
            del session.waits[wait]
            if self._observer is not None:
                self._observer.wait_ended(wait, None)
            self._release(session)

    def look_again(self, waits: Iterable[Wait]) -> None:
        """Look at those of these that only doubt keeps pending."""
        for wait in waits:
            if self.sessions[wait.id].tracker.in_doubt(wait.goal):
                self.reader.at_once(wait.id)

    def look_last(self, waits: Iterable[Wait]) -> None:
        """Read these once more and then time out."""
        now = anyio.current_time()
        for wait in waits:
            wait.final_at = now
            self.sessions[wait.id].steady = False
            self.reader.at_once(wait.id)

    def settle(self, wait: Wait, verdict: Verdict, error: GreenroomError | None = None) -> None:
        """End a wait."""
        session = self.sessions[wait.id]
        tracker = session.tracker
        seen = tracker.observation
        result = WaitResult(
            id=wait.id,
            verdict=verdict,
            state=tracker.state,
            reason=None if seen is None else seen.reason,
            message=_message(seen, verdict, error),
            elapsed=anyio.current_time() - wait.since,
            reads=tracker.reads - wait.reads_before,
            history=tuple(tracker.history[wait.history_from :]),
            resource={} if seen is None else seen.resource,
            goal=wait.goal,
            error=error,
        )
        trouble = self.reader.trouble(wait.id)
        result = replace(result, explanation=explain(result, self.table, trouble))
        self.outcomes[verdict] += 1
        self._log.info("wait.settled", id=wait.id, verdict=verdict.value, state=result.state)
        del session.waits[wait]
        if self._observer is not None:
            self._observer.wait_ended(wait, result)
        wait.group.settled(wait, result)
        if self._tasks is not None:
            self.callbacks.outcome(result, self._tasks)
        self._release(session, settled=verdict in ANSWERED)

    def set_alarm(self, at: float, method: Callable[[], None]) -> None:
        """Have `method` called at `at`, unless its object is gone by then."""
        self.alarms.set(at, method)

    def watch(self, session_id: str, watch: Watch) -> None:
        """Begin to poll for a watch, which is told at once of the last change that is known."""
        session = self._poll(session_id)
        session.watches.append(watch)
        if session.tracker.history:
            watch.put(session.tracker.history[-1])

    def unwatch(self, session_id: str, watch: Watch) -> None:
        """Stop polling for a watch."""
        session = self.sessions.get(session_id)
        if session is not None and watch in session.watches:
            session.watches.remove(watch)
            self._release(session)

    # What the reader tells.

    def observed(self, seen: Mapping[str, Observation], asked_at: float) -> None:
        """Take in what one call showed, by session."""
        now = anyio.current_time()
        stayed: dict[str, int] = {}
        for session_id, observation in seen.items():
            session = self.sessions[session_id]
            tracker = session.tracker
            if session.steady and tracker.stays(observation, asked_at=asked_at, now=now):
                stayed[session_id] = tracker.looks
            else:
                self._observed(session_id, session, observation, asked_at, now)
        self.reads += len(stayed)
        self.reader.stayed(stayed, asked_at)

    def _observed(
        self, session_id: str, session: Session, seen: Observation, asked_at: float, now: float
    ) -> None:
        tracker = session.tracker
        if seen.state not in self.table.moves:
            self._unknown(session_id, seen.state)
        before = tracker.stale
        transition = tracker.observe(seen, asked_at=asked_at, now=now, at=self._utc(now))
        self.stale += tracker.stale - before
        self._told(session, transition, asked_at)

    def _unknown(self, session_id: str, state: str) -> None:
        said = self._unknown_states
        if state not in said and len(said) < MAX_UNKNOWN_STATES:
            said.add(state)
            self._log.warning("state.unknown", id=session_id, state=state)

    def not_found(self, session_id: str, asked_at: float) -> None:
        """Take in that a session does not exist."""
        session, now = self.sessions[session_id], anyio.current_time()
        transition = session.tracker.observe_absence(asked_at=asked_at, now=now, at=self._utc(now))
        self._told(session, transition, asked_at)

    def unlisted(self, session_id: str, asked_at: float) -> None:
        """Take in that a page left a session out."""
        session, now = self.sessions[session_id], anyio.current_time()
        tracker = session.tracker
        tracker.unlisted()
        vanished = bool(session.watches and tracker.state) and not tracker.absent
        worth_a_call = vanished or any(
            tracker.absence_would_count(wait.goal, wait.since, now) for wait in session.waits
        )
        if worth_a_call:
            self.reads += 1
            self.reader.alone(session_id)
        else:
            self._told(session, None, asked_at)

    def refused(self, session_id: str, error: GreenroomError, asked_at: float) -> None:
        """Take in that the source refuses an id."""
        session = self.sessions[session_id]
        self._log.error("source.refused", id=session_id, error=str(error))
        for watch in session.watches:
            watch.refuse(session_id, error)
        session.watches.clear()
        for wait in tuple(session.waits):
            if wait.since <= asked_at:
                self.settle(wait, Verdict.ERROR, error)
        self._release(session)

    def unanswered(self, session_id: str, asked_at: float) -> None:
        """Take in that a call failed."""
        for wait in tuple(self.sessions[session_id].waits):
            if wait.final_at <= asked_at:
                self.settle(wait, Verdict.TIMEOUT)

    # What the callbacks tell.

    def callback_failed(
        self, callback: str, event: Transition | WaitResult, error: BaseException
    ) -> None:
        """Take in that a callback raised."""
        self.callback_failures += 1
        self.callback_errors.append(error)
        self._log.error("callback.failed", id=event.id, callback=callback, exc_info=error)

    def callback_blocked(
        self, callback: str, event: Transition | WaitResult, seconds: float, *, again: bool
    ) -> None:
        """Take in that a callback held the event loop."""
        self.callbacks_blocked += 1
        if not again:
            held = round(seconds, 3)
            self._log.warning("callback.blocked", id=event.id, callback=callback, seconds=held)

    def callback_behind(self, callback: str, event: Transition | WaitResult) -> None:
        """Take in that many events of one session wait for a callback."""
        self._log.warning("callback.behind", id=event.id, callback=callback)

    def callback_unfinished(self, callback: str, sessions: int) -> None:
        """Take in that a callback holds up the end of the poller."""
        self._log.warning("callback.unfinished", callback=callback, sessions=sessions)

    def _told(self, session: Session, transition: Transition | None, asked_at: float) -> None:
        """Pass on what an answer showed, settle what it decides, and give the next turn."""
        self.reads += 1
        tracker = session.tracker
        self.reader.later(
            Look(
                tracker.id,
                None if tracker.absent else self._known(tracker.state),
                asked_at,
                max(1, tracker.looks),
                None if transition is None else self._since(transition),
            )
        )
        if transition is not None:
            self.transitions += 1
            self._log.info(
                "session.changed",
                id=transition.id,
                before=transition.before,
                after=transition.after,
                reason=transition.reason,
            )
            if not session.waits:
                del tracker.history[:-1]
            for watch in session.watches:
                if watch.put(transition):
                    self._log.warning("watch.behind", id=transition.id)
            if self._tasks is not None:
                self.callbacks.transition(transition, self._tasks)
        now = anyio.current_time()
        refusal = self._refusal(tracker)
        steady = not tracker.absent and refusal is None
        for wait in tuple(session.waits):
            if refusal is not None and wait.since <= tracker.asked_at:
                self.settle(wait, Verdict.ERROR, refusal)
                continue
            verdict = tracker.verdict(wait.goal, wait.since, now)
            if verdict is not Verdict.PENDING:
                self.settle(wait, verdict)
            elif wait.final_at <= asked_at:
                self.settle(wait, Verdict.TIMEOUT)
            else:
                begun = wait.since <= tracker.asked_at and wait.final_at == math.inf
                steady = steady and begun and not tracker.in_doubt(wait.goal)
        session.steady = steady

    def _known(self, state: str | None) -> str | None:
        return state if state is None or state in self.table.moves else UNKNOWN

    def _since(self, transition: Transition) -> float | None:
        """Return when the state began, as far as the service tells.

        Only of a state that the service itself leads on from: one at rest is left when a caller
        acts, whatever its age.
        """
        told = transition.changed_at
        moves = self.table.moves.get(transition.after or "")
        if told is None or told.utcoffset() is None or not moves:
            return None
        loop_time, wall_time = self._started
        return loop_time + (told - wall_time).total_seconds()

    def _poll(self, session_id: str) -> Session:
        session = self.sessions.get(session_id)
        if session is None:
            tracker = self._remembered.pop(session_id, None)
            session = Session(tracker or Tracker(session_id, self.table, self.patience))
            self.sessions[session_id] = session
            if not self._minding_the_lag:
                self._minding_the_lag = True
                self.alarms.set(anyio.current_time() + LAG_INTERVAL, self._mind_the_lag)
        self.reader.soon(session_id)
        return session

    def _mind_the_lag(self) -> None:
        self._minding_the_lag = bool(self.sessions) or self.reader.overload.advice is not None
        if self._minding_the_lag:
            self.reader.mind_the_lag()
            self.alarms.set(anyio.current_time() + LAG_INTERVAL, self._mind_the_lag)

    def _release(self, session: Session, *, settled: bool = False) -> None:
        tracker = session.tracker
        if session.waits or session.watches or self.sessions.get(tracker.id) is not session:
            return
        del self.sessions[tracker.id]
        self.reader.discard(tracker.id, settled=settled)
        tracker.forget_details()
        self._remembered[tracker.id] = tracker
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def _refusal(self, tracker: Tracker) -> TableError | None:
        if not self._strict or tracker.absent or self._known(tracker.state) != UNKNOWN:
            return None
        return TableError(
            f"{tracker.id} is in {tracker.state}, which is no state of {self.table.kind}"
        )

    def _utc(self, now: float) -> datetime:
        loop_time, wall_time = self._started
        return wall_time + timedelta(seconds=now - loop_time)


def _message(
    seen: Observation | None, verdict: Verdict, error: GreenroomError | None
) -> str | None:
    if verdict is Verdict.ERROR:
        return str(error)
    return None if seen is None else seen.message
