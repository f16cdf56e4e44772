"""The shared budget: how many calls a second everything that holds it may make together.

A token bucket. It holds at most `burst` tokens and fills at `rate` tokens a second; a call takes
one. In any window of t seconds it therefore grants at most rate * t + burst calls, which is the
very bound that services enforce with a bucket of their own.

Two details keep a client that knows its quota from ever being throttled, and one lets a client that
is throttled anyway find its way back:

- The service's bucket starts to drain when the first call *arrives*, not when it leaves. Later
  calls travel on warm connections and arrive sooner after they leave, so a client that refills from
  the moment of the first grant runs ahead of the service by the difference. After standing full,
  this bucket begins to refill only `SKEW` seconds after the first grant; one that holds a single
  token, and is full whenever it grants, only if it has stood full for that long.
- Grants are first come, first served, and a single sleeper holds the head of the queue.
- A throttled call cuts the rate to 0.7 of itself, at most once in two seconds (one throttled burst
  is one piece of news), empties the bucket, and the rate then climbs back by addition: the AIMD
  rule of congestion control (Chiu and Jain, Computer Networks and ISDN Systems 17, 1989).

A quota that nobody knows has to be felt for, by the same rule: adding on the way up and multiplying
on the way down brings those who share a quota to equal parts of it. The adaptive rate moves like a
saw, from 0.7 of its top to just above the quota, or a fifth above where the service allows bursts.

- It grows only while this limiter is what delays the calls. A rate that is not used is not tested:
  had it grown meanwhile, the next busy minute would begin with a flood. TCP has the same rule for
  its window, for the same reason (RFC 2861, and RFC 7661 in its place). So what counts is the time
  in which somebody waits for a token: not a pause that the service asked for, and not the first
  second after the bucket stood full, because a few calls in a row do not test a rate.
- It does not shrink by itself: an idle client has not learned that there is less, either.
- A tooth of the saw ends in a throttled call or two, so its length is what keeps them few: about
  200 calls at 8 a second. Where adding a constant would make the teeth of a slow rate too short, it
  grows by a part of itself. That is slower, and shares less evenly. A quota of 1 a second or less
  still throttles more than one call in twenty; `RateLimiter` is better there.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from greenroom import _arguments
from greenroom._errors import ConfigurationError

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

GROWTH = 0.1
"""Calls per second that each second of delay adds to an adaptive rate: 2 more in 20 s."""

GROWTH_PART = 0.025
"""The part of itself that each second of delay adds to an adaptive rate at most: double in 28 s."""

SUSTAINED = 1.0
"""Seconds for which the bucket must not have stood full before a delay counts."""

_ROUNDING = 1e-9
_SHORTEST = 1e-6  # seconds; what is added to a large clock has to be more than nothing


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """A limiter at one moment.

    Attributes:
        max_rate: Most calls per second: what a `RateLimiter` may use of its quota, or the upper
            bound of an `AdaptiveRateLimiter`.
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
        "_cut_at",
        "_full_for",
        "_least",
        "_rate",
        "_tokens",
        "_updated",
        "burst",
        "max_rate",
    )

    def __init__(self, max_rate: float, burst: int) -> None:
        self.max_rate = max_rate
        self._least = LEAST * max_rate
        self.burst = burst
        self._rate = max_rate  # after the last cut
        self._tokens = float(burst)
        self._full_for = math.inf  # seconds for which the bucket has stood full
        self._updated = -math.inf
        self._blocked_until = -math.inf
        self._cut_at = -math.inf

    def rate(self, now: float) -> float:
        """Return calls per second at `now`: the last cut's rate and what was added since."""
        if self._cut_at == -math.inf:
            return self.max_rate
        added = (now - self._cut_at) * self.max_rate / RECOVERY
        return min(self.max_rate, self._rate + added)

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
        if self._full_for >= SKEW or self._tokens >= self.burst > 1:
            self._updated = now + SKEW
        self._full_for = 0.0
        self._tokens -= 1

    def delayed(self, since: float, now: float) -> None:
        """Learn that somebody waited for a token; nothing to learn where the rate is known."""

    def put_back(self) -> None:
        """Return a token that was taken and not used."""
        self._tokens = min(self.burst, self._tokens + 1)

    def throttled(self, now: float, retry_after: float | None) -> None:
        """Cut the rate, and stay away for `retry_after` seconds where the service asks for it."""
        self._refill(now)
        if retry_after is not None:
            self._blocked_until = max(self._blocked_until, now + retry_after)
        if now - self._cut_at >= CUT_INTERVAL:
            self._rate = max(self._least, CUT * self.rate(now))
            self._cut_at = now
            self._tokens = min(self._tokens, 0.0)

    def _refill(self, now: float) -> None:
        if now <= self._updated:
            return
        if self._tokens < self.burst:
            mean_rate = (self.rate(self._updated) + self.rate(now)) / 2
            self._tokens += (now - self._updated) * mean_rate
            self._full_for = max(0.0, self._tokens - self.burst) / mean_rate
            self._tokens = min(self._tokens, self.burst)
        else:
            self._full_for += now - self._updated
        self._updated = now


