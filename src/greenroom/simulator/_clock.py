"""Simulated time: another clock, made faster and moved ahead at will."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Tells the simulated time, in seconds since the epoch.

    It starts level with `reading` and runs `speed` times as fast. A `reading` that stands still
    makes a clock that only `advance` moves, which is what a test wants:
    `Clock(lambda: 1_700_000_000.0)`.

    Attributes:
        speed: Simulated seconds per second of `reading`.
        started: The simulated time at which the clock was made, in epoch seconds.
    """

    def __init__(self, reading: Callable[[], float] = time.time, *, speed: float = 1.0) -> None:
        """Start the clock.

        Raises:
            ValueError: `speed` is not a finite number greater than 0.
        """
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed: {speed} must be a finite number greater than 0")
        self.speed = speed
        self.started = reading()
        self._reading = reading
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the simulated time, in epoch seconds."""
        return self.started + (self._reading() - self.started) * self.speed + self._ahead

    def advance(self, seconds: float) -> None:
        """Jump ahead by that many simulated seconds.

        Raises:
            ValueError: `seconds` is negative or not finite: simulated time never goes back.
        """
        if not 0 <= seconds <= sys.float_info.max:
            raise ValueError(f"seconds: {seconds} must be a finite number of at least 0")
        self._ahead += seconds

    def wall(self, seconds: float) -> float:
        """Return how long that many simulated seconds take, in seconds of the clock followed."""
        return seconds / self.speed
