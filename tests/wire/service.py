"""The service at the far end: a simulated studio behind a line, in a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal
from tests.wire.line import Line, line_to

from greenroom.simulator import Settings, Simulator, serve

SPEED = 100.0
"""Simulated seconds a second."""

DOMAIN = "greenroom.test"
"""Where the services have their names, which only the harness resolves."""

SETTINGS = Settings.from_table(
    {
        "seed": 5,
        **{each: {"median_s": 25, "sigma": 0} for each in ("create", "start", "stop", "delete")},
        "throttle": {"*": {"rate": 1e6, "burst": 1e6}},
    }
)


@dataclass
class Service:
    """What a cell does with the service, from the clients' thread.

    Attributes:
        simulator: The studio.
        line: What leads to it.
        host: Its name.
        url: Where clients find it.
        repeated: Requests that were recognised by a token that had come before.
    """

    portal: BlockingPortal
    simulator: Simulator
    line: Line
    host: str
    url: str
    repeated: int = 0

    def create(self, until: str) -> str:
        """Make a session behind the clients' back, on its way to READY or at rest."""
        return str(self.portal.call(self._create, until))

    def _create(self, until: str) -> str:
        studio, clock = self.simulator.studio, self.simulator.clock
        id_ = str(studio.create_session(clock(), launch_profile_id="lp")["sessionId"])
        if until != "CREATE_IN_PROGRESS":
            clock.advance(26)
        if until == "STOPPED":
            studio.stop_session(clock(), id_)
            clock.advance(26)
        return id_

    def stop(self, id_: str) -> None:
        """Stop a session behind the clients' back."""
        studio, clock = self.simulator.studio, self.simulator.clock
        self.portal.call(lambda: studio.stop_session(clock(), id_))

    def fail(self, faults: list[dict[str, Any]]) -> None:
        """Let requests go wrong from now on."""
        self.portal.call(self.simulator.configure, {"faults": faults})

    def elapsed(self) -> float:
        """Return the simulated seconds since its start."""
        return self.simulator.clock() - self.simulator.clock.started

    def truth(self) -> dict[str, list[str]]:
        """Return the states that each session has truly been in."""
        truth = self.portal.call(self.simulator.truth)
        return {id_: [change.state for change in changes] for id_, changes in truth.items()}

    def idle(self) -> None:
        """Wait until no client holds a connection; TimeoutError if one is never let go of."""
        self.portal.call(asyncio.wait_for, self.line.idle(), 5)

    def count_repeated(self) -> None:
        """Count from now on what a token was recognised for."""
        requests = self.simulator.studio._requests
        recognise = requests.repeated

        def repeated(*asked: Any) -> Any:
            subject = recognise(*asked)
            self.repeated += subject is not None
            return subject

        requests.repeated = repeated  # type: ignore[method-assign]


@contextmanager
def service(portal: BlockingPortal, certificate: Path | None = None) -> Iterator[Service]:
    """Run a service of its own for a cell."""
    with portal.wrap_async_context_manager(_running(certificate)) as (simulator, line):
        scheme = "http" if certificate is None else "https"
        host = f"studio-{line.port}.{DOMAIN}"
        running = Service(portal, simulator, line, host, f"{scheme}://{host}:{line.port}")
        running.count_repeated()
        yield running


@asynccontextmanager
async def _running(certificate: Path | None) -> AsyncIterator[tuple[Simulator, Line]]:
    async with (
        serve(SETTINGS, speed=SPEED) as simulator,
        line_to(simulator.url, certificate) as line,
    ):
        yield simulator, line
