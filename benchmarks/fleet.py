"""A fleet on real servers: what thousands of workstations cost, and what a lost worker does.

    python -m benchmarks.fleet [--workstations 3000] [--workers 4] [--kill]

Temporal's development server, a Redis, the simulator and the workers, each in a process of its own
but for the simulator, share this machine. The simulator throttles whatever exceeds the budget that
the workers share, so that no throttled call means that it was kept. `--kill` kills one worker when
a third of the sessions are made.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import anyio
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.table import Table
from tests.shared_budget.server import Server
from tests.temporal.servers import TemporalServer, temporal_server, workers

from greenroom import LaunchReport
from greenroom.simulator import Settings, Simulator, serve
from greenroom.temporal import launch_fleet

READS = {"rate": 10, "burst": 20}
THROTTLE = {
    "ListStreamingSessions": READS,
    "GetStreamingSession": READS,
    "CreateStreamingSession": {"rate": 50, "burst": 50},
}


@dataclass
class Took:
    """What a fleet took."""

    report: LaunchReport
    seconds: float
    events: int
    history: int
    heartbeats: int


def heartbeats(server: TemporalServer) -> int:
    """Return how many heartbeats the server has answered."""
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    with urllib.request.urlopen(url) as answer:  # the server that this process started
        lines = answer.read().decode().splitlines()
    told = (
        line
        for line in lines
        if line.startswith("service_requests{")
        and 'operation="RecordActivityTaskHeartbeat"' in line
        and 'service_name="frontend"' in line
    )
    return sum(int(float(line.rpartition(" ")[2])) for line in told)


async def bring_up(
    asked: argparse.Namespace,
    server: TemporalServer,
    simulator: Simulator,
    processes: list[Popen[bytes]],
) -> Took:
    """Launch the fleet, and wait for its end."""
    client = await server.connect()
    specs = [
        {"key": f"desk-{each:06}", "launch_profile_id": "lp-artists"}
        for each in range(asked.workstations)
    ]
    began = time.monotonic()
    fleet = await launch_fleet(
        client, specs, id="fleet", shard_size=asked.shard_size, heartbeat_timeout=5.0
    )
    async with anyio.create_task_group() as tasks:
        if asked.kill:
            tasks.start_soon(kill, simulator, processes, asked.workstations // 3)
        report = await fleet.result()
        tasks.cancel_scope.cancel()
    seconds = time.monotonic() - began
    history = await client.get_workflow_handle("fleet").fetch_history()
    size = sum(event.ByteSize() for event in history.events)
    return Took(report, seconds, len(history.events), size, heartbeats(server))


def cpu_of(process: Popen[bytes]) -> float:
    """Return the seconds of CPU that a process took; it ends."""
    os.kill(process.pid, signal.SIGKILL)  # `kill` of Popen would take the usage away
    usage = os.wait4(process.pid, 0)[2]
    process.returncode = -9
    return usage.ru_utime + usage.ru_stime


async def kill(simulator: Simulator, processes: list[Popen[bytes]], made: int) -> None:
    """Kill one worker once so many sessions are made."""
    while len(simulator.truth()) < made:  # noqa: ASYNC110  # others make them
        await anyio.sleep(0.1)
    processes[0].kill()


def row(
    asked: argparse.Namespace, took: Took, simulator: Simulator, cpu: list[float]
) -> tuple[str, ...]:
    """Return the columns of a run."""
    told = simulator.statistics()
    reads = sum(
        told.calls.get(name, 0) for name in ("ListStreamingSessions", "GetStreamingSession")
    )
    return (
        f"{asked.workstations} / {asked.workers}" + (", one killed" if asked.kill else ""),
        str(len(took.report.succeeded)),
        str(len(simulator.truth())),
        str(told.calls["CreateStreamingSession"]),
        str(reads),
        str(sum(told.throttled.values())),
        f"{took.seconds:.0f} s",
        str(took.heartbeats),
        str(took.events),
        f"{took.history / 1024:.0f} KiB",
        " ".join(f"{each:.0f}" for each in cpu),
    )


COLUMNS = (
    *("workstations / workers", "ready", "sessions", "creates", "describes", "throttled"),
    *("took", "heartbeats", "events", "history", "CPU seconds a worker"),
)


def main(args: Sequence[str] | None = None) -> None:
    """Run it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workstations", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--shard-size", type=int, default=100)
    parser.add_argument("--speed", type=float, default=20.0, help="of the studio")
    parser.add_argument("--kill", action="store_true")
    asked = parser.parse_args(args)
    settings = Settings.from_table({"seed": 3, "throttle": THROTTLE})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        portal = stack.enter_context(start_blocking_portal())
        simulator = stack.enter_context(
            portal.wrap_async_context_manager(serve(settings, speed=asked.speed))
        )
        redis = stack.enter_context(Server())
        server = stack.enter_context(temporal_server(folder))
        processes = stack.enter_context(
            workers(
                *(asked.workers, server, simulator, folder),
                *("--shared-budget", redis.url, "--rate", "10", "--burst", "20"),
                *("--create-rate", "50"),
            )
        )
        took = anyio.run(bring_up, asked, server, simulator, processes)
        table = Table(*COLUMNS)
        table.add_row(*row(asked, took, simulator, [*map(cpu_of, processes)]))
        Console(width=170).print(table)


if __name__ == "__main__":
    main()