class AdaptiveBucket(TokenBucket):
    """A bucket whose rate is found out: it grows by the delays and by nothing else."""

    __slots__ = ("_busy_since",)

    def __init__(self, rate: float, burst: int, *, max_rate: float, min_rate: float) -> None:
        super().__init__(max_rate, burst)
        self._rate = rate
        self._least = min_rate
        self._busy_since = -math.inf  # when the bucket last ceased to stand full

    def rate(self, now: float) -> float:  # noqa: ARG002  # no clock moves it
        """Return calls per second; only `delayed` and `throttled` change them."""
        return self._rate

    def take(self, now: float) -> None:
        """Take one token; only right after `ready_in` returned 0."""
        super().take(now)
        if self._updated > now:
            self._busy_since = now

    def delayed(self, since: float, now: float) -> None:
        """Grow by the time from `since` to `now` in which nothing but this bucket held a call."""
        self._refill(now)
        begin = max(since, self._busy_since + SUSTAINED, self._blocked_until, self._cut_at)
        growth = min(GROWTH, GROWTH_PART * self._rate) * max(0.0, now - begin)
        self._rate = min(self.max_rate, self._rate + growth)


class _QueuedLimiter:
    """A bucket and the queue before it.

    It belongs to the event loop that runs where it is first asked: a queue is nobody's in two. When
    that loop has ended it goes over to the next one, and the bucket with it, as full as it is by
    then: to end a loop is not a way around the budget.
    """

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._queue = anyio.Lock()
        self._granted = 0
        self._throttled = 0
        self._loop: Any = None
        self._process = 0
        self._ahead = 0.0  # seconds by which the bucket's time is ahead of the loop's
        self._seen = (0.0, 0.0)  # the bucket's time and the machine's, when it was last asked

    def bind(self) -> None:
        """Belong to the event loop that runs here, as the first call that is asked for does.

        Raises:
            ConfigurationError: The limiter belongs to another event loop, which still runs.
        """
        loop = anyio.lowlevel.current_token().native_token
        if loop is self._loop:
            return
        if self._loop is not None:
            if self._process == os.getpid() and _runs(self._loop):  # a fork has no loop
                raise ConfigurationError(
                    f"{self!r} belongs to another event loop, which still runs: its budget cannot "
                    "be kept in two. Run everything that shares it in one loop, as all of "
                    "greenroom.sync does, or give each its part: RateLimiter(10, share=0.5)"
                )
            seen, then = self._seen
            self._ahead = seen + time.monotonic() - then - anyio.current_time()
            self._queue = anyio.Lock()
        self._loop, self._process = loop, os.getpid()

    async def acquire(self) -> None:
        """Wait for leave to make one call, in the order of asking.

        Raises:
            ConfigurationError: As `bind` does.
        """
        self.bind()
        async with self._queue:
            # The bucket may be cut during the sleep, so it is asked again: no event to wait for.
            while (pause := self._bucket.ready_in(since := self._now())) > 0:
                try:
                    await anyio.sleep(max(pause, _SHORTEST))
                finally:
                    self._bucket.delayed(since, self._now())
            self._bucket.take(self._now())
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
        self.bind()
        self._throttled += 1
        self._bucket.throttled(self._now(), retry_after)

    def statistics(self) -> LimiterStatistics:
        """Return the present figures. Only where an event loop runs."""
        return LimiterStatistics(
            max_rate=self._bucket.max_rate,
            rate=self._bucket.rate(anyio.current_time() + self._ahead),
            burst=self._bucket.burst,
            granted=self._granted,
            throttled=self._throttled,
            waiting=self._queue.statistics().tasks_waiting,
        )

    def _now(self) -> float:
        now = anyio.current_time() + self._ahead
        self._seen = (now, time.monotonic())
        return now


