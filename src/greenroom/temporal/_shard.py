"""One shard as a worker has it: the launch of some workstations, and its end if that is asked for.

A shard is an ordinary launch whose record is kept by its lease. It waits with the worker's poller,
and pays for its creates from the worker's budget, as all shards of the worker do: so a call reads
sessions of whichever shards and fleets, and a budget is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from greenroom._errors import ConfigurationError, SourceError
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._acting import Hands
from greenroom._launch._asking import Asker
from greenroom._launch._clock import Deadline
from greenroom._launch._launch import Launch
from greenroom._launch._lines import Deletion
from greenroom._launch._provider import Provider, place_of
from greenroom._launch._signs import StopSign
from greenroom._launch_kind import launch_kind
from greenroom._specs import stored_specs
from greenroom._states import Verdict
from greenroom.temporal._kept import Kept, Reads
from greenroom.temporal._lease import NO_LONGER, LeasedRecord, LeaseLost
from greenroom.temporal._orders import ShardOrder, ShardResult, unpacked, unpacked_policy

if TYPE_CHECKING:
    from greenroom._launch._lines import Attempt, Line
    from greenroom._limiter import Limiter
    from greenroom._poller import Poller
    from greenroom.temporal._lease import Lease


RECORD = "RECORD"
"""The cause of those that were not created since the record of their shard was full."""

FULL = "so many sessions of this shard had failed that its record is full"


IN_FLIGHT = 10
"""Calls of one shard at the same time that delete, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all shards of a worker share.

    Attributes:
        name: The worker's name, by which what it read is counted.
        studio: Where sessions are made.
        poller: Waits for them.
        checks: Wait for what the kind has looked at besides, by goal.
        creates: The budget of what makes and ends sessions.
        policy: What the worker says of the policy.
    """

    name: str
    studio: Provider
    poller: Poller
    checks: Mapping[str, Poller]
    creates: Limiter
    policy: Mapping[str, Any] = field(default_factory=dict)


class Shard:
    """A shard that this worker was given.

    Args:
        order: The shard.
        desk: The worker.
        kept: What was kept of it by others; a packed text, or None for nothing.

    Raises:
        ValueError: What was kept cannot be read.
        ConfigurationError: Its sessions are in another place than the worker, or its policy says
            what this worker does not know.
    """

    def __init__(self, order: ShardOrder, desk: Desk, kept: str | None) -> None:
        kind = launch_kind(order.plan.kind)
        specs = stored_specs(unpacked(order.specs), kind.spec)
        self._order = order
        self._desk = desk
        self._kept = Kept.unpacked(kept)
        unpacked_policy(order.plan.policy)  # before anything is done by half of it
        place = place_of(desk.studio)
        if self._kept.place not in (None, place):
            raise ConfigurationError(
                f"its sessions are in {self._kept.place}, and this worker is for {place}: give "
                "them different task queues"
            )
        self._kept.place = place
        self._account = Account(order.fleet_id, specs)
        for event in self._kept.events():
            self._account.take(event)
        self._launch: Launch | None = None
        self._stopped = False
        read = desk.poller.statistics()
        self._before = self._kept.reads.get(desk.name) or Reads(
            read.calls, read.throttled, read.calls, read.throttled
        )
        self._changes_before = self._kept.changes

    def details(self) -> str:
        """Return what the next heartbeat carries."""
        read = self._desk.poller.statistics()
        self._kept.reads[self._desk.name] = self._before._replace(
            calls=read.calls, throttled=read.throttled
        )
        if self._launch is not None:
            self._kept.changes = self._changes_before + self._launch.cost().changes
        record = self._kept.packed()
        if self._launch is not None and len(record) > self._order.plan.largest_record:
            self._launch.create_no_more(RECORD, FULL)
        return record

    def stop(self) -> None:
        """Create nothing more, and come to an end: the fleet is cancelled."""
        self._stopped = True
        if self._launch is not None:
            self._launch.stop()

    async def launch(self, lease: Lease) -> ShardResult:
        """Bring up what is not up yet.

        Raises:
            LeaseLost: It is somebody else's shard by now.
            GreenroomError: As for `Launch`.
        """
        order, desk = self._order, self._desk
        left = None if order.deadline is None else max(0.0, order.deadline - _now().timestamp())
        record = LeasedRecord(self._account, self._kept, lease)
        launch = Launch(
            desk.studio,
            poller=desk.poller,
            checks=desk.checks,
            creates=desk.creates,
            policy=unpacked_policy(order.plan.policy, **{**desk.policy, "timeout": left}),
            journal=record,
        )
        async with launch:
            self._launch = launch
            if self._stopped:
                launch.stop()
            await launch.finished()
        if launch.unrecorded is not None:
            raise launch.unrecorded
        if record.left:
            raise LeaseLost(NO_LONGER, "")
        return self._result()

    async def end(self, lease: Lease, *, ready_too: bool) -> ShardResult:
        """Delete its sessions, and say in its lines what became of them.

        Args:
            lease: The lease.
            ready_too: Whether those that are ready are deleted as well.

        Raises:
            LeaseLost: It is somebody else's shard by now.
        """
        await self._find_out()
        owners = dict(self._to_delete(ready_too=ready_too))
        for session_id, key in owners.items():
            self._take(events.DeleteIntended(at=_now(), key=key, id=session_id))
        if owners:
            await lease.renew()
            async with anyio.create_task_group() as tasks:
                asker = self._asker()
                for session_id, key in owners.items():
                    tasks.start_soon(self._delete, asker, key, session_id)
            self._changes_before += asker.calls
            self._kept.changes = self._changes_before
        for line in self._account.lines.values():
            self._settle_ended(line)
        return self._result()

    def _asker(self) -> Asker:
        return Asker(self._desk.creates, IN_FLIGHT, self._desk.studio.launches.remedies)

    async def _delete(self, asker: Asker, key: str, session_id: str) -> None:
        """Delete a session, and wait until it is gone; how long that may take counts from then on.

        Raises:
            LeaseLost: The worker's poller was closed.
        """
        desk, longest = self._desk, self._order.plan.policy["delete_timeout"]
        hands = Hands(desk.studio, desk.poller, asker, StopSign(), Deadline(), patience=longest)
        result = await hands.carry_out("delete", session_id)
        if result.verdict is Verdict.CANCELLED:
            raise LeaseLost(NO_LONGER, "")
        if result.verdict is Verdict.SUCCESS:
            self._take(events.Deleted(at=_now(), key=key, id=session_id))
        else:
            message = result.explanation or result.verdict.value
            self._take(events.DeleteFailed(at=_now(), key=key, id=session_id, message=message))

    async def _find_out(self) -> None:
        """Ask again for what may have been made without anybody knowing: it is to be deleted."""
        desk, remedies = self._desk, self._desk.studio.launches.remedies
        asker = self._asker()
        unanswered: dict[str, list[Line]] = {}
        for line in self._account.lines.values():
            if line.attempts and line.attempts[-1].unanswered and not line.attempts[-1].deferral:
                unanswered.setdefault(line.attempts[-1].token, []).append(line)

        async def ask(lines: list[Line]) -> None:
            last = lines[0].attempts[-1]

            async def call() -> Mapping[int, str]:
                return await desk.studio.create_sessions(
                    lines[0].spec, last.choice, count=last.together, client_token=last.token
                )

            try:
                made = await asker.ask(call, StopSign(), operation="create_sessions")
            except SourceError as error:
                for line in lines:
                    self._take(
                        events.CreateRefused(
                            at=_now(),
                            key=line.spec.key,
                            attempt=line.attempts[-1].number,
                            cause=error.code or type(error).__name__,
                            message=str(error),
                            row=remedies.row_of(error),
                        )
                    )
                return
            for line in lines:
                attempt = line.attempts[-1]
                if attempt.place in made:
                    self._take(
                        events.Created(
                            at=_now(),
                            key=line.spec.key,
                            attempt=attempt.number,
                            id=made[attempt.place],
                        )
                    )

        async with anyio.create_task_group() as tasks:
            for lines in unanswered.values():
                tasks.start_soon(ask, lines)
        self._changes_before += asker.calls

    def _to_delete(self, *, ready_too: bool) -> Iterator[tuple[str, str]]:
        for key, line in self._account.lines.items():
            ready = line.settled is not None and line.settled.verdict is Verdict.SUCCESS
            if ready and not ready_too:
                continue
            for attempt in line.attempts:
                if attempt.id is not None and attempt.deletion is not Deletion.DONE:
                    yield attempt.id, key

    def _settle_ended(self, line: Line) -> None:
        """Say of a workstation that was taken away, or on its way, that the cancelling did it."""
        last: Attempt | None = line.attempts[-1] if line.attempts else None
        was_ready = line.settled is not None and line.settled.verdict is Verdict.SUCCESS
        taken = last is not None and last.deletion is Deletion.DONE
        cut_short = line.settled is not None and line.settled.cause == events.INTERRUPTED
        if line.settled is None or ((was_ready or cut_short) and taken):
            message = "deleted: the fleet was cancelled" if taken else "the fleet was cancelled"
            self._take(
                events.Settled(
                    at=_now(),
                    key=line.spec.key,
                    verdict=Verdict.CANCELLED,
                    id=line.session_id,
                    state=self._state_of(last, taken=taken),
                    reason=None,
                    message=message,
                    elapsed=line.settled.elapsed if line.settled else 0.0,
                    reads=0,
                    cause=events.INTERRUPTED,
                )
            )

    def _state_of(self, last: Attempt | None, *, taken: bool) -> str | None:
        if taken:
            return self._desk.studio.launches.table.gone
        return last.state if last else None

    def _take(self, event: events.LaunchEvent) -> None:
        self._account.take(event)
        self._kept.take(event)

    def _result(self) -> ShardResult:
        lines = self._account.lines.values()
        counts = Counter(line.result().verdict.value for line in lines)
        made = any(attempt.id or attempt.unanswered for line in lines for attempt in line.attempts)
        return ShardResult(record=self.details(), counts=dict(counts), made=made)


def _now() -> datetime:
    return datetime.now(UTC)
