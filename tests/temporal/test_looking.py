"""What a look at a fleet makes of what the server says, without a server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from temporalio.api.common.v1 import Payloads
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, RPCError
from temporalio.converter import DataConverter
from temporalio.service import RPCStatusCode
from tests.temporal.test_replay import history

from greenroom import ConfigurationError, Unavailable
from greenroom.temporal import Fleet
from greenroom.temporal._history import HistoryReader


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
    with pytest.raises(raised) as told:
        await refused.status()
    assert isinstance(told.value.__cause__, RPCError)
