import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom._limiter import CUT, RECOVERY, SKEW, TokenBucket


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


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "10", None, True])
def test_an_impossible_rate_is_refused_with_its_value(rate):
    with pytest.raises(greenroom.ConfigurationError, match="max_rate="):
        greenroom.RateLimiter(max_rate=rate)


@pytest.mark.parametrize("burst", [0, -1, 1.5, "1", True])
def test_an_impossible_burst_is_refused_with_its_value(burst):
    with pytest.raises(greenroom.ConfigurationError, match="burst="):
        greenroom.RateLimiter(max_rate=1, burst=burst)
