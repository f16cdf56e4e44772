"""A plan as it is printed: the answer, the tables behind it, how to read them; or JSON lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from greenroom._history import WORTH
from greenroom._schedule import Backoff, Every, PayAsYouWait
from greenroom.cli._printing import printable, span
from greenroom.cli.plan._figures import Knob, knob
from greenroom.cli.plan._lives import STATE, Lognormal

if TYPE_CHECKING:
    from greenroom._schedule import Schedule
    from greenroom.cli.plan._figures import Row
    from greenroom.cli.plan._lives import Law, Shown

WIDTH = 80

JOINT = "\N{NO-BREAK SPACE}"
"""Stands within durations until lines are broken."""

WORTH_TELLING = 0.02
"""The part of the times that may be guessed without a word."""

HARDLY = 1.1
"""By how many times a delay must be longer for there to be something to choose."""

REASONS = {
    "price": "a call is made when it is worth its price",
    "interval": "each session is looked at so often and no more",
    "ceiling": "only the ceiling has calls made",
}
"""Why no more calls are made than are, by what decides."""

KNOBS = {
    "price": "a lower --price",
    "interval": "a shorter --every",
    "ceiling": "a shorter --ceiling",
}
"""What has more calls made, likewise."""

COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "reads": lambda each: f"{each.reads:,.0f}",
    "creates": lambda each: f"{each.creates:,.0f}",
    "delay": lambda each: _span(each.mean_delay),
    "99 % within": lambda each: _span(each.p99_delay),
    "all ready": lambda each: _span(each.ready_at) if each.all_ready else f"{each.ready:,.0f} are",
    "overloaded": lambda each: _span(each.overloaded) if each.overloaded else "no",
}
"""What tables show, after what they are about."""


def as_text(count: int, rows: Sequence[Row], law: Law, file: str | None) -> str:
    """Return a plan in words.

    Args:
        count: Workstations.
        rows: What to expect at each rate, the lowest first; and at other prices.
        law: How long sessions were taken to last.
        file: What that is known from; None where it is assumed.
    """
    asked = next(each for each in rows if each.asked)
    rates = [each for each in rows if each.schedule == asked.schedule]
    parts = [
        "\n".join(map(_filled, _answer(count, asked))),
        "\n".join(_table(rates, {"rate": lambda each: f"{each.rate:.3g}", **COLUMNS})),
        _filled(f"{_reading(rates)} Each rate has its part of the burst of {asked.burst}."),
        *_prices([each for each in rows if each.rate == asked.rate], asked),
        _filled(f"{printable(_law_words(law, file))} {_rehearsed(asked)}"),
    ]
    return "\n\n".join(parts)


def as_members(
    count: int, rows: Iterable[Row], law: Law, file: str | None
) -> Iterator[Mapping[str, Any]]:
    """Yield a plan as plain values: the law, and then the rows."""
    yield {"event": "law", **_law_members(law, file)}
    for each in rows:
        yield {
            "event": "plan",
            "count": count,
            "rate": each.rate,
            "burst": each.burst,
            **_schedule_members(each.schedule),
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


def _law_words(law: Law, file: str | None) -> str:
    if isinstance(law, Lognormal):
        return (
            f"Assumed, not measured: half of the sessions are ready within {law.median:g} s, "
            f"lognormal with sigma {law.sigma:g}. The journal of an earlier launch knows better: "
            "--history FILE."
        )
    return " ".join(_shown_words(law, file))


def _shown_words(law: Shown, file: str | None) -> Iterator[str]:
    seen = f"{law.departures:g} session{'' if law.departures == 1 else 's'}"
    yield f"Times from {file}: {seen} that left {STATE}, to be ready or to fail."
    if law.too_few:
        yield f"These are too few to go by: {WORTH} are the least that tell something."
    if law.guessed_from is not None and law.guessed >= WORTH_TELLING:
        yield (
            f"Some were never seen to leave it: the times of {100 * law.guessed:.0f} %, more than "
            f"{span(law.guessed_from)}, are a guess."
        )


def _law_members(law: Law, file: str | None) -> Mapping[str, Any]:
    if isinstance(law, Lognormal):
        return {"law": "lognormal", "median": law.median, "sigma": law.sigma}
    return {
        "law": "history",
        "file": file,
        "departures": round(law.departures, 3),
        "too_few": law.too_few,
        "guessed": round(law.guessed, 3),
    }


def _schedule_members(schedule: Schedule | PayAsYouWait) -> Mapping[str, Any]:
    """Return what decides; an infinite price, by which no call is ever made, is none."""
    paid = schedule if isinstance(schedule, PayAsYouWait) else None
    return {
        "price": paid.price if paid and paid.price < math.inf else None,
        "ceiling": paid.ceiling if paid else None,
        "every": schedule.interval if isinstance(schedule, Every) else None,
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


def _table(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], str]]) -> Iterator[str]:
    cells = [tuple(columns), *(tuple(cell(each) for cell in columns.values()) for each in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    marks = ["  ", *("> " if each.asked else "  " for each in rows)]
    for mark, line in zip(marks, cells, strict=True):
        row = "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield (mark + row).replace(JOINT, " ")


def _prices(rows: Sequence[Row], asked: Row) -> Iterator[str]:
    """Yield what other prices come to at the rate that was asked about, if any were rehearsed."""
    found = knob(asked.schedule)
    if found is None or len(rows) == 1:
        return
    head = "every" if found.name == "interval" else found.name
    columns = {head: _knob_cell, **COLUMNS}
    del columns["creates"]
    rising = sorted(rows, key=lambda each: _knob(each).value)
    heading = f"With another {found.name}, at {asked.rate:.3g} calls/s:"
    yield "\n".join((heading, *_table(rising, columns)))
    yield _filled(_choosing(rising, asked, found))


def _knob(each: Row) -> Knob:
    found = knob(each.schedule)
    assert found is not None
    return found


def _knob_cell(each: Row) -> str:
    name, value = _knob(each)
    if name == "price":
        return f"{value:.4g}"
    return f"{value:.3g} s" if value < 60 else _span(value)


def _choosing(rising: Sequence[Row], asked: Row, found: Knob) -> str:
    least, most = rising[0].mean_delay, rising[-1].mean_delay
    if least is not None and most is not None and most > HARDLY * least:
        advice = KNOBS[found.name]
        slowest = " A --ceiling bounds how late the slowest are noticed." * (found.name == "price")
        return f"{advice[0].upper()}{advice[1:]} buys less delay for more calls.{slowest}"
    reason = ", because the rate is too low for any of them" if asked.overloaded else ""
    return f"The {found.name} hardly matters here{reason}."


def _reading(rows: Sequence[Row]) -> str:
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
    return f"{told}; {further} changes nothing, because {_reason(idle.schedule)}."


def _reason(schedule: Schedule | PayAsYouWait) -> str:
    """Return why no more calls are made than are."""
    if (found := knob(schedule)) is not None:
        return REASONS[found.name]
    most = f" of at most {schedule.ceiling:g} s" if isinstance(schedule, Backoff) else ""
    return f"each session is looked at after random pauses{most}; --every or --price set others"


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
