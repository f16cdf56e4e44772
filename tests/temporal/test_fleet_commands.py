"""The commands about fleets, as people type them: worker, launch, status, cancel."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from tests.temporal.servers import (
    TemporalServer,
    environment,
    free_port,
    temporal_server,
    workers,
)

from greenroom.cli import main
from greenroom.simulator import Settings, Simulator, serve


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        serving = serve(Settings.from_table({"seed": 7, "create": {"median_s": 100}}), speed=100)
        yield stack.enter_context(portal.wrap_async_context_manager(serving))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    with temporal_server(tmp_path_factory.mktemp("temporal")) as server:
        yield server


def greenroom(server: TemporalServer, simulator: Simulator, *args: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "greenroom", "fleet", *args, "--address", server.address],
        env=environment(simulator),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def told(server: TemporalServer, simulator: Simulator, fleet: str) -> str:
    return str(greenroom(server, simulator, "status", fleet, "--output", "json").stdout)


def test_a_fleet_from_its_launch_to_its_status(
    server: TemporalServer, simulator: Simulator, tmp_path: Path
) -> None:
    launch = ("launch", "monday", "--launch-profile-id", "lp", "--count", "30")
    begun = greenroom(server, simulator, *launch, "--shard-size", "10", "--detach")
    assert (begun.returncode, begun.stdout) == (0, "")
    assert "greenroom fleet status monday" in begun.stderr

    waiting = greenroom(server, simulator, "status", "monday")
    assert "monday: 0 of 30 ready, 30 to begin (0 of 3 shards over" in waiting.stdout
    assert "3 waiting for one)" in waiting.stdout
    assert "no worker polls the task queue greenroom: greenroom worker" in waiting.stdout

    with workers(1, server, simulator, tmp_path, "--create-rate", "50", "--every", "500ms") as (
        worker,
    ):
        ended = greenroom(server, simulator, *launch, "--shard-size", "10", "--output", "json")
        assert ended.returncode == 0, ended.stderr
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        assert [line["event"] for line in lines] == ["outcome"] * 30 + ["summary"]
        assert {line["key"] for line in lines[:-1]} == {str(each) for each in range(1, 31)}
        assert (lines[-1]["total"], lines[-1]["success"]) == (30, 30)
        assert lines[-1]["calls"] > 30

        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 130
    log = (tmp_path / "worker-0.log").read_text("utf-8")
    assert "at work on the task queue greenroom, for nimble-session in" in log
    assert log.count("event='fleet.shard_over'") == 3
    assert "session.changed" not in log

    *outcomes, fleet, summary = map(json.loads, told(server, simulator, "monday").splitlines())
    assert len(outcomes) == 30
    assert fleet == {
        "event": "fleet",
        "id": "monday",
        "over": True,
        "cancelled": None,
        "deadline": fleet["deadline"],
        "task_queue": "greenroom",
        "workers": None,
        "shards": 3,
        "settled": 3,
        "running": 0,
        "deleting": 0,
        "trouble": {},
    }
    assert summary["success"] == 30

    cancelled = greenroom(server, simulator, "cancel", "monday")
    assert cancelled.returncode == 2
    assert "the fleet 'monday' is over" in cancelled.stderr
    assert "`greenroom fleet status monday --output json` lists the ids" in cancelled.stderr


def test_a_fleet_that_nobody_brings_up_is_cancelled(
    server: TemporalServer, simulator: Simulator, tmp_path: Path
) -> None:
    queue = ("--task-queue", "tuesday")
    launch = ("launch", "tuesday", "--launch-profile-id", "lp", "--count", "12", "--detach")
    assert greenroom(server, simulator, *launch, *queue).returncode == 0
    with workers(1, server, simulator, tmp_path, *queue, "--max-shards", "1") as (worker,):
        worker.send_signal(signal.SIGSTOP)
        queued = subprocess.Popen(
            [
                *(sys.executable, "-m", "greenroom", "fleet", "cancel", "tuesday"),
                *("--sessions", "delete", "--address", server.address, "--output", "json"),
            ],
            env=environment(simulator),
            stdout=subprocess.PIPE,
            text=True,
        )
        while '"cancelled": "delete"' not in told(server, simulator, "tuesday"):
            pass
        worker.send_signal(signal.SIGCONT)
        out, _ = queued.communicate(timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert queued.returncode == 0
    assert {line["verdict"] for line in lines[:-1]} == {"cancelled"}
    assert lines[-1]["cancelled"] == 12


def test_nothing_there_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "status", "x", "--address", f"127.0.0.1:{free_port()}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no Temporal server answers at 127.0.0.1" in said
    assert ": Connection refused; name it by --address or TEMPORAL_ADDRESS" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["launch", "x"], "say what to launch: --count N of one kind, or --spec FILE"),
        (["launch", "x", "--count", "3"], "--count needs --launch-profile-id ID"),
        (["launch", "x", "lunch", "--count", "3"], "'lunch' cannot be launched"),
        (["cancel", "x", "--sessions", "burn"], "'burn' is not one of"),
    ],
)
def test_bad_usage_is_said_before_any_call(
    capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert main(["fleet", *args]) == 2
    assert said in capsys.readouterr().err
