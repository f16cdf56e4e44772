"""Type-checked in CI, never run: the public API as users annotate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

import greenroom
from greenroom.sources import nimble
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
    async with greenroom.Poller(scripted, strict=True):
        pass
