"""greenroom beside what people use today: the same seeded sessions, the same budget, real HTTP.

    python benchmarks/peers.py [--sessions 300] [--speed 10] [--seed 1] [--only NAME]

This process is the studio: greenroom's simulator, begun anew with the same seed for each contender.
The contender is another process (`contenders.py`). It opens its client first; then all sessions are
created at one moment, their whole future is drawn, and the contender is given their ids. So what it
answers, and when, can be held against what is true. Calls are counted here, where they arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

from contenders import (
    BURST,
    CONTENDERS,
    FAILURES,
    INTERVAL,
    LOW_PRICE,
    PRICE,
    RATE,
    TIMEOUT,
    Place,
)
from greenroom.simulator import Limit, Settings, Simulator, Work, serve

LATENCY = (0.05, 0.2)
FAILING = 0.05

LABELS = {
    "greenroom": f"greenroom, at a price of {PRICE:g}",
    "hurried": f"greenroom, at a price of {LOW_PRICE:g}",
    "interval": f"greenroom, every {INTERVAL:g} s",
    "waiter": "aiobotocore waiter per session",
    "tenacity": "tenacity, full jitter, per session",
}

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "simulated",
    "AWS_SECRET_ACCESS_KEY": "simulated",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender took and gave.

    Attributes:
        calls: Requests that reached the studio.
        throttled: Those of them that it throttled.
        sessions: Sessions waited for.
        lost: Waits that ended by an error. Every session arrives long before the timeout.
        wrong: Waits that answered what was not true.
        delays: Simulated seconds from the true change to each right answer, in rising order.
        cpu: CPU seconds of the contender's process during the wait.
        memory: MB by which that process grew at most during the wait.
    """

    calls: int
    throttled: int
    sessions: int
    lost: int
    wrong: int
    delays: tuple[float, ...]
    cpu: float
    memory: float

    def row(self) -> tuple[str, ...]:
        """Return the figures as the cells of a row."""
        return (
            f"{self.calls:,}",
            f"{self.throttled:,}",
            f"{self.calls / self.sessions:.2f}",
            f"{self.lost / self.sessions:.1%}",
            f"{self.wrong}",
            f"{fmean(self.delays):.2f} s" if self.delays else "-",
            f"{self.delays[math.ceil(0.99 * len(self.delays)) - 1]:.1f} s" if self.delays else "-",
            f"{self.cpu:.1f} s",
            f"{self.memory:.1f} MB",
        )


COLUMNS = (
    "",
    "API calls",
    "throttled",
    "calls per session",
    "waits lost",
    "wrong verdicts",
    "mean delay",
    "p99 delay",
    "client CPU",
    "client memory",
)


async def measure(name: str, *, sessions: int, speed: float, seed: int) -> Figures:
    """Let one contender wait for the sessions of a new studio."""
    settings = Settings(
        seed=seed,
        create=Work(median_s=150, sigma=0.35, failures={"INSUFFICIENT_CAPACITY": FAILING}),
        throttle={"*": Limit(rate=RATE, burst=BURST)},
        latency=LATENCY,
    )
    async with serve(settings, speed=speed) as simulator:
        place = Place(simulator.url, simulator.studio_id, speed)
        contender = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("contenders.py"))),
            *(name, json.dumps(asdict(place))),
            stdin=PIPE,
            stdout=PIPE,
            env=dict(outside_aws(os.environ)) | ENVIRONMENT,
        )
        assert contender.stdout is not None
        await contender.stdout.readline()  # its client is open
        born, born_by_the_wall = simulator.clock(), time.time()
        ids = create(simulator, sessions, born)
        true = simulator.studio.truth(born + TIMEOUT)
        report, _ = await contender.communicate(json.dumps(ids).encode() + b"\n")
        if contender.returncode:
            raise SystemExit(f"{name} ended with exit status {contender.returncode}")
        asked = simulator.statistics()
    told = json.loads(report)
    delays, lost, wrong = [], 0, 0
    for session_id in ids:
        told_at, answer = told["answers"][session_id]
        truth = true[session_id][-1]
        delay = born + (told_at - born_by_the_wall) * speed - truth.at
        if answer not in ("READY", *FAILURES):
            lost += 1
        elif answer != truth.state or delay < 0:
            wrong += 1
        else:
            delays.append(delay)
    return Figures(
        calls=sum(asked.calls.values()),
        throttled=sum(asked.throttled.values()),
        sessions=sessions,
        lost=lost,
        wrong=wrong,
        delays=tuple(sorted(delays)),
        cpu=told["cpu"],
        memory=told["memory"],
    )


def create(simulator: Simulator, count: int, now: float) -> list[str]:
    """Create so many sessions at one moment, past the network and the throttle."""
    created = (
        simulator.studio.create_session(now, launch_profile_id="benchmark") for _ in range(count)
    )
    return [session["sessionId"] for session in created]


def outside_aws(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Leave out what configures AWS clients, so that they are the same on every machine."""
    return ((name, value) for name, value in environment.items() if not name.startswith("AWS_"))


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    filled = [COLUMNS, *rows]
    first, *others = (max(map(len, column)) for column in zip(*filled, strict=True))
    lines = [" | ".join((row[0].ljust(first), *map(str.rjust, row[1:], others))) for row in filled]
    rule = " | ".join(("-" * first, *("-" * (width - 1) + ":" for width in others)))
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def setting(sessions: int, speed: float, seed: int) -> str:
    """Return what is measured, where, and with which versions."""
    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("greenroom", "aiobotocore", "botocore", "aiohttp", "tenacity")
    )
    return f"""\
{sessions:,} sessions created at once, {FAILING:.0%} of which fail; seed {seed}. List and Get pass \
{RATE:g} calls/s each, burst {BURST}; latency {LATENCY[0]:g} to {LATENCY[1]:g} s.
Delays are in simulated seconds, which are 1/{speed:g} of a second on the wall. CPU is not scaled.
Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores; {packages}."""


async def run(options: argparse.Namespace) -> None:
    """Measure one contender after the other, and print the table."""
    rows = []
    for name in [options.only] if options.only else CONTENDERS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = await measure(
            name, sessions=options.sessions, speed=options.speed, seed=options.seed
        )
        rows.append((LABELS[name], *figures.row()))
    print(setting(options.sessions, options.speed, options.seed))
    print()
    print(table(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure greenroom beside its peers.")
    parser.add_argument("--sessions", type=int, default=300, help="sessions to wait for (300)")
    parser.add_argument(
        "--speed", type=float, default=10, help="simulated seconds per second, at most 10 (10)"
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the sessions' fates (1)")
    parser.add_argument("--only", choices=CONTENDERS, help="measure this contender alone")
    options = parser.parse_args()
    if options.sessions < 1:
        parser.error("--sessions must be at least 1")
    if not 0 < options.speed <= 10:
        parser.error("--speed must be above 0 and at most 10: CPU time does not scale with it")
    return options


if __name__ == "__main__":
    asyncio.run(run(arguments()))
