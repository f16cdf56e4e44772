"""What is shown while a launch goes on, on standard error: notices, and progress lines.

The screen that fills a terminal is in `_launch_view`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, Self

import click

from greenroom._launch import _events as events
from greenroom._launch._lines import Phase
from greenroom.cli._outage import Outage
from greenroom.cli._report import printable, span
from greenroom.cli._screen import LINE_INTERVAL

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._launch._account import Account
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._site import Cost
    from greenroom._poller import PollerStatistics
    from greenroom.cli._pace import Pace


class LaunchScreen(AbstractContextManager["LaunchScreen"], Protocol):
    """Something that shows progress between entering and leaving it."""

    def notice(self, event: LaunchEvent) -> None:
        """Show that creates are held, released or stopped."""
        ...

    def tick(
        self,
        account: Account,
        cost: Cost,
        polled: PollerStatistics,
        pace: Pace,
        elapsed: float,
        now: float,
    ) -> None:
        """Show how things are at `now`, which is `elapsed` shown seconds from the start."""
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

    def notice(self, event: LaunchEvent) -> None:
        """Print it."""
        click.echo(f"greenroom: {notice(event)}", err=True)

    def tick(
        self,
        account: Account,
        cost: Cost,
        polled: PollerStatistics,
        pace: Pace,  # noqa: ARG002  # too fine for lines
        elapsed: float,
        now: float,
    ) -> None:
        """Print what is due."""
        if news := self._outage.news(polled, now):
            click.echo(f"greenroom: {news}", err=True)
        if self._last_line is None:
            self._last_line = now
        elif self._lines and now - self._last_line >= LINE_INTERVAL:
            self._last_line = now
            click.echo(f"greenroom: {progress_line(account, cost, elapsed)}", err=True)


def notice(event: LaunchEvent) -> str:
    """Return in words that creates are held, released or stopped."""
    match event:
        case events.CreatesHeld():
            return printable(f"creates are held ({event.cause}): {event.message}")
        case events.CreatesStopped():
            return printable(f"nothing more is created ({event.cause}): {event.message}")
    return "creates go on"


def progress_line(account: Account, cost: Cost, elapsed: float) -> str:
    """Return how far a launch is, on one line."""
    phases = ", ".join(
        f"{account.counts[phase]} {phase}" for phase in Phase if account.counts[phase]
    )
    return f"{len(account.lines)} workstations after {span(elapsed)}: {phases}; {cost.calls} calls"
