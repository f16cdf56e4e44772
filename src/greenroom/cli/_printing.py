"""What is printed of a run: changes, outcomes and a summary, as text or as one JSON object a line.

Results go to standard output. What a service says about a session may hold anything, so control
characters are taken out of it before it reaches a terminal.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from greenroom._states import Verdict
from greenroom.cli._status import ENDINGS, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom._launch._events import Changed
    from greenroom._launch._lines import WorkstationResult
    from greenroom._overload import Shortfall
    from greenroom._results import Transition, WaitResult
    from greenroom.cli._status import Tally


LONGEST = 5000
"""Characters of a line: more than the longest path has."""

CELL = 240
"""Characters of a cell of a table."""

UNSETTLED = 20
"""Sessions that an interruption cut short which are named, as text."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures.

    Attributes:
        total: Sessions.
        tally: What became of them.
        calls: API calls.
        throttled: Those of them that the service throttled.
        elapsed: Seconds from the start.
    """

    total: int
    tally: Tally
    calls: int
    throttled: int
    elapsed: float


class Report(Protocol):
    """Who is told what happens."""

    def transition(self, change: Transition) -> None:
        """Take in a change; each is told once, and before the outcome that it led to."""
        ...

    def outcome(self, result: WaitResult) -> None:
        """Take in how a wait ended."""
        ...

    def summary(self, summary: Summary) -> None:
        """Take in the end of the run."""
        ...


class JsonReport:
    """Everything, as one JSON object a line."""

    def transition(self, change: Transition | Changed) -> None:
        """Print a transition event."""
        print_json(
            {
                "event": "transition",
                "id": change.id,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
                "at": timestamp(change.at),
                "elapsed": round(change.elapsed, 3),
            }
        )

    def outcome(self, result: WaitResult) -> None:
        """Print an outcome event."""
        print_json(outcome_members(result))

    def summary(self, summary: Summary) -> None:
        """Print the summary event."""
        print_json(
            {
                "event": "summary",
                "total": summary.total,
                **{verdict.value: summary.tally.counts[verdict] for verdict in ENDINGS},
                "calls": summary.calls,
                "throttled": summary.throttled,
                "elapsed": round(summary.elapsed, 3),
            }
        )


class TextReport:
    """A line for each session that did not succeed, and a summary.

    Args:
        verbose: Whether every change is told as well, on standard error.
        hold_back: Whether lines wait for the summary, because a live view has the screen until
            then.
    """

    def __init__(self, *, verbose: bool, hold_back: bool) -> None:
        self._verbose = verbose
        self._hold_back = hold_back
        self._lines: list[str] = []
        self._unsettled: list[str] = []

    def transition(self, change: Transition) -> None:
        """Print a change, if asked to."""
        if self._verbose:
            click.echo(change_line(change), err=True)

    def outcome(self, result: WaitResult) -> None:
        """Print what went wrong, if anything did; what an interruption cut short comes last."""
        if result.verdict is Verdict.SUCCESS:
            return
        if result.verdict is Verdict.CANCELLED:
            self._unsettled.append(f"{result.id}  {result.state or 'not seen yet'}")
            return
        self._lines.append(f"{result.verdict.value}: {printable(result.explanation)}")
        if not self._hold_back:
            self._print_lines()

    def summary(self, summary: Summary) -> None:
        """Print the counts that are not zero, and what it cost."""
        self._print_lines()
        for line in self._unsettled[:UNSETTLED]:
            click.echo(f"not settled: {printable(line)}")
        if len(self._unsettled) > UNSETTLED:
            more = len(self._unsettled) - UNSETTLED
            click.echo(f"not settled: {more} more; --output json lists all of them")
        counts = ", ".join(
            f"{summary.tally.counts[verdict]} {WORDS[verdict]}"
            for verdict in ENDINGS
            if summary.tally.counts[verdict]
        )
        click.echo(f"{counts} of {summary.total}; {cost(summary)}")

    def _print_lines(self) -> None:
        for line in self._lines:
            click.echo(line)
        self._lines.clear()


class ResourceReport:
    """What `get` found: a table of states, or the whole resources as JSON; printed at the end.

    Args:
        ids: The sessions, in the order in which they are printed.
        as_json: Whether to print whole resources.
    """

    def __init__(self, ids: Sequence[str], *, as_json: bool) -> None:
        self._ids = ids
        self._as_json = as_json
        self._found: dict[str, WaitResult] = {}

    def transition(self, change: Transition) -> None:
        """Ignore it: the outcome says as much."""

    def outcome(self, result: WaitResult) -> None:
        """Keep what was found; say what was not."""
        if result.verdict is Verdict.SUCCESS:
            self._found[result.id] = result
        elif result.verdict is not Verdict.CANCELLED:
            click.echo(f"greenroom: {printable(result.explanation)}", err=True)

    def summary(self, summary: Summary) -> None:  # noqa: ARG002  # a look needs no figures
        """Print what was found."""
        found = [self._found[session_id] for session_id in self._ids if session_id in self._found]
        if self._as_json:
            for result in found:
                print_json(result.resource)
            return
        states = [printable(result.state or "", CELL) for result in found]
        id_width = max((len(result.id) for result in found), default=0)
        state_width = max(map(len, states), default=0)
        for result, state in zip(found, states, strict=True):
            line = f"{result.id:{id_width}}  {state:{state_width}}  "
            click.echo(printable(line + (result.reason or "")).rstrip())


class WatchReport:
    """Every change as it happens, on standard output.

    Args:
        as_json: Whether to print JSON objects.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._json = JsonReport() if as_json else None
        self._changes = 0
        self._seen: set[str] = set()

    def transition(self, change: Transition) -> None:
        """Print a change."""
        self._changes += 1
        self._seen.add(change.id)
        if self._json:
            self._json.transition(change)
        else:
            click.echo(change_line(change))

    def outcome(self, result: WaitResult) -> None:
        """Ignore it: nothing is waited for."""

    def summary(self, summary: Summary) -> None:
        """Print how much was seen."""
        if self._json:
            self._json.summary(summary)
            return
        unseen = summary.total - len(self._seen)
        never = f", {unseen} never seen" if unseen else ""
        click.echo(f"{self._changes} changes of {summary.total} watched{never}; {cost(summary)}")


