import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom._overload import LATE, MARGIN, PATIENCE, REPEAT, Overload
from greenroom.testing import ScriptedSource


def late_calls(overload, seconds, *, lag=2 * LATE, start=0.0, rate=2.0):
    """Let calls come late for so long; return when it was said."""
    calls = int(seconds * rate)
    moments = [start + n / rate for n in range(calls + 1)]
    return [now for now in moments if said(overload, lag, now)]


def said(overload, lag, now, wanted=1000.0):
    return overload.called(lag, now) and overload.advise(lag, wanted, 100, now) is not None


def test_a_rush_is_no_overload():
    overload = Overload()
    assert late_calls(overload, PATIENCE - 1) == []
    assert not overload.called(0.1, PATIENCE)
    assert late_calls(overload, PATIENCE - 1, start=PATIENCE) == []
    assert overload.advice is None


def test_half_a_minute_of_late_calls_is_said_and_again_each_minute():
    overload = Overload()
    assert late_calls(overload, 3 * REPEAT) == [PATIENCE, PATIENCE + REPEAT, PATIENCE + 2 * REPEAT]
    assert overload.advice.rate == pytest.approx(2)
    assert overload.advice.rate_needed == pytest.approx(10)
    assert overload.advice.batch_needed == 500


def test_it_is_over_when_calls_were_on_time_for_as_long():
    overload = Overload()
    late_calls(overload, PATIENCE)
    ends = [now for now in range(31, 120) if not overload.called(0.0, now) and overload.over(now)]
    assert ends == [31 + PATIENCE]
    assert overload.advice is None


def test_nothing_is_advised_where_more_would_not_help():
    overload = Overload()
    late_calls(overload, PATIENCE - 1)
    assert overload.called(LATE, PATIENCE)
    assert overload.advise(LATE, 2 * 100, 100, PATIENCE) is None


@given(st.lists(st.tuples(st.floats(0.01, 20), st.floats(0, 60)), max_size=60))
def test_nothing_is_said_without_half_a_minute_of_late_calls(calls):
    overload, now, late_since = Overload(), 0.0, None
    for step, lag in calls:
        now += step
        due = overload.called(lag, now)
        if lag < LATE:
            late_since = None
            assert not due
            overload.over(now)
        else:
            late_since = now if late_since is None else late_since
            if due:
                assert overload.advise(lag, 1e9, 10, now).rate_needed == 1e8
            if due and overload.advice is None:
                assert now - late_since >= PATIENCE


@pytest.mark.parametrize("schedule", [greenroom.PayAsYouWait(), greenroom.Every(5)])
def test_a_poller_says_what_rate_would_do(run, schedule):
    def ready(count):
        return {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (90 + n / 4, "READY")] for n in range(count)}

    async def wait(rate):
        source = ScriptedSource(ready(2000), max_batch=20, latency=0.1)
        limiter = greenroom.RateLimiter(rate)
        said = []
        async with (
            greenroom.Poller(source, limiter=limiter, schedule=schedule) as poller,
            anyio.create_task_group() as tasks,
        ):

            async def look():
                while True:
                    said.append(poller.statistics().overload)
                    await anyio.sleep(1)

            tasks.start_soon(look)
            await poller.wait_all(ready(2000), until="READY", timeout=None)
            tasks.cancel_scope.cancel()
        return [short for short in said if short is not None]

    async def main():
        short = await wait(1)
        assert max(each.lag for each in short) > LATE
        assert all(each.rate == pytest.approx(1, rel=0.1) for each in short)
        enough = max(each.rate_needed for each in short)
        assert enough > MARGIN
        assert not await wait(1.5 * enough)

    run(main)


def test_a_budget_that_makes_hardly_a_call_is_no_less_too_small(run):
    async def main():
        ids = {f"s-{n}": [(0, "CREATE_IN_PROGRESS")] for n in range(300)}
        source = ScriptedSource(ids)
        limiter = greenroom.RateLimiter(0.001, burst=2)
        async with greenroom.Poller(source, limiter=limiter) as poller:
            waits = poller.as_completed(ids, until="READY", timeout=90)
            await anyio.sleep(60)
            short = poller.statistics().overload
            assert short.lag > 30
            assert short.rate_needed > 0.01
            results = [result async for result in waits]
        unread = [result for result in results if not result.reads]
        assert len(unread) == 100
        assert all("was never read" in result.explanation for result in unread)

    run(main)


def test_an_overload_and_its_end_are_logged(run):
    async def main():
        ids = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (100 + n / 2, "READY")] for n in range(600)}
        ids["late"] = [(0, "CREATE_IN_PROGRESS"), (3600, "READY")]
        source = ScriptedSource(ids, max_batch=10)
        limiter = greenroom.RateLimiter(0.5)
        async with greenroom.Poller(source, limiter=limiter) as poller:
            await poller.wait_all(ids, until="READY", timeout=None)

    with structlog.testing.capture_logs() as events:
        run(main)
    told = [each for each in events if each["event"].startswith("poller.")]
    assert told[0]["event"] == "poller.overloaded"
    assert told[0]["log_level"] == "warning"
    assert told[0]["rate_needed"] > told[0]["rate"]
    assert told[0]["batch_needed"] > 10
    assert told[-1]["event"] == "poller.caught_up"
