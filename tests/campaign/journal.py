"""What happened, in the order in which it happened, down to the step of the event loop.

The service notes what it was asked and what it truly said; the stage notes who came, who left and
what each was told; a budget between the pollers and the limiter notes what was granted. Nothing
here comes from the engine's own memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Second 0 of every program, by the wall."""


class Broken(AssertionError):
    """A promise is broken."""


def promise(kept: bool, broken: str) -> None:
    """Raise unless it was kept."""
    if not kept:
        raise Broken(broken)


def wall(seconds: float) -> datetime:
    """Return what the wall shows at a second of the program."""
    return EPOCH + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Shown:
    """What one answer showed of one session."""

    state: str
    reason: str | None
    message: str | None
    changed_at: datetime | None
    serial: int


@dataclass(frozen=True)
class Failed:
    """Why a call brought no states.

    Attributes:
        kind: `throttled`, `access`, `invalid`, `notfound`, or `other` that is tried again.
        named: The ids that the error named.
        retry_after: Seconds that the service asked for, where they can be waited for.
        seen: What earlier pages had shown.
    """

    kind: str
    named: tuple[str, ...] = ()
    retry_after: float | None = None
    seen: Mapping[str, Shown] = field(default_factory=dict)


@dataclass(eq=False)
class Call:
    """One question to the service.

    Attributes:
        poller: Who asks.
        ids: About whom.
        taken: The place in the journal at which it was decided whom to ask about.
        asked_at: Seconds.
        page_at: When the page that it waits for was asked for; infinity while it waits for leave.
        outcome: What came of it; None while nobody knows.
    """

    poller: int
    ids: tuple[str, ...]
    taken: int
    asked_at: float
    page_at: float
    outcome: dict[str, Shown] | Failed | None = None


@dataclass(eq=False)
class Waiting:
    """One wait on one session, as whoever waits knows it.

    Attributes:
        until: The second of its deadline; None for none.
        delivered: The results that whoever waits was given.
    """

    poller: int
    id: str
    goal: frozenset[str]
    since: float
    until: float | None
    delivered: list[object] = field(default_factory=list)


@dataclass(eq=False)
class Watching:
    """One watch.

    Attributes:
        told: The changes it was given, and the refusals.
        drained: Whether it was given everything there was for it when it left.
        conflated: Changes that it was told as part of later ones.
    """

    poller: int
    ids: tuple[str, ...]
    told: list[object] = field(default_factory=list)
    drained: bool = False
    conflated: int = 0


@dataclass(eq=False)
class Callback:
    """One callback: what it is for, and what it was called with at which second."""

    poller: int
    trigger: object
    deed: str
    heard: list[tuple[float, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes:
        at: Seconds.
        what: `granted`, `asked`, `page`, `answered`, `joined`, `left`, `settled`, `watched`,
            `unwatched`, `registered`, `forgotten`, `raised`, `notified`, `slowed`, `figures`,
            `opened`, `closed` or `quiet`.
        poller: At which poller.
        of: To whom or with what.
        detail: What else there is to say.
    """

    at: float
    what: str
    poller: int
    of: object = None
    detail: object = None


class Journal:
    """The entries, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def note(self, what: str, poller: int, of: object = None, detail: object = None) -> int:
        """Write an entry and return its place."""
        self.entries.append(Entry(anyio.current_time(), what, poller, of, detail))
        return len(self.entries) - 1
