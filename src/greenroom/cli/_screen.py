"""What is shown while a run goes on, on standard error: notices, progress lines, or nothing more.

A screen is told what happens like a report is, and ticks a few times a second. The one that fills a
terminal is in `_live`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, Self

import click

from greenroom.cli._outage import Outage

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._limiter import LimiterStatistics
    from greenroom._poller import PollerStatistics
    from greenroom.cli._progress import Progress

LINE_INTERVAL = 10.0
"""Seconds from one progress line to the next."""


class Screen(AbstractContextManager["Screen"], Protocol):
    """Something that shows progress between entering and leaving it."""

    def tick(
        self,
        progress: Progress,
        polled: PollerStatistics,
        budget: LimiterStatistics,
        now: float,
    ) -> None:
        """Show how things are at `now`."""
        ...


class Notices:
    """Outages and recoveries, and a progress line now and then, for logs and pipes.

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

    def tick(
        self,
        progress: Progress,
        polled: PollerStatistics,
        budget: LimiterStatistics,  # noqa: ARG002  # too fine for lines
        now: float,
    ) -> None:
        """Print what is due."""
        if news := self._outage.news(polled, now):
            click.echo(f"greenroom: {news}", err=True)
        if self._last_line is None:
            self._last_line = now
        elif self._lines and now - self._last_line >= LINE_INTERVAL:
            self._last_line = now
            click.echo(f"greenroom: {progress.line(polled, now)}", err=True)
