"""The service's own words and numbers: what the simulator keeps to, as plain data.

Everything else in this package is behaviour. These are the facts that behaviour must agree with:
operations and their addresses, errors and their HTTP status, and the enumerations that a request is
checked against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service.

    Attributes:
        name: Its name, such as `GetStreamingSession`.
        method: The HTTP method.
        path: The path, with the names of its variable segments in braces.
    """

    name: str
    method: str
    path: str

    @property
    def reads(self) -> bool:
        """Whether the operation only looks, and changes nothing."""
        return self.method == "GET"


_STUDIO = "/2020-08-01/studios/{studioId}"
_SESSIONS = f"{_STUDIO}/streaming-sessions"
_SESSION = f"{_SESSIONS}/{{sessionId}}"

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("CreateStreamingSession", "POST", _SESSIONS),
        Operation("CreateStreamingSessionStream", "POST", f"{_SESSION}/streams"),
        Operation("DeleteStreamingSession", "DELETE", _SESSION),
        Operation("GetLaunchProfile", "GET", f"{_STUDIO}/launch-profiles/{{launchProfileId}}"),
        Operation("GetStreamingImage", "GET", f"{_STUDIO}/streaming-images/{{streamingImageId}}"),
        Operation("GetStreamingSession", "GET", _SESSION),
        Operation("GetStreamingSessionStream", "GET", f"{_SESSION}/streams/{{streamId}}"),
        Operation("GetStudio", "GET", _STUDIO),
        Operation(
            "GetStudioComponent", "GET", f"{_STUDIO}/studio-components/{{studioComponentId}}"
        ),
        Operation("ListStreamingSessions", "GET", _SESSIONS),
        Operation("StartStreamingSession", "POST", f"{_SESSION}/start"),
        Operation("StopStreamingSession", "POST", f"{_SESSION}/stop"),
    )
}

ERRORS = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "InternalServerErrorException": 500,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""The seven errors, each with its HTTP status."""


class StudioError(Exception):
    """One of these errors: the studio's only way to refuse a request.

    Attributes:
        code: One of the service's seven errors, such as `ConflictException`.
        message: What is wrong, for people.
        status: The HTTP status that goes with the code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = ERRORS[code]


INSTANCE_TYPES = (
    *(f"g4dn.{size}xlarge" for size in ("", "2", "4", "8", "12", "16")),
    "g3.4xlarge",
    "g3s.xlarge",
    *(f"g5.{size}xlarge" for size in ("", "2", "4", "8", "16")),
)

ActionName = Literal["create", "start", "stop", "delete"]
"""What a caller can do with a session."""

RETENTION_MODES = ("RETAIN", "DELETE")

SESSION_FAULTS = {
    "INTERNAL_ERROR": "Something broke inside the service.",
    "INSUFFICIENT_CAPACITY": "No instance of this type is free right now.",
    "ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR": "The instance could not join the directory's domain.",
    "NETWORK_CONNECTION_ERROR": "The instance lost its connection to the network.",
    "INITIALIZATION_SCRIPT_ERROR": "A start-up script ended with an error.",
    "DECRYPT_STREAMING_IMAGE_ERROR": "The streaming image could not be decrypted.",
    "NETWORK_INTERFACE_ERROR": "The network interface could not be attached.",
    "AMI_VALIDATION_ERROR": "The machine image is not one that can be streamed.",
}
"""The status codes that explain a session's failure, each with the simulator's message."""

STREAM_FAULTS = ("INTERNAL_ERROR", "NETWORK_CONNECTION_ERROR")
"""The status codes that explain a stream's failure."""

_COMMON_STATES = (
    *("CREATE_IN_PROGRESS", "READY", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"),
    *("DELETED", "DELETE_FAILED", "CREATE_FAILED", "UPDATE_FAILED"),
)


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of resource that the simulator knows by id and state only.

    Attributes:
        noun: What people call it.
        member: The key that wraps it in an answer.
        identifier: The member that holds its id.
        arn_type: The word that stands for it in an ARN.
        states: The states that it can be in.
    """

    noun: str
    member: str
    identifier: str
    arn_type: str
    states: tuple[str, ...] = _COMMON_STATES


KindName = Literal["launch_profiles", "streaming_images", "studio_components", "studios"]

RESOURCE_KINDS: dict[KindName, ResourceKind] = {
    "launch_profiles": ResourceKind(
        "launch profile", "launchProfile", "launchProfileId", "launch-profile"
    ),
    "streaming_images": ResourceKind(
        "streaming image", "streamingImage", "streamingImageId", "streaming-image"
    ),
    "studio_components": ResourceKind(
        "studio component", "studioComponent", "studioComponentId", "studio-component"
    ),
    "studios": ResourceKind("studio", "studio", "studioId", "studio"),
}
"""The four kinds that stand still, by the name of the settings table that seeds them."""
