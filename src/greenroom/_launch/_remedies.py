"""What to do when a workstation does not come up: the remedies, as data, and the step they lead to.

A create goes wrong in one of two ways. The service *refuses* it, with an error: nothing was made.
Or it makes a session that *fails*, with a status code: something was made, and lies there. Either
way there is a **cause**, the error's code or the session's status code, and the question is who can
do something about it: time, another type of machine, somebody who ends a session, or a person who
mends a script. That is all a remedy says.

`REMEDIES` has a row for each of the eight status codes and seven errors that the service knows, and
one for whatever it may grow. A row is exchanged by naming its cause in `LaunchPolicy.remedies`.

`next_step` sees what a workstation has been through, and decides without clock or chance: how long
a pause is, its caller draws. `repeats` decides about a single call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    NEXT_TYPE: make another session, of the next instance type; after the last of them, later.
    HOLD: hold all creates until a session ends or a pause is over, then send this one again.
    NEVER: no retry helps; a person has to act. The workstation is given up.
    STOP: no create of anybody's will fare better. Nothing more is created.
    """

    REPEAT = "repeat"
    AGAIN = "again"
    NEXT_TYPE = "next type"
    HOLD = "hold"
    NEVER = "never"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What one cause asks for.

    Attributes:
        action: What to do.
        advice: A sentence for the person who reads the report.
        attempts: Sessions that AGAIN makes in all, the first included.
        pause: Whether AGAIN waits before the next one, longer each time.

    Raises:
        ConfigurationError: The action is none, or `attempts` is not a whole number of at least 1.
    """

    action: Action
    advice: str
    attempts: int = 3
    pause: bool = False

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "action", Action(self.action))
        except ValueError:
            known = ", ".join(f"Action.{each.name}" for each in Action)
            raise ConfigurationError(f"action={self.action!r} is none of {known}") from None
        _arguments.count("attempts", self.attempts)

    @property
    def needs_a_person(self) -> bool:
        """Whether the cause stays until a person acts."""
        return self.action in (Action.NEVER, Action.STOP)


UNKNOWN = "*"
"""The row of every cause that has none of its own."""

REMEDIES: Mapping[str, Remedy] = MappingProxyType(
    {
        # Status codes: a session was made, and failed.
        "INSUFFICIENT_CAPACITY": Remedy(
            Action.NEXT_TYPE,
            "There was no machine of this type. Give more instance types, or launch earlier.",
        ),
        "INTERNAL_ERROR": Remedy(
            Action.AGAIN, "The service failed inside, several times over. Try again later."
        ),
        "NETWORK_CONNECTION_ERROR": Remedy(
            Action.AGAIN,
            "The machine lost the network, several times over. Look at the profile's subnets.",
        ),
        "NETWORK_INTERFACE_ERROR": Remedy(
            Action.AGAIN,
            "No network interface could be attached. Look for free addresses in the subnets.",
        ),
        "ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR": Remedy(
            Action.NEVER,
            "Mend the directory of the studio: its name, its service account, the way to it.",
        ),
        "INITIALIZATION_SCRIPT_ERROR": Remedy(
            Action.NEVER, "Mend the initialization scripts of the launch profile's components."
        ),
        "DECRYPT_STREAMING_IMAGE_ERROR": Remedy(
            Action.NEVER, "Let the studio use the key that the streaming image is encrypted with."
        ),
        "AMI_VALIDATION_ERROR": Remedy(
            Action.NEVER, "Make the streaming image anew from a machine image that can be streamed."
        ),
        # Errors: nothing was made.
        "ServiceQuotaExceededException": Remedy(
            Action.HOLD, "End sessions that nobody needs, or have the quota of the account raised."
        ),
        "ConflictException": Remedy(
            Action.AGAIN,
            "Something it needs was not ready: wait until profile and image are, then resume.",
            attempts=4,
            pause=True,
        ),
        "ValidationException": Remedy(
            Action.NEVER, "Mend the spec: the service does not take one of its values."
        ),
        "ResourceNotFoundException": Remedy(
            Action.NEVER, "Mend the spec: its launch profile or its image does not exist."
        ),
        "AccessDeniedException": Remedy(
            Action.STOP, "Give the caller the right to create sessions, or renew its credentials."
        ),
        "ThrottlingException": Remedy(
            Action.REPEAT, "Ask for fewer creates a second, or have the limit raised."
        ),
        "InternalServerErrorException": Remedy(
            Action.REPEAT, "The service did not answer in time. Resume the launch."
        ),
        UNKNOWN: Remedy(
            Action.AGAIN, "greenroom does not know this cause: read the message.", attempts=2
        ),
    }
)
"""What each cause asks for, by status code or error code."""


OTHER_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "TIMEOUT": "They were still on their way at the deadline. Resume the launch, with more "
        "time, or launch earlier.",
        "INTERRUPTED": "The launch was interrupted before they were ready. Resume it.",
        "CANCELLED": "The launch ended before anything was decided about them. Resume it.",
        "JOURNAL": "The journal could not be written, and nothing is created that it would not "
        "know of. Make room on its disk, then resume.",
        "MISSING": "The service no longer knows the session. Find out who deleted it, and launch "
        "them anew.",
        "UNREACHABLE": "The session was stopped or deleted before it was ready. Find out by whom, "
        "and launch them anew.",
        "FAILURE": "The service gave no reason: read the message.",
        "ERROR": "The service refused, and gave no code: read the message.",
    }
)
"""What to do about causes that are neither a status code nor an error's code."""

