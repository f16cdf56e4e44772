"""The one loop that calls the source: from *somebody's turn has come* to *this is what it said*.

The order is the point. First a turn comes due; then the budget is asked, which may take a while;
only then is it decided whom the call reads, so that it carries everybody whose turn came meanwhile.

What a call brings is sorted once, here:

=======================  ===========================================================================
answer                   consequence
=======================  ===========================================================================
states                   handed on, one by one
an id alone, not found   handed on as not found
missing from a page      handed on as unlisted, which proves nothing
AccessDenied             handed on as a refusal of every id in the call; where it names some of
                         them, these are asked for apart
InvalidRequest           of one id, or naming all: a refusal; else the ids are asked for apart
NotFound, of several     those that it names are handed on as unlisted, the others asked for apart;
                         where it names none, by halves
Throttled                the limiter slows down; tried again after jittered backoff
anything else            tried again after jittered backoff; from the third time on in halves and
                         without company, so that ids on which the service stumbles do not take the
                         others with them. While nobody is answered, smaller calls are rarer, and
                         the first answer brings all of them together again
=======================  ===========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import anyio

from greenroom import _cancellation
from greenroom._batch import Agenda, split
from greenroom._errors import (
    AccessDenied,
    GreenroomError,
    InvalidRequest,
    NotFound,
    SourceError,
    Throttled,
    Unavailable,
    worded,
)
from greenroom._overload import Overload
from greenroom._schedule import Backoff
from greenroom._source import PagedSource, Source, checked
from greenroom._suspects import Suspects

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from greenroom._limiter import Limiter
    from greenroom._log import Log
    from greenroom._observing import CallObserver, Observer
    from greenroom._states import Observation
    from greenroom._turns import Look, Turns

STUMBLES = 3
"""Failed calls in a row from which on those who failed together are asked for in halves."""

RETRY = Backoff(initial=1.0, factor=2.0, ceiling=10.0, floor=0.5)
"""Seconds between a failed call and the next one about the same sessions."""

MAX_IN_FLIGHT = 32
"""Most calls in flight, so that a service that hangs does not collect them without bound."""


class Listener(Protocol):
    """Who is told what the source said. Each of these decides on the session's next turn."""

    def observed(self, seen: Mapping[str, Observation], asked_at: float) -> None:
        """Take in what one call showed, by session."""
        ...

    def not_found(self, session_id: str, asked_at: float) -> None:
        """Take in that the source, asked for this id alone, does not know it."""
        ...

    def unlisted(self, session_id: str, asked_at: float) -> None:
        """Take in that a page of many left this id out."""
        ...

    def refused(self, session_id: str, error: GreenroomError, asked_at: float) -> None:
        """Take in that the source will not speak about this id."""
        ...

    def unanswered(self, session_id: str, asked_at: float) -> None:
        """Take in that a call about this id failed. It has its next turn already."""
        ...


class _Abandoned(Exception):
    """Nobody is interested any more in what a call about many pages asks for."""


class _Polled:
    __slots__ = ("failing_since", "failures", "in_flight", "look_again")

    def __init__(self) -> None:
        self.failures = 0
        self.failing_since = 0.0
        self.in_flight = False
        self.look_again = False


