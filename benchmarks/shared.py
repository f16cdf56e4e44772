"""What a budget that hosts share through Redis grants, when all goes well and when it does not.

    python -m benchmarks.shared [--seconds 6] [--rate 50] [--burst 5] [--hosts 2]

Every host is a process with ten tasks that ask all the time. They run against a `redis-server` on
this machine, which is killed and started again in one of the runs, and absent in another. Grants
are counted where they are used, on one clock; calls are counted by Redis.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from tests.shared_budget.host import Hosts, Took, most_in_a_second
from tests.shared_budget.server import Server

COLUMNS = (
    *("grants per host", "least share", "most in a second", "longest gap"),
    *("an answer", "p99", "calls to Redis per grant"),
)


def calls(server: Server) -> int:
    """Return how many scripts Redis has run since it was started."""
    return int(server.client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def play(asked: argparse.Namespace, fast: Sequence[float], *, redis: str) -> tuple[str, ...]:
    """Return the columns of one run, in which Redis is `there`, `restarted` or `away`."""
    with Server() as server:
        hosts = Hosts(
            server.url, rate=asked.rate, burst=asked.burst, seconds=asked.seconds, fast=tuple(fast)
        )
        made = 0
        if redis == "away":
            server.kill()
        hosts.begin()
        if redis == "restarted":
            time.sleep(asked.seconds / 3)
            made = calls(server)
            server.kill()
            time.sleep(asked.seconds / 4)
            server.start()
        took = hosts.took()
        return row(took, made if redis == "away" else made + calls(server))


def row(took: list[Took], made: int) -> tuple[str, ...]:
    granted = [len(host.grants) for host in took]
    gaps = [b - a for host in took for a, b in zip(host.grants, host.grants[1:], strict=False)]
    answers = sorted(seconds for host in took for seconds in host.latencies)
    return (
        " + ".join(map(str, granted)),
        f"{min(granted) / sum(granted):.0%}",
        str(most_in_a_second(took)),
        f"{1000 * max(gaps):.0f} ms",
        f"{1000 * statistics.median(answers):.2f} ms",
        f"{1000 * answers[int(0.99 * len(answers))]:.1f} ms",
        f"{made / sum(granted):.2f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--burst", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=2)
    asked = parser.parse_args()
    true = [0.0] * asked.hosts
    runs = (
        ("all clocks true", true, "there"),
        ("one clock 2 s fast", [*true[1:], 2.0], "there"),
        ("Redis killed and restarted", true, "restarted"),
        ("Redis away from the start", true, "away"),
    )
    title = f"{asked.hosts} hosts, {asked.rate:g} calls/s, burst {asked.burst}, {asked.seconds:g} s"
    table = Table(title=title)
    for column in ("", *COLUMNS):
        table.add_column(column, justify="right" if column else "left")
    for name, fast, redis in runs:
        table.add_row(name, *play(asked, fast, redis=redis))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
