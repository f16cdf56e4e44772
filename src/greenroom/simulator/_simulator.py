"""A studio at the far end of a network: throttled, late, and at times out of order."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from greenroom.simulator._errors import StudioError
from greenroom.simulator._faults import FaultPlan, instead, spoilt
from greenroom.simulator._studio import Studio
from greenroom.simulator._throttle import TokenBucket
from greenroom.simulator._wire import Reply, answer, recognise, refuse, unknown_operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from greenroom.simulator._clock import Clock
    from greenroom.simulator._settings import Settings
    from greenroom.simulator._timeline import Change
    from greenroom.simulator._wire import Request


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
        call = recognise(asked.method, asked.path)
        if call is None:
            return unknown_operation(asked)
        operation = call.operation
        self._calls[operation] += 1
        fault = self._faults.strike(operation, self.clock() - self.clock.started)
        if fault is None:
            return await self._carry_out(operation, asked)
        self._struck[fault.kind] += 1
        if fault.kind == "hang":
            await self._closing.wait()
        reply = instead(fault)
        if reply is None:
            return spoilt(fault, await self._carry_out(operation, asked, fault.delay_s))
        if fault.kind == "ThrottlingException":
            self._throttled[operation] += 1
        await self._travel()
        return self._with_retry_after(reply, fault.retry_after)

    async def _carry_out(self, operation: str, asked: Request, delay: float = 0.0) -> Reply:
        refusal = self._refusal(operation)
        await self._travel(delay)
        return refusal or answer(self.studio, asked, self.clock())

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
