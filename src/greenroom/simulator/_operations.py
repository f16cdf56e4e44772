"""Each operation of the service, between its inputs and outputs on the wire and the studio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from greenroom.simulator._errors import StudioError
from greenroom.simulator._facts import RESOURCE_KINDS

if TYPE_CHECKING:
    from greenroom.simulator._studio import Studio

_TIMES = ("createdAt", "expiresAt", "startedAt", "stopAt", "stoppedAt", "terminateAt", "updatedAt")

_LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


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


def _get_resource(kind: str) -> Handler:
    facts = RESOURCE_KINDS[kind]

    def handle(studio: Studio, _now: float, inputs: Inputs) -> dict[str, Any]:
        return {facts.member: studio.get_resource(kind, inputs.path[facts.identifier])}

    return handle


Handler = Callable[["Studio", float, Inputs], dict[str, Any]]

HANDLERS: dict[str, Handler] = {
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
