"""A shard that goes from process to process, in virtual time: nothing lost, nothing made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from tests.launch.conftest import Studio
from tests.temporal.stage import (
    Held,
    Server,
    at_desk,
    bring_up,
    check,
    killed,
    moments,
    order,
    report_of,
)

from greenroom import ConfigurationError, Deletion, Poller, RateLimiter, Verdict, events
from greenroom.temporal._kept import Kept
from greenroom.temporal._lease import LeaseLost
from greenroom.temporal._shard import Desk, Shard

Run = Callable[[Callable[[], Any]], Any]

FAILURES = {"INSUFFICIENT_CAPACITY": 0.05, "INTERNAL_ERROR": 0.05}
SICKLY = {"create": {"median_s": 60, "failures": FAILURES}, "failure": {"median_s": 30}}
PATIENCE = 2.0
"""Seconds after which another worker is given a shard that was not heard of."""


def test_a_shard_is_brought_up(run: Run) -> None:
    studio, server, wanted = Studio(seed=1), Server(), order(30)

    async def main() -> None:
        async with at_desk(studio) as desk:
            result = await bring_up(server, desk, wanted)
            assert result.counts == {"success": 30}
            assert len(result.record) < 200 * 30  # tokens and ids do not compress
            server.kept = result.record

        check(report_of(wanted, server), studio)

    run(main)


@pytest.mark.parametrize("seed", range(6))
def test_a_shard_survives_its_workers(run: Run, seed: int) -> None:
    studio, server, wanted = Studio(seed=seed, **SICKLY), Server(), order(40, canary=0)
    studio.lost = lambda name, number: name == "create_session" and number % 7 == seed % 7

    async def main() -> None:
        lives = moments(seed, 8, 20.0)
        for number, seconds in enumerate(lives):
            async with at_desk(studio, f"worker-{number}") as desk:
                if await killed(seconds, server, desk, wanted):
                    break
            await anyio.sleep(PATIENCE)
        async with at_desk(studio, "last") as desk:
            server.kept = (await bring_up(server, desk, wanted)).record

        check(report_of(wanted, server), studio)

    run(main)
    report = report_of(wanted, server)
    assert all(result.verdict is not Verdict.PENDING for result in report.values())
    assert len(report.succeeded) >= 38


def test_a_shard_goes_on_only_where_its_sessions_are(run: Run) -> None:
    server, wanted = Server(), order(30)

    class Elsewhere(Studio):
        place = "elsewhere"

    class Here(Studio):
        place = "here"

    studio, other = Here(seed=1), Elsewhere(seed=2)

    async def main() -> None:
        async with at_desk(studio) as desk:
            assert not await killed(10.0, server, desk, wanted)
        assert studio.sessions()
        async with at_desk(other) as desk:
            with pytest.raises(ConfigurationError, match="sessions are in here, and this worker"):
                await bring_up(server, desk, wanted)
        assert not other.sessions()

    run(main)


@pytest.mark.parametrize("seed", range(3))
def test_who_has_lost_a_shard_creates_nothing_more(run: Run, seed: int) -> None:
    studio, server, wanted = Studio(seed=seed), Server(), order(60, canary=0)

    async def main() -> None:
        lost = anyio.Event()

        async def go_on_unaware(desk: Desk) -> None:
            with pytest.raises(LeaseLost):
                await bring_up(server, desk, wanted)
            lost.set()

        async with (
            at_desk(studio, "old") as old,
            at_desk(studio, "new") as new,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(go_on_unaware, old)
            await anyio.sleep(moments(seed, 1, 2.5)[0])
            server.owner = None  # it was not heard of, and does not know it yet
            before = studio.counts["create_session"]
            await lost.wait()
            assert studio.counts["create_session"] - before <= 10  # those under way
            server.kept = (await bring_up(server, new, wanted)).record

        check(report_of(wanted, server), studio)

    run(main)


def test_a_worker_given_a_shard_anew_tells_what_was_seen_of_its_sessions_in_order(run: Run) -> None:
    failing = {"create": {"median_s": 60, "failures": {"INITIALIZATION_SCRIPT_ERROR": 1.0}}}
    studio, server, wanted = Studio(seed=1, **failing), Server(), order(5, breaker=99)

    async def main() -> None:
        async def go_on_unaware(desk: Desk) -> None:
            with pytest.raises(LeaseLost):
                await bring_up(server, desk, wanted)

        async with at_desk(studio) as desk, anyio.create_task_group() as tasks:
            tasks.start_soon(go_on_unaware, desk)
            await anyio.sleep(20.0)  # the worker slept meanwhile, and its poller knows them all
            server.kept = (await bring_up(server, desk, wanted)).record

        check(report_of(wanted, server), studio)

    run(main)
    for result in report_of(wanted, server).values():
        seen = [change.after for change in result.attempts[-1].changes]
        assert (result.verdict, result.state, seen[-1]) == (Verdict.FAILURE, *["CREATE_FAILED"] * 2)


def test_while_the_server_is_away_nothing_is_created_and_all_goes_on_afterwards(run: Run) -> None:
    studio, server, wanted = Studio(seed=3), Server(), order(60, canary=0)

    async def main() -> None:
        async with at_desk(studio) as desk, anyio.create_task_group() as tasks:

            async def work() -> None:
                server.kept = (await bring_up(server, desk, wanted)).record

            tasks.start_soon(work)
            await anyio.sleep(1.0)
            server.away = True
            await anyio.sleep(1.0)
            made = studio.counts["create_session"]
            await anyio.sleep(300.0)
            assert studio.counts["create_session"] == made < 60
            server.away = False

        check(report_of(wanted, server), studio)

    run(main)
    assert len(report_of(wanted, server).succeeded) == 60


def test_what_had_settled_is_not_taken_up_again_by_the_next(run: Run) -> None:
    studio, server, wanted = Studio(seed=1), Server(), order(30, canary=0)

    async def main() -> None:
        late = order(30, canary=0, deadline=0.0)
        async with at_desk(studio) as desk:
            first = await bring_up(server, desk, late)
            assert first.counts == {"timeout": 30}
            server.kept = first.record
            again = await bring_up(server, desk, wanted)
            assert again.counts == {"timeout": 30}

    run(main)
    assert studio.counts["create_session"] == 0


def test_shards_of_one_worker_are_read_in_the_same_calls(run: Run) -> None:
    studio = Studio(seed=1)

    async def main() -> None:
        async with at_desk(studio) as desk, anyio.create_task_group() as tasks:
            for number in range(4):
                shard = order(25, canary=0)
                wanted = type(shard)(
                    fleet_id=f"fleet-{number}",
                    number=0,
                    specs=shard.specs,
                    plan=shard.plan,
                    deadline=None,
                )
                tasks.start_soon(bring_up, Server(), desk, wanted)

        assert len(studio.sessions()) == 100

    run(main)
    assert studio.counts["list_sessions"] + studio.counts["get_session"] < 60


def test_tokens_derive_from_the_fleet_and_the_key(run: Run) -> None:
    studios = Studio(seed=1), Studio(seed=2)

    async def main(studio: Studio) -> None:
        async with at_desk(studio) as desk:
            await bring_up(Server(), desk, order(3))

    for studio in studios:
        run(lambda studio=studio: main(studio))
    assert sorted(studios[0].tokens) == sorted(studios[1].tokens)


@pytest.mark.parametrize("ready_too", [False, True])
def test_a_shard_that_was_cancelled_is_ended(run: Run, *, ready_too: bool) -> None:
    studio, server, wanted = Studio(seed=1), Server(), order(30)

    async def main() -> None:
        async with at_desk(studio) as desk:
            shard = Shard(wanted, desk, None)
            lease = server.owner = Held(server, shard)

            async def cancel_halfway() -> None:
                while studio.counts["create_session"] < 20:  # noqa: ASYNC110  # in virtual time
                    await anyio.sleep(0.1)
                await anyio.sleep(30)
                shard.stop()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_halfway)
                stopped = await shard.launch(lease)  # type: ignore[arg-type]  # as a lease is used
            assert stopped.counts["cancelled"] > 0
            assert stopped.counts["success"] > 0
            ending = Shard(wanted, desk, stopped.record)
            lease = server.owner = Held(server, ending)
            ended = await ending.end(lease, ready_too=ready_too)  # type: ignore[arg-type]  # so too
            server.kept = ended.record
            assert ended.counts.get("success", 0) == (0 if ready_too else stopped.counts["success"])

        check(report_of(wanted, server), studio)

    run(main)
    for result in report_of(wanted, server).values():
        for attempt in result.attempts:
            kept = result.verdict is Verdict.SUCCESS
            assert attempt.deletion is (None if kept else Deletion.DONE)


def test_how_long_a_deletion_may_take_counts_from_its_call(run: Run) -> None:
    studio = Studio(seed=1, delete={"median_s": 5, "sigma": 0})
    wanted = order(30, canary=0, delete_timeout=15)

    async def main() -> None:
        server = Server()
        async with at_desk(studio) as desk:
            brought_up = (await bring_up(server, desk, wanted)).record
            slow = replace(desk, creates=RateLimiter(0.5, burst=1))
            ending = Shard(wanted, slow, brought_up)
            lease = server.owner = Held(server, ending)
            server.kept = (await ending.end(lease, ready_too=True)).record  # type: ignore[arg-type]  # so too
        check(report_of(wanted, server), studio)
        assert {changes[-1].state for changes in studio.sessions().values()} == {"DELETED"}
        for result in report_of(wanted, server).values():
            assert result.attempts[-1].deletion is Deletion.DONE
            assert (result.state, result.verdict) == ("DELETED", Verdict.CANCELLED)

    run(main)


def test_ending_finds_out_what_was_made_unheard(run: Run) -> None:
    studio, server, wanted = Studio(seed=1), Server(), order(5, canary=0)

    async def main() -> None:
        async with at_desk(studio) as desk:
            assert not await killed(0.12, server, desk, wanted)  # asked for, and not yet answered
            kept = server.kept
            assert kept is not None
            assert not any(
                isinstance(each, events.Created) for each in Kept.unpacked(kept).events()
            )
            ending = Shard(wanted, desk, kept)
            lease = server.owner = Held(server, ending)
            server.kept = (await ending.end(lease, ready_too=True)).record  # type: ignore[arg-type]  # so too

        check(report_of(wanted, server), studio)
        ended = [changes[-1].state for changes in studio.sessions().values()]
        assert ended
        assert set(ended) == {"DELETED"}

    run(main)


def test_a_deadline_is_the_fleet_s_and_not_the_attempt_s(run: Run) -> None:
    studio, server = Studio(seed=1, create={"median_s": 1e6}), Server()

    async def main() -> None:
        wanted = order(3, deadline=datetime.now(UTC).timestamp() + 50)
        async with at_desk(studio) as desk:
            before = anyio.current_time()
            result = await bring_up(server, desk, wanted)
            assert result.counts == {"timeout": 3}
            assert 45 <= anyio.current_time() - before <= 60

    run(main)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="no packed text"):
        Kept.unpacked("x")


def test_a_worker_of_its_own_reads_by_the_budget_of_its_poller(run: Run) -> None:
    studio, server, wanted = Studio(seed=1), Server(), order(10)

    async def main() -> None:
        async with Poller(studio, limiter=RateLimiter(5)) as poller:
            desk = Desk(
                name="w", studio=studio, poller=poller, checks={}, creates=RateLimiter(3, burst=1)
            )
            began = anyio.current_time()
            await bring_up(server, desk, wanted)
            assert anyio.current_time() - began >= 9 / 3

    run(main)


def test_a_shard_whose_record_is_full_makes_no_further_sessions_and_says_why(run: Run) -> None:
    scarce = {"create": {"failures": {"INSUFFICIENT_CAPACITY": 1.0}}, "failure": {"median_s": 30}}
    studio, server, until = Studio(seed=1, **scarce), Server(), datetime.now(UTC).timestamp() + 900
    roomy = order(20, canary=0, breaker=999, deadline=until)
    wanted = replace(roomy, plan=replace(roomy.plan, open_shards=500))

    async def main() -> None:
        async with at_desk(studio) as desk:
            server.kept = (await bring_up(server, desk, wanted)).record

        check(report_of(wanted, server), studio)

    run(main)
    report = report_of(wanted, server)
    assert len(server.kept or "") < 1.25 * wanted.plan.largest_record
    assert {result.verdict for result in report.values()} == {Verdict.CANCELLED}
    assert all("its record is full" in (result.message or "") for result in report.values())
