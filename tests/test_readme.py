"""The README's examples, executed; its commands, looked up."""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
import tomllib
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
from aiobotocore.session import get_session
from tests.moto_server import served
from tests.shared_budget.server import Server
from tests.temporal.servers import temporal_server

import greenroom
from greenroom import Verdict, otel
from greenroom.simulator import Settings, serve
from greenroom.sources import ec2, nimble
from greenroom.testing import ScriptedSource, run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = Settings.from_table({"create": {"median_s": 20, "sigma": 0.2}, "seed": 3})


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def examples(monkeypatch):
    """Everything that the README's Python defines, with credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "simulated")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "simulated")
    namespace = {"__name__": "readme"}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"README.md, example {number}", "exec"), namespace)
    return namespace


async def create(url, count):
    async with nimble.connect(
        studio_id="us-west-2-abc", region_name="us-west-2", endpoint_url=url
    ) as sessions:
        created = [
            await sessions.client.create_streaming_session(
                studioId="us-west-2-abc", launchProfileId="lp-1"
            )
            for _ in range(count)
        ]
    return [each["session"]["sessionId"] for each in created]


@pytest.mark.asyncio
async def test_waiting_for_one_and_for_many_works_as_written(examples, capsys):
    async with serve(QUICK, speed=50) as simulator:
        ids = await create(simulator.url, 12)
        await examples["one"](simulator.url, ids[0])
        assert f"{ids[0]} is READY since" in capsys.readouterr().out
        results = await examples["many"](simulator.url, ids)
    assert len(results.succeeded) == 12
    assert f"{ids[3]} is ready" in capsys.readouterr().out


def test_waiting_without_an_event_loop_works_as_written(examples, capsys):
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(QUICK, speed=50)) as simulator,
    ):
        ids = portal.call(create, simulator.url, 12)
        results = examples["without_a_loop"](simulator.url, ids)
    assert len(results.succeeded) == 12
    assert f"{ids[3]} is ready" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_sharing_a_budget_works_as_written(examples):
    source = ScriptedSource({"s-1": [(0, "READY")]})
    with Server() as server:
        results = await examples["on_each_host"](server.url, source, ["s-1"])
        assert server.client.exists("greenroom:budget:studio-reads")
    assert len(results.succeeded) == 1


@pytest.mark.asyncio
async def test_launching_works_as_written(examples, tmp_path, capsys):
    settings = QUICK.merged({"create": {"failures": {"INITIALIZATION_SCRIPT_ERROR": 0.2}}})
    async with serve(settings, speed=100) as simulator:
        report = await examples["desks"](simulator.url, tmp_path / "run.db")
    assert len(report) == 12
    assert len(report.succeeded) + len(report.failed) == 12
    assert "failed by INITIALIZATION_SCRIPT_ERROR Mend the" in capsys.readouterr().out
    assert greenroom.read_report(tmp_path / "run.db").keys() == report.keys()


@pytest.mark.asyncio
async def test_following_a_launch_works_as_written(examples, capsys):
    async with (
        serve(QUICK, speed=100) as simulator,
        nimble.connect(
            studio_id="us-west-2-abc", region_name="us-west-2", endpoint_url=simulator.url
        ) as studio,
    ):
        report = await examples["follow_launch"](
            studio, [{"key": "a", "launch_profile_id": "lp-1"}]
        )
    assert [result.key for result in report.succeeded] == ["a"]
    told = capsys.readouterr().out
    for name in ("CreateIntended a", "Created a", "Changed a", "Settled a", "LaunchEnded"):
        assert name in told


def test_the_specs_shown_are_specs():
    (shown,) = blocks("json")
    specs = greenroom.read_specs(shown.splitlines(), defaults={"launch_profile_id": "lp-1"})
    assert [spec.key for spec in specs] == ["anna", "ben"]


@pytest.mark.parametrize("name", ["first_come", "follow"])
def test_iterating_works_as_written(examples, capsys, name):
    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (60, "READY")]})
        async with greenroom.Poller(source) as poller:
            with anyio.move_on_after(100):
                await examples[name](poller, ["s-1"])

    run(main)
    assert "s-1" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_a_kind_of_your_own_works_as_written(examples, tmp_path):
    path = tmp_path / "queue.db"
    with contextlib.closing(sqlite3.connect(path)) as queue, queue:
        queue.execute("CREATE TABLE job (id TEXT PRIMARY KEY, state TEXT, fault TEXT)")
        jobs = [("a", "done", None), ("b", "crashed", "OUT_OF_MEMORY")]
        queue.executemany("INSERT INTO job VALUES (?, ?, ?)", jobs)
    source = examples["RenderQueue"](path)
    async with greenroom.Poller(source, not_found_grace=0, settle=0) as poller:
        results = await poller.wait_all(["a", "b", "c"], until="done", timeout=60)
    assert [result.verdict for result in results.values()] == [
        Verdict.SUCCESS,
        Verdict.FAILURE,
        Verdict.MISSING,
    ]
    assert "the frame needs a bigger machine" in results["b"].explanation
    assert (await examples["rendered"](path, ["a"]))["a"].verdict is Verdict.SUCCESS
    with pytest.raises(greenroom.Unavailable, match="no such table"):
        await examples["RenderQueue"](tmp_path / "other.db").describe(["a"])


def test_a_kind_of_your_own_is_at_most_sixty_lines():
    (shown,) = (block for block in blocks("python") if "class RenderQueue" in block)
    assert len(shown.splitlines()) <= 60


@pytest.fixture
def moto():
    with served("ec2", "rds") as url:
        yield {"endpoint_url": url, "region_name": "us-west-2"}


@pytest.mark.asyncio
async def test_waiting_for_instances_works_as_written(examples, moto):
    async with ec2.connect(**moto) as instances:
        made = await instances.client.run_instances(ImageId="ami-1", MinCount=3, MaxCount=3)
    ids = [instance["InstanceId"] for instance in made["Instances"]]
    assert len((await examples["ready"](ids, **moto)).succeeded) == 3


@pytest.mark.asyncio
async def test_waiting_as_botocore_does_works_as_written(examples, moto):
    async with get_session().create_client("rds", **moto) as rds:
        await rds.create_db_instance(
            DBInstanceIdentifier="orchid", DBInstanceClass="db.m5.large", Engine="postgres"
        )
    results = await examples["databases"](["orchid"], **moto)
    assert [result.reason for result in results.succeeded] == ["available"]


def test_every_command_shown_exists_with_its_options(capsys):
    from greenroom.cli import main

    for line in "".join(blocks("console")).splitlines():
        command = line.removeprefix("$ ").split("&&")[-1].strip()
        if not command.startswith("greenroom "):
            continue
        name, *arguments = shlex.split(command)[1:]
        named = [name, arguments.pop(0)] if name == "fleet" else [name]
        assert main([*named, "--help"]) == 0
        help_ = capsys.readouterr().out
        for option in arguments:
            assert not option.startswith("--") or option in help_, (name, option)


def test_the_configuration_shown_is_one_that_the_simulator_takes():
    (shown,) = blocks("toml")
    settings = Settings.from_table(tomllib.loads(shown))
    assert settings.create.median_s == 150
    assert [fault.kind for fault in settings.faults] == ["outage"]


def test_every_file_that_is_linked_exists():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_guarantee_has_its_tests():
    part = README.split("## Guarantees\n")[1].split("\n## ")[0]
    guarantees = part.split("\n- ")[1:]
    assert len(guarantees) >= 12
    for guarantee in guarantees:
        links = re.findall(r"\[([^]]+)\]\((tests/[^)]+)\)", guarantee)
        assert links, guarantee
        for said, path in links:
            tests = re.findall(r"^ *(?:async )?def (test_\w+)", (ROOT / path).read_text(), re.M)
            assert tests, path
            named = re.findall(r"test_\w+(?!\w*\.py)", said.partition(": ")[2])
            assert set(named) <= set(tests), (path, named)


def test_every_source_file_that_is_named_exists():
    for name in re.findall(r"`(_\w+\.py)`", README):
        assert (ROOT / "src" / "greenroom" / name).exists(), name


def test_what_one_run_has_learned_helps_the_next(examples, tmp_path):
    path = tmp_path / "history.json"

    async def mornings():
        for _ in range(2):
            ids = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (200 + n, "READY")] for n in range(50)}
            await examples["next_morning"](ScriptedSource(ids), ids, path)

    run(mornings)
    assert greenroom.read_history(path).departures("nimble-session") == 100


def test_telemetry_is_switched_on_as_written(examples):
    assert greenroom.Poller(ScriptedSource({})).observer is None
    examples["observed"]()
    try:
        assert greenroom.Poller(ScriptedSource({})).observer is not None
    finally:
        otel.uninstrument()


@pytest.mark.asyncio
async def test_a_fleet_is_launched_as_written(examples, temporal):
    async with serve(QUICK, speed=50) as simulator, anyio.create_task_group() as tasks:
        tasks.start_soon(examples["at_work"], temporal.address, simulator.url)
        report = await examples["monday"](temporal.address)
        tasks.cancel_scope.cancel()
    assert len(report.succeeded) == 60


@pytest.fixture
def temporal(tmp_path):
    with temporal_server(tmp_path) as server:
        yield server
