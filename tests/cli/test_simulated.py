"""The commands that bring a studio of their own."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.cli.conftest import Ran


def test_the_simulator_says_where_it_is_and_serves(
    spawn: Callable[..., subprocess.Popen[str]],
) -> None:
    process = spawn("simulator", "--seed", "7", "--speed", "10")
    assert process.stdout
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(f"{url}/_greenroom/settings") as answer:
        assert json.load(answer)["seed"] == 7
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not out
    assert f"export GREENROOM_ENDPOINT_URL={url}" in err
    assert "AWS_ACCESS_KEY_ID=" in err


def test_a_port_in_use_is_one_line(run: Callable[..., Ran]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("simulator", "--port", str(port))
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert f"127.0.0.1:{port}" in ran.err


def test_a_demo_tells_what_it_took(run: Callable[..., Ran]) -> None:
    ran = run("demo", "--sessions", "20", "--speed", "300")
    assert ran.status == 0
    assert ran.out.startswith("20 ready of 20; ")
    assert "one waiter each      would have made" in ran.out


def test_a_demo_as_json(run: Callable[..., Ran]) -> None:
    ran = run("demo", "--sessions", "20", "--speed", "300", "--output", "json")
    *_, summary, figures = ran.events
    assert summary["success"] == 20
    assert figures["ready"] == 20
    assert figures["calls"] < figures["waiter_calls"] / 3
    assert 0 <= figures["mean_delay"] <= figures["p99_delay"]
