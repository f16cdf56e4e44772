"""What happens in a launch, one plain record each.

The same records are what the journal keeps, what a program that embeds a launch is told, and what
the account is made of: an account is all of them, taken in one after the other (`_account`). So
what a resumed launch knows is exactly what the first one told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from greenroom._specs import Choice
from greenroom._states import Verdict

INTERRUPTED = "INTERRUPTED"
TIMEOUT = "TIMEOUT"
JOURNAL = "JOURNAL"
CANARY = "CANARY"
"""Causes that are the launch's own, beside the service's codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchEvent:
    """Something that happened in a launch.

    Attributes:
        at: When (aware, UTC).
    """

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchBegan(LaunchEvent):
    """A process took the launch up, for the first time or again.

    Attributes:
        resumed: Whether it was to be resumed.
        retry_failed: Whether what had failed for good is tried once more.
        handed_over: Whether it was given to this process by another's end: nobody asked for what
            had settled to be taken up again, and it is not.
    """

    resumed: bool
    retry_failed: bool = False
    handed_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchEnded(LaunchEvent):
    """The process that ran it was done with it, or was asked to stop."""

    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIntended(LaunchEvent):
    """A session is about to be asked for. Told before the call is made.

    Attributes:
        key: The workstation.
        attempt: Which of its attempts, from 1.
        token: The client token of the call: the same for every repetition of it.
        choice: What it takes of what the spec leaves open.
        place: Its place among the sessions that the call asks for, from 0.
        together: How many the call asks for.
    """

    key: str
    attempt: int
    token: str
    choice: Choice = field(default_factory=dict)
    place: int = 0
    together: int = 1

    @property
    def instance_type(self) -> str | None:
        """The type of machine asked for, if the choice says one."""
        return self.choice.get("instance_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(LaunchEvent):
    """The service made a session.

    Attributes:
        key: The workstation.
        attempt: Which of its attempts.
        id: The session.
    """

    key: str
    attempt: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRefused(LaunchEvent):
    """The service made none, and said why.

    Attributes:
        key: The workstation.
        attempt: Which of its attempts.
        cause: The error's code, or its class where it has none.
        row: The row of the remedies that it falls under.
        message: The error's sentence.
    """

    key: str
    attempt: int
    cause: str
    message: str
    row: str = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDeferred(LaunchEvent):
    """The service certainly made none yet; the same request is made again later.

    Attributes:
        key: The workstation.
        attempt: Which of its attempts.
        cause: Why: the code of an error, or what stopped the launch before the call was made.
        message: The sentence that goes with it.
    """

    key: str
    attempt: int
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPassed(LaunchEvent):
    """A session that is up passed one of the checks that count.

    Attributes:
        key: The workstation.
        id: The session.
        until: The goal of the check.
    """

    key: str
    id: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(LaunchEvent):
    """The session of an attempt will not be ready.

    Attributes:
        key: The workstation.
        attempt: Which of its attempts.
        id: The session.
        cause: The status code that explains it.
        message: The service's sentence beside it.
    """

    key: str
    attempt: int
    id: str
    cause: str
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(LaunchEvent):
    """A session changed.

    Attributes:
        key: The workstation.
        id: The session.
        before: The state before; None at first sight.
        after: The state now; None where the service no longer knows the session.
        reason: The status code beside it.
        message: The service's sentence beside it.
        changed_at: When the service says that it happened.
        elapsed: Seconds from the moment this session was first asked for.
    """

    key: str
    id: str
    before: str | None
    after: str | None
    reason: str | None = None
    message: str | None = None
    changed_at: datetime | None = None
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamAccess:
    """The way to a workstation's screen.

    Attributes:
        stream_id: The stream.
        expires_at: Until when it can be opened (aware), as far as the service says it.
        url: The secret URL. Not shown in a `repr`, never journaled; None in what is read back.
    """

    stream_id: str
    expires_at: datetime | None = None
    url: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIntended(LaunchEvent):
    """A stream of a READY session is about to be asked for.

    Attributes:
        key: The workstation.
        id: The session.
        token: The client token of the call.
    """

    key: str
    id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCreated(LaunchEvent):
    """The service made a stream.

    Attributes:
        key: The workstation.
        id: The session.
        stream_id: The stream.
    """

    key: str
    id: str
    stream_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReady(LaunchEvent):
    """A stream can be opened.

    Attributes:
        key: The workstation.
        id: The session.
        stream: How.
    """

    key: str
    id: str
    stream: StreamAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFailed(LaunchEvent):
    """A stream will not be ready, or was not made.

    Attributes:
        key: The workstation.
        id: The session.
        stream_id: The stream; None where none was made.
        cause: The code that explains it.
    """

    key: str
    id: str
    stream_id: str | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIntended(LaunchEvent):
    """A session that did not succeed is about to be deleted.

    Attributes:
        key: The workstation.
        id: The session.
    """

    key: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(LaunchEvent):
    """It was seen to be gone.

    Attributes:
        key: The workstation.
        id: The session.
    """

    key: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFailed(LaunchEvent):
    """It was not, and may still be billed.

    Attributes:
        key: The workstation.
        id: The session.
        message: Why.
    """

    key: str
    id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(LaunchEvent):
    """What became of a workstation.

    Attributes:
        key: The workstation.
        verdict: The verdict.
        id: The last session made for it; None if none was.
        state: The state in which that session was decided about, before any deletion.
        reason: The status code beside it, or the code of the error that refused it.
        message: The sentence that goes with it.
        elapsed: Seconds from its first create to the decision, all attempts and pauses included.
        reads: Answers about its sessions, since the launch was last taken up.
        cause: What the report groups it by; None for a success.
        row: The row of the remedies that the cause falls under, where it has none of its own.
        advice: What a person can do about the cause, by the remedies of that moment; None for a
            success, and in journals that do not tell it.
    """

    key: str
    verdict: Verdict
    id: str | None
    state: str | None
    reason: str | None
    message: str | None
    elapsed: float
    reads: int
    cause: str | None
    row: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatesHeld(LaunchEvent):
    """No create is made for now.

    Attributes:
        cause: Why: an error's code, or `CANARY`.
        message: The sentence for people.
    """

    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatesReleased(LaunchEvent):
    """Creates are made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatesStopped(LaunchEvent):
    """No create is made any more.

    Attributes:
        cause: Why: a status code, an error's code, `INTERRUPTED`, `TIMEOUT` or `JOURNAL`.
        message: The sentence for people.
    """

    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered(LaunchEvent):
    """What the launch has cost so far, since it was last taken up.

    Attributes:
        calls: API calls, of every kind.
        changes: Those of them that make or end something; the others read.
        throttled: Those of them that the service throttled.
    """

    calls: int
    changes: int
    throttled: int
