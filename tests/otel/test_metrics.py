"""What is measured, in virtual time: figures that are known beforehand."""

from __future__ import annotations

import gc
import threading
import weakref
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import greenroom
from greenroom import Every, Observation, RateLimiter, Throttled, otel
from greenroom.otel._instruments import COUNTED, PRESENT
from greenroom.testing import ScriptedSource

KIND = "nimble-session"


def coming_up(count, **more):
    scripts = {
        f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (10 * n, "READY")] for n in range(1, count + 1)
    }
    return ScriptedSource(scripts, **more)


def test_waits_are_measured_by_goal_and_verdict(run, memory):
    source = coming_up(3)
    source.script("bad", [(0, "CREATE_IN_PROGRESS"), (15, "CREATE_FAILED")])
    source.script("slow", [(0, "CREATE_IN_PROGRESS")])

    async def main():
        poller = greenroom.Poller(source, schedule=Every(5))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait_all(["s-1", "s-2", "s-3", "bad"], until="READY", timeout=100)
            await poller.wait_all(["slow"], until=["READY", "STOPPED"], timeout=50)
            with anyio.move_on_after(5):
                await poller.wait("slow", until="READY", timeout=None)

    run(main)
    by = ("greenroom.kind", "greenroom.goal", "greenroom.verdict")
    told = memory.points("greenroom.wait.duration", *by)
    assert {key: count for key, (count, _) in told.items()} == {
        (KIND, "READY", "success"): 3,
        (KIND, "READY", "failure"): 1,
        (KIND, "READY|STOPPED", "timeout"): 1,
        (KIND, "READY", "cancelled"): 1,
    }
    assert told[KIND, "READY", "success"][1] == pytest.approx(10 + 20 + 30, abs=1)
    assert told[KIND, "READY|STOPPED", "timeout"][1] == pytest.approx(50, abs=2)
    assert told[KIND, "READY", "cancelled"][1] == pytest.approx(5)
    assert memory.points("greenroom.active_waits") == {(): 0}


def test_calls_are_counted_as_the_poller_counts_them(run, memory):
    source = coming_up(3, latency=0.5)
    source.fail(lambda: Throttled("slow down"), when=lambda call: 10 <= call.at < 13)
    source.fail(lambda: ConnectionResetError("gone"), when=lambda call: 20 <= call.at < 21)

    async def main():
        poller = greenroom.Poller(source, schedule=Every(1), limiter=RateLimiter(2))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait_all(["s-1", "s-2", "s-3"], until="READY", timeout=100)
            return poller.statistics()

    figures = run(main)
    by = ("greenroom.kind", "greenroom.operation", "error.type")
    calls = memory.points("greenroom.calls", *by)
    throttled = calls[KIND, "describe", "Throttled"]
    assert calls == {
        (KIND, "describe", None): figures.calls - figures.failed,
        (KIND, "describe", "Throttled"): figures.throttled,
        (KIND, "describe", "Unavailable"): figures.failed - figures.throttled,
    }
    assert throttled > 0
    assert memory.points("greenroom.throttles", *by[:2]) == {(KIND, "describe"): throttled}
    durations = memory.points("greenroom.call.duration", *by)
    assert {key: count for key, (count, _) in durations.items()} == calls
    assert all(spent == pytest.approx(0.5 * count) for count, spent in durations.values())
    assert memory.points("greenroom.active_calls") == {(): 0}
    assert memory.points("greenroom.reads", "greenroom.kind") == {(KIND,): figures.reads}
    assert memory.points("greenroom.transitions") == {(): figures.transitions}


def test_the_delay_is_that_of_changes_that_came_while_somebody_waited(run, memory):
    began = datetime.now(UTC)

    def at(seconds, state):
        return (seconds, Observation(state, changed_at=began + timedelta(seconds=seconds)))

    source = ScriptedSource(
        {
            "soon": [at(0, "CREATE_IN_PROGRESS"), at(11, "READY")],
            "ahead": [(0, "CREATE_IN_PROGRESS"), (11, at(99, "READY")[1])],
            "long-ago": [(0, Observation("READY", changed_at=began - timedelta(days=1)))],
            "untold": [(0, "READY")],
            "naive": [(0, Observation("READY", changed_at=datetime(2024, 1, 1)))],
        }
    )

    async def main():
        poller = greenroom.Poller(source, schedule=Every(5))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait_all(
                ["soon", "ahead", "long-ago", "untold", "naive"], until="READY", timeout=60
            )

    run(main)
    ((count, delay),) = memory.points("greenroom.delay", "greenroom.kind").values()
    assert count == 2, "soon, and ahead, whose clock makes it no delay"
    assert delay == pytest.approx(4, abs=1)


def test_what_is_there_now_is_observed_while_it_is_there(run, memory):
    seen = []

    async def main():
        limiter = RateLimiter(max_rate=0.1)
        poller = greenroom.Poller(coming_up(3), schedule=Every(1), limiter=limiter)
        memory.telemetry.look_at(poller)
        async with poller, anyio.create_task_group() as tasks:
            tasks.start_soon(look, poller)
            await poller.wait_all(["s-1", "s-2", "s-3"], until="READY", timeout=100)

    async def look(poller):
        await anyio.sleep(6)
        seen.append(poller.statistics().lag)
        names = ("sessions", "active_waits", "lag")
        seen.extend(memory.points(f"greenroom.{each}", "greenroom.kind")[(KIND,)] for each in names)

    run(main)
    lag, *now = seen
    assert now == [3, 3, pytest.approx(lag)]
    assert lag > 3
    for name in ("sessions", "active_waits", "lag"):
        assert memory.points(f"greenroom.{name}") == {(): 0}


