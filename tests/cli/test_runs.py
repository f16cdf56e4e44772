"""The polling commands against a simulated studio on 127.0.0.1, and against nobody."""

from __future__ import annotations

import json
import signal
import socket
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Create = Callable[..., list[str]]
    Run = Callable[..., Ran]
    Spawn = Callable[..., subprocess.Popen[str]]

TRANSITION = ["event", "id", "before", "after", "reason", "at", "elapsed"]
OUTCOME = ["event", "id", "verdict", "state", "reason", "message", "elapsed", "reads"]
COUNTS = ["success", "failure", "unreachable", "missing", "timeout", "error", "cancelled"]
SUMMARY = ["event", "total", *COUNTS, "calls", "throttled", "elapsed"]

FAST = ("--every", "50ms", "--rate", "100")


def _wait(*args: str) -> tuple[str, ...]:
    return ("wait", "nimble-session", *args, "--until", "READY", *FAST)


def test_all_become_ready(studio: Start, create: Create, run: Run, tmp_path: Path) -> None:
    first, *others = create(studio(), 3)
    file = tmp_path / "ids.txt"
    file.write_text("\n".join((first, *others)))
    ran = run(*_wait(first, "--ids-from", str(file)))
    assert ran.status == 0
    assert ran.out.startswith("3 succeeded of 3; ")
    assert not ran.err


def test_json_lines_are_the_contract(studio: Start, create: Create, run: Run) -> None:
    ids = create(studio(), 2)
    ran = run(*_wait(*ids, "--output", "json"))
    assert ran.status == 0
    *events, summary = ran.events
    transitions = [event for event in events if event["event"] == "transition"]
    outcomes = [event for event in events if event["event"] == "outcome"]
    assert [list(event) for event in transitions] == [TRANSITION] * len(transitions)
    assert [list(event) for event in outcomes] == [OUTCOME] * 2
    assert list(summary) == SUMMARY
    assert (summary["total"], summary["success"]) == (2, 2)
    for session_id in ids:
        told = [event for event in events if event["id"] == session_id]
        assert told[0]["before"] is None
        assert [event["event"] for event in told[:-1]] == ["transition"] * (len(told) - 1)
        assert told[-2]["after"] == told[-1]["state"] == "READY"
        assert told[-1]["verdict"] == "success"
    assert transitions[0]["at"].endswith("Z")
    assert datetime.fromisoformat(transitions[0]["at"]).microsecond % 1000 == 0


def test_a_failure_is_told_with_its_reason(studio: Start, create: Create, run: Run) -> None:
    broken = {"failures": {"INSUFFICIENT_CAPACITY": 1.0}}
    ran = run(*_wait(*create(studio(create=broken))))
    assert ran.status == 1
    failure, summary = ran.out.splitlines()
    assert failure.startswith("failure: ")
    assert "INSUFFICIENT_CAPACITY" in failure
    assert summary.startswith("1 failed of 1; ")


def test_a_timeout(studio: Start, create: Create, run: Run) -> None:
    ran = run(*_wait(*create(studio(speed=1.0)), "--timeout", "200ms"))
    assert ran.status == 3
    assert "timeout: " in ran.out
    assert "CREATE_IN_PROGRESS" in ran.out


def test_a_refusal(studio: Start, create: Create, run: Run) -> None:
    denied = {"kind": "AccessDeniedException", "operation": "GetStreamingSession"}
    ran = run(*_wait(*create(studio(faults=[denied])), "--output", "json"))
    assert ran.status == 4
    assert ran.events[0]["verdict"] == "error"


def test_an_id_that_cannot_be_one_is_refused_before_any_call(studio: Start, run: Run) -> None:
    studio()
    ran = run(*_wait("good", "not/good", "a,b"))
    assert ran.status == 2
    assert "'not/good' is no id of a nimble-session" in ran.err
    assert "(and 1 more)" in ran.err


