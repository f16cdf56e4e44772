"""The live view of a wait: how many are where, what it costs, who is slow, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from greenroom._states import Verdict
from greenroom.cli._drawing import BAD, QUIET, Drawing, bar, head, warnings
from greenroom.cli._outage import Outage
from greenroom.cli._printing import CELL, printable, span

if TYPE_CHECKING:
    from greenroom._limiter import LimiterStatistics
    from greenroom._poller import PollerStatistics
    from greenroom.cli._progress import Progress

SLOWEST = 5


class LiveView(Drawing):
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
        super().__init__(console)
        self._title = title
        self._timeout = timeout
        self._speed = speed
        self._outage = Outage()

    def tick(
        self,
        progress: Progress,
        polled: PollerStatistics,
        budget: LimiterStatistics,
        now: float,
    ) -> None:
        """Draw the view anew."""
        self._outage.news(polled, now)
        left = progress.pace.left(progress.total - progress.settled, now)
        self.draw(
            head(self._title, progress.elapsed(now), left, self._timeout),
            bar(progress.settled, progress.total, "settled"),
            _states(progress),
            self._cost(progress, polled, budget, now),
            *warnings(self._outage, polled, now, self._speed),
            Text(),
            _slowest(progress, now),
        )

    def _cost(
        self, progress: Progress, polled: PollerStatistics, budget: LimiterStatistics, now: float
    ) -> Text:
        used = progress.pace.call_rate(polled.calls, now)
        text = Text(f"{polled.calls} calls, {used:.1f}/s of {budget.rate / self._speed:.1f}/s")
        text.append(f"   {polled.reads_per_call:.0f} sessions per call")
        text.append(
            f"   {polled.throttled} throttled", style="yellow" if polled.throttled else QUIET
        )
        return text


def _states(progress: Progress) -> Text:
    counts = Text()
    for state, count in progress.states():
        counts.append(f"{count} ", style="bold").append(f"{state}   ")
    bad = progress.settled - progress.outcomes[Verdict.SUCCESS]
    if bad:
        counts.append(f"{bad} did not make it", style=BAD)
    return counts


def _slowest(progress: Progress, now: float) -> RenderableType:
    slowest = progress.slowest(SLOWEST, now)
    if not slowest:
        ended = progress.settled == progress.total
        return Text("all settled" if ended else "nothing launched yet", style=QUIET)
    rows = Table.grid(padding=(0, 2))
    rows.add_row(Text("waiting longest", style=QUIET))
    for waiting in slowest:
        rows.add_row(
            Text(waiting.id), Text(printable(waiting.state or "", CELL)), Text(span(waiting.waited))
        )
    return rows
