"""The live view of a run on a terminal: how many are where, what it costs, who is slow, how long.

It is drawn on standard error, so that results can be piped. Everything that comes from outside is
shown as plain text: no markup of it is interpreted, and no control character gets through.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from greenroom._states import Verdict
from greenroom.cli._outage import Outage
from greenroom.cli._report import printable, span

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._limiter import LimiterStatistics
    from greenroom._poller import PollerStatistics
    from greenroom.cli._progress import Progress

SLOWEST = 5
LATE = 2.0
"""Seconds by which calls may be overdue before the view warns."""

_BAD = "bold red"
_QUIET = "dim"


class LiveView:
    """A screen that redraws itself in place and is gone at the end.

    Args:
        title: What is being done, such as `nimble-session until READY`.
        timeout: Shown seconds from start to deadline, or None.
        speed: Shown seconds per second of the clock.
        console: Where to draw; the terminal on standard error if None.
    """

    def __init__(
        self,
        title: str,
        timeout: float | None,
        *,
        speed: float = 1.0,
        console: Console | None = None,
    ) -> None:
        self._title = title
        self._timeout = timeout
        self._speed = speed
        self._outage = Outage()
        self._live = Live(
            console=console or Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.update(Text(), refresh=True)
        self._live.__exit__(exc_type, exc, traceback)

    def tick(
        self,
        progress: Progress,
        polled: PollerStatistics,
        budget: LimiterStatistics,
        now: float,
    ) -> None:
        """Draw the view anew."""
        self._outage.news(polled, now)
        parts: list[RenderableType] = [
            self._head(progress, now),
            _bar(progress),
            _states(progress),
            self._cost(progress, polled, budget, now),
            *self._warnings(polled, now),
            Text(),
            _slowest(progress, now),
        ]
        self._live.update(Group(*parts), refresh=True)

    def _head(self, progress: Progress, now: float) -> RenderableType:
        elapsed = progress.elapsed(now)
        left = progress.left(now)
        times = f"{span(elapsed)}, time left: {'unknown' if left is None else _roughly(left)}"
        if self._timeout is not None:
            times += f", deadline in {span(max(0.0, self._timeout - elapsed))}"
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(Text(self._title, style="bold"), Text(times, style=_QUIET))
        return head

    def _cost(
        self, progress: Progress, polled: PollerStatistics, budget: LimiterStatistics, now: float
    ) -> Text:
        used = progress.call_rate(polled.calls, now)
        text = Text(f"{polled.calls} calls, {used:.1f}/s of {budget.rate / self._speed:.1f}/s")
        text.append(f"   {polled.reads_per_call:.0f} sessions per call")
        text.append(
            f"   {polled.throttled} throttled", style="yellow" if polled.throttled else _QUIET
        )
        return text

    def _warnings(self, polled: PollerStatistics, now: float) -> list[Text]:
        warnings = []
        since = self._outage.since()
        if since is not None:
            lasting = span((now - since) * self._speed)
            error = printable(polled.last_error or "")
            warnings.append(Text(f"no answer for {lasting}, trying on: {error}", style=_BAD))
        if polled.lag > LATE / self._speed:
            overdue = span(polled.lag * self._speed)
            warnings.append(
                Text(f"calls are {overdue} late: --rate is low for so many", style="yellow")
            )
        return warnings


def _roughly(seconds: float) -> str:
    if seconds < 90:
        return f"about {math.ceil(seconds / 10) * 10} s"
    return f"about {math.ceil(seconds / 60)} min"


def _bar(progress: Progress) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1)
    row.add_column(justify="right")
    row.add_row(
        ProgressBar(total=progress.total, completed=progress.settled),
        Text(f"{progress.settled} of {progress.total} settled"),
    )
    return row


def _states(progress: Progress) -> Text:
    counts = Text()
    for state, count in progress.states():
        counts.append(f"{count} ", style="bold").append(f"{state}   ")
    bad = progress.settled - progress.outcomes[Verdict.SUCCESS]
    if bad:
        counts.append(f"{bad} did not make it", style=_BAD)
    return counts


def _slowest(progress: Progress, now: float) -> RenderableType:
    slowest = progress.slowest(SLOWEST, now)
    if not slowest:
        ended = progress.settled == progress.total
        return Text("all settled" if ended else "nothing launched yet", style=_QUIET)
    rows = Table.grid(padding=(0, 2))
    rows.add_row(Text("waiting longest", style=_QUIET))
    for waiting in slowest:
        rows.add_row(
            Text(waiting.id), Text(printable(waiting.state or "")), Text(span(waiting.waited))
        )
    return rows
