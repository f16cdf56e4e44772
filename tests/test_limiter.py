import os
import random
import threading

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom import _limiter as limiter_module
from greenroom import testing
from greenroom._limiter import (
    CUT,
    GROWTH,
    GROWTH_PART,
    RECOVERY,
    SKEW,
    SUSTAINED,
    AdaptiveBucket,
    AdaptiveRateLimiter,
    TokenBucket,
)


def grants(bucket, asks):
    """Ask at each of the given moments, as a queue would, and return when each was granted."""
    now, granted = 0.0, []
    for ask in asks:
        now = max(now, ask)
        while (pause := bucket.ready_in(now)) > 0:
            now += pause
        bucket.take(now)
        granted.append(now)
    return granted


def test_a_full_bucket_grants_its_burst_at_once_and_then_one_call_per_interval():
    times = grants(TokenBucket(10.0, 20), [0.0] * 23)
    assert times[:20] == [0.0] * 20
    assert times[20:] == pytest.approx([SKEW + 0.1, SKEW + 0.2, SKEW + 0.3])


def test_a_burst_of_one_keeps_to_the_interval():
    times = grants(TokenBucket(10.0, 1), [0.0] * 4)
    assert times == pytest.approx([0.0, SKEW + 0.1, SKEW + 0.2, SKEW + 0.3])


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=120),
    throttles=st.dictionaries(st.integers(0, 119), st.none() | st.floats(0, 10), max_size=5),
)
def test_no_window_holds_more_than_rate_times_t_plus_burst(rate, burst, gaps, throttles):
    bucket = TokenBucket(rate, burst)
    now, times = 0.0, []
    for number, gap in enumerate(gaps):
        now += gap
        while (pause := bucket.ready_in(now)) > 0:
            now += pause
        bucket.take(now)
        times.append(now)
        if number in throttles:
            bucket.throttled(now, throttles[number])
    for first in range(len(times)):
        for last in range(first, len(times)):
            window = times[last] - times[first]
            assert last - first + 1 <= rate * window + burst + 1e-6


@given(delays=st.lists(st.floats(0, SKEW), min_size=60, max_size=60))
def test_a_service_with_the_same_bucket_never_throttles_whatever_the_delays(delays):
    """The service counts arrivals, each up to SKEW after its grant."""
    sent = grants(TokenBucket(10.0, 20), [0.0] * 60)
    arrivals = sorted(at + delay for at, delay in zip(sent, delays, strict=True))
    tokens, updated = 20.0, arrivals[0]
    for at in arrivals:
        tokens = min(20.0, tokens + (at - updated) * 10.0)
        updated = at
        tokens -= 1
        assert tokens >= -1e-6


def test_a_throttled_call_cuts_the_rate_once_in_two_seconds_and_it_recovers_by_addition():
    bucket = TokenBucket(10.0, 20)
    bucket.throttled(100.0, None)
    assert bucket.ready_in(100.0) > 0, "a throttled burst empties the bucket"
    bucket.throttled(100.5, None)
    assert bucket.rate(100.0) == pytest.approx(10 * CUT)
    assert bucket.rate(102.0) == pytest.approx(10 * CUT + 2 * 10 / RECOVERY)
    bucket.throttled(102.0, None)
    assert bucket.rate(102.0) == pytest.approx((10 * CUT + 1) * CUT)
    assert bucket.rate(200.0) == 10.0


def test_retry_after_is_a_floor():
    bucket = TokenBucket(10.0, 20)
    bucket.throttled(0.0, 7.0)
    assert bucket.ready_in(0.0) == pytest.approx(7.0)
    assert bucket.ready_in(6.0) == pytest.approx(1.0)
    assert bucket.ready_in(7.0) == 0


def test_any_number_of_throttles_leaves_a_rate_that_makes_progress():
    bucket = TokenBucket(10.0, 20)
    for second in range(0, 1000, 2):
        bucket.throttled(float(second), None)
    assert bucket.rate(1000.0) > 0.5


def test_grants_are_first_come_first_served(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=2, burst=1)
        order = []

        async def ask(number):
            await limiter.acquire()
            order.append((number, round(anyio.current_time() - start, 3)))

        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(ask, number)
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(0.01)
            assert limiter.statistics().waiting == 2
        assert [number for number, _ in order] == [0, 1, 2, 3]
        assert [at for _, at in order] == pytest.approx([0, 0.6, 1.1, 1.6])
        assert limiter.statistics().granted == 4

    run(main)


