"""Sessions whose lives are drawn beforehand, and what a schedule makes of waiting for them.

Everything is in virtual time on the real engine, so that every figure is exact and the same on any
machine. A workload says when its sessions come and how long they take; a source shows them with a
latency of 0.1 s, and counts the calls that a service with a bucket of its own would have throttled.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import anyio

import greenroom
from greenroom import Observation, TransitionTable
from greenroom.sources.nimble import TABLES
from greenroom.testing import run

BATCH = 100
LATENCY = 0.1
PENDING = Observation("CREATE_IN_PROGRESS")
READY = Observation("READY")
FAILED = Observation("CREATE_FAILED")


class Life(NamedTuple):
    """One session: when it comes, how long it takes, in seconds, and whether it fails then."""

    comes: float
    takes: float
    fails: bool = False


class Part(NamedTuple):
    """A part of the sessions, and the law of how long they take.

    `lognormal(median, sigma)`, or `pareto(shape, least)`, which is cut at four hours.
    """

    share: float
    law: str
    a: float
    b: float
    fails: bool = False

    def draw(self, rng: random.Random) -> float:
        if self.law == "lognormal":
            return rng.lognormvariate(math.log(self.a), self.b)
        return min(CUT, self.b * rng.paretovariate(self.a))

    def survival(self, age: float) -> float:
        if self.law == "lognormal":
            return 0.5 * math.erfc(math.log(age / self.a) / self.b / math.sqrt(2))
        return 1.0 if age < self.b else (self.b / age) ** self.a if age < CUT else 0.0

    def density(self, age: float) -> float:
        if self.law == "lognormal":
            z = math.log(age / self.a) / self.b
            return math.exp(-z * z / 2) / (age * self.b * math.sqrt(2 * math.pi))
        return self.a * self.b**self.a / age ** (self.a + 1) if self.b <= age < CUT else 0.0


CUT = 4 * 3600.0


@dataclass(frozen=True)
class Workload:
    """Sessions that come evenly over `over` seconds, polled at `rate` calls per second."""

    name: str
    sessions: int
    over: float
    parts: tuple[Part, ...]
    rate: float

    def lives(self, seed: int) -> list[Life]:
        """Return every session's life; the same for the same seed."""
        rng = random.Random(f"{self.name} {seed}")
        shares = [part.share for part in self.parts]
        drawn = rng.choices(self.parts, shares, k=self.sessions)
        step = self.over / self.sessions
        return [Life(n * step, part.draw(rng), part.fails) for n, part in enumerate(drawn)]

    def optimum(self, price: float = 20.0) -> tuple[float, float]:
        """Return calls per session and mean delay of the fluid optimum.

        That is the least of price * calls + delay for anyone who knows the law but not the future,
        were calls and sessions divisible. At a moment with r calls a second, sessions of hazard h
        are read at rates of at most r each, which add up to at most r * BATCH. By Keller's law the
        rates go with sqrt(h); those for whom that would be more than r are read by every call.
        Then the delay grows by g / (2 * r) a second, where

            g = sum of h over those read by every call
                + (sum of sqrt(h) over the others) ** 2 / (places that are left for them in a call)

        and r = sqrt(g / (2 * price)) is best. Calls times delay does not depend on the price.
        """
        calls = 0.0
        for n in range(int((self.over + self.longest) / self.step)):
            now = (n + 0.5) * self.step
            calls += math.sqrt(self._burden(now) / (2 * price)) * self.step / self.sessions
        return calls, price * calls

    def _burden(self, now: float) -> float:
        """Return g at a moment."""
        youngest = max(0.0, now - self.over)
        present = [
            (
                hazard,
                self.sessions
                / self.over
                * seconds
                * (min(until, now) - max(age, youngest))
                / (until - age),
            )
            for hazard, seconds, age, until in self._by_hazard
            if min(until, now) > max(age, youngest)
        ]
        rest = sum(math.sqrt(hazard) * count for hazard, count in present)
        places, always = float(BATCH), 0.0
        for hazard, count in present:
            root = math.sqrt(hazard)
            if places > count and root * (places - count) > rest - root * count:
                always += hazard * count
                rest -= root * count
                places -= count
            else:
                break
        return always + (rest * rest / places if rest > 1e-9 else 0.0)

    @cached_property
    def _by_hazard(self) -> list[tuple[float, float, float, float]]:
        """Ages in pieces: the hazard, the seconds a session spends there, and from when to when."""
        pieces, age = [], 1.0
        while age < self.longest:
            until = age * 1.02
            stays = [sum(p.share * p.survival(a) for p in self.parts) for a in (age, until)]
            seconds = (stays[0] + stays[1]) / 2 * (until - age)
            if seconds > 0:
                pieces.append(((stays[0] - stays[1]) / seconds, seconds, age, until))
            age = until
        return sorted(pieces, reverse=True)

    @property
    def longest(self) -> float:
        """Seconds after which practically everyone is done."""
        return max(CUT if p.law == "pareto" else p.a * math.exp(4.5 * p.b) for p in self.parts)

    @property
    def step(self) -> float:
        """Seconds of one step of the integration."""
        return 4.0


