"""The live view of a launch: how many are where, what failed and why, what it costs, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from greenroom._launch import _events as events
from greenroom._launch._lines import Phase
from greenroom._launch._remedies import REMEDIES
from greenroom.cli._drawing import BAD, QUIET, WARNING, Drawing, bar, head, warnings
from greenroom.cli._launch_screen import notice
from greenroom.cli._outage import Outage

if TYPE_CHECKING:
    from greenroom._launch._account import Account
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._site import Cost
    from greenroom._poller import PollerStatistics
    from greenroom.cli._pace import Pace

MOST_CAUSES = 8


class LaunchView(Drawing):
    """A screen that redraws itself in place and is gone at the end.

    Args:
        title: What is launched.
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
        self._notice = ""

    def notice(self, event: LaunchEvent) -> None:
        """Keep it in view until it is over."""
        self._notice = "" if isinstance(event, events.CreatesReleased) else notice(event)

    def tick(
        self,
        account: Account,
        cost: Cost,
        polled: PollerStatistics,
        pace: Pace,
        elapsed: float,
        now: float,
    ) -> None:
        """Draw the view anew."""
        self._outage.news(polled, now)
        total, ready = len(account.lines), account.counts[Phase.READY]
        parts: list[RenderableType] = [
            head(self._title, elapsed, pace.left(total, now), self._timeout),
            bar(ready, total, "ready"),
            _phases(account),
            _cost(cost, pace.call_rate(cost.calls, now)),
            *warnings(self._outage, polled, now, self._speed),
        ]
        if self._notice:
            parts.append(Text(self._notice, style=WARNING))
        if causes := account.causes.most_common(MOST_CAUSES):
            parts += [Text(), _failed([(cause, count) for cause, count in causes if count > 0])]
        self.draw(*parts)


def _cost(cost: Cost, rate: float) -> RenderableType:
    reads = cost.calls - cost.changes
    text = Text(f"{cost.calls} calls, {rate:.1f}/s: {reads} to read, {cost.changes} to create,")
    text.append(" stream or delete   ")
    text.append(f"{cost.throttled} throttled", style=WARNING if cost.throttled else QUIET)
    return text


def _phases(account: Account) -> RenderableType:
    text = Text()
    for phase in Phase:
        if count := account.counts[phase]:
            style = f"bold {BAD}" if phase is Phase.FAILED else "bold"
            text.append(f"{count} ", style=style).append(f"{phase}   ")
    return text


def _failed(causes: list[tuple[str, int]]) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_row(Text("failed", style=BAD))
    for cause, count in causes:
        row = REMEDIES.get(cause)
        rows.add_row(Text(str(count)), Text(cause), Text(row.advice if row else "", style=QUIET))
    return rows
