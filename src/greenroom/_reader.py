"""The one loop that calls the source: from *somebody's turn has come* to *this is what it said*.

The order is the point. First a turn comes due; then the budget is asked, which may take a while;
only then is it decided whom the call reads, so that it carries everybody whose turn came meanwhile.

What a call brings is sorted once, here:

===========================  =======================================================================
answer                       consequence
===========================  =======================================================================
states                       handed on, one by one
an id alone, not found       handed on as not found
an id missing from a page    handed on as unlisted, which proves nothing
AccessDenied                 handed on as a refusal of every id in the call
InvalidRequest, or a bug     of one id, or naming all: a refusal; else asked again apart
anything else                tried again after jittered backoff; Throttled slows the limiter as well
===========================  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio

from greenroom._batch import Agenda, sort_out, split
from greenroom._errors import (
    AccessDenied,
    GreenroomError,
    InvalidRequest,
    NotFound,
    SourceError,
    Throttled,
)
from greenroom._schedule import Backoff
from greenroom._states import Observation, TransitionTable

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from structlog.typing import FilteringBoundLogger

    from greenroom._limiter import Limiter

RETRY = Backoff(initial=1.0, factor=2.0, ceiling=10.0, floor=0.5)
"""Seconds between a failed call and the next one about the same sessions."""

MAX_IN_FLIGHT = 32
"""Most calls in flight, so that a service that hangs does not collect them without bound."""


class Source(Protocol):
    """What reads states.

    Attributes:
        table: The transition table of what it reads.
        max_batch: Most ids in one `describe`.
    """

    @property
    def table(self) -> TransitionTable:
        """The transition table of what it reads."""
        ...

    @property
    def max_batch(self) -> int:
        """Most ids in one `describe`, at least 1."""
        ...

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the sessions in one API call.

        An id left out of the answer to a question about it alone does not exist. One left out of
        the answer to a question about many is asked for alone before that is believed.

        Raises:
            SourceError: There is no answer. `AccessDenied` and `InvalidRequest` end the waits that
                they are about; everything else, and every OSError, is tried again.
        """
        ...


@runtime_checkable
class PagedSource(Protocol):
    """A source whose answer may take several API calls."""

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Read the sessions, as `describe` does, awaiting `pay()` before every call but the first.

        Raises:
            SourceError: As for `describe`.
        """
        ...


class Listener(Protocol):
    """Who is told what the source said. Each of these decides on the session's next turn."""

    def observed(self, session_id: str, seen: Observation, asked_at: float) -> None:
        """Take in a state."""
        ...

    def not_found(self, session_id: str, asked_at: float) -> None:
        """Take in that the source, asked for this id alone, does not know it."""
        ...

    def unlisted(self, session_id: str, asked_at: float) -> None:
        """Take in that a page of many left this id out."""
        ...

    def refused(self, session_id: str, error: GreenroomError) -> None:
        """Take in that the source will not speak about this id."""
        ...

    def unanswered(self, session_id: str, asked_at: float) -> None:
        """Take in that a call about this id failed. It has its next turn already."""
        ...


class _Polled:
    __slots__ = ("failures", "in_flight", "look_again")

    def __init__(self) -> None:
        self.failures = 0
        self.in_flight = False
        self.look_again = False


