"""The two small charts of a launch's page, worked out as columns, ticks and marks.

Across, everything is in per cent of the chart's width, so that a page of any width shows it without
a script; upwards, in pixels from the top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from greenroom.cli._printing import span

if TYPE_CHECKING:
    from greenroom._launch._figures import Bin, Interval, ReadyTimes

HEIGHT = 170
"""Pixels from the top of a chart to its base line."""

MOST_LABELS = 6
MOST_LINES = 4

GAP = 2
"""Columns that a time of silence takes the place of."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


class Bar(NamedTuple):
    """One part of a column.

    Attributes:
        top: Pixels from the top of the chart.
        height: Pixels.
        kind: What it stands for, the name of a colour in the page's style.
    """

    top: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a chart.

    Attributes:
        left: Where it begins.
        width: How wide it is.
        bars: What it is made of.
        tip: What it says, in words.
    """

    left: float
    width: float
    bars: tuple[Bar, ...]
    tip: str


class Tick(NamedTuple):
    """A label beside an axis, or a mark across the chart.

    Attributes:
        at: Where.
        label: What it says.
    """

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        columns: From left to right.
        across: Labels below the base line.
        upwards: Labels beside it.
        marks: Lines across it.
    """

    columns: tuple[Column, ...]
    across: tuple[Tick, ...]
    upwards: tuple[Tick, ...]
    marks: tuple[Tick, ...] = ()


def brief(seconds: float) -> str:
    """Return whole seconds as an axis has them: `15 s`, `4 min`, `1 h 30 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0"


def histogram(times: ReadyTimes) -> Chart:
    """Return how many workstations were ready after how long."""
    bins = times.bins
    scale = _Scale(max(each.count for each in bins))
    width = 100 / len(bins)
    columns = tuple(
        Column(place * width, width, (scale.bar(0, each.count, "ready"),), _bin_tip(each))
        for place, each in enumerate(bins)
    )
    seconds = (bins[0].end or 1.0) - bins[0].start
    reach = len(bins) if bins[-1].end is not None else len(bins) - 1
    named = (("median", times.median), ("90 %", times.p90))
    return Chart(
        columns,
        across=_across([each.start for each in bins], width),
        upwards=scale.ticks,
        marks=tuple(
            Tick(value / seconds * width, f"{name} {span(value)}")
            for name, value in named
            if value / seconds <= reach
        ),
    )


def traffic(intervals: Sequence[Interval]) -> Chart:
    """Return the calls over time, the throttled ones on top of the others."""
    scale = _Scale(max(max(each.calls, each.throttled) for each in intervals))
    slots = [0]
    for one, other in pairwise(intervals):
        slots.append(slots[-1] + 1 + (GAP if other.start > one.end else 0))
    width = 100 / (slots[-1] + 1)
    columns = []
    for slot, each in zip(slots, intervals, strict=True):
        heard = max(each.calls - each.throttled, 0)
        bars = (
            scale.bar(0, heard, "calls"),
            scale.bar(heard, heard + each.throttled, "throttled"),
        )
        columns.append(Column(slot * width, width, bars, _interval_tip(each)))
    for (slot, one), (next_slot, other) in pairwise(zip(slots, intervals, strict=True)):
        if next_slot - slot > 1:
            tip = f"nothing was noted for {span(other.start - one.end)}"
            whole = Bar(0, HEIGHT, "silence")
            columns.append(Column((slot + 1) * width, GAP * width, (whole,), tip))
    return Chart(
        tuple(columns),
        across=_across([each.start for each in intervals], width, slots),
        upwards=scale.ticks,
    )


class _Scale:
    """From a number of things to pixels."""

    def __init__(self, most: int) -> None:
        self._step = _step(most)
        self._top = max(-(-most // self._step), 1) * self._step

    @property
    def ticks(self) -> tuple[Tick, ...]:
        values = range(0, self._top + 1, self._step)
        return tuple(Tick(self._at(value), str(value)) for value in values)

    def bar(self, low: int, high: int, kind: str) -> Bar:
        return Bar(round(self._at(high), 1), round(self._at(low) - self._at(high), 1), kind)

    def _at(self, value: int) -> float:
        return HEIGHT - value / self._top * HEIGHT


def _step(most: int) -> int:
    """Return the least round number that needs no more than `MOST_LINES` lines up to `most`."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step * MOST_LINES >= most:
                return step
        power *= 10


def _across(
    starts: Sequence[float], width: float, slots: Iterable[int] | None = None
) -> tuple[Tick, ...]:
    total = (starts[1] - starts[0] if len(starts) > 1 else 1.0) * len(starts)
    step = next((each for each in _STEPS if each * MOST_LABELS >= total), _STEPS[-1])
    places = zip(slots or range(len(starts)), starts, strict=True)
    return tuple(Tick(slot * width, brief(at)) for slot, at in places if at % step == 0)


def _bin_tip(each: Bin) -> str:
    number = f"{each.count} workstation{'' if each.count == 1 else 's'}"
    if each.end is None:
        return f"{span(each.start)} or longer: {number}"
    return f"{span(each.start)} to {span(each.end)}: {number}"


def _interval_tip(each: Interval) -> str:
    when = f"{span(each.start)} to {span(each.end)}"
    return f"{when}: {each.calls} calls, {each.throttled} of them throttled"
