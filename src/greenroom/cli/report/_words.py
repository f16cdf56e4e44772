"""What the text and the page say of a launch in the same words."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from greenroom._launch._figures import Course
from greenroom._states import Verdict
from greenroom.cli._printing import CELL, printable, span, timestamp
from greenroom.cli._status import ENDINGS, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom._launch._figures import Figures, ReadyTimes

NAMED_KEYS = 20
"""Workstations of one cause that are named; of the others, the number is."""

OUTCOMES = WORDS | {Verdict.PENDING: "still open"}
"""What people are told of each verdict."""


def outcomes(figures: Figures) -> str:
    """Return how many workstations ended in which way."""
    counts = (
        f"{figures.verdicts[verdict]} {OUTCOMES[verdict]}"
        for verdict in (*ENDINGS, Verdict.PENDING)
        if figures.verdicts.get(verdict)
    )
    return f"{', '.join(counts)} of {len(figures.workstations)}"


def course(figures: Figures) -> str:
    """Return how far the launch is."""
    match figures.course:
        case Course.UNBEGUN:
            return "written down, and never begun"
        case Course.RUNNING:
            last = timestamp(figures.last_at)
            return f"still running, or killed: the latest that it wrote is of {last}"
        case Course.INTERRUPTED:
            return f"interrupted after {span(figures.elapsed)}"
        case Course.FINISHED:
            return f"finished after {span(figures.elapsed)}"


def resume_command(journal: str) -> str:
    """Return the command that takes a launch up again."""
    return f"greenroom launch --journal {shlex.quote(printable(journal))} --resume"


def notices(figures: Figures) -> list[str]:
    """Return what a reader must not miss, apart from what failed."""
    told = []
    if figures.stopped:
        told.append(f"Creating was stopped: {_sentence(figures.stopped)}")
    if figures.held:
        told.append(f"Creating is held: {_sentence(figures.held)}")
    if number := len(figures.unanswered):
        told.append(
            f"{counted(number, 'create')} never got an answer, so that there may be a session "
            "which is not listed here. A resumed launch finds out."
        )
    return told


def open_lines(figures: Figures) -> str | None:
    """Return what can be taken up again, in words; None where there is nothing."""
    if not figures.open:
        return None
    subject = f"{counted(figures.open, 'workstation')} can be taken up again"
    if figures.course is Course.RUNNING:
        return f"{subject}, if no process is at it any more"
    return subject


def ready_times(times: ReadyTimes) -> list[tuple[str, str]]:
    """Return how long it took until workstations were ready, each figure with its name."""
    return [
        ("median", span(times.median)),
        ("90 % within", span(times.p90)),
        ("99 % within", span(times.p99)),
        ("longest", span(times.longest)),
    ]


def choices(figures: Figures) -> str:
    """Return how many ready workstations are of which choice."""
    return printable(", ".join(f"{label}: {count}" for label, count in figures.choices.items()))


def keys(named: Sequence[str]) -> str:
    """Return the first keys, and how many more there are."""
    more = len(named) - NAMED_KEYS
    shown = ", ".join(printable(each, CELL) for each in named[:NAMED_KEYS])
    return f"{shown} and {more} more" if more > 0 else shown


def counted(number: int, noun: str) -> str:
    """Return a number of things, as `1 session` and `2 sessions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    return printable(text).rstrip(".") + "."
