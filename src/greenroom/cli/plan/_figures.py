"""What rehearsals come to: one row for each rate, and which rates are worth a row. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

FACTORS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
"""The rates of the table, as parts of the one that was asked about."""

MOST = 20_000
"""Workstations that can be rehearsed."""

_EFFORTS = ((300, 6, 3), (1_000, 6, 1), (3_000, 4, 1), (MOST, 3, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one rehearsal. Durations are virtual seconds.

    Attributes:
        reads: API calls that read.
        creates: API calls that create.
        delays: From each session's being ready to its being noticed.
        ready_at: When the last was noticed, from the start; 0 if none was.
        held: For how long the budget held up calls that were due, all together.
        overloaded: For how long it could not keep up.
        rate_needed: Calls per second that would have done then; 0 where nobody can say.
    """

    reads: int
    creates: int
    delays: Sequence[float]
    ready_at: float
    held: float
    overloaded: float
    rate_needed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What to expect at one rate: the mean over some rehearsals. Durations are seconds.

    Attributes:
        rate: Calls per second that read, at most.
        burst: Such calls at once.
        asked: Whether this is the rate that was asked about.
        rehearsals: How many.
        reads: API calls that read.
        creates: API calls that create.
        ready: Workstations that are ready in the end.
        all_ready: Whether all were, in every rehearsal.
        mean_delay: From a session's being ready to its being noticed; None where none was.
        p99_delay: The same for the slowest hundredth.
        ready_at: When the last is noticed, from the start; None where none was.
        held: For how long the budget holds up calls that are due.
        overloaded: For how long it cannot keep up.
        rate_needed: Calls per second that would do then; 0 where nobody can say.
    """

    rate: float
    burst: int
    asked: bool
    rehearsals: int
    reads: float
    creates: float
    ready: float
    all_ready: bool
    mean_delay: float | None
    p99_delay: float | None
    ready_at: float | None
    held: float
    overloaded: float
    rate_needed: float

    @property
    def calls(self) -> float:
        """API calls of both kinds."""
        return self.reads + self.creates


def effort(count: int) -> tuple[Sequence[float], int]:
    """Return which parts of a rate to rehearse, and how many times, so that it takes not too long.

    Args:
        count: Workstations, up to `MOST`.
    """
    rates, times = next((rates, times) for most, rates, times in _EFFORTS if count <= most)
    return FACTORS[-rates:], times


def row(outcomes: Sequence[Outcome], *, count: int, rate: float, burst: int, asked: bool) -> Row:
    """Return what rehearsals of `count` workstations at one rate come to."""
    some = [each for each in outcomes if each.delays]
    needed = [each.rate_needed for each in outcomes if each.rate_needed]
    return Row(
        rate=rate,
        burst=burst,
        asked=asked,
        rehearsals=len(outcomes),
        reads=fmean(each.reads for each in outcomes),
        creates=fmean(each.creates for each in outcomes),
        ready=fmean(len(each.delays) for each in outcomes),
        all_ready=all(len(each.delays) == count for each in outcomes),
        mean_delay=fmean(fmean(each.delays) for each in some) if some else None,
        p99_delay=fmean(_within(0.99, each.delays) for each in some) if some else None,
        ready_at=fmean(each.ready_at for each in some) if some else None,
        held=fmean(each.held for each in outcomes),
        overloaded=fmean(each.overloaded for each in outcomes),
        rate_needed=fmean(needed) if needed else 0.0,
    )


def _within(share: float, delays: Sequence[float]) -> float:
    return sorted(delays)[math.ceil(share * len(delays)) - 1]
