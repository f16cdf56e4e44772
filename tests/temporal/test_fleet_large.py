"""Fleets as large as they may be: their messages stay below what a server takes in one piece."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import anyio
import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from tests.temporal.servers import TemporalServer, temporal_server

from greenroom.temporal import Fleet, launch_fleet
from greenroom.temporal._orders import END, LAUNCH, ShardOrder, ShardResult, packed
from greenroom.temporal._worker import Hearing
from greenroom.temporal._workflow import FleetWorkflow

RECORD = base64.b64encode(Random(1).randbytes(50_000)).decode()
HELD = packed({"rows": [], "changes": 0, "reads": {RECORD: [0, 0, 0, 0]}})
"""A record of 67 KB, as of a hundred workstations that took four attempts each."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    with temporal_server(tmp_path_factory.mktemp("temporal")) as server:
        yield server


class Worked:
    """What workers would do, without any sessions.

    Args:
        launch: What becomes of a shard.
    """

    def __init__(self, launch: Callable[[ShardOrder], Any]) -> None:
        self.launched: set[int] = set()
        self.ended: set[int] = set()
        self._launch = launch

    @activity.defn(name=LAUNCH)
    async def launch(self, order: ShardOrder) -> ShardResult:
        activity.heartbeat(HELD)
        self.launched.add(order.number)
        await self._launch(order)
        return ShardResult(record=HELD)

    @activity.defn(name=END)
    async def end(self, order: ShardOrder, record: str, sessions: str) -> ShardResult:
        assert record == HELD
        self.ended.add(order.number)
        return ShardResult(record=record, made=False)


@asynccontextmanager
async def at_work(
    client: Client, queue: str, worked: Worked, *, shards: int
) -> AsyncIterator[Fleet]:
    with anyio.fail_after(60):
        specs = [{"key": str(each), "launch_profile_id": "lp"} for each in range(shards)]
        async with Worker(
            client,
            task_queue=queue,
            workflows=[FleetWorkflow],
            activities=[worked.launch, worked.end, Hearing(client).pending_records],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules("greenroom")
            ),
            max_heartbeat_throttle_interval=timedelta(milliseconds=1),
        ):
            yield await launch_fleet(client, specs, id=queue, task_queue=queue, shard_size=1)


@pytest.mark.asyncio
async def test_more_records_than_one_message_takes_are_given_to_those_who_delete(
    server: TemporalServer,
) -> None:
    shards = 65  # of 4.3 MB

    async def first_one_stays(order: ShardOrder) -> None:
        while order.number == 0:  # until it hears that it is cancelled
            activity.heartbeat(HELD)
            await anyio.sleep(0.1)

    worked = Worked(first_one_stays)
    client = await server.connect()
    workflow = client.get_workflow_handle("ended")
    async with at_work(client, "ended", worked, shards=shards) as fleet:
        while (await workflow.query("status"))["settled"] < shards - 1:  # noqa: ASYNC110
            await anyio.sleep(0.1)
        await fleet.cancel("delete")
        await workflow.result()
    assert worked.ended >= set(range(1, shards))


@pytest.mark.asyncio
async def test_more_records_than_one_message_takes_are_heard_before_shards_are_cancelled(
    server: TemporalServer,
) -> None:
    shards = 33  # of 2.2 MB

    async def left(order: ShardOrder) -> None:
        raise ApplicationError("left", next_retry_delay=timedelta(hours=1))

    worked = Worked(left)
    client = await server.connect()
    async with at_work(client, "handed-in", worked, shards=shards) as fleet:
        while len(worked.launched) < shards or (await fleet.status()).running:  # noqa: ASYNC110
            await anyio.sleep(0.1)
        await fleet.cancel("delete")
        await client.get_workflow_handle("handed-in").result()
    assert worked.ended == set(range(shards))


@pytest.mark.asyncio
async def test_a_fleet_whose_history_is_full_comes_to_its_end_and_says_what_is_left(
    server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.temporal._workflow.LONGEST_HISTORY", 200_000)

    async def first_one_stays(order: ShardOrder) -> None:
        while order.number == 0:
            activity.heartbeat(HELD)
            await anyio.sleep(0.1)

    worked = Worked(first_one_stays)
    client = await server.connect()
    workflow = client.get_workflow_handle("long")
    async with at_work(client, "long", worked, shards=5) as fleet:
        while (await workflow.query("status"))["settled"] < 4:  # noqa: ASYNC110  # as people look
            await anyio.sleep(0.1)
        await fleet.cancel("delete")
        await workflow.result()
        status = await fleet.status()
    assert status.over
    assert not worked.ended
    assert all("history is full" in why for why in status.trouble.values())
    assert set(status.trouble) == {0, 1, 2, 3, 4}
