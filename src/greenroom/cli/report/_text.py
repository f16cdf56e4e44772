"""What happened in a launch, as text: the figures first, then every workstation that is not ready.

What a service said may hold anything, and so may keys, so that every line passes through
`printable` before it reaches a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from greenroom.cli._printing import CELL, printable, timestamp
from greenroom.cli.report import _words as words

if TYPE_CHECKING:
    from greenroom._launch._figures import Figures

LISTED = 100
"""Lines of a list at most; the page has all of them."""

_INDENT = "  "


def as_text(figures: Figures, journal: str) -> str:
    """Return the report of a launch.

    Args:
        figures: The launch.
        journal: The name of its journal, for the command that takes it up again.
    """
    sections = [
        _heading(figures),
        _figures(figures),
        [printable(notice) for notice in words.notices(figures)],
        _causes(figures),
        _overcome(figures),
        _left(figures, journal),
        _unready(figures, journal),
        _resuming(figures, journal),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _heading(figures: Figures) -> list[str]:
    where = f" in studio {figures.studio_id}" if figures.studio_id else ""
    line = f"Launch {figures.launch_id}{where}, of {timestamp(figures.began_at)}"
    return [printable(line), f"{_INDENT}{printable(words.course(figures))}"]


def _figures(figures: Figures) -> list[str]:
    rows = [("workstations", words.outcomes(figures))]
    if figures.ready:
        times = (f"{name} {value}" for name, value in words.ready_times(figures.ready))
        rows.append(("time to ready", ", ".join(times)))
    if figures.choices:
        rows.append(("ready on", words.choices(figures)))
    made = f"{figures.made} made, {figures.deleted} deleted or gone"
    rows.append(("sessions", f"{made}, {len(figures.left)} not ready may still be billed"))
    rows.append(("API calls", f"{figures.calls}, {figures.throttled} of them throttled"))
    return _aligned(rows)


def _causes(figures: Figures) -> list[str]:
    if not figures.causes:
        return []
    lines = ["Why workstations are not ready:"]
    for group in figures.causes:
        number = words.counted(len(group.keys), "workstation")
        lines += [
            f"{_INDENT}{printable(group.cause)}: {number}",
            f"{_INDENT * 2}{printable(group.advice)}",
            f"{_INDENT * 2}{words.keys(group.keys)}",
        ]
    return lines


def _overcome(figures: Figures) -> list[str]:
    if not figures.overcome:
        return []
    rows = [
        (
            _cell(each.cause),
            f"{words.counted(each.attempts, 'attempt')} of "
            f"{words.counted(len(each.keys), 'workstation')}",
        )
        for each in figures.overcome
    ]
    return ["What other attempts overcame:", *_aligned(rows)]


def _left(figures: Figures, journal: str) -> list[str]:
    if not figures.left:
        return []
    rows = [
        (_cell(each.id), _cell(each.key), _cell(each.state or "not seen"), each.fate)
        for each in figures.left
    ]
    return ["Sessions that are not ready and may still be billed:", *_listed(rows, journal)]


def _unready(figures: Figures, journal: str) -> list[str]:
    rows = [
        (
            _cell(each.key),
            words.OUTCOMES[each.verdict],
            _cell(each.cause or "-"),
            _cell(each.state or "-"),
            printable(each.message or ""),
        )
        for each in figures.unready
    ]
    return ["Workstations that are not ready:", *_listed(rows, journal)] if rows else []


def _resuming(figures: Figures, journal: str) -> list[str]:
    said = words.open_lines(figures)
    return [f"{said}:", f"{_INDENT}{words.resume_command(journal)}"] if said else []


def _listed(rows: Sequence[Sequence[str]], journal: str) -> list[str]:
    lines = _aligned(rows[:LISTED])
    if more := len(rows) - len(lines):
        whole = f"greenroom report {printable(journal)} --html FILE"
        lines.append(f"{_INDENT}and {more} more: `{whole}` lists all of them")
    return lines


def _cell(text: str) -> str:
    return printable(text, CELL)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [f"{_INDENT}{'  '.join(_padded(row, widths)).rstrip()}" for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    return (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
