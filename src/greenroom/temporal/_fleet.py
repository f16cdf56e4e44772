"""A fleet from outside: begun, looked at, waited for, cancelled by whoever can reach the server."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from greenroom import _arguments, _log
from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    SpecError,
    Unavailable,
)
from greenroom._launch._policy import LaunchPolicy
from greenroom._launch_kind import LaunchKind, launch_kind
from greenroom._schedule import Backoff
from greenroom._specs import SpecLike, WorkstationSpec, check_specs
from greenroom.temporal._answers import answered
from greenroom.temporal._history import HistoryReader, pending_records, reason_of, shard_of
from greenroom.temporal._orders import (
    CANCEL,
    END,
    SESSIONS,
    WORKFLOW,
    FleetProgress,
    Plan,
    Sessions,
    fingerprint,
    into_shards,
    open_shards,
    packed_policy,
)
from greenroom.temporal._status import FleetStatus, Told, status_of
from greenroom.temporal._worker import TASK_QUEUE

if TYPE_CHECKING:
    from temporalio.client import WorkflowExecutionDescription

    from greenroom._launch._report import LaunchReport

USUAL_KIND = "nimble-session"
"""What dicts are specs of where nobody says it."""

LARGEST_SHARD = 500
"""Workstations that one shard may have at most: its heartbeats are kept small."""

AGAIN = Backoff(initial=0.5, factor=2.0, ceiling=10.0, floor=0.2)
"""Seconds between two tries to hear of a fleet."""

_WITH_WORKERS = (
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
)

MEMO = "greenroom"
"""The name under which a fleet's workflow remembers what it is of."""


async def launch_fleet(
    client: Client,
    specs: Iterable[SpecLike],
    *,
    id: str,  # noqa: A002  # what everybody calls it
    shard_size: int = 100,
    policy: LaunchPolicy | None = None,
    kind: str | None = None,
    place: str | None = None,
    task_queue: str = TASK_QUEUE,
    heartbeat_timeout: float = 30.0,
) -> Fleet:
    """Have the workers of a task queue bring up many workstations, and return at once.

    The same id is the same fleet, for ever: to launch it again is to be given the one there is,
    whether it is under way or over. Client tokens derive from the id and the key, so not even a
    server that has forgotten the fleet makes anything twice. Say the day in it.

    Args:
        client: A connected client of Temporal.
        specs: What is wanted: specs of the kind, or dicts of their fields.
        id: The name of the fleet, and of its workflow.
        shard_size: Workstations that one worker brings up as one activity, 1 to 500; 25 to 100 is
            usual. What is lost with a worker is taken over shard by shard.
        policy: How to go about it. `timeout` counts from now for all shards; canary and breaker are
            each shard's own. What it says of `in_flight`, `backoff` and `remedies` is for the
            workers to say.
        kind: The kind of what is wanted, where the specs do not say it: dicts are `nimble-session`.
        place: Where it is wanted, as the provider's `place` says it: other workers leave it alone.
        task_queue: The task queue of the workers.
        heartbeat_timeout: Seconds after which a worker that was not heard of has lost its shards,
            at least 1.

    Raises:
        SpecError: Some specs cannot be right, or there is a fleet of this id with others.
        ConfigurationError: An argument cannot be right. Nothing was launched.
        AccessDenied, InvalidRequest, Unavailable: Temporal's server refuses, or does not answer.
    """
    if not isinstance(client, Client):
        raise ConfigurationError(
            f"client={client!r} must be a client of Temporal: await Client.connect(address)"
        )
    _arguments.text("id", id)
    _arguments.text("task_queue", task_queue)
    if _arguments.count("shard_size", shard_size) > LARGEST_SHARD:
        raise ConfigurationError(f"{shard_size=} must be at most {LARGEST_SHARD}; 100 is usual")
    if _arguments.seconds("heartbeat_timeout", heartbeat_timeout) < 1:
        raise ConfigurationError(f"{heartbeat_timeout=} must be at least 1 s; 30 is usual")
    given, launches = _kind_of(specs, kind)
    wanted = LaunchPolicy() if policy is None else policy
    if not isinstance(wanted, LaunchPolicy):
        raise ConfigurationError(f"policy={policy!r} must be a LaunchPolicy(...)")
    wanted.check_for(launches)
    shards = into_shards(check_specs(given, launches.spec), shard_size)
    plan = Plan(
        kind=launches.name,
        place=place,
        policy=packed_policy(wanted),
        heartbeat_timeout=float(heartbeat_timeout),
        open_shards=min(open_shards(shard_size), max(1, len(shards))),
    )
    mark = fingerprint(plan, shards)
    with answered(id), suppress(WorkflowAlreadyStartedError):  # and over
        await client.start_workflow(
            WORKFLOW,
            args=[plan, shards],
            id=id,
            task_queue=task_queue,
            memo={MEMO: mark},
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            result_type=FleetProgress,
        )
    fleet = get_fleet(client, id)
    await fleet._check_is(mark)  # noqa: SLF001  # its own
    return fleet


def get_fleet(client: Client, id: str) -> Fleet:  # noqa: A002
    """Return a fleet that was launched, by its id. Nothing is asked of the server yet."""
    return Fleet(client, _arguments.text("id", id))


