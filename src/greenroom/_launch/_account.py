"""The account of a launch: one line for every workstation, and what all of it took.

An account is made by taking in events, and by nothing else. The launch that is running keeps one,
the journal is read into one, and the report is what one says. So *never a lost key* is a matter of
this file alone: a line is there from the start, and no event takes one away.

Pure: every event brings its own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from greenroom._launch import _events as events
from greenroom._launch._lines import Attempt, Deletion, Line, Phase
from greenroom._launch._report import LaunchReport
from greenroom._states import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._events import LaunchEvent
    from greenroom._specs import WorkstationSpec


class Meter(NamedTuple):
    """What a launch had cost at one moment.

    Attributes:
        at: The moment.
        calls: API calls so far.
        changes: Those of them that make or end something; the others read.
        throttled: Those of them that were throttled.
    """

    at: datetime
    calls: int
    changes: int
    throttled: int


class Account:
    """Everything that is known of a launch.

    Args:
        launch_id: The launch.
        specs: What is asked for.

    Attributes:
        launch_id: The launch.
        lines: By key, in the order of the specs.
        counts: Lines by phase.
        causes: Lines that did not succeed, by cause.
        began_at: When it was first taken up.
        last_at: When the latest event happened.
        interrupted: Whether it was asked to stop when it was last taken up.
        running: Whether it was taken up, and its end was not told.
        held: Why no creates are made at the moment.
        stopped: Why no creates are made any more.
        meters: What it had cost, in the order of time, from all the times it was taken up.
    """

    def __init__(self, launch_id: str, specs: Iterable[WorkstationSpec]) -> None:
        self.launch_id = launch_id
        self.lines = {spec.key: Line(spec) for spec in specs}
        self.counts: Counter[Phase] = Counter({Phase.PLANNED: len(self.lines)})
        self.causes: Counter[str] = Counter()
        self.began_at: datetime | None = None
        self.last_at: datetime | None = None
        self.interrupted = False
        self.running = False
        self.held: events.CreatesHeld | None = None
        self.stopped: events.CreatesStopped | None = None
        self.meters: list[Meter] = []
        self._before = (0, 0, 0)

    def take(self, event: LaunchEvent) -> None:
        """Take in an event.

        Raises:
            KeyError: It is about a workstation that this launch does not have.
            ValueError: It is about an attempt that was never told of.
        """
        self.last_at = event.at
        key: str | None = getattr(event, "key", None)
        if key is None:
            self._take_common(event)
            return
        line = self.lines[key]
        self.counts[line.phase] -= 1
        _take(line, event, self.causes)
        self.counts[line.phase] += 1

    def advice(self, cause: str) -> str:
        """Return what a person can do about a cause of one or more lines; empty if of none."""
        told = (
            line.advice
            for line in self.lines.values()
            if line.settled is not None and line.settled.cause == cause
        )
        return next(told, None) or ""

    def report(self) -> LaunchReport:
        """Return the account as it stands."""
        return LaunchReport(self)

    def _reopen(self, *, failed: bool) -> None:
        """Forget how lines ended that are taken up again."""
        for line in self.lines.values():
            if line.settled is None or line.settled.verdict is Verdict.SUCCESS:
                continue
            if line.open or failed:
                self.counts[line.phase] -= 1
                if line.settled.cause is not None:
                    self.causes[line.settled.cause] -= 1
                line.settled = None
                line.begun_anew = len(line.attempts)
                self.counts[line.phase] += 1

    def _take_common(self, event: LaunchEvent) -> None:
        match event:
            case events.LaunchBegan():
                self.began_at = self.began_at or event.at
                self.running, self.interrupted = True, False
                self.held = self.stopped = None
                if not event.handed_over:
                    self._reopen(failed=event.retry_failed)
                last = self.meters[-1] if self.meters else Meter(event.at, 0, 0, 0)
                self._before = last[1:]
            case events.LaunchEnded():
                self.running, self.interrupted = False, event.interrupted
                self.held = None
            case events.CreatesHeld():
                self.held = event
            case events.CreatesReleased():
                self.held = None
            case events.CreatesStopped():
                self.stopped = event
            case events.Metered():
                calls, changes, throttled = self._before
                self.meters.append(
                    Meter(
                        event.at,
                        calls + event.calls,
                        changes + event.changes,
                        throttled + event.throttled,
                    )
                )


def _take(line: Line, event: LaunchEvent, causes: Counter[str]) -> None:
    """Take in an event about one workstation."""
    match event:
        case events.CreateIntended():
            line.stream, line.stream_token, line.streams = None, None, 0
            line.attempts.append(
                Attempt(
                    number=event.attempt,
                    token=event.token,
                    choice=event.choice,
                    asked_at=event.at,
                    place=event.place,
                    together=event.together,
                )
            )
        case events.Created():
            _amend(line, event.attempt, answered_at=event.at, id=event.id, deferral=None)
        case events.CreateRefused():
            _amend(line, event.attempt, answered_at=event.at, refusal=event)
        case events.CreateDeferred():
            _amend(line, event.attempt, deferral=event)
        case events.AttemptFailed():
            _, attempt = _attempt_of(line, event.id)
            _amend(line, event.attempt, failure=event, failed_in=attempt.state)
        case events.StreamIntended():
            line.stream, line.stream_token = None, event.token
            line.streams += 1
        case events.StreamCreated():
            line.stream = events.StreamAccess(event.stream_id)
        case events.StreamReady():
            line.stream = event.stream
        case events.StreamFailed():
            line.stream = line.stream_token = None
        case events.Settled():
            line.settled = event
            if event.cause is not None:
                causes[event.cause] += 1
        case events.Changed():
            number, attempt = _attempt_of(line, event.id)
            _amend(line, number, changes=(*attempt.changes, event))
        case events.CheckPassed():
            _amend(line, _attempt_of(line, event.id)[0], passed_at=event.at)
        case events.DeleteIntended():
            _amend(line, _attempt_of(line, event.id)[0], deletion=Deletion.ASKED)
        case events.Deleted():
            number, _ = _attempt_of(line, event.id)
            _amend(line, number, deletion=Deletion.DONE, deleted_at=event.at)
        case events.DeleteFailed():
            _amend(line, _attempt_of(line, event.id)[0], deletion=Deletion.FAILED)


def _attempt_of(line: Line, session_id: str) -> tuple[int, Attempt]:
    for attempt in reversed(line.attempts):
        if attempt.id == session_id:
            return attempt.number, attempt
    raise ValueError(f"{line.spec.key} never had the session {session_id}")


def _amend(line: Line, number: int, **changes: object) -> None:
    if not 1 <= number <= len(line.attempts):
        raise ValueError(f"{line.spec.key} has had {len(line.attempts)} attempts, not {number}")
    line.attempts[number - 1] = replace(line.attempts[number - 1], **changes)  # type: ignore[arg-type]  # each by its own name