class Reader:
    """Calls the source about whoever's turn it is, as the budget allows.

    Args:
        source: What is called.
        limiter: The budget.
        turns: The order of those whose turn comes in due course.
        call_timeout: Seconds that one call may take.
        listener: Who is told.
        log: Where failures and recoveries are reported.

    Attributes:
        due: When the call came due that waits for the budget; infinity where none does.
        observer: Who looks on.
    """

    def __init__(
        self,
        source: Source,
        limiter: Limiter,
        turns: Turns,
        call_timeout: float,
        listener: Listener,
        log: Log,
    ) -> None:
        self.calls = 0
        self.throttled = 0
        self.failed = 0
        self.in_flight = 0
        self.due = math.inf
        self.observer: Observer | None = None
        self.last_error: str | None = None
        self._source = source
        self._paged = source if isinstance(source, PagedSource) else None
        self._limiter = limiter
        self._call_timeout = call_timeout
        self._listener = listener
        self._log = log
        self.overload = Overload()
        self._turns = turns
        self._limit = source.max_batch
        self._suspects = Suspects()
        self._agenda = Agenda(source.max_batch, turns, self._suspects)
        self._polled: dict[str, _Polled] = {}
        self._wake = anyio.Event()
        self._answered_at = -math.inf

    def at_once(self, session_id: str) -> None:
        """Give a session a turn at once, with an answer asked for after this moment."""
        self._turn(session_id, self._agenda.at_once)

    def soon(self, session_id: str) -> None:
        """Give a session a turn at once or, in company, very soon, likewise."""
        self._turn(session_id, self._agenda.soon)

    def _turn(self, session_id: str, give: Callable[[str, float], None]) -> None:
        polled = self._polled.setdefault(session_id, _Polled())
        if polled.in_flight:
            polled.look_again = True
        else:
            give(session_id, anyio.current_time())
            self._wake.set()

    def later(self, look: Look) -> None:
        """Give a session that was read its next turn in due course."""
        self._agenda.later(look)

    def stayed(self, looks: Mapping[str, int], at: float) -> None:
        """Do the same for those whose state is what it was."""
        self._agenda.stayed(looks, at)

    def alone(self, session_id: str) -> None:
        """Ask for this session in a call of its own, as soon as possible."""
        self._agenda.apart((session_id,), anyio.current_time())

    def discard(self, session_id: str, *, settled: bool) -> None:
        """Stop asking for a session; an answer that is still on its way is dropped.

        Args:
            session_id: The session.
            settled: Whether that is because of what was answered.
        """
        if self._polled.pop(session_id, None):
            self._agenda.discard(session_id, settled=settled)

    def trouble(self, session_id: str) -> str | None:
        """Return why there is no news of a session, where that is known."""
        polled = self._polled.get(session_id)
        unanswered = "no answer so far" if polled and polled.in_flight else None
        return self.last_error or unanswered

    def lag(self) -> float:
        """Return the seconds by which the next call is overdue."""
        now = anyio.current_time()
        return max(0.0, now - self._agenda.next_due(now))

    async def run(self, tasks: TaskGroup) -> None:
        """Make calls until cancelled, each in a task of its own."""
        while True:
            self._wake = anyio.Event()
            now = anyio.current_time()
            free = self.in_flight < MAX_IN_FLIGHT
            due = self._agenda.next_due(now) if free else math.inf
            if due > now:
                if free:
                    self._mind_the_lag(0.0, now)
                with anyio.CancelScope(deadline=due):
                    await self._wake.wait()
                continue
            self.due = due
            await self._limiter.acquire()
            self.due = math.inf
            now = anyio.current_time()
            self._mind_the_lag(now - due, now)
            taken = self._agenda.take(now)
            call = {
                id_: polled
                for id_ in taken
                if (polled := self._polled.get(id_)) and not polled.in_flight
            }
            if call:
                for polled in call.values():
                    polled.in_flight = True
                self.in_flight += 1
                tasks.start_soon(self._call, call)
            else:
                self._limiter.refund()

    def mind_the_lag(self) -> None:
        """See whether the call that should be next has been waiting for too long."""
        self._mind_the_lag(self.lag(), anyio.current_time(), calls=0)

    def _mind_the_lag(self, lag: float, now: float, *, calls: int = 1) -> None:
        if self.overload.called(lag, now, calls=calls):
            wanted = self._turns.wanted(now)
            together = max(1, min(self._limit, len(self._polled)))
            if advice := self.overload.advise(lag, wanted, together, now):
                self._log.warning(
                    "poller.overloaded",
                    lag=round(lag, 1),
                    rate=round(advice.rate, 2),
                    rate_needed=round(advice.rate_needed, 2),
                    batch_needed=advice.batch_needed,
                )
        elif self.overload.over(now):
            self._log.info("poller.caught_up", lag=round(lag, 1))

    async def _call(self, call: dict[str, _Polled]) -> None:
        asked_at = anyio.current_time()
        self.calls += 1
        asked = tuple(call)
        observed = None
        if self.observer is not None:
            observed = self.observer.call_began("describe", len(asked))
        try:
            outcome = await self._ask(asked, observed)
        except BaseException:
            if observed is not None:
                observed.abandoned()
            raise
        finally:
            self.in_flight -= 1
            for polled in call.values():
                polled.in_flight = False
            self._wake.set()
        if observed is not None:
            observed.ended(outcome)
        present = [id_ for id_, polled in call.items() if self._polled.get(id_) is polled]
        if isinstance(outcome, SourceError):
            try:
                seen = checked(outcome.seen, present)
            except Unavailable:
                seen = {}
            if seen:
                self._saw(seen, asked_at)
            rest = [id_ for id_ in present if id_ not in seen]
            self._went_wrong(asked, rest, outcome, asked_at)
        else:
            self._went_well(asked, present, outcome, asked_at)
        for id_ in present:
            if call[id_].look_again and self._polled.get(id_) is call[id_]:
                call[id_].look_again = False
                self.at_once(id_)

    async def _ask(
        self, ids: Sequence[str], observed: CallObserver | None
    ) -> Mapping[str, Observation] | SourceError:
        with anyio.CancelScope(deadline=anyio.current_time() + self._call_timeout) as limit:

            async def pay() -> None:
                if not any(id_ in self._polled for id_ in ids):
                    raise _Abandoned
                limit.deadline = math.inf
                if observed is not None:
                    observed.page_ended()
                await self._limiter.acquire()
                self.calls += 1
                if observed is not None:
                    observed.page_began()
                limit.deadline = anyio.current_time() + self._call_timeout

            try:
                if self._paged is not None:
                    return checked(await self._paged.describe_pages(ids, pay), ids)
                return checked(await self._source.describe(ids), ids)
            except _Abandoned:
                return {}
            except NotFound as error:
                return {} if len(ids) == 1 and not error.seen else error
            except SourceError as error:
                return error
            except OSError as error:
                return Unavailable(worded(error))
            except anyio.get_cancelled_exc_class():
                if _cancellation.is_ours():
                    raise
                return Unavailable("the source let a cancellation of its own escape")
            except Exception as error:  # noqa: BLE001  # a source may raise anything
                told = self._raised(error)
                absent = isinstance(told, NotFound) and len(ids) == 1 and not told.seen
                return {} if absent else told
        return Unavailable(f"no answer within {self._call_timeout:g} s")

    def _raised(self, error: Exception) -> SourceError:
        """Return what an exception that no source should raise comes to."""
        if isinstance(error, ExceptionGroup):
            known: Exception | None = error.split((SourceError, OSError))[0]
            while isinstance(known, ExceptionGroup):
                known = known.exceptions[0]
            if known is not None:
                return known if isinstance(known, SourceError) else Unavailable(worded(known))
        self._log.error("source.raised", exc_info=error)
        return Unavailable(f"the source raised {worded(error)}")

    def _went_well(
        self,
        asked: Sequence[str],
        present: Sequence[str],
        seen: Mapping[str, Observation],
        asked_at: float,
    ) -> None:
        if self.last_error is not None:
            self._log.info("source.recovered", after=self.last_error)
            self.last_error = None
            now = anyio.current_time()
            self._agenda.gather(now, later_than=now + RETRY.ceiling)
        self._suspects.answered(asked, seen, anyio.current_time())
        for id_ in present:
            self._polled[id_].failures = 0
        self._saw({id_: seen[id_] for id_ in present if id_ in seen}, asked_at)
        for id_ in present:
            if id_ in seen:
                continue
            if len(asked) == 1:
                self._listener.not_found(id_, asked_at)
            else:
                self._listener.unlisted(id_, asked_at)

    def _saw(self, seen: Mapping[str, Observation], asked_at: float) -> None:
        self._answered_at = anyio.current_time()
        for id_ in seen:
            self._polled[id_].failures = 0
        self._listener.observed(seen, asked_at)

    def _went_wrong(
        self, asked: Sequence[str], rest: Sequence[str], error: SourceError, asked_at: float
    ) -> None:
        """Take in that a call failed, having shown nothing of the rest of those asked about."""
        self.failed += 1
        self.throttled += isinstance(error, Throttled)
        if isinstance(error, Throttled) or error.retry_after:
            self._limiter.slow_down(error.retry_after)
        match error:
            case AccessDenied() if not 0 < len(set(asked) & set(error.ids)) < len(asked):
                self._refuse(rest, error, asked_at)
            case InvalidRequest() if len(asked) == 1 or set(asked) <= set(error.ids):
                self._suspects.answered(asked, (), anyio.current_time())
                self._refuse(rest, error, asked_at)
            case InvalidRequest() | NotFound() | AccessDenied():
                self._isolate(asked, rest, error, asked_at)
            case _:
                self._try_again(rest, error, asked_at)

    def _isolate(
        self, asked: Sequence[str], rest: Sequence[str], error: SourceError, asked_at: float
    ) -> None:
        """Ask anew about the rest of a failed call, without those that made it fail."""
        now = anyio.current_time()
        named = [id_ for id_ in asked if id_ in error.ids]
        # To name all of them tells nothing, until it is said of those who were named before.
        vague = len(named) == len(asked) > 1 and not self._suspects.all_suspected(asked, now)
        self._suspects.blame(rest, named, now)
        absent = []
        if isinstance(error, NotFound) and not vague:
            absent = [id_ for id_ in rest if id_ in named]
        for group in split([id_ for id_ in rest if id_ not in absent], named):
            self._agenda.apart(group, now)
        for id_ in absent:
            self._listener.unlisted(id_, asked_at)

    def _refuse(self, ids: Iterable[str], error: SourceError, asked_at: float) -> None:
        for id_ in ids:
            self._listener.refused(id_, error, asked_at)

    def _try_again(self, ids: Sequence[str], error: SourceError, asked_at: float) -> None:
        if self.last_error is None:
            self._log.warning("source.unavailable", error=str(error))
        self.last_error = str(error)
        failures, since = 0, math.inf
        for id_ in ids:
            polled = self._polled[id_]
            if polled.failures == 0:
                polled.failing_since = asked_at
            polled.failures += 1
            failures = max(failures, polled.failures)
            since = min(since, polled.failing_since)
        stumbling = failures >= STUMBLES and not isinstance(error, Throttled)
        for group in split(ids, ()) if stumbling and len(ids) > 1 else (ids,):
            delay = RETRY.delay(max(1, failures))
            if stumbling and self._answered_at <= since:
                # Maybe an outage: the smaller the calls, the rarer, so that they become no more.
                delay *= max(1.0, min(self._limit, len(self._polled)) / (2 * len(group)))
            until = anyio.current_time() + delay
            if stumbling:
                self._agenda.apart(group, until)
            else:
                for id_ in group:
                    self._agenda.hold(id_, until)
        for id_ in ids:
            self._listener.unanswered(id_, asked_at)
