"""A poller within programs that do odd things: what they break is theirs alone."""

from __future__ import annotations

import anyio
import pytest

from greenroom import Poller
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
