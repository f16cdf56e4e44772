"""The loop's time, told as a span tells it, and to threads that have no loop."""

from __future__ import annotations

import time

import anyio


class Clock:
    """Wall time that moves with the loop's clock, so that no leap of the wall clock shows."""

    def __init__(self) -> None:
        self._loop_time = anyio.current_time()
        self._monotonic = time.monotonic()
        self._wall_time = time.time_ns()

    def now(self) -> float:
        """Return the loop's time; outside of the loop, what it must be."""
        try:
            return anyio.current_time()
        except RuntimeError:
            return self._loop_time + time.monotonic() - self._monotonic

    def nanoseconds(self, loop_time: float) -> int:
        """Return a loop's time as nanoseconds since the epoch."""
        return self._wall_time + int((loop_time - self._loop_time) * 1e9)