class Fleet:
    """A fleet. Made by `launch_fleet` or `get_fleet`.

    Attributes:
        id: Its id.
    """

    def __init__(self, client: Client, id: str) -> None:  # noqa: A002
        self.id = id
        self._client = client
        self._handle: WorkflowHandle[Any, FleetProgress] = client.get_workflow_handle(
            id, result_type=FleetProgress
        )

    async def status(self) -> FleetStatus:
        """Return how it stands. No worker is asked: it can be looked at when all of them are gone.

        Raises:
            ConfigurationError: There is no such fleet.
            AccessDenied, InvalidRequest, Unavailable: The server refuses, or does not answer.
        """
        description = await self._described()
        told = await self._history()
        await self._take_pending(told, description)
        if told.ended_at is None:
            with suppress(AccessDenied, InvalidRequest):  # one may look at fleets alone
                told.workers = await self._workers(told.task_queue)
        return status_of(told)

    async def result(self) -> LaunchReport:
        """Wait until it is over, and return the account.

        Never raises for a workstation, nor because the server is away for a while. What is waited
        for goes on when this is cancelled.

        Raises:
            ConfigurationError: There is no such fleet.
            AccessDenied, InvalidRequest: The server refuses.
        """
        tries = 0
        while True:
            try:
                with answered(self.id), suppress(WorkflowFailureError):  # it was terminated
                    await self._handle.result()
                return (await self.status()).report
            except Unavailable as error:
                if tries == 0:
                    _log.logger(fleet=self.id).warning("fleet.unheard", error=str(error))
                tries += 1
                await anyio.sleep(AGAIN.delay(tries))

    async def cancel(self, sessions: Sessions = "keep") -> None:
        """Launch nothing more, and return at once; `result` waits until that is done.

        Calls that are under way are seen through first. To cancel once more can ask for more of the
        sessions to be deleted, and not for less.

        Args:
            sessions: `keep` leaves all sessions as they are; `delete-unready` deletes those that
                are not ready; `delete` deletes those that are ready as well, whoever uses them.

        Raises:
            ConfigurationError: `sessions` is none of these, there is no such fleet, or it is over.
            AccessDenied, InvalidRequest, Unavailable: The server refuses, or does not answer.
        """
        if sessions not in SESSIONS:
            raise ConfigurationError(f"{sessions=} must be one of {', '.join(map(repr, SESSIONS))}")
        over = ConfigurationError(
            f"the fleet {self.id!r} is over: there is nothing to cancel; `greenroom fleet status "
            f"{shlex.quote(self.id)} --output json` lists the ids of its sessions, and `greenroom "
            "delete KIND --ids-from FILE` deletes them"
        )
        if (await self._described()).close_time is not None:
            raise over
        try:
            with answered(self.id):
                await self._handle.signal(CANCEL, sessions)
        except ConfigurationError as error:
            raise over from error

    async def _check_is(self, mark: str) -> None:
        description = await self._described()
        memo = await description.memo()
        if memo.get(MEMO) != mark:
            raise SpecError(
                [
                    f"there is a fleet {self.id!r} already, of other workstations or of other "
                    "shards: give this one an id of its own"
                ]
            )

    async def _described(self) -> WorkflowExecutionDescription:
        with answered(self.id):
            description = await self._handle.describe()
        if description.workflow_type != WORKFLOW:
            raise ConfigurationError(
                f"{self.id!r} is a workflow {description.workflow_type!r}, and no fleet"
            )
        return description

    async def _history(self) -> Told:
        """Return what the history tells: what was wanted, and the shards that are over."""
        reader = HistoryReader(self.id, self._client.data_converter)
        with answered(self.id):
            async for event in self._handle.fetch_history_events():
                await reader.take(event)
        return reader.told

    async def _take_pending(self, told: Told, description: WorkflowExecutionDescription) -> None:
        """Take in the heartbeats of the shards that are under way, or wait to be.

        A fleet that was terminated leaves them as they were: they are all that is known.
        """
        records = await pending_records(description, self._client.data_converter)
        for pending in description.raw_description.pending_activities:
            name, started = pending.activity_id, pending.state in _WITH_WORKERS
            if name not in told.open:
                continue  # it ended between the two questions
            number = shard_of(name)
            if name in records:
                told.records[number] = records[name]
            if told.ended_at is not None:
                continue
            if pending.activity_type.name == END:
                told.deleting.add(number)
            elif started:
                told.running.add(number)
            if started or not (why := reason_of(pending.last_failure)):
                told.trouble.pop(number, None)
            else:
                told.trouble[number] = why

    async def _workers(self, task_queue: str) -> int:
        """Return how many workers poll a task queue.

        One that has all the shards it may have asks for no more, but still for workflows.
        """
        workers: set[str] = set()
        for polled in (
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ):
            with answered(self.id):
                described = await self._client.workflow_service.describe_task_queue(
                    DescribeTaskQueueRequest(
                        namespace=self._client.namespace,
                        task_queue=TaskQueue(name=task_queue),
                        task_queue_type=polled,
                    )
                )
            workers |= {poller.identity for poller in described.pollers}
        return len(workers)


def _kind_of(specs: Iterable[SpecLike], kind: str | None) -> tuple[list[SpecLike], LaunchKind]:
    """Return the specs as a list, and what there is to know of their kind.

    Raises:
        SpecError: They are of several kinds, or are no specs.
        ConfigurationError: Nothing is known of the kind.
    """
    if isinstance(specs, str | bytes | Mapping) or not isinstance(specs, Iterable):
        raise SpecError([f"specs is one {type(specs).__name__}; pass a list of specs"])
    given = list(specs)
    named = {spec.kind for spec in given if isinstance(spec, WorkstationSpec)}
    named |= set() if kind is None else {kind}
    if len(named) > 1:
        raise SpecError([f"the specs are of {' and '.join(sorted(named))}: a fleet has one kind"])
    return given, launch_kind(named.pop() if named else USUAL_KIND)