def test_a_cancelled_asker_takes_no_token_and_does_not_block_the_queue(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=1, burst=1)
        await limiter.acquire()
        start = anyio.current_time()
        with anyio.move_on_after(0.5):
            await limiter.acquire()
        await limiter.acquire()
        assert anyio.current_time() - start == pytest.approx(1 + SKEW)
        assert limiter.statistics().granted == 2

    run(main)


def test_a_refunded_grant_can_be_used_again_at_once(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=1, burst=1)
        await limiter.acquire()
        limiter.refund()
        start = anyio.current_time()
        await limiter.acquire()
        assert anyio.current_time() == start

    run(main)


def test_grants_refunds_and_throttles_are_counted(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=10, burst=5)
        for _ in range(4):
            await limiter.acquire()
        limiter.refund()
        assert limiter.statistics().granted == 3
        limiter.slow_down()
        limiter.slow_down()
        assert limiter.statistics().throttled == 2

    run(main)


def test_a_refund_is_one_token():
    bucket = TokenBucket(10.0, 5)
    for _ in range(5):
        bucket.take(0.0)
    bucket.put_back()
    assert bucket.ready_in(0.0) == 0
    bucket.take(0.0)
    assert bucket.ready_in(0.0) > 0


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "10", None, True])
def test_an_impossible_rate_is_refused_with_its_value(rate):
    with pytest.raises(greenroom.ConfigurationError, match="max_rate="):
        greenroom.RateLimiter(max_rate=rate)


@pytest.mark.parametrize("burst", [0, -1, 1.5, "1", True])
def test_an_impossible_burst_is_refused_with_its_value(burst):
    with pytest.raises(greenroom.ConfigurationError, match="burst="):
        greenroom.RateLimiter(max_rate=1, burst=burst)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    share=st.floats(0.001, 1),
    calls=st.integers(1, 120),
)
def test_a_share_grants_no_more_than_its_part_of_the_quota(rate, burst, share, calls):
    async def main():
        limiter = greenroom.RateLimiter(rate, burst, share)
        start = anyio.current_time()
        for _ in range(calls):
            await limiter.acquire()
        allowed = rate * share * (anyio.current_time() - start) + max(1, burst * share)
        assert calls <= allowed + 1e-6

    testing.run(main)


def test_half_of_a_quota_is_half_of_its_rate_and_half_of_its_burst(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=10, burst=20, share=0.5)
        start = anyio.current_time()
        for _ in range(10):
            await limiter.acquire()
        assert anyio.current_time() == start
        await limiter.acquire()
        assert anyio.current_time() - start == pytest.approx(SKEW + 0.2)
        figures = limiter.statistics()
        assert (figures.max_rate, figures.rate, figures.burst) == (5.0, 5.0, 10)

    run(main)


@pytest.mark.parametrize(
    ("burst", "share", "used"), [(1, 0.1, 1), (3, 0.5, 1), (100, 0.29, 29), (30, 0.1, 3)]
)
def test_a_share_of_a_burst_is_whole_and_at_least_one(run, burst, share, used):
    async def main():
        assert greenroom.RateLimiter(10, burst, share).statistics().burst == used

    run(main)


def test_a_limiter_shows_its_share_only_if_it_has_one():
    assert repr(greenroom.RateLimiter(10, 20)) == "RateLimiter(max_rate=10.0, burst=20)"
    assert (
        repr(greenroom.RateLimiter(10, 20, 0.5))
        == "RateLimiter(max_rate=10.0, burst=20, share=0.5)"
    )


@pytest.mark.parametrize("share", [0, -0.5, 1.5, 2, float("nan"), float("inf")])
def test_a_share_out_of_range_is_refused_with_its_value(share):
    with pytest.raises(greenroom.ConfigurationError) as caught:
        greenroom.RateLimiter(max_rate=1, share=share)
    assert str(caught.value) == f"share={share!r} must be more than 0 and at most 1, as share=0.5"


@pytest.mark.parametrize("share", ["0.5", None, True])
def test_a_share_that_is_no_number_is_refused_with_its_value(share):
    with pytest.raises(greenroom.ConfigurationError, match=r"share=.* is not a part of the quota"):
        greenroom.RateLimiter(max_rate=1, share=share)


def test_a_share_that_leaves_no_rate_is_refused():
    with pytest.raises(greenroom.ConfigurationError, match=r"max_rate \* share=0\.0"):
        greenroom.RateLimiter(max_rate=1e-200, share=1e-200)


