"""What is shown of sessions and streams: each as it looks at a given time, and lists in pages.

Both are described in the service's own words, times as epoch seconds. A member that has no value
at the time, such as `stoppedAt` before the first stop, is left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom.simulator._facts import SESSION_FAULTS, StudioError
from greenroom.simulator._timeline import Change, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

USER = "simulated-user"
"""Who acts, where nobody is named: requests are not authenticated."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A streaming session. `rng` draws everything that will ever happen to it."""

    arn: str
    session_id: str
    owner: str
    launch_profile_id: str
    streaming_image_id: str
    instance_type: str
    tags: Mapping[str, str]
    terminates: bool
    rng: Random
    timeline: Timeline
    retention_mode: str = "RETAIN"
    backup_id: str | None = None

    def describe(self, seen: float) -> dict[str, Any]:
        """Return the session as it was at `seen`, in simulated epoch seconds."""
        change = self.timeline.at(seen)
        started = self.timeline.last("START_IN_PROGRESS", seen)
        stopped = self.timeline.last("STOP_IN_PROGRESS", seen)
        following = self.timeline.next(seen)
        members = {
            "arn": self.arn,
            "automaticTerminationMode": "ACTIVATED" if self.terminates else "DEACTIVATED",
            "backupMode": "AUTOMATIC",
            "createdAt": self.timeline.first.at,
            "createdBy": USER,
            "ec2InstanceType": self.instance_type,
            "launchProfileId": self.launch_profile_id,
            "maxBackupsToRetain": 2,
            "ownedBy": self.owner,
            "sessionId": self.session_id,
            "sessionPersistenceMode": "ACTIVATED",
            "startedAt": started and started.at,
            "startedBy": started and USER,
            "startedFromBackupId": started and self.backup_id,
            "state": change.state,
            "statusCode": change.status_code,
            "statusMessage": SESSION_FAULTS.get(
                change.status_code, f"The session is {change.state}."
            ),
            "stopAt": following.at if following and change.state == "READY" else None,
            "stoppedAt": stopped and stopped.at,
            "stoppedBy": stopped and USER,
            "streamingImageId": self.streaming_image_id,
            "tags": self.tags,
            "terminateAt": following.at if following and change.state == "STOPPED" else None,
            "updatedAt": change.at,
            "updatedBy": USER,
            "volumeConfiguration": {"iops": 3000, "size": 500, "throughput": 125},
            "volumeRetentionMode": self.retention_mode,
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass(slots=True, kw_only=True)
class Stream:
    """A stream of a session. It ends when its time is up, or when the session is READY no more."""

    stream_id: str
    session: Session
    url: str
    lasts: int
    timeline: Timeline

    def at(self, now: float) -> Change:
        """Return the change that the stream's state at `now` (epoch seconds) is owed to."""
        change = self.timeline.at(now)
        left = self.session.timeline.next(self.timeline.first.at)
        if left is None or left.at > now or change.state in ("DELETED", "CREATE_FAILED"):
            return change
        return Change(left.at, "DELETED", "STREAM_DELETED")

    def describe(self, now: float) -> dict[str, Any]:
        """Return the stream at `now` (epoch seconds); its secret URL only while it is READY."""
        change = self.at(now)
        members = {
            "createdAt": self.timeline.first.at,
            "createdBy": USER,
            "ownedBy": self.session.owner,
            "state": change.state,
            "statusCode": change.status_code,
            "streamId": self.stream_id,
        }
        if change.state == "READY":
            members |= {"expiresAt": change.at + self.lasts, "url": self.url}
        return members


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        sessions: The sessions on it.
        next_token: What to ask for the next page with; None on the last page.
    """

    sessions: list[dict[str, Any]]
    next_token: str | None = None


def paginate(
    candidates: Sequence[str],
    shown: Callable[[str], dict[str, Any] | None],
    size: int,
    filters: tuple[str | None, ...],
    token: str | None,
) -> Page:
    """Return the page of `candidates` that begins where `token` says.

    A token says how far the list has been read. It is sealed with the filters that the list was
    asked with, so that it cannot be spent on another list: the server would have to guess what is
    meant.

    Args:
        candidates: The ids that may be on the list, in an order that only ever grows at its end.
        shown: Describes a candidate, or returns None for one that is not on the list.
        size: How many a page holds.
        filters: What the list was asked with.
        token: Where the page before ended; None for the first.

    Raises:
        StudioError: ValidationException for a token that belongs to another list, or to none.
    """
    seal = hashlib.sha256(repr(filters).encode()).hexdigest()[:16]
    position = 0 if token is None else _opened(token, seal)
    sessions: list[dict[str, Any]] = []
    for index in range(position, len(candidates)):
        if len(sessions) == size:
            return Page(sessions, _sealed(index, seal))
        if (session := shown(candidates[index])) is not None:
            sessions.append(session)
    return Page(sessions)


def _sealed(position: int, seal: str) -> str:
    return base64.urlsafe_b64encode(f"{position}.{seal}".encode()).decode()


def _opened(token: str, seal: str) -> int:
    try:
        position, _, sealed_with = base64.urlsafe_b64decode(token).decode().partition(".")
        if sealed_with == seal:
            return int(position)
    except (binascii.Error, ValueError):
        pass
    raise StudioError("ValidationException", "nextToken was not given by a list with these filters")
