"""The account of a launch: one line for every workstation, and what all of it took.

An account is made by taking in events, and by nothing else. The launch that is running keeps one,
the journal is read into one, and the report is what one says. So *never a lost key* is a matter of
this file alone: a line is there from the start, and no event takes one away.

Pure: every event brings its own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from greenroom._errors import WaitsFailed
from greenroom._launch import _events as events
from greenroom._results import WaitResult
from greenroom._states import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._events import LaunchEvent, StreamAccess
    from greenroom._launch._specs import Spec

REOPENED = frozenset({Verdict.TIMEOUT, Verdict.CANCELLED, Verdict.ERROR})
"""Verdicts that a resumed launch takes up again: nothing was decided, or nothing was made."""


class Phase(StrEnum):
    """Where a workstation is on its way."""

    PLANNED = "planned"
    CREATING = "creating"
    WAITING = "waiting"
    RETRYING = "retrying"
    DELETING = "deleting"
    STREAMING = "streaming"
    READY = "ready"
    FAILED = "failed"


class Deletion(StrEnum):
    """What became of the wish to delete a session."""

    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One session that was asked for.

    Attributes:
        number: Which of the workstation's attempts, from 1.
        token: The client token of the create.
        instance_type: The type asked for; None for the profile's own.
        asked_at: When the create was about to be made.
        answered_at: When the service answered it; None where no answer came.
        id: The session; None where none was made, or nobody knows.
        changes: What was seen of the session, oldest first.
        refusal: The error that the create was refused with, if it was.
        failure: How the session failed, if it did.
        deletion: Whether it was to be deleted, and what came of that.
        deleted_at: When it was seen to be gone.
    """

    number: int
    token: str
    instance_type: str | None
    asked_at: datetime
    answered_at: datetime | None = None
    id: str | None = None
    changes: tuple[events.Changed, ...] = ()
    refusal: events.CreateRefused | None = None
    failure: events.AttemptFailed | None = None
    deletion: Deletion | None = None
    deleted_at: datetime | None = None

    @property
    def state(self) -> str | None:
        """The session's last state seen."""
        return self.changes[-1].after if self.changes else None

    @property
    def reason(self) -> str | None:
        """The status code beside that state."""
        return self.changes[-1].reason if self.changes else None

    @property
    def cause(self) -> str | None:
        """Why it came to nothing, if it did: the code of an error or a status."""
        ending = self.refusal or self.failure
        return ending.cause if ending else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkstationResult:
    """What became of one workstation: one line of the account.

    Attributes:
        key: Its name in the launch.
        spec: What was asked for.
        verdict: SUCCESS, FAILURE, UNREACHABLE, MISSING, TIMEOUT, ERROR or CANCELLED; PENDING in the
            account of a launch that still runs, or was killed.
        id: The last session made for it; None if none was.
        state: That session's last state seen.
        reason: The status code beside it, or the code of the error that refused it.
        message: The sentence that goes with it.
        elapsed: Seconds from its first create to the verdict.
        reads: Answers about its sessions.
        attempts: Every session that was asked for, the first one first.
        stream: The way to its screen, where one was wanted and made.
        cause: Why it did not succeed: a status code, an error's code, or the verdict's name.
    """

    key: str
    spec: Spec
    verdict: Verdict
    id: str | None
    state: str | None
    reason: str | None
    message: str | None
    elapsed: float
    reads: int
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    stream: StreamAccess | None = None
    cause: str | None = None


class Line:
    """One workstation, as far as it has come.

    Attributes:
        spec: What is asked for.
        attempts: The sessions asked for so far.
        stream: Its stream, once made.
        stream_token: The client token of that stream's create, once intended.
        streams: How many streams were asked for of the last session.
        settled: What became of it, if that is decided.
    """

    __slots__ = ("attempts", "settled", "spec", "stream", "stream_token", "streams")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.attempts: list[Attempt] = []
        self.stream: StreamAccess | None = None
        self.stream_token: str | None = None
        self.streams = 0
        self.settled: events.Settled | None = None

    @property
    def open(self) -> bool:
        """Whether there is something left to do for it."""
        return self.settled is None or self.settled.verdict in REOPENED

    @property
    def session_id(self) -> str | None:
        """The last session made for it."""
        return next((each.id for each in reversed(self.attempts) if each.id is not None), None)

    @property
    def phase(self) -> Phase:
        """Where it is on its way."""
        if self.settled is not None:
            return Phase.READY if self.settled.verdict is Verdict.SUCCESS else Phase.FAILED
        if not self.attempts:
            return Phase.PLANNED
        last = self.attempts[-1]
        if last.answered_at is None:
            return Phase.CREATING
        if last.deletion is not None:
            return Phase.DELETING
        if last.refusal is not None or last.failure is not None:
            return Phase.RETRYING
        return Phase.STREAMING if self.stream_token else Phase.WAITING

    def result(self) -> WorkstationResult:
        """Return the line as it stands."""
        settled = self.settled or self._unsettled()
        return WorkstationResult(
            key=self.spec.key,
            spec=self.spec,
            verdict=settled.verdict,
            id=self.session_id,
            state=settled.state,
            reason=settled.reason,
            message=settled.message,
            elapsed=settled.elapsed,
            reads=settled.reads,
            attempts=tuple(self.attempts),
            stream=self.stream,
            cause=settled.cause,
        )

    def _unsettled(self) -> _Unsettled:
        last = self.attempts[-1] if self.attempts else None
        return _Unsettled(last.state if last else None, last.reason if last else None)


