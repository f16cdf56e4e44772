"""How much Temporal's development server takes, and what it says to more: `scale_out --servers`.

A server and a worker on this machine. Activities start, say so, and stay pending; heartbeats are
sent for them from outside, as a lease does. What a server is given is noise, which no compression
makes smaller, until it refuses. Last, a fleet whose shards are all under way is looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
from benchmarks import scale_out
from rich.console import Console
from rich.table import Table
from temporalio import activity, workflow
from temporalio.client import AsyncActivityHandle, Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from tests.temporal.servers import temporal_server

from greenroom.temporal import launch_fleet
from greenroom.temporal._orders import LAUNCH, ShardOrder, ShardResult
from greenroom.temporal._workflow import FleetWorkflow
from greenroom.testing import run

QUEUE = "limits"
SECONDS = 5.0
HOUR = timedelta(hours=1)
Row = tuple[str, str]


class Stage:
    """A client, and the activities that are pending."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pending: list[AsyncActivityHandle] = []
        self.records: list[str] = []

    @activity.defn(name="hold")
    async def hold(self, _noise: str) -> None:
        """Stay pending."""
        token = activity.info().task_token
        self.pending.append(self.client.get_async_activity_handle(task_token=token))
        activity.raise_complete_async()

    @activity.defn(name=LAUNCH)
    async def launch(self, order: ShardOrder) -> ShardResult:
        """Stay pending as a shard does that nears its end."""
        activity.heartbeat(self.records[order.number])
        self.pending.append(
            self.client.get_async_activity_handle(task_token=activity.info().task_token)
        )
        activity.raise_complete_async()

    async def begin(self, name: str, count: int, size: int = 0) -> WorkflowHandle[Holding, None]:
        """Have so many activities pending, or none where they could not be started."""
        self.pending.clear()
        held = await self.client.start_workflow(
            Holding.run, args=[count, noise(size)], id=name, task_queue=QUEUE
        )
        with anyio.move_on_after(SECONDS):
            while len(self.pending) < count:  # noqa: ASYNC110  # the server starts them
                await anyio.sleep(0.05)
        return held


@workflow.defn(name="holding")
class Holding:
    """Some activities, all at once."""

    @workflow.run
    async def run(self, count: int, given: str) -> None:
        """Start them, and wait for all of them."""
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    "hold",
                    given,
                    start_to_close_timeout=HOUR,
                    heartbeat_timeout=HOUR,
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
                for _ in range(count)
            )
        )

    @workflow.signal
    def tell(self, given: str) -> None:
        """Take in something, and keep it in the history."""


