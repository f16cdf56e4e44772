"""What a session does, as a list of dated changes.

The model has no process that turns things over in time. When an action is asked for, everything
that will follow from it is drawn and written down at once, each change with its exact time: START
now, READY in 87.3 s, STOPPED by itself twelve hours later. What a session is at any moment is
then a matter of looking it up, and a caller's next action strikes out what had not happened yet and
writes down what follows from the new one.

Two things come of it. Time is an argument, so that a run of hours takes a test no time at all. And
the *true* time of every change is known, not just the time at which somebody noticed: the
difference between the two is what a poller is measured by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from greenroom.simulator._facts import ActionName
    from greenroom.simulator._settings import Law, Settings


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state.

    Attributes:
        at: When it happens, in simulated epoch seconds.
        state: The state that it leads to.
        status_code: The service's reason beside the state.
    """

    at: float
    state: str
    status_code: str


class Timeline:
    """The changes of one session or stream, past and planned, in the order of their times."""

    def __init__(self, changes: Iterator[Change]) -> None:
        self._changes = list(changes)

    @property
    def first(self) -> Change:
        """The change that began it all."""
        return self._changes[0]

    def until(self, now: float) -> tuple[Change, ...]:
        """Return the changes that have happened by `now`."""
        return tuple(change for change in self._changes if change.at <= now)

    def at(self, now: float) -> Change:
        """Return the change that the state at `now` is owed to; before the first, the first."""
        return next((change for change in reversed(self._changes) if change.at <= now), self.first)

    def last(self, state: str, now: float) -> Change | None:
        """Return the latest change to a state that has happened by `now`, if any has."""
        return next((change for change in reversed(self.until(now)) if change.state == state), None)

    def next(self, now: float) -> Change | None:
        """Return the first change that is planned after `now`, if any is."""
        return next((change for change in self._changes if change.at > now), None)

    def redirect(self, now: float, changes: Iterator[Change]) -> None:
        """Strike out what was planned for after `now`, and plan `changes` instead."""
        self._changes = [*self.until(now), *changes]


@dataclass(frozen=True, slots=True)
class Action:
    """What a caller can start.

    Attributes:
        allowed_in: The states in which the service accepts it.
        during: The state while it is carried out.
        done: The state and the status code when it has succeeded.
        failed: The state when it has failed.
    """

    allowed_in: frozenset[str]
    during: str
    done: tuple[str, str]
    failed: str


_FAILED = ("CREATE_FAILED", "START_FAILED", "STOP_FAILED", "DELETE_FAILED")

SESSION_ACTIONS: dict[ActionName, Action] = {
    "create": Action(
        frozenset(), "CREATE_IN_PROGRESS", ("READY", "STREAMING_SESSION_READY"), "CREATE_FAILED"
    ),
    "start": Action(
        frozenset({"STOPPED"}),
        "START_IN_PROGRESS",
        ("READY", "STREAMING_SESSION_STARTED"),
        "START_FAILED",
    ),
    "stop": Action(
        frozenset({"READY"}),
        "STOP_IN_PROGRESS",
        ("STOPPED", "STREAMING_SESSION_STOPPED"),
        "STOP_FAILED",
    ),
    "delete": Action(
        frozenset({"READY", "STOPPED", *_FAILED}),
        "DELETE_IN_PROGRESS",
        ("DELETED", "STREAMING_SESSION_DELETED"),
        "DELETE_FAILED",
    ),
}


def plan_session(
    action: ActionName, at: float, settings: Settings, rng: Random
) -> Iterator[Change]:
    """Draw all that follows from an action on a session, if nobody acts again.

    A READY session is stopped by itself after `session_length`, a STOPPED one deleted after
    `stopped_length`; these are planned like any other action.
    """
    move = SESSION_ACTIONS[action]
    yield Change(at, move.during, f"STREAMING_SESSION_{move.during}")
    work = settings.work(action)
    fault = _draw_fault(work.failures, rng)
    if fault is not None:
        yield Change(at + _draw(settings.failure, rng), move.failed, fault)
        return
    done = Change(at + _draw(work, rng), *move.done)
    yield done
    if done.state == "READY" and settings.session_length is not None:
        yield from plan_session("stop", done.at + settings.session_length, settings, rng)
    if done.state == "STOPPED" and settings.stopped_length is not None:
        yield from plan_session("delete", done.at + settings.stopped_length, settings, rng)


def plan_stream(at: float, lasts: float, settings: Settings, rng: Random) -> Iterator[Change]:
    """Draw all that follows from the creation of a stream that lasts so long once it is READY."""
    yield Change(at, "CREATE_IN_PROGRESS", "STREAM_CREATE_IN_PROGRESS")
    fault = _draw_fault(settings.stream.failures, rng)
    if fault is not None:
        yield Change(at + _draw(settings.failure, rng), "CREATE_FAILED", fault)
        return
    ready = at + _draw(settings.stream, rng)
    yield Change(ready, "READY", "STREAM_READY")
    yield Change(ready + lasts, "DELETED", "STREAM_DELETED")


def _draw_fault(failures: dict[str, float], rng: Random) -> str | None:
    drawn = rng.random()
    for code, probability in failures.items():
        drawn -= probability
        if drawn < 0:
            return code
    return None


def _draw(law: Law, rng: Random) -> float:
    return law.median_s * math.exp(law.sigma * rng.gauss(0.0, 1.0))