class RateLimiter(_QueuedLimiter):
    """A budget of calls, shared by every poller, source and create that is given it.

    Shared: one object for all that draw on one quota, within one event loop.
    Fair: first come, first served.
    Humble: slows down when the service throttles, honours Retry-After, and recovers by itself.

    Args:
        max_rate: The quota in calls per second, more than 0.
        burst: Calls that the quota allows at once after a pause, at least 1.
        share: The part of the quota, rate and burst, that this limiter may use: more than 0, at
            most 1. The rest is left to others who draw on it. One call at once is always allowed.

    Raises:
        ConfigurationError: `max_rate`, `burst` or `share` is out of range.
    """

    def __init__(self, max_rate: float, burst: int = 1, share: float = 1.0) -> None:
        self._quota = (_arguments.rate("max_rate", max_rate), _arguments.count("burst", burst))
        self._share = _share(share)
        used_rate = _arguments.rate("max_rate * share", max_rate * share)
        used_burst = max(1, math.floor(burst * share + _ROUNDING))
        super().__init__(TokenBucket(used_rate, used_burst))

    def __repr__(self) -> str:
        max_rate, burst = self._quota
        share = "" if self._share == 1 else f", share={self._share!r}"
        return f"RateLimiter(max_rate={max_rate!r}, burst={burst!r}{share})"


class AdaptiveRateLimiter(_QueuedLimiter):
    """A budget of calls for a quota that nobody knows; otherwise like `RateLimiter`.

    The rate grows while calls are held up by this limiter, by 0.1 calls per second for each second
    of delay, but by no more than a fortieth of itself. A throttled call cuts it to 0.7 of itself,
    at most once in two seconds. A client that is not held up learns nothing and keeps its rate.

    Args:
        initial_rate: Calls per second at the start, from `min_rate` to `max_rate`.
        burst: Calls that may be made at once after a pause, at least 1.
        max_rate: Calls per second that are never exceeded, however much would be allowed.
        min_rate: Calls per second that no number of throttled calls goes below, more than 0.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    def __init__(
        self,
        initial_rate: float = 2.0,
        *,
        burst: int = 1,
        max_rate: float = 100.0,
        min_rate: float = 0.1,
    ) -> None:
        initial = _arguments.rate("initial_rate", initial_rate)
        most = _arguments.rate("max_rate", max_rate)
        least = _arguments.rate("min_rate", min_rate)
        if not least <= initial <= most:
            raise ConfigurationError(
                f"initial_rate={initial_rate!r} must be from {min_rate=} to {max_rate=}"
            )
        bucket = AdaptiveBucket(
            initial, _arguments.count("burst", burst), max_rate=most, min_rate=least
        )
        super().__init__(bucket)
        self._shown = f"initial_rate={initial!r}, {burst=}, max_rate={most!r}, min_rate={least!r}"

    def __repr__(self) -> str:
        return f"AdaptiveRateLimiter({self._shown})"


def _runs(loop: Any) -> bool:
    """Return whether an event loop runs: one of asyncio, or the token of one of trio."""
    if hasattr(loop, "is_running"):
        return bool(loop.is_running())
    try:
        loop.run_sync_soon(int)  # which does nothing
    except RuntimeError:  # trio.RunFinishedError
        return False
    return True


def _share(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"share={value!r} is not a part of the quota, such as share=0.5")
    if not 0 < value <= 1:
        raise ConfigurationError(f"share={value!r} must be more than 0 and at most 1, as share=0.5")
    return float(value)
