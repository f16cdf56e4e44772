"""A fleet as its workflow's history tells it: what was wanted, and which shards are over."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import EventType, TimeoutType

from greenroom._errors import ConfigurationError
from greenroom.temporal._orders import (
    CANCEL,
    SESSIONS,
    WORKFLOW,
    FleetProgress,
    Plan,
    ShardResult,
    more_thorough,
)
from greenroom.temporal._status import Told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload, Payloads
    from temporalio.api.failure.v1 import Failure
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.client import WorkflowExecutionDescription
    from temporalio.converter import DataConverter


LOCAL_ACTIVITY = "core_local_activity"
"""How Temporal's library marks what a local activity returned. A fleet has one: `PENDING`."""


async def pending_records(
    description: WorkflowExecutionDescription, converter: DataConverter
) -> dict[str, str]:
    """Return the records that heartbeats carried of activities that are not over, by their ids."""
    records = {}
    for pending in description.raw_description.pending_activities:
        if pending.heartbeat_details.payloads:
            (records[pending.activity_id],) = await converter.decode(
                pending.heartbeat_details.payloads, [str]
            )
    return records


def shard_of(activity_id: str) -> int:
    """Return the number of the shard that an activity is about: `launch-7`, `end-7-delete`."""
    return int(activity_id.split("-")[1])


_LEFT = ("CancelledError", "LeaseLost")
"""What a worker answers, by type, that hands a shard back: for itself, and not for the shard."""


def reason_of(failure: Failure) -> str:
    """Return why a shard was given back, from what its attempt failed with; it may be empty."""
    while failure.HasField("cause"):
        failure = failure.cause  # a server that found it too long keeps it there
    late = failure.timeout_failure_info.timeout_type
    if late == TimeoutType.TIMEOUT_TYPE_HEARTBEAT:
        return f"the worker was not heard of ({failure.message})"
    if failure.application_failure_info.type in _LEFT or failure.HasField("canceled_failure_info"):
        return "the worker left"
    return failure.message


class HistoryReader:
    """Reads a fleet out of its history, event by event.

    Args:
        fleet_id: The fleet.
        converter: Decodes what stands in the history.
    """

    def __init__(self, fleet_id: str, converter: DataConverter) -> None:
        self._id = fleet_id
        self._converter = converter
        self._activities: dict[int, str] = {}
        self._told: Told | None = None

    @property
    def told(self) -> Told:
        """What was read so far.

        Raises:
            RuntimeError: Nothing was.
        """
        if self._told is None:
            raise RuntimeError(f"the history of {self._id!r} has no beginning")
        return self._told

    async def take(self, event: HistoryEvent) -> None:
        """Take in an event.

        Raises:
            ConfigurationError: It is the history of something else.
        """
        at = event.event_time.ToDatetime().replace(tzinfo=UTC)
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                began = event.workflow_execution_started_event_attributes
                if began.workflow_type.name != WORKFLOW:
                    raise ConfigurationError(
                        f"{self._id!r} is a workflow {began.workflow_type.name!r}, and no fleet"
                    )
                plan, specs = await self._converter.decode(began.input.payloads, [Plan, list[str]])
                self._told = Told(
                    id=self._id,
                    plan=plan,
                    specs=specs,
                    task_queue=began.task_queue.name,
                    began_at=at,
                )
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                self._activities[event.event_id] = scheduled.activity_id
                self.told.open.add(scheduled.activity_id)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                number = self._ended(completed.scheduled_event_id)
                (result,) = await self._converter.decode(completed.result.payloads, [ShardResult])
                self.told.records[number] = result.record
                self.told.trouble.pop(number, None)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                number = self._ended(failed.scheduled_event_id)
                self._gave_back(number, failed.failure)
                await self._recorded(number, failed.failure.application_failure_info.details)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                late = event.activity_task_timed_out_event_attributes
                number = self._ended(late.scheduled_event_id)
                self._gave_back(number, late.failure)
                await self._recorded(
                    number, late.failure.timeout_failure_info.last_heartbeat_details
                )
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                cancelled = event.activity_task_canceled_event_attributes
                self._ended(cancelled.scheduled_event_id)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                signal = event.workflow_execution_signaled_event_attributes
                if signal.signal_name == CANCEL:
                    await self._signalled(signal.input.payloads)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                if marker.marker_name == LOCAL_ACTIVITY and "result" in marker.details:
                    await self._heard(marker.details["result"])
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                self._cancelled("keep")
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                over = event.workflow_execution_completed_event_attributes
                (progress,) = await self._converter.decode(over.result.payloads, [FleetProgress])
                for number, why in progress.lost.items():
                    self.told.trouble.setdefault(number, why)
                self.told.ended_at = at
            case (
                EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
                | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT
                | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
                | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED
            ):
                self.told.ended_at = at

    def _ended(self, scheduled_event_id: int) -> int:
        """Take in that an activity is over, and return the number of its shard."""
        activity_id = self._activities.pop(scheduled_event_id)
        self.told.open.discard(activity_id)
        number = shard_of(activity_id)
        self.told.settled.add(number)
        return number

    def _gave_back(self, number: int, failure: Failure) -> None:
        if why := reason_of(failure):
            self.told.trouble[number] = why

    async def _recorded(self, number: int, details: Payloads) -> None:
        if details.payloads:
            (record,) = await self._converter.decode(details.payloads, [str])
            self.told.records[number] = record

    async def _signalled(self, payloads: Sequence[Payload]) -> None:
        """Take in a cancelling; one that the workflow cannot read is dropped there as well."""
        with suppress(RuntimeError, TypeError, ValueError):
            given = await self._converter.decode(payloads, [str] if payloads else [])
            self._cancelled(*given or ["keep"])

    async def _heard(self, details: Payloads) -> None:
        """Take in what shards told before they were cancelled."""
        (told,) = await self._converter.decode(details.payloads, [dict[int, str]])
        for number in told.keys() - self.told.settled:
            self.told.records[number] = told[number]

    def _cancelled(self, sessions: str) -> None:
        if sessions in SESSIONS:
            self.told.cancelled = more_thorough(sessions, self.told.cancelled)
