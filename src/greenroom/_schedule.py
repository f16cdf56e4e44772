"""When a session is worth another look: pure policies, no clock.

A schedule answers one question: a session has just been read; it has shown the same state for
`looks` reads in a row; how many seconds until the next?

`Every` suits sources that read many sessions in one call. There a look costs a hundredth of a call,
so the only thing an interval buys is calls, and half of it is the mean delay from a change to its
discovery.

`Backoff` suits sources that read one session a call, and failed reads. It is exponential backoff
with *full jitter*: the n-th wait is drawn evenly from 0 to initial * factor**n, which spreads
clients that started together better than any narrower jitter (M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015), and then held between a floor, so that a lucky draw does not
hammer, and a ceiling. The wait generator and the jitter are the `backoff` package's; this is the
one file that knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

import backoff

from greenroom import _arguments
from greenroom._errors import ConfigurationError


class Schedule(Protocol):
    """Anything that says when a session is worth another look."""

    def delay(self, looks: int) -> float:
        """Return seconds until the next look, after `looks` (1 or more) at an unchanged state."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval.

    Attributes:
        interval: Seconds from one look to the next, more than 0.

    Raises:
        ConfigurationError: The interval is not a finite number above 0.
    """

    interval: float

    def __post_init__(self) -> None:
        _arguments.seconds("interval", self.interval, zero=False)

    def delay(self, looks: int) -> float:  # noqa: ARG002  # a fixed interval is deaf to history
        """Return the interval."""
        return self.interval


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, a floor and a ceiling.

    Attributes:
        initial: Seconds that bound the first wait.
        factor: What the bound is multiplied by with each look at an unchanged state; 1.1 or more.
        ceiling: Seconds that no wait exceeds.
        floor: Seconds that no wait falls below.
        jitter: Draws a wait from its bound; `backoff.full_jitter` unless given.

    Raises:
        ConfigurationError: A number is out of range, or floor <= initial <= ceiling does not hold.
    """

    initial: float = 2.0
    factor: float = 2.0
    ceiling: float = 20.0
    floor: float = 1.0
    jitter: Callable[[float], float] = backoff.full_jitter
    _bounds: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("initial", "ceiling"):
            _arguments.seconds(name, getattr(self, name), zero=False)
        _arguments.seconds("floor", self.floor)
        if not isinstance(self.factor, (int, float)) or not 1.1 <= self.factor < math.inf:
            raise ConfigurationError(f"factor={self.factor!r} must be 1.1 or more, as factor=2")
        if not self.floor <= self.initial <= self.ceiling:
            raise ConfigurationError(
                f"floor={self.floor!r}, initial={self.initial!r}, ceiling={self.ceiling!r} must "
                "not decrease, as floor=1, initial=2, ceiling=20"
            )
        waits = backoff.expo(base=self.factor, factor=self.initial)
        next(waits)  # the package's generators begin with an empty yield
        growing = takewhile(lambda bound: bound < self.ceiling, waits)
        object.__setattr__(self, "_bounds", (*growing, self.ceiling))

    def delay(self, looks: int) -> float:
        """Return a jittered wait, bounded by `initial * factor ** (looks - 1)` and the ceiling."""
        bound = self._bounds[min(looks, len(self._bounds)) - 1]
        return max(self.floor, self.jitter(bound))
