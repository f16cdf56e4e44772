"""What is printed of a launch: changes, one outcome a workstation, and a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import click

from greenroom._launch._lines import Deletion
from greenroom._states import Verdict
from greenroom.cli._printing import (
    JsonReport,
    change_line,
    cost,
    outcome_members,
    print_json,
    printable,
)
from greenroom.cli._status import ENDINGS, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenroom._launch._events import Changed
    from greenroom._launch._lines import WorkstationResult
    from greenroom._launch._report import LaunchReport
    from greenroom.cli._printing import Summary

_WORDS = {**WORDS, Verdict.SUCCESS: "ready"}

SHOWN = 20
"""Workstations of one cause that are named, as text."""


class LaunchTold(Protocol):
    """Who is told what happens in a launch."""

    def change(self, change: Changed) -> None:
        """Take in that a session changed."""
        ...

    def outcome(self, result: WorkstationResult) -> None:
        """Take in what became of a workstation; each is told once."""
        ...

    def summary(self, report: LaunchReport, summary: Summary) -> None:
        """Take in the end of the run."""
        ...


class JsonLaunch:
    """Everything, as one JSON object a line."""

    def __init__(self) -> None:
        self._json = JsonReport()

    def change(self, change: Changed) -> None:
        """Print a transition event."""
        self._json.transition(change)

    def outcome(self, result: WorkstationResult) -> None:
        """Print an outcome event."""
        members = outcome_members(result)
        print_json(members | {"key": result.key, "attempts": len(result.attempts)})

    def summary(self, report: LaunchReport, summary: Summary) -> None:  # noqa: ARG002  # it has told all of it
        """Print the summary event."""
        self._json.summary(summary)


class TextLaunch:
    """What did not succeed, by cause, and a summary.

    Args:
        verbose: Whether every change is told as well, on standard error.
        listing: The command that lists all workstations.
        advised: Makes of an advice what it is for what was launched.
    """

    def __init__(
        self,
        *,
        verbose: bool,
        listing: str = "`greenroom report`",
        advised: Callable[[str], str] = str,
    ) -> None:
        self._verbose = verbose
        self._listing = listing
        self._advised = advised

    def change(self, change: Changed) -> None:
        """Print a change, if asked to."""
        if self._verbose:
            click.echo(f"{change_line(change)}  [{printable(change.key)}]", err=True)

    def outcome(self, result: WorkstationResult) -> None:
        """Leave it to the summary."""

    def summary(self, report: LaunchReport, summary: Summary) -> None:
        """Print each cause with its advice and its workstations, the counts, and what it cost."""
        for cause, results in report.by_cause.items():
            advice = self._advised(report.advice(cause))
            click.echo(printable(f"{len(results)} x {cause}: {advice}"))
            self._print_some(results)
        made = sum(each.id is not None for result in report.values() for each in result.attempts)
        counts = ", ".join(
            f"{summary.tally.counts[verdict]} {_WORDS[verdict]}"
            for verdict in ENDINGS
            if summary.tally.counts[verdict]
        )
        click.echo(
            f"{counts or '0 ready'} of {summary.total}; {made} sessions made, {cost(summary)}"
        )

    def _print_some(self, results: Sequence[WorkstationResult]) -> None:
        for result in results[:SHOWN]:
            click.echo(printable(_line(result)))
        if len(results) > SHOWN:
            more = len(results) - SHOWN
            click.echo(printable(f"  and {more} more; {self._listing} lists all of them"))


def _line(result: WorkstationResult) -> str:
    state = result.state or ("gone" if result.verdict is Verdict.MISSING else "not seen yet")
    where = f"{result.id} is {state}" if result.id else "no session"
    cancelled = result.verdict is Verdict.CANCELLED and result.id is not None
    if cancelled and result.attempts and result.attempts[-1].deletion is Deletion.DONE:
        where = f"{result.id} was deleted"
    said = f"  {result.key}: {result.verdict.value}, {where}"
    if not result.message or (cancelled and result.message.startswith(f"{result.id} ")):
        return said  # it was cancelled where it stood, and its message says no more
    return f"{said}: {result.message}"
