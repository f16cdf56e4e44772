"""Time and signals of a launch: wall time on the loop's clock, a deadline, and a bell."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import anyio


class Clock:
    """Wall time that moves with the loop's clock."""

    def __init__(self) -> None:
        self._loop_time = anyio.current_time()
        self._wall_time = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the present (aware, UTC)."""
        return self._wall_time + timedelta(seconds=anyio.current_time() - self._loop_time)


class Deadline:
    """The end of all waits.

    Args:
        seconds: From now; infinity for none.

    Attributes:
        at: When, on the loop's clock; infinity for never.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self.at = anyio.current_time() + seconds

    def move_up(self, seconds: float) -> None:
        """Have it come in so many seconds from now, unless it comes sooner."""
        self.at = min(self.at, anyio.current_time() + seconds)

    def left(self) -> float | None:
        """Return the seconds that are left, not less than 0; None where there is no deadline."""
        left = self.at - anyio.current_time()
        return None if left == math.inf else max(0.0, left)

    async def reached(self) -> None:
        """Wait for it."""
        await anyio.sleep_until(self.at)


class Bell:
    """Wakes everybody who listens at the moment."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake them."""
        self._event.set()
        self._event = anyio.Event()

    async def rings(self) -> None:
        """Wait until it rings."""
        await self._event.wait()
