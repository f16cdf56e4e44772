"""A Redis of the test's own, that can be killed and started again where it was."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

import redis


class Server:
    """A redis-server on 127.0.0.1 at a free port, which keeps nothing on disk."""

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        assert program, "there is no redis-server here: apt-get install redis-server"
        self._folder = tempfile.TemporaryDirectory(prefix="greenroom-redis-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = (
            *(program, "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--save", "", "--appendonly", "no", "--dir", self._folder.name, *options),
        )
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                assert self.process.poll() is None, "redis-server has ended"
                assert time.monotonic() < until, "redis-server does not listen"
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """Kill it, with all it knows."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.client.close()
        self.kill()
        self._folder.cleanup()
