"""A hundred thousand workstations: one account of twenty whole, in virtual time; the rest products.

    python -m benchmarks.scale_out [--workstations 5000] [--shard-size 100] [--workers 3]
    python -m benchmarks.scale_out --heartbeats 100        # of a server that takes no more
    python -m benchmarks.scale_out --servers

Accounts share nothing, so one is run, and the others are reckoned from it. It has 10 reads a second
(burst 20) and 50 creates. Its shards are brought up by several workers, each with a poller of its
own, on budgets that they share; shards, leases, polling and what is kept are the real ones. The
studio is the simulator's model, without a network: 6 % of the sessions fail, over four causes. The
server of the fleet answers every heartbeat, and counts. Beside it the same launch in one process,
with its journal on this disk.

`--servers` asks Temporal's development server how much it takes: `temporal_limits.py`.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest import mock

import anyio
import anyio.to_thread
from rich.console import Console
from rich.table import Table
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from tests.launch.conftest import Studio

from greenroom import LaunchPolicy, Poller, RateLimiter, Transition, launch
from greenroom._launch_kind import launch_kind
from greenroom._specs import check_specs
from greenroom.temporal._kept import Kept
from greenroom.temporal._lease import Lease
from greenroom.temporal._orders import (
    Plan,
    ShardOrder,
    ShardResult,
    into_shards,
    open_shards,
    packed_policy,
)
from greenroom.temporal._shard import Desk, Shard
from greenroom.testing import run

ACCOUNTS = 20
HEARTBEAT_TIMEOUT = 30.0
ANSWERS_IN = 0.01
FAILURES = {
    "INSUFFICIENT_CAPACITY": 0.02,
    "INTERNAL_ERROR": 0.02,
    "INITIALIZATION_SCRIPT_ERROR": 0.01,
    "NETWORK_INTERFACE_ERROR": 0.01,
}
POLICY = LaunchPolicy(breaker=20)
SEEN = ("READY", "CREATE_FAILED")


class Account(Studio):
    """A studio that knows how long its own model took, and when each end was seen."""

    def __init__(self) -> None:
        super().__init__(
            seed=3, create={"median_s": 150, "failures": FAILURES}, failure={"median_s": 60}
        )
        self.model_cpu = 0.0
        self._seen: dict[tuple[str, str], float] = {}

    async def call(self, name: str, carry_out: Callable[..., Any]) -> Any:
        def measured(now: float) -> Any:
            before = time.process_time()
            try:
                return carry_out(now)
            finally:
                self.model_cpu += time.process_time() - before

        return await super().call(name, measured)

    def saw(self, change: Transition) -> None:
        """Take in when somebody was told of a change."""
        if change.after in SEEN:
            self._seen.setdefault((change.id, change.after), anyio.current_time())

    def delays(self) -> list[float]:
        """Return how long each end went unseen."""
        truth = self.model.truth(anyio.current_time())
        return sorted(
            self._seen[id_, change.state] - change.at
            for id_, changes in truth.items()
            for change in changes
            if (id_, change.state) in self._seen
        )


@dataclass
class Heard:
    """What a server was told in heartbeats, by as many in a second as it takes.

    Attributes:
        room: Lets one after the other in.
        sizes: Bytes of each.
        seconds: How many came in each second.
        late: How many it did not answer in time.
    """

    room: RateLimiter
    sizes: list[int] = field(default_factory=list)
    seconds: Counter[int] = field(default_factory=Counter)
    late: int = 0

    def take(self, details: str) -> None:
        """Take in one."""
        self.sizes.append(len(details))
        self.seconds[int(anyio.current_time())] += 1

    async def heartbeat(self, details: str, *, rpc_timeout: timedelta) -> None:
        """Answer one, as the server of a lease does.

        Raises:
            RPCError: It is not answered in time.
        """
        with anyio.move_on_after(rpc_timeout.total_seconds()):
            await self.room.acquire()
            await anyio.sleep(ANSWERS_IN)
            self.take(details)
            return
        self.late += 1
        raise RPCError("late", RPCStatusCode.DEADLINE_EXCEEDED, b"")


@dataclass
class Took:
    """What bringing up the workstations of one account took.

    Attributes:
        counts: Workstations by verdict.
        sessions: Sessions made.
        calls: Calls by operation.
        delays: Seconds from each end of a session to somebody's knowing it, in order.
        seconds: From the start to the last line, in virtual time.
        cpu: Seconds of this process, without the studio's model.
        rows: Events on record at the end.
        size: Bytes of the record at the end.
        heard: Its heartbeats, where it is a fleet.
        records: What was kept of each shard, where it is a fleet.
    """

    counts: Counter[str]
    sessions: int
    calls: Counter[str]
    delays: list[float]
    seconds: float
    cpu: float
    rows: int
    size: int
    heard: Heard | None = None
    records: list[str] = field(default_factory=list)


def specs(count: int) -> list[dict[str, Any]]:
    return [{"key": f"desk-{each:06}", "launch_profile_id": "lp-artists"} for each in range(count)]


def budgets() -> tuple[RateLimiter, RateLimiter]:
    """Return the budgets of an account: of its reads, and of its creates."""
    return RateLimiter(10, burst=20), RateLimiter(50, burst=50)


@contextmanager
def measured(took: dict[str, float], studio: Account) -> Iterator[None]:
    """Measure what runs inside."""
    cpu, began = time.process_time(), anyio.current_time()
    yield
    took["cpu"] = time.process_time() - cpu - studio.model_cpu
    took["seconds"] = anyio.current_time() - began


async def bring_up(order: ShardOrder, desk: Desk, heard: Heard) -> ShardResult:
    """Bring up a shard as a worker does, lease and all."""
    shard = Shard(order, desk, None)
    interval = order.plan.heartbeat_timeout / 3

    async def work() -> ShardResult:
        lease = Lease(heard, shard.details, interval, shard.stop)  # type: ignore[arg-type]  # as a lease uses it
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep)
            result = await shard.launch(lease)
            tasks.cancel_scope.cancel()
        return result

    environment = ActivityEnvironment()
    environment.on_heartbeat = heard.take
    return await environment.run(work)


async def as_fleet(asked: argparse.Namespace) -> Took:
    """Bring an account's workstations up in shards, by several workers."""
    studio, took = Account(), dict[str, float]()
    heard = Heard(RateLimiter(asked.heartbeats, burst=1))
    reads, creates = budgets()
    checked = check_specs(specs(asked.workstations), launch_kind("nimble-session").spec)
    shards = into_shards(checked, asked.shard_size)
    plan = Plan(
        kind="nimble-session",
        place=None,
        policy=packed_policy(POLICY),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        open_shards=min(open_shards(asked.shard_size), len(shards)),
    )
    orders = [
        ShardOrder(fleet_id="account-01", number=number, specs=each, plan=plan, deadline=None)
        for number, each in enumerate(shards)
    ]
    results: dict[int, ShardResult] = {}

    async def work(order: ShardOrder, desk: Desk) -> None:
        results[order.number] = await bring_up(order, desk, heard)

    with measured(took, studio):
        async with AsyncExitStack() as stack:
            desks = []
            for number in range(asked.workers):
                poller = await stack.enter_async_context(Poller(studio, limiter=reads))
                poller.on("*", studio.saw)
                name = f"{4000 + number}@launcher-{number:02}-0a1b2c3d"
                desks.append(
                    Desk(name=name, studio=studio, poller=poller, checks={}, creates=creates)
                )
            async with anyio.create_task_group() as tasks:
                for order in orders:
                    tasks.start_soon(work, order, desks[order.number % len(desks)])
    records = [results[order.number].record for order in orders]
    return Took(
        counts=sum((Counter(result.counts) for result in results.values()), Counter[str]()),
        sessions=len(studio.sessions()),
        calls=studio.counts,
        delays=studio.delays(),
        rows=sum(len(Kept.unpacked(record).events()) for record in records),
        size=sum(map(len, records)),
        heard=heard,
        records=records,
        **took,
    )


