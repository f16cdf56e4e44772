"""Records the histories of fleets that `test_replay.py` replays.

    python -m tests.temporal.record

They are what fleets that are under way have behind them. So record anew when no fleet of the code
that made them is under way any more, and add a history of its own for what the workflow learns to
do; where the workflow has to go on with both, `workflow.patched` tells it which one it is in.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
from tests.temporal.servers import TemporalServer, temporal_server, workers
from tests.temporal.test_fleet import Stage, on_stage

from greenroom.temporal import Fleet

HISTORIES = Path(__file__).parent / "histories"

_PERSONAL = ("identity", "stackTrace")

SLOW = {"create": {"median_s": 400, "sigma": 0.8}, "delete": {"median_s": 20}}


async def finished(stage: Stage) -> Fleet:
    """Bring up a fleet of three shards, in the order in which they come."""
    fleet = await stage.launch(9, shard_size=3)
    async with stage.worker():
        await fleet.result()
    return fleet


async def cancelled(stage: Stage) -> Fleet:
    """Cancel a fleet with shards that are under way, and delete what there is."""
    async with stage.worker():
        fleet = await stage.launch(9, shard_size=3)
        await stage.ready(3)
        await fleet.cancel("delete-unready")
        await fleet.cancel("delete")
        await fleet.result()
    return fleet


async def taken_over(stage: Stage) -> Fleet:
    """Have a worker leave its shards to another, which cancels none and makes none anew."""
    fleet = await stage.launch(9, shard_size=3)
    async with stage.worker():
        await stage.ready(3)
    async with stage.worker():
        await fleet.result()
    return fleet


async def cancelled_while_idle(stage: Stage) -> Fleet:
    """Cancel a fleet whose shards no worker has, though one had them: their records come along."""
    fleet = await stage.launch(9, shard_size=3)
    async with stage.worker():
        await stage.ready(3)
    await fleet.cancel("delete")
    async with stage.worker():
        await fleet.result()
    return fleet


async def cancelled_while_missed(stage: Stage) -> Fleet:
    """Cancel a fleet whose worker is dead, which the server does not know yet."""
    with (
        tempfile.TemporaryDirectory() as folder,
        workers(
            *(1, stage.server, stage.simulator, Path(folder)), "--task-queue", stage.name
        ) as processes,
    ):
        fleet = await stage.launch(9, shard_size=3, heartbeat_timeout=2.0)
        await stage.ready(3)
        processes[0].kill()
    await fleet.cancel("delete")
    async with stage.worker():
        await fleet.result()
    return fleet


async def workflow_cancelled(stage: Stage) -> Fleet:
    """Cancel the workflow, as Temporal's own tools do."""
    async with stage.worker():
        fleet = await stage.launch(9, shard_size=3)
        await stage.ready(3)
        await stage.client.get_workflow_handle(fleet.id).cancel()
        await fleet.result()
    return fleet


async def workflow_cancelled_at_once(stage: Stage) -> Fleet:
    """Cancel the workflow before anything was asked for."""
    fleet = await stage.launch(9, shard_size=3)
    await stage.client.get_workflow_handle(fleet.id).cancel()
    async with stage.worker():
        await fleet.result()
    return fleet


STORIES: Mapping[str, Callable[[Stage], Awaitable[Fleet]]] = {
    story.__name__: story
    for story in (
        finished,
        taken_over,
        cancelled,
        cancelled_while_idle,
        cancelled_while_missed,
        workflow_cancelled,
        workflow_cancelled_at_once,
    )
}


async def record(server: TemporalServer, name: str) -> None:
    """Record one."""
    async with on_stage(server, **SLOW) as stage:
        fleet = await STORIES[name](stage)
        history = await stage.client.get_workflow_handle(fleet.id).fetch_history()
    events = [json.dumps(_anonymous(event)) for event in json.loads(history.to_json())["events"]]
    lines = ",\n".join(events)  # an event a line
    (HISTORIES / f"{name}.json").write_text(f'{{"events": [\n{lines}\n]}}\n', "utf-8")


def _anonymous(value: Any) -> Any:
    """Return it without who did it, and where."""
    match value:
        case dict():
            return {key: _anonymous(value[key]) for key in value if key not in _PERSONAL}
        case list():
            return [_anonymous(each) for each in value]
    return value


def main() -> None:
    """Record all."""
    credentials = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict("os.environ", credentials),
        mock.patch("socket.gethostname", return_value="host"),
        temporal_server(Path(folder)) as server,
    ):
        for name in STORIES:
            anyio.run(record, server, name)


if __name__ == "__main__":
    main()
