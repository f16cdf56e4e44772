"""The live view of a launch: how many are where, what failed and why, what it costs, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from greenroom._launch._lines import Phase
from greenroom.cli._drawing import BAD, QUIET, WARNING, Drawing, bar, head, warnings
from greenroom.cli._outage import Outage
from greenroom.cli._printing import CELL, printable

if TYPE_CHECKING:
    from greenroom._launch._account import Account
    from greenroom._launch._site import Cost
    from greenroom.cli.launch._screen import Glance

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

    def notice(self, text: str, *, over: bool = False) -> None:
        """Keep it in view, until something else is said or it is over."""
        self._notice = "" if over else printable(text)

    def tick(self, glance: Glance) -> None:
        """Draw the view anew."""
        self._outage.news(glance.polled, glance.now)
        account = glance.account
        total, ready = len(account.lines), account.counts[Phase.READY]
        parts: list[RenderableType] = [
            head(self._title, glance.elapsed, glance.left, self._timeout),
            bar(ready, total, "ready"),
            _phases(account),
            _cost(glance.cost, glance.rate),
            *warnings(self._outage, glance.polled, glance.now, self._speed),
        ]
        if self._notice:
            parts.append(Text(self._notice, style=WARNING))
        causes = [each for each in account.causes.most_common(MOST_CAUSES) if each[1] > 0]
        if causes:
            parts += [Text(), _failed(causes, account)]
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


def _failed(causes: list[tuple[str, int]], account: Account) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_row(Text("failed", style=BAD))
    for cause, count in causes:
        advice = Text(printable(account.advice(cause)), style=QUIET)
        rows.add_row(Text(str(count)), Text(printable(cause, CELL)), advice)
    return rows
