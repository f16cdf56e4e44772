"""A host that takes all the calls it can get, in a process of its own, and tells when it got them.

    python host.py URL RATE BURST SECONDS FAST

It says `ready`, begins at a line on its standard input, and ends with one line of JSON. Its clock
is FAST seconds fast. Its times are those of a clock that all processes of a machine have in common.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

ASKERS = 10
"""Tasks of one host that ask all the time."""


@dataclass(frozen=True)
class Took:
    """What one host got.

    Attributes:
        grants: When each call was granted.
        latencies: How long each answer of Redis took.
        events: What it told of Redis.
    """

    grants: list[float]
    latencies: list[float]
    events: list[str]


class Hosts:
    """Hosts that compete for one budget, from one moment on."""

    def __init__(
        self, url: str, *, rate: float, burst: int, seconds: float, fast: tuple[float, ...]
    ) -> None:
        self._processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    __file__,
                    url,
                    *map(str, (rate, burst, seconds, each)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for each in fast
        ]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def took(self) -> list[Took]:
        with ExitStack() as stack:
            for process in self._processes:
                stack.enter_context(process)
                stack.callback(process.kill)
            told = [process.communicate(timeout=60)[0] for process in self._processes]
        assert [process.returncode for process in self._processes] == [0] * len(told)
        return [Took(**json.loads(each)) for each in told]


def most_in_a_second(hosts: list[Took]) -> int:
    """Return the most calls that all hosts were granted in any second."""
    grants = sorted(at for host in hosts for at in host.grants)
    most = first = 0
    for last, at in enumerate(grants):
        while grants[first] < at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    url, rate, burst, seconds, fast = sys.argv[1], *map(float, sys.argv[2:])
    real, real_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: real() + fast, lambda: real_ns() + int(fast * 1e9)

    import anyio
    import structlog

    import greenroom
    from greenroom._shared._line import Line

    took = Took([], [], [])
    ask = Line.ask

    async def timed_ask(line: Line) -> float:
        began = time.perf_counter()
        try:
            return await ask(line)
        finally:
            took.latencies.append(time.perf_counter() - began)

    def note(logger: object, name: str, event: dict[str, str]) -> str:
        took.events.append(event["event"])
        raise structlog.DropEvent

    async def take(limiter: greenroom.Limiter) -> None:
        while True:
            await limiter.acquire()
            took.grants.append(time.monotonic())

    async def run() -> None:
        shared = greenroom.SharedRateLimiter(url, key="test", max_rate=rate, burst=int(burst))
        async with shared as limiter:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            sys.stdin.readline()
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as tasks:
                    for _ in range(ASKERS):
                        tasks.start_soon(take, limiter)

    Line.ask = timed_ask
    structlog.configure(processors=[note])
    anyio.run(run)
    sys.stdout.write(json.dumps(vars(took)))


if __name__ == "__main__":
    main()
