"""Many askers, one call: whom the next call reads, and which calls an answer asks for in turn.

One call reads up to `limit` sessions and costs the same however few it reads. Four rules follow.

- **Ride along.** A call that has to be made for one session takes with it the others whose turn
  comes next, up to the limit: their news is fresher for free.
- **Wait for company.** Sessions that are new come in numbers: somebody launches three hundred. The
  first is read at once, and those that follow within a part of the interval share the next call.
- **Spread.** Where there are more sessions than one call can read, calls are spaced evenly over the
  interval. Each call then reads the longest unread, nobody waits longer than the interval, and n
  sessions cost n / limit calls an interval: the fraction, not its ceiling.
- **A call of its own.** An id that a page of many left out, or that makes a whole call fail, is
  asked for apart from the others: alone if it is known, by halving if it is not. These calls come
  first in the queue and pay like every other.

No word of any API, no loop, no clock: `now` is injected, in seconds.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from greenroom._states import Observation


COMPANY = 0.4
"""The part of the interval after a call in which newcomers wait for each other."""


class _Turn(NamedTuple):
    due: float
    serial: int
    session_id: str
    interval: float
    held: bool


class Agenda:
    """Whose turn it is.

    Args:
        limit: Most sessions in one call.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: dict[str, _Turn] = {}
        self._heap: list[_Turn] = []
        self._apart: deque[tuple[str, ...]] = deque()
        self._serials = itertools.count()
        self._not_before = float("-inf")
        self._newcomers_at = float("-inf")

    def __len__(self) -> int:
        return len(self._turns)

    def now(self, session_id: str, now: float) -> None:
        """Give `session_id` a turn at once."""
        self._put(session_id, now, interval=0.0, held=False)

    def soon(self, session_id: str, now: float) -> None:
        """Give `session_id`, which is new, a turn at once or in the next newcomers' call."""
        self._put(session_id, max(now, self._newcomers_at), interval=0.0, held=False)

    def later(self, session_id: str, now: float, interval: float) -> None:
        """Give `session_id` its next turn `interval` seconds after `now`, or sooner as company."""
        self._put(session_id, now + interval, interval=interval, held=False)
        if self._limit > 1:
            self._newcomers_at = now + COMPANY * interval

    def hold(self, session_id: str, until: float) -> None:
        """Keep `session_id` out of every call before `until`: asking for it just failed."""
        self._put(session_id, until, interval=0.0, held=True)

    def apart(self, session_ids: Iterable[str]) -> None:
        """Ask for these ids, in one call that nobody else rides along with, as soon as possible."""
        group = tuple(session_ids)
        for session_id in group:
            self._turns.pop(session_id, None)
        self._apart.append(group)

    def discard(self, session_id: str) -> None:
        """Forget `session_id`."""
        self._turns.pop(session_id, None)
        for place, group in enumerate(self._apart):
            if session_id in group:
                self._apart[place] = tuple(other for other in group if other != session_id)

    def next_due(self) -> float:
        """Return when the next call is worth making; infinity if never."""
        if any(self._apart):
            return float("-inf")
        turn = self._first()
        if turn is None:
            return float("inf")
        return max(turn.due, self._not_before) if turn.interval else turn.due

    def take(self, now: float) -> tuple[str, ...]:
        """Return whom a call made at `now` should read; they are off the agenda until put back."""
        while self._apart:
            if group := self._apart.popleft():
                return group
        if self.next_due() > now:
            return ()
        chosen: list[_Turn] = []
        passed_over: list[_Turn] = []
        together = len(self._turns)
        while len(chosen) < self._limit and (turn := self._first()) is not None:
            heapq.heappop(self._heap)
            (passed_over if turn.held and turn.due > now else chosen).append(turn)
            del self._turns[turn.session_id]
        for turn in passed_over:
            self._turns[turn.session_id] = turn
            heapq.heappush(self._heap, turn)
        intervals = [turn.interval for turn in chosen if turn.interval]
        if intervals and together > self._limit:
            self._not_before = now + min(intervals) * self._limit / together
        return tuple(turn.session_id for turn in chosen)

    def _put(self, session_id: str, due: float, *, interval: float, held: bool) -> None:
        turn = _Turn(due, next(self._serials), session_id, interval, held)
        self._turns[session_id] = turn
        heapq.heappush(self._heap, turn)

    def _first(self) -> _Turn | None:
        while self._heap:
            turn = self._heap[0]
            if self._turns.get(turn.session_id) is turn:
                return turn
            heapq.heappop(self._heap)
        return None


class Answer(NamedTuple):
    """What one answer says about each id that was asked for.

    Attributes:
        observed: The states it shows; ids that nobody asked for are left out.
        absent: Ids that do not exist: asked for alone, and not found.
        unlisted: Ids that a page of many left out, which proves nothing.
    """

    observed: Mapping[str, Observation]
    absent: tuple[str, ...]
    unlisted: tuple[str, ...]


def sort_out(asked: Sequence[str], seen: Mapping[str, Observation]) -> Answer:
    """Return what the answer `seen` to a question about `asked` says about each of them."""
    observed = {session_id: seen[session_id] for session_id in asked if session_id in seen}
    rest = tuple(session_id for session_id in asked if session_id not in observed)
    return Answer(observed, *((rest, ()) if len(asked) == 1 else ((), rest)))


def split(asked: Sequence[str], named: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the calls that isolate what made a call about several ids fail.

    Each of the ids that the service `named` is asked for alone, the others together. Where it named
    none, the ids are halved, which finds one bad id among a hundred in about fourteen calls.
    """
    suspects = [session_id for session_id in asked if session_id in set(named)]
    if suspects and len(suspects) < len(asked):
        others = tuple(session_id for session_id in asked if session_id not in suspects)
        return (others, *((session_id,) for session_id in suspects))
    middle = len(asked) // 2
    return tuple(asked[:middle]), tuple(asked[middle:])
