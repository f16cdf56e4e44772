"""What a look at a fleet makes of what the server says, without a server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from temporalio.api.common.v1 import ActivityType, Payloads
from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType, TimeoutType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client, RPCError
from temporalio.converter import DataConverter
from temporalio.service import RPCStatusCode
from tests.temporal.test_replay import history, told

from greenroom import ConfigurationError, Unavailable
from greenroom._launch._report import LaunchReport
from greenroom._remedies import OTHER_ADVICE
from greenroom.cli.fleet import _run, _server, _words
from greenroom.cli.launch import _told
from greenroom.temporal import Fleet
from greenroom.temporal._history import HistoryReader
from greenroom.temporal._orders import END, LAUNCH
from greenroom.temporal._status import FleetStatus, Told, status_of


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
    assert _words.left(kept) == []
    assert set(_words.left(replace(kept, cancelled="delete"))) == sessions
    ready = {result.id for result in kept.report.succeeded}
    assert set(_words.left(replace(kept, cancelled="delete-unready"))) == sessions - ready
    assert _words.left(await told("cancelled")) == []


@pytest.mark.asyncio
async def test_progress_goes_on_where_a_look_was_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, seen, overdue = await told("finished"), anyio.Event(), anyio.CancelScope()

    looks = 0

    async def status() -> FleetStatus:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise Unavailable("away")
        if looks == 4:
            seen.set()
        return found

    monkeypatch.setattr(_run, "LOOK", 0.0)
    monkeypatch.setattr(_run, "LINE", 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_run._show, SimpleNamespace(status=status), False, math.inf, overdue)
        await seen.wait()
        tasks.cancel_scope.cancel()
    said = capsys.readouterr().err
    assert said.startswith("greenroom: trying on: away\n")
    assert said.count("finished: 9 of 9 ready") >= 2  # also where nothing changed


async def told_up_to(name: str, last: Callable[[HistoryEvent], bool]) -> Told:
    """Return what a history tells up to an event."""
    reader = HistoryReader(name, DataConverter.default)
    for event in history(name).events:
        await reader.take(event)
        if last(event):
            break
    return reader.told


async def with_pending(told: Told, *pending: PendingActivityInfo) -> FleetStatus:
    described = DescribeWorkflowExecutionResponse(pending_activities=pending)
    await (await fleet())._take_pending(told, SimpleNamespace(raw_description=described))  # type: ignore[arg-type]  # what of it is read
    return status_of(told)


def began_to_delete(event: HistoryEvent) -> bool:
    return event.activity_task_scheduled_event_attributes.activity_id.startswith("end-")


def began_to_launch(event: HistoryEvent) -> bool:
    return event.activity_task_scheduled_event_attributes.activity_id == "launch-2"


@pytest.mark.asyncio
async def test_a_shard_that_is_over_and_deletes_counts_once() -> None:
    told = await told_up_to("cancelled", began_to_delete)
    (deleting,) = told.open
    status = await with_pending(
        told,
        PendingActivityInfo(
            activity_id=deleting,
            activity_type=ActivityType(name=END),
            state=PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        ),
    )
    assert (status.shards, status.settled, status.running, status.deleting) == (3, 3, 0, 1)
    assert "(3 of 3 shards over, 0 with workers, 1 deleting; cancelled" in _words.in_words(status)


def failed(message: str, kind: str = "") -> Failure:
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


MISSED = Failure(
    message="activity Heartbeat timeout",
    timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_HEARTBEAT),
)


@pytest.mark.parametrize(
    ("failure", "started", "why"),
    [
        (MISSED, False, "the worker was not heard of (activity Heartbeat timeout)"),
        (MISSED, True, None),
        (failed("Cancelled via cancel scope 7f", "CancelledError"), False, "the worker left"),
        (failed("this worker no longer has the shard", "LeaseLost"), False, "the worker left"),
        (failed("it is for us-east-1", "Elsewhere"), False, "it is for us-east-1"),
        (Failure(message="too long", cause=failed("it is full")), False, "it is full"),
        (failed(""), False, None),
    ],
)
@pytest.mark.asyncio
async def test_why_a_shard_was_given_back_is_said_in_words(
    failure: Failure, started: bool, why: str | None
) -> None:
    told = await told_up_to("finished", began_to_launch)
    state = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    if started:
        state = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    pending = PendingActivityInfo(
        activity_id="launch-0",
        activity_type=ActivityType(name=LAUNCH),
        state=state,
        last_failure=failure,
    )
    status = await with_pending(told, pending)
    assert status.trouble == ({} if why is None else {0: why})
    assert status.running == started


@pytest.mark.asyncio
async def test_shards_are_told_together_that_were_given_back_for_one_reason() -> None:
    found = replace(await told("finished"), trouble={0: "it rains", 1: "it snows", 2: "it rains"})
    assert [*_words.troubles(found).values()] == ["2 shards: it rains", "1 shard: it snows"]


@pytest.mark.asyncio
async def test_what_is_not_begun_is_not_on_its_way() -> None:
    status = await with_pending(await told_up_to("finished", began_to_launch))
    assert (
        _words.in_words(status) == "finished: 0 of 9 ready, 9 to begin "
        "(0 of 3 shards over, 0 with workers, 3 waiting for one)"
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"workers": 0},
            "no worker polls the task queue 'a b': greenroom worker --task-queue 'a b'",
        ),
        ({"workers": 0, "running": 1}, None),
        ({"workers": 0, "over": True}, None),
        ({"workers": 2}, None),
        ({"workers": None}, None),
    ],
)
@pytest.mark.asyncio
async def test_it_is_said_where_nobody_works(found: dict[str, Any], said: str | None) -> None:
    looked_at = replace(await told("finished"), over=False, task_queue="a b")
    assert _words.unattended(replace(looked_at, **found)) == said


@pytest.mark.parametrize(
    ("refused", "workers"), [(None, 3), (RPCStatusCode.PERMISSION_DENIED, None)]
)
@pytest.mark.asyncio
async def test_workers_are_those_that_poll_for_anything(
    monkeypatch: pytest.MonkeyPatch, refused: RPCStatusCode | None, workers: int | None
) -> None:
    async def describe_task_queue(
        request: DescribeTaskQueueRequest,
    ) -> DescribeTaskQueueResponse:
        assert (request.namespace, request.task_queue.name) == ("default", known.task_queue)
        if refused is not None:
            raise RPCError("refused", refused, b"")
        kind = TaskQueueType.Name(request.task_queue_type)
        pollers = [PollerInfo(identity="both"), PollerInfo(identity=kind)]
        return DescribeTaskQueueResponse(pollers=pollers)

    async def described() -> SimpleNamespace:
        return SimpleNamespace(raw_description=DescribeWorkflowExecutionResponse())

    async def kept() -> Told:
        return known

    known = await told_up_to("finished", began_to_launch)
    asked = await fleet()
    service = SimpleNamespace(describe_task_queue=describe_task_queue)
    client = SimpleNamespace(
        workflow_service=service, namespace="default", data_converter=DataConverter.default
    )
    monkeypatch.setattr(asked, "_client", client)
    monkeypatch.setattr(asked, "_described", described)
    monkeypatch.setattr(asked, "_history", kept)
    assert (await asked.status()).workers == workers


@pytest.mark.parametrize(("patience", "status"), [(5.0, 3), (math.inf, 0)])
@pytest.mark.asyncio
async def test_a_fleet_is_left_to_itself_some_time_past_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    patience: float,
    status: int,
) -> None:
    begun = await with_pending(await told_up_to("finished", began_to_launch))
    late = replace(begun, deadline=datetime.now(UTC) - timedelta(seconds=6), workers=0)
    ended, looks = await told("finished"), 0
    enough = anyio.Event()

    async def look() -> FleetStatus:
        nonlocal looks
        looks += 1
        if looks == 4:
            enough.set()
        return late

    async def result() -> LaunchReport:
        await enough.wait()
        return ended.report

    monkeypatch.setattr(_run, "LOOK", 0.0)
    waited = SimpleNamespace(id="finished", status=look, result=result)
    ending = await _run._to_the_end(waited, as_json=False, goes_on="it goes on", patience=patience)  # type: ignore[arg-type]  # what of it is asked
    assert ending == status
    out, err = capsys.readouterr()
    left = "greenroom: not over 5.0 s after its deadline; it goes on\n"
    assert (left in err) == (status == 3)
    assert out.startswith("0 ready of 9; 0 sessions made" if status else "9 ready of 9; ")
    assert err.count("no worker polls") == (status == 0)  # not at the first look, and once


@pytest.mark.asyncio
async def test_what_a_cancelled_fleet_left_is_said_in_figures() -> None:
    assert _words.became_of_sessions(await told("cancelled")) == "sessions: 9 deleted, 0 kept"
    kept = await told("workflow_cancelled")
    made = len(_words.left(replace(kept, cancelled="delete")))
    unready = made - len(kept.report.succeeded)
    assert unready
    assert _words.became_of_sessions(kept) == (
        f"sessions: 0 deleted, {made} kept, {unready} of them not ready; what was kept may still "
        "be billed"
    )


@pytest.mark.asyncio
async def test_a_cancelled_fleet_is_told_as_a_fleet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_told, "SHOWN", 1)
    report = (await told("workflow_cancelled")).report
    _words.teller("a b", as_json=False).summary(report, _words.summary_of(report))
    out = capsys.readouterr().out
    assert "Launch what is missing as another fleet." in out
    assert "`greenroom fleet status 'a b' --output json` lists all of them" in out


@pytest.mark.parametrize(
    ("name", "message", "said"),
    [
        ("workflow_cancelled", "{id} is NEW: it is NEW", "{id} is CREATE_IN_PROGRESS"),
        ("workflow_cancelled", "it was late", "{id} is CREATE_IN_PROGRESS: it was late"),
        ("cancelled", "it was late", "{id} was deleted: it was late"),
    ],
)
@pytest.mark.asyncio
async def test_a_line_of_what_was_cancelled_says_once_where_it_stood(
    name: str, message: str, said: str
) -> None:
    report = (await told(name)).report
    last = next(each for each in report.values() if each.id and each not in report.succeeded)
    known = replace(last, state="CREATE_IN_PROGRESS", message=message.format(id=last.id))
    assert _told._line(known) == f"  {last.key}: cancelled, {said.format(id=last.id)}"


@pytest.mark.parametrize("cause", OTHER_ADVICE)
def test_a_fleet_is_never_resumed(cause: str) -> None:
    assert "resume" not in _words.for_a_fleet(OTHER_ADVICE[cause]).lower()


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
