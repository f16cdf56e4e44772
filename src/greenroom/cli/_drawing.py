"""What live views are drawn with, and on: a place on the terminal, a head, a bar, and warnings.

Drawn on standard error, so that results can be piped. Everything that comes from outside is shown
as plain text: no markup of it is interpreted, and no control character gets through.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from greenroom.cli._printing import printable, shortfall, span

if TYPE_CHECKING:
    from types import TracebackType

    from greenroom._poller import PollerStatistics
    from greenroom.cli._outage import Outage

BAD = "bold red"
WARNING = "yellow"
QUIET = "dim"


class Drawing:
    """A place on a terminal that is redrawn, and gone at the end.

    Args:
        console: Where to draw; the terminal on standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
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

    def draw(self, *parts: RenderableType) -> None:
        """Draw these, one below the other, in place of what was drawn before."""
        self._live.update(Group(*parts), refresh=True)


def head(title: str, elapsed: float, left: float | None, timeout: float | None) -> RenderableType:
    """Return the first line: what is being done, for how long, and until when."""
    times = f"{span(elapsed)}, time left: {'unknown' if left is None else roughly(left)}"
    if timeout is not None:
        times += f", deadline in {span(max(0.0, timeout - elapsed))}"
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    line.add_row(Text(printable(title), style="bold"), Text(times, style=QUIET))
    return line


def bar(done: int, total: int, word: str) -> RenderableType:
    """Return how many of all are done, as a bar and in figures."""
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1)
    row.add_column(justify="right")
    row.add_row(ProgressBar(total=total, completed=done), Text(f"{done} of {total} {word}"))
    return row


def warnings(
    outage: Outage, polled: PollerStatistics, now: float, speed: float
) -> list[RenderableType]:
    """Return what is wrong with the reading: an outage, or a budget that is too small."""
    lines: list[RenderableType] = []
    since = outage.since()
    if since is not None:
        error = printable(polled.last_error or "")
        lasting = span((now - since) * speed)
        lines.append(Text(f"no answer for {lasting}, trying on: {error}", style=BAD))
    if polled.overload is not None:
        lines.append(Text(shortfall(polled.overload, speed), style=WARNING))
    return lines


def roughly(seconds: float) -> str:
    """Return a time that nobody knows exactly, in words."""
    if seconds < 90:
        return f"about {math.ceil(seconds / 10) * 10} s"
    return f"about {math.ceil(seconds / 60)} min"
