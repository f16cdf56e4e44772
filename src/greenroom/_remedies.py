"""What can be done about a create that came to nothing: remedies, as data.

A create goes wrong in one of two ways. The service *refuses* it, with an error: nothing was made.
Or it makes a session that *fails*, with a status code: something was made, and lies there. Either
way there is a **cause**, the error's code or the session's status code, and the question is who can
do something about it: time, another choice of machine, somebody who ends a session, or a person who
mends a script. That is all a remedy says.

Each kind of session that can be launched has a table of them. What they lead to is decided by the
launch (`_launch._steps`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from greenroom import _arguments
from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    SourceError,
    Throttled,
    Unavailable,
)


class Action(StrEnum):
    """What a remedy does.

    REPEAT: send the same request with the same token; nobody knows whether the last one was heard.
    AGAIN: make another session, up to `attempts` of them in all.
    NEXT_CHOICE: make another session, of the next choice; after the last of them, later.
    HOLD: hold all creates until a session ends or a pause is over, then send this one again.
    NEVER: no retry helps; a person has to act. The workstation is given up.
    STOP: no create of anybody's will fare better. Nothing more is created.

    A choice is what a spec leaves open, such as one of several instance types. `NEXT_TYPE` is the
    former name of `NEXT_CHOICE`.
    """

    REPEAT = "repeat"
    AGAIN = "again"
    NEXT_CHOICE = "next choice"
    NEXT_TYPE = NEXT_CHOICE
    HOLD = "hold"
    NEVER = "never"
    STOP = "stop"

    @classmethod
    def _missing_(cls, value: object) -> Action | None:
        return cls.NEXT_CHOICE if value == "next type" else None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What one cause asks for.

    Attributes:
        action: What to do.
        advice: A sentence for the person who reads the report.
        attempts: Sessions that AGAIN makes in all, the first included.
        pause: Whether AGAIN waits before the next one, longer each time.
        rounds: How often NEXT_CHOICE tries one and the same choice; None for as long as there is
            time.

    Raises:
        ConfigurationError: The action is none, or a number is not a whole one of at least 1.
    """

    action: Action
    advice: str
    attempts: int = 3
    pause: bool = False
    rounds: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "action", Action(self.action))
        except ValueError:
            known = ", ".join(f"Action.{each.name}" for each in Action)
            raise ConfigurationError(f"action={self.action!r} is none of {known}") from None
        _arguments.count("attempts", self.attempts)
        if self.rounds is not None:
            _arguments.count("rounds", self.rounds)

    @property
    def needs_a_person(self) -> bool:
        """Whether the cause stays until a person acts."""
        return self.action in (Action.NEVER, Action.STOP)


UNKNOWN = "*"
"""The row of every cause that has none of its own."""

REFUSALS = (AccessDenied, InvalidRequest, NotFound, Conflict, QuotaExceeded)
"""Errors by which a service says that it will not: nothing was made."""


class Remedies(Mapping[str, Remedy]):
    """A table of remedies by cause, such as a status code or an error's code.

    Args:
        rows: The remedies; that of `UNKNOWN` among them.
        by_error: The row of an error whose code has none of its own, by its class.

    Raises:
        ConfigurationError: A row is missing or is no `Remedy`.
    """

    def __init__(
        self, rows: Mapping[str, Remedy], by_error: Mapping[type[SourceError], str]
    ) -> None:
        for cause, remedy in rows.items():
            if not isinstance(remedy, Remedy):
                raise ConfigurationError(f"remedies[{cause!r}]={remedy!r} must be a Remedy(...)")
        for cause in (UNKNOWN, *by_error.values()):
            if cause not in rows:
                raise ConfigurationError(f"remedies has no row {cause!r}")
        self._rows = MappingProxyType(dict(rows))
        self.by_error = MappingProxyType(dict(by_error))

    def __getitem__(self, cause: str) -> Remedy:
        return self._rows[cause]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __or__(self, own: Mapping[str, Remedy]) -> Remedies:
        """Return the table with some rows exchanged or added."""
        return Remedies({**self._rows, **own}, self.by_error)

    def of(self, cause: str | None) -> Remedy:
        """Return the row of a cause; that of `UNKNOWN` where there is none."""
        return self._rows.get(cause or UNKNOWN) or self._rows[UNKNOWN]

    def row_of(self, error: SourceError) -> str:
        """Return the name of the row that an error falls under: its code's, else its class's."""
        if error.code is not None and error.code in self._rows:
            return error.code
        rows = (row for kind, row in self.by_error.items() if isinstance(error, kind))
        return next(rows, UNKNOWN)

    def repeats(self, error: SourceError) -> bool:
        """Return whether a call that failed so is made again as it was, with the same token.

        Where the service has not said that it refuses, something may have been made, and only the
        same token finds out. A row of its own that says otherwise has its way.
        """
        if error.code is not None and error.code in self._rows:
            return self._rows[error.code].action is Action.REPEAT
        if isinstance(error, Throttled | Unavailable):
            return True
        return not isinstance(error, REFUSALS) and error.code is None

    def advice(self, cause: str, row: str | None = None) -> str:
        """Return what a person can do about a cause.

        Args:
            cause: A status code, an error's code, or one of the words that a launch itself has.
            row: The name of the row that it falls under, where it has none of its own.
        """
        if cause in OTHER_ADVICE and cause not in self._rows:
            return OTHER_ADVICE[cause]
        return self.of(cause if cause in self._rows else row).advice


OTHER_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "TIMEOUT": "They were still on their way at the deadline. Resume the launch, with more "
        "time, or launch earlier.",
        "INTERRUPTED": "The launch was interrupted before they were ready. Resume it.",
        "CANCELLED": "The launch ended before anything was decided about them. Resume it.",
        "JOURNAL": "The journal could not be written, and nothing is created that it would not "
        "know of. Make room on its disk, then resume.",
        "RECORD": "So many sessions had failed before that there was no room to write down more. "
        "Find out why, and launch these anew, in smaller shards.",
        "MISSING": "The service no longer knows the session. Find out who deleted it, and launch "
        "them anew.",
        "UNREACHABLE": "The session was stopped or deleted before it was ready. Find out by whom, "
        "and launch them anew.",
        "FAILURE": "The service gave no reason: read the message.",
        "ERROR": "The service refused, and gave no code: read the message.",
    }
)
"""What to do about causes that are neither a status code nor an error's code."""