async def as_launch(asked: argparse.Namespace) -> Took:
    """Bring the same workstations up in one process, with its journal on the disk."""
    studio, took = Account(), dict[str, float]()
    reads, creates = budgets()
    with tempfile.TemporaryDirectory() as folder, mock.patch("anyio.to_thread.run_sync", at_once):
        journal = Path(folder) / "run.db"
        with measured(took, studio):
            async with Poller(studio, limiter=reads) as poller:
                poller.on("*", studio.saw)
                report = await launch(
                    *(studio, specs(asked.workstations)),
                    poller=poller,
                    creates=creates,
                    policy=POLICY,
                    journal=journal,
                )
        db = sqlite3.connect(journal)
        (rows,) = db.execute("SELECT count(*) FROM events").fetchone()
        db.close()
        size = journal.stat().st_size
    return Took(
        counts=Counter(result.verdict.value for result in report.values()),
        sessions=len(studio.sessions()),
        calls=studio.counts,
        delays=studio.delays(),
        rows=rows,
        size=size,
        **took,
    )


async def at_once(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
    """Run at once what would go to a thread: virtual time does not wait for threads."""
    await anyio.lowlevel.checkpoint()
    return function(*args)


def columns(took: Took, workstations: int) -> dict[str, str]:
    """Return what is shown of one way to bring up an account."""
    creates = took.calls["create_session"]
    reads = took.calls["list_sessions"] + took.calls["get_session"]
    told = {
        "ready": f"{took.counts['success']:,}",
        "sessions made": f"{took.sessions:,}",
        "creates": f"{creates:,}",
        "reads": f"{reads:,} ({reads / workstations:.3f} each)",
        "mean delay": f"{fmean(took.delays):.2f} s",
        "p99 delay": f"{took.delays[int(0.99 * len(took.delays))]:.1f} s",
        "all settled after": f"{took.seconds:,.0f} s",
        "on record": f"{took.rows:,} rows ({took.rows / workstations:.1f} each)",
        "bytes on record": f"{took.size:,} ({took.size / workstations:.0f} each)",
        "CPU, without the model": f"{took.cpu:.1f} s",
    }
    if took.heard is not None:
        sizes = took.heard.sizes
        told |= {
            "largest record of a shard": f"{max(map(len, took.records)):,} bytes",
            "heartbeats": f"{len(sizes):,} ({len(sizes) / workstations:.2f} each)",
            "heartbeats, most in a second": f"{max(took.heard.seconds.values()):,}",
            "heartbeats not answered in time": f"{took.heard.late:,}",
            "bytes a heartbeat, mean, largest": f"{fmean(sizes):,.0f}, {max(sizes):,}",
            "bytes of all heartbeats": f"{sum(sizes):,}",
        }
    return told


def products(took: Took) -> dict[str, str]:
    """Return what twenty such accounts come to."""
    assert took.heard is not None
    sizes, reads = took.heard.sizes, took.calls["list_sessions"] + took.calls["get_session"]
    return {
        "ready": f"{ACCOUNTS * took.counts['success']:,}",
        "sessions made": f"{ACCOUNTS * took.sessions:,}",
        "creates": f"{ACCOUNTS * took.calls['create_session']:,}",
        "reads": f"{ACCOUNTS * reads:,}",
        "on record": f"{ACCOUNTS * took.rows:,} rows",
        "bytes on record": f"{ACCOUNTS * took.size:,}",
        "CPU, without the model": f"{ACCOUNTS * took.cpu:.0f} s",
        "heartbeats": f"{ACCOUNTS * len(sizes):,}",
        "heartbeats, most in a second": f"{ACCOUNTS * max(took.heard.seconds.values()):,}",
        "bytes of all heartbeats": f"{ACCOUNTS * sum(sizes):,}",
    }


def main(args: Sequence[str] | None = None) -> None:
    """Run it, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workstations", type=int, default=5000, help="of one account")
    parser.add_argument("--shard-size", type=int, default=100)
    parser.add_argument("--workers", type=int, default=3, help="that share the account")
    parser.add_argument(
        "--heartbeats", type=float, default=1e5, help="that the server takes in a second"
    )
    parser.add_argument("--fleet-only", action="store_true", help="and not as one launch")
    parser.add_argument("--servers", action="store_true", help="ask Temporal's development server")
    asked = parser.parse_args(args)
    if asked.servers:
        from benchmarks import temporal_limits

        temporal_limits.show(asked)
        return
    fleet = run(as_fleet, asked)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    one, all_of_them = columns(fleet, asked.workstations), products(fleet)
    alone = {} if asked.fleet_only else columns(run(as_launch, asked), asked.workstations)
    table = Table(title=f"{asked.workstations:,} workstations an account, {ACCOUNTS} accounts")
    for column in ("", "one account, as a fleet", f"x {ACCOUNTS}, a product", "as one launch"):
        table.add_column(column, justify="right" if column else "left")
    for name in one:
        table.add_row(name, one[name], all_of_them.get(name, ""), alone.get(name, ""))
    console = Console(width=130)
    console.print(table)
    console.print(f"Memory at most, as a fleet, the model included: {memory:.0f} MB")


if __name__ == "__main__":
    main()
