"""A cell of the table: one operation under one fault, played and judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
from aiobotocore.session import AioSession
from anyio.from_thread import BlockingPortal
from tests.wire.faults import Fault
from tests.wire.operations import READS, Operation, Seen
from tests.wire.service import Service, service

from greenroom import SourceError
from greenroom.sources import _aws, nimble


class Failures:
    """The calls of one client that did not bring what was asked for.

    Args:
        studio: The source; what it can do is replaced by the same, counted.
    """

    def __init__(self, studio: nimble.StreamingSessions) -> None:
        self.count = 0
        self._more = anyio.Event()
        for name in ("create", "start", "stop", "delete"):
            self._observe(studio, f"{name}_session")
        self._observe(studio, "describe_pages")

    def _observe(self, studio: nimble.StreamingSessions, name: str) -> None:
        method: Callable[..., Awaitable[Any]] = getattr(studio, name)

        async def observed(*args: Any, **options: Any) -> Any:
            try:
                answer = await method(*args, **options)
            except SourceError:
                self._add()
                raise
            if name == "describe_pages" and len(answer) < len(args[0]):
                self._add()
            return answer

        setattr(studio, name, observed)

    def _add(self) -> None:
        self.count += 1
        self._more.set()

    async def reach(self, count: int) -> None:
        """Wait until there were so many."""
        while self.count < count:
            self._more = anyio.Event()
            await self._more.wait()


async def play(
    kind: type[Operation],
    fault: Fault,
    portal: BlockingPortal,
    certificate: Path,
    folder: Path,
    session: AioSession,
) -> str:
    """Play a cell, and return in a few words what it did.

    Raises:
        AssertionError: Something was lost, doubled, wrong, or left open.
    """
    with service(portal, certificate if fault.tls else None) as running:
        operation = kind(running, folder)
        async with nimble.connect(
            studio_id=running.simulator.studio_id,
            region_name="us-west-2",
            endpoint_url=running.url,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
            session=session,
        ) as studio:
            if fault.connected:
                await studio.describe(["nobody"])
            failures = Failures(studio)
            fault.strike(running, (*READS, *operation.writes))
            async with anyio.create_task_group() as tasks:
                if fault.mend is not None:
                    tasks.start_soon(_mend, fault.mend, running, failures)
                seen = await operation.run(studio)
                tasks.cancel_scope.cancel()
            assert running.line.standing() <= _aws.MAX_CONNECTIONS
        running.idle()
        operation.judge(running.truth(), done=not seen.errors)
        return words(fault, operation, seen, failures.count)


async def _mend(mend: Callable[[Service], object], running: Service, failures: Failures) -> None:
    await failures.reach(2)
    mend(running)


def words(fault: Fault, operation: Operation, seen: Seen, failures: int) -> str:
    """Return what a cell did, in the words of the table."""
    if seen.errors:
        assert seen.errors == {fault.case}
        return "ends: refused"
    if seen.held:
        return "held, then retried"
    if seen.anew:
        return "asked anew"
    if operation.service.repeated:
        return f"retried, {operation.once}"
    return "retried" if failures else "not affected"
