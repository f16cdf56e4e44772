"""Runs a worker for a command: on the command's pace and budget, until a signal ends it."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import click

from greenroom._poller import Poller
from greenroom.cli._budget import held
from greenroom.cli._interrupt import interruptible
from greenroom.cli._printing import printable
from greenroom.cli._status import INTERRUPTED, OK
from greenroom.cli.launch._run import CREATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.abc import TaskGroup

    from greenroom.cli._kinds import Address
    from greenroom.cli._options import Pacing
    from greenroom.cli.fleet._server import Server
    from greenroom.cli.launch._providers import LaunchProvider
    from greenroom.temporal import FleetWorker


LEAVING = "leaving: shards that are under way are handed back; another signal leaves at once"


async def work(
    server: Server,
    provider: LaunchProvider,
    address: Address,
    pacing: Pacing,
    *,
    create_rate: float,
    in_flight: int,
    max_shards: int,
) -> int:
    """Work until a signal comes, and return the exit status.

    Raises:
        ConfigurationError: Temporal cannot be reached, or an argument cannot be right.
    """
    from greenroom.temporal import fleet_worker

    limiter = pacing.limiter()
    creates = pacing.limiter_of(create_rate, max(1, round(create_rate)), CREATES)
    leaving = anyio.Event()
    with _events_on_stderr(), interruptible(leaving.set) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when, leaving, tasks)
            client = await server.reached()
            tasks.cancel_scope.cancel()
        if leaving.is_set():
            return INTERRUPTED
        async with held(limiter), held(creates), provider.connect(address) as studio:
            schedule = pacing.schedule(studio.max_batch, getattr(studio, "price", None))
            async with Poller(studio, limiter=limiter, schedule=schedule) as poller:
                worker = fleet_worker(
                    client,
                    studio,
                    task_queue=server.task_queue,
                    poller=poller,
                    creates=creates,
                    max_shards=max_shards,
                    in_flight=in_flight,
                )
                where = f"{provider.name}{provider.place(address)}"
                said = f"at work on the task queue {server.task_queue}, for {where}"
                click.echo(f"greenroom: {printable(said)}", err=True)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_shut_down_when, leaving, worker)
                    await worker.run()
                    tasks.cancel_scope.cancel()
    return INTERRUPTED if leaving.is_set() or scope.cancel_called else OK


async def _cancel_when(leaving: anyio.Event, tasks: TaskGroup) -> None:
    await leaving.wait()
    tasks.cancel_scope.cancel()


async def _shut_down_when(leaving: anyio.Event, worker: FleetWorker) -> None:
    """Hand back shards while their poller is still there, and not by taking it away."""
    await leaving.wait()
    click.echo(f"greenroom: {LEAVING}", err=True)
    await worker.shutdown()


@contextmanager
def _events_on_stderr() -> Iterator[None]:
    """Say what happens to shards as other servers do: a line for each event, with its time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_about_shards)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger, level = logging.getLogger("greenroom"), logging.getLogger("greenroom").level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _about_shards(record: logging.LogRecord) -> bool:
    """Return whether an event is worth a line: sessions have theirs in the account."""
    return record.levelno >= logging.WARNING or "fleet." in record.getMessage()
