import time

import anyio
import pytest

import greenroom
from greenroom.testing import ScriptedSource, VirtualClockEventLoop
from greenroom.testing import run as run_virtual


def test_a_day_passes_at_once(run):
    async def main():
        start = anyio.current_time()
        await anyio.sleep(86_400)
        return anyio.current_time() - start

    began = time.monotonic()
    assert run(main) == pytest.approx(86_400)
    assert time.monotonic() - began < 30


def test_sleepers_wake_in_the_order_of_their_timers(run):
    async def main():
        woken = []

        async def sleep(seconds):
            await anyio.sleep(seconds)
            woken.append(seconds)

        async with anyio.create_task_group() as tasks:
            for seconds in (30, 10, 20):
                tasks.start_soon(sleep, seconds)
        return woken

    assert run(main) == [10, 20, 30]


def test_arguments_and_results_pass_through():
    async def main(one, two):
        return one + two

    assert run_virtual(main, 1, 2) == 3


def test_waiting_for_nothing_is_an_error_rather_than_a_hang(monkeypatch):
    monkeypatch.setattr("greenroom.testing._DEADLOCK", 0.0)

    with pytest.raises(RuntimeError, match="virtual time stands still"):
        run_virtual(anyio.sleep_forever)


def test_the_virtual_loop_starts_at_zero():
    loop = VirtualClockEventLoop()
    assert loop.time() == 0
    loop.close()


def test_a_scripted_source_shows_the_state_of_the_moment(run):
    async def main():
        odd = greenroom.Observation("CREATE_FAILED", reason="INTERNAL_ERROR")
        source = ScriptedSource(
            {"a": [(0, "CREATE_IN_PROGRESS"), (10, odd), (20, None)]}, latency=1, timestamps=True
        )
        seen = []
        for pause in (0, 8, 0, 9):
            await anyio.sleep(pause)
            seen.append((await source.describe(["a", "unknown"])).get("a"))
        assert [each and each.state for each in seen] == [
            "CREATE_IN_PROGRESS",
            "CREATE_FAILED",
            "CREATE_FAILED",
            None,
        ]
        assert [call.at for call in source.calls] == pytest.approx([0, 9, 10, 20])
        assert seen[0].changed_at is not None

    run(main)


def test_a_scripted_source_fails_when_told_to_and_can_change_its_mind(run):
    async def main():
        source = ScriptedSource({"a": [(0, "READY")]})
        source.fail(lambda: greenroom.Throttled("slow"), when=lambda call: len(source.calls) == 1)
        with pytest.raises(greenroom.Throttled):
            await source.describe(["a"])
        source.script("a", [(0, "STOPPED")])
        assert (await source.describe(["a"]))["a"].state == "STOPPED"

    run(main)
