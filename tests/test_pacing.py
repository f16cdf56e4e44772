"""What paying as one waits achieves, on the real engine: the promises of the schedule, measured."""

import math
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import anyio
import pytest

import greenroom
from greenroom import History, Observation, PayAsYouWait, Poller
from greenroom.sources.nimble import TABLES
from greenroom.testing import ScriptedSource
from greenroom.testing import run as play

SESSIONS, PER_SECOND, RATE, BURST, BATCH, LATENCY = 300, 5, 2, 4, 100, 0.1
PRICE = 20.0
SEEDS = range(5)


def lognormal(rng, median):
    return rng.lognormvariate(math.log(median), 0.35)


class Life(NamedTuple):
    begins: float
    ends: float
    fails: bool


class Service:
    """Sessions that end when it is their time, behind a bucket that throttles."""

    table = TABLES["nimble-session"]
    max_batch = BATCH

    def __init__(self, lives, clock=None):
        self.calls = self.throttled = 0
        self._lives, self._clock = lives, clock
        self._tokens, self._filled = float(BURST), 0.0

    async def describe(self, ids, /):
        now = anyio.current_time()
        self.calls += 1
        self._tokens = min(BURST, self._tokens + (now - self._filled) * RATE)
        self._filled = now
        await anyio.sleep(LATENCY)
        if self._tokens < 1 - 1e-6:
            self.throttled += 1
            raise greenroom.Throttled("too many calls")
        self._tokens -= 1
        return {id_: self._shown(self._lives[id_], now + LATENCY) for id_ in ids}

    def _shown(self, life, now):
        ended = now >= life.ends
        state = ("CREATE_FAILED" if life.fails else "READY") if ended else "CREATE_IN_PROGRESS"
        since = timedelta(seconds=life.ends if ended else life.begins)
        return Observation(state, changed_at=None if self._clock is None else self._clock + since)


class Outcome(NamedTuple):
    calls: int
    throttled: int
    delays: tuple[float, ...]

    @property
    def per_session(self):
        return self.calls / len(self.delays)

    @property
    def mean(self):
        return fmean(self.delays)


def launch(seed, schedule, clock=None):
    """Wait for three hundred that come at five a second, each from when it comes."""
    rng = random.Random(f"W1 {seed}")
    lives = {}
    for number in range(SESSIONS):
        begins, fails = number / PER_SECOND, rng.random() < 0.05
        lives[f"s-{number}"] = Life(begins, begins + lognormal(rng, 120 if fails else 300), fails)

    async def main():
        service, delays = Service(lives, clock and clock()), []
        limiter = greenroom.RateLimiter(RATE, BURST)
        async with (
            Poller(service, limiter=limiter, schedule=schedule) as poller,
            anyio.create_task_group() as tasks,
        ):

            async def wait(id_):
                await poller.wait_all([id_], until="READY", timeout=None)
                delays.append(anyio.current_time() - lives[id_].ends)

            for id_, life in lives.items():
                await anyio.sleep(life.begins - anyio.current_time())
                tasks.start_soon(wait, id_)
        return Outcome(service.calls, service.throttled, tuple(delays))

    return play(main)


@cache
def unaided(seed):
    return launch(seed, PayAsYouWait(PRICE))


def assert_good(outcomes):
    assert all(len(outcome.delays) == SESSIONS for outcome in outcomes)
    assert all(min(outcome.delays) >= 0 for outcome in outcomes)
    assert fmean(outcome.per_session for outcome in outcomes) <= 0.35
    assert fmean(outcome.mean for outcome in outcomes) <= 6.5
    assert sum(outcome.throttled for outcome in outcomes) == 0
    for outcome in outcomes:  # the audit: while the price triggers the calls, each ends its worth
        assert 0.7 <= sum(outcome.delays) / (PRICE * outcome.calls) <= 1.3


def test_three_hundred_cost_a_third_of_a_call_each_and_are_noticed_within_seconds():
    assert_good([unaided(seed) for seed in SEEDS])


def test_what_the_service_tells_of_its_times_is_used_and_does_no_harm():
    told = [launch(seed, PayAsYouWait(PRICE), lambda: datetime.now(UTC)) for seed in SEEDS]
    assert_good(told)
    assert told != [unaided(seed) for seed in SEEDS]


@pytest.mark.parametrize(
    "clock",
    [
        lambda: datetime(1970, 1, 1, tzinfo=UTC),
        lambda: datetime.now(UTC) + timedelta(days=400),
        lambda: datetime.now(),  # naive, as no source should be
    ],
    ids=["1970", "future", "naive"],
)
def test_a_clock_that_cannot_be_right_changes_nothing(clock):
    for seed in SEEDS[:2]:
        assert launch(seed, PayAsYouWait(PRICE), clock) == unaided(seed)


def history(factor, kind="nimble-session"):
    rng, known = random.Random("history"), History()
    stays = [factor * lognormal(rng, 120 if rng.random() < 0.05 else 300) for _ in range(1000)]
    known.add(kind, "CREATE_IN_PROGRESS", [(seconds, True) for seconds in stays])
    return known


# Calls times delay differ by a tenth from seed to seed: five of them say little about a tenth.
MORE_SEEDS = range(8)


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_history_that_is_wrong_by_two_costs_a_tenth_at_most(factor):
    known = PayAsYouWait(PRICE, history=history(factor))
    misled = [launch(seed, known) for seed in MORE_SEEDS]
    unaware = [unaided(seed) for seed in MORE_SEEDS]
    assert misled != unaware
    assert product(misled) <= 1.1 * product(unaware)


