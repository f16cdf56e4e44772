"""The shared limiter in virtual time, on a stand-in for its line to Redis."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys

import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom import SharedRateLimiter
from greenroom._limiter import CUT, RECOVERY, SKEW
from greenroom._shared import _line
from greenroom._shared._contact import ALIVE, PROBE_INTERVAL, Away, Change, Contact, News
from greenroom._shared._shared_limiter import ATTENTION, NAP

URL = "redis://somebody:hunter2@budget.example:6380/1?health_check_interval=5"
SHOWN = "redis://budget.example:6380/1"


class Probe:
    """An attempt whose outcome is known at once."""

    def __init__(self, outcome):
        self._outcome = outcome

    def done(self):
        return True

    def result(self):
        if isinstance(self._outcome, Away):
            raise self._outcome
        return self._outcome


class StubLine:
    """A Redis that answers as it is told: seconds to wait, or an error."""

    def __init__(self, *arguments):
        self.news = None
        self.says = 0.0
        self.hosts = 1
        self.asked = []
        self.changes = []
        self.probed = []

    async def ask(self):
        await anyio.lowlevel.checkpoint()
        self.asked.append(anyio.current_time())
        if isinstance(self.says, Away):
            raise self.says
        self.news = News(1.0, self.hosts)
        return self.says

    def adjust(self, change):
        self.changes.append(change)

    def probe(self, change):
        self.probed.append((anyio.current_time(), change))
        return Probe(self.says if isinstance(self.says, Away) else News(1.0, self.hosts))

    async def close(self):
        pass


@pytest.fixture
def shared(monkeypatch):
    """A limiter of 10 calls a second, and its line."""
    lines = []

    def make(*arguments):
        lines.append(StubLine())
        return lines[-1]

    monkeypatch.setattr(_line, "Line", make)
    return lambda: (SharedRateLimiter(URL, key="quota", max_rate=10, burst=5), lines[-1])


async def grants(limiter, number):
    """Return when each of so many calls was granted."""
    times = []
    for _ in range(number):
        await limiter.acquire()
        times.append(anyio.current_time())
    return times


def test_calls_are_granted_in_the_order_of_asking_with_one_question_at_a_time(run, shared):
    async def main():
        limiter, line = shared()
        line.says = 1.0
        order = []

        async def ask(number):
            await limiter.acquire()
            order.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(ask, number)
                await anyio.sleep(0.01)
            assert limiter.statistics().waiting == 4
            assert len(line.asked) == 1
            line.says = 0.0
        assert order == list(range(5))
        assert len(line.asked) == 6

    run(main)


def test_a_long_wait_is_asked_for_again_now_and_then(run, shared):
    async def main():
        limiter, line = shared()
        line.says = 3600.0
        with anyio.move_on_after(5 * NAP + 1):
            await limiter.acquire()
        assert line.asked == pytest.approx([NAP * number for number in range(6)])

    run(main)


def test_without_redis_a_host_uses_its_part_and_no_burst(run, shared):
    async def main():
        limiter, line = shared()
        line.hosts = 4
        await limiter.acquire()
        line.says = Away("gone")
        with structlog.testing.capture_logs() as events:
            began = anyio.current_time()
            times = await grants(limiter, 10)
        assert [at - began for at in times] == pytest.approx([SKEW + 0.4 * n for n in range(1, 11)])
        assert limiter.statistics().rate == 2.5
        told = {"event": "limiter.alone", "log_level": "warning", "error": "gone", "url": SHOWN}
        assert events == [told | {"key": "quota", "rate": 2.5, "hosts": 4}]

    run(main)


def test_redis_is_tried_about_once_a_second_and_no_call_waits_for_it(run, shared):
    async def main():
        limiter, line = shared()
        line.says = Away("gone")
        await grants(limiter, 200)
        assert len(line.asked) == 1
        tried = [at for at, _ in line.probed]
        gaps = [after - at for at, after in itertools.pairwise(tried)]
        assert len(tried) >= 10
        assert min(gaps) >= 0.5 * PROBE_INTERVAL
        assert max(gaps) <= 1.5 * PROBE_INTERVAL + 3 * ATTENTION

    run(main)


def test_a_call_that_would_wait_long_alone_does_not_when_redis_is_back(run, shared):
    async def main():
        limiter, line = shared()
        line.hosts = 50
        await limiter.acquire()
        line.says = Away("gone")
        await limiter.acquire()
        line.says = 0.0
        began = anyio.current_time()
        await limiter.acquire()
        assert anyio.current_time() - began <= 1.5 * PROBE_INTERVAL + 2 * ATTENTION < 5

    run(main)


def test_who_comes_back_empties_the_bucket_and_takes_a_retry_after_along(run, shared):
    async def main():
        limiter, line = shared()
        await limiter.acquire()
        line.says = Away("gone")
        with structlog.testing.capture_logs() as events:
            await limiter.acquire()
            limiter.slow_down(retry_after=3.0)
            line.says = 0.0
            slowed = anyio.current_time()
            await limiter.acquire()
            assert anyio.current_time() >= slowed + 3
            while len(events) < 2:
                await limiter.acquire()
        assert [event["event"] for event in events] == ["limiter.alone", "limiter.together"]
        assert line.changes == [], "nothing is sent to who does not answer"
        ((_, change),) = line.probed
        assert change.empty
        assert not change.cut
        asked = len(line.asked)
        await grants(limiter, 3)
        assert len(line.asked) >= asked + 3

    run(main)


def test_who_comes_back_right_after_a_throttled_call_cuts_the_rate_of_all(run, shared):
    async def main():
        limiter, line = shared()
        line.says = Away("gone")
        await limiter.acquire()
        limiter.slow_down()
        line.says = 0.0
        await grants(limiter, 20)
        assert [change.cut for _, change in line.probed] == [True]

    run(main)


def test_a_throttled_call_is_told_at_once_and_holds_this_host(run, shared):
    async def main():
        limiter, line = shared()
        await limiter.acquire()
        limiter.slow_down()
        assert line.changes == [Change(cut=True)]
        limiter.slow_down(retry_after=5.0)
        assert line.changes[1].until > 0
        limiter.slow_down(retry_after=0.5)
        began = anyio.current_time()
        await limiter.acquire()
        assert anyio.current_time() == pytest.approx(began + 5)
        assert limiter.statistics().throttled == 3

    run(main)


def test_alone_a_throttled_call_cuts_this_hosts_part(run, shared):
    async def main():
        limiter, line = shared()
        line.says = Away("gone")
        await limiter.acquire()
        limiter.slow_down()
        assert limiter.statistics().rate == pytest.approx(10 * CUT)
        await limiter.acquire()
        limiter.refund()
        began = anyio.current_time()
        await limiter.acquire()
        assert anyio.current_time() == began
        assert line.changes == []

    run(main)


def test_a_host_that_loses_redis_right_after_a_throttled_call_begins_with_a_cut_rate(run, shared):
    async def main():
        limiter, line = shared()
        await limiter.acquire()
        limiter.slow_down()
        line.says = Away("gone")
        await limiter.acquire()
        assert limiter.statistics().rate < 8

    run(main)


@pytest.mark.parametrize("known", [False, True])
def test_what_does_not_heal_is_an_error_until_redis_has_once_answered(run, shared, known):
    async def main():
        limiter, line = shared()
        if known:
            await limiter.acquire()
        line.says = Away("WRONGPASS", heals=False)
        for _ in range(20):
            if known:
                await limiter.acquire()
            else:
                with pytest.raises(greenroom.ConfigurationError, match="cannot be used: WRONGPASS"):
                    await limiter.acquire()

    run(main)


def test_a_refusal_that_the_first_attempt_to_come_back_meets_is_an_error(run, shared):
    async def main():
        limiter, line = shared()
        line.says = Away("refused")
        await limiter.acquire()
        line.says = Away("WRONGPASS", heals=False)
        with pytest.raises(greenroom.ConfigurationError, match="WRONGPASS"):
            await grants(limiter, 100)

    run(main)


def test_a_cancelled_asker_does_not_block_the_queue(run, shared):
    async def main():
        limiter, line = shared()
        line.says = 5.0
        with anyio.move_on_after(1):
            await limiter.acquire()
        line.says = 0.0
        await limiter.acquire()
        assert limiter.statistics().granted == 1

    run(main)


def test_a_limiter_that_is_closed_refuses_those_who_wait(run, shared):
    async def main():
        limiter, line = shared()
        line.says = 5.0

        async def ask():
            with pytest.raises(greenroom.ConfigurationError, match="is closed"):
                await limiter.acquire()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(1)
            await limiter.aclose()

    run(main)


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["told", "lost", "probed"]), st.floats(0, 100)), max_size=50
    ),
    hosts=st.integers(1, 50),
    part=st.floats(0.05, 1),
    draw=st.floats(0, 1),
)
def test_a_host_uses_no_more_than_the_budget_and_tries_again_within_two_seconds(
    events, hosts, part, draw
):
    contact, now = Contact(RECOVERY, lambda: draw), 0.0
    for event, seconds in events:
        now += seconds
        if event == "told":
            contact.told(News(part, hosts), now)
            assert contact.hosts >= hosts
        elif event == "lost":
            contact.lost(now)
            assert not contact.probe_due(now)
            assert contact.probe_due(now + 2 * PROBE_INTERVAL)
        elif contact.alone:
            contact.probed(now)
        assert 0 < contact.fair_part(10.0) <= 10.0
        assert 0 < contact.part(now) <= 1
        assert contact.alone or not contact.probe_due(now)


def test_hosts_that_come_back_one_by_one_are_reckoned_with_before_they_are_heard_of():
    contact = Contact(RECOVERY, lambda: 0.5)
    contact.told(News(1.0, 4), 0.0)
    contact.lost(1.0)
    contact.told(News(1.0, 1), 2.0)
    assert contact.hosts == 4
    contact.told(News(1.0, 2), 2.0 + ALIVE)
    assert contact.hosts == 2


def test_a_limiter_shows_how_to_make_another_but_no_password():
    shown = repr(SharedRateLimiter(URL, key="quota", max_rate=10, burst=5))
    assert shown == f"SharedRateLimiter({SHOWN!r}, key='quota', max_rate=10.0, burst=5)"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "url='' must begin with redis://"),
        ("budget.example:6379", "url='budget.example:6379' must begin with redis://"),
        ("http://a:hunter2@h/0", "url='...://h/0' must begin with redis://"),
        ("hunter2@h", "url='h' must begin with redis://"),
        ("redis://:hunter2@h:port/0", "url='redis://h:port/0' cannot be read"),
        ("redis://:hunter2@h:99999", "url='redis://h:99999' cannot be read"),
        ("redis://[::1/0", "url='redis://[::1/0' cannot be read"),
        ("redis:///0", "url='redis:///0' has no host"),
        ("redis://h:0", "url='redis://h:0' has no port"),
        ("redis://:hunter2@h/zero", "url='redis://h/zero' must end in the number of a database"),
        ("unix://", "url='unix://' has no path"),
        ("redis://h?password=hunter2&pool=9", "url='redis://h' with these options"),
        ("redis://h?socket_timeout=hunter2", "url='redis://h' with these options"),
        (None, "url=None is no URL"),
        (b"redis://h", "is no URL"),
    ],
)
def test_an_impossible_url_is_refused_and_its_password_is_not_shown(url, problem):
    with pytest.raises(greenroom.ConfigurationError) as caught:
        SharedRateLimiter(url, key="quota", max_rate=10)
    assert problem in str(caught.value)
    assert "hunter2" not in repr((caught.value, caught.value.__cause__))


@given(st.text(alphabet="redis:/@?#[]0aé %\n", max_size=30) | st.text(max_size=20))
def test_no_text_at_all_raises_anything_else(url):
    with contextlib.suppress(greenroom.ConfigurationError):
        SharedRateLimiter(url, key="quota", max_rate=10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": " "},
        {"key": "a\nb"},
        {"key": "k" * 201},
        {"key": None},
        {"max_rate": 0},
        {"max_rate": True},
        {"max_rate": "1"},
        {"max_rate": 1e-12},
        {"burst": 0},
        {"burst": 1.5},
        {"burst": 10**12},
    ],
)
def test_an_impossible_argument_is_refused_with_its_value(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(greenroom.ConfigurationError, match=f"{name}=") as caught:
        SharedRateLimiter("redis://h", **{"key": "quota", "max_rate": 1.0, **wrong})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("missing", ["redis", "pyrate_limiter"])
def test_without_its_extra_it_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    for name in ("_line", "_script"):
        monkeypatch.delitem(sys.modules, f"greenroom._shared.{name}", raising=False)
        monkeypatch.delattr(f"greenroom._shared.{name}", raising=False)
    with pytest.raises(greenroom.ConfigurationError, match=r"pip install 'greenroom\[redis\]'"):
        SharedRateLimiter("redis://h", key="quota", max_rate=1)


def test_greenroom_itself_imports_none_of_it():
    program = "import greenroom, sys; print({'redis', 'pyrate_limiter'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"