_BY_KIND: Mapping[type[SourceError], str] = MappingProxyType(
    {
        AccessDenied: "AccessDeniedException",
        InvalidRequest: "ValidationException",
        NotFound: "ResourceNotFoundException",
        Conflict: "ConflictException",
        QuotaExceeded: "ServiceQuotaExceededException",
        Throttled: "ThrottlingException",
        Unavailable: "InternalServerErrorException",
    }
)
"""The row of an error whose code has none of its own."""


@dataclass(frozen=True, slots=True)
class Again:
    """Make another session.

    Attributes:
        instance_type: Of this type; None for the profile's own.
        pause: Which pause in a row comes before it, from 1; 0 for none.
        hold: Whether to hold all creates first.
    """

    instance_type: str | None
    pause: int = 0
    hold: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no more sessions for this workstation.

    Attributes:
        stop: Whether to create nothing for any other workstation either.
    """

    stop: bool = False


Step = Again | GiveUp


def row_of(error: SourceError, remedies: Mapping[str, Remedy]) -> str:
    """Return the name of the row that an error falls under: its code's, else that of its kind."""
    if error.code is not None and error.code in remedies:
        return error.code
    return next((row for kind, row in _BY_KIND.items() if isinstance(error, kind)), UNKNOWN)


def remedy_for(cause: str | None, remedies: Mapping[str, Remedy]) -> Remedy:
    """Return the row of a cause; that of `UNKNOWN` where there is none."""
    return remedies.get(cause or UNKNOWN) or remedies[UNKNOWN]


def advice_for(cause: str, row: str | None = None) -> str:
    """Return what a person can do about a cause.

    Args:
        cause: A status code, an error's code, or one of the words that a launch itself has.
        row: The name of the row that it falls under, where it has none of its own.
    """
    if cause in OTHER_ADVICE:
        return OTHER_ADVICE[cause]
    return remedy_for(cause if cause in REMEDIES else row, REMEDIES).advice


def repeats(error: SourceError, remedies: Mapping[str, Remedy]) -> bool:
    """Return whether a call that failed so is made again as it was, with the same token.

    Where the service has not said that it refuses, something may have been made, and only the same
    token finds out. A row of its own that says otherwise has its way.
    """
    if error.code is not None and error.code in remedies:
        return remedies[error.code].action is Action.REPEAT
    refused = isinstance(error, tuple(_BY_KIND)) and not isinstance(error, Throttled | Unavailable)
    return not refused and (error.code is None or isinstance(error, Throttled | Unavailable))


def next_step(
    rows: Sequence[str], instance_types: Sequence[str], remedies: Mapping[str, Remedy]
) -> Step:
    """Return what to do next for a workstation.

    Args:
        rows: The causes, or the rows they fall under, by which its attempts came to nothing, in
            their order; at least one.
        instance_types: The types that it may have, the most wanted first.
        remedies: The rows.
    """
    latest = remedy_for(rows[-1], remedies)
    alike = [remedy_for(each, remedies) is latest for each in rows]
    types: Sequence[str | None] = instance_types or (None,)
    shortages = sum(remedy_for(each, remedies).action is Action.NEXT_TYPE for each in rows)
    following = types[shortages % len(types)]
    match latest.action:
        case Action.NEXT_TYPE:
            rounds, rest = divmod(shortages, len(types))
            return Again(following, pause=0 if rest else rounds)
        case Action.HOLD:
            return Again(following, hold=True)
        case Action.REPEAT:
            return Again(following, pause=sum(alike))
        case Action.AGAIN if sum(alike) < latest.attempts:
            return Again(following, pause=sum(alike) if latest.pause else 0)
        case _:
            return GiveUp(stop=latest.action is Action.STOP)
