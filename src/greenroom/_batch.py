"""Many askers, one call: whom the next call reads, and which calls an answer asks for in turn.

One call reads up to `limit` sessions and costs the same however few it reads. Two rules follow.

- **Ride along.** A call that has to be made for one session takes with it the others whose turn
  comes next, up to the limit: their news is fresher for free.
- **A call of its own.** An id that a page of many left out, or that makes a whole call fail, is
  asked for apart from the others: alone if it is known, by halving if it is not. So are those that
  are known to make calls fail (`_suspects`). These calls take turns with the shared ones, so that
  neither kind keeps the other waiting.

Whose turn comes next in due course is for the schedule to say: `_intervals` and `_worth`.

No word of any API, no loop, no clock: `now` is injected, in seconds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING

from greenroom._turns import Look, Queue, Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from greenroom._suspects import Suspects


SOON = 10.0
"""Seconds within which one who is asked for apart needs no other turn, whoever comes to wait."""


class Agenda:
    """Whose turn it is.

    Args:
        limit: Most sessions in one call.
        regular: The order of those who are neither urgent nor held back.
        suspects: Those who make calls fail.
    """

    def __init__(self, limit: int, regular: Turns, suspects: Suspects) -> None:
        self._suspects = suspects
        self._limit = limit
        self._regular = regular
        self._turns: dict[str, Turn] = {}
        self._urgent = Queue(self._turns)
        self._held = Queue(self._turns)
        self._apart: list[tuple[float, int, tuple[str, ...]]] = []
        self._grouped: dict[str, tuple[float, int]] = {}  # who is in which of these
        self._apart_was_last = False
        self._held_first = False
        self._serials = itertools.count()

    def at_once(self, session_id: str, now: float) -> None:
        """Give `session_id` a turn at once."""
        self._regular.put_off(session_id)
        due, _ = self._grouped.get(session_id, (math.inf, 0))
        if due <= now:
            return
        self._grouped.pop(session_id, None)
        if self._suspects.suspected(session_id, now):
            self._suspects.put(now, session_id)
            return
        turn = self._turns.get(session_id)
        if turn is None or turn.due > now:
            self._urgent.put(now, session_id)

    def soon(self, session_id: str, now: float) -> None:
        """Give `session_id`, for which a wait has begun, a turn in the next newcomers' call."""
        if session_id in self._grouped:
            if self._grouped[session_id][0] <= now + SOON:
                return
            del self._grouped[session_id]
        if self._suspects.suspected(session_id, now):
            self._regular.welcome(session_id, now)
            self._regular.put_off(session_id)
            self._suspects.put_soon(now, session_id)
        elif session_id not in self._turns:
            self._regular.welcome(session_id, now)

    def later(self, look: Look) -> None:
        """Give a session that was read its next turn in due course, or as company."""
        self._forget_turns(look.session_id)
        if self._suspects.suspected(look.session_id, look.at):
            self._suspects.put_back(look.at, look.looks, look.session_id)
        else:
            self._regular.back(look)

    def stayed(self, looks: Mapping[str, int], at: float) -> None:
        """Do the same for those whose state is what it was."""
        if self._turns or self._grouped:
            for session_id in looks:
                self._forget_turns(session_id)
        if self._suspects:
            suspected = {each for each in looks if self._suspects.suspected(each, at)}
            for session_id in suspected:
                self._suspects.put_back(at, looks[session_id], session_id)
            looks = {each: times for each, times in looks.items() if each not in suspected}
        self._regular.stayed(looks, at)

    def hold(self, session_id: str, until: float) -> None:
        """Keep `session_id` out of every call before `until`: asking for it just failed."""
        self._regular.put_off(session_id)
        self._grouped.pop(session_id, None)
        if self._suspects.suspected(session_id, until):
            self._suspects.put(until, session_id)
        else:
            self._held.put(until, session_id)

    def apart(self, session_ids: Iterable[str], due: float) -> None:
        """Ask for these ids from `due` on, in a call that nobody else rides along with."""
        if group := tuple(session_ids):
            serial = next(self._serials)
            for session_id in group:
                self._turns.pop(session_id, None)
                self._regular.put_off(session_id)
                self._suspects.put_off(session_id)
                self._grouped[session_id] = (due, serial)
            heapq.heappush(self._apart, (due, serial, group))

    def gather(self, now: float, *, later_than: float) -> None:
        """Ask at once, and together, for those who were to be asked for apart, but much later."""
        late = [each for each in self._apart if each[0] > later_than]
        self._apart = [each for each in self._apart if each[0] <= later_than]
        heapq.heapify(self._apart)
        for _, serial, group in late:
            for session_id in group:
                if self._is_in(session_id, serial):
                    self.hold(session_id, now)

    def discard(self, session_id: str, *, settled: bool = False) -> None:
        """Forget `session_id`: it is settled, or nobody waits for it any more."""
        self._forget_turns(session_id)
        self._suspects.discard(session_id)
        self._regular.discard(session_id, settled=settled)

    def next_due(self, now: float) -> float:
        """Return since when, or from when on, a call is worth making; infinity if never."""
        return min(self._next_apart(), self._next_shared(now))

    def take(self, now: float) -> tuple[str, ...]:
        """Return whom a call made at `now` should read; they are off the agenda until put back."""
        shared = self._next_shared(now) <= now
        if self._next_apart() <= now and not (shared and self._apart_was_last):
            self._apart_was_last = True
            if self._apart and self._apart[0][0] <= self._suspects.due():
                return self._take_apart()
            return self._suspects.take(self._limit)
        self._apart_was_last = False
        if not shared:
            return ()
        chosen = self._urgent.take(self._limit)
        held, regular = self._held.due() <= now, self._regular.due(now) <= now
        self._held_first = held and not (regular and self._held_first)
        if self._held_first:
            chosen += self._held.take(self._limit - len(chosen), now)
        chosen += self._regular.take(self._limit - len(chosen), now)
        chosen += self._held.take(self._limit - len(chosen), now)
        return tuple(chosen)

    def _take_apart(self) -> tuple[str, ...]:
        """Return the first of those groups, without those who have had a turn since."""
        _, serial, group = heapq.heappop(self._apart)
        left = tuple(each for each in group if self._is_in(each, serial))
        for session_id in left:
            del self._grouped[session_id]
        return left

    def _is_in(self, session_id: str, serial: int) -> bool:
        return self._grouped.get(session_id, (0.0, -1))[1] == serial

    def _forget_turns(self, session_id: str) -> None:
        self._turns.pop(session_id, None)
        self._grouped.pop(session_id, None)

    def _next_apart(self) -> float:
        while self._apart and not any(
            self._is_in(each, self._apart[0][1]) for each in self._apart[0][2]
        ):
            heapq.heappop(self._apart)
        return min(self._apart[0][0] if self._apart else math.inf, self._suspects.due())

    def _next_shared(self, now: float) -> float:
        return min(self._urgent.due(), self._held.due(), self._regular.due(now))


def split(asked: Sequence[str], named: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the calls that isolate what made a call about several ids fail.

    Each of the ids that the service `named` is asked for alone, the others together. Where it named
    none, the ids are halved, which finds one bad id among a hundred in about fourteen calls.
    """
    named = frozenset(named)
    suspects = [session_id for session_id in asked if session_id in named]
    if suspects and len(suspects) < len(asked):
        others = tuple(session_id for session_id in asked if session_id not in named)
        return (others, *((session_id,) for session_id in suspects))
    middle = len(asked) // 2
    return tuple(asked[:middle]), tuple(asked[middle:])
