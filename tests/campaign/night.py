"""A night of it: `python -m tests.campaign.night --steps 1000000 --seed 1`.

A round is some hundred and fifty programs of one seed, on asyncio and on trio in turn; the next
round has the next seed. The first broken promise ends the night, with the smallest program that
breaks it, ready to be pasted into `test_found.py`. Exit status: 0, or 1 where something is broken.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.campaign.journal import Broken
from tests.campaign.machine import Campaign

BACKENDS = ("asyncio", "trio")
PROGRAMS = 150
"""Programs in a round."""


def play_round(number: int, backend: str, programs: int = PROGRAMS) -> Counter[str]:
    """Play the programs of one seed and return the steps that were done, by what they are.

    A step is an operation executed, a call answered, or a transition told.

    Raises:
        Broken: A promise is broken; the message has the program.
    """

    class Round(Campaign):
        done: ClassVar[Counter[str]] = Counter()

    Round.backend = backend
    run_state_machine_as_test(
        seed(number)(Round),
        settings=settings(
            max_examples=programs,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=False,
            phases=(Phase.generate,),  # `shrink` knows better what a program is
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Round.done


def main() -> int:
    """Play rounds until there were enough steps, or until something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="steps to do, at least")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round")
    arguments = parser.parse_args()
    done: Counter[str] = Counter()
    number, began = arguments.seed, time.monotonic()
    while done.total() < arguments.steps:
        backend = BACKENDS[number % 2]
        try:
            done += play_round(number, backend)
        except Broken as broken:
            _say(f"seed {number}, after {done.total():,} steps: {broken}")
            return 1
        seconds = time.monotonic() - began
        _say(f"seed {number} on {backend}: {done.total():,} steps, {seconds:.0f} s")
        number += 1
    parts = ", ".join(f"{count:,} {what}" for what, count in sorted(done.items()))
    _say(f"seeds {arguments.seed} to {number - 1}: {done.total():,} steps ({parts}), none broken")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