def outcome_members(result: WaitResult | WorkstationResult) -> dict[str, Any]:
    """Return an outcome event."""
    return {
        "event": "outcome",
        "id": result.id,
        "verdict": result.verdict.value,
        "state": result.state,
        "reason": result.reason,
        "message": result.message,
        "elapsed": round(result.elapsed, 3),
        "reads": result.reads,
    }


def timestamp(moment: datetime) -> str:
    """Return an aware datetime as ISO 8601 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def printable(text: str, most: int = LONGEST) -> str:
    """Return `text` on one line, without control characters, and no longer than `most`.

    What a terminal would act on is taken out: escape sequences lose their first character, and with
    it their meaning; so do those that turn the direction of the text.
    """
    if len(text) > most:
        text = f"{text[: most - 3]}..."
    return "".join(each if each.isprintable() else " " for each in text)


def escaped(text: str) -> str:
    """Return `text` on one line, with its control characters written out: what was given shows."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def shell_word(path: str) -> str:
    """Return a path as a shell takes it, with what cannot be printed written out."""
    if path.isprintable():
        return shlex.quote(path)
    spelt = (
        f"\\x{byte:02x}" if byte < 0x20 or byte > 0x7E or byte in b"'\\" else chr(byte)
        for byte in os.fsencode(path)
    )
    return f"$'{''.join(spelt)}'"


def change_line(change: Transition | Changed) -> str:
    """Return a change as a line of text."""
    before = change.before or "(first seen)"
    reason = f"  {change.reason}" if change.reason else ""
    line = f"{timestamp(change.at)}  {change.id}  {before} -> {change.after or '(gone)'}{reason}"
    return printable(line)


def span(seconds: float) -> str:
    """Return seconds as people say them: `4.2 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def shortfall(short: Shortfall, speed: float = 1.0) -> str:
    """Return how late calls come, and what would do."""
    rate = math.ceil(short.rate_needed / speed * 10) / 10
    return f"calls come {span(short.lag * speed)} late: --rate {rate:g} would do"


def cost(summary: Summary) -> str:
    """Return what the run took, in words."""
    calls = f"{summary.calls} API call{'' if summary.calls == 1 else 's'}"
    return f"{calls}, {summary.throttled} throttled, in {span(summary.elapsed)}"


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object as a line; a number of a service that JSON does not know, as null."""
    try:
        line = json.dumps(value, default=_plain, allow_nan=False)
    except ValueError:
        known = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
        line = json.dumps(known)
    click.echo(line)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return timestamp(value)
    return dict(value) if isinstance(value, Mapping) else str(value)
