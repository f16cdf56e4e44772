"""How a fleet stands, from what its server keeps: no worker has to be there to be asked. Pure.

The shards that are over are in the workflow's history, as results of activities; those under way
are in the heartbeats of activities that are pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch_kind import launch_kind
from greenroom._specs import stored_specs
from greenroom._states import Verdict
from greenroom.temporal._kept import Kept, joined_reads
from greenroom.temporal._orders import Plan, unpacked

if TYPE_CHECKING:
    from greenroom._launch._report import LaunchReport

LOST = "LOST"
"""The cause of those whose shard came to no end."""

LOST_ADVICE = "Start workers for its task queue, and launch what is missing as another fleet."

NEVER = "the fleet was cancelled before it was created"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """How a fleet stands.

    Attributes:
        id: The fleet.
        report: The account: a line for every workstation, whatever became of it. `calls` counts
            all that the fleet's workers read meanwhile.
        over: Whether it has come to its end.
        cancelled: What was to become of the sessions, where it was cancelled; else None.
        shards: How many shards it has.
        settled: Those of them that are over.
        running: Those that a worker brings up at the moment.
        deleting: Those whose sessions are being deleted, or wait to be.
        trouble: Why shards were given back, by number: the latest of each that no worker has again.
        task_queue: The task queue of its workers.
        workers: How many workers poll it, as far as the server knows: it forgets one some minutes
            after it is gone. None where the fleet is over, or the server does not say.
        deadline: When its shards have to be ready (aware); None for whenever.
    """

    id: str
    report: LaunchReport
    over: bool
    cancelled: str | None
    shards: int
    settled: int
    running: int
    deleting: int
    trouble: Mapping[int, str]
    task_queue: str
    workers: int | None
    deadline: datetime | None


@dataclass(slots=True, kw_only=True)
class Told:
    """What a server keeps of a fleet.

    Attributes:
        id: The fleet.
        plan: The fleet but for its specs.
        specs: The shards' workstations, packed.
        task_queue: The task queue of its workers.
        began_at: When it began.
        ended_at: When it came to its end; None if it has not.
        cancelled: What was to become of the sessions; None where it was not cancelled.
        records: What is known of each shard, packed, by number.
        open: The activities that are not over, by their ids.
        settled: The shards that are over.
        running: The shards that a worker brings up.
        deleting: The shards whose sessions are being deleted, or wait to be.
        trouble: Why shards were given back, by number.
        workers: How many workers poll the task queue; None where that is not known.
    """

    id: str
    plan: Plan
    specs: list[str]
    task_queue: str
    began_at: datetime
    ended_at: datetime | None = None
    cancelled: str | None = None
    records: dict[int, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    deleting: set[int] = field(default_factory=set)
    trouble: dict[int, str] = field(default_factory=dict)
    workers: int | None = None


def status_of(told: Told) -> FleetStatus:
    """Return how the fleet stands."""
    timeout = told.plan.timeout
    return FleetStatus(
        id=told.id,
        report=_report(told),
        over=told.ended_at is not None,
        cancelled=told.cancelled,
        shards=len(told.specs),
        settled=len(told.settled),
        running=len(told.running),
        deleting=len(told.deleting),
        trouble=dict(sorted(told.trouble.items())),
        task_queue=told.task_queue,
        workers=told.workers,
        deadline=None if timeout is None else told.began_at + timedelta(seconds=timeout),
    )


def _report(told: Told) -> LaunchReport:
    kind = launch_kind(told.plan.kind)
    shards = [tuple(stored_specs(unpacked(packed), kind.spec)) for packed in told.specs]
    account = Account(told.id, (spec for shard in shards for spec in shard))
    account.take(events.LaunchBegan(at=told.began_at, resumed=False, handed_over=True))
    records = {number: Kept.unpacked(record) for number, record in told.records.items()}
    for happened in _in_order(records.values()):
        account.take(happened)
    now = told.ended_at or datetime.now(UTC)
    account.take(events.Metered(at=now, **_cost(records.values())))
    if told.ended_at is not None:
        for number, shard in enumerate(shards):
            for spec in shard:
                if account.lines[spec.key].settled is None:
                    account.take(_never_settled(account, spec.key, told, number))
        account.take(events.LaunchEnded(at=now, interrupted=told.cancelled is not None))
    return account.report()


def _in_order(records: Iterable[Kept]) -> list[events.LaunchEvent]:
    """Return the events of all shards in the order of time, and each shard's in its own."""
    found: list[tuple[datetime, events.LaunchEvent]] = []
    for record in records:
        latest = datetime.min.replace(tzinfo=UTC)
        for event in record.events():
            latest = max(latest, event.at)
            found.append((latest, event))
    return [event for _, event in sorted(found, key=lambda each: each[0])]


def _cost(records: Iterable[Kept]) -> dict[str, int]:
    every = list(records)
    reads = joined_reads(every).values()
    changes = sum(record.changes for record in every)
    return {
        "calls": changes + sum(each.calls - each.calls_before for each in reads),
        "changes": changes,
        "throttled": sum(each.throttled - each.throttled_before for each in reads),
    }


def _never_settled(account: Account, key: str, told: Told, shard: int) -> events.Settled:
    line = account.lines[key]
    last = line.attempts[-1] if line.attempts else None
    cancelled = told.cancelled is not None
    message = NEVER if last is None else "the fleet was cancelled before it was ready"
    lost = f"shard {shard} came to no end: {told.trouble.get(shard, 'no worker took it')}"
    return events.Settled(
        at=told.ended_at or told.began_at,
        key=key,
        verdict=Verdict.CANCELLED if cancelled else Verdict.ERROR,
        id=line.session_id,
        state=last.state if last else None,
        reason=None,
        message=message if cancelled else lost,
        elapsed=0.0,
        reads=0,
        cause=events.INTERRUPTED if cancelled else LOST,
        advice=None if cancelled else LOST_ADVICE,
    )
