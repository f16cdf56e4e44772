"""Says when the service stops answering and when it answers again, once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.cli._printing import printable, span

if TYPE_CHECKING:
    from greenroom._poller import PollerStatistics

QUIET = 10.0
"""Seconds after a recovery in which a new failure is not news; a flapping service is not a list."""


class Outage:
    """Remembers whether the service answers. Throttled calls are answers."""

    def __init__(self) -> None:
        self._failures = 0
        self._began: float | None = None
        self._recovered_at = float("-inf")

    def since(self) -> float | None:
        """Return when the present outage began, or None where there is none."""
        return self._began

    def news(self, statistics: PollerStatistics, now: float) -> str | None:
        """Return the sentence that is due at `now`, if any."""
        failures = statistics.failed - statistics.throttled
        failing = statistics.last_error is not None and failures > self._failures
        if statistics.last_error is None:
            self._failures = failures
        if self._began is None:
            if not failing or now - self._recovered_at < QUIET:
                return None
            self._began = now
            return f"no answer, trying on: {printable(statistics.last_error or '')}"
        if statistics.last_error is not None:
            return None
        lasted, self._began, self._recovered_at = now - self._began, None, now
        return f"the service answers again, after {span(lasted)}"
