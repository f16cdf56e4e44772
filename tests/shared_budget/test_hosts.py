"""Two hosts that take all they can get: two processes, on the clock of the machine."""

from __future__ import annotations

import itertools
import time

from tests.shared_budget.host import Hosts, Took, most_in_a_second
from tests.shared_budget.server import Server

RATE, BURST, SECONDS = 50, 5, 6
PER_SECOND = RATE + BURST + 1  # what a bucket grants in a second, and a call at its very end


def compete(server: Server, *, database: int = 0, fast: tuple[float, ...]) -> Hosts:
    url = server.url.replace("/0", f"/{database}")
    return Hosts(url, rate=RATE, burst=BURST, seconds=SECONDS, fast=fast)


def check_all_was_granted(took: list[Took], part: float) -> None:
    granted = [len(host.grants) for host in took]
    assert sum(granted) >= part * RATE * SECONDS
    assert min(granted) >= 0.3 * sum(granted)


def test_two_hosts_keep_one_budget_and_share_it_evenly_also_with_one_clock_2_s_fast(server):
    pairs = [compete(server, database=n, fast=fast) for n, fast in enumerate([(0, 0), (0, 2)])]
    for hosts in pairs:
        hosts.begin()
    for hosts in pairs:
        took = hosts.took()
        assert most_in_a_second(took) <= PER_SECOND
        check_all_was_granted(took, 0.9)
        assert [host.events for host in took] == [[], []]


def test_two_hosts_live_through_a_redis_that_is_killed_and_restarted(server):
    hosts = compete(server, fast=(0, 2))
    hosts.begin()
    time.sleep(2)  # it is to be killed in the middle
    server.kill()
    time.sleep(1.5)
    server.start()
    took = hosts.took()
    assert most_in_a_second(took) <= 2 * RATE
    check_all_was_granted(took, 0.8)
    for host in took:
        assert host.events == ["limiter.alone", "limiter.together"]
        assert max(after - at for at, after in itertools.pairwise(host.grants)) < 1
