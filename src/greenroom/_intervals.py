"""Turns at intervals: each session a given time after its last read.

- **Wait for company.** Sessions that are new come in numbers: somebody launches three hundred. The
  first is read at once, and those that follow within a part of the interval share the next call.
- **Spread.** Where there are more sessions than one call can read, the calls that it takes are
  spaced evenly over the interval, and each reads those that have been unread for longest. Nobody
  waits longer than the interval; most wait less.

Pure: `now` is injected, in seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from greenroom import _arguments
from greenroom._turns import Look, Queue, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom._schedule import Schedule

COMPANY = 0.4
"""The part of the interval after a call in which newcomers wait for each other."""

MOST_COMPANY = 5.0
"""Seconds that they wait at most."""


class Intervals:
    """Whose turn it is where a schedule says how long each waits for the next look.

    Args:
        schedule: Says so.
        limit: Most sessions in one call.
    """

    def __init__(self, schedule: Schedule, limit: int) -> None:
        self._schedule = schedule
        self._limit = limit
        self._turns: dict[str, Turn] = {}
        self._newcomers = Queue(self._turns)
        self._regular = Queue(self._turns)
        self._intervals: dict[str, float] = {}
        self._latest = 0.0
        self._regular_from = -math.inf
        self._newcomers_from = -math.inf

    def welcome(self, session_id: str, now: float) -> None:
        """Give a turn at once, or in the next newcomers' call."""
        self._newcomers.put(max(now, self._newcomers_from), session_id)

    def back(self, look: Look) -> None:
        """Give a turn one interval after the read."""
        self.stayed({look.session_id: look.looks}, look.at)

    def stayed(self, looks: Mapping[str, int], at: float) -> None:
        """Give each a turn one interval after the read."""
        alike: dict[float, list[str]] = {}
        for session_id, times in looks.items():
            delay = _arguments.seconds("schedule.delay()", self._schedule.delay(times))
            alike.setdefault(delay, []).append(session_id)
        for interval, session_ids in alike.items():
            self._latest = interval
            self._intervals.update(dict.fromkeys(session_ids, interval))
            self._regular.put(at + interval, *session_ids)

    def put_off(self, session_id: str) -> None:
        """Take away a session's turn, if it has one."""
        self._turns.pop(session_id, None)

    def discard(self, session_id: str, *, settled: bool) -> None:  # noqa: ARG002
        """Forget a session."""
        self._turns.pop(session_id, None)
        self._intervals.pop(session_id, None)

    def due(self, now: float) -> float:  # noqa: ARG002  # the turns know their times
        """Return when the first turn comes due."""
        regular = self._regular.due()
        # Who is late by a whole interval is late for want of calls, not for being spread.
        spread = max(regular, min(self._regular_from, regular + self._latest))
        return min(self._newcomers.due(), spread)

    def take(self, most: int, now: float) -> Sequence[str]:
        """Return the newcomers, and then those whose turn comes next."""
        together = len(self._turns)
        chosen = self._newcomers.take(most)
        regular = self._regular.take(most - len(chosen))
        if regular:
            calls = math.ceil(together / self._limit)
            shortest = min(self._intervals[session_id] for session_id in regular)
            self._regular_from = now + shortest / calls if calls > 1 else -math.inf
        if self._limit > 1:
            self._newcomers_from = now + min(COMPANY * self._latest, MOST_COMPANY)
        return chosen + regular

    def wanted(self, now: float) -> float:  # noqa: ARG002  # the same at all times
        """Return how many reads a second the intervals ask for; infinity where one is 0."""
        intervals = self._intervals.values()
        return sum(1 / each for each in intervals) if all(intervals) else math.inf
