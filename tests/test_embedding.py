"""A poller within programs that do odd things: what they break is theirs alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import anyio
import pytest

from greenroom import Poller, PollerClosed, Verdict, testing
from greenroom.testing import ScriptedSource


def coming_up(count):
    scripts = {
        f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (10 * n, "READY")] for n in range(1, count + 1)
    }
    return ScriptedSource(scripts)


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_whoever_else_iterates_over_results_is_at_the_end_when_the_rest_is_left(run, how):
    async def main():
        async with Poller(coming_up(3)) as poller, anyio.create_task_group() as tasks:
            results = poller.as_completed(["s-1", "s-2", "s-3"], until="READY", timeout=100)
            ended = anyio.Event()

            async def take_all():
                assert [result.id async for result in results] == ["s-1"]
                ended.set()

            tasks.start_soon(take_all)
            with anyio.move_on_after(15):
                await anyio.sleep(12)
                if how == "closed":
                    await results.aclose()
                else:
                    await anext(results)
            with anyio.fail_after(200):
                await ended.wait()

    run(main)


def test_callbacks_that_are_equal_each_hear_their_own_events(run):
    @dataclass(frozen=True)
    class Collects:
        name: str
        seen: list[str] = field(compare=False)

        def __call__(self, change):
            self.seen.append(change.id)

    first, second = Collects("alike", []), Collects("alike", [])

    async def main():
        async with Poller(coming_up(1)) as poller:
            poller.on("READY", first)
            poller.on("READY", second)
            await poller.wait("s-1", until="READY", timeout=100)

    run(main)
    assert (first.seen, second.seen) == (["s-1"], ["s-1"])


def test_a_callback_that_cannot_be_hashed_though_it_seems_so_is_called(run):
    @dataclass(frozen=True)
    class Collects:
        seen: list[str]

        def __call__(self, change):
            self.seen.append(change.id)

    collects = Collects([])

    async def main():
        async with Poller(coming_up(1)) as poller:
            poller.on("READY", collects)
            await poller.wait("s-1", until="READY", timeout=100)

    run(main)
    assert collects.seen == ["s-1"]


def test_a_method_for_several_triggers_hears_of_a_session_one_by_one(run):
    class Slow:
        busy = 0
        heard = ()

        async def hears(self, event):
            self.busy += 1
            await anyio.sleep(1)
            self.heard += (self.busy,)
            self.busy -= 1

    slow = Slow()

    async def main():
        async with Poller(coming_up(1)) as poller:
            for trigger in ("*", "READY", Verdict.SUCCESS):
                poller.on(trigger, slow.hears)
            await poller.wait("s-1", until="READY", timeout=100)

    run(main)
    assert slow.heard == (1, 1, 1, 1)


def test_whoever_is_shielded_does_not_wait_for_a_poller_whose_limiter_broke(run):
    class Breaks:
        granted = 0

        async def acquire(self):
            await anyio.sleep(1)
            self.granted += 1
            if self.granted == 2:
                raise RuntimeError("the limiter broke")

        def refund(self): ...

        def slow_down(self, retry_after=None): ...

    verdicts = []

    async def main():
        async with Poller(coming_up(9), limiter=Breaks()) as poller:
            with anyio.move_on_after(500, shield=True):
                results = await poller.wait_all(["s-9"], until="READY", timeout=300)
                verdicts.append(results["s-9"].verdict)

    with pytest.RaisesGroup(pytest.RaisesGroup(RuntimeError)):
        run(main)
    assert verdicts == [Verdict.CANCELLED]


def test_an_exception_of_a_source_that_cannot_be_shown_is_an_outage(run):
    class Broken(Exception):
        def __str__(self):
            raise ValueError("broken")

        __repr__ = __str__

    async def main():
        source = coming_up(1)
        source.fail(Broken, when=lambda call: call.at < 5)
        async with Poller(source) as poller:
            result = await poller.wait("s-1", until="READY", timeout=100)
        assert result.verdict is Verdict.SUCCESS

    run(main)


@pytest.mark.parametrize("waits", [True, False])
def test_a_callback_that_cancels_its_own_task_does_not_look_like_a_cancellation_of_ours(waits):
    async def cancels_and_waits(change):
        asyncio.current_task().cancel()
        await anyio.sleep(1)

    def cancels(change):
        asyncio.current_task().cancel()

    async def wait():
        async with Poller(coming_up(2)) as poller:
            poller.on("READY", cancels_and_waits if waits else cancels)
            await poller.wait_all(["s-1", "s-2"], until="READY", timeout=100)

    async def main():
        with pytest.raises(PollerClosed, match="was cancelled by what it had called"):
            await wait()
        assert asyncio.current_task().cancelling() == 0

    testing.run(main)


def test_a_cancellation_of_whoever_holds_the_poller_stays_one(run):
    async def main():
        with anyio.move_on_after(5) as scope:
            async with Poller(coming_up(1)) as poller:
                await poller.wait("s-1", until="READY", timeout=100)
        assert scope.cancelled_caught

    run(main)


def test_a_timeout_of_asyncio_ends_a_wait():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), Poller(coming_up(1)) as poller:
                await poller.wait("s-1", until="READY", timeout=100)
        async with Poller(coming_up(1)) as poller:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await poller.wait("s-1", until="READY", timeout=100)
            assert poller.statistics().waiting == 0
        assert asyncio.current_task().cancelling() == 0

    testing.run(main)
