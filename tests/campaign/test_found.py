"""What the campaign found, each as the smallest case that showed it."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

import greenroom
from greenroom import PayAsYouWait, Poller, Verdict
from greenroom.testing import ScriptedSource


@pytest.mark.parametrize("named", [True, False])
def test_an_id_that_made_calls_fail_may_be_waited_for_again_once_it_exists(run, named):
    async def main():
        source = ScriptedSource(
            {"young": [(0, None), (20, "READY")], "old": [(0, "CREATE_IN_PROGRESS")]}
        )
        source.fail(
            lambda: greenroom.NotFound("who is young?", ids=["young"] if named else []),
            when=lambda call: "young" in call.ids and call.at < 20,
        )
        async with Poller(source, not_found_grace=1) as poller, poller.watch(["old"]):
            first = await poller.wait_all(["young", "old"], until="READY", timeout=15)
            assert first["young"].verdict is Verdict.MISSING
            await anyio.sleep(10)
            again = await poller.wait_all(["young", "old"], until="READY", timeout=60)
        assert again["young"].verdict is Verdict.SUCCESS
        assert again["old"].verdict is Verdict.TIMEOUT

    run(main)


def test_a_lone_id_that_is_not_found_within_a_group_of_exceptions_is_absent(run):
    async def main():
        source = ScriptedSource({})
        source.fail(lambda: ExceptionGroup("tasks", [greenroom.NotFound("who?")]))
        async with Poller(source, not_found_grace=10) as poller:
            results = await poller.wait_all(["s-1"], until="READY", timeout=60)
        assert results["s-1"].verdict is Verdict.MISSING
        assert len(source.calls) < 20

    run(main)


def test_somebody_who_joins_does_not_put_off_a_session_beyond_its_ceiling(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS")]}, max_batch=1)
        schedule = PayAsYouWait(ceiling=20)
        async with Poller(source, schedule=schedule) as poller, poller.watch(["s-1"]):
            await anyio.sleep(16)
            async with poller.watch(["s-1"]):
                await anyio.sleep(30)
        times = [call.at for call in source.calls]
        assert max(later - earlier for earlier, later in pairwise(times)) <= 20

    run(main)


def test_an_unknown_state_refuses_nobody_once_the_session_is_gone(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "NOVEL"), (60, None)]})
        async with Poller(source, strict=True) as poller, poller.watch(["s-1"]):
            await anyio.sleep(80)
            results = await poller.wait_all(["s-1"], until="DELETED", timeout=60)
        assert results["s-1"].verdict is Verdict.SUCCESS

    run(main)


def test_hints_about_a_session_on_which_the_service_stumbles_multiply_no_calls(run):
    async def main():
        source = ScriptedSource({each: [(0, "CREATE_IN_PROGRESS")] for each in ("odd", "good")})
        source.fail(lambda: ValueError("odd"), when=lambda call: "odd" in call.ids)
        limiter = greenroom.RateLimiter(100)
        async with Poller(source, limiter=limiter) as poller, poller.watch(["odd", "good"]):
            await anyio.sleep(30)
            for _ in range(10):
                poller.notify("odd")
                await anyio.sleep(3)
            before = len(source.calls)
            await anyio.sleep(100)
        assert sum("odd" in call.ids for call in source.calls[before:]) < 50

    run(main)


def test_those_who_left_before_a_call_about_them_failed_are_not_remembered(run):
    async def main():
        source = ScriptedSource({}, latency=2)
        source.fail(lambda: greenroom.NotFound("one of you"))
        async with Poller(source) as poller:
            async with poller.watch(["s-1", "s-2"]):
                await anyio.sleep(1)
            await anyio.sleep(5)
            assert not poller._engine.reader._suspects._perhaps

    run(main)


@pytest.mark.parametrize("bad", [2, 30])
def test_some_ids_on_which_the_service_stumbles_do_not_take_the_others_with_them(run, bad):
    """Where one was in each half of a call, nobody was ever answered."""

    async def main():
        ids = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (100, "READY")] for n in range(10)}
        bad_ids = [f"bad-{n}" for n in range(bad)]
        asked = [*bad_ids[: bad // 2], *ids, *bad_ids[bad // 2 :]]
        source = ScriptedSource(ids)
        source.fail(
            lambda: greenroom.Unavailable("stumbles"),
            when=lambda call: not {*call.ids}.isdisjoint(bad_ids),
        )
        async with Poller(source) as poller:
            results = await poller.wait_all(asked, until="READY", timeout=600)
        assert {result.id for result in results.succeeded} == set(ids)
        assert max(result.elapsed for result in results.succeeded) < 300

    run(main)


@pytest.mark.parametrize("schedule", [greenroom.Backoff(), greenroom.Every(10), PayAsYouWait()])
def test_ids_that_are_tried_again_and_again_do_not_starve_the_others(run, schedule):
    """Those whose call had failed went before everybody else, and used up the budget."""

    async def main():
        good = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (100, "READY")] for n in range(10)}
        source = ScriptedSource(good, max_batch=1)
        source.fail(lambda: greenroom.Unavailable("no"), when=lambda call: call.ids[0] not in good)
        limiter = greenroom.RateLimiter(2)
        async with Poller(source, limiter=limiter, schedule=schedule) as poller:
            ids = [*(f"bad-{n}" for n in range(30)), *good]
            results = await poller.wait_all(ids, until="READY", timeout=600)
        assert {result.id for result in results.succeeded} == set(good)

    run(main)


def test_after_a_long_outage_all_are_asked_for_together_again(run):
    async def main():
        ids = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (100, "READY")] for n in range(100)}
        source = ScriptedSource(ids)
        source.fail(lambda: greenroom.Unavailable("away"), when=lambda call: call.at < 600)
        async with Poller(source) as poller:
            results = await poller.wait_all(ids, until="READY", timeout=1200)
        assert max(result.elapsed for result in results.values()) < 640
        assert sum(call.at >= 600 for call in source.calls) < 20

    run(main)