def product(outcomes):
    return fmean(outcome.per_session * outcome.mean for outcome in outcomes)


def test_a_history_of_another_kind_or_of_nothing_changes_nothing():
    for known in (History(), history(2, kind="print-job")):
        assert launch(0, PayAsYouWait(PRICE, history=known)) == unaided(0)


def test_the_price_is_the_knob_between_calls_and_delay():
    cheap, dear = launch(0, PayAsYouWait(5)), launch(0, PayAsYouWait(80))
    assert cheap.mean < 0.7 * unaided(0).mean < unaided(0).mean < 0.7 * dear.mean
    assert cheap.calls > 1.4 * unaided(0).calls > unaided(0).calls > 1.4 * dear.calls


# The ends of the scale.


def creating(ready_at):
    return [(0, "CREATE_IN_PROGRESS"), (ready_at, "READY")]


def gaps(source, id_):
    times = [call.at for call in source.calls if id_ in call.ids]
    return [after - before for before, after in pairwise(times)]


@pytest.mark.parametrize("count", [1, 50, 250])
def test_an_infinite_price_reads_everybody_once_in_a_ceiling(run, count):
    async def main():
        ids = [f"s-{number}" for number in range(count)]
        source = ScriptedSource(dict.fromkeys(ids, creating(300)), latency=0.1)
        async with Poller(source, schedule=PayAsYouWait(math.inf, ceiling=10)) as poller:
            results = await poller.wait_all(ids, until="READY", timeout=1800)
        assert len(results.succeeded) == count
        assert max(result.elapsed for result in results.values()) <= 310 + 0.2
        for id_ in ids:
            assert max(gaps(source, id_)) <= 10 + 1e-6
            assert len(gaps(source, id_)) == pytest.approx(30, abs=2)
        assert len(source.calls) <= 32 * math.ceil(count / BATCH)

    run(main)


def test_a_ceiling_holds_whatever_the_price(run):
    async def main():
        ids = [f"s-{number}" for number in range(150)]
        source = ScriptedSource(dict.fromkeys(ids, creating(600)), latency=0.1)
        async with Poller(source, schedule=PayAsYouWait(1000, ceiling=25)) as poller:
            await poller.wait_all(ids, until="READY", timeout=None)
        assert all(max(gaps(source, id_)) <= 25 + 1e-6 for id_ in ids)

    run(main)


def test_one_alone_is_noticed_within_about_ten_seconds():
    async def lone(ready_at):
        source = ScriptedSource({"s-1": creating(ready_at)}, latency=0.1)
        result = await greenroom.wait(source, "s-1", until="READY", timeout=1800)
        return result.elapsed - ready_at

    delays = [play(lone, ready_at) for ready_at in range(10, 600, 13)]
    assert min(delays) >= 0
    assert fmean(delays) <= 10
    assert max(delays) <= 30


def test_one_that_comes_when_it_is_quiet_is_read_at_once(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0), "s-2": [(0, "READY")]}, latency=0.1)
        async with Poller(source) as poller:
            assert (await poller.wait("s-1", until="READY", timeout=60)).elapsed < 0.2
            await anyio.sleep(100)
            assert (await poller.wait("s-2", until="READY", timeout=60)).elapsed < 0.2

    run(main)


def test_one_that_is_ready_and_watched_for_an_hour_is_read_soon_when_somebody_waits_for_it(run):
    async def main():
        source = ScriptedSource({"s-1": creating(30)}, latency=0.1)
        async with Poller(source) as poller, poller.watch(["s-1"]):
            await anyio.sleep(3600)
            assert (await poller.wait("s-1", until="READY", timeout=600)).elapsed < 11

    run(main)


def test_who_comes_later_is_read_at_an_infinite_price_too(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0), "s-2": [(0, "READY")]}, latency=0.1)
        async with Poller(source, schedule=PayAsYouWait(math.inf, ceiling=10)) as poller:
            await poller.wait("s-1", until="READY", timeout=60)
            await anyio.sleep(100)
            assert (await poller.wait("s-2", until="READY", timeout=60)).elapsed < 11

    run(main)


def test_all_may_leave_where_the_budget_cannot_keep_up(run):
    async def main():
        ids = [f"s-{number}" for number in range(300)]
        source = ScriptedSource(dict.fromkeys(ids, creating(9000)), latency=0.1)
        limiter = greenroom.RateLimiter(0.02, burst=1)
        async with Poller(source, limiter=limiter) as poller:
            with anyio.move_on_after(160):
                await poller.wait_all(ids, until="READY", timeout=None)
            await anyio.sleep(100)
            poller.check_open()

    run(main)


def test_where_one_call_reads_one_session_the_usual_schedule_is_backoff_and_else_it_is_paid(run):
    async def main(batch):
        source = ScriptedSource({"s-1": creating(7200)}, max_batch=batch)
        async with Poller(source) as poller:
            await poller.wait("s-1", until="READY", timeout=None)
        return gaps(source, "s-1")

    async def single():
        assert 1 <= min(await main(1)) <= max(await main(1)) <= 20

    async def batched():
        assert max(await main(2)) > 20
        assert max(await main(2)) <= 600

    run(single)
    run(batched)