def noise(size: int) -> str:
    """Return a text of so many bytes that cannot be compressed."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


async def why_ended(held: WorkflowHandle[Holding, None]) -> str:
    """Return what a server says of a workflow that it ended, or that it is under way."""
    try:
        with anyio.fail_after(1):
            await held.result()
    except WorkflowFailureError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return f"ended: {cause}"
    except TimeoutError:
        return "goes on"
    return "over"


async def beat(handle: AsyncActivityHandle, latencies: list[float]) -> None:
    """Send heartbeats, one after the other, for some seconds."""
    given, until = noise(10_000), time.monotonic() + SECONDS
    while (began := time.monotonic()) < until:
        await handle.heartbeat(given)
        latencies.append(time.monotonic() - began)


async def heartbeats(stage: Stage) -> AsyncIterator[Row]:
    """Yield how many heartbeats a second are answered."""
    for count in (1, 10, 100):
        held = await stage.begin(f"heartbeats-{count}", count)
        latencies: list[float] = []
        async with anyio.create_task_group() as tasks:
            for handle in stage.pending:
                tasks.start_soon(beat, handle, latencies)
        slowest = sorted(latencies)[int(0.99 * len(latencies))]
        yield (
            f"heartbeats of 10 KB, {count} activities pending",
            f"{len(latencies) / SECONDS:.0f} a second, p99 {1000 * slowest:.0f} ms",
        )
        await held.terminate()


async def mutable_state(stage: Stage) -> AsyncIterator[Row]:
    """Yield how large the heartbeats of one workflow may get."""
    count = 200
    held = await stage.begin("mutable-state", count)
    for size in range(30_000, 60_000, 5_000):
        given = noise(size)
        answers = await asyncio.gather(
            *(handle.heartbeat(given) for handle in stage.pending), return_exceptions=True
        )
        refused = [str(each) for each in answers if isinstance(each, Exception)]
        if refused:
            yield (
                f"{count} heartbeats of {size // 1000} KB, {count * size / 1e6:.0f} MB in all",
                f"{refused[-1]} The workflow {await why_ended(held)}",
            )
            return
        yield f"{count} heartbeats of {size // 1000} KB", "answered"


async def one_heartbeat(stage: Stage) -> AsyncIterator[Row]:
    """Yield how large a heartbeat may get."""
    for size in (1_900_000, 2_200_000):
        held = await stage.begin(f"heartbeat-{size}", 1)
        try:
            await stage.pending[0].heartbeat(noise(size))
            said = "answered"
        except Exception as error:  # noqa: BLE001  # whatever is said
            said = f"{error!r}. The workflow {await why_ended(held)}"
        yield f"one heartbeat of {size / 1e6:.1f} MB", said


async def one_task(stage: Stage) -> AsyncIterator[Row]:
    """Yield how much may be started at once."""
    for size in (19_000, 25_000):
        held = await stage.begin(f"task-{size}", 200, size)
        yield (
            f"200 activities of {size // 1000} KB started at once",
            f"{len(stage.pending)} started; the workflow {await why_ended(held)}",
        )


async def history(stage: Stage) -> AsyncIterator[Row]:
    """Yield how large a signal may get, and how long a history."""
    held = await stage.begin("history", 1)
    try:
        await held.signal(Holding.tell, noise(2_200_000))
    except RPCError as error:
        yield "a signal of 2.2 MB", f"{error} The workflow {await why_ended(held)}"
    for told in range(1, 60):
        try:
            await held.signal(Holding.tell, noise(1_500_000))
        except RPCError as error:
            size = f"a history of {(told - 1) * 1.5:.0f} MB"
            yield size, f"{error} The workflow {await why_ended(held)}"
            return


async def looked_at(stage: Stage, asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Yield what it costs to look at a fleet whose shards are all under way."""
    stage.pending.clear()
    fleet = await launch_fleet(
        stage.client,
        scale_out.specs(asked.workstations),
        id="fleet",
        task_queue=QUEUE,
        shard_size=asked.shard_size,
        heartbeat_timeout=3600.0,
    )
    while len(stage.pending) < len(stage.records):  # noqa: ASYNC110  # the server starts them
        await anyio.sleep(0.05)
    await anyio.sleep(1)
    began, cpu = time.monotonic(), time.process_time()
    status = await fleet.status()
    took = f"{time.monotonic() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
    held = stage.client.get_workflow_handle("fleet")
    described = (await held.describe()).raw_description.ByteSize()
    size = sum(event.ByteSize() for event in (await held.fetch_history()).events)
    yield (
        f"fleet status, {asked.workstations:,} workstations, {status.running} shards under way",
        f"{took}; {described / 1e6:.1f} MB described, history {size / 1e6:.2f} MB",
    )


async def ask(address: str, asked: argparse.Namespace, records: list[str]) -> list[Row]:
    """Ask a server all of it."""
    stage = Stage(await Client.connect(address))
    stage.records = records
    worker = Worker(
        stage.client,
        task_queue=QUEUE,
        workflows=[Holding, FleetWorkflow],
        activities=[stage.hold, stage.launch],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=1000,
    )
    rows: list[Row] = []
    async with worker:
        for questions in (
            *(heartbeats(stage), mutable_state(stage), one_heartbeat(stage), one_task(stage)),
            *(history(stage), looked_at(stage, asked)),
        ):
            rows += [row async for row in questions]
    return rows


def show(asked: argparse.Namespace) -> None:
    """Ask, and print the table."""
    records = run(scale_out.as_fleet, asked).records
    with tempfile.TemporaryDirectory() as folder, temporal_server(Path(folder)) as server:
        rows = anyio.run(ask, server.address, asked, records)
    table = Table("asked", "answered")
    for row in rows:
        table.add_row(*row)
    Console(width=150).print(table)
