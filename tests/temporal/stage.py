"""Shards in virtual time: a studio without a network, a server of which only heartbeats count."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
from tests.launch.conftest import Studio

from greenroom import LaunchPolicy, LaunchReport, Poller, RateLimiter, Verdict
from greenroom._launch._groups import ungrouped
from greenroom._launch_kind import launch_kind
from greenroom._specs import check_specs
from greenroom.temporal._lease import LeaseLost
from greenroom.temporal._orders import (
    Plan,
    ShardOrder,
    ShardResult,
    into_shards,
    packed_policy,
)
from greenroom.temporal._shard import Desk, Shard
from greenroom.temporal._status import Told, status_of

ANSWERS_IN = 0.05
"""Seconds from a heartbeat to its answer."""


@dataclass
class Server:
    """What Temporal is to a shard: the latest heartbeat, and who may send the next.

    Attributes:
        kept: What the latest heartbeat carried.
        owner: Whose the shard is.
        away: Whether it answers nobody at the moment.
        heartbeats: How many were answered.
    """

    kept: str | None = None
    owner: Held | None = None
    away: bool = False
    heartbeats: int = 0


@dataclass
class Held:
    """One attempt's lease, as the server sees it."""

    server: Server
    shard: Shard
    refused: int = 0
    lost: bool = field(default=False)

    async def renew(self) -> None:
        await anyio.sleep(ANSWERS_IN)
        while self.server.away:  # noqa: ASYNC110  # as the lease does
            await anyio.sleep(0.5)
        if self.server.owner is not self:
            self.refused += 1
            raise LeaseLost("this worker no longer has the shard", "")
        self.server.kept = self.shard.details()
        self.server.heartbeats += 1


NIMBLE = {"launch_profile_id": "lp"}
EC2 = {
    "image_id": "ami-1",
    "instance_types": ["g5.xlarge", "g4dn.xlarge"],
    "subnet_ids": ["subnet-1", "subnet-2"],
}


def order(count: int, *, deadline: float | None = None, **policy: Any) -> ShardOrder:
    """Return a shard of so many Nimble sessions."""
    return order_of("nimble-session", count, NIMBLE, deadline=deadline, **policy)


def order_of(
    kind: str,
    count: int,
    template: Mapping[str, Any],
    *,
    deadline: float | None = None,
    **policy: Any,
) -> ShardOrder:
    """Return a shard of so many that are alike."""
    specs = [{"key": f"ws-{each}", **template} for each in range(count)]
    checked = check_specs(specs, launch_kind(kind).spec)
    plan = Plan(
        kind=kind,
        place=None,
        policy=packed_policy(LaunchPolicy(**{"timeout": None, **policy})),
        heartbeat_timeout=5.0,
    )
    (packed,) = into_shards(checked, count)
    return ShardOrder(fleet_id="fleet", number=0, specs=packed, plan=plan, deadline=deadline)


@asynccontextmanager
async def at_desk(studio: Any, name: str = "worker") -> AsyncIterator[Desk]:
    """Open what the shards of one worker share."""
    async with AsyncExitStack() as stack:
        poller = await stack.enter_async_context(Poller(studio, limiter=RateLimiter(10, burst=20)))
        checks = {
            check.until: await stack.enter_async_context(
                Poller(check.source(studio), limiter=poller.limiter)
            )
            for check in studio.launches.checks
        }
        yield Desk(
            name=name,
            studio=studio,
            poller=poller,
            checks=checks,
            creates=RateLimiter(20, burst=5),
        )


async def bring_up(server: Server, desk: Desk, wanted: ShardOrder) -> ShardResult:
    """Take the shard, and bring it up as a worker does."""
    shard = Shard(wanted, desk, server.kept)
    lease = server.owner = Held(server, shard)
    with ungrouped():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep, lease)
            result = await shard.launch(lease)  # type: ignore[arg-type]  # as a lease is used
            tasks.cancel_scope.cancel()
    return result


async def _keep(lease: Held) -> None:
    while True:
        await anyio.sleep(5 / 3)
        await lease.renew()


async def killed(seconds: float, server: Server, desk: Desk, wanted: ShardOrder) -> bool:
    """Bring a shard up until it ends or is killed, and return whether it ended."""
    ended = False
    async with anyio.create_task_group() as tasks:

        async def kill() -> None:
            await anyio.sleep(seconds)
            server.owner = None  # what a killed process would still have said is not heard
            tasks.cancel_scope.cancel()

        tasks.start_soon(kill)
        await bring_up(server, desk, wanted)
        ended = True
        tasks.cancel_scope.cancel()
    return ended


def report_of(wanted: ShardOrder, server: Server) -> LaunchReport:
    """Return the account of a fleet of one shard, as the server's heartbeats tell it."""
    began_at = datetime(2026, 11, 30, tzinfo=UTC)
    told = Told(
        id=wanted.fleet_id, plan=wanted.plan, specs=[wanted.specs], began_at=began_at, task_queue=""
    )
    if server.kept is not None:
        told.records[0] = server.kept
    return status_of(told).report


def check(report: LaunchReport, studio: Studio) -> None:
    """Compare an account with the truth: nothing lost, nothing doubled, nothing made up."""
    truth = studio.sessions()
    attempts = [each for result in report.values() for each in result.attempts]
    assert sorted(each.id for each in attempts if each.id is not None) == sorted(truth)
    assert len({each.token for each in attempts}) == len(attempts)
    for result in report.values():
        states = [change.state for change in truth[result.id]] if result.id else []
        if result.verdict is Verdict.SUCCESS:
            assert "READY" in states
        else:
            assert result.cause


def moments(seed: int, count: int, longest: float) -> list[float]:
    """Return how long each of some processes lives."""
    draw = random.Random(seed)
    return [draw.uniform(0, longest) for _ in range(count)]
