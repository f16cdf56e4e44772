"""From an event to a row of the journal, and back.

The URL of a stream is a secret, and the one thing that does not go into a row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from greenroom._launch import _events as events
from greenroom._states import Verdict

KINDS: Mapping[str, type[events.LaunchEvent]] = {
    kind.__name__: kind
    for kind in (
        *(events.LaunchBegan, events.LaunchEnded, events.Metered),
        *(events.CreateIntended, events.Created, events.CreateRefused, events.CreateDeferred),
        *(events.CreatesHeld, events.CreatesReleased, events.CreatesStopped),
        *(events.AttemptFailed, events.Changed, events.CheckPassed, events.Settled),
        *(events.StreamIntended, events.StreamCreated, events.StreamReady, events.StreamFailed),
        *(events.DeleteIntended, events.Deleted, events.DeleteFailed),
    )
}
"""Every kind of event by name. The names stand in journals: to change one is to change those."""


class Row(NamedTuple):
    """An event as the journal keeps it.

    Attributes:
        at: Epoch seconds.
        kind: Its class.
        key: The workstation it is about, or None.
        attempt: The attempt it is about, or None.
        data: Everything else, as a JSON object.
    """

    at: float
    kind: str
    key: str | None
    attempt: int | None
    data: str


ODD = (
    AttributeError,
    LookupError,
    OSError,
    ArithmeticError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading garbage can raise."""

_COLUMNS = frozenset({"at", "key", "attempt"})


def as_row(event: events.LaunchEvent) -> Row:
    """Return an event as a row, without the secret of a stream."""
    members = {each.name: getattr(event, each.name) for each in fields(event)}
    data = {name: _plain(value) for name, value in members.items() if name not in _COLUMNS}
    return Row(
        event.at.timestamp(),
        type(event).__name__,
        members.get("key"),
        members.get("attempt"),
        json.dumps(data),
    )


def from_row(row: Row) -> events.LaunchEvent:
    """Return the event that a row keeps.

    Raises:
        ValueError: It keeps none.
    """
    kind = KINDS.get(row.kind)
    if kind is None:
        raise ValueError(f"{row.kind!r} is no event")
    try:
        members: dict[str, Any] = json.loads(row.data)
        members |= {"at": datetime.fromtimestamp(row.at, UTC)}
        members |= {} if row.key is None else {"key": row.key}
        members |= {} if row.attempt is None else {"attempt": row.attempt}
        read = {name: _read(name, value) for name, value in _renamed(members).items()}
        event = kind(**read)
    except ODD as error:
        raise ValueError(f"a {row.kind} cannot be read: {error!r}") from error
    for name, hint in _hints(row.kind).items():
        if not _fits(getattr(event, name), hint):
            raise ValueError(f"a {row.kind} cannot be read: {name} is {getattr(event, name)!r}")
    return event


@cache
def _hints(kind: str) -> Mapping[str, Any]:
    """Return what a kind's members are; to find that out costs more than all else about a row."""
    return get_type_hints(KINDS[kind])


def _renamed(members: dict[str, Any]) -> dict[str, Any]:
    """Return what journals of version 1 say in the words of today."""
    if "instance_type" in members:
        asked = members.pop("instance_type")
        members["choice"] = {} if asked is None else {"instance_type": asked}
    return members


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Mapping:
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, tuple(NoneType if each is None else each for each in kinds)) or (
        float in kinds and isinstance(value, int)
    )


def _read(name: str, value: Any) -> Any:
    return _READ[name](value) if name in _READ else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, events.StreamAccess):
        return {"stream_id": value.stream_id, "expires_at": _plain(value.expires_at)}
    return dict(value) if isinstance(value, Mapping) else value


def _moment(value: Any) -> Any:
    return None if value is None else datetime.fromisoformat(value)


def _stream(value: Any) -> events.StreamAccess:
    return events.StreamAccess(value["stream_id"], _moment(value["expires_at"]))


_READ: Mapping[str, Callable[[Any], Any]] = {
    "changed_at": _moment,
    "stream": _stream,
    "verdict": Verdict,
}
