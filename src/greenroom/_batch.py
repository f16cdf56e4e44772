"""Many askers, one call: whom the next call reads, and which calls an answer asks for in turn.

One call reads up to `limit` sessions and costs the same however few it reads. Four rules follow.

- **Ride along.** A call that has to be made for one session takes with it the others whose turn
  comes next, up to the limit: their news is fresher for free.
- **Wait for company.** Sessions that are new come in numbers: somebody launches three hundred. The
  first is read at once, and those that follow within a part of the interval share the next call.
- **Spread.** Where there are more sessions than one call can read, the calls that it takes are
  spaced evenly over the interval, and each reads those that have been unread for longest. Nobody
  waits longer than the interval; most wait less.
- **A call of its own.** An id that a page of many left out, or that makes a whole call fail, is
  asked for apart from the others: alone if it is known, by halving if it is not. These calls take
  turns with the shared ones, so that neither kind keeps the other waiting.

No word of any API, no loop, no clock: `now` is injected, in seconds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


COMPANY = 0.4
"""The part of the interval after a call in which newcomers wait for each other."""

MOST_COMPANY = 1.0
"""Seconds that they wait at most."""


class _Turn(NamedTuple):
    due: float
    serial: int
    session_id: str
    interval: float


class _Queue:
    """Turns in the order in which they come due; one a session, the latest given."""

    __slots__ = ("_heap", "_turns")

    def __init__(self, turns: dict[str, _Turn]) -> None:
        self._turns = turns  # shared by the queues of an agenda: a session is in one of them
        self._heap: list[_Turn] = []

    def put(self, turn: _Turn) -> None:
        self._turns[turn.session_id] = turn
        heapq.heappush(self._heap, turn)

    def first(self) -> _Turn | None:
        while self._heap:
            if self._turns.get(self._heap[0].session_id) is self._heap[0]:
                return self._heap[0]
            heapq.heappop(self._heap)
        return None

    def due(self) -> float:
        turn = self.first()
        return math.inf if turn is None else turn.due

    def take(self, most: int, now: float = math.inf) -> list[_Turn]:
        taken: list[_Turn] = []
        while len(taken) < most and (turn := self.first()) is not None and turn.due <= now:
            heapq.heappop(self._heap)
            del self._turns[turn.session_id]
            taken.append(turn)
        return taken


class Agenda:
    """Whose turn it is.

    Args:
        limit: Most sessions in one call.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: dict[str, _Turn] = {}
        self._urgent = _Queue(self._turns)
        self._regular = _Queue(self._turns)
        self._held = _Queue(self._turns)
        self._apart: list[tuple[float, int, tuple[str, ...]]] = []
        self._apart_was_last = False
        self._serials = itertools.count()
        self._interval = 0.0
        self._regular_from = -math.inf
        self._newcomers_from = -math.inf

    def at_once(self, session_id: str, now: float) -> None:
        """Give `session_id` a turn at once."""
        turn = self._turns.get(session_id)
        if turn is None or turn.due > now or turn.interval:
            self._urgent.put(_Turn(now, next(self._serials), session_id, 0.0))

    def soon(self, session_id: str, now: float) -> None:
        """Give `session_id`, which is new, a turn at once or in the next newcomers' call."""
        if session_id not in self._turns:
            due = max(now, self._newcomers_from)
            self._urgent.put(_Turn(due, next(self._serials), session_id, 0.0))

    def later(self, session_id: str, since: float, interval: float) -> None:
        """Give `session_id` its next turn `interval` seconds after `since`, or as company."""
        self._regular.put(_Turn(since + interval, next(self._serials), session_id, interval))
        self._interval = interval

    def hold(self, session_id: str, until: float) -> None:
        """Keep `session_id` out of every call before `until`: asking for it just failed."""
        self._held.put(_Turn(until, next(self._serials), session_id, 0.0))

    def apart(self, session_ids: Iterable[str], due: float) -> None:
        """Ask for these ids from `due` on, in a call that nobody else rides along with."""
        if group := tuple(session_ids):
            for session_id in group:
                self._turns.pop(session_id, None)
            heapq.heappush(self._apart, (due, next(self._serials), group))

    def discard(self, session_id: str) -> None:
        """Forget `session_id`."""
        self._turns.pop(session_id, None)

    def next_due(self) -> float:
        """Return since when, or from when on, a call is worth making; infinity if never."""
        apart = self._apart[0][0] if self._apart else math.inf
        return min(apart, self._next_shared())

    def take(self, now: float) -> tuple[str, ...]:
        """Return whom a call made at `now` should read; they are off the agenda until put back."""
        shared = self._next_shared() <= now
        if self._apart and self._apart[0][0] <= now and not (shared and self._apart_was_last):
            self._apart_was_last = True
            return heapq.heappop(self._apart)[2]
        self._apart_was_last = False
        if not shared:
            return ()
        together = len(self._turns)
        chosen = self._urgent.take(self._limit, now)
        chosen += self._held.take(self._limit - len(chosen), now)
        chosen += self._urgent.take(self._limit - len(chosen))
        chosen += self._regular.take(self._limit - len(chosen))
        if intervals := [turn.interval for turn in chosen if turn.interval]:
            calls = math.ceil(together / self._limit)
            self._regular_from = now + min(intervals) / calls if calls > 1 else -math.inf
        if self._limit > 1:
            self._newcomers_from = now + min(COMPANY * self._interval, MOST_COMPANY)
        return tuple(turn.session_id for turn in chosen)

    def _next_shared(self) -> float:
        regular = max(self._regular.due(), self._regular_from)
        return min(self._urgent.due(), self._held.due(), regular)


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
