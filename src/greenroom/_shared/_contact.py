"""Whether this host shares the budget or is on its own: decided here, done elsewhere.

While Redis answers, all hosts share. The first time that it does not, this host is alone, at once:
nobody waits for an answer that may not come. It then uses its part of the budget, by the number of
hosts that there were when Redis last told, and no burst, for what is left of the burst is not
known. Before Redis has told of any other host there is none: two hosts that begin without Redis use
the budget twice, and fifty use it fifty times, which the warning is for.

Alone, a host tries Redis about once a second, beside what it grants: no call waits for the attempt.
The times are drawn, so that hosts that were parted at one moment do not come back at one. Who comes
back empties the bucket, since what was used meanwhile is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE_INTERVAL = 1.0
"""Mean seconds between two attempts to come back."""

ALIVE = 60.0
"""Seconds for which a host counts after it was last heard of."""


class Away(Exception):
    """Redis did not answer as it should.

    Attributes:
        heals: Whether that may pass by itself, as a restart does and a wrong password does not.
    """

    def __init__(self, reason: str, *, heals: bool = True) -> None:
        super().__init__(reason)
        self.heals = heals


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to the bucket in Redis.

    Attributes:
        cut: Whether to cut the rate.
        empty: Whether to empty the bucket.
        until: When calls may be granted again, by `time.monotonic`.
        refunds: Calls that are given back.
    """

    cut: bool = False
    empty: bool = False
    until: float = 0.0
    refunds: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What Redis knows of all hosts.

    Attributes:
        part: The part of the rate that is left after cuts, more than 0, at most 1.
        hosts: How many hosts there are, with the one that asks.
    """

    part: float
    hosts: int


class Contact:
    """What this host knows of the others, and when it tries to find out more.

    Args:
        recovery: Seconds in which the rate would climb from nothing to its maximum.
        draw: Returns a number from 0 to 1.

    Attributes:
        alone: Whether it is on its own.
        known: Whether Redis has ever answered.
        hosts: How many hosts there are, with this one.
    """

    def __init__(self, recovery: float, draw: Callable[[], float]) -> None:
        self._recovery = recovery
        self._draw = draw
        self._news = News(1.0, 1)
        self._told_at = 0.0
        self._probe_at = self._back_at = float("-inf")
        self.alone = False
        self.known = False
        self.hosts = 1

    def told(self, news: News, now: float) -> None:
        """Learn what Redis knows, and share the budget from now on."""
        if self.alone:
            self.alone, self._back_at = False, now
        returning = now < self._back_at + ALIVE  # the others may not have been heard of again
        self.hosts = max(news.hosts, self.hosts if returning else 1)
        self._news, self._told_at, self.known = news, now, True

    def lost(self, now: float) -> None:
        """Be alone from now on."""
        self.alone = True
        self.probed(now)

    def probed(self, now: float) -> None:
        """Learn that an attempt to come back has ended, and draw the time of the next."""
        self._probe_at = now + PROBE_INTERVAL * (0.5 + self._draw())

    def probe_due(self, now: float) -> bool:
        """Return whether it is time for another attempt."""
        return self.alone and now >= self._probe_at

    def fair_part(self, max_rate: float) -> float:
        """Return the calls per second that this host may make on its own."""
        return max_rate / self.hosts

    def part(self, now: float) -> float:
        """Return the part of the rate that all hosts may use: what was left, and what was added."""
        return min(1.0, self._news.part + (now - self._told_at) / self._recovery)
