"""Whether the budget can keep up, told from how late its calls come.

No order of turns helps where more reads are due than the budget can make: every session is read
later and later. What helps is a higher rate or a larger batch, and somebody has to be told so. A
call is late by the time from when it was worth making until it is made. A few late ones are what a
budget is for, as when a thousand sessions come at once; late for half a minute on end is too many.

Pure: `now` is injected, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LATE = 5.0
"""Seconds by which a call is late enough to count."""

PATIENCE = 30.0
"""Seconds for which all calls must be late before it is said; and on time before its end is."""

REPEAT = 60.0
"""Seconds after which it is said again."""

MARGIN = 1.1
"""How much more than is made must be wanted for more to help."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a budget falls short of, and what would do.

    Attributes:
        lag: Seconds by which calls come late.
        rate: Calls per second that are made.
        rate_needed: Calls per second that would do.
        batch_needed: Sessions per call that would do at the rate that there is; None where no call
            is made at all.
    """

    lag: float
    rate: float
    rate_needed: float
    batch_needed: int | None


class Overload:
    """Watches how late calls come.

    Attributes:
        advice: What would do; None while the budget keeps up.
    """

    def __init__(self) -> None:
        self.advice: Shortfall | None = None
        self._late_since = math.inf
        self._late_calls = 0
        self._on_time_since = math.inf
        self._told_at = -math.inf

    def called(self, lag: float, now: float, *, calls: int = 1) -> bool:
        """Take in a call that comes late by so much; return whether `advise` is due.

        That no call is due is as good as one that comes on time, and one that is still waiting to
        be made is as bad as one that comes late: `calls` is then 0.
        """
        if lag < LATE:
            self._on_time_since = min(self._on_time_since, now)
            if self.advice is None or now - self._on_time_since >= PATIENCE:
                self._late_since, self._late_calls = math.inf, 0
            return False
        self._on_time_since = math.inf
        self._late_since = min(self._late_since, now)
        self._late_calls += calls
        return now - self._late_since >= PATIENCE and now - self._told_at >= REPEAT

    def advise(self, lag: float, wanted: float, limit: int, now: float) -> Shortfall | None:
        """Return what would do, or None if it is there already or nothing would.

        Args:
            lag: Seconds by which the present call comes late.
            wanted: Reads per second that it would take to be on time.
            limit: Most sessions that one call would read.
            now: The present.
        """
        self._told_at = now
        rate = max(0, self._late_calls - 1) / (now - self._late_since)
        if not MARGIN * rate * limit < wanted < math.inf:
            return None
        batch = math.ceil(wanted / rate) if rate else None
        self.advice = Shortfall(lag, rate, wanted / limit, batch)
        return self.advice

    def over(self, now: float) -> bool:
        """Return whether an overload that was told of has just ended, once."""
        if self.advice is None or now - self._on_time_since < PATIENCE:
            return False
        self.advice = None
        self._told_at = -math.inf
        return True
