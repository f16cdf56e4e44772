"""A worker: one process that brings up shards, of whichever fleets, on one poller and one budget.

Temporal's library cancels an activity for several reasons. Where the fleet was cancelled the shard
is asked to come to its end, and its calls are seen through. Where this worker shuts down it is left
at once, and somebody else goes on. And where the library has heard no heartbeat of its own it gives
the activity up by itself, and reports nothing of it any more. It hears none (`_lease`): so the
shard goes on, and what comes of it is told to the server directly.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import anyio
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from greenroom import _arguments, _log
from greenroom._errors import ConfigurationError, GreenroomError
from greenroom._launch._groups import ungrouped
from greenroom._launch._launch import CREATES_PER_SECOND
from greenroom._launch._policy import LaunchPolicy
from greenroom._launch._provider import Provider, kind_of, place_of
from greenroom._limiter import Limiter, RateLimiter
from greenroom._poller import Poller
from greenroom.temporal._history import pending_records, shard_of
from greenroom.temporal._lease import Lease, LeaseLost
from greenroom.temporal._orders import END, LAUNCH, PENDING, ShardOrder, ShardResult, by_size
from greenroom.temporal._shard import Desk, Shard
from greenroom.temporal._workflow import FleetWorkflow

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._remedies import Remedy
    from greenroom._schedule import Schedule

TASK_QUEUE = "greenroom"
"""The task queue where none is named."""

ELSEWHERE = 10.0
"""Seconds after which a shard that a worker cannot bring up is offered again."""

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("greenroom")
)
"""How the workflow runs, here and where it is replayed: with greenroom imported once for all."""


def fleet_worker(
    client: Client,
    studio: Provider,
    *,
    task_queue: str = TASK_QUEUE,
    poller: Poller | None = None,
    creates: Limiter | None = None,
    max_shards: int = 50,
    in_flight: int = 10,
    backoff: Schedule | None = None,
    remedies: Mapping[str, Remedy] | None = None,
) -> FleetWorker:
    """Return a worker that brings up shards of fleets, to be run on every host that launches.

        async with nimble.connect(studio_id=..., endpoint_url=...) as studio:
            await fleet_worker(client, studio).run()

    Args:
        client: A connected client of Temporal.
        studio: Where sessions are made, as `nimble.connect` or `ec2.connect` yields it. Fleets of
            another kind or place are left to other workers.
        task_queue: The task queue of the fleets.
        poller: An open poller of `studio`, whose limiter is the budget of reads; None for one of
            its own.
        creates: The budget of every call that creates or deletes; None for one of its own of 5
            calls per second. Where several hosts share a quota, a `SharedRateLimiter`.
        max_shards: Most shards at once.
        in_flight: Most calls of one shard at the same time that create or delete.
        backoff: How long to pause before a create that failed for want of something is tried
            again; None for the usual.
        remedies: Rows that take the place of those of the kind, or are added, by cause.

    Raises:
        ConfigurationError: An argument cannot be right.
    """
    return FleetWorker(
        client,
        studio,
        task_queue=_arguments.text("task_queue", task_queue),
        poller=poller,
        creates=creates,
        max_shards=_arguments.count("max_shards", max_shards),
        policy=_of_worker(in_flight=in_flight, backoff=backoff, remedies=remedies),
    )


def _of_worker(**given: Any) -> Mapping[str, Any]:
    """Return what a worker says of the policy, checked."""
    said = {name: value for name, value in given.items() if value is not None}
    LaunchPolicy(**said)
    return said


class FleetWorker:
    """A worker for fleets: `await worker.run()`, or an async context manager around other things.

    Made by `fleet_worker`.
    """

    def __init__(
        self,
        client: Client,
        studio: Provider,
        *,
        task_queue: str,
        poller: Poller | None,
        creates: Limiter | None,
        max_shards: int,
        policy: Mapping[str, Any],
    ) -> None:
        if not isinstance(client, Client):
            raise ConfigurationError(
                f"client={client!r} must be a client of Temporal: await Client.connect(address)"
            )
        if not isinstance(poller, Poller | None):
            raise ConfigurationError(f"poller={poller!r} must be a Poller(studio), or None")
        self._kind, self._place = kind_of(studio), place_of(studio)
        self._client = client
        self._studio = studio
        self._task_queue = task_queue
        self._poller = poller
        self._creates = (
            RateLimiter(CREATES_PER_SECOND, burst=5)
            if creates is None
            else _arguments.limiter("creates", creates)
        )
        self._max_shards = max_shards
        self._policy = policy
        self._stack = AsyncExitStack()
        self._desk: Desk | None = None
        self._worker: Worker | None = None

    async def run(self) -> None:
        """Work until cancelled, or until `shutdown` is called; shards are then handed back.

        Raises:
            PollerClosed: The poller is not open.
            RuntimeError: The server cannot be reached.
        """
        async with self._at_desk() as worker:
            running = asyncio.create_task(worker.run())
            try:
                await asyncio.wait({running})
            finally:
                with anyio.CancelScope(shield=True):  # or shards would not be handed back
                    await worker.shutdown()
                    await asyncio.wait({running})
            running.result()

    async def shutdown(self) -> None:
        """Take no more shards, and hand back those that are under way."""
        if self._worker is not None:
            await self._worker.shutdown()

    async def __aenter__(self) -> Self:
        worker = await self._stack.enter_async_context(self._at_desk())
        await self._stack.enter_async_context(worker)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._stack.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _at_desk(self) -> AsyncIterator[Worker]:
        async with AsyncExitStack() as stack:
            poller = self._poller
            if poller is None:
                poller = await stack.enter_async_context(Poller(self._studio))
            poller.check_open()
            checks = {
                check.until: await stack.enter_async_context(
                    Poller(check.source(self._studio), limiter=poller.limiter)
                )
                for check in self._kind.checks
            }
            self._desk = Desk(
                name=f"{os.getpid()}@{socket.gethostname()}-{secrets.token_hex(4)}",
                studio=self._studio,
                poller=poller,
                checks=checks,
                creates=self._creates,
                policy=self._policy,
            )
            self._worker = Worker(
                self._client,
                task_queue=self._task_queue,
                workflows=[FleetWorkflow],
                activities=[
                    self._launch_shard,
                    self._end_shard,
                    Hearing(self._client).pending_records,
                ],
                workflow_runner=SANDBOX,
                max_concurrent_activities=self._max_shards,
                identity=self._desk.name,
            )
            yield self._worker

    @activity.defn(name=LAUNCH)
    async def _launch_shard(self, order: ShardOrder) -> ShardResult:
        told = activity.info().heartbeat_details
        shard = self._opened(order, told[0] if told else None)
        return await self._leased(order, shard, shard.launch)

    @activity.defn(name=END)
    async def _end_shard(self, order: ShardOrder, record: str, sessions: str) -> ShardResult:
        told = activity.info().heartbeat_details
        shard = self._opened(order, told[0] if told else record)
        return await self._leased(
            order, shard, lambda lease: shard.end(lease, ready_too=sessions == "delete")
        )

    def _opened(self, order: ShardOrder, kept: str | None) -> Shard:
        """Return the shard, if it is one for this worker.

        Raises:
            ApplicationError: It is not, or cannot be read here; it is offered again.
        """
        assert self._desk is not None
        plan = order.plan
        here = (self._kind.name, self._place)
        if plan.kind != self._kind.name or plan.place not in (None, self._place):
            raise _elsewhere(
                f"this worker is for {_described(*here)}, and the fleet for "
                f"{_described(plan.kind, plan.place)}: give them different task queues"
            )
        try:
            return Shard(order, self._desk, kept)
        except (GreenroomError, ValueError) as error:
            raise _elsewhere(f"this worker cannot read the shard: {error}") from error

    async def _leased(
        self,
        order: ShardOrder,
        shard: Shard,
        work: Callable[[Lease], Awaitable[ShardResult]],
    ) -> ShardResult:
        told = _log.logger(fleet=order.fleet_id, shard=order.number)
        told.info("fleet.shard_taken", attempt=activity.info().attempt)
        handle = self._client.get_async_activity_handle(task_token=activity.info().task_token)
        lease = Lease(handle, shard.details, order.plan.heartbeat_timeout / 3, shard.stop)
        scope = anyio.CancelScope()

        async def working() -> ShardResult | None:
            result = None
            with scope, ungrouped():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_keep, lease, scope)
                    tasks.start_soon(_leave_with_the_worker, lease, scope)
                    result = await work(lease)
                    tasks.cancel_scope.cancel()
            return result

        # A task of its own, for the library cancels this one also where the shard is to go on.
        task, given_up = asyncio.create_task(working()), False
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                why = activity.cancellation_details()
                if why is not None and why.cancel_requested:
                    shard.stop()
                elif why is not None and why.timed_out:
                    given_up = True  # it does not see our heartbeats; the server does
                else:
                    lease.leave()
                    scope.cancel()
        try:
            result = _result_of(task, shard)
        except ApplicationError as error:
            told.info("fleet.shard_left", why=error.message)
            if given_up:
                await handle.fail(error)
            raise
        told.info("fleet.shard_over", **result.counts)
        if given_up:
            await handle.complete(result)
        return result


def _result_of(task: asyncio.Task[ShardResult | None], shard: Shard) -> ShardResult:
    """Return what came of a shard.

    Raises:
        ApplicationError: It was left, and is offered to others. The error carries the record, for a
            cancelled fleet offers it to nobody else, and forgets what heartbeats told.
    """
    try:
        result = task.result()
    except LeaseLost:
        result = None
    except GreenroomError as error:
        raise _elsewhere(str(error), shard.details()) from error
    if result is None:
        raise ApplicationError(
            "its worker left",
            shard.details(),
            type="LeaseLost",
            category=ApplicationErrorCategory.BENIGN,
        )
    return result


class Hearing:
    """The activity by which a fleet learns what the heartbeats of its shards told.

    Args:
        client: The worker's.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name=PENDING)
    async def pending_records(self, known: list[int]) -> dict[int, str]:
        """Return the records of shards that are not over, but for those known.

        As many as fit into a message; none where there are no more.
        """
        workflow_id, run_id = activity.info().workflow_id, activity.info().workflow_run_id
        assert workflow_id is not None
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        told = await pending_records(await handle.describe(), self._client.data_converter)
        records = {shard_of(name): record for name, record in told.items()}
        unknown = {number: records[number] for number in sorted(records.keys() - set(known))}
        return next(by_size(unknown), {})


async def _keep(lease: Lease, scope: anyio.CancelScope) -> None:
    try:
        await lease.keep()
    except LeaseLost:
        scope.cancel()


async def _leave_with_the_worker(lease: Lease, scope: anyio.CancelScope) -> None:
    await activity.wait_for_worker_shutdown()
    lease.leave()
    scope.cancel()


def _elsewhere(message: str, *record: str) -> ApplicationError:
    return ApplicationError(
        message,
        *record,
        type="Elsewhere",
        next_retry_delay=timedelta(seconds=ELSEWHERE),
        category=ApplicationErrorCategory.BENIGN,  # it is said in our own log
    )


def _described(kind: str, place: str | None) -> str:
    return kind if place is None else f"{kind} in {place}"
