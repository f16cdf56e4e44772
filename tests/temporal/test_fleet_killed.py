"""Fleets whose workers or servers are killed midway: nothing lost, nothing made twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from tests.shared_budget.server import Server
from tests.temporal.servers import TemporalServer, temporal_server, workers

from greenroom import LaunchPolicy, LaunchReport
from greenroom.simulator import Settings, Simulator, serve
from greenroom.temporal import launch_fleet

WORKSTATIONS = 300
MOST_DESCRIBES = 30
ENDS_IN = 45.0

PACED = ("--create-rate", "50", "--rate", "10", "--burst", "20", "--ceiling", "8s")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        serving = serve(Settings(seed=7), speed=100)
        yield stack.enter_context(portal.wrap_async_context_manager(serving))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporalServer]:
    with temporal_server(tmp_path) as server:
        yield server


def describes(simulator: Simulator) -> int:
    calls = simulator.statistics().calls
    return sum(calls.get(name, 0) for name in ("ListStreamingSessions", "GetStreamingSession"))


async def made(simulator: Simulator, count: int) -> None:
    """Wait until so many sessions were made."""
    while len(simulator.truth()) < count:  # noqa: ASYNC110  # another process makes them
        await anyio.sleep(0.02)


def specs() -> list[dict[str, str]]:
    return [{"key": f"ws-{each}", "launch_profile_id": "lp"} for each in range(WORKSTATIONS)]


def all_well(report: LaunchReport, simulator: Simulator) -> None:
    assert len(report.succeeded) == WORKSTATIONS
    ids = {result.id for result in report.values()}
    assert ids == simulator.truth().keys()
    assert describes(simulator) <= MOST_DESCRIBES
    assert not sum(simulator.statistics().throttled.values())


@pytest.fixture
def redis() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize("struck", ["worker", "server", "redis"])
def test_a_fleet_survives_a_kill(
    tmp_path: Path, simulator: Simulator, server: TemporalServer, redis: Server, struck: str
) -> None:
    async def fleet(processes: list[Popen[bytes]]) -> LaunchReport:
        with anyio.fail_after(ENDS_IN):
            client = await server.connect()
            fleet = await launch_fleet(
                client,
                specs(),
                id="fleet",
                shard_size=25,
                policy=LaunchPolicy(canary=0),
                heartbeat_timeout=2.0,
            )
            await made(simulator, 120)
            if struck == "worker":
                processes[0].send_signal(signal.SIGKILL)
            elif struck == "server":
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(fleet.result)  # who waits for it outlives the server too
                    server.kill()
                    await anyio.sleep(0.5)
                    server.start()
            else:
                redis.kill()
                await made(simulator, 150)
                redis.start()
            return await fleet.result()

    shared = ("--shared-budget", redis.url)
    with workers(2, server, simulator, tmp_path, *PACED, *shared) as processes:
        report = anyio.run(fleet, processes)
    all_well(report, simulator)
