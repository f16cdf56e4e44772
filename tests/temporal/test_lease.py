"""The lease of a shard, beside a server that answers as the test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
import structlog
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from greenroom import Account, Verdict, events
from greenroom.temporal._kept import Kept
from greenroom.temporal._lease import Lease, LeasedRecord, LeaseLost
from greenroom.testing import run


class Handle:
    """What Temporal's client is to a lease: raises what is next, or hears."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.heard: list[tuple[float, str]] = []

    async def heartbeat(self, details: str, *, rpc_timeout: object) -> None:
        await anyio.sleep(0.01)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.heard.append((anyio.current_time(), details))


def refused(status: RPCStatusCode) -> RPCError:
    return RPCError(f"{status.name} it says", status, b"")


def told(**details: bool) -> AsyncActivityCancelledError:
    return AsyncActivityCancelledError(ActivityCancellationDetails(**details))


AWAY = refused(RPCStatusCode.UNAVAILABLE)


def as_activity(work: Callable[[], Awaitable[Any]]) -> list[str]:
    """Run something as an activity in virtual time; return what the library was told."""
    environment = ActivityEnvironment()
    beats: list[str] = []
    environment.on_heartbeat = lambda *details: beats.append(details[0])
    run(lambda: environment.run(work), backend="asyncio")
    return beats


def test_a_renewal_waits_until_it_was_heard() -> None:
    handle, stopped = Handle(AWAY, AWAY, AWAY), list[str]()

    async def work() -> None:
        with structlog.testing.capture_logs() as logs:
            lease = Lease(handle, lambda: "all", 5.0, lambda: stopped.append("stop"))  # type: ignore[arg-type]  # as it is used
            await lease.renew()
        assert [each["event"] for each in logs] == ["fleet.unheard", "fleet.heard"]

    as_activity(work)
    ((at, details),) = handle.heard
    assert details == "all"
    assert at > 0.6  # three pauses of at least 0.2 s
    assert not stopped


@pytest.mark.parametrize(
    "answer",
    [
        refused(RPCStatusCode.NOT_FOUND),
        refused(RPCStatusCode.INVALID_ARGUMENT),
        told(paused=True),
        told(reset=True),
    ],
)
def test_who_was_given_up_learns_it_and_is_not_heard_again(answer: Exception) -> None:
    handle = Handle(answer)

    async def work() -> None:
        lease = Lease(handle, lambda: "all", 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        for _ in range(2):
            with pytest.raises(LeaseLost):
                await lease.renew()
        assert lease.lost

    as_activity(work)
    assert not handle.heard
    assert not handle.answers


def test_a_cancelled_fleet_is_said_to_the_shard_whose_news_is_kept_all_the_same() -> None:
    handle, stopped = Handle(told(cancel_requested=True)), list[str]()

    async def work() -> None:
        lease = Lease(handle, lambda: "all", 5.0, lambda: stopped.append("stop"))  # type: ignore[arg-type]  # so too
        await lease.renew()
        await lease.renew()
        assert not lease.lost

    as_activity(work)
    assert stopped == ["stop"]
    assert len(handle.heard) == 1


def test_where_nothing_is_new_it_is_renewed_in_time_and_by_nobody_else() -> None:
    handle = Handle()

    async def work() -> None:
        lease = Lease(handle, lambda: "same", 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        with anyio.move_on_after(21):
            await lease.keep()

    beats = as_activity(work)
    assert [round(at) for at, _ in handle.heard] == [5, 10, 15, 20]
    assert not beats  # one of the library's own could arrive late, and say what is old


def test_who_leaves_tries_once_more_and_not_for_ever() -> None:
    handle = Handle(*[AWAY] * 3)

    async def work() -> None:
        lease = Lease(handle, lambda: "all", 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        lease.leave()
        with pytest.raises(LeaseLost):
            await lease.renew()
        assert len(handle.answers) == 2
        handle.answers.clear()
        await lease.renew()

    as_activity(work)
    assert len(handle.heard) == 1


def test_renewals_go_one_after_the_other_and_each_carries_what_is_known_when_it_goes() -> None:
    handle, known = Handle(), ["a"]

    async def work() -> None:
        lease = Lease(handle, lambda: known[-1], 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.renew)
            tasks.start_soon(lease.renew)
            await anyio.sleep(0.005)
            known.append("b")

    as_activity(work)
    assert [details for _, details in handle.heard] == ["a", "b"]
    assert handle.heard[0][0] < handle.heard[1][0]


def settled(cause: str) -> events.Settled:
    return events.Settled(
        at=datetime(2026, 11, 30, tzinfo=UTC),
        key=cause,
        verdict=Verdict.CANCELLED,
        id=None,
        state=None,
        reason=None,
        message=None,
        elapsed=1.0,
        reads=0,
        cause=cause,
    )


def test_a_wait_that_was_cancelled_with_the_worker_is_no_outcome() -> None:
    handle, kept = Handle(), Kept()

    async def work() -> None:
        lease = Lease(handle, kept.packed, 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        record = LeasedRecord(Account("fleet", []), kept, lease)
        await record.append([settled("INTERRUPTED")])
        assert not record.left
        await record.append([settled("CANCELLED")])
        assert record.left

    as_activity(work)
    assert [event.cause for event in kept.events()] == ["INTERRUPTED"]  # type: ignore[attr-defined]  # all are settled


def test_what_was_unheard_and_is_given_again_is_kept_once() -> None:
    handle, kept = Handle(AWAY), Kept()

    async def work() -> None:
        lease = Lease(handle, kept.packed, 5.0, lambda: None)  # type: ignore[arg-type]  # so too
        record = LeasedRecord(Account("fleet", []), kept, lease)
        group = [settled("first")]
        lease.leave()
        with pytest.raises(LeaseLost):
            await record.append(group)
        await record.append([*group, settled("second")])
        await record.append([settled("third")])

    as_activity(work)
    causes = [event.cause for event in kept.events()]  # type: ignore[attr-defined]  # all are settled
    assert causes == ["first", "second", "third"]
