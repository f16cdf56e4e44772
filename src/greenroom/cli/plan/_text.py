"""A plan as it is printed: the answer, the table behind it, and how to read that; or JSON lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from greenroom.cli._printing import printable, span

if TYPE_CHECKING:
    from greenroom.cli.plan._figures import Row
    from greenroom.cli.plan._lives import Law

WIDTH = 80

JOINT = "\N{NO-BREAK SPACE}"
"""Stands within durations until lines are broken."""

HEAD = ("rate", "reads", "creates", "delay", "99 % within", "all ready", "overloaded")

PRICE = "a call is made when it is worth its price: a lower --price buys less delay for more calls"
INTERVAL = "each session is looked at so often and no more: a shorter --every buys less delay"


def as_text(count: int, rows: Sequence[Row], law: Law, *, paid: bool) -> str:
    """Return a plan in words.

    Args:
        count: Workstations.
        rows: What to expect at each rate, the lowest first.
        law: How long sessions were taken to last.
        paid: Whether calls are made when they are worth their price.
    """
    asked = next(each for each in rows if each.asked)
    parts = [
        "\n".join(map(_filled, _answer(count, asked))),
        "\n".join(_table(rows)),
        _filled(_reading(rows, paid=paid)),
        _filled(f"{printable(law.words)} {_rehearsed(asked)}"),
    ]
    return "\n\n".join(parts)


def as_members(count: int, rows: Iterable[Row], law: Law) -> Iterator[Mapping[str, Any]]:
    """Yield a plan as plain values: the law, and then the rows."""
    yield {"event": "law", **law.members}
    for each in rows:
        yield {
            "event": "plan",
            "count": count,
            "rate": each.rate,
            "burst": each.burst,
            "asked": each.asked,
            "rehearsals": each.rehearsals,
            "calls": round(each.calls, 1),
            "reads": round(each.reads, 1),
            "creates": round(each.creates, 1),
            "mean_delay": _rounded(each.mean_delay),
            "p99_delay": _rounded(each.p99_delay),
            "ready": round(each.ready, 1),
            "all_ready": _rounded(each.ready_at) if each.all_ready else None,
            "overloaded": each.overloaded > 0,
            "overloaded_for": _rounded(each.overloaded),
            "rate_needed": _rounded(each.rate_needed) if each.rate_needed else None,
        }


def _answer(count: int, asked: Row) -> Iterator[str]:
    few = ", which is too few" if asked.overloaded else ""
    what = f"{_counted(count, 'workstation')}, at {asked.rate:g} calls/s{few}"
    calls = f"{_counted(asked.reads, 'read')}, {_counted(asked.creates, 'create')}."
    if asked.ready_at is None:
        yield f"{what}: none ready, {_counted(asked.calls, 'call')}."
        yield f"Calls: {calls}"
        return
    yield f"{what}: {_ready(count, asked)}, {_counted(asked.calls, 'call')}."
    within = f"99 % within {_span(asked.p99_delay)}"
    yield f"Noticed {_span(asked.mean_delay)} late on average, {within}; {calls}"


def _ready(count: int, asked: Row) -> str:
    after = _span(asked.ready_at)
    if asked.all_ready:
        return f"all ready after {after}" if count > 1 else f"ready after {after}"
    return f"{asked.ready:,.0f} ready, the last after {after}"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    cells = [HEAD, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    marks = ["  ", *("> " if each.asked else "  " for each in rows)]
    for mark, line in zip(marks, cells, strict=True):
        row = "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield (mark + row).replace(JOINT, " ")


def _cells(each: Row) -> tuple[str, ...]:
    return (
        f"{each.rate:.3g}",
        f"{each.reads:,.0f}",
        f"{each.creates:,.0f}",
        _span(each.mean_delay),
        _span(each.p99_delay),
        _span(each.ready_at) if each.all_ready else f"{each.ready:,.0f} are",
        _span(each.overloaded) if each.overloaded else "no",
    )


def _reading(rows: Sequence[Row], *, paid: bool) -> str:
    enough = next((each for each in rows if not each.overloaded), None)
    if enough is None:
        needed = max(each.rate_needed for each in rows)
        known = needed > rows[-1].rate
        more = f"about {float(f'{needed:.2g}'):g} calls/s" if known else "a higher rate"
        return (
            "All of these rates are too low: for the time in the last column calls come late. "
            f"It takes {more}, or a larger batch."
        )
    told = f"The lowest rate here that keeps up is {enough.rate:.3g} calls/s"
    idle = next((each for each in rows if not each.held), None)
    if idle is None:
        return f"{told}; a higher one has calls made sooner."
    further = "any more" if idle is enough else f"more than {idle.rate:.3g}"
    return f"{told}; {further} changes nothing, because {PRICE if paid else INTERVAL}."


def _rehearsed(asked: Row) -> str:
    if asked.rehearsals == 1:
        return "From one rehearsal; --seed N makes another."
    return f"The mean of {asked.rehearsals} rehearsals; --seed N makes others."


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False).replace(
        JOINT, " "
    )


def _counted(number: float, noun: str) -> str:
    told = f"{number:,.0f}"
    return f"{told} {noun}{'' if told == '1' else 's'}"


def _span(seconds: float | None) -> str:
    """Return a duration that no line is broken in."""
    return "-" if seconds is None else span(seconds).replace(" ", JOINT)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
