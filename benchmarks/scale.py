"""What one read costs the engine, and one waited-for session, as there are more of them.

    python benchmarks/scale.py [--sessions 1000 10000 100000] [--reads 200000]

So many sessions are waited for (or watched) that never change, on the real engine in virtual time,
at 20 calls a second of 100 sessions each. CPU is this process' own, per answer about one session,
everything included: choosing whom to read, the call, taking in the answer, judging the wait. The
source answers with one shared observation, so that memory is the engine's own: what is allocated
per session once every session has been read (tracemalloc), its id not counted.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import anyio
from rich.console import Console
from rich.table import Table

import greenroom
from greenroom.sources.nimble import TABLES
from greenroom.testing import run

RATE = 20.0
BATCH = 100
PENDING = greenroom.Observation("CREATE_IN_PROGRESS")


class Still:
    """A source whose sessions never change."""

    table = TABLES["nimble-session"]
    max_batch = BATCH

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, greenroom.Observation]:
        await anyio.sleep(0.1)
        return dict.fromkeys(ids, PENDING)


class Cost(NamedTuple):
    """What was measured: microseconds per read, and KiB per session."""

    cpu: float
    memory: float


async def _poll(sessions: int, reads: int, *, watch: bool) -> Cost:
    ids = [f"s-{n}" for n in range(sessions)]
    limiter = greenroom.RateLimiter(RATE, burst=20)
    async with (
        greenroom.Poller(Still(), limiter=limiter) as poller,
        anyio.create_task_group() as tasks,
    ):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]

        async def wait() -> None:
            await poller.wait_all(ids, until="READY", timeout=None)

        async def follow() -> None:
            async with poller.watch(ids) as changes:
                async for _ in changes:
                    pass

        tasks.start_soon(follow if watch else wait)
        while poller.statistics().reads < sessions:  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(1)
        gc.collect()
        memory = (tracemalloc.get_traced_memory()[0] - before) / sessions / 1024
        start, reads_before = time.process_time(), poller.statistics().reads
        while (done := poller.statistics().reads - reads_before) < reads:  # noqa: ASYNC110
            await anyio.sleep(5)
        cpu = (time.process_time() - start) / done * 1e6
        tasks.cancel_scope.cancel()
    return Cost(cpu, memory)


def measure(sessions: int, reads: int, *, watch: bool) -> Cost:
    """Return CPU and memory, each from a run of its own: tracing memory takes time."""
    cpu = min(run(lambda: _poll(sessions, reads, watch=watch)).cpu for _ in range(3))
    tracemalloc.start()
    memory = run(lambda: _poll(sessions, 1, watch=watch)).memory
    tracemalloc.stop()
    return Cost(cpu, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--reads", type=int, default=200_000)
    asked = parser.parse_args()
    table = Table("sessions", "how", "CPU per read", "to the first", "memory per session")
    for watch in (False, True):
        first = 0.0
        for sessions in asked.sessions:
            cost = measure(sessions, asked.reads, watch=watch)
            first = first or cost.cpu
            table.add_row(
                f"{sessions:,}",
                "watch" if watch else "wait_all",
                f"{cost.cpu:.1f} µs",
                f"{cost.cpu / first:.2f} x",
                f"{cost.memory:.2f} KiB",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
