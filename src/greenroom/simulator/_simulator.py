"""A studio at the far end of a network: throttled, late, and at times out of order.

Time and throttle are the simulator's own: `Clock` makes it faster and moves it ahead, `TokenBucket`
is the server's side of rate limiting. The latter shares no code with greenroom's own rate limiter:
the simulator is the witness in every measurement of that limiter, and a witness is independent.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from greenroom.simulator._facts import StudioError
from greenroom.simulator._faults import FaultPlan, instead, spoilt
from greenroom.simulator._studio import Studio
from greenroom.simulator._wire import Reply, answer, recognise, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from greenroom.simulator._settings import Limit, Settings
    from greenroom.simulator._timeline import Change
    from greenroom.simulator._wire import Call, Request


def wall_time() -> Callable[[], float]:
    """Return a clock that is right now, in epoch seconds, and that nobody can set meanwhile."""
    ahead = time.time() - time.monotonic()
    return lambda: ahead + time.monotonic()


class Clock:
    """Tells the simulated time, in seconds since the epoch.

    It starts level with `reading`, the time of day unless given, and runs `speed` times as fast. A
    `reading` that stands still makes a clock that only `advance` moves, which is what a test wants:
    `Clock(lambda: 1_700_000_000.0)`.

    Attributes:
        speed: Simulated seconds per second of `reading`.
        started: The simulated time at which the clock was made, in epoch seconds.
    """

    def __init__(self, reading: Callable[[], float] | None = None, *, speed: float = 1.0) -> None:
        """Start the clock.

        Raises:
            ValueError: `speed` is not a finite number greater than 0.
        """
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed: {speed} must be a finite number greater than 0")
        self.speed = speed
        self._reading = wall_time() if reading is None else reading
        self.started = self._reading()
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


class TokenBucket:
    """The throttle: a bucket that starts full, holds `burst` tokens and gains `rate` a second.

    The limit comes with every call, so that it may change between two calls: the tokens already in
    the bucket stay, as far as they fit.
    """

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._filled_at = 0.0

    def take(self, now: float, limit: Limit) -> bool:
        """Take one token at `now` (simulated seconds), if there is one.

        Returns:
            Whether the call that asked may pass. Time that goes backwards adds no tokens.
        """
        tokens = float(limit.burst) if self._tokens is None else self._tokens
        gained = max(0.0, now - self._filled_at) * limit.rate
        tokens = min(float(limit.burst), tokens + gained)
        allowed = tokens >= 1
        self._tokens = tokens - 1 if allowed else tokens
        self._filled_at = max(now, self._filled_at)
        return allowed


@dataclass(frozen=True, slots=True)
class Statistics:
    """What has been asked of a simulator so far.

    Attributes:
        calls: By operation, the requests that have arrived, whatever became of them.
        throttled: By operation, those of them that were answered ThrottlingException.
        faults: By kind, how often a fault has struck.
    """

    calls: Mapping[str, int]
    throttled: Mapping[str, int]
    faults: Mapping[str, int]


class Simulator:
    """A simulated studio that is being served. Made by `serve`.

    Attributes:
        url: Where it listens: the endpoint URL for clients.
        studio: The studio that it serves.
        clock: Its time. `clock.advance` saves waiting.
    """

    def __init__(
        self, settings: Settings, clock: Clock, sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        self.url = ""
        self.studio = Studio(settings)
        self.clock = clock
        self._sleep = sleep
        self._closing = asyncio.Event()
        self._faults = FaultPlan(settings.faults, settings.seed)
        self._latency = Random(f"{settings.seed}/latency")
        self._buckets: dict[str, TokenBucket] = {}
        self._calls: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()

    @property
    def studio_id(self) -> str:
        """A studio id that it answers to."""
        return self.studio.studio_id

    @property
    def settings(self) -> Settings:
        """How it behaves at present."""
        return self.studio.settings

    def configure(self, changes: object) -> Settings:
        """Change some of the settings, for everything that is asked for from now on.

        Args:
            changes: A table of plain values, merged into the present settings.

        Returns:
            The settings as they are now.

        Raises:
            SettingsError: A value is not valid; nothing is changed then.
        """
        settings = self.settings.merged(changes)
        if settings.faults != self._faults.rules:
            self._faults = FaultPlan(settings.faults, settings.seed)
        self.studio.settings = settings
        return settings

    def statistics(self) -> Statistics:
        """Return what has been asked of it so far."""
        return Statistics(dict(self._calls), dict(self._throttled), dict(self._struck))

    def truth(self) -> dict[str, tuple[Change, ...]]:
        """Return, by session id, every change that has happened so far, with its exact time."""
        return self.studio.truth(self.clock())

    def close(self) -> None:
        """Let go of the requests that a `hang` holds."""
        self._closing.set()

    async def handle(self, asked: Request) -> Reply:
        """Answer one request to the studio, after as long as that takes."""
        call = recognise(asked)
        if isinstance(call, Reply):
            return call
        self._calls[call.operation] += 1
        fault = self._faults.strike(call.operation, self.clock() - self.clock.started)
        if fault is None:
            return await self._carry_out(call)
        self._struck[fault.kind] += 1
        if fault.kind == "hang":
            await self._closing.wait()
        reply = instead(fault)
        if reply is None:
            before, after = (0.0, fault.delay_s) if fault.kind == "late" else (fault.delay_s, 0.0)
            carried_out = await self._carry_out(call, before)
            if after:
                await self._sleep(self.clock.wall(after))
            return spoilt(fault, carried_out)
        if fault.kind == "ThrottlingException":
            self._throttled[call.operation] += 1
        await self._travel()
        return self._with_retry_after(reply, fault.retry_after)

    async def _carry_out(self, call: Call, delay: float = 0.0) -> Reply:
        refusal = self._refusal(call.operation)
        await self._travel(delay)
        return refusal or answer(self.studio, call, self.clock())

    def _refusal(self, operation: str) -> Reply | None:
        """Return the throttle's refusal, or None if it lets the call pass."""
        bucket = self._buckets.setdefault(operation, TokenBucket())
        if bucket.take(self.clock(), self.settings.limit(operation)):
            return None
        self._throttled[operation] += 1
        refusal = refuse(StudioError("ThrottlingException", "too many calls; slow down"))
        return self._with_retry_after(refusal, self.settings.retry_after)

    async def _travel(self, delay: float = 0.0) -> None:
        seconds = self._latency.uniform(*self.settings.latency) + delay
        if seconds > 0:
            await self._sleep(self.clock.wall(seconds))

    def _with_retry_after(self, reply: Reply, seconds: float | None) -> Reply:
        """Add the header, in the client's seconds; HTTP knows whole ones only."""
        if seconds is None:
            return reply
        header = {"Retry-After": str(math.ceil(self.clock.wall(seconds)))}
        return replace(reply, headers=reply.headers | header)
