"""Fleets that are under way when the code is upgraded: the workflow has to agree with their past.

A worker that takes up a workflow runs it again from its beginning, and what it then asks for has to
be what its history tells, kind by kind and id by id. Where it is not, no worker brings the fleet to
its end. `record.py` says how the histories were made, and when they may be made anew.
"""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer
from tests.temporal.record import HISTORIES, STORIES

from greenroom import Deletion, Verdict
from greenroom.temporal._history import HistoryReader
from greenroom.temporal._status import FleetStatus, status_of
from greenroom.temporal._worker import SANDBOX
from greenroom.temporal._workflow import FleetWorkflow


def history(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text("utf-8"))


async def told(name: str) -> FleetStatus:
    reader = HistoryReader(name, DataConverter.default)
    for event in history(name).events:
        await reader.take(event)
    return status_of(reader.told)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.asyncio
async def test_a_fleet_that_is_under_way_goes_on_under_this_code(name: str) -> None:
    replayer = Replayer(workflows=[FleetWorkflow], workflow_runner=SANDBOX)
    await replayer.replay_workflow(history(name))


@pytest.mark.parametrize("name", ["finished", "taken_over"])
@pytest.mark.asyncio
async def test_what_was_recorded_is_read_to_its_end(name: str) -> None:
    status = await told(name)
    assert (status.over, status.shards, status.settled, status.cancelled) == (True, 3, 3, None)
    assert len(status.report.succeeded) == 9


@pytest.mark.parametrize("name", ["cancelled", "cancelled_while_idle", "cancelled_while_missed"])
@pytest.mark.asyncio
async def test_what_was_deleted_is_read_as_deleted(name: str) -> None:
    status = await told(name)
    assert (status.over, status.cancelled) == (True, "delete")
    assert {each.verdict for each in status.report.values()} == {Verdict.CANCELLED}
    deleted = [each.deletion for result in status.report.values() for each in result.attempts]
    assert set(deleted) == {Deletion.DONE}


@pytest.mark.asyncio
async def test_what_was_kept_is_read_as_kept() -> None:
    status = await told("workflow_cancelled")
    assert (status.over, status.cancelled) == (True, "keep")
    kept = [each for result in status.report.values() for each in result.attempts if each.id]
    assert kept
    assert {each.deletion for each in kept} == {None}


@pytest.mark.asyncio
async def test_what_was_never_begun_is_read_as_cancelled() -> None:
    status = await told("workflow_cancelled_at_once")
    assert (status.over, status.cancelled) == (True, "keep")
    assert {each.verdict for each in status.report.values()} == {Verdict.CANCELLED}


@pytest.mark.parametrize(
    ("name", "given", "cancelled"),
    [("cancel", [], "keep"), ("cancel", ["delete"], "delete"), ("cancel", [7], None)],
)
@pytest.mark.asyncio
async def test_a_signal_is_read_as_the_workflow_reads_it(
    name: str, given: list[object], cancelled: str | None
) -> None:
    reader = HistoryReader("finished", DataConverter.default)
    await reader.take(history("finished").events[0])
    signal = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    signal.workflow_execution_signaled_event_attributes.signal_name = name
    signal.workflow_execution_signaled_event_attributes.input.payloads.extend(
        await DataConverter.default.encode(given)
    )
    await reader.take(signal)
    assert reader.told.cancelled == cancelled
