"""One line of the account: a workstation, its sessions, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from greenroom._launch import _events as events
from greenroom._launch_kind import launch_kind
from greenroom._specs import label
from greenroom._states import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._events import StreamAccess
    from greenroom._specs import Choice, WorkstationSpec

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
        choice: What it asked for of what the spec leaves open.
        place: Its place among the sessions that the create asked for, from 0.
        together: How many the create asked for.
        asked_at: When the create was about to be made.
        answered_at: When the service answered it; None where no answer came.
        id: The session; None where none was made, or nobody knows.
        changes: What was seen of the session, oldest first.
        refusal: The error that the create was refused with, if it was.
        deferral: Why the service certainly made none yet, where that is so.
        failure: How the session failed, if it did.
        failed_in: The state in which it was then, before any deletion.
        passed_at: When the session passed the latest of the checks that count.
        deletion: Whether it was to be deleted, and what came of that.
        deleted_at: When it was seen to be gone.
    """

    number: int
    token: str
    choice: Choice
    asked_at: datetime
    place: int = 0
    together: int = 1
    answered_at: datetime | None = None
    id: str | None = None
    changes: tuple[events.Changed, ...] = ()
    refusal: events.CreateRefused | None = None
    deferral: events.CreateDeferred | None = None
    failure: events.AttemptFailed | None = None
    failed_in: str | None = None
    passed_at: datetime | None = None
    deletion: Deletion | None = None
    deleted_at: datetime | None = None

    @property
    def instance_type(self) -> str | None:
        """The type of machine asked for, if the choice says one."""
        return self.choice.get("instance_type")

    @property
    def label(self) -> str:
        """The choice in a few words."""
        return label(self.choice)

    @property
    def unanswered(self) -> bool:
        """Whether the create may have been carried out without anybody knowing."""
        return self.answered_at is None

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

    @property
    def row(self) -> str | None:
        """The row of the remedies that the cause falls under."""
        return self.refusal.row if self.refusal is not None else self.cause


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkstationResult:
    """What became of one workstation: one line of the account.

    Attributes:
        key: Its name in the launch.
        spec: What was asked for.
        verdict: SUCCESS, FAILURE, UNREACHABLE, MISSING, TIMEOUT, ERROR or CANCELLED; PENDING in the
            account of a launch that still runs, or was killed.
        id: The last session made for it; None if none was.
        state: The state in which that session was decided about, before any deletion.
        reason: The status code beside it, or the code of the error that refused it.
        message: The sentence that goes with it.
        elapsed: Seconds from its first create to the decision, all attempts and pauses included.
        reads: Answers about its sessions, since the launch was last taken up.
        attempts: Every session that was asked for, the first one first.
        stream: The way to its screen, where one was wanted and made.
        cause: Why it did not succeed: a status code, an error's code, or the verdict's name.
        row: The row of the remedies that the cause falls under, where it has none of its own.
        advice: What a person can do about the cause; None for a success.
    """

    key: str
    spec: WorkstationSpec
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
    row: str | None = field(default=None, repr=False)
    advice: str | None = field(default=None, repr=False)


class Line:
    """One workstation, as far as it has come.

    Attributes:
        spec: What is asked for.
        attempts: The sessions asked for so far.
        stream: Its stream, once made.
        stream_token: The client token of that stream's create, once intended.
        streams: How many streams were asked for of the last session.
        settled: What became of it, if that is decided.
        begun_anew: How many attempts it had had when it was last taken up again after it had
            settled. What the remedies count begins there.
    """

    __slots__ = (
        "attempts",
        "begun_anew",
        "settled",
        "spec",
        "stream",
        "stream_token",
        "streams",
    )

    def __init__(self, spec: WorkstationSpec) -> None:
        self.spec = spec
        self.attempts: list[Attempt] = []
        self.stream: StreamAccess | None = None
        self.stream_token: str | None = None
        self.streams = 0
        self.settled: events.Settled | None = None
        self.begun_anew = 0

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

    @property
    def advice(self) -> str | None:
        """What a person can do about the cause; None where there is none.

        Where nobody has told it, as in an old journal, it is that of the kind.
        """
        if self.settled is None or self.settled.cause is None:
            return None
        remedies = launch_kind(self.spec.kind).remedies
        return self.settled.advice or remedies.advice(self.settled.cause, self.settled.row)

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
            row=settled.row,
            advice=self.advice,
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
    row: str | None = None
