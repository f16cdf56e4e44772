"""JSON answers read by their shape: garbage found out, times as aware datetimes, at little CPU.

botocore walks every member of every answer and asks dateutil about every time. Here the members of
a shape that need work are found once, and the rest of the answer passes as it came, even what the
model does not know. What does not fit its shape stays as it came too: one odd member is no reason
to lose a page of a hundred sessions.

For REST-JSON services whose bodies hold structures, lists, maps, times and plain values. The
botocore client is not changed; a client asks for this by `read_json(client)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.parsers import ResponseParserError

Converter = Callable[[Any], Any]


class Secret(str):
    """A text that the service calls sensitive. No `repr` shows it, nor that of what holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'(secret)'"


def read_json(client: Any) -> None:
    """Read this client's answers here, instead of by botocore's parser.

    A successful answer whose body is not a JSON object then raises `ResponseParserError`, where
    botocore would return `{}`.
    """
    converters: dict[str, Converter] = {}

    def read(
        operation_model: Any,
        response_dict: dict[str, Any],
        customized_response_dict: dict[str, Any],
        **_: object,
    ) -> None:
        answer = _json_object(response_dict["body"])
        if response_dict["status_code"] >= 300:
            response_dict["body"] = json.dumps(_error_members(answer or {})).encode()
            return
        if answer is None:
            raise ResponseParserError("it is not a JSON object")
        operation = operation_model.name
        if operation not in converters:
            converters[operation] = _converter(operation_model.output_shape) or (
                lambda value: value
            )
        customized_response_dict.update(converters[operation](answer))
        response_dict["body"] = b""

    client.meta.events.register("before-parse", read)


def moment(value: Any) -> Any:
    """Return an ISO 8601 text or seconds since 1970 as an aware datetime, anything else unchanged.

    A time without a zone is taken as UTC.
    """
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return value


def _converter(shape: Any) -> Converter | None:
    """Return what makes a value of this shape out of a JSON value, or None if it is one."""
    if shape.metadata.get("sensitive"):
        return lambda value: Secret(value) if isinstance(value, str) else value
    if shape.type_name == "timestamp":
        return moment
    if shape.type_name == "list":
        item = _converter(shape.member)
        return item and (lambda value: [*map(item, value)] if isinstance(value, list) else value)
    if shape.type_name == "structure":
        members = {name: _converter(member) for name, member in shape.members.items()}
        return _structure({name: member for name, member in members.items() if member})
    return None


def _structure(members: dict[str, Converter]) -> Converter:
    def structure(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        present = {name: member for name, member in value.items() if member is not None}
        for name, converter in members.items():
            if name in present:
                present[name] = converter(present[name])
        return present

    return structure


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _error_members(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an error that botocore's parser can take without tripping."""
    return {
        name: value
        for name, value in answer.items()
        if isinstance(value, dict if name == "context" else str)
    }
