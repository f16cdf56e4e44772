"""What each workstation of a launch went through, and when: its stretches of time, by state.

A workstation's bar begins when its first session is asked for, ends when it is settled, and has no
holes in between. What a session was at a moment is known from two clocks: the service says when it
changed, and the launch knows when it saw that. The service's word is finer, and is taken where it
can be true.

Pure: every event brings its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from greenroom._launch_kind import launch_kind

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._account import Account
    from greenroom._launch._events import Changed
    from greenroom._launch._lines import Attempt, Line

CREATING = "creating"
"""The word for a create that was not answered yet."""

WAITING = "waiting to retry"
"""The word for the time between an attempt that came to nothing and the next one."""

GONE = "gone"
"""The word for a session that the service no longer knows."""

SKEW = timedelta(seconds=5)
"""How far the service's clock may be behind ours and still be believed."""

SILENCE = 600.0
"""Seconds after which nothing having happened is worth cutting out of a picture."""

SILENT_SHARE = 0.2
"""The share of the whole launch that such a silence must have, besides."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in one state.

    Attributes:
        start: Seconds from the start of the launch.
        end: Likewise.
        state: The session's state, or one of `CREATING`, `WAITING` and `GONE`.
        attempt: Which of the workstation's attempts, from 1.
    """

    start: float
    end: float
    state: str
    attempt: int


class Silence(NamedTuple):
    """A long time in which nothing was noted, as between an interruption and the next morning.

    Attributes:
        start: Seconds from the start of the launch.
        end: Likewise.
    """

    start: float
    end: float


class _Turn(NamedTuple):
    at: datetime
    state: str
    attempt: int


def moment_of(change: Changed, attempt: Attempt) -> datetime:
    """Return when a session changed: by the service's clock where that can be, else when seen."""
    told = change.changed_at
    if told is not None and attempt.asked_at - SKEW <= told <= change.at:
        return told
    return change.at


def stretches(line: Line, origin: datetime, last_at: datetime) -> tuple[Stretch, ...]:
    """Return what a workstation went through; nothing where no session was ever asked for.

    Args:
        line: The workstation.
        origin: The start of the launch.
        last_at: Where the bar ends if nothing is decided yet.
    """
    end = line.settled.at if line.settled else last_at
    made: list[Stretch] = []
    at = 0.0
    turns = [*_turns(line), _Turn(end, "", 0)]
    for turn, following in pairwise(turns):
        start = max(at, (min(turn.at, end) - origin).total_seconds())
        at = max(start, (min(following.at, end) - origin).total_seconds())
        if at == start:
            continue
        if made and (made[-1].state, made[-1].attempt) == (turn.state, turn.attempt):
            start = made.pop().start
        made.append(Stretch(start, at, turn.state, turn.attempt))
    return tuple(made)


def silences(account: Account, origin: datetime) -> tuple[Silence, ...]:
    """Return the long times in which nothing was noted."""
    noted = sorted((at - origin).total_seconds() for at in _noted(account))
    if not noted:
        return ()
    least = max(SILENCE, SILENT_SHARE * (noted[-1] - noted[0]))
    return tuple(Silence(one, other) for one, other in pairwise(noted) if other - one > least)


def _turns(line: Line) -> Iterator[_Turn]:
    for number, attempt in enumerate(line.attempts, start=1):
        yield _Turn(attempt.asked_at, CREATING, number)
        if attempt.refusal is not None:
            yield _Turn(attempt.refusal.at, WAITING, number)
            continue
        if attempt.answered_at is not None:
            yield _Turn(attempt.answered_at, launch_kind(line.spec.kind).made, number)
        undecided = line.settled is None and attempt.deletion is None
        over = attempt.failure if number < len(line.attempts) or undecided else None
        for change in attempt.changes:
            if over is None or change.at <= over.at:
                yield _Turn(moment_of(change, attempt), change.after or GONE, number)
        if over is not None:
            yield _Turn(over.at, WAITING, number)


def _noted(account: Account) -> Iterator[datetime]:
    for line in account.lines.values():
        for attempt in line.attempts:
            yield attempt.asked_at
            yield from (change.at for change in attempt.changes)
            for moment in (attempt.answered_at, attempt.deleted_at):
                if moment is not None:
                    yield moment
        if line.settled is not None:
            yield line.settled.at
    yield from (meter.at for meter in account.meters)
    for moment in (account.began_at, account.last_at):
        if moment is not None:
            yield moment
