"""The studio in REST-JSON: from an HTTP request to an HTTP answer, as a pure function.

Both faces of the simulator, its own server and the one for moto, are thin skins around this file.
Neither signatures nor permissions are checked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from greenroom.simulator._errors import StudioError
from greenroom.simulator._facts import OPERATIONS
from greenroom.simulator._operations import HANDLERS, Inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from greenroom.simulator._studio import Studio

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        method: The method, in capitals.
        path: The path as it was sent, percent-encoded, without the query.
        query: The decoded query.
        headers: The headers, to be looked up in any case.
        body: The body.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status: The HTTP status.
        body: The body.
        headers: The headers, the length aside.
        arrives: How much of it reaches the client before the connection closes.
    """

    status: int
    body: bytes
    headers: dict[str, str]
    arrives: Literal["all", "half", "nothing"] = "all"


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for: an operation, and the values in its path."""

    operation: str
    path_values: dict[str, str]


def recognise(method: str, path: str) -> Call | None:
    """Return what is asked for by a method and a percent-encoded path, or None if nothing is."""
    segments = path.removeprefix("/").split("/")
    for name, method_wanted, pattern in _ROUTES:
        if method != method_wanted or len(segments) != len(pattern):
            continue
        values = {}
        for segment, wanted in zip(segments, pattern, strict=True):
            if wanted.startswith("{"):
                values[wanted[1:-1]] = unquote(segment)
            elif segment != wanted:
                break
        else:
            return Call(name, values)
    return None


def answer(studio: Studio, request: Request, now: float) -> Reply:
    """Carry out a request on a studio at `now`, in simulated epoch seconds.

    Everything that is wrong with the request is answered as the service would; nothing is raised.
    """
    call = recognise(request.method, request.path)
    if call is None:
        return unknown_operation(request)
    try:
        studio.get_resource("studios", call.path_values["studioId"])
        token = request.headers.get("X-Amz-Client-Token")
        inputs = Inputs(call.path_values, request.query, token, _object(request.body))
        output = HANDLERS[call.operation](studio, now, inputs)
        return Reply(200, json.dumps(output).encode(), JSON)
    except StudioError as error:
        return refuse(error)


def refuse(error: StudioError) -> Reply:
    """Return an error the way the service sends it."""
    words = re.findall(r"[A-Z][a-z]+", error.code.removesuffix("Exception"))
    body = {"message": error.message, "code": "_".join(words).upper(), "context": {}}
    headers = {**JSON, "x-amzn-ErrorType": error.code}
    return Reply(error.status, json.dumps(body).encode(), headers)


def unknown_operation(request: Request) -> Reply:
    """Return the answer to a request that is none of the service's."""
    message = f"there is no operation {request.method} {request.path}"
    return refuse(StudioError("ResourceNotFoundException", message))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StudioError("ValidationException", "the body must be a JSON object")
    return value


_ROUTES = tuple(
    (operation.name, operation.method, tuple(operation.path.removeprefix("/").split("/")))
    for operation in OPERATIONS.values()
)
