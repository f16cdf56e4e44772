"""The typed view of a session."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from greenroom.sources.nimble import StreamingSession, VolumeConfiguration

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)

RESOURCE: dict[str, Any] = {
    "arn": "arn:aws:nimble:::s-1",
    "automaticTerminationMode": "ACTIVATED",
    "backupMode": "AUTOMATIC",
    "createdAt": NOON,
    "createdBy": "ann",
    "ec2InstanceType": "g4dn.xlarge",
    "launchProfileId": "p-1",
    "maxBackupsToRetain": 0,
    "ownedBy": "bob",
    "sessionId": "s-1",
    "sessionPersistenceMode": "ACTIVATED",
    "startedAt": NOON,
    "startedBy": "ann",
    "startedFromBackupId": "b-1",
    "state": "READY",
    "statusCode": "STREAMING_SESSION_READY",
    "statusMessage": "ready",
    "stopAt": NOON,
    "stoppedAt": NOON,
    "stoppedBy": "ann",
    "streamingImageId": "i-1",
    "tags": {"show": "x"},
    "terminateAt": NOON,
    "updatedAt": NOON,
    "updatedBy": "ann",
    "volumeConfiguration": {"iops": 3000, "size": 500, "throughput": 125},
    "volumeRetentionMode": "RETAIN",
}

VIEW = {
    "arn": "arn:aws:nimble:::s-1",
    "automatic_termination_mode": "ACTIVATED",
    "backup_mode": "AUTOMATIC",
    "created_at": NOON,
    "created_by": "ann",
    "ec2_instance_type": "g4dn.xlarge",
    "launch_profile_id": "p-1",
    "max_backups_to_retain": 0,
    "owned_by": "bob",
    "session_id": "s-1",
    "session_persistence_mode": "ACTIVATED",
    "started_at": NOON,
    "started_by": "ann",
    "started_from_backup_id": "b-1",
    "state": "READY",
    "status_code": "STREAMING_SESSION_READY",
    "status_message": "ready",
    "stop_at": NOON,
    "stopped_at": NOON,
    "stopped_by": "ann",
    "streaming_image_id": "i-1",
    "tags": {"show": "x"},
    "terminate_at": NOON,
    "updated_at": NOON,
    "updated_by": "ann",
    "volume_configuration": {"iops": 3000, "size": 500, "throughput": 125},
    "volume_retention_mode": "RETAIN",
}


def test_every_one_of_the_27_members_has_its_name() -> None:
    view = StreamingSession.from_resource(RESOURCE)
    assert asdict(view) == VIEW
    assert len(fields(view)) == 27
    assert view.volume_configuration == VolumeConfiguration(iops=3000, size=500, throughput=125)


def test_what_the_service_does_not_say_is_none() -> None:
    view = asdict(StreamingSession.from_resource({"sessionId": "s-1", "state": "READY"}))
    assert (view.pop("session_id"), view.pop("state")) == ("s-1", "READY")
    assert {*view.values()} == {None}


def test_members_that_it_does_not_know_are_left_out() -> None:
    tomorrow = RESOURCE | {
        "memberOfTomorrow": 1,
        "volumeConfiguration": {"size": 100, "colour": "red"},
    }
    view = StreamingSession.from_resource(tomorrow)
    assert view.volume_configuration == VolumeConfiguration(size=100)


def test_times_may_still_be_text() -> None:
    view = StreamingSession.from_resource(RESOURCE | {"updatedAt": "2024-01-02T12:00:00Z"})
    assert view == StreamingSession.from_resource(RESOURCE)


def test_a_time_that_is_none_is_left_out() -> None:
    view = StreamingSession.from_resource(RESOURCE | {"updatedAt": "yesterday"})
    assert view.updated_at is None


@pytest.mark.parametrize("missing", ["sessionId", "state"])
def test_without_id_or_state_it_is_no_session(missing: str) -> None:
    with pytest.raises(ValueError, match="no streaming session"):
        StreamingSession.from_resource(RESOURCE | {missing: None})


def test_a_view_is_frozen_and_hashable() -> None:
    view = StreamingSession.from_resource(RESOURCE)
    assert {view: 1}[StreamingSession.from_resource(RESOURCE)] == 1
    with pytest.raises(FrozenInstanceError):
        view.state = "STOPPED"  # type: ignore[misc]  # on purpose