class Reader:
    """Calls the source about whoever's turn it is, as the budget allows.

    Args:
        source: What is called.
        limiter: The budget.
        call_timeout: Seconds that one call may take.
        listener: Who is told.
        log: Where failures and recoveries are reported.
    """

    def __init__(
        self,
        source: Source,
        limiter: Limiter,
        call_timeout: float,
        listener: Listener,
        log: FilteringBoundLogger,
    ) -> None:
        self.calls = 0
        self.throttled = 0
        self.failed = 0
        self.in_flight = 0
        self.last_error: str | None = None
        self._source = source
        self._paged = source if isinstance(source, PagedSource) else None
        self._limiter = limiter
        self._call_timeout = call_timeout
        self._listener = listener
        self._log = log
        self._agenda = Agenda(source.max_batch)
        self._polled: dict[str, _Polled] = {}
        self._wake = anyio.Event()

    def __len__(self) -> int:
        return len(self._polled)

    def now(self, session_id: str) -> None:
        """Give a session a turn at once, with an answer asked for after this moment."""
        self._turn(session_id, self._agenda.now)

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

    def later(self, session_id: str, interval: float) -> None:
        """Give a session its next turn in `interval` seconds."""
        self._agenda.later(session_id, anyio.current_time(), interval)

    def alone(self, session_id: str) -> None:
        """Ask for this session in a call of its own, as soon as possible."""
        self._agenda.apart((session_id,))

    def discard(self, session_id: str) -> None:
        """Stop asking for a session; an answer that is still on its way is dropped."""
        if self._polled.pop(session_id, None):
            self._agenda.discard(session_id)

    def lag(self) -> float:
        """Return the seconds by which the next call is overdue."""
        due = self._agenda.next_due()
        return max(0.0, anyio.current_time() - due) if math.isfinite(due) else 0.0

    async def run(self, tasks: TaskGroup) -> None:
        """Make calls until cancelled, each in a task of its own."""
        while True:
            self._wake = anyio.Event()
            free = self.in_flight < MAX_IN_FLIGHT
            due = self._agenda.next_due() if free else math.inf
            if due > anyio.current_time():
                with anyio.CancelScope(deadline=due):
                    await self._wake.wait()
                continue
            await self._limiter.acquire()
            taken = self._agenda.take(anyio.current_time())
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

    async def _call(self, call: dict[str, _Polled]) -> None:
        asked_at = anyio.current_time()
        self.calls += 1
        try:
            outcome = await self._ask(tuple(call))
        finally:
            self.in_flight -= 1
            for polled in call.values():
                polled.in_flight = False
            self._wake.set()
        present = [id_ for id_, polled in call.items() if self._polled.get(id_) is polled]
        if isinstance(outcome, SourceError):
            self._went_wrong(present, outcome, asked_at)
        else:
            self._went_well(present, tuple(call), outcome, asked_at)
        for id_ in present:
            if call[id_].look_again and self._polled.get(id_) is call[id_]:
                call[id_].look_again = False
                self.now(id_)

    async def _ask(self, ids: Sequence[str]) -> Mapping[str, Observation] | SourceError:
        with anyio.CancelScope(deadline=anyio.current_time() + self._call_timeout) as limit:

            async def pay() -> None:
                limit.deadline = math.inf
                await self._limiter.acquire()
                self.calls += 1
                limit.deadline = anyio.current_time() + self._call_timeout

            try:
                if self._paged is not None:
                    return _checked(await self._paged.describe_pages(ids, pay))
                return _checked(await self._source.describe(ids))
            except NotFound as error:
                return {} if len(ids) == 1 else error
            except SourceError as error:
                return error
            except OSError as error:
                return SourceError(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # a source may raise anything
                self._log.exception("source.raised", ids=list(ids))
                refusal = InvalidRequest(f"the source raised {error!r}")
                refusal.__cause__ = error
                return refusal
        return SourceError(f"no answer within {self._call_timeout:g} s")

    def _went_well(
        self,
        present: Sequence[str],
        asked: Sequence[str],
        seen: Mapping[str, Observation],
        asked_at: float,
    ) -> None:
        if self.last_error is not None:
            self._log.info("source.recovered", after=self.last_error)
            self.last_error = None
        answer = sort_out(asked, seen)
        for id_ in present:
            self._polled[id_].failures = 0
            if id_ in answer.observed:
                self._listener.observed(id_, answer.observed[id_], asked_at)
            elif id_ in answer.absent:
                self._listener.not_found(id_, asked_at)
            else:
                self._listener.unlisted(id_, asked_at)

    def _went_wrong(self, ids: Sequence[str], error: SourceError, asked_at: float) -> None:
        self.failed += 1
        if isinstance(error, InvalidRequest) and len(ids) > 1 and set(ids) - set(error.ids):
            for group in split(ids, error.ids):
                self._agenda.apart(group)
            return
        if isinstance(error, (AccessDenied, InvalidRequest)):
            for id_ in ids:
                self._listener.refused(id_, error.about(id_))
            return
        if isinstance(error, Throttled):
            self.throttled += 1
            self._limiter.throttled(error.retry_after)
        if self.last_error is None:
            self._log.warning("source.unavailable", error=str(error))
        self.last_error = str(error)
        self._hold(ids, asked_at, error.retry_after or 0.0)

    def _hold(self, ids: Iterable[str], asked_at: float, at_least: float) -> None:
        """Keep those whose call failed away for one and the same time, so they stay together."""
        failures = 0
        for id_ in ids:
            self._polled[id_].failures += 1
            failures = max(failures, self._polled[id_].failures)
        until = anyio.current_time() + max(at_least, RETRY.delay(max(1, failures)))
        for id_ in ids:
            self._agenda.hold(id_, until)
            self._listener.unanswered(id_, asked_at)


def _checked(seen: Mapping[str, Observation]) -> Mapping[str, Observation]:
    """Return `seen` if it is what a source must return; the rest is garbage, not an answer."""
    if not isinstance(seen, Mapping):
        raise SourceError(f"the source returned {type(seen).__name__}, not a mapping from id")
    for id_, observation in seen.items():
        if not isinstance(observation, Observation) or not isinstance(observation.state, str):
            raise SourceError(f"the source returned {observation!r} for {id_}: no Observation")
    return seen