def adaptive(rate=2.0, burst=1, max_rate=100.0, min_rate=0.1):
    return AdaptiveBucket(rate, burst, max_rate=max_rate, min_rate=min_rate)


def wait_and_take(bucket, now):
    """Wait for a token as the queue does, take it, and return the time."""
    while (pause := bucket.ready_in(now)) > 0:
        since, now = now, now + max(pause, 1e-6)
        bucket.delayed(since, now)
    bucket.take(now)
    return now


def keep_busy(bucket, now, until):
    """Ask again and again, and return when the first call from `until` on is granted."""
    while now < until:
        now = wait_and_take(bucket, now)
    return now


BEHAVIOUR = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "idle", "give up", "throttled"]),
        st.floats(0, 20),
    ),
    max_size=150,
)


@given(
    rate=st.floats(0.1, 50),
    spread=st.floats(1, 3),
    burst=st.integers(1, 20),
    steps=BEHAVIOUR,
)
def test_an_adaptive_rate_keeps_its_bounds_and_grants_what_it_adds_up_to(
    rate, spread, burst, steps
):
    least, most = rate / spread, rate * spread
    bucket = adaptive(rate, burst, most, least)
    now, area, granted = 0.0, 0.0, []  # area: the integral of the rate up to now
    for step, seconds in steps:
        waited_from, rate_before = now, bucket.rate(now)
        if step == "call":
            while (pause := bucket.ready_in(now)) > 0:
                area += max(pause, 1e-6) * bucket.rate(now)
                since, now = now, now + max(pause, 1e-6)
                bucket.delayed(since, now)
            bucket.take(now)
            granted.append((now, area))
            growth = bucket.rate(now) - rate_before
            assert 0 <= growth <= GROWTH * (now - waited_from) + 1e-9
        elif step == "throttled":
            bucket.throttled(now, seconds if seconds > 10 else None)
            assert bucket.rate(now) <= rate_before
        elif step == "give up":
            now += min(seconds, bucket.ready_in(now))
            area += (now - waited_from) * rate_before
            bucket.delayed(waited_from, now)
        else:
            now += seconds
            area += seconds * rate_before
            bucket.ready_in(now)
            assert bucket.rate(now) == rate_before, "nobody waited, so nothing was learned"
        assert least <= bucket.rate(now) <= most
    for first, (_, area_before) in enumerate(granted):
        for number, (_, area_then) in enumerate(granted[first:], start=1):
            assert number <= area_then - area_before + burst + 1e-6


def test_an_adaptive_rate_doubles_in_half_a_minute_of_delay():
    bucket = adaptive()
    keep_busy(bucket, 0.0, 20.0)
    assert bucket.rate(20.0) < 4
    keep_busy(bucket, 20.0, 30.0)
    assert bucket.rate(30.0) == pytest.approx(4, rel=0.05)


def test_a_growing_rate_fills_the_bucket_no_faster_than_it_was_at_the_time():
    bucket = adaptive(rate=0.5, burst=3)
    now = keep_busy(bucket, 0.0, SUSTAINED)
    for _ in range(10):
        due = now + 1 / bucket.rate(now)
        now = wait_and_take(bucket, now)
        assert now == pytest.approx(due)


def test_a_fast_adaptive_rate_grows_by_addition_and_a_slow_one_by_a_part_of_itself():
    for rate, expected in ((50.0, GROWTH), (1.0, GROWTH_PART)):
        bucket = adaptive(rate)
        before = bucket.rate(begin := keep_busy(bucket, 0.0, SUSTAINED))
        after = bucket.rate(end := keep_busy(bucket, begin, begin + 1))
        assert (after - before) / (end - begin) == pytest.approx(expected, rel=0.05)


def test_an_adaptive_rate_does_not_grow_by_a_few_calls_now_and_then():
    bucket = adaptive()
    for minute in range(1000):
        now = wait_and_take(bucket, minute * 60.0)
        assert wait_and_take(bucket, now) > now, "the second call has to wait"
    assert bucket.rate(60_000.0) == 2.0


def test_an_adaptive_rate_does_not_grow_while_the_service_wants_a_pause():
    bucket = adaptive(burst=2)
    now = keep_busy(bucket, 0.0, 10.0)
    bucket.throttled(now, 60.0)
    cut = bucket.rate(now)
    assert wait_and_take(bucket, now) == pytest.approx(now + 60)
    assert bucket.rate(now + 60) == pytest.approx(cut)


