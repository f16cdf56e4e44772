"""Type-checked in CI, never run: the public API as users annotate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

import greenroom
from greenroom import events, otel, sync
from greenroom.sources import ec2, nimble
from greenroom.testing import ScriptedSource


class MySource:
    table = greenroom.TransitionTable(
        kind="mine", moves={"A": ("B",), "B": ()}, failures=frozenset(), goals=("B",)
    )
    max_batch = 10

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, greenroom.Observation]:
        return {}


async def greet(change: greenroom.Transition) -> None:
    assert_type(change.before, str | None)


async def main() -> None:
    mine: greenroom.Source = MySource()
    scripted: greenroom.Source = ScriptedSource({})
    assert_type(await greenroom.wait(mine, "s-1", until="B", timeout=None), greenroom.WaitResult)
    limiter: greenroom.Limiter = greenroom.RateLimiter(10, burst=20)
    schedule: greenroom.Schedule = greenroom.Every(2.5)
    adaptive: greenroom.Limiter = greenroom.AdaptiveRateLimiter()
    shared: greenroom.Limiter = greenroom.SharedRateLimiter("redis://h", key="k", max_rate=5)
    known: greenroom.History = greenroom.read_history("run.db") + greenroom.History()
    paying = greenroom.PayAsYouWait(price=5, ceiling=30, history=known)
    async with nimble.connect(
        studio_id="us-west-2-abc", region_name="us-west-2", endpoint_url="http://127.0.0.1:1"
    ) as sessions:
        source: greenroom.Source = sessions
        async with greenroom.Poller(source, limiter=limiter, schedule=schedule) as poller:
            poller.on("READY", greet)
            poller.on(greenroom.Verdict.FAILURE, print)
            forget = poller.on((None, "READY"), lambda change: None)
            forget()
            results = await poller.wait_all(["s-1"], until=["READY", "STOPPED"], timeout=5)
            assert_type(results, greenroom.WaitResults)
            assert_type(results["s-1"].verdict, greenroom.Verdict)
            async for result in poller.as_completed(["s-1"], until="READY", timeout=5.5):
                assert_type(result, greenroom.WaitResult)
            async with poller.watch(["s-1"]) as changes:
                async for change in changes:
                    assert_type(change, greenroom.Transition)
            assert_type(poller.statistics(), greenroom.PollerStatistics)
            assert_type(poller.statistics().overload, greenroom.Shortfall | None)
            assert_type(poller.history(), greenroom.History)
    otel.instrument()
    telemetry = otel.Telemetry()
    strict = greenroom.Poller(scripted, limiter=adaptive, schedule=paying, strict=True)
    telemetry.look_at(strict)
    async with strict:
        pass
    async with greenroom.SharedRateLimiter("redis://h", key="k", max_rate=5, burst=2) as budget:
        assert_type(budget.statistics(), greenroom.LimiterStatistics)
        await greenroom.wait(source, "s-1", until="READY", timeout=5, limiter=shared)


async def launches(studio: greenroom.Studio) -> None:
    specs: list[greenroom.Spec | dict[str, object]] = [{"key": "a", "launch_profile_id": "lp"}]
    policy = greenroom.LaunchPolicy(
        canary=5,
        on_failure="delete",
        remedies={"INTERNAL_ERROR": greenroom.Remedy(greenroom.Action.NEVER, "Ask someone.")},
    )
    report = await greenroom.launch(studio, specs, policy=policy, journal="run.db")
    assert_type(report, greenroom.LaunchReport)
    assert_type(report["a"], greenroom.WorkstationResult)
    assert_type(report["a"].stream, greenroom.StreamAccess | None)
    async with greenroom.Launch(studio, journal="run.db", resume=True) as launch:
        async for event in launch:
            assert_type(event, events.LaunchEvent)
            if isinstance(event, events.Settled):
                assert_type(event.verdict, greenroom.Verdict)
        launch.stop()
        assert_type(launch.cost(), greenroom.Cost)
    results = await greenroom.act(studio, "stop", ["s-1"], timeout=60)
    assert_type(results, greenroom.WaitResults)


async def instances(of: ec2.InstanceSpec) -> None:
    async with ec2.connect(region_name="us-west-2") as there:
        await launches(there)
        report = await greenroom.launch(there, [of], policy=greenroom.LaunchPolicy(until="running"))
        assert_type(report["a"].attempts[0].choice, greenroom.Choice)
        assert_type(report["a"].spec, greenroom.WorkstationSpec)
    assert_type(ec2.read_specs([]), tuple[ec2.InstanceSpec, ...])
    assert_type(greenroom.read_specs([]), tuple[greenroom.Spec, ...])
    assert_type(greenroom.launch_kind("ec2-instance"), greenroom.LaunchKind)


async def a_studio() -> None:
    async with nimble.connect(studio_id="s", endpoint_url="http://127.0.0.1:1") as sessions:
        await launches(sessions)


def mistaken() -> None:
    greenroom.lunch  # type: ignore[attr-defined]  # noqa: B018


def without_an_event_loop(ids: list[str]) -> None:
    opening = nimble.connect(studio_id="s", endpoint_url="http://127.0.0.1:1")
    with sync.Poller(opening, limiter=greenroom.RateLimiter(10)) as poller:
        assert_type(poller.wait("s-1", until="READY", timeout=5), greenroom.WaitResult)
        assert_type(poller.wait_all(ids, until="READY", timeout=5), greenroom.WaitResults)
        for result in poller.as_completed(ids, until="READY", timeout=5):
            assert_type(result, greenroom.WaitResult)
        with poller.watch(ids, timeout=60) as changes:
            for change in changes:
                assert_type(change, greenroom.Transition)
        poller.on("READY", greet)
        poller.on(greenroom.Verdict.FAILURE, print)
        assert_type(poller.statistics(), greenroom.PollerStatistics)
    with sync.connect(ec2.connect(region_name="us-west-2")) as instances:
        assert_type(sync.launch(instances, []), greenroom.LaunchReport)
        assert_type(
            sync.call(greenroom.act, instances, "stop", ids, timeout=60), greenroom.WaitResults
        )
        assert_type(sync.wait(instances, "i-1", until="running", timeout=60), greenroom.WaitResult)
