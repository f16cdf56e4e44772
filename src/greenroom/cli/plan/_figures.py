"""What rehearsals come to: a row for each rate and each price, and which are worth one. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

from greenroom._schedule import Every, PayAsYouWait

if TYPE_CHECKING:
    from greenroom._schedule import Schedule

RATES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
"""The rates of the first table, as parts of the one that was asked about."""

PRICES = (1 / 4, 1 / 2, 1.0, 2.0)
"""The prices of the second, likewise; or the intervals, where those decide."""

MOST = 20_000
"""Workstations that can be rehearsed."""


class Effort(NamedTuple):
    """How much of a plan is rehearsed.

    Attributes:
        most: Workstations up to which this much is.
        rates: At which parts of the rate, the lowest first.
        prices: At which parts of the price, likewise.
        rehearsals: How often at each of them.
    """

    most: int
    rates: Sequence[float]
    prices: Sequence[float]
    rehearsals: int


_EFFORTS = (
    Effort(100, RATES, PRICES, 3),
    Effort(300, RATES, PRICES, 2),
    Effort(1_000, RATES, PRICES, 1),
    Effort(3_000, RATES[2:], PRICES[1:], 1),
    Effort(MOST, RATES[3:], PRICES[1:], 1),
)

MANY = max(each.most for each in _EFFORTS if each.rates == RATES)
"""Workstations up to which nothing is left out; more take so long that it is announced."""


class Knob(NamedTuple):
    """What trades calls for delay.

    Attributes:
        name: The attribute of the schedule that does.
        value: What it is: session-seconds for a price, else seconds.
    """

    name: Literal["price", "interval", "ceiling"]
    value: float


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
    """What to expect at one rate and price: the mean over some rehearsals. Durations are seconds.

    Attributes:
        rate: Calls per second that read, at most.
        burst: Such calls at once.
        schedule: When a session is worth another look.
        asked: Whether this is what was asked about.
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
    schedule: Schedule | PayAsYouWait
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


def effort(count: int) -> Effort:
    """Return how much to rehearse, so that it takes not too long.

    Args:
        count: Workstations, up to `MOST`.
    """
    return next(each for each in _EFFORTS if count <= each.most)


def knob(schedule: Schedule | PayAsYouWait) -> Knob | None:
    """Return what decides how often a schedule has calls made; None where no one number does."""
    if isinstance(schedule, Every):
        return Knob("interval", schedule.interval)
    if not isinstance(schedule, PayAsYouWait):
        return None
    if schedule.price == math.inf and schedule.ceiling is not None:
        return Knob("ceiling", schedule.ceiling)
    return Knob("price", schedule.price)


def turned(schedule: Schedule | PayAsYouWait, factor: float) -> Schedule | PayAsYouWait:
    """Return a schedule whose knob stands at so many times what it does."""
    match knob(schedule):
        case Knob("interval", value):
            return Every(value * factor)
        case Knob("ceiling", value) if isinstance(schedule, PayAsYouWait):
            return replace(schedule, ceiling=value * factor)
        case Knob("price", value) if isinstance(schedule, PayAsYouWait):
            return replace(schedule, price=value * factor)
    return schedule


def row(
    outcomes: Sequence[Outcome],
    *,
    count: int,
    rate: float,
    burst: int,
    schedule: Schedule | PayAsYouWait,
    asked: bool,
) -> Row:
    """Return what rehearsals of `count` workstations at one rate and price come to."""
    some = [each for each in outcomes if each.delays]
    needed = [each.rate_needed for each in outcomes if each.rate_needed]
    return Row(
        rate=rate,
        burst=burst,
        schedule=schedule,
        asked=asked,
        rehearsals=len(outcomes),
        reads=fmean(each.reads for each in outcomes),
        creates=fmean(each.creates for each in outcomes),
        ready=fmean(len(each.delays) for each in outcomes),
        all_ready=all(len(each.delays) == count for each in outcomes),
        mean_delay=fmean(fmean(each.delays) for each in some) if some else None,
        p99_delay=fmean(_quantile(0.99, each.delays) for each in some) if some else None,
        ready_at=fmean(each.ready_at for each in some) if some else None,
        held=fmean(each.held for each in outcomes),
        overloaded=fmean(each.overloaded for each in outcomes),
        rate_needed=fmean(needed) if needed else 0.0,
    )


def _quantile(share: float, delays: Sequence[float]) -> float:
    return sorted(delays)[math.ceil(share * len(delays)) - 1]
