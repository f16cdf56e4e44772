"""What a process holds, read now and then; and whether that is flat once it has warmed up."""

from __future__ import annotations

import asyncio
import gc
import resource
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

FEWEST = 4
"""Readings of which growth can be told: half of them after the warm-up, and two to compare."""

GROWTH = 0.02
"""The part by which memory may grow from the first half after the warm-up to the second."""

CHANCE = 5
"""By how much the least of the descriptors, and of the tasks, may differ by chance. One left behind
by every hundredth workstation makes more than that in an hour."""


@dataclass(frozen=True)
class Reading:
    """What a process holds at one moment.

    Attributes:
        resident: Bytes of memory that are resident.
        objects: Objects that the garbage collector knows, after a collection.
        descriptors: Open file descriptors.
        tasks: Tasks of this event loop.
    """

    resident: int
    objects: int
    descriptors: int
    tasks: int

    def __str__(self) -> str:
        return (
            f"{self.resident / 2**20:.1f} MiB, {self.objects:,} objects, "
            f"{self.descriptors} descriptors, {self.tasks} tasks"
        )


def read() -> Reading:
    """Collect garbage and read all gauges; inside an asyncio loop."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Reading(
        resident=pages * resource.getpagesize(),
        objects=len(gc.get_objects()),
        descriptors=len(tuple(Path("/proc/self/fd").iterdir())),
        tasks=len(asyncio.all_tasks()),
    )


def growth(readings: list[Reading]) -> dict[str, float]:
    """Return how each gauge grew from the first half of the readings to the second.

    Memory by its mean, which hardly swings, as a part of itself. Descriptors and tasks by their
    least, as a number: both rise and fall with every call in flight, and what leaks raises the
    least as well.
    """
    rows = [asdict(reading) for reading in readings]
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    parts = {
        name: mean(row[name] for row in second) / mean(row[name] for row in first) - 1
        for name in ("resident", "objects")
    }
    numbers = {
        name: min(row[name] for row in second) - min(row[name] for row in first)
        for name in ("descriptors", "tasks")
    }
    return {**parts, **numbers}


def told(grown: dict[str, float]) -> str:
    """Return growth in words."""
    memory = f"resident {grown['resident']:+.2%}, objects {grown['objects']:+.2%}"
    return f"{memory}, descriptors {grown['descriptors']:+}, tasks {grown['tasks']:+}"


def too_much(readings: list[Reading], *gauges: str) -> dict[str, float]:
    """Return those of these gauges that grew by more than they may, after a quarter to warm up."""
    grown = growth(readings[len(readings) // 4 :])
    most = {"resident": GROWTH, "objects": GROWTH, "descriptors": CHANCE, "tasks": CHANCE}
    return {name: grown[name] for name in gauges if grown[name] > most[name]}
