"""What several schedules make of the same workloads: calls, delay, and how far that is from best.

    python benchmarks/pacing.py [--workloads W1 W2 W3 W4 W5] [--seeds 5]

They wait for the same sessions on the real engine in virtual time, in batches of 100, under a
limiter that knows the quota. Pay as you wait is told nothing beforehand. The interval of `Every`,
and the ceiling of pay as you wait at an infinite price, which is a fixed interval too, are tuned
workload by workload to make as many calls as pay as you wait does. Jittered backoff, which begins
anew for each session, cannot be brought to so few, and is shown as it comes. `workloads.py` defines
the workloads, and the optimum with which the last column compares calls x delay.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from greenroom import Backoff, Every, PayAsYouWait
from workloads import BATCH, W1, W2, W3, W4, W5, Figures, Schedule, Workload, play

WORKLOADS = {workload.name: workload for workload in (W1, W2, W3, W4, W5)}
PEERS: dict[str, Callable[[float], Schedule]] = {
    "Every({:.1f})": Every,
    "price inf, ceiling {:.1f}": lambda seconds: PayAsYouWait(math.inf, ceiling=seconds),
}
COLUMNS = ("calls", "per session", "mean", "p50", "p99", "throttled", "CPU", "x best")
MANY = 1_000
"""Sessions up to which several seeds are played, and the tuning takes its time."""


def tuned(
    make: Callable[[float], Schedule], workload: Workload, calls: int, tries: int
) -> tuple[float, Figures]:
    """Return the seconds with which a schedule makes as many calls, and what it makes of them."""
    seconds = sum(life.takes for life in workload.lives(0)) / (BATCH * calls)
    for _ in range(tries):
        figures = play(workload, partial(make, seconds))
        if abs(figures.calls / calls - 1) < 0.01:
            break
        seconds *= max(0.5, min(2.0, figures.calls / calls))
    return seconds, figures


def row(workload: Workload, figures: Sequence[Figures]) -> tuple[str, ...]:
    """Return the columns for one contender, the mean over its seeds."""
    calls, delay = workload.optimum()
    mean = statistics.fmean
    per_session, mean_delay = mean(f.per_session for f in figures), mean(f.mean for f in figures)
    return (
        f"{mean(f.calls for f in figures):,.0f}",
        f"{per_session:.3f}",
        f"{mean_delay:.2f} s",
        f"{mean(f.quantile(0.5) for f in figures):.1f} s",
        f"{mean(f.quantile(0.99) for f in figures):.1f} s",
        str(sum(f.throttled for f in figures)),
        f"{mean(f.cpu for f in figures):.1f} s",
        f"{per_session * mean_delay / (calls * delay):.2f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--seeds", type=int, default=5, help="of those up to 1,000 sessions")
    asked = parser.parse_args()
    console = Console(width=110)
    for name in asked.workloads:
        workload = WORKLOADS[name]
        small = workload.sessions <= MANY
        seeds = range(asked.seeds if small else 1)
        table = Table(title=f"{name}: {workload.sessions:,} sessions, {workload.rate:g} calls/s")
        for column in ("", *COLUMNS):
            table.add_column(column, justify="right" if column else "left")
        paid = [play(workload, PayAsYouWait, seed) for seed in seeds]
        table.add_row("pay as you wait", *row(workload, paid))
        for title, make in PEERS.items():
            seconds, first = tuned(make, workload, paid[0].calls, 8 if small else 2)
            others = [play(workload, partial(make, seconds), seed) for seed in seeds[1:]]
            table.add_row(title.format(seconds), *row(workload, [first, *others]))
        backed_off = [play(workload, Backoff, seed) for seed in seeds]
        table.add_row("Backoff(2, ceiling=20)", *row(workload, backed_off))
        console.print(table)


if __name__ == "__main__":
    main()
