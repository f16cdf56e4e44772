"""A streaming session with names, types and completion, from the service's own dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from greenroom.sources._aws_json import moment


@dataclass(frozen=True, slots=True)
class VolumeConfiguration:
    """The volume that a persistent session keeps.

    Attributes:
        iops: Operations per second, 3,000 to 16,000.
        size: GiB, 100 to 16,000.
        throughput: MiB per second, 125 to 1,000.
    """

    iops: int | None = None
    size: int | None = None
    throughput: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingSession:
    """All that the service tells about a streaming session; None where it does not say.

    Attributes:
        session_id: The session's id.
        state: The state, such as `READY`.
        arn: The Amazon resource name.
        automatic_termination_mode: `ACTIVATED` or `DEACTIVATED`.
        backup_mode: `AUTOMATIC` or `DEACTIVATED`.
        created_at: When it was created, aware; so are all times here.
        created_by: Who created it.
        ec2_instance_type: The type of its machine.
        launch_profile_id: The launch profile it was made from.
        max_backups_to_retain: How many backups are kept, 0 to 10.
        owned_by: Who owns it.
        session_persistence_mode: `ACTIVATED` or `DEACTIVATED`.
        started_at: When it last started.
        started_by: Who last started it.
        started_from_backup_id: The backup it was started from.
        status_code: Why it is in its state.
        status_message: The same, as a sentence.
        stop_at: When the service will stop it by itself.
        stopped_at: When it last stopped.
        stopped_by: Who last stopped it.
        streaming_image_id: The image it runs.
        tags: Its tags.
        terminate_at: When the service will delete it by itself.
        updated_at: When it last changed.
        updated_by: Who last changed it.
        volume_configuration: The volume it keeps while stopped.
        volume_retention_mode: `RETAIN` or `DELETE`, once stopped.
    """

    session_id: str
    state: str
    arn: str | None = None
    automatic_termination_mode: str | None = None
    backup_mode: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    ec2_instance_type: str | None = None
    launch_profile_id: str | None = None
    max_backups_to_retain: int | None = None
    owned_by: str | None = None
    session_persistence_mode: str | None = None
    started_at: datetime | None = None
    started_by: str | None = None
    started_from_backup_id: str | None = None
    status_code: str | None = None
    status_message: str | None = None
    stop_at: datetime | None = None
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    streaming_image_id: str | None = None
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    terminate_at: datetime | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None
    volume_configuration: VolumeConfiguration | None = None
    volume_retention_mode: str | None = None

    @classmethod
    def from_resource(cls, resource: Mapping[str, Any]) -> StreamingSession:
        """Return the view of a session as the service wrote it.

        Args:
            resource: `result.resource`, `observation.resource`, or the `session` of an answer.
                Times may be datetimes or ISO 8601 texts; what is neither counts as not said.
                Members that this class does not know are left out.

        Raises:
            ValueError: There is no `sessionId` or no `state`.
        """
        if not (resource.get("sessionId") and resource.get("state")):
            raise ValueError("this is no streaming session: it has no sessionId or no state")
        known = {name: _value(name, resource.get(wire)) for name, wire in _WIRE_NAMES.items()}
        return cls(**known)


def _value(name: str, told: Any) -> Any:
    if name.endswith("_at"):
        read = moment(told)
        return read if isinstance(read, datetime) else None
    if name == "volume_configuration" and isinstance(told, Mapping):
        return VolumeConfiguration(told.get("iops"), told.get("size"), told.get("throughput"))
    return told


def _wire_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


_WIRE_NAMES = {member.name: _wire_name(member.name) for member in fields(StreamingSession)}
