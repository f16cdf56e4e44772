"""Fleets that are cancelled while nobody knows yet that their worker is dead."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest
from temporalio.worker import Worker
from tests.temporal.servers import TemporalServer, temporal_server
from tests.temporal.test_fleet import Stage, on_stage

from greenroom.temporal import Fleet
from greenroom.temporal._worker import SANDBOX, Hearing
from greenroom.temporal._workflow import FleetWorkflow


@pytest.fixture
def server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TemporalServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with temporal_server(tmp_path_factory.mktemp("temporal")) as server:
        yield server


async def take_shard_and_die(stage: Stage) -> None:
    """Take the fleet's shard from the server, as a worker does, and do nothing more."""
    await stage.client.workflow_service.poll_activity_task_queue(
        PollActivityTaskQueueRequest(
            namespace=stage.client.namespace,
            task_queue=TaskQueue(name=stage.name),
            identity="dead",
        )
    )


async def until_running(fleet: Fleet, shards: int) -> None:
    while (await fleet.status()).running != shards:  # noqa: ASYNC110  # the server tells nobody
        await anyio.sleep(0.05)


async def longest(stage: Stage, fleet: Fleet, activity: str) -> float:
    """Return for how many seconds an activity may wait and take; 0 for however many."""
    history = await stage.client.get_workflow_handle(fleet.id).fetch_history()
    (scheduled,) = (
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_id == activity
    )
    return scheduled.schedule_to_close_timeout.ToTimedelta().total_seconds()


@pytest.mark.asyncio
async def test_no_session_is_forgotten_where_the_server_gives_up_the_shard_first(
    server: TemporalServer,
) -> None:
    async with on_stage(server, create={"median_s": 400}) as stage:
        fleet = await stage.launch(3, heartbeat_timeout=1.0)
        async with stage.worker():
            while len(stage.simulator.truth()) < 3:  # noqa: ASYNC110  # the studio tells nobody
                await anyio.sleep(0.02)
        await take_shard_and_die(stage)
        await until_running(fleet, 1)
        await fleet.cancel("delete")
        await until_running(fleet, 0)
        client = await server.connect()
        async with Worker(
            client,
            task_queue=stage.name,
            workflows=[FleetWorkflow],
            activities=[Hearing(client).pending_records],
            workflow_runner=SANDBOX,
        ):
            while not (await fleet.status()).settled:  # noqa: ASYNC110  # the server tells nobody
                await anyio.sleep(0.05)
            async with stage.worker():
                report = await fleet.result()
        assert await longest(stage, fleet, "end-0-delete") == 0
        named = {attempt.id for result in report.values() for attempt in result.attempts}
        assert named == stage.simulator.truth().keys()
        assert stage.states().keys() == {"DELETED"}
