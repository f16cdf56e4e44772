"""Fleets on Temporal's development server, brought up by workers in this process."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from tests.temporal.servers import TemporalServer, temporal_server

import greenroom
from greenroom import ConfigurationError, Deletion, LaunchPolicy, LaunchReport, SpecError, Verdict
from greenroom.simulator import Settings, Simulator, serve
from greenroom.sources import nimble
from greenroom.temporal import Fleet, FleetWorker, fleet_worker, get_fleet, launch_fleet

SPEED = 200.0
ENDS_IN = 60.0
QUICK = LaunchPolicy(canary=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    with temporal_server(tmp_path_factory.mktemp("temporal")) as server:
        yield server


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


@dataclass
class Stage:
    """A studio, a client, and names that nobody else has."""

    server: TemporalServer
    client: Client
    simulator: Simulator
    name: str

    @asynccontextmanager
    async def worker(self, **options: Any) -> AsyncIterator[None]:
        """Have a worker at work."""
        async with self.a_worker(**options) as worker, worker:
            yield

    @asynccontextmanager
    async def a_worker(self, **options: Any) -> AsyncIterator[FleetWorker]:
        """Have a worker that is not at work yet."""
        async with AsyncExitStack() as stack:
            studio = await stack.enter_async_context(
                nimble.connect(
                    studio_id=self.simulator.studio_id,
                    region_name="us-west-2",
                    endpoint_url=self.simulator.url,
                )
            )
            poller = await stack.enter_async_context(
                greenroom.Poller(
                    studio,
                    limiter=greenroom.RateLimiter(20, burst=20),
                    schedule=greenroom.Every(0.5),
                )
            )
            yield fleet_worker(
                await self.server.connect(),  # one client has one worker of a queue
                studio,
                poller=poller,
                creates=greenroom.RateLimiter(100, burst=10),
                task_queue=self.name,
                **options,
            )

    async def launch(self, count: int, **options: Any) -> Fleet:
        """Begin a fleet."""
        specs = [{"key": f"ws-{each}", "launch_profile_id": "lp"} for each in range(count)]
        given = {"id": self.name, "task_queue": self.name, "shard_size": 25, "policy": QUICK}
        return await launch_fleet(self.client, specs, **given | options)

    def states(self) -> Counter[str]:
        """Return the sessions that there are, by state."""
        return Counter(changes[-1].state for changes in self.simulator.truth().values())

    async def made(self, count: int) -> None:
        """Wait until so many sessions were made."""
        while len(self.simulator.truth()) < count:  # noqa: ASYNC110  # the studio tells nobody
            await anyio.sleep(0.02)

    async def pending(self, state: PendingActivityState.ValueType) -> None:
        """Wait until the first shard is in such a state on the server."""
        handle = self.client.get_workflow_handle(self.name)
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if [each.state for each in pending][:1] == [state]:
                return
            await anyio.sleep(0.02)

    def all_accounted_for(self, report: LaunchReport) -> bool:
        """Return whether the account names every session that there is, and each once."""
        named = [str(each.id) for result in report.values() for each in result.attempts if each.id]
        return sorted(named) == sorted(self.simulator.truth())

    async def ready(self, count: int) -> None:
        """Wait until so many sessions are READY."""
        while self.states()["READY"] < count:  # noqa: ASYNC110  # the studio tells nobody
            await anyio.sleep(0.02)


@asynccontextmanager
async def on_stage(server: TemporalServer, **settings: Any) -> AsyncIterator[Stage]:
    with anyio.fail_after(ENDS_IN):
        async with serve(Settings.from_table({"seed": 5, **settings}), speed=SPEED) as simulator:
            name = f"fleet-{secrets.token_hex(4)}"
            yield Stage(server, await server.connect(), simulator, name)


@pytest.mark.asyncio
async def test_a_fleet_is_brought_up_and_the_same_id_is_the_same_fleet(
    server: TemporalServer,
) -> None:
    async with on_stage(server) as stage:
        fleet = await stage.launch(60)
        waiting = await fleet.status()
        assert (waiting.shards, waiting.settled, waiting.over) == (3, 0, False)
        assert {result.verdict for result in waiting.report.values()} == {Verdict.PENDING}
        async with stage.worker():
            again = await stage.launch(60)
            report = await fleet.result()
            assert (await again.result()).keys() == report.keys()
        assert len(report.succeeded) == 60
        assert {result.id for result in report.values()} == stage.simulator.truth().keys()
        assert report.calls == sum(stage.simulator.statistics().calls.values())
        over = await (await stage.launch(60)).status()
        assert (over.settled, over.over, over.running) == (3, True, 0)
        assert not over.report.running


@pytest.mark.asyncio
async def test_an_id_that_is_another_fleet_s_is_refused(server: TemporalServer) -> None:
    async with on_stage(server) as stage:
        await stage.launch(10)
        with pytest.raises(SpecError, match="of other workstations or of other shards"):
            await stage.launch(11)
        with pytest.raises(ConfigurationError, match="there is no fleet 'none-such'"):
            await get_fleet(stage.client, "none-such").status()
        await stage.client.start_workflow("else", id=f"{stage.name}-2", task_queue="none")
        with pytest.raises(ConfigurationError, match="is a workflow 'else', and no fleet"):
            await get_fleet(stage.client, f"{stage.name}-2").status()


@pytest.mark.asyncio
async def test_failures_stand_in_the_account_with_their_causes(server: TemporalServer) -> None:
    failing = {"create": {"failures": {"INITIALIZATION_SCRIPT_ERROR": 0.2}}}
    async with on_stage(server, **failing) as stage, stage.worker():
        policy = LaunchPolicy(canary=0, breaker=50, on_failure="delete")
        report = await (await stage.launch(50, policy=policy)).result()
        failed = report.by_cause["INITIALIZATION_SCRIPT_ERROR"]
        assert len(report.succeeded) + len(failed) == 50
        assert failed[0].advice
        assert stage.states()["READY"] == len(report.succeeded)
        assert {each.attempts[-1].deletion for each in failed} == {Deletion.DONE}


@pytest.mark.asyncio
async def test_a_worker_leaves_alone_what_is_for_another_place(server: TemporalServer) -> None:
    async with on_stage(server) as stage:
        fleet = await stage.launch(5, place="us-west-2-elsewhere")
        async with stage.worker():
            while not (status := await fleet.status()).trouble:  # noqa: ASYNC110  # as people look
                await anyio.sleep(0.1)
        assert "this worker is for nimble-session in" in status.trouble[0]
        assert "the fleet for nimble-session in us-west-2-elsewhere" in status.trouble[0]
        assert not stage.simulator.truth()


@pytest.mark.asyncio
async def test_a_worker_that_leaves_hands_its_shards_back_at_once(server: TemporalServer) -> None:
    async with on_stage(server, create={"median_s": 900}) as stage:
        fleet = await stage.launch(50, heartbeat_timeout=300.0)
        async with stage.worker():
            await stage.made(50)
        async with stage.worker():
            report = await fleet.result()
        assert len(report.succeeded) == 50
        assert len(stage.simulator.truth()) == 50


@pytest.mark.asyncio
async def test_a_worker_that_is_cancelled_with_its_poller_takes_no_workstation_along(
    server: TemporalServer,
) -> None:
    async with on_stage(server, create={"median_s": 600}) as stage:
        fleet = await stage.launch(50, heartbeat_timeout=300.0)

        async def at_work() -> None:
            async with (
                nimble.connect(
                    studio_id=stage.simulator.studio_id,
                    region_name="us-west-2",
                    endpoint_url=stage.simulator.url,
                ) as studio,
                greenroom.Poller(studio) as poller,
            ):
                creates = greenroom.RateLimiter(100, burst=10)
                client = await stage.server.connect()
                worker = fleet_worker(
                    client, studio, poller=poller, creates=creates, task_queue=stage.name
                )
                await worker.run()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(at_work)
            await stage.made(50)
            tasks.cancel_scope.cancel()
        async with stage.worker():
            report = await fleet.result()
        assert len(report.succeeded) == 50
        assert len(stage.simulator.truth()) == 50


@pytest.mark.parametrize("sessions", ["keep", "delete"])
@pytest.mark.asyncio
async def test_a_cancelled_fleet_keeps_or_deletes_its_sessions(
    server: TemporalServer, sessions: Any
) -> None:
    slow = {"create": {"median_s": 400, "sigma": 0.8}, "delete": {"median_s": 20}}
    async with on_stage(server, **slow) as stage, stage.worker():
        fleet = await stage.launch(50)
        await stage.ready(10)
        await fleet.cancel(sessions)
        report = await fleet.result()
        status = await fleet.status()
        assert (status.over, status.cancelled) == (True, sessions)
        states, kept = stage.states(), len(report.succeeded)
        assert len(stage.simulator.truth()) <= 50
        assert kept + len(report.failed) == 50
        if sessions == "keep":
            assert states["DELETED"] == 0
        else:
            assert (kept, states.keys()) == (0, {"DELETED"})
        with pytest.raises(ConfigurationError, match="is over: there is nothing to cancel"):
            await fleet.cancel()


@pytest.mark.asyncio
async def test_a_fleet_that_nobody_brings_up_can_be_cancelled(server: TemporalServer) -> None:
    async with on_stage(server) as stage:
        fleet = await stage.launch(30)
        await fleet.cancel("delete")
        async with stage.worker():
            report = await fleet.result()
        assert {result.verdict for result in report.values()} == {Verdict.CANCELLED}
        assert not stage.simulator.truth()


@pytest.mark.asyncio
async def test_no_session_is_forgotten_by_a_worker_that_leaves_a_cancelled_fleet(
    server: TemporalServer,
) -> None:
    async with on_stage(server, create={"median_s": 900}) as stage:
        fleet = await stage.launch(30, shard_size=30, heartbeat_timeout=300.0)
        async with stage.a_worker() as worker, anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await stage.made(30)
            await fleet.cancel("delete")
            await stage.pending(PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED)
            tasks.cancel_scope.cancel()
        async with stage.worker():
            report = await fleet.result()
        assert stage.all_accounted_for(report)
        assert stage.states() == {"DELETED": 30}


@pytest.mark.asyncio
async def test_to_cancel_the_workflow_is_to_cancel_the_fleet(server: TemporalServer) -> None:
    async with on_stage(server, create={"median_s": 4000}) as stage, stage.worker():
        fleet = await stage.launch(30)
        await stage.made(30)
        await stage.client.get_workflow_handle(fleet.id).cancel()
        report = await fleet.result()
        assert {result.verdict for result in report.values()} == {Verdict.CANCELLED}
        assert (await fleet.status()).cancelled == "keep"
        assert stage.states() == {"CREATE_IN_PROGRESS": 30}


@pytest.mark.asyncio
async def test_sessions_of_shards_without_a_worker_are_named_however_it_is_cancelled(
    server: TemporalServer,
) -> None:
    async with on_stage(server, create={"median_s": 4000}) as stage:
        fleet = await stage.launch(20, shard_size=10)
        async with stage.worker():
            await stage.made(20)
        await stage.client.get_workflow_handle(fleet.id).cancel()  # as Temporal's own tools do
        async with stage.worker(max_shards=1):
            report = await fleet.result()
        assert {result.id for result in report.values()} == stage.simulator.truth().keys()


@pytest.mark.asyncio
async def test_a_terminated_fleet_s_account_names_its_sessions(server: TemporalServer) -> None:
    async with on_stage(server, create={"median_s": 4000}) as stage:
        async with stage.worker():
            fleet = await stage.launch(30)
            await stage.made(30)
        await stage.client.get_workflow_handle(fleet.id).terminate()
        status = await fleet.status()
        assert (status.over, status.running) == (True, 0)
        assert stage.all_accounted_for(status.report)


@pytest.mark.asyncio
async def test_a_deadline_holds_for_all_shards(server: TemporalServer) -> None:
    async with on_stage(server, create={"median_s": 1e6}) as stage, stage.worker():
        report = await (await stage.launch(30, policy=LaunchPolicy(timeout=3, canary=0))).result()
        assert len(report.timed_out) == 30


@pytest.mark.asyncio
async def test_the_workflow_answers_a_query_for_those_who_look_there(
    server: TemporalServer,
) -> None:
    async with on_stage(server) as stage, stage.worker():
        fleet = await stage.launch(30)
        await fleet.result()
        told = await stage.client.get_workflow_handle(fleet.id).query("status")
        assert told == {
            "shards": 2,
            "settled": 2,
            "counts": {"success": 30},
            "cancelled": None,
            "lost": {},
        }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "id='' must be a text"),
        ({"shard_size": 0}, "shard_size=0 must be a whole number"),
        ({"shard_size": 501}, "shard_size=501 must be at most 500"),
        ({"heartbeat_timeout": 0.5}, "heartbeat_timeout=0.5 must be at least 1 s"),
        ({"policy": LaunchPolicy(stream=True)}, "a fleet makes no streams"),
        ({"policy": "quick"}, r"policy='quick' must be a LaunchPolicy\(...\)"),
        ({"policy": LaunchPolicy(until="ok")}, "until='ok': a launch of nimble-session"),
        ({"kind": "desk"}, "nothing is known of launches of 'desk'"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_right_is_refused_before_any_call(
    server: TemporalServer, wrong: dict[str, Any], said: str
) -> None:
    given = {"id": "never", **wrong}
    client = await Client.connect(server.address, lazy=True)
    with pytest.raises(ConfigurationError, match=said):
        await launch_fleet(client, [{"key": "a", "launch_profile_id": "lp"}], **given)
    with pytest.raises(ConfigurationError, match="must be a client of Temporal"):
        await launch_fleet(None, [], id="never")  # type: ignore[arg-type]  # the point