def test_an_adaptive_rate_is_cut_once_in_two_seconds_and_not_below_its_least():
    bucket = adaptive(rate=10.0, burst=20, min_rate=1.0)
    bucket.throttled(100.0, None)
    assert bucket.ready_in(100.0) > 0, "a throttled burst empties the bucket"
    bucket.throttled(101.9, None)
    assert bucket.rate(101.9) == pytest.approx(10 * CUT)
    bucket.throttled(102.0, None)
    assert bucket.rate(102.0) == pytest.approx(10 * CUT * CUT)
    for second in range(104, 200, 2):
        bucket.throttled(float(second), None)
    assert bucket.rate(200.0) == 1.0


def test_a_wait_in_which_the_rate_was_cut_counts_from_the_cut():
    bucket = adaptive(rate=50.0)
    now = keep_busy(bucket, 0.0, 5.0)
    bucket.throttled(now + 0.9, None)
    cut = bucket.rate(now + 0.9)
    bucket.delayed(now, now + 1)
    assert bucket.rate(now + 1) - cut == pytest.approx(0.1 * GROWTH)


def test_an_adaptive_rate_starts_anew_after_a_pause():
    """What it had learned stays, but the first second after standing full teaches nothing."""
    bucket = adaptive()
    now = keep_busy(bucket, 0.0, 30.0)
    learned = bucket.rate(now)
    now += 3600
    keep_busy(bucket, now, now + SUSTAINED - 1 / learned)
    assert bucket.rate(now) == learned


def test_one_asker_at_a_time_is_enough_to_grow(run):
    """A poller asks like this: the head of the queue, and nobody behind it."""

    async def main():
        limiter = AdaptiveRateLimiter()
        with anyio.move_on_after(60):
            while True:
                await limiter.acquire()
        assert limiter.statistics().rate > 6

    run(main)


def test_a_cancelled_asker_of_an_adaptive_limiter_does_not_block_the_queue(run):
    async def main():
        limiter = AdaptiveRateLimiter(initial_rate=1)
        await limiter.acquire()
        start = anyio.current_time()
        with anyio.move_on_after(0.5):
            await limiter.acquire()
        await limiter.acquire()
        assert anyio.current_time() - start == pytest.approx(1 + SKEW, rel=0.01)
        limiter.refund()
        assert limiter.statistics().granted == 1

    run(main)


def test_an_adaptive_limiter_finds_a_hidden_quota_and_hovers_there(run):
    """A service with a bucket of 8 calls a second, and 30 tasks that call it all the time."""

    async def main():
        limiter = AdaptiveRateLimiter()
        latency = random.Random(8)
        tokens, updated = 8.0, anyio.current_time()
        answers = {True: 0, False: 0}

        async def call():
            nonlocal tokens, updated
            await limiter.acquire()
            await anyio.sleep(latency.uniform(0.02, 0.1))
            now = anyio.current_time()
            tokens, updated = min(8.0, tokens + 8 * (now - updated)), now
            granted = tokens >= 1
            tokens -= granted
            await anyio.sleep(latency.uniform(0.02, 0.1))
            answers[granted] += 1
            if not granted:
                limiter.slow_down()

        async def work():
            while True:
                await call()

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(work)
            await anyio.sleep(120)
            answers.update({True: 0, False: 0})
            await anyio.sleep(600)
            tasks.cancel_scope.cancel()
        assert answers[True] >= 0.7 * 8 * 600
        assert answers[False] < 0.05 * sum(answers.values())
        assert answers[False] > 0, "a quota that is never touched is not found"

    run(main)


def test_an_adaptive_limiter_shows_its_figures(run):
    async def main():
        limiter = AdaptiveRateLimiter(burst=5)
        limiter.slow_down(retry_after=3)
        start = anyio.current_time()
        await limiter.acquire()
        assert anyio.current_time() - start == pytest.approx(3)
        figures = limiter.statistics()
        assert (figures.max_rate, figures.burst, figures.granted) == (100.0, 5, 1)
        assert figures.rate == pytest.approx(2 * CUT)
        assert (figures.throttled, figures.waiting) == (1, 0)

    run(main)


def test_an_adaptive_rate_may_begin_at_either_of_its_bounds():
    AdaptiveRateLimiter(2.0, min_rate=2.0, max_rate=3.0)
    AdaptiveRateLimiter(3.0, min_rate=2.0, max_rate=3.0)


def test_an_adaptive_limiter_shows_how_to_make_another():
    assert repr(AdaptiveRateLimiter(burst=5)) == (
        "AdaptiveRateLimiter(initial_rate=2.0, burst=5, max_rate=100.0, min_rate=0.1)"
    )


