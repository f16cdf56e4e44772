"""What the scripts in Redis decide, at times that the tests give."""

from __future__ import annotations

import itertools
import os
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyrate_limiter import RedisStateStore
from tests.shared_budget.server import Server

from greenroom._limiter import CUT, CUT_INTERVAL, LEAST, RECOVERY, SKEW, TokenBucket
from greenroom._shared._contact import ALIVE
from greenroom._shared._script import ADJUST, LATE, SharedBucket, lifetime, rate_of

START = 1_800_000_000.0
"""Seconds since the epoch: the numbers that the scripts meet are of this size."""

_names = itertools.count()


class Bucket:
    """A bucket in a real Redis, at times that are seconds after START."""

    def __init__(self, server: Server, rate: float, burst: int) -> None:
        self.key = f"bucket-{next(_names)}"
        self._rates = [rate_of(rate, burst)]
        self._lifetime = lifetime(rate, burst)
        self._client = server.client
        self._store = RedisStateStore(server.client, self.key, self._lifetime)
        self._adjust = server.client.register_script(ADJUST)

    def ask(self, now: float, host: int = 1) -> float:
        """Return how long the host is to wait, 0 if it may call."""
        at = round(1000 * (START + now), 3)
        decision = self._store.check(SharedBucket(host), self._rates, at, 1)
        return 0.0 if decision.allowed else decision.retry_after_ms / 1000

    def take(self, now: float, host: int = 1) -> float:
        """Wait as the host is told, and return when it may call."""
        while pause := self.ask(now, host):
            now += pause
        return now

    def adjust(self, now, *, cut=0, empty=0, pause=0.0, refunds=0, host=1):
        """Return the part of the rate that is left, and how many hosts there are."""
        what = (cut, empty, pause, refunds)
        _, *arguments = SharedBucket(host).adjust_args(self._rates, self._lifetime, *what)
        at = round(1000 * (START + now), 3)
        part, hosts = self._adjust(keys=[self.key], args=[at, *arguments])
        return part / 1e6, hosts

    def time_to_live(self) -> float:
        return self._client.pttl(self.key) / 1000


def test_a_limiter_in_a_forked_process_is_another_host(lasting_server, monkeypatch):
    bucket = Bucket(lasting_server, 10.0, 1)
    bucket.take(0.0)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert bucket.adjust(0.0) == (1.0, 2)


def test_one_host_is_granted_what_a_rate_limiter_grants(lasting_server):
    shared, alone, now = Bucket(lasting_server, 10.0, 20), TokenBucket(10.0, 20), 0.0
    for _ in range(25):
        now = shared.take(now)
        while (pause := alone.ready_in(now)) > 0.002:
            raise AssertionError(f"granted {pause} s too early")
        alone.take(now)
    assert now == pytest.approx(SKEW + 0.5, abs=0.01)


@pytest.mark.parametrize("burst", [1, 3])
def test_after_standing_full_the_bucket_rests_before_it_fills(lasting_server, burst):
    bucket = Bucket(lasting_server, 10.0, burst)
    times = [bucket.take(0.0) for _ in range(burst + 2)]
    assert times == pytest.approx([0.0] * burst + [SKEW + 0.1, SKEW + 0.2], abs=0.002)
    times = [bucket.take(60.0) for _ in range(burst + 1)]
    assert times == pytest.approx([60.0] * burst + [60 + SKEW + 0.1], abs=0.002)


@settings(max_examples=30)
@given(
    rate=st.floats(0.1, 500),
    burst=st.integers(1, 20),
    asks=st.lists(
        st.tuples(st.floats(0, 2), st.integers(1, 3), st.sampled_from([None, None, 0.0, 3.0])),
        min_size=1,
        max_size=50,
    ),
)
def test_no_window_holds_more_than_rate_times_t_plus_burst(lasting_server, rate, burst, asks):
    bucket, now, times = Bucket(lasting_server, rate, burst), 0.0, []
    for gap, host, throttled in asks:
        now = bucket.take(now + gap, host)
        times.append(now)
        if throttled is not None:
            bucket.adjust(now, cut=1, pause=throttled, host=host)
    for first, last in itertools.combinations_with_replacement(range(len(times)), 2):
        window = times[last] - times[first]
        assert last - first + 1 <= rate * window + burst + 1e-3


def compete(bucket, lags, seconds):
    """Let hosts ask all the time, each as late as its lag, and return what each was granted."""
    due = dict.fromkeys(range(len(lags)), 0.0)
    granted = Counter()
    while (now := min(due.values())) < seconds:
        host = min(due, key=due.get)
        pause = bucket.ask(now, host)
        granted[host] += pause == 0
        due[host] = now + pause + lags[host]
    return granted


