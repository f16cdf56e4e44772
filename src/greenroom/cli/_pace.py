"""How fast a run goes of late: its calls per second, and the time that the rest would take.

Plain arithmetic; `now` is injected, in seconds on any clock that does not go back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RATE_WINDOW = 5.0
"""Seconds of the clock over which the rate of calls is taken."""

ENOUGH = 5
"""How many must have settled before anything is said about the time left."""


class Pace:
    """Remembers when things settled, and when calls were made.

    Args:
        now: When the run began.
        speed: Shown seconds per second of the clock.
    """

    def __init__(self, now: float, *, speed: float = 1.0) -> None:
        self._speed = speed
        self._began = now
        self._settled_at: deque[float] = deque()
        self._calls: deque[tuple[float, int]] = deque()

    def settled(self, now: float) -> None:
        """Take in that one more has settled."""
        self._settled_at.append(now)

    def call_rate(self, calls: int, now: float) -> float:
        """Return shown calls per second of late, given all calls so far."""
        self._calls.append((now, calls))
        while now - self._calls[0][0] > RATE_WINDOW and len(self._calls) > 2:
            self._calls.popleft()
        since, calls_then = self._calls[0]
        return (calls - calls_then) / (now - since) / self._speed if now > since else 0.0

    def left(self, remaining: int, now: float) -> float | None:
        """Return the shown seconds that the `remaining` ones would take, if one can say.

        The pace of late is that of the last quarter of the run.
        """
        if len(self._settled_at) < ENOUGH:
            return None
        window = (now - self._began) / 4
        recent = sum(1 for _ in self._since(now - window))
        if not recent or not window:
            return None
        return remaining * window / recent * self._speed

    def _since(self, start: float) -> Iterable[float]:
        for settled_at in reversed(self._settled_at):
            if settled_at < start:
                return
            yield settled_at
