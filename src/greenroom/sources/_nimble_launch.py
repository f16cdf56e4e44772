"""What a launch has to know of Nimble Studio: what is asked for, what is done about failures."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar

from greenroom._errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unavailable,
)
from greenroom._launch_kind import Deed, LaunchKind, Streams, register
from greenroom._remedies import UNKNOWN, Action, Remedies, Remedy
from greenroom._specs import (
    Check,
    Choice,
    WorkstationSpec,
    an_id,
    hint,
    several,
    tags,
)
from greenroom._specs import read_specs as read_specs_of
from greenroom.sources import _nimble_model as model
from greenroom.sources._nimble_tables import SESSION_STREAM, STREAMING_SESSION


def _instance_type(value: Any) -> str | None:
    known = model.instance_types()
    return None if value in known else f"{value!r} is no instance type; {hint(value, known)}"


def _image_id(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not model.image_id().fullmatch(value):
        yield (
            f"{name}={value!r} is no image id, which has 1 to 22 letters, digits, "
            "hyphens and underscores"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec(WorkstationSpec):
    """One workstation that is wanted of Nimble Studio.

    Attributes:
        key: Its name in this launch, and in its account. Unique.
        launch_profile_id: The launch profile that it is made from.
        streaming_image_id: The image that it streams; None for the profile's own.
        instance_types: The types of machine that will do, the most wanted first; empty for the
            profile's own.
        owner: Who is to own it; None for whoever asks.
        tags: Its tags.
    """

    kind: ClassVar[str] = STREAMING_SESSION.kind
    other_names: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "launchProfileId": "launch_profile_id",
            "streamingImageId": "streaming_image_id",
            "instance_type": "instance_types",
            "instanceType": "instance_types",
            "instanceTypes": "instance_types",
            "ec2InstanceType": "instance_types",
            "ownedBy": "owner",
            "owned_by": "owner",
        }
    )
    needed: ClassVar[tuple[str, ...]] = ("launch_profile_id",)
    checks: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {
            "launch_profile_id": an_id,
            "streaming_image_id": _image_id,
            "instance_types": several("g4dn.xlarge", _instance_type),
            "owner": an_id,
            "tags": tags,
        }
    )

    launch_profile_id: str
    streaming_image_id: str | None = None
    instance_types: tuple[str, ...] = ()
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def choices(self) -> tuple[Choice, ...]:
        """Return its instance types; or the profile's own, which is no choice."""
        return tuple({"instance_type": each} for each in self.instance_types) or ({},)


def read_specs(
    lines: Iterable[str], *, defaults: Mapping[str, Any] | None = None
) -> tuple[SessionSpec, ...]:
    """Return the specs that JSON Lines tell, checked; blank lines are passed over.

    Args:
        lines: A JSON object each, with the fields of `SessionSpec`.
        defaults: Fields for the lines that do not have them.

    Raises:
        SpecError: There are none, or some cannot be right. Every problem is named with its line,
            counted from 1.
    """
    return read_specs_of(lines, SessionSpec, defaults=defaults)


REMEDIES = Remedies(
    {
        # Status codes: a session was made, and failed.
        "INSUFFICIENT_CAPACITY": Remedy(
            Action.NEXT_CHOICE,
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
            Action.STOP,
            "Give the caller the right that the message names, or renew its credentials.",
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
    },
    by_error={
        AccessDenied: "AccessDeniedException",
        InvalidRequest: "ValidationException",
        NotFound: "ResourceNotFoundException",
        Conflict: "ConflictException",
        QuotaExceeded: "ServiceQuotaExceededException",
        Throttled: "ThrottlingException",
        Unavailable: "InternalServerErrorException",
    },
)
"""What each cause asks for, by status code or error code."""


def _create_stream(
    studio: Any, session_id: str, token: str, expires_in: int | None
) -> Awaitable[str]:
    made: Awaitable[str] = studio.create_stream(
        session_id, client_token=token, expires_in=expires_in
    )
    return made


def _access(stream: Mapping[str, Any]) -> tuple[datetime | None, str | None]:
    expires_at, url = stream.get("expiresAt"), stream.get("url")
    return (
        expires_at if isinstance(expires_at, datetime) else None,
        url if isinstance(url, str) else None,
    )


SESSION_LAUNCH = register(
    LaunchKind(
        table=STREAMING_SESSION,
        spec=SessionSpec,
        remedies=REMEDIES,
        made="CREATE_IN_PROGRESS",
        ready="READY",
        deeds={
            "start": Deed(action="start", goal="READY"),
            "stop": Deed(action="stop", goal="STOPPED"),
            "delete": Deed(action="delete", goal="DELETED"),
        },
        streams=Streams(
            source=lambda studio: studio.streams,
            create=_create_stream,
            ready=SESSION_STREAM.goals[0],
            expiry=model.stream_expiry,
            access=_access,
        ),
    )
)


class SessionLaunches:
    """What makes a source of sessions that has `create_session` one that launches them."""

    launches: ClassVar[LaunchKind] = SESSION_LAUNCH

    async def create_sessions(
        self,
        spec: SessionSpec,
        choice: Choice,
        *,
        count: int,  # noqa: ARG002  # it is always one
        client_token: str,
    ) -> Mapping[int, str]:
        """Ask for the session of a spec, and return its id, at place 0."""
        create: Any = self.create_session  # type: ignore[attr-defined]  # what this is mixed into has it
        made = await create(
            launch_profile_id=spec.launch_profile_id,
            streaming_image_id=spec.streaming_image_id,
            instance_type=choice.get("instance_type"),
            owner=spec.owner,
            tags=spec.tags or None,
            client_token=client_token,
        )
        return {0: made}
