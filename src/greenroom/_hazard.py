"""How likely a session is to leave its state, by age: a hazard that is learned from reads.

The *hazard* at an age is the chance per second that a session that has stood in a state for so long
leaves it now; the *cumulative hazard* H is its integral, and exp(-(H(b) - H(a))) the chance that
one which stood there at age a still does at age b. Nothing is assumed about the shape: the hazard
is constant within each of many bins of age, which grow by 8 % from 2 s on, since what matters at
the age of an hour is not what matters at ten seconds.

Per bin it is events over exposure, the maximum likelihood estimate where the hazard is piecewise
constant (Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 2002), with three
additions:

- **Reads censor.** That a session changed is known, when it changed only as an interval. The event
  is placed at the interval's median under what is known so far, unless the service tells the time.
- **A prior that knows nothing.** k0 = 0.1 events at the hazard 1/age, the one that has no scale:
  of those that stand there at any age, half are gone when it has doubled.
- **A floor.** No hazard is less than a quarter of the mean, so that a wrong idea of a state cannot
  starve those in it.

Events and exposure are added up over five bins each time, or a bin in which nobody happened to
leave would look safe.

Pure: ages are seconds, and nothing here knows what time it is.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from operator import mul, sub, truediv

FIRST_BIN = 2.0
"""Seconds of the first bin."""

RATIO = 1.08
"""By what the edges of later bins grow."""

BINS = 160
"""Bins; the last begins at an age of about four days and has no end."""

EDGES: Sequence[float] = (0.0, *(FIRST_BIN * RATIO**n for n in range(BINS - 1)))
"""The age at which each bin begins, in seconds."""

PRIOR_EVENTS = 0.1
"""k0: how many events the prior is worth in each bin."""

FLOOR = 0.25
"""The least hazard, as a part of the mean."""

REACH = 2
"""Bins on either side that count as well."""

_WIDTHS = tuple(after - before for before, after in pairwise(EDGES))
_MIDDLES = tuple((a + b) / 2 for a, b in pairwise((*EDGES, EDGES[-1] * RATIO)))
_PRIOR_EXPOSURE = tuple(PRIOR_EVENTS * age for age in _MIDDLES)


def bin_of(age: float) -> int:
    """Return the number of the bin in which an age of 0 or more lies."""
    return bisect_right(EDGES, age) - 1


class Curve:
    """A hazard by age, and its integral.

    Attributes:
        rates: The hazard in each bin, per second, more than 0.
        sums: The cumulative hazard at the beginning of each bin.
    """

    __slots__ = ("rates", "sums")

    def __init__(self, rates: Sequence[float]) -> None:
        self.rates = rates
        self.sums: Sequence[float] = tuple(accumulate(map(mul, rates, _WIDTHS), initial=0.0))

    def at(self, age: float) -> float:
        """Return the cumulative hazard at an age."""
        place = bisect_right(EDGES, age) - 1
        return self.sums[place] + self.rates[place] * (age - EDGES[place])

    def age_at(self, cumulative: float) -> float:
        """Return the age at which the cumulative hazard is so much."""
        place = bisect_right(self.sums, cumulative) - 1
        return EDGES[place] + (cumulative - self.sums[place]) / self.rates[place]

    def median(self, after: float, until: float) -> float:
        """Return the median age at leaving of those that left after one age and until another."""
        start = self.at(after)
        stayed = math.exp(start - self.at(until))
        return min(until, max(after, self.age_at(start - math.log((1 + stayed) / 2))))


class Evidence:
    """Who left one state, and at which age; and how long others did not.

    Attributes:
        events: Departures per bin.
        exposure: Seconds that sessions were known to stand there, per bin.
        left: All departures.
        exposed: All seconds.
    """

    __slots__ = ("events", "exposed", "exposure", "left")

    def __init__(
        self, events: Iterable[float] = (0.0,) * BINS, exposure: Iterable[float] = (0.0,) * BINS
    ) -> None:
        self.events = list(events)
        self.exposure = list(exposure)
        self.left = sum(self.events)
        self.exposed = sum(self.exposure)

    def stay(self, since: float, until: float) -> int:
        """Take in that one did not leave between two ages; return the bin of the second."""
        self.exposed += until - since
        last = bisect_right(EDGES, until) - 1
        if EDGES[last] <= since:
            self.exposure[last] += until - since
            return last
        place = bisect_right(EDGES, since) - 1
        while place < last:
            place += 1
            self.exposure[place - 1] += EDGES[place] - since
            since = EDGES[place]
        self.exposure[last] += until - since
        return last

    def leave(self, age: float) -> None:
        """Take in that one left at an age."""
        self.left += 1
        self.events[bin_of(age)] += 1

    def curve(self, before: Evidence | None = None) -> Curve:
        """Return the hazard that this, and weaker evidence from `before`, make likely."""
        known = self if before is None else self + before
        least = FLOOR * known.left / known.exposed if known.exposed else 0.0
        rates = map(
            truediv,
            (PRIOR_EVENTS + each for each in _nearby(known.events)),
            map(float.__add__, _PRIOR_EXPOSURE, _nearby(known.exposure)),
        )
        return Curve(tuple(max(least, rate) for rate in rates))

    def scaled(self, most: float) -> Evidence:
        """Return the same evidence, worth at most so many sessions, whether they left or not."""
        standing = max(map(truediv, self.exposure, _WIDTHS))
        part = min(1.0, most / max(self.left, standing, 1e-9))
        return Evidence((part * n for n in self.events), (part * s for s in self.exposure))

    def __add__(self, other: Evidence) -> Evidence:
        """Return what both show."""
        return Evidence(
            map(float.__add__, self.events, other.events),
            map(float.__add__, self.exposure, other.exposure),
        )


def _nearby(values: Sequence[float]) -> Iterable[float]:
    """Return for each bin the sum over it and those near it."""
    sums = (*(0.0,) * REACH, *accumulate(values, initial=0.0))
    after = (*sums[2 * REACH + 1 :], *(sums[-1],) * REACH)
    return map(sub, after, sums)
