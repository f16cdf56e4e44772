"""What a look at a fleet makes of what the server says, without a server."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
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
from greenroom.cli.fleet import _run, _server
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


@pytest.mark.parametrize("raised", [None, Unavailable("away")])
def test_a_command_is_not_over_before_a_late_thread_was_heard(raised: Exception | None) -> None:
    heard: list[int] = []

    async def command() -> int:
        loop = asyncio.get_running_loop()
        loop.call_later(_server.LETS_GO / 2, heard.append, 1)
        if raised is not None:
            raise raised
        return 7

    with nullcontext() if raised is None else pytest.raises(Unavailable):
        assert _server.run(command) == 7
    assert heard


@pytest.mark.parametrize(
    ("said", "essence"),
    [
        (
            "Failed client connect: Server connection error: tonic::transport::Error(Transport, "
            'ConnectError(ConnectError("tcp connect error", 127.0.0.1:1, Os { code: 111, kind: '
            'ConnectionRefused, message: "Connection refused" })))',
            "Connection refused",
        ),
        ("Invalid target_host: no port\nbacktrace", "Invalid target_host: no port"),
    ],
)
def test_of_an_error_of_the_library_the_core_is_said(said: str, essence: str) -> None:
    assert _server._essence(said) == essence


@pytest.mark.asyncio
async def test_a_worker_that_tries_on_says_so_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0

    async def sleep(_: float) -> None:
        nonlocal now
        now += 10.0

    async def connect(_: object) -> str:
        if now < 100:
            raise _server.Unreached("nobody there")
        return "client"

    monkeypatch.setattr(_server, "anyio", SimpleNamespace(sleep=sleep, current_time=lambda: now))
    monkeypatch.setattr(_server.Server, "connect", connect)
    assert await _server.Server(None, None, "queue").reached() == "client"
    assert capsys.readouterr().err == "greenroom: trying on: nobody there\n" * 2
