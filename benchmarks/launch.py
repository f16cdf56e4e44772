"""What a launch of hundreds takes, and what its journal adds: real HTTP, real disk, one run.

    python benchmarks/launch.py [--count 300] [--speed 20] [--rounds 3] [--seed 1]

The studio is greenroom's simulator, in this process. 6 % of the sessions fail, over four causes.
Launches with and without a journal take turns, on the same seed, and differ in nothing else. All
durations are simulated seconds, `speed` times as many as on the wall; so what the journal adds on
the wall weighs `speed` times as much here as in life.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import greenroom
from greenroom.simulator import Limit, Settings, Simulator, Work, serve
from greenroom.sources import nimble

CREATES = 5.0
READS = 10.0
FAILURES = {
    "INSUFFICIENT_CAPACITY": 0.02,
    "INTERNAL_ERROR": 0.02,
    "INITIALIZATION_SCRIPT_ERROR": 0.01,
    "NETWORK_INTERFACE_ERROR": 0.01,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one launch took.

    Attributes:
        elapsed: From the first create to the last line of the account.
        bound: 1.05 x (last create + slowest provisioning) + 5 s, by the studio's own account.
        lines: Workstations in the account.
        ready: Those of them that are ready.
        sessions: Sessions that the studio has made.
        named: Sessions that the account names.
        calls: API calls.
        throttled: Those of them that the studio throttled.
    """

    elapsed: float
    bound: float
    lines: int
    ready: int
    sessions: int
    named: int
    calls: int
    throttled: int


async def launch(count: int, speed: float, seed: int, journal: Path | None) -> Figures:
    settings = Settings(
        seed=seed,
        create=Work(median_s=150, sigma=0.35, failures=FAILURES),
        throttle={"*": Limit(rate=2 * READS, burst=40)},
        latency=(0.05, 0.2),
    )
    async with (
        serve(settings, speed=speed) as simulator,
        nimble.connect(
            studio_id=simulator.studio_id,
            region_name="us-west-2",
            endpoint_url=simulator.url,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
        ) as studio,
        greenroom.Poller(
            studio,
            limiter=greenroom.RateLimiter(READS * speed, burst=20),
            schedule=greenroom.Every(2.5 / speed),
            settle=30 / speed,
            not_found_grace=30 / speed,
        ) as poller,
    ):
        began = time.perf_counter()
        report = await greenroom.launch(
            studio,
            [
                {"key": f"ws-{n}", "launch_profile_id": "lp", "instance_types": ["g5.xlarge"]}
                for n in range(count)
            ],
            poller=poller,
            creates=greenroom.RateLimiter(CREATES * speed, burst=5),
            policy=greenroom.LaunchPolicy(
                canary=0, backoff=greenroom.Every(10 / speed), timeout=3600 / speed
            ),
            journal=journal,
        )
        elapsed = (time.perf_counter() - began) * speed
        return _figures(report, simulator, elapsed)


def _figures(report: greenroom.LaunchReport, simulator: Simulator, elapsed: float) -> Figures:
    truth = simulator.truth()
    first = min(changes[0].at for changes in truth.values())
    last_create = max(changes[0].at for changes in truth.values()) - first
    slowest = max(
        change.at - changes[0].at
        for changes in truth.values()
        for change in changes
        if change.state == "READY"
    )
    named = {attempt.id for result in report.values() for attempt in result.attempts}
    return Figures(
        elapsed=elapsed,
        bound=1.05 * (last_create + slowest) + 5,
        lines=len(report),
        ready=len(report.succeeded),
        sessions=len(truth),
        named=len(named & set(truth)),
        calls=report.calls,
        throttled=report.throttled,
    )


COLUMNS = (
    "",
    "lines",
    "ready",
    "sessions",
    "named",
    "calls",
    "throttled",
    "elapsed",
    "bound",
    "ratio",
)


def cells(name: str, runs: list[Figures], base: list[Figures]) -> tuple[str, ...]:
    one = runs[0]
    pairs = zip(runs, base, strict=True)
    ratio = median(each.elapsed / other.elapsed for each, other in pairs)
    counts = (one.lines, one.ready, one.sessions, one.named, one.calls, one.throttled)
    elapsed = median(each.elapsed for each in runs)
    return (name, *map(str, counts), f"{elapsed:.1f} s", f"{one.bound:.1f} s", f"{ratio:.3f}")


def table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    lines = []
    for row in (COLUMNS, rule, *rows):
        aligned = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append(f"| {' | '.join((row[0].ljust(widths[0]), *aligned))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    without: list[Figures] = []
    with_: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            file = Path(folder) / f"{number}.db"
            without.append(asyncio.run(launch(asked.count, asked.speed, asked.seed, None)))
            with_.append(asyncio.run(launch(asked.count, asked.speed, asked.seed, file)))
            size = file.stat().st_size
    print(f"{asked.count} workstations, creates at {CREATES:g}/s, {asked.rounds} rounds in turn,")
    print(f"Python {platform.python_version()}, speed {asked.speed:g}\n")
    rows = [cells("without a journal", without, without), cells("with a journal", with_, without)]
    print(table(rows))
    print(f"\nThe journal has {size / 1024:,.0f} KiB.")


if __name__ == "__main__":
    main()