@settings(max_examples=10)
@given(lags=st.lists(st.floats(0.0001, 0.01), min_size=2, max_size=4), burst=st.integers(2, 10))
@example(lags=[0.0005, 0.007, 0.0002], burst=5)
def test_hosts_are_granted_alike_however_far_they_are_from_redis(lasting_server, lags, burst):
    granted = compete(Bucket(lasting_server, 50.0, burst), lags, 6.0)
    assert min(granted[host] for host in range(len(lags))) >= 0.6 * granted.total() / len(lags)
    assert granted.total() >= 0.95 * 50 * 6


def test_a_host_that_does_not_come_back_loses_its_turn(lasting_server):
    bucket = Bucket(lasting_server, 1.0, 1)
    bucket.take(0.0, host=1)
    due = bucket.ask(0.1, host=2)
    assert bucket.ask(0.2, host=3) > due, "there is somebody before it"
    assert bucket.take(0.2, host=3) == pytest.approx(0.1 + due + LATE, abs=0.01)


def test_a_host_that_comes_late_finds_its_call_as_long_as_there_is_one_for_each(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 5)
    bucket.adjust(0.0, empty=1)
    assert bucket.ask(0.0, host=1) == pytest.approx(0.1, abs=0.002)
    assert bucket.take(0.001, host=2) == pytest.approx(0.2, abs=0.002)
    assert bucket.ask(0.25, host=1) == 0


def test_a_cut_counts_once_in_two_seconds_for_all_hosts_and_recovers_by_addition(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 20)
    assert bucket.adjust(0.0, cut=1, host=1)[0] == pytest.approx(CUT)
    assert bucket.take(0.0, host=2) == pytest.approx(1 / 7, abs=0.002), "it empties the bucket"
    part, _ = bucket.adjust(1.9, cut=1, host=2)
    assert part == pytest.approx(CUT + 1.9 / RECOVERY, abs=0.001)
    part, _ = bucket.adjust(CUT_INTERVAL, cut=1, host=2)
    assert part == pytest.approx(CUT * (CUT + CUT_INTERVAL / RECOVERY), abs=0.001)
    assert bucket.adjust(100.0)[0] == 1


def test_no_number_of_cuts_goes_below_the_least(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 20)
    parts = [bucket.adjust(CUT_INTERVAL * number, cut=1)[0] for number in range(200)]
    assert min(parts) >= LEAST
    assert parts[-1] < CUT


def test_a_retry_after_holds_all_hosts_and_leaves_one_call(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 5)
    bucket.adjust(0.0, pause=700.0, host=1)
    assert bucket.time_to_live() >= 700
    bucket.adjust(0.1, pause=1.0, refunds=1, host=2)
    assert bucket.take(0.2, host=2) == pytest.approx(700.0, abs=0.002)
    assert bucket.take(700.0, host=3) > 700.05


def test_a_refund_is_one_call_and_does_not_shorten_a_retry_after(lasting_server):
    bucket = Bucket(lasting_server, 1.0, 2)
    bucket.take(0.0)
    bucket.take(0.0)
    bucket.adjust(0.01, refunds=1)
    assert bucket.ask(0.02) == 0
    assert bucket.ask(0.03) > 0
    bucket.adjust(1.0, pause=5.0)
    bucket.adjust(1.1, refunds=2)
    assert bucket.take(1.2) == pytest.approx(6.0, abs=0.002)


def test_hosts_are_counted_until_they_have_not_been_heard_of_for_a_while(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 5)
    assert bucket.adjust(0.0, host=1)[1] == 1
    bucket.ask(0.0, host=1)
    bucket.ask(30.0, host=2)
    assert bucket.adjust(30.0, host=3)[1] == 3
    assert bucket.adjust(ALIVE + 1, host=2)[1] == 1


def test_a_time_of_redis_that_goes_back_holds_nobody_for_long(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 5)
    for _ in range(10):
        bucket.take(3600.0, host=1)
    bucket.ask(3600.0, host=2)
    bucket.adjust(3600.0, cut=1)
    assert 0 < bucket.ask(0.0, host=2) < 0.2
    bucket.ask(0.01, host=3)
    assert bucket.ask(0.17, host=3) > 0, "there is somebody before it"
    assert bucket.ask(0.17, host=2) == 0
    assert bucket.take(0.2, host=3) < 0.5
    assert 0 < bucket.adjust(1.0)[0] <= 1


def test_what_nobody_uses_is_forgotten(lasting_server):
    bucket = Bucket(lasting_server, 10.0, 5)
    bucket.ask(0.0)
    assert 2 * RECOVERY <= bucket.time_to_live() <= 3 * ALIVE
