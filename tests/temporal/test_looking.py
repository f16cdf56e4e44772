"""What a look at a fleet makes of what the server says, without a server."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import anyio
import pytest
from temporalio.api.common.v1 import Payloads
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, RPCError
from temporalio.converter import DataConverter
from temporalio.service import RPCStatusCode
from tests.temporal.test_replay import history, told

from greenroom import ConfigurationError, Unavailable
from greenroom.cli.fleet import _run
from greenroom.temporal import Fleet
from greenroom.temporal._history import HistoryReader
from greenroom.temporal._status import FleetStatus


async def fleet() -> Fleet:
    return Fleet(await Client.connect("127.0.0.1:1", lazy=True), "fleet")


@pytest.mark.asyncio
async def test_a_heartbeat_that_is_older_than_the_history_is_left_out() -> None:
    reader = HistoryReader("finished", DataConverter.default)
    for event in history("finished").events:
        await reader.take(event)
    known = dict(reader.told.records)
    old = PendingActivityInfo(
        activity_id="launch-0",
        heartbeat_details=Payloads(payloads=await DataConverter.default.encode(["old"])),
    )
    description = DescribeWorkflowExecutionResponse(pending_activities=[old])
    await (await fleet())._take_pending(reader.told, SimpleNamespace(raw_description=description))  # type: ignore[arg-type]  # what of it is read
    assert reader.told.records == known
    assert not reader.told.open


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (RPCStatusCode.NOT_FOUND, ConfigurationError),
        (RPCStatusCode.UNAVAILABLE, Unavailable),
    ],
)
@pytest.mark.asyncio
async def test_what_the_server_refuses_is_said_in_our_own_errors(
    monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode, raised: type[Exception]
) -> None:
    async def refuse() -> None:
        raise RPCError("refused", status, b"")

    refused = await fleet()
    monkeypatch.setattr(refused, "_handle", SimpleNamespace(describe=refuse))
    with pytest.raises(raised) as refusal:
        await refused.status()
    assert isinstance(refusal.value.__cause__, RPCError)


@pytest.mark.asyncio
async def test_sessions_that_were_to_be_deleted_and_were_not_are_named() -> None:
    kept = await told("workflow_cancelled")
    sessions = {result.id for result in kept.report.values() if result.id}
    assert sessions
    assert _run._left(kept) == []
    assert set(_run._left(replace(kept, cancelled="delete"))) == sessions
    ready = {result.id for result in kept.report.succeeded}
    assert set(_run._left(replace(kept, cancelled="delete-unready"))) == sessions - ready
    assert _run._left(await told("cancelled")) == []


@pytest.mark.asyncio
async def test_progress_goes_on_where_a_look_was_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, seen = await told("finished"), anyio.Event()

    looks = 0

    async def status() -> FleetStatus:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise Unavailable("away")
        if looks == 3:
            seen.set()
        return found

    monkeypatch.setattr(_run, "LOOK", 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run._show, SimpleNamespace(status=status), False)
        await seen.wait()
        tasks.cancel_scope.cancel()
    assert "finished: 9 of 9 ready" in capsys.readouterr().err
