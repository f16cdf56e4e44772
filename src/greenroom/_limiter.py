"""The shared budget: how many calls a second everything that holds it may make together.

A token bucket. It holds at most `burst` tokens and fills at `rate` tokens a second; a call takes
one. In any window of t seconds it therefore grants at most rate * t + burst calls, which is the
very bound that services enforce with a bucket of their own.

Two details keep a client that knows its quota from ever being throttled, and one lets a client that
is throttled anyway find its way back:

- The service's bucket starts to drain when the first call *arrives*, not when it leaves. Later
  calls travel on warm connections and arrive sooner after they leave, so a client that refills from
  the moment of the first grant runs ahead of the service by the difference. After standing full,
  this bucket begins to refill only `SKEW` seconds after the first grant.
- Grants are first come, first served, and a single sleeper holds the head of the queue.
- A throttled call cuts the rate to 0.7 of itself, at most once in two seconds (one throttled burst
  is one piece of news), empties the bucket, and the rate then climbs back by addition: the AIMD
  rule of congestion control (Chiu and Jain, Computer Networks and ISDN Systems 17, 1989).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import anyio

from greenroom import _arguments

SKEW = 0.1
"""Seconds by which the first calls may arrive later than those on warm connections."""

CUT = 0.7
"""What remains of the rate after a throttled call."""

CUT_INTERVAL = 2.0
"""Seconds in which any number of throttled calls count once."""

RECOVERY = 20.0
"""Seconds in which the rate would climb from nothing to its maximum."""

LEAST = 0.05
"""The part of the maximum rate that no cut goes below."""

_ROUNDING = 1e-9
_SHORTEST = 1e-6  # seconds; what is added to a large clock has to be more than nothing


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """A limiter at one moment.

    Attributes:
        max_rate: Calls per second when nothing throttles.
        rate: Calls per second now.
        burst: Most calls at once.
        granted: Calls granted so far.
        throttled: Throttled calls reported so far.
        waiting: Tasks in the queue now.
    """

    max_rate: float
    rate: float
    burst: int
    granted: int
    throttled: int
    waiting: int


class Limiter(Protocol):
    """What the poller asks of a budget, so that one on another machine can take its place."""

    async def acquire(self) -> None:
        """Wait for leave to make one call."""
        ...

    def refund(self) -> None:
        """Give back a grant that was not used."""
        ...

    def slow_down(self, retry_after: float | None = None) -> None:
        """Learn that the service throttled a call, and asks to stay away for so many seconds."""
        ...


class TokenBucket:
    """The arithmetic of the budget; `now` is injected, and never goes back."""

    __slots__ = (
        "_blocked_until",
        "_burst",
        "_cut_at",
        "_full_for",
        "_max_rate",
        "_rate_after_cut",
        "_tokens",
        "_updated",
    )

    def __init__(self, max_rate: float, burst: int) -> None:
        self._max_rate = max_rate
        self._burst = burst
        self._rate_after_cut = max_rate
        self._tokens = float(burst)
        self._full_for = math.inf  # seconds for which the bucket has stood full
        self._updated = -math.inf
        self._blocked_until = -math.inf
        self._cut_at = -math.inf

    def rate(self, now: float) -> float:
        """Return calls per second at `now`: the last cut's rate and what was added since."""
        if self._cut_at == -math.inf:
            return self._max_rate
        added = (now - self._cut_at) * self._max_rate / RECOVERY
        return min(self._max_rate, self._rate_after_cut + added)

    def ready_in(self, now: float) -> float:
        """Return seconds until the next token, were nobody to take one; 0 if there is one now."""
        self._refill(now)
        blocked = max(0.0, self._blocked_until - now)
        if self._tokens >= 1 - _ROUNDING:
            return blocked
        return max(blocked, max(0.0, self._updated - now) + (1 - self._tokens) / self.rate(now))

    def take(self, now: float) -> None:
        """Take one token; only right after `ready_in` returned 0."""
        self._refill(now)
        if self._full_for >= SKEW:
            self._updated = now + SKEW
        self._full_for = 0.0
        self._tokens -= 1

    def put_back(self) -> None:
        """Return a token that was taken and not used."""
        self._tokens = min(self._burst, self._tokens + 1)

    def throttled(self, now: float, retry_after: float | None) -> None:
        """Cut the rate, and stay away for `retry_after` seconds where the service asks for it."""
        self._refill(now)
        if retry_after is not None:
            self._blocked_until = max(self._blocked_until, now + retry_after)
        if now - self._cut_at >= CUT_INTERVAL:
            self._rate_after_cut = max(LEAST * self._max_rate, CUT * self.rate(now))
            self._cut_at = now
            self._tokens = min(self._tokens, 0.0)

    def _refill(self, now: float) -> None:
        if now <= self._updated:
            return
        if self._tokens < self._burst:
            mean_rate = (self.rate(self._updated) + self.rate(now)) / 2
            self._tokens += (now - self._updated) * mean_rate
            self._full_for = max(0.0, self._tokens - self._burst) / mean_rate
            self._tokens = min(self._tokens, self._burst)
        else:
            self._full_for += now - self._updated
        self._updated = now


class RateLimiter:
    """A budget of calls, shared by every poller, source and create that is given it.

    Shared: one object for all that draw on one quota, within one event loop.
    Fair: first come, first served.
    Humble: slows down when the service throttles, honours Retry-After, and recovers by itself.

    Args:
        max_rate: Calls per second, more than 0.
        burst: Calls that may be made at once after a pause, at least 1.

    Raises:
        ConfigurationError: `max_rate` or `burst` is out of range.
    """

    def __init__(self, max_rate: float, burst: int = 1) -> None:
        self._max_rate = _arguments.rate("max_rate", max_rate)
        self._burst = _arguments.count("burst", burst)
        self._bucket = TokenBucket(self._max_rate, burst)
        self._queue = anyio.Lock()
        self._granted = 0
        self._throttled = 0

    def __repr__(self) -> str:
        return f"RateLimiter(max_rate={self._max_rate!r}, burst={self._burst!r})"

    async def acquire(self) -> None:
        """Wait for leave to make one call, in the order of asking."""
        async with self._queue:
            # The bucket may be cut during the sleep, so it is asked again: no event to wait for.
            while (pause := self._bucket.ready_in(anyio.current_time())) > 0:  # noqa: ASYNC110
                await anyio.sleep(max(pause, _SHORTEST))
            self._bucket.take(anyio.current_time())
            self._granted += 1

    def refund(self) -> None:
        """Give back a grant that was not used."""
        self._bucket.put_back()
        self._granted -= 1

    def slow_down(self, retry_after: float | None = None) -> None:
        """Slow down: the service throttled a call.

        Args:
            retry_after: Seconds that the service asks for; nothing is granted before they are over.
        """
        self._throttled += 1
        self._bucket.throttled(anyio.current_time(), retry_after)

    def statistics(self) -> LimiterStatistics:
        """Return the present figures. Only where an event loop runs."""
        return LimiterStatistics(
            max_rate=self._max_rate,
            rate=self._bucket.rate(anyio.current_time()),
            burst=self._burst,
            granted=self._granted,
            throttled=self._throttled,
            waiting=self._queue.statistics().tasks_waiting,
        )
