"""How long sessions take from being made to being ready: as assumed, or as earlier runs have shown.

Pure: chance is injected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from typing import TYPE_CHECKING, NamedTuple

from greenroom._errors import ConfigurationError
from greenroom._hazard import BINS, EDGES, PRIOR_EVENTS, RATIO, Curve, Evidence
from greenroom._history import WORTH
from greenroom.sources._nimble_launch import SESSION_LAUNCH

if TYPE_CHECKING:
    from random import Random

    from greenroom._history import History

KIND, STATE = SESSION_LAUNCH.name, SESSION_LAUNCH.made

MEDIAN = 300.0
"""Seconds of the median that is assumed where nothing is known."""

SIGMA = 0.35
"""The spread that is assumed where nothing is known."""

LEAST = 1e-12
"""Departures per second where none was seen: as good as none, though a curve wants more than 0."""

_PRIOR = Evidence().curve()
"""The hazard where nothing is known."""


class Life(NamedTuple):
    """One session.

    Attributes:
        takes: Seconds from being made to being ready, or to failing.
        fails: Whether it fails then.
    """

    takes: float
    fails: bool


@dataclass(frozen=True, slots=True)
class Lognormal:
    """An assumed law: the logarithm of the time is normal.

    Attributes:
        median: Seconds, more than 0.
        sigma: The standard deviation of the logarithm; 0 makes all take the median.
    """

    median: float = MEDIAN
    sigma: float = SIGMA

    def draw(self, chance: Random) -> float:
        """Return the seconds that one takes."""
        return chance.lognormvariate(log(self.median), self.sigma)


class Shown:
    """The law that a history shows, with nothing assumed about its shape.

    Within a bin the hazard is departures over exposure. Where sessions were still standing when the
    last was seen to leave, nobody knows what became of them. Beyond all that was seen, one is then
    as likely to leave before its age has doubled as not; where sessions stood and none left, less.

    Args:
        history: What earlier runs have shown.

    Attributes:
        departures: Sessions that it has seen leave.
        guessed_from: Seconds beyond which the law is a guess; None if nowhere.

    Raises:
        ConfigurationError: It has no session that left the state of being made.
    """

    def __init__(self, history: History) -> None:
        known = history.of(KIND).get(STATE, Evidence())
        left = [n for n in range(BINS) if known.events[n]]
        if not left:
            raise ConfigurationError(f"there is no {KIND} that left {STATE}")
        cut_off = any(known.exposure[left[-1] + 1 :])
        self.departures = sum(known.events)
        self.guessed_from = EDGES[left[-1] + 1] if cut_off else None
        self._curve = Curve(_rates(known, left[-1], cut_off=cut_off))

    def draw(self, chance: Random) -> float:
        """Return the seconds that one takes, by inverse transform."""
        return self._curve.age_at(chance.expovariate(1.0))

    @property
    def too_few(self) -> bool:
        """Whether it shows too little to go by."""
        return self.departures < WORTH

    @property
    def guessed(self) -> float:
        """The part of the sessions that takes longer than any was seen to take."""
        return 0.0 if self.guessed_from is None else exp(-self._curve.at(self.guessed_from))


Law = Lognormal | Shown
"""How long a session takes to be ready, or to fail."""


def lives(law: Law, failures: float, chance: Random) -> Iterator[Life]:
    """Yield the lives of sessions, without end.

    Args:
        law: How long they take.
        failures: The part of them that fails, from 0 to 1.
        chance: What they are drawn by.
    """
    while True:
        takes = law.draw(chance)
        yield Life(takes, chance.random() < failures)


def _rates(known: Evidence, last_left: int, *, cut_off: bool) -> list[float]:
    """Return the hazard in each bin, per second, more than 0.

    Args:
        known: What earlier runs have shown.
        last_left: The last bin in which any left.
        cut_off: Whether some stood there beyond it.
    """
    rates: list[float] = []
    for n, (age, until) in enumerate(pairwise((*EDGES, EDGES[-1] * RATIO))):
        events, exposure = known.events[n], known.exposure[n]
        if n > last_left and not cut_off:
            rates.append(rates[-1])
        elif n > last_left:
            rates.append(1 / (1 / _PRIOR.rates[n] + exposure / PRIOR_EVENTS))
        elif events:
            rates.append(events / (exposure or events * (until - age) / 2))
        else:
            rates.append(LEAST)
    return rates
