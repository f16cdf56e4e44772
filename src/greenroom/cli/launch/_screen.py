"""What is shown while a launch goes on, on standard error: notices, and progress lines.

The screen that fills a terminal is in `_launch_view`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import click

from greenroom._launch._lines import Phase
from greenroom.cli._outage import Outage
from greenroom.cli._printing import printable, shortfall, span
from greenroom.cli._screen import LINE_INTERVAL

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._launch._account import Account
    from greenroom._launch._site import Cost
    from greenroom._poller import PollerStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A launch at one moment. Durations are shown seconds.

    Attributes:
        account: What is known.
        cost: What it has cost since it was taken up.
        polled: The poller's figures.
        rate: Calls per second of late.
        elapsed: From the start.
        left: What the rest will take, if one can say.
        now: The moment, on the loop's clock.
    """

    account: Account
    cost: Cost
    polled: PollerStatistics
    rate: float
    elapsed: float
    left: float | None
    now: float


class LaunchScreen(AbstractContextManager["LaunchScreen"], Protocol):
    """Something that shows progress between entering and leaving it."""

    def notice(self, text: str, *, over: bool = False) -> None:
        """Show something that the user must not miss, or that it is over."""
        ...

    def tick(self, glance: Glance) -> None:
        """Show how things are."""
        ...


class LaunchNotices:
    """Holds, stops and outages, and a progress line now and then, for logs and pipes.

    Args:
        lines: Whether to print progress lines.
    """

    def __init__(self, *, lines: bool) -> None:
        self._outage = Outage()
        self._lines = lines
        self._last_line: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def notice(self, text: str, *, over: bool = False) -> None:  # noqa: ARG002  # both are lines
        """Print it."""
        click.echo(f"greenroom: {printable(text)}", err=True)

    def tick(self, glance: Glance) -> None:
        """Print what is due."""
        if news := self._outage.news(glance.polled, glance.now):
            click.echo(f"greenroom: {news}", err=True)
        if self._last_line is None:
            self._last_line = glance.now
        elif self._lines and glance.now - self._last_line >= LINE_INTERVAL:
            self._last_line = glance.now
            click.echo(f"greenroom: {progress_line(glance)}", err=True)


def progress_line(glance: Glance) -> str:
    """Return how far a launch is, on one line."""
    counts = glance.account.counts
    phases = ", ".join(f"{counts[phase]} {phase}" for phase in Phase if counts[phase])
    total = len(glance.account.lines)
    short = glance.polled.overload
    late = "" if short is None else f"; {shortfall(short)}"
    return (
        f"{total} workstations after {span(glance.elapsed)}: {phases}; "
        f"{glance.cost.calls} calls{late}"
    )
