"""How long the sessions of a launch stood in the states that the service leads on from.

Only what is certain counts. When a session changed is the service's word where that can be true,
and else when the launch saw it: at most one pause between two reads too late. A change that nobody
watched, at the first sight of a session or at the first one after an interruption, counts only by
the service's word. One that a caller made, or that passed a state by unseen, does not count. A
session that was still standing there when it was last known of stood there for at least so long.

Pure: every event brings its own time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from greenroom._launch._lines import Deletion
from greenroom._launch._timeline import moment_of, silences

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._account import Account
    from greenroom._launch._events import Changed
    from greenroom._launch._lines import Attempt, Line
    from greenroom._launch_kind import LaunchKind

Stay = tuple[float, bool]
"""Seconds from entering a state, and whether it was left then."""

ROUNDING = timedelta(milliseconds=1)


def stays(account: Account, kind: LaunchKind) -> Mapping[str, Sequence[Stay]]:
    """Return how long the sessions stood in each state that the service leads on from.

    Args:
        account: What is known of the launch.
        kind: The kind of its sessions.
    """
    found: defaultdict[str, list[Stay]] = defaultdict(list)
    if account.began_at is None or account.last_at is None:
        return found
    began_at = account.began_at
    quiet = [began_at + timedelta(seconds=each.start) for each in silences(account, began_at)]
    for line in account.lines.values():
        for attempt in line.attempts:
            known_until = _known_until(line, attempt, account.last_at, quiet)
            for state, entered, until, left in _stood(attempt, kind, known_until):
                found[state].append((max(0.0, (until - entered).total_seconds()), left))
    return found


def _known_until(
    line: Line, attempt: Attempt, last_at: datetime, quiet: Sequence[datetime]
) -> datetime | None:
    """Return until when somebody minded a session, if that is known.

    Args:
        line: Its workstation.
        attempt: What it was made in.
        last_at: When the latest thing happened in the launch.
        quiet: When long silences began, in which nobody can have minded anything.
    """
    if not attempt.changes:
        return None
    if attempt.deletion is Deletion.ASKED:
        end = last_at
    elif attempt.deletion is not None or attempt is not line.attempts[-1]:
        return None
    else:
        end = line.settled.at if line.settled else last_at
    seen_at = attempt.changes[-1].at - ROUNDING
    return min([end, *(each for each in quiet if each >= seen_at)])


def _stood(
    attempt: Attempt, kind: LaunchKind, known_until: datetime | None
) -> Iterator[tuple[str, datetime, datetime, bool]]:
    """Yield the states that a session stood in: from when, until when, and whether it left then."""
    if attempt.answered_at is None or not attempt.changes:
        return
    table = kind.table
    state, entered = kind.made, attempt.answered_at
    for place, change in enumerate(attempt.changes):
        last = place == len(attempt.changes) - 1
        if change.after is None and not last:  # it was only overlooked
            continue
        after = change.after or table.gone or ""
        moment = moment_of(change, attempt)
        if after == state:
            if place == 0 and _is_told(change, moment):
                entered = moment
            continue
        watched = change.before is not None or _is_told(change, moment)
        if watched and _leads(kind, state, after):
            yield state, entered, moment, True
        state, entered = after, moment
    if table.moves.get(state) and known_until is not None:
        yield state, entered, known_until, False


def _is_told(change: Changed, moment: datetime) -> bool:
    """Return whether the moment of a change is the service's word."""
    return moment == change.changed_at


def _leads(kind: LaunchKind, before: str, after: str) -> bool:
    """Return whether the service leads from one state right to the other, as far as is known."""
    moves = kind.table.moves.get(before, ())
    return bool(moves) and (after in moves or after not in kind.table.moves)