def test_there_is_no_lag_while_nobody_waits_for_the_budget(run, memory):
    lags = []

    def look():
        lags.extend(memory.points("greenroom.lag").values())

    async def main():
        poller = greenroom.Poller(coming_up(3), schedule=Every(20), limiter=RateLimiter(0.01))
        memory.telemetry.look_at(poller)
        async with poller:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, poller)
                await anyio.sleep(15)
                look()
                await anyio.sleep(10)  # the second call is due after 20 s, and paid for after 100
                look()
                tasks.cancel_scope.cancel()
            look()

    async def wait(poller):
        await poller.wait("s-3", until="READY", timeout=None)

    run(main)
    assert lags == [0, pytest.approx(5, abs=1), 0]


def test_a_poller_that_is_closed_is_forgotten_but_for_what_it_has_counted(run, memory):
    async def main():
        poller = greenroom.Poller(coming_up(1))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait("s-1", until="READY", timeout=100)
        return weakref.ref(poller.observer)

    observer = run(main)
    gc.collect()
    assert observer() is None
    assert memory.points("greenroom.reads")[()] > 0


def test_the_rate_that_the_budget_allows_falls_with_a_throttle(run, memory):
    source = coming_up(1)
    source.fail(lambda: Throttled("slow down"), when=lambda call: call.at > 9)
    rates = []

    async def main():
        poller = greenroom.Poller(source, schedule=Every(5), limiter=RateLimiter(10))
        memory.telemetry.look_at(poller)
        async with poller, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, poller)
            for _ in range(2):
                await anyio.sleep(7.5)
                rates.extend(memory.points("greenroom.limiter.rate").values())

    async def wait(poller):
        await poller.wait_all(["s-1"], until="READY", timeout=16)

    run(main)
    assert rates[0] == 10
    assert rates[-1] < 10


def test_counts_never_go_back_when_pollers_come_and_go(run, memory):
    counted = []

    async def main():
        for _ in range(3):
            pollers = [greenroom.Poller(coming_up(2), schedule=Every(5)) for _ in range(2)]
            for poller in pollers:
                memory.telemetry.look_at(poller)
            async with pollers[0], pollers[1]:
                for poller in pollers:
                    await poller.wait_all(["s-1", "s-2"], until="READY", timeout=100)
                counted.append(memory.points("greenroom.reads")[()])
            counted.append(memory.points("greenroom.reads")[()])

    run(main)
    first = counted[0]
    assert counted == [first, first, 2 * first, 2 * first, 3 * first, 3 * first]


def test_a_thread_without_a_loop_collects_the_same(memory):
    collected = {}

    async def main():
        poller = greenroom.Poller(coming_up(1), limiter=RateLimiter(0.001))
        memory.telemetry.look_at(poller)
        async with poller, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, poller)
            await anyio.wait_all_tasks_blocked()
            poller.notify("s-1")
            await anyio.wait_all_tasks_blocked()
            thread = threading.Thread(target=lambda: collected.update(memory.metrics()))
            thread.start()
            thread.join()
            tasks.cancel_scope.cancel()

    async def wait(poller):
        await poller.wait("s-1", until="READY", timeout=None)

    anyio.run(main)
    assert {*COUNTED, *PRESENT, "greenroom.lag"} <= collected.keys()
    assert [point.value for point in collected["greenroom.sessions"].data.data_points] == [1]


def test_buckets_reach_from_seconds_to_half_an_hour(run, memory):
    async def main():
        poller = greenroom.Poller(coming_up(1))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait("s-1", until="READY", timeout=100)

    run(main)
    for name, least, most in [("wait.duration", 1, 3600), ("call.duration", 0.01, 30)]:
        (point,) = memory.metrics()[f"greenroom.{name}"].data.data_points
        assert (point.explicit_bounds[0], point.explicit_bounds[-1]) == (least, most)


def test_units_are_those_of_ucum_and_the_scope_is_greenroom_of_this_version(run, memory):
    async def main():
        poller = greenroom.Poller(coming_up(1))
        memory.telemetry.look_at(poller)
        async with poller:
            await poller.wait("s-1", until="READY", timeout=100)

    run(main)
    data = memory.reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    assert (scope.scope.name, scope.scope.version) == ("greenroom", version("greenroom"))
    units = {metric.name.removeprefix("greenroom."): metric.unit for metric in scope.metrics}
    assert units["lag"] == units["wait.duration"] == "s"
    assert units["calls"] == "{call}"
    assert units["limiter.rate"] == "{call}/s"
    assert all(metric.description for metric in scope.metrics)


def test_every_poller_is_looked_at_once_it_is_said_so(run):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    async def main():
        await greenroom.wait(coming_up(1), "s-1", until="READY", timeout=100)

    otel.instrument(meter_provider=provider)
    otel.Instrumentor().instrument(meter_provider=provider)  # as where it is said twice
    try:
        run(main)
    finally:
        otel.uninstrument()
    run(main)
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    told = {metric.name: metric.data.data_points for metric in metrics}
    assert len(told) == len(metrics)
    assert [point.count for point in told["greenroom.wait.duration"]] == [1]
    assert [point.value for point in told["greenroom.transitions"]] == [2]
    provider.shutdown()