USUAL = (Part(0.95, "lognormal", 300, 0.35), Part(0.05, "lognormal", 120, 0.35, fails=True))
W1 = Workload("W1", 300, 60, USUAL, rate=2)
W2 = Workload("W2", 5000, 3600, USUAL, rate=2)
W3 = Workload(
    "W3",
    1000,
    1200,
    (Part(0.5, "lognormal", 420, 0.15), Part(0.5, "lognormal", 45, 0.2)),
    rate=2,
)
W4 = Workload(
    "W4", 1000, 600, (Part(0.85, "lognormal", 300, 0.35), Part(0.15, "pareto", 1.1, 300)), rate=2
)
W5 = Workload("W5", 100_000, 3600, USUAL, rate=10)


class Service:
    """The sessions of a workload, as a source, with a bucket of its own that throttles."""

    def __init__(self, lives: Mapping[str, Life], rate: float, burst: int, batch: int) -> None:
        self.table: TransitionTable = TABLES["nimble-session"]
        self.max_batch = batch
        self.lives = lives
        self.calls = self.reads = self.throttled = 0
        self._rate, self._burst = rate, burst
        self._tokens, self._filled = float(burst), 0.0

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        now = anyio.current_time()
        self.calls += 1
        self.reads += len(ids)
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        granted = self._tokens > 1 - 1e-6
        self._tokens -= granted
        await anyio.sleep(LATENCY)
        if not granted:
            self.throttled += 1
            raise greenroom.Throttled("too many calls")
        now += LATENCY
        return {id_: self._shown(self.lives[id_], now) for id_ in ids}

    def _shown(self, life: Life, now: float) -> Observation:
        if now < life.comes + life.takes:
            return PENDING
        return FAILED if life.fails else READY


@dataclass(frozen=True)
class Figures:
    """What a schedule made of a workload. Delays are in seconds from the true change."""

    calls: int
    reads: int
    throttled: int
    delays: tuple[float, ...]
    cpu: float

    @property
    def per_session(self) -> float:
        return self.calls / len(self.delays)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.delays)

    @property
    def product(self) -> float:
        return self.per_session * self.mean

    def quantile(self, share: float) -> float:
        return sorted(self.delays)[min(len(self.delays) - 1, int(share * len(self.delays)))]


Schedule = greenroom.Schedule | greenroom.PayAsYouWait


def play(
    workload: Workload, make: Callable[[], Schedule], seed: int = 0, *, batch: int = BATCH
) -> Figures:
    """Wait for a workload's sessions, each from the moment it comes."""
    lives = {f"s-{n}": life for n, life in enumerate(workload.lives(seed))}
    burst = max(1, round(2 * workload.rate))
    service = Service(lives, workload.rate, burst, batch)
    delays: list[float] = []

    def told(result: greenroom.WaitResult) -> None:
        life = lives[result.id]
        delays.append(anyio.current_time() - life.comes - life.takes)

    async def main() -> None:
        limiter = greenroom.RateLimiter(workload.rate, burst)
        async with (
            greenroom.Poller(service, limiter=limiter, schedule=make()) as poller,
            anyio.create_task_group() as tasks,
        ):
            poller.on(greenroom.Verdict.SUCCESS, told)
            poller.on(greenroom.Verdict.FAILURE, told)
            for id_, life in lives.items():
                await anyio.sleep(life.comes - anyio.current_time())
                tasks.start_soon(_wait, poller, id_)

    before = time.process_time()
    run(main)
    cpu = time.process_time() - before
    return Figures(service.calls, service.reads, service.throttled, tuple(delays), cpu)


async def _wait(poller: greenroom.Poller, id_: str) -> None:
    await poller.wait_all([id_], until="READY", timeout=None)