class _Unsettled(NamedTuple):
    """What stands in a line that nothing is decided about."""

    state: str | None
    reason: str | None
    verdict: Verdict = Verdict.PENDING
    message: str | None = None
    elapsed: float = 0.0
    reads: int = 0
    cause: str | None = None


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

    def __init__(self, launch_id: str, specs: Iterable[Spec]) -> None:
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

    def report(self) -> LaunchReport:
        """Return the account as it stands."""
        return LaunchReport(self)

    def _reopen(self) -> None:
        """Forget how lines ended that are taken up again."""
        for line in self.lines.values():
            if line.settled is not None and line.open:
                self.counts[line.phase] -= 1
                self.causes[line.settled.cause or ""] -= 1
                line.settled = None
                self.counts[line.phase] += 1

    def _take_common(self, event: LaunchEvent) -> None:
        match event:
            case events.LaunchBegan():
                self.began_at = self.began_at or event.at
                self.running, self.interrupted = True, False
                self.held = self.stopped = None
                self._reopen()
                last = self.meters[-1] if self.meters else Meter(event.at, 0, 0, 0)
                self._before = last[1:]
            case events.LaunchEnded():
                self.running, self.interrupted = False, event.interrupted
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
                    instance_type=event.instance_type,
                    asked_at=event.at,
                )
            )
        case events.Created():
            _amend(line, event.attempt, answered_at=event.at, id=event.id)
        case events.CreateRefused():
            _amend(line, event.attempt, answered_at=event.at, refusal=event)
        case events.AttemptFailed():
            _amend(line, event.attempt, failure=event)
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


class LaunchReport(Mapping[str, WorkstationResult]):
    """The account of a launch: key to `WorkstationResult`, in the order of the specs.

    Attributes:
        launch_id: The launch.
        began_at: When it was first taken up (aware); None if it never was.
        ended_at: When the latest thing happened.
        running: Whether no end was told: the process still runs, or was killed.
        interrupted: Whether it was last asked to stop before its end.
        stopped: Why nothing more was created, where that is so.
        meters: What it had cost, in the order of time.
    """

    def __init__(self, account: Account) -> None:
        self.launch_id = account.launch_id
        self.began_at = account.began_at
        self.ended_at = account.last_at
        self.running = account.running
        self.interrupted = account.interrupted
        self.stopped = account.stopped
        self.meters = tuple(account.meters)
        self._results = {key: line.result() for key, line in account.lines.items()}

    def __getitem__(self, key: str) -> WorkstationResult:
        return self._results[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        counts = Counter(result.verdict.value for result in self._results.values())
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        return f"<LaunchReport {self.launch_id}: {said}>"

    @property
    def succeeded(self) -> tuple[WorkstationResult, ...]:
        """The workstations that are ready."""
        return self._with(Verdict.SUCCESS)

    @property
    def failed(self) -> tuple[WorkstationResult, ...]:
        """The workstations that are neither ready nor merely late, whatever their verdict."""
        return self._with(*set(Verdict) - {Verdict.SUCCESS, Verdict.TIMEOUT})

    @property
    def timed_out(self) -> tuple[WorkstationResult, ...]:
        """The workstations that were still on their way at the deadline."""
        return self._with(Verdict.TIMEOUT)

    @property
    def by_cause(self) -> Mapping[str, tuple[WorkstationResult, ...]]:
        """The workstations that did not succeed, by cause, the most frequent first."""
        groups: dict[str, list[WorkstationResult]] = {}
        for result in self._results.values():
            if result.cause is not None:
                groups.setdefault(result.cause, []).append(result)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        return {cause: tuple(results) for cause, results in ordered}

    @property
    def calls(self) -> int:
        """API calls of every kind."""
        return self.meters[-1].calls if self.meters else 0

    @property
    def throttled(self) -> int:
        """Those of them that the service throttled."""
        return self.meters[-1].throttled if self.meters else 0

    @property
    def elapsed(self) -> float:
        """Seconds from the first event to the last one."""
        if self.began_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.began_at).total_seconds()

    def raise_for_failures(self) -> None:
        """Return if every workstation is ready.

        Raises:
            WaitsFailed: At least one is not. Its `results` are by key.
        """
        bad = {
            key: result
            for key, result in self._results.items()
            if result.verdict is not Verdict.SUCCESS
        }
        if bad:
            told = "; ".join(f"{len(each)} {cause}" for cause, each in self.by_cause.items())
            message = f"{len(bad)} of {len(self)} workstations are not ready: {told}"
            raise WaitsFailed(message, {key: _as_wait(result) for key, result in bad.items()})

    def _with(self, *verdicts: Verdict) -> tuple[WorkstationResult, ...]:
        return tuple(result for result in self._results.values() if result.verdict in verdicts)


def _as_wait(result: WorkstationResult) -> WaitResult:
    return WaitResult(
        id=result.id or result.key,
        verdict=result.verdict,
        state=result.state,
        reason=result.reason,
        message=result.message,
        elapsed=result.elapsed,
        reads=result.reads,
        explanation=f"{result.key}: {result.message or result.reason or result.verdict.value}",
    )