def test_changes_are_told_on_request(studio: Start, create: Create, run: Run) -> None:
    (session_id,) = create(studio())
    ran = run(*_wait(session_id, "--verbose"))
    assert ran.status == 0
    assert f"{session_id}  (first seen) -> " in ran.err
    assert "READY" in ran.err


@pytest.mark.usefixtures("credentials")
def test_an_endpoint_where_nobody_answers_is_an_outage(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    where = ("--endpoint-url", url, "--studio-id", "s")
    ran = run(*_wait("s-1", *where, "--timeout", "600ms"))
    assert ran.status == 3
    assert ran.err.startswith("greenroom: no answer, trying on: ")
    assert ran.err.count("\n") == 1
    assert url in ran.err


def test_a_recovery_is_told(studio: Start, create: Create, run: Run) -> None:
    away = [
        {"kind": "html", "operation": f"{call}StreamingSession{s}", "times": 2}
        for call, s in (("List", "s"), ("Get", ""))
    ]
    ran = run(*_wait(*create(studio(faults=away))))
    assert ran.status == 0
    began, ended = ran.err.splitlines()
    assert began.startswith("greenroom: no answer, trying on: ")
    assert ended.startswith("greenroom: the service answers again, after ")


def test_get_as_text_and_json(studio: Start, create: Create, run: Run) -> None:
    ids = create(studio(speed=1.0), 2)
    ran = run("get", "nimble-session", *ids)
    assert ran.status == 0
    assert ran.out == "".join(
        f"{each}  CREATE_IN_PROGRESS  STREAMING_SESSION_CREATE_IN_PROGRESS\n" for each in ids
    )
    ran = run("get", "nimble-session", *ids, "--output", "json")
    assert [resource["sessionId"] for resource in ran.events] == ids
    assert ran.events[0]["createdAt"].endswith("Z")


def test_get_of_a_session_that_is_not_there(studio: Start, create: Create, run: Run) -> None:
    (session_id,) = create(studio())
    ran = run("get", "nimble-session", "nobody", session_id)
    assert ran.status == 1
    assert ran.out.startswith(session_id)
    assert ran.err == "greenroom: nobody does not exist\n"


def test_get_of_another_kind(studio: Start, run: Run) -> None:
    studio()
    ran = run("get", "nimble-launch-profile", "lp-1")
    assert (ran.status, ran.out) == (0, "lp-1  READY\n")


def test_an_interrupted_wait_accounts_for_everyone(
    studio: Start, create: Create, spawn: Spawn
) -> None:
    ids = create(studio(speed=1.0), 3)
    process = spawn(*_wait(*ids, "--output", "json"))
    assert process.stdout
    for _ in ids:
        assert json.loads(process.stdout.readline())["event"] == "transition"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    *outcomes, summary = map(json.loads, out.splitlines())
    assert process.returncode == 130
    assert [event["verdict"] for event in outcomes] == ["cancelled"] * 3
    assert summary["cancelled"] == 3
    assert not err


def test_a_watch_ends_with_ctrl_c_and_a_summary(
    studio: Start, create: Create, spawn: Spawn
) -> None:
    (session_id,) = create(studio())
    process = spawn("watch", "nimble-session", session_id, *FAST)
    assert process.stdout
    line = process.stdout.readline()
    while "READY" not in line:
        assert session_id in line
        line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "changes of 1 watched; " in out
    assert not err


def test_a_watch_that_is_refused_ends(studio: Start, create: Create, run: Run) -> None:
    ids = create(studio(faults=[{"kind": "AccessDeniedException"}]), 2)
    ran = run("watch", "nimble-session", *ids, "--output", "json")
    assert ran.status == 4
    assert [event["event"] for event in ran.events] == ["summary"]
    assert ran.events[0]["error"] == 2


def test_a_closed_pipe_is_quiet(studio: Start, create: Create, spawn: Spawn) -> None:
    ids = create(studio(), 2)
    process = spawn(*_wait(*ids, "--output", "json"))
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 141
