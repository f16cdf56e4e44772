"""The studio in REST-JSON: from an HTTP request to an HTTP answer, as a pure function.

Both faces of the simulator, its own server and the one for moto, are thin skins around this file:
`recognise` tells what a request asks for, `answer` has the studio do it. In between, a request can
be counted, held up or spoilt. Neither signatures nor permissions are checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from greenroom.simulator._facts import OPERATIONS, RESOURCE_KINDS, StudioError

if TYPE_CHECKING:
    from greenroom.simulator._facts import KindName
    from greenroom.simulator._studio import Studio

JSON = {"Content-Type": "application/json"}

_TIMES = ("createdAt", "expiresAt", "startedAt", "stopAt", "stoppedAt", "terminateAt", "updatedAt")

_LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


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
    """A request for something that there is.

    Attributes:
        operation: The operation that it asks for.
        path: The decoded values in its path.
        request: The request.
    """

    operation: str
    path: dict[str, str]
    request: Request


def recognise(request: Request) -> Call | Reply:
    """Return what a request asks for, or the answer to one that is none of the service's."""
    segments = request.path.removeprefix("/").split("/")
    for name, method, pattern in _ROUTES:
        if request.method != method or len(segments) != len(pattern):
            continue
        values = {}
        for segment, wanted in zip(segments, pattern, strict=True):
            if wanted.startswith("{"):
                values[wanted[1:-1]] = unquote(segment)
            elif segment != wanted:
                break
        else:
            return Call(name, values, request)
    message = f"there is no operation {request.method} {request.path}"
    return refuse(StudioError("ResourceNotFoundException", message))


def answer(studio: Studio, call: Call, now: float) -> Reply:
    """Carry out a call on a studio at `now`, in simulated epoch seconds.

    Everything that is wrong with the call is answered as the service would; nothing is raised.
    """
    request = call.request
    try:
        studio.get_resource("studios", call.path["studioId"])
        token = request.headers.get("X-Amz-Client-Token")
        inputs = Inputs(call.path, request.query, token, _object(request.body))
        output = _HANDLERS[call.operation](studio, now, inputs)
        return Reply(200, json.dumps(output).encode(), JSON)
    except StudioError as error:
        return refuse(error)


def refuse(error: StudioError) -> Reply:
    """Return an error the way the service sends it."""
    words = re.findall(r"[A-Z][a-z]+", error.code.removesuffix("Exception"))
    body = {"message": error.message, "code": "_".join(words).upper(), "context": {}}
    headers = {**JSON, "x-amzn-ErrorType": error.code}
    return Reply(error.status, json.dumps(body).encode(), headers)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StudioError("ValidationException", "the body must be a JSON object")
    return value


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of an operation, from the four places they may be in.

    The methods look into the body, and raise ValidationException for a value of another type.

    Attributes:
        path: The decoded values in the path.
        query: The decoded query.
        client_token: The client token, which travels in a header.
        body: The body.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    client_token: str | None
    body: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """Return a string, or None."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise StudioError("ValidationException", f"{name} must be a string")
        return value

    def required_text(self, name: str) -> str:
        """Return a string that must be there."""
        value = self.text(name)
        if not value:
            raise StudioError("ValidationException", f"{name} is required")
        return value

    def whole_number(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self.body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise StudioError("ValidationException", f"{name} must be a whole number")
        return value

    def texts_by_name(self, name: str) -> dict[str, str] | None:
        """Return a table of strings, or None."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise StudioError("ValidationException", f"{name} must map strings to strings")
        return value


def _rendered(resource: dict[str, Any]) -> dict[str, Any]:
    return resource | {name: _iso(resource[name]) for name in _TIMES if name in resource}


def _iso(epoch: float) -> str:
    moment = datetime.fromtimestamp(min(epoch, _LAST_MOMENT), UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _session(session: dict[str, Any]) -> dict[str, Any]:
    return {"session": _rendered(session)}


def _stream(stream: dict[str, Any]) -> dict[str, Any]:
    return {"stream": _rendered(stream)}


def _list_sessions(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    page = studio.list_sessions(
        now,
        session_ids=inputs.query.get("sessionIds"),
        created_by=inputs.query.get("createdBy"),
        owned_by=inputs.query.get("ownedBy"),
        next_token=inputs.query.get("nextToken"),
    )
    more = {"nextToken": page.next_token} if page.next_token else {}
    return {"sessions": [_rendered(session) for session in page.sessions], **more}


def _create_session(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _session(
        studio.create_session(
            now,
            launch_profile_id=inputs.required_text("launchProfileId"),
            streaming_image_id=inputs.text("streamingImageId"),
            instance_type=inputs.text("ec2InstanceType"),
            owner=inputs.text("ownedBy"),
            tags=inputs.texts_by_name("tags"),
            client_token=inputs.client_token,
        )
    )


def _start_session(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _session(
        studio.start_session(
            now,
            inputs.path["sessionId"],
            backup_id=inputs.text("backupId"),
            client_token=inputs.client_token,
        )
    )


def _stop_session(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _session(
        studio.stop_session(
            now,
            inputs.path["sessionId"],
            retention_mode=inputs.text("volumeRetentionMode"),
            client_token=inputs.client_token,
        )
    )


def _delete_session(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _session(
        studio.delete_session(now, inputs.path["sessionId"], client_token=inputs.client_token)
    )


def _get_session(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _session(studio.get_session(now, inputs.path["sessionId"]))


def _create_stream(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _stream(
        studio.create_stream(
            now,
            inputs.path["sessionId"],
            expiration=inputs.whole_number("expirationInSeconds"),
            client_token=inputs.client_token,
        )
    )


def _get_stream(studio: Studio, now: float, inputs: Inputs) -> dict[str, Any]:
    return _stream(studio.get_stream(now, inputs.path["sessionId"], inputs.path["streamId"]))


def _get_resource(kind: KindName) -> _Handler:
    facts = RESOURCE_KINDS[kind]

    def handle(studio: Studio, _now: float, inputs: Inputs) -> dict[str, Any]:
        return {facts.member: studio.get_resource(kind, inputs.path[facts.identifier])}

    return handle


_Handler = Callable[["Studio", float, Inputs], dict[str, Any]]

_HANDLERS: dict[str, _Handler] = {
    "CreateStreamingSession": _create_session,
    "CreateStreamingSessionStream": _create_stream,
    "DeleteStreamingSession": _delete_session,
    "GetLaunchProfile": _get_resource("launch_profiles"),
    "GetStreamingImage": _get_resource("streaming_images"),
    "GetStreamingSession": _get_session,
    "GetStreamingSessionStream": _get_stream,
    "GetStudio": _get_resource("studios"),
    "GetStudioComponent": _get_resource("studio_components"),
    "ListStreamingSessions": _list_sessions,
    "StartStreamingSession": _start_session,
    "StopStreamingSession": _stop_session,
}

_ROUTES = tuple(
    (operation.name, operation.method, tuple(operation.path.removeprefix("/").split("/")))
    for operation in OPERATIONS.values()
)
