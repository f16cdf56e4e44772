"""moto's server, which answers at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer


@contextmanager
def served(*services: str) -> Iterator[str]:
    """Serve moto on 127.0.0.1 and yield its URL.

    Args:
        services: Those whose megabytes of JSON are read before: a first call that waits for it is
            answered too late on a busy machine.
    """
    for service in services:
        get_backend(service)[DEFAULT_ACCOUNT_ID]["us-west-2"]
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
