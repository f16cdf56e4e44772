"""Callbacks that hold the event loop or fall behind: measured, named and counted."""

from __future__ import annotations

import functools
import logging
import time

import anyio
import anyio.lowlevel
import pytest

from greenroom import Poller, _callbacks
from greenroom._blocking import Holding
from greenroom._callbacks import BEHIND, PATIENCE, name_of
from greenroom.testing import ScriptedSource


class Clock:
    """Seconds that go by only when somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_a_plain_function_holds_the_loop_from_call_to_return(run, clock):
    async def main():
        holding = Holding(clock)
        await holding.run(clock.work, 3.0)
        assert holding.longest == 3.0

    run(main)


def test_a_coroutine_holds_the_loop_only_between_its_awaits(run, clock):
    async def callback(event):
        clock.work(1.0)
        await anyio.sleep(100)
        clock.work(4.0)
        await anyio.sleep(100)
        clock.work(2.0)

    async def main():
        holding = Holding(clock)
        await holding.run(callback, None)
        assert holding.longest == 4.0

    run(main)


def test_what_is_raised_passes_and_the_time_before_counts(run, clock):
    async def callback(event):
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            clock.work(2.0)
        raise ValueError(event)

    async def main():
        holding = Holding(clock)
        with pytest.raises(ValueError, match="mine"):
            await holding.run(callback, "mine")
        assert holding.longest == 2.0

    run(main)


def test_a_cancelled_callback_can_clean_up(run, clock):
    cleaned = []

    async def callback(event):
        try:
            await anyio.sleep(100)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            cleaned.append(event)

    async def main():
        with anyio.move_on_after(5):
            await Holding(clock).run(callback, "event")
        assert cleaned == ["event"]

    run(main)


def test_a_callback_may_use_scopes_and_task_groups_of_its_own(run, clock):
    async def callback(event):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            with anyio.move_on_after(1) as scope:
                await anyio.sleep(100)
            assert scope.cancelled_caught

    async def main():
        began = anyio.current_time()
        await Holding(clock).run(callback, None)
        assert anyio.current_time() - began == pytest.approx(5)

    run(main)


def test_whatever_can_be_awaited_is_awaited(run, clock):
    class Later:
        def __await__(self):
            yield from anyio.sleep(3).__await__()

    async def main():
        began = anyio.current_time()
        await Holding(clock).run(lambda event: Later(), None)
        assert anyio.current_time() - began == pytest.approx(3)

    run(main)


@pytest.fixture
def timed(clock, monkeypatch):
    """Have the pollers' callbacks timed by this clock: a slow machine makes none of them block."""
    monkeypatch.setattr(_callbacks, "Holding", functools.partial(Holding, clock))


def test_the_time_that_counts_is_real(run):
    async def main():
        holding = Holding()
        await holding.run(time.sleep, 0.01)
        assert holding.longest >= 0.01

    run(main)


@pytest.mark.usefixtures("timed")
def test_a_blocking_callback_is_counted_and_named_once_until_it_gets_worse(run, caplog, clock):
    caplog.set_level(logging.WARNING, "greenroom")
    pauses = iter((0.125, 0.125, 0.25))

    def blocks(change):
        clock.work(next(pauses))

    async def main():
        script = [(0, "CREATE_IN_PROGRESS")]
        source = ScriptedSource({f"s-{n}": [*script, (20 * n, "READY")] for n in (1, 2, 3)})
        async with Poller(source) as poller:
            poller.on("READY", blocks)
            await poller.wait_all(["s-1", "s-2", "s-3"], until="READY", timeout=100)
            await anyio.wait_all_tasks_blocked()
            assert poller.statistics().callbacks_blocked == 3

    run(main)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "event='callback.blocked'" in told[0]
    assert "id='s-1'" in told[0]
    assert f"callback='{__name__}.test_a_blocking_callback_is" in told[0]
    assert "id='s-3'" in told[1]


@pytest.mark.usefixtures("timed")
def test_quick_callbacks_are_not_said_to_block(run, clock):
    async def main():
        async with Poller(ScriptedSource({"s-1": [(0, "READY")]})) as poller:
            poller.on("READY", lambda change: clock.work(0.09))
            await poller.wait("s-1", until="READY", timeout=100)
            await anyio.wait_all_tasks_blocked()
            assert poller.statistics().callbacks_blocked == 0

    run(main)


def test_a_callback_that_never_returns_is_named_when_events_pile_up(run, caplog):
    caplog.set_level(logging.WARNING, "greenroom")

    class Done(Exception):
        pass

    async def hangs(change):
        await anyio.sleep_forever()

    async def main():
        flapping = [(10 * n, ("READY", "STOP_IN_PROGRESS")[n % 2]) for n in range(40)]
        source = ScriptedSource({"s-1": flapping})
        async with Poller(source) as poller:
            poller.on("*", hangs)
            async with poller.watch(["s-1"]) as changes:
                for _ in range(2 * BEHIND):
                    poller.notify("s-1")
                    await anext(changes)
                    await anyio.sleep(10)
                assert poller.statistics().callback_backlog == 2 * BEHIND - 1
            raise Done

    with pytest.raises(Done):
        run(main)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "event='callback.behind'" in told[0]
    assert "hangs" in told[0]


def test_callbacks_that_hold_up_the_end_are_named(run, caplog):
    caplog.set_level(logging.WARNING, "greenroom")

    async def takes_long(change):
        await anyio.sleep(60)

    async def main():
        source = ScriptedSource({f"s-{n}": [(0, "READY")] for n in range(3)})
        async with Poller(source) as poller:
            poller.on("READY", takes_long)
            poller.on("READY", lambda change: anyio.sleep(PATIENCE - 1))
            await poller.wait_all([f"s-{n}" for n in range(3)], until="READY", timeout=100)

    run(main)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "event='callback.unfinished'" in told
    assert "takes_long" in told
    assert "sessions=3" in told


class _Object:
    def method(self, event): ...

    def __call__(self, event): ...


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (_Object().method, "_Object.method"),
        (_Object(), "_Object"),
        (functools.partial(functools.partial(_Object.method), 1), "_Object.method"),
    ],
)
def test_callbacks_are_named_by_where_they_are_defined(callback, name):
    assert name_of(callback) == f"{__name__}.{name}"


def test_builtin_callbacks_have_names_too():
    assert name_of([].append) == "list.append"
