"""Every semantic of the engine, in virtual time, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import math
from datetime import UTC, datetime, tzinfo
from itertools import pairwise

import anyio
import pytest

import greenroom
from greenroom import Observation, Poller, Verdict
from greenroom._alarms import FEW, Alarms
from greenroom._waiting import LAST_LOOK
from greenroom.testing import ScriptedSource


def creating(ready_at, **more):
    return [(0, "CREATE_IN_PROGRESS"), (ready_at, "READY")]


def many(count, ready_at=lambda n: 60 + n):
    return {f"s-{number}": creating(ready_at(number)) for number in range(count)}


# Waiting.


def test_one_wait_ends_soon_after_the_change(run):
    async def main():
        source = ScriptedSource({"s-1": creating(240)}, latency=0.1)
        result = await greenroom.wait(source, "s-1", until="READY", timeout=1800)
        assert result.verdict is Verdict.SUCCESS
        assert result.state == "READY"
        assert 240 <= result.elapsed <= 252
        assert [change.after for change in result.history] == ["CREATE_IN_PROGRESS", "READY"]
        assert result.resource == {"sessionId": "s-1", "state": "READY"}
        assert result.reads == len(source.calls)

    run(main)


def test_three_hundred_sessions_cost_less_than_a_call_each(run):
    async def main():
        source = ScriptedSource(many(300, lambda n: 100 + n / 2), latency=0.1)
        limiter = greenroom.RateLimiter(max_rate=10, burst=20)
        async with Poller(source, limiter=limiter, schedule=greenroom.Every(2.5)) as poller:
            results = await poller.wait_all(many(300), until="READY", timeout=1800)
            statistics = poller.statistics()
        delays = [results[f"s-{n}"].elapsed - (100 + n / 2) for n in range(300)]
        assert len(results.succeeded) == 300
        assert statistics.calls <= 300
        assert sum(delays) / 300 <= 1.5
        assert statistics.throttled == 0

    run(main)


def test_sessions_that_arrive_one_by_one_share_calls(run):
    async def main():
        source = ScriptedSource(many(300, lambda n: 60 + n / 5))
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def wait(session_id):
                await poller.wait(session_id, until="READY", timeout=600)

            for number in range(300):
                tasks.start_soon(wait, f"s-{number}")
                await anyio.sleep(0.2)
        assert source.calls[0].ids == ("s-0",), "the first is not kept waiting"
        assert len(source.calls) <= 200

    run(main)


def test_five_thousand_sessions_are_paced_by_the_budget_alone(run):
    async def main():
        source = ScriptedSource(many(5000, lambda n: 100 + n / 50), latency=0.1)
        limiter = greenroom.RateLimiter(max_rate=10, burst=20)
        async with Poller(source, limiter=limiter, schedule=greenroom.Every(2.5)) as poller:
            results = await poller.wait_all(many(5000), until="READY", timeout=1800)
        delays = [results[f"s-{n}"].elapsed - (100 + n / 50) for n in range(5000)]
        assert len(results.succeeded) == 5000
        assert sum(delays) / 5000 <= 4
        times = [call.at for call in source.calls]
        for first in range(0, len(times), 7):
            for last in range(first, min(first + 200, len(times))):
                assert last - first + 1 <= 10 * (times[last] - times[first]) + 20 + 1e-6

    run(main)


def test_results_come_in_the_order_of_settling(run):
    async def main():
        source = ScriptedSource({"slow": creating(90), "fast": creating(30), "mid": creating(60)})
        async with Poller(source) as poller:
            order = [
                result.id
                async for result in poller.as_completed(
                    ["slow", "fast", "mid"], until="READY", timeout=600
                )
            ]
        assert order == ["fast", "mid", "slow"]

    run(main)


def test_leaving_as_completed_early_leaves_the_other_waits(run):
    async def main():
        source = ScriptedSource({"fast": creating(10), "slow": creating(9999)})
        async with Poller(source) as poller:
            async for result in poller.as_completed(["fast", "slow"], until="READY", timeout=None):
                assert result.id == "fast"
                break
            gc.collect()
            await anyio.wait_all_tasks_blocked()
            assert poller.statistics().sessions == 0

    run(main)


def test_duplicate_ids_are_one_wait_and_results_keep_the_order_given(run):
    async def main():
        source = ScriptedSource({"b": creating(5), "a": creating(9)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["b", "a", "b"], until="READY", timeout=60)
        assert list(results) == ["b", "a"]

    run(main)


def test_several_states_may_be_the_goal(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (9, "CREATE_FAILED")]})
        either = ["READY", "CREATE_FAILED"]
        result = await greenroom.wait(source, "s-1", until=either, timeout=60)
        assert result.state == "CREATE_FAILED"

    run(main)


def test_two_waits_on_one_id_share_every_read_and_keep_their_own_goals(run):
    async def main():
        source = ScriptedSource({"s-1": creating(50)})
        outcomes = {}
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def wait(goal, timeout):
                try:
                    outcomes[goal] = (await poller.wait("s-1", until=goal, timeout=timeout)).verdict
                except greenroom.WaitError as error:
                    outcomes[goal] = error.result.verdict

            tasks.start_soon(wait, "READY", 600)
            tasks.start_soon(wait, "STOPPED", 20)
        assert outcomes == {"READY": Verdict.SUCCESS, "STOPPED": Verdict.UNREACHABLE}
        assert len(source.calls) <= 2 + math.ceil(52.5 / 2.5)

    run(main)


# Verdicts.


@pytest.mark.parametrize(
    ("path", "last"),
    [
        (["READY", "DELETE_IN_PROGRESS"], "DELETED"),
        (["READY", "STOP_IN_PROGRESS"], "STOPPED"),
        (["READY", "STOP_IN_PROGRESS"], "STOP_FAILED"),
    ],
)
def test_a_goal_that_went_out_of_reach_ends_the_wait_within_one_poll(run, path, last):
    async def main():
        # It was READY and went on between two reads: nobody is told READY of a stopped session.
        script = [(0, "CREATE_IN_PROGRESS"), (30.1, path[0]), (30.2, path[1]), (30.3, last)]
        source = ScriptedSource({"s-1": script})
        async with Poller(source, schedule=greenroom.Every(2.5)) as poller:
            with pytest.raises(greenroom.GoalUnreachable) as caught:
                await poller.wait("s-1", until="READY", timeout=1800)
        result = caught.value.result
        assert result.state == last
        assert result.elapsed <= 30.3 + 2.5
        proven = path if "STOP_IN_PROGRESS" in path else path[1:]
        assert result.history[-1].skipped == tuple(proven), "a failed create is deleted too"
        assert f"s-1 is {last} and can never become READY by itself" in str(caught.value)

    run(main)


def test_a_failure_carries_its_reason_and_what_it_means(run):
    async def main():
        failed = Observation("CREATE_FAILED", reason="INSUFFICIENT_CAPACITY", message="none left")
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (40, failed)]})
        with pytest.raises(greenroom.WaitFailed, match="no capacity for this instance") as caught:
            await greenroom.wait(source, "s-1", until="READY", timeout=1800)
        assert caught.value.result.reason == "INSUFFICIENT_CAPACITY"
        assert caught.value.result.message == "none left"

    run(main)


def test_stopped_right_after_start_may_be_old_news(run):
    async def main():
        script = [(0, "STOPPED"), (8, "START_IN_PROGRESS"), (70, "READY")]
        result = await greenroom.wait(
            ScriptedSource({"s-1": script}), "s-1", until="READY", timeout=600
        )
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_a_session_nobody_started_is_unreachable_after_the_settle_time(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "STOPPED")]})
        with pytest.raises(greenroom.GoalUnreachable, match="only a start leads on") as caught:
            await greenroom.wait(source, "s-1", until="READY", timeout=600)
        assert caught.value.result.elapsed == pytest.approx(30, abs=0.5)

    run(main)


def test_not_found_right_after_create_is_pending(run):
    async def main():
        source = ScriptedSource({"s-1": [(12, "CREATE_IN_PROGRESS"), (60, "READY")]})
        result = await greenroom.wait(source, "s-1", until="READY", timeout=600)
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_an_id_missing_from_a_page_is_asked_for_alone_before_it_is_missing(run):
    async def main():
        source = ScriptedSource({"here": creating(50)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["here", "typo"], until="READY", timeout=600)
        assert results["typo"].verdict is Verdict.MISSING
        assert results["typo"].elapsed == pytest.approx(30, abs=0.5)
        assert results["here"].verdict is Verdict.SUCCESS
        alone = [call for call in source.calls if call.ids == ("typo",)]
        assert len(alone) == 1, "during the grace nothing is gained by asking alone"

    run(main)


def test_a_lagging_page_never_costs_a_session_its_wait(run):
    class Lagging(ScriptedSource):
        async def describe(self, ids, /):
            seen = dict(await super().describe(ids))
            if len(ids) > 1:
                seen.pop("s-1", None)
            return seen

    async def main():
        source = Lagging({"s-1": creating(100), "s-2": creating(200)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["s-1", "s-2"], until="READY", timeout=600)
        assert len(results.succeeded) == 2

    run(main)


def test_gone_is_success_for_those_who_wait_for_deleted(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "READY"), (5, "DELETE_IN_PROGRESS"), (20, None)]})
        async with Poller(source) as poller:
            results = await poller.wait_all(["s-1", "never"], until="DELETED", timeout=600)
        assert results["s-1"].verdict is Verdict.SUCCESS
        assert results["s-1"].history[-1].after is None
        assert results["never"].verdict is Verdict.SUCCESS
        assert results["never"].elapsed <= 6

    run(main)


def test_an_unknown_state_is_pending_and_reported(run):
    async def main():
        script = [(0, "CREATE_IN_PROGRESS"), (10, "WARMING_UP"), (60, "READY")]
        result = await greenroom.wait(
            ScriptedSource({"s-1": script}), "s-1", until="READY", timeout=600
        )
        assert "WARMING_UP" in [change.after for change in result.history]

    run(main)


def test_strict_refuses_an_unknown_state(run):
    async def main():
        script = [(0, "CREATE_IN_PROGRESS"), (10, "WARMING_UP"), (60, "READY")]
        async with Poller(ScriptedSource({"s-1": script}), strict=True) as poller:
            with pytest.raises(greenroom.TableError, match="WARMING_UP"):
                await poller.wait("s-1", until="READY", timeout=600)

    run(main)


# Deadlines.


def test_the_deadline_ends_with_one_last_look(run):
    async def main():
        source = ScriptedSource({"s-1": creating(59.9)})
        async with Poller(source, schedule=greenroom.Every(50)) as poller:
            result = await poller.wait("s-1", until="READY", timeout=60)
        assert result.verdict is Verdict.SUCCESS
        assert result.elapsed == pytest.approx(60)

    run(main)


def test_a_wait_that_times_out_says_what_it_saw(run):
    async def main():
        source = ScriptedSource({"s-1": creating(999)}, latency=0.5)
        with pytest.raises(greenroom.WaitTimeout, match="not READY, after") as caught:
            await greenroom.wait(source, "s-1", until="READY", timeout=60)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.result.state == "CREATE_IN_PROGRESS"
        assert 60 <= caught.value.result.elapsed <= 61

    run(main)


def test_a_timeout_of_zero_is_one_look(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0), "s-2": creating(5)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["s-1", "s-2"], until="READY", timeout=0)
        assert [result.verdict for result in results.values()] == ["success", "timeout"]
        assert len(source.calls) == 1

    run(main)


def test_a_hanging_service_cannot_hold_a_wait_past_its_deadline(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0)}, latency=10_000)
        async with Poller(source) as poller:
            result = (await poller.wait_all(["s-1"], until="READY", timeout=45))["s-1"]
        assert result.verdict is Verdict.TIMEOUT
        assert 45 <= result.elapsed <= 45 + LAST_LOOK

    run(main)


def test_a_timeout_before_any_answer_says_that_there_was_none(run):
    async def main():
        source = ScriptedSource({"s-1": creating(5)}, latency=10_000)
        with pytest.raises(greenroom.WaitTimeout, match="no answer so far"):
            await greenroom.wait(source, "s-1", until="READY", timeout=5)

    run(main)


def test_a_timeout_before_its_turn_says_that_a_higher_rate_would_do(run):
    async def main():
        limiter = greenroom.RateLimiter(max_rate=0.01)
        await limiter.acquire()
        source = ScriptedSource({"s-1": creating(5)})
        with pytest.raises(greenroom.WaitTimeout, match="a higher rate would reach it"):
            await greenroom.wait(source, "s-1", until="READY", timeout=5, limiter=limiter)

    run(main)


def test_a_hanging_call_is_given_up_and_made_again(run):
    class HangsOnce(ScriptedSource):
        async def describe(self, ids, /):
            if not self.calls:
                self.calls.append(None)
                await anyio.sleep_forever()
            return await super().describe(ids)

    async def main():
        async with Poller(HangsOnce({"s-1": creating(0)}), call_timeout=5) as poller:
            result = await poller.wait("s-1", until="READY", timeout=60)
        assert result.elapsed <= 5 + 2

    run(main)


# Faults.


def test_an_outage_of_sixty_seconds_loses_no_wait(run):
    async def main():
        source = ScriptedSource(many(300, lambda n: 30 + n / 3))
        source.fail(
            lambda: greenroom.Unavailable("connection refused"), when=lambda c: 20 <= c.at < 80
        )
        async with Poller(source) as poller:
            results = await poller.wait_all(many(300), until="READY", timeout=600)
            statistics = poller.statistics()
        assert len(results.succeeded) == 300
        assert all(result.elapsed <= 80 + 13 + n / 3 for n, result in enumerate(results.values()))
        assert statistics.failed > 0
        assert statistics.last_error is None

    run(main)


def test_throttling_slows_the_limiter_and_ends_no_wait(run):
    async def main():
        source = ScriptedSource(many(300, lambda n: 30 + n / 3))
        numbers = iter(range(10**6))
        source.fail(lambda: greenroom.Throttled("slow down"), when=lambda c: next(numbers) % 10 < 3)
        limiter, rates = greenroom.RateLimiter(max_rate=10, burst=20), []
        async with Poller(source, limiter=limiter) as poller:
            poller.on("READY", lambda change: rates.append(limiter.statistics().rate))
            results = await poller.wait_all(many(300), until="READY", timeout=600)
            assert poller.statistics().throttled > 10
        assert min(rates) < 10
        assert len(results.succeeded) == 300

    run(main)


def test_retry_after_is_honoured_as_a_floor(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0)})
        source.fail(
            lambda: greenroom.Throttled("slow down", retry_after=17), when=lambda c: c.at == 0
        )
        result = await greenroom.wait(source, "s-1", until="READY", timeout=60)
        assert result.elapsed >= 17
        assert len(source.calls) == 2

    run(main)


@pytest.mark.parametrize("error", [ConnectionResetError, OSError])
def test_operating_system_errors_are_outages(run, error):
    async def main():
        source = ScriptedSource({"s-1": creating(0)})
        source.fail(error, when=lambda c: c.at < 10)
        result = await greenroom.wait(source, "s-1", until="READY", timeout=60)
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_access_denied_ends_the_waits_it_concerns_at_once(run):
    async def main():
        source = ScriptedSource(many(3))
        source.fail(lambda: greenroom.AccessDenied("not you"))
        async with Poller(source) as poller:
            results = await poller.wait_all(many(3), until="READY", timeout=600)
            with pytest.raises(greenroom.AccessDenied, match="not you"):
                await poller.wait("s-1", until="READY", timeout=600)
        assert [result.verdict for result in results.values()] == [Verdict.ERROR] * 3
        assert all(result.elapsed == 0 for result in results.values())

    run(main)


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_id_never_fails_its_batch(run, named):
    async def main():
        source = ScriptedSource(many(100, lambda n: 60))
        source.fail(
            lambda: greenroom.InvalidRequest("bad", ids=["s-13"] if named else []),
            when=lambda c: "s-13" in c.ids,
        )
        async with Poller(source) as poller:
            results = await poller.wait_all(many(100), until="READY", timeout=600)
        assert [result.id for result in results.failed] == ["s-13"]
        assert len(results.succeeded) == 99
        assert sum("s-13" in call.ids for call in source.calls) <= (2 if named else 8)

    run(main)


@pytest.mark.parametrize(
    "error",
    [
        lambda: ZeroDivisionError("oops"),
        lambda: greenroom.Unavailable("internal error"),
        lambda: ExceptionGroup("many", [ConnectionResetError("reset")]),
    ],
)
def test_an_id_on_which_the_service_stumbles_does_not_take_the_others_with_it(run, error):
    async def main():
        source = ScriptedSource(many(40, lambda n: 10))
        source.fail(error, when=lambda c: "s-2" in c.ids)
        async with Poller(source) as poller:
            results = await poller.wait_all(many(40), until="READY", timeout=120)
        assert [result.id for result in results.timed_out] == ["s-2"]
        assert len(results.succeeded) == 39
        assert results["s-2"].explanation.startswith("s-2 was not seen within 120.0 s: ")
        assert "so far" not in results["s-2"].explanation, "it names what went wrong instead"

    run(main)


def test_an_outage_is_not_hammered(run):
    async def main():
        source = ScriptedSource(many(100, lambda n: 9999))
        source.fail(lambda: greenroom.Unavailable("away"))
        async with Poller(source) as poller:
            await poller.wait_all(many(100), until="READY", timeout=600)
        assert len(source.calls) <= 400, "one batch, about ten seconds apart, halved once"

    run(main)


def test_what_the_service_stumbles_on_delays_its_neighbours_only_at_first(run):
    async def main():
        ids = many(300, lambda n: 20 + n)
        source = ScriptedSource(ids)
        source.fail(lambda: ValueError("odd"), when=lambda c: "s-7" in c.ids)
        async with Poller(source, schedule=greenroom.Every(2.5)) as poller:
            results = await poller.wait_all(ids, until="READY", timeout=600)
        delays = [results[f"s-{n}"].elapsed - (20 + n) for n in range(300) if n != 7]
        assert len(results.succeeded) == 299
        assert sum(delays) / len(delays) <= 2

    run(main)


def test_if_polling_ends_uninvited_nobody_waits_for_ever(backend, run):
    if backend == "trio":
        return  # a task there cannot cancel itself

    class Suicidal(ScriptedSource):
        async def describe(self, ids, /):
            asyncio.current_task().cancel()
            await anyio.sleep(1)

    async def main():
        async with Poller(Suicidal({"s-1": creating(0)})) as poller:
            results = await poller.wait_all(["s-1"], until="READY", timeout=100)
        assert results["s-1"].verdict in (Verdict.CANCELLED, Verdict.TIMEOUT)
        assert results["s-1"].message is None, "a message is the service's own sentence"

    run(main)


def test_a_good_id_is_not_refused_for_a_bad_one_that_has_left(run):
    async def main():
        source = ScriptedSource(many(2, lambda n: 5), latency=1)
        source.fail(
            lambda: greenroom.InvalidRequest("bad", ids=["s-1"]), when=lambda c: "s-1" in c.ids
        )
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def leave_early():
                with anyio.move_on_after(0.5):
                    await poller.wait("s-1", until="READY", timeout=None)

            tasks.start_soon(leave_early)
            result = await poller.wait("s-0", until="READY", timeout=60)
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_a_batch_that_is_not_found_is_asked_for_one_by_one(run):
    async def main():
        source = ScriptedSource(many(8, lambda n: 5))
        source.fail(lambda: greenroom.NotFound("one is gone"), when=lambda c: "s-3" in c.ids)
        async with Poller(source) as poller:
            results = await poller.wait_all(many(8), until="READY", timeout=120)
        assert results["s-3"].verdict is Verdict.MISSING
        assert len(results.succeeded) == 7

    run(main)


def test_a_refusal_does_not_end_a_wait_that_began_after_the_question(run):
    async def main():
        source = ScriptedSource({"s-1": creating(0)}, latency=2)
        source.fail(lambda: greenroom.AccessDenied("not yet"), when=lambda c: c.at == 0)
        verdicts = []
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def wait():
                results = await poller.wait_all(["s-1"], until="READY", timeout=60)
                verdicts.append(results["s-1"].verdict)

            tasks.start_soon(wait)
            await anyio.sleep(1)
            tasks.start_soon(wait)
        assert verdicts == [Verdict.ERROR, Verdict.SUCCESS]

    run(main)


def test_a_cancellation_that_leaks_out_of_a_source_stops_nothing(backend, run):
    if backend == "trio":
        return  # nobody but trio can raise Cancelled there

    class Leaky(ScriptedSource):
        async def describe(self, ids, /):
            if len(self.calls) == 0:
                self.calls.append(None)
                raise anyio.get_cancelled_exc_class()
            return await super().describe(ids)

    async def main():
        async with Poller(Leaky({"s-1": creating(0)})) as poller:
            poller.on("READY", raises_cancelled)
            result = await poller.wait("s-1", until="READY", timeout=60)
            await anyio.wait_all_tasks_blocked()
            assert poller.statistics().callback_errors == 1
        assert result.verdict is Verdict.SUCCESS

    def raises_cancelled(change):
        raise anyio.get_cancelled_exc_class()

    run(main)


def test_a_newcomer_is_looked_at_soon_however_long_the_interval(run):
    async def main():
        source = ScriptedSource(many(101, lambda n: 9999) | {"ready": creating(0)})
        async with (
            Poller(source, schedule=greenroom.Every(600)) as poller,
            poller.watch(many(101)),
        ):
            await anyio.sleep(777)
            result = await poller.wait("ready", until="READY", timeout=60)
        assert result.elapsed <= 1.0

    run(main)


def test_ids_asked_for_alone_do_not_keep_the_others_waiting(run):
    async def main():
        gone = {f"gone-{n}": [(0, "DELETE_IN_PROGRESS"), (20, None)] for n in range(400)}
        source = ScriptedSource(gone | {"ready": creating(0)})
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def wait_for_the_gone():
                results = await poller.wait_all(gone, until="DELETED", timeout=600)
                assert len(results.succeeded) == 400

            tasks.start_soon(wait_for_the_gone)
            await anyio.sleep(30)
            assert poller.statistics().lag > 1
            result = await poller.wait("ready", until="READY", timeout=5)
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_a_watch_on_what_is_gone_costs_no_more_than_the_watch(run):
    async def main():
        source = ScriptedSource({f"s-{n}": [(0, "READY"), (10, None)] for n in range(100)})
        async with Poller(source) as poller, poller.watch([f"s-{n}" for n in range(100)]):
            await anyio.sleep(60)
            before = len(source.calls)
            await anyio.sleep(100)
        assert len(source.calls) - before <= 45

    run(main)


def test_the_deadline_of_as_completed_is_kept_while_nobody_listens(run):
    async def main():
        source = ScriptedSource({"fast": creating(1), "slow": creating(50)})
        verdicts = []
        async with Poller(source) as poller:
            async for result in poller.as_completed(["fast", "slow"], until="READY", timeout=10):
                verdicts.append((result.id, result.verdict, result.elapsed <= 12))
                await anyio.sleep(100)
        assert verdicts == [("fast", "success", True), ("slow", "timeout", True)]

    run(main)


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        ["s-1"],
        {"s-1": "READY"},
        {"s-1": Observation(None)},
        {"s-1": Observation("READY", reason=["a list"])},
        {"s-1": Observation("READY", changed_at="2024-01-01")},
    ],
)
def test_garbage_is_not_an_answer(run, garbage):
    class Garbage(ScriptedSource):
        async def describe(self, ids, /):
            seen = await super().describe(ids)
            return garbage if self.elapsed() < 10 else seen

    async def main():
        result = await greenroom.wait(
            Garbage({"s-1": creating(0)}), "s-1", until="READY", timeout=60
        )
        assert result.elapsed >= 10

    run(main)


def test_ids_that_nobody_asked_for_are_dropped(run):
    class Chatty(ScriptedSource):
        async def describe(self, ids, /):
            return {**await super().describe(ids), "foreign": Observation("READY")}

    async def main():
        async with Poller(Chatty({"s-1": creating(5)})) as poller:
            results = await poller.wait_all(["s-1"], until="READY", timeout=60)
        assert list(results) == ["s-1"]

    run(main)


def test_every_page_pays(run):
    class Paged(ScriptedSource):
        async def describe_pages(self, ids, pay, /):
            seen = dict(await self.describe(ids[:1]))
            for session_id in ids[1:]:
                await pay()
                seen.update(await self.describe([session_id]))
            return seen

    async def main():
        source = Paged(many(30, lambda n: 0))
        limiter = greenroom.RateLimiter(max_rate=10, burst=5)
        async with Poller(source, limiter=limiter) as poller:
            await poller.wait_all(many(30), until="READY", timeout=60)
            assert poller.statistics().calls == 30
            assert limiter.statistics().granted == 30
        assert source.calls[-1].at >= 2.5

    run(main)


# Cancellation and closing.


def test_a_cancelled_wait_leaves_nothing_behind(run):
    async def main():
        source = ScriptedSource(many(5, lambda n: 9999), latency=0.3)
        async with Poller(source) as poller:
            with anyio.move_on_after(20.1):
                await poller.wait_all(many(5), until="READY", timeout=None)
            assert poller.statistics().sessions == 0
            assert poller.statistics().waiting == 0
            await anyio.sleep(1)
            calls = len(source.calls)
            await anyio.sleep(100)
            assert len(source.calls) == calls

    run(main)


def test_a_cancelled_wait_leaves_the_others(run):
    async def main():
        source = ScriptedSource({"s-1": creating(60)})
        async with Poller(source) as poller, anyio.create_task_group() as tasks:

            async def impatient():
                with anyio.move_on_after(10):
                    await poller.wait("s-1", until="READY", timeout=None)

            tasks.start_soon(impatient)
            result = await poller.wait("s-1", until="READY", timeout=600)
        assert result.verdict is Verdict.SUCCESS

    run(main)


def test_an_error_in_the_body_comes_out_as_itself(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "DELETED")]})
        with pytest.raises(greenroom.GoalUnreachable):
            async with Poller(source) as poller:
                await poller.wait("s-1", until="READY", timeout=60)

    run(main)


def test_closing_ends_the_waits_of_other_tasks(run):
    async def main():
        caught = []

        async def wait(poller):
            try:
                await poller.wait("s-1", until="READY", timeout=None)
            except greenroom.PollerClosed as error:
                caught.append(error)

        async with (
            anyio.create_task_group() as tasks,
            Poller(ScriptedSource({"s-1": creating(999)})) as poller,
        ):
            tasks.start_soon(wait, poller)
            await anyio.sleep(5)
        assert len(caught) == 1
        with pytest.raises(greenroom.PollerClosed):
            await poller.wait("s-1", until="READY", timeout=1)

    run(main)


def test_cancelling_whoever_holds_the_poller_leaves_nothing_running(run):
    async def main():
        source = ScriptedSource({"s-1": creating(999)}, latency=5)
        with anyio.move_on_after(7) as scope:
            async with Poller(source) as poller:
                poller.on("CREATE_IN_PROGRESS", lambda change: anyio.sleep(1000))
                await poller.wait("s-1", until="READY", timeout=None)
        assert scope.cancelled_caught
        calls = len(source.calls)
        await anyio.sleep(100)
        assert len(source.calls) == calls

    run(main)


def test_a_poller_must_be_entered_and_only_once(run):
    async def main():
        poller = Poller(ScriptedSource({}))
        with pytest.raises(greenroom.PollerClosed, match="async with"):
            await poller.wait("s-1", until="READY", timeout=1)
        async with poller:
            pass
        with pytest.raises(greenroom.PollerClosed, match="new Poller"):
            await poller.__aenter__()

    run(main)


# Watching, callbacks, hints.


def test_watch_shows_every_change_until_left(run):
    async def main():
        script = [(0, "CREATE_IN_PROGRESS"), (20, "READY"), (40, "STOP_IN_PROGRESS"), (50, None)]
        source = ScriptedSource({"s-1": script})
        seen = []
        async with Poller(source) as poller:
            async with poller.watch(["s-1"]) as changes:
                async for change in changes:
                    seen.append((change.before, change.after))
                    if change.after is None:
                        break
            assert poller.statistics().sessions == 0
        assert seen == [
            (None, "CREATE_IN_PROGRESS"),
            ("CREATE_IN_PROGRESS", "READY"),
            ("READY", "STOP_IN_PROGRESS"),
            ("STOP_IN_PROGRESS", None),
        ]

    run(main)


def test_a_refused_id_raises_in_the_watch_which_goes_on_with_the_others(run):
    async def main():
        source = ScriptedSource({"good": creating(9), "bad": creating(9)})
        refusal = {"code": "ValidationException", "operation": "Describe"}
        source.fail(
            lambda: greenroom.InvalidRequest("no", **refusal), when=lambda c: "bad" in c.ids
        )
        async with Poller(source) as poller, poller.watch(["good", "bad"]) as changes:
            with pytest.raises(greenroom.InvalidRequest) as caught:
                async for _ in changes:
                    pass
            assert caught.value.ids == ("bad",)
            assert caught.value.code == "ValidationException"
            assert caught.value.operation == "Describe"
            assert (await anext(changes)).id == "good"
        async with Poller(source) as poller, poller.watch(["bad"]) as changes:
            with pytest.raises(greenroom.InvalidRequest):
                await anext(changes)
            with pytest.raises(StopAsyncIteration):
                await anext(changes)

    run(main)


def test_callbacks_hear_each_event_once_and_in_order(run):
    async def main():
        script = [(0, "CREATE_IN_PROGRESS"), (10, "READY"), (20, "STOP_IN_PROGRESS")]
        source = ScriptedSource({"s-1": script})
        heard, slowly = [], []

        async def slow(change):
            await anyio.sleep(30)
            slowly.append(change.after)

        async with Poller(source) as poller:
            poller.on("READY", lambda change: heard.append(("state", change.after)))
            poller.on("READY", slow)
            poller.on("STOP_IN_PROGRESS", slow)
            poller.on(("CREATE_IN_PROGRESS", "READY"), lambda c: heard.append(("pair", c.before)))
            poller.on((None, "CREATE_IN_PROGRESS"), lambda c: heard.append(("first", c.after)))
            poller.on(Verdict.SUCCESS, lambda result: heard.append(("verdict", result.state)))
            poller.on("*", lambda change: heard.append(("any", change.after)))
            await poller.wait("s-1", until="READY", timeout=60)
            await poller.wait("s-1", until="STOP_IN_PROGRESS", timeout=60)
        assert sorted(heard) == [
            ("any", "CREATE_IN_PROGRESS"),
            ("any", "READY"),
            ("any", "STOP_IN_PROGRESS"),
            ("first", "CREATE_IN_PROGRESS"),
            ("pair", "CREATE_IN_PROGRESS"),
            ("state", "READY"),
            ("verdict", "READY"),
            ("verdict", "STOP_IN_PROGRESS"),
        ]
        assert slowly == ["READY", "STOP_IN_PROGRESS"]

    run(main)


def test_a_change_is_told_once_even_to_waits_that_follow_each_other(run):
    async def main():
        source = ScriptedSource({"s-1": creating(10)})
        heard = []
        async with Poller(source) as poller:
            poller.on("READY", heard.append)
            for _ in range(3):
                await poller.wait("s-1", until="READY", timeout=60)
        assert len(heard) == 1

    run(main)


def test_a_slow_or_raising_callback_delays_neither_polling_nor_others(run):
    async def main():
        source = ScriptedSource(many(2, lambda n: 10 + 10 * n))
        heard = []

        async def hangs(change):
            await anyio.sleep(500)

        def raises(change):
            raise ValueError(change.id)

        async with Poller(source) as poller:
            for callback in (hangs, raises, lambda change: heard.append(anyio.current_time())):
                poller.on("READY", callback)
            start = anyio.current_time()
            await poller.wait_all(many(2), until="READY", timeout=60)
            assert anyio.current_time() - start <= 23
            await anyio.wait_all_tasks_blocked()
            assert len(heard) == 2
            assert poller.statistics().callback_errors == 2

    run(main)


def test_callback_errors_are_raised_at_closing_only_if_asked_for(run):
    async def main():
        def raises(change):
            raise ValueError("mine")

        async def use():
            source = ScriptedSource({"s-1": creating(0)})
            async with Poller(source, raise_callback_errors=True) as poller:
                poller.on("READY", raises)
                await poller.wait("s-1", until="READY", timeout=60)

        with pytest.raises(ExceptionGroup) as caught:
            await use()
        assert isinstance(caught.value.exceptions[0], ValueError)

    run(main)


def test_a_registration_can_be_taken_back(run):
    async def main():
        heard = []
        async with Poller(ScriptedSource({"s-1": creating(5)})) as poller:
            forget = poller.on("READY", heard.append)
            forget()
            forget()
            await poller.wait("s-1", until="READY", timeout=60)
        assert heard == []

    run(main)


def test_a_hint_makes_the_poller_look_now_and_decides_nothing(run):
    async def main():
        source = ScriptedSource({"s-1": creating(31)})
        async with (
            Poller(source, schedule=greenroom.Every(1000)) as poller,
            anyio.create_task_group() as tasks,
        ):

            async def hints():
                poller.notify("nobody waits for this")
                for pause in (10, 22):
                    await anyio.sleep(pause)
                    poller.notify("s-1")

            tasks.start_soon(hints)
            result = await poller.wait("s-1", until="READY", timeout=600)
        assert result.elapsed == pytest.approx(32)
        assert result.reads == 3

    run(main)


# Statistics and bad input.


def test_statistics_tell_of_the_lag_when_the_budget_is_too_small(run):
    async def main():
        source = ScriptedSource(many(50, lambda n: 9999), max_batch=1)
        limiter = greenroom.RateLimiter(max_rate=1, burst=1)
        async with Poller(source, limiter=limiter, schedule=greenroom.Every(5)) as poller:
            with anyio.move_on_after(60):
                async with poller.watch(many(50)) as changes:
                    async for _ in changes:
                        pass
            async with poller.watch(many(50)):
                await anyio.sleep(30)
                assert poller.statistics().lag > 10
                assert poller.statistics().reads_per_call == 1

    run(main)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"until": "REDY"}, "did you mean 'READY'"),
        ({"until": []}, "until is empty"),
        ({"until": 5}, "until=5"),
        ({"ids": 5}, "ids=5"),
        ({"ids": [["s-1"]]}, "not a session id"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": math.nan}, "timeout=nan"),
        ({"timeout": math.inf}, "timeout=None"),
        ({"timeout": "30m"}, "timeout='30m'"),
        ({"ids": []}, "ids is empty"),
        ({"ids": "s-1"}, r"\['s-1'\]"),
        ({"ids": ["s-1", ""]}, "non-empty"),
        ({"ids": [7]}, "7 is not a session id"),
    ],
)
def test_bad_input_is_refused_with_its_value_before_any_call(run, arguments, shown):
    async def main():
        source = ScriptedSource({"s-1": creating(0)})
        given = {"ids": ["s-1"], "until": "READY", "timeout": 60, **arguments}
        async with Poller(source) as poller:
            for wait in (poller.wait_all, poller.as_completed):
                with pytest.raises(ValueError, match=shown) as caught:
                    await wait(given["ids"], until=given["until"], timeout=given["timeout"])
                assert isinstance(caught.value, greenroom.GreenroomError)
        assert source.calls == []

    run(main)


@pytest.mark.parametrize("option", ["settle", "not_found_grace", "call_timeout"])
def test_impossible_durations_are_refused_when_the_poller_is_made(option):
    with pytest.raises(greenroom.ConfigurationError, match=f"{option}=-1"):
        Poller(ScriptedSource({}), **{option: -1})


def test_a_limiter_that_is_none_is_refused_when_the_poller_is_made():
    with pytest.raises(greenroom.ConfigurationError, match="limiter=True is no limiter"):
        Poller(ScriptedSource({}), limiter=True)


def test_a_hint_about_what_is_no_id_is_refused(run):
    async def main():
        async with Poller(ScriptedSource({})) as poller:
            for odd in ([], None, ""):
                with pytest.raises(greenroom.ConfigurationError, match="is not a session id"):
                    poller.notify(odd)
            poller.notify("nobody waits for it")

    run(main)


@pytest.mark.parametrize(
    "trigger", ["REDY", ("READY", "GONE"), ("READY",), (None, "*"), 5, Verdict.PENDING]
)
def test_a_trigger_that_cannot_happen_is_refused(trigger):
    with pytest.raises(ValueError, match=r"REDY|GONE|pair|5 is no state|PENDING"):
        Poller(ScriptedSource({})).on(trigger, print)


def test_a_callback_that_would_never_run_is_refused():
    def generator(change):
        yield change

    async def asynchronous(change):
        yield change

    poller = Poller(ScriptedSource({}))
    for odd in (generator, asynchronous):
        with pytest.raises(greenroom.ConfigurationError, match=f"{odd.__name__} yields"):
            poller.on("READY", odd)


def test_results_raise_together_with_every_member_named(run):
    async def main():
        source = ScriptedSource({"ok": creating(1), "bad": [(0, "DELETED")]})
        async with Poller(source) as poller:
            results = await poller.wait_all(["ok", "bad"], until="READY", timeout=60)
        with pytest.raises(greenroom.WaitsFailed, match="1 of 2 failed: bad is DELETED") as caught:
            results.raise_for_failures()
        assert list(caught.value.results) == ["bad"]
        assert caught.value.result.id == "bad"

    run(main)


@pytest.mark.parametrize("schedule", [None, greenroom.Every(60)])
def test_a_wait_on_a_session_that_is_watched_is_answered_soon(run, schedule):
    async def main():
        source = ScriptedSource({"s-1": [(0, "READY")], "s-2": [(0, "READY")]})
        async with Poller(source, schedule=schedule) as poller, poller.watch(["s-1", "s-2"]):
            for pause in (3600, 1, 700):
                await anyio.sleep(pause)
                result = await poller.wait("s-1", until="READY", timeout=600)
                assert result.elapsed <= 5

    run(main)


def test_a_time_without_an_offset_is_not_believed_and_does_no_harm(run):
    class Odd(tzinfo):
        def utcoffset(self, when):
            return None

    async def main():
        began = Observation("CREATE_IN_PROGRESS", changed_at=datetime(2024, 1, 1, tzinfo=Odd()))
        source = ScriptedSource({"s-1": [(0, began), (5, "READY")]})
        assert (await greenroom.wait(source, "s-1", until="READY", timeout=60)).reads > 1

    run(main)


def test_of_those_who_starve_nobody_is_passed_over_for_ever(run):
    async def main():
        ids = {f"a-{n}": [(0, "CREATE_IN_PROGRESS")] for n in range(300)}
        ids |= {f"b-{n}": [(0, "START_IN_PROGRESS")] for n in range(100)}
        source = ScriptedSource(ids, max_batch=10)
        async with Poller(source, limiter=greenroom.RateLimiter(1)) as poller:
            await poller.wait_all(ids, until="READY", timeout=1000)
        for session_id in ("a-0", "a-299", "b-0", "b-99"):
            looks = [call.at for call in source.calls if session_id in call.ids]
            assert max(after - before for before, after in pairwise(looks)) < 300

    run(main)


class NoOffset(tzinfo):
    """A zone that does not know its offset, as the base class has it: None."""

    def utcoffset(self, when):
        return None


class Raising(tzinfo):
    def utcoffset(self, when):
        raise KeyError("no such zone")


@pytest.mark.parametrize("zone", [NoOffset(), Raising()])
def test_a_time_of_an_odd_zone_beside_others_ends_nothing(run, zone):
    async def main():
        usual = Observation("CREATE_IN_PROGRESS", changed_at=datetime(2026, 1, 1, tzinfo=UTC))
        odd = Observation("CREATE_IN_PROGRESS", changed_at=datetime(2026, 1, 1, tzinfo=zone))
        source = ScriptedSource({"s-1": [(0, usual), (5, odd), (30, "READY")], "s-2": creating(40)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["s-1", "s-2"], until="READY", timeout=300)
        assert len(results.succeeded) == 2

    run(main)


def test_waits_that_are_over_leave_no_alarm_for_their_deadline(run):
    async def main():
        source = ScriptedSource({"s-1": [(0, "READY")]})
        async with Poller(source, schedule=greenroom.Every(1)) as poller:
            for _ in range(1000):
                await poller.wait("s-1", until="READY", timeout=86400)
            assert len(poller._engine.alarms._heap) <= 2 * FEW

    run(main)


def test_alarms_that_are_dropped_take_no_other_with_them(run):
    class Sleeper:
        def __init__(self):
            self.woken = []

        def wake(self):
            self.woken.append(anyio.current_time())

    async def main():
        alarms, kept = Alarms(), Sleeper()
        for number in range(1000):
            alarms.set(number + 0.5, Sleeper().wake)
            if number % 10 == 0:
                alarms.set(number, kept.wake)
        assert len(alarms._heap) <= 4 * FEW
        with anyio.move_on_after(1000):
            await alarms.run()
        assert kept.woken == list(range(0, 1000, 10))

    run(main)
