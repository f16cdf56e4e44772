"""How long sessions take from being made to being ready: as assumed, or as earlier runs have shown.

Pure: chance is injected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from greenroom._errors import ConfigurationError
from greenroom._hazard import BINS, EDGES, PRIOR_EVENTS, RATIO, Curve
from greenroom._history import WORTH
from greenroom._launch._timeline import MADE
from greenroom.cli._printing import span
from greenroom.sources._nimble_tables import STREAMING_SESSION

if TYPE_CHECKING:
    from random import Random

    from greenroom._hazard import Evidence
    from greenroom._history import History

KIND, STATE = STREAMING_SESSION.kind, MADE

MEDIAN = 300.0
"""Seconds of the median that is assumed where nothing is known."""

SIGMA = 0.35
"""The spread that is assumed where nothing is known."""

WORTH_TELLING = 0.02
"""The part of the times that may be guessed without a word."""


class Law(Protocol):
    """How long a session takes to be ready, or to fail."""

    def draw(self, chance: Random) -> float:
        """Return the seconds that one takes."""
        ...

    @property
    def words(self) -> str:
        """The law, in a sentence."""
        ...

    @property
    def members(self) -> Mapping[str, Any]:
        """The law, as plain values."""
        ...


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

    @property
    def words(self) -> str:
        """The law, in a sentence."""
        return (
            f"Assumed, not measured: half of the sessions are ready within {self.median:g} s, "
            f"lognormal with sigma {self.sigma:g}. The journal of an earlier launch knows better: "
            "--history FILE."
        )

    @property
    def members(self) -> Mapping[str, Any]:
        """The law, as plain values."""
        return {"law": "lognormal", "median": self.median, "sigma": self.sigma}


class Shown:
    """The law that a history shows, with nothing assumed about its shape.

    Within a bin the hazard is departures over exposure. Where sessions were still standing when the
    last was seen to leave, nobody knows what became of them. Beyond all that was seen, one is then
    as likely to leave before its age has doubled as not; where sessions stood and none left, less.

    Args:
        history: What earlier runs have shown.
        name: The file that it is from.

    Attributes:
        guessed_from: Seconds beyond which the law is a guess; None if nowhere.

    Raises:
        ConfigurationError: It has no session that left the state of being made.
    """

    def __init__(self, history: History, name: str) -> None:
        known = history.of(KIND).get(STATE)
        self._departures = sum(known.events) if known else 0.0
        if known is None or self._departures <= 0:
            raise ConfigurationError(
                f"{name} has no {KIND} that left {STATE}: leave --history out, and say with "
                "--median how long they take"
            )
        self._name = name
        self._curve = Curve(_rates(known))
        self.guessed_from = _last_seen_until(known)

    def draw(self, chance: Random) -> float:
        """Return the seconds that one takes, by inverse transform."""
        return self._curve.age_at(chance.expovariate(1.0))

    @property
    def too_few(self) -> bool:
        """Whether it shows too little to go by."""
        return self._departures < WORTH

    @property
    def guessed(self) -> float:
        """The part of the sessions that takes longer than any was seen to take."""
        return 0.0 if self.guessed_from is None else exp(-self._curve.at(self.guessed_from))

    @property
    def words(self) -> str:
        """The law, in a sentence."""
        seen = f"{self._departures:g} session{'' if self._departures == 1 else 's'}"
        told = [f"Times from {self._name}: {seen} that left {STATE}, to be ready or to fail."]
        if self.too_few:
            told.append(f"These are too few to go by: {WORTH} are the least that tell something.")
        if self.guessed_from is not None and self.guessed >= WORTH_TELLING:
            told.append(
                f"Some were never seen to leave it: the times of {100 * self.guessed:.0f} %, more "
                f"than {span(self.guessed_from)}, are a guess."
            )
        return " ".join(told)

    @property
    def members(self) -> Mapping[str, Any]:
        """The law, as plain values."""
        return {
            "law": "history",
            "file": self._name,
            "departures": round(self._departures, 3),
            "too_few": self.too_few,
            "guessed": round(self.guessed, 3),
        }


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


def _last_seen_until(known: Evidence) -> float | None:
    """Return the age beyond which none was seen to leave, though some stood there; None if none."""
    seen = [n for n in range(BINS) if known.events[n] or known.exposure[n]]
    last_left = max(n for n in range(BINS) if known.events[n])
    return None if seen[-1] == last_left else EDGES[last_left + 1]


def _rates(known: Evidence) -> list[float]:
    """Return the hazard in each bin, per second."""
    guessed_from = _last_seen_until(known)
    last_left = max(n for n in range(BINS) if known.events[n])
    rates: list[float] = []
    for n, (age, until) in enumerate(zip(EDGES, (*EDGES[1:], EDGES[-1] * RATIO), strict=True)):
        events, exposure = known.events[n], known.exposure[n]
        if n <= last_left:
            rates.append(events / (exposure or (events or 1.0) * (until - age) / 2))
        elif guessed_from is None:
            rates.append(rates[-1])
        else:
            prior = PRIOR_EVENTS * (age + until) / 2
            rates.append(PRIOR_EVENTS / (prior + exposure))
    return rates
