"""Simulated studios on 127.0.0.1, and ways to run the command line against them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

import greenroom
from greenroom.cli import main
from greenroom.simulator import Settings, Simulator, serve


@dataclass
class Ran:
    """A run of the command line in this process."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "GREENROOM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("PYTHONPATH", str(Path(greenroom.__file__).parents[1]))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")


@pytest.fixture
def studio(
    credentials: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Simulator]]:
    """Starts a studio that the command line finds by the environment."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())

        def start(*, speed: float = 1000.0, **settings: Any) -> Simulator:
            serving = serve(Settings.from_table(settings), speed=speed)
            simulator = stack.enter_context(portal.wrap_async_context_manager(serving))
            monkeypatch.setenv("GREENROOM_ENDPOINT_URL", simulator.url)
            monkeypatch.setenv("GREENROOM_STUDIO_ID", simulator.studio_id)
            return simulator

        yield start


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*args: str) -> Ran:
        status = main(args)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command line in a process of its own."""
    with ExitStack() as stack:

        def start(*args: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "greenroom", *args],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def create() -> Callable[..., list[str]]:
    """Creates sessions without asking the API."""

    def create(simulator: Simulator, count: int = 1) -> list[str]:
        return [
            simulator.studio.create_session(simulator.clock(), launch_profile_id="lp")["sessionId"]
            for _ in range(count)
        ]

    return create