@pytest.mark.parametrize("name", ["initial_rate", "max_rate", "min_rate", "burst"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "1", None, True])
def test_an_impossible_adaptive_limiter_is_refused_with_the_value(name, value):
    with pytest.raises(greenroom.ConfigurationError, match=f"^{name}="):
        AdaptiveRateLimiter(**{name: value})


@pytest.mark.parametrize("initial_rate", [0.05, 200])
def test_an_initial_rate_outside_its_bounds_is_refused(initial_rate):
    with pytest.raises(greenroom.ConfigurationError) as caught:
        AdaptiveRateLimiter(initial_rate)
    assert str(caught.value) == (
        f"initial_rate={initial_rate!r} must be from min_rate=0.1 to max_rate=100.0"
    )


def test_a_shorter_pause_that_is_asked_for_later_does_not_cut_a_longer_one_short(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=100, burst=1)
        began = anyio.current_time()
        limiter.slow_down(60.0)
        limiter.slow_down(0.5)
        await limiter.acquire()
        assert anyio.current_time() - began >= 60.0

    run(main)


def granted_at(limiter, calls):
    async def main():
        began = anyio.current_time()
        for _ in range(calls):
            await limiter.acquire()
        return anyio.current_time() - began

    return main


def test_a_limiter_goes_over_to_the_next_event_loop_with_what_is_left_of_its_budget(run):
    """A clock that begins anew, as that of virtual time does, must not stop it either."""
    limiter = greenroom.RateLimiter(max_rate=1, burst=5)
    assert run(granted_at(limiter, 105)) == pytest.approx(100 + SKEW)
    for _ in range(2):
        assert run(granted_at(limiter, 5)) == pytest.approx(5, abs=0.1)
    assert testing.run(granted_at(limiter, 5), backend="trio") == pytest.approx(5, abs=0.1)


def test_a_pause_that_the_service_asked_for_outlives_the_event_loop(run):
    limiter = greenroom.RateLimiter(max_rate=10, burst=5)

    async def throttled():
        await limiter.acquire()
        limiter.slow_down(retry_after=60)

    run(throttled)
    assert run(granted_at(limiter, 1)) == pytest.approx(60, abs=0.1)


def test_the_time_between_two_event_loops_fills_the_bucket(monkeypatch, run):
    limiter = greenroom.RateLimiter(max_rate=1, burst=5)
    run(granted_at(limiter, 5))
    later = limiter_module.time.monotonic() + 60
    monkeypatch.setattr(limiter_module.time, "monotonic", lambda: later)
    assert run(granted_at(limiter, 5)) == 0


def test_one_who_hung_when_the_last_event_loop_ended_does_not_hold_the_next(run):
    limiter = greenroom.RateLimiter(max_rate=0.001)

    async def abandoned():
        await limiter.acquire()
        limiter._queue.acquire_nowait()

    run(abandoned)
    assert run(granted_at(limiter, 1)) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("limiter", [greenroom.RateLimiter(9, burst=9), AdaptiveRateLimiter(50)])
def test_a_limiter_serves_one_event_loop_at_a_time(first, limiter):
    async def both():
        await limiter.acquire()
        told = "belongs to another event loop, which still runs.*RateLimiter.10, share=0.5"
        with pytest.raises(greenroom.ConfigurationError, match=told):
            await anyio.to_thread.run_sync(anyio.run, limiter.acquire)
        await limiter.acquire()

    anyio.run(both, backend=first)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_limiter_serves_a_process_that_was_forked_from_within_its_event_loop():
    limiter = greenroom.RateLimiter(max_rate=9, burst=9)

    async def main():
        await limiter.acquire()
        if (child := os.fork()) == 0:
            served = threading.Thread(target=anyio.run, args=(limiter.acquire,))
            served.start()
            served.join()
            os._exit(limiter._granted)
        return child

    _, status = os.waitpid(anyio.run(main), 0)
    assert os.waitstatus_to_exitcode(status) == 2


def test_a_poller_is_refused_the_limiter_of_another_event_loop():
    limiter = greenroom.RateLimiter(9, burst=9)

    async def waits():
        await greenroom.wait(
            testing.ScriptedSource({}), "s-1", until="READY", timeout=0, limiter=limiter
        )

    async def both():
        await limiter.acquire()
        with pytest.raises(greenroom.ConfigurationError, match="belongs to another event loop"):
            await anyio.to_thread.run_sync(anyio.run, waits)

    anyio.run(both)
