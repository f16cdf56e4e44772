"""Our service model against the facts of API version 2020-08-01, as botocore reads it.

The facts stand here as literal data. In `OPERATIONS`, `!` marks a required input, and each input
says where it travels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from greenroom.sources import nimble

STUDIOS = "/2020-08-01/studios/{studioId}"

OPERATIONS: dict[str, tuple[str, str, str, str]] = {
    "GetStreamingSession": (
        "GET",
        "/streaming-sessions/{sessionId}",
        "sessionId!:String@uri studioId!:String@uri",
        "session:StreamingSession",
    ),
    "ListStreamingSessions": (
        "GET",
        "/streaming-sessions",
        """
        createdBy:String@querystring nextToken:String@querystring ownedBy:String@querystring
        sessionIds:String@querystring studioId!:String@uri
        """,
        "nextToken:String sessions:StreamingSessionList",
    ),
    "CreateStreamingSession": (
        "POST",
        "/streaming-sessions",
        """
        clientToken:ClientToken@header ec2InstanceType:StreamingInstanceType@body
        launchProfileId!:String@body ownedBy:String@body
        streamingImageId:StreamingImageId@body studioId!:String@uri tags:Tags@body
        """,
        "session:StreamingSession",
    ),
    "StartStreamingSession": (
        "POST",
        "/streaming-sessions/{sessionId}/start",
        """
        backupId:String@body clientToken:ClientToken@header sessionId!:String@uri
        studioId!:String@uri
        """,
        "session:StreamingSession",
    ),
    "StopStreamingSession": (
        "POST",
        "/streaming-sessions/{sessionId}/stop",
        """
        clientToken:ClientToken@header sessionId!:String@uri studioId!:String@uri
        volumeRetentionMode:VolumeRetentionMode@body
        """,
        "session:StreamingSession",
    ),
    "DeleteStreamingSession": (
        "DELETE",
        "/streaming-sessions/{sessionId}",
        "clientToken:ClientToken@header sessionId!:String@uri studioId!:String@uri",
        "session:StreamingSession",
    ),
    "CreateStreamingSessionStream": (
        "POST",
        "/streaming-sessions/{sessionId}/streams",
        """
        clientToken:ClientToken@header
        expirationInSeconds:StreamingSessionStreamExpirationInSeconds@body
        sessionId!:String@uri studioId!:String@uri
        """,
        "stream:StreamingSessionStream",
    ),
    "GetStreamingSessionStream": (
        "GET",
        "/streaming-sessions/{sessionId}/streams/{streamId}",
        "sessionId!:String@uri streamId!:String@uri studioId!:String@uri",
        "stream:StreamingSessionStream",
    ),
    "GetStreamingSessionBackup": (
        "GET",
        "/streaming-session-backups/{backupId}",
        "backupId!:String@uri studioId!:String@uri",
        "streamingSessionBackup:StreamingSessionBackup",
    ),
    "ListStreamingSessionBackups": (
        "GET",
        "/streaming-session-backups",
        "nextToken:String@querystring ownedBy:String@querystring studioId!:String@uri",
        "nextToken:String streamingSessionBackups:StreamingSessionBackupList",
    ),
    "GetLaunchProfile": (
        "GET",
        "/launch-profiles/{launchProfileId}",
        "launchProfileId!:String@uri studioId!:String@uri",
        "launchProfile:LaunchProfile",
    ),
    "GetStreamingImage": (
        "GET",
        "/streaming-images/{streamingImageId}",
        "streamingImageId!:String@uri studioId!:String@uri",
        "streamingImage:StreamingImage",
    ),
    "GetStudioComponent": (
        "GET",
        "/studio-components/{studioComponentId}",
        "studioComponentId!:String@uri studioId!:String@uri",
        "studioComponent:StudioComponent",
    ),
    "GetStudio": (
        "GET",
        "",
        "studioId!:String@uri",
        "studio:Studio",
    ),
}

ENUMS = {
    "AutomaticTerminationMode": "DEACTIVATED ACTIVATED",
    "SessionBackupMode": "AUTOMATIC DEACTIVATED",
    "SessionPersistenceMode": "DEACTIVATED ACTIVATED",
    "StreamingSessionState": """
        CREATE_IN_PROGRESS DELETE_IN_PROGRESS READY DELETED CREATE_FAILED DELETE_FAILED
        STOP_IN_PROGRESS START_IN_PROGRESS STOPPED STOP_FAILED START_FAILED
    """,
    "StreamingSessionStatusCode": """
        STREAMING_SESSION_READY STREAMING_SESSION_DELETED STREAMING_SESSION_CREATE_IN_PROGRESS
        STREAMING_SESSION_DELETE_IN_PROGRESS INTERNAL_ERROR INSUFFICIENT_CAPACITY
        ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR NETWORK_CONNECTION_ERROR INITIALIZATION_SCRIPT_ERROR
        DECRYPT_STREAMING_IMAGE_ERROR NETWORK_INTERFACE_ERROR STREAMING_SESSION_STOPPED
        STREAMING_SESSION_STARTED STREAMING_SESSION_STOP_IN_PROGRESS
        STREAMING_SESSION_START_IN_PROGRESS AMI_VALIDATION_ERROR
    """,
    "VolumeRetentionMode": "RETAIN DELETE",
    "StreamingInstanceType": """
        g4dn.xlarge g4dn.2xlarge g4dn.4xlarge g4dn.8xlarge g4dn.12xlarge g4dn.16xlarge
        g3.4xlarge g3s.xlarge g5.xlarge g5.2xlarge g5.4xlarge g5.8xlarge g5.16xlarge
    """,
    "StreamingSessionStreamState": """
        READY CREATE_IN_PROGRESS DELETE_IN_PROGRESS DELETED CREATE_FAILED DELETE_FAILED
    """,
    "StreamingSessionStreamStatusCode": """
        STREAM_CREATE_IN_PROGRESS STREAM_READY STREAM_DELETE_IN_PROGRESS STREAM_DELETED
        INTERNAL_ERROR NETWORK_CONNECTION_ERROR
    """,
    "LaunchProfileState": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS DELETE_IN_PROGRESS DELETED DELETE_FAILED
        CREATE_FAILED UPDATE_FAILED
    """,
    "StreamingImageState": """
        CREATE_IN_PROGRESS READY DELETE_IN_PROGRESS DELETED UPDATE_IN_PROGRESS UPDATE_FAILED
        CREATE_FAILED DELETE_FAILED
    """,
    "StudioComponentState": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS DELETE_IN_PROGRESS DELETED DELETE_FAILED
        CREATE_FAILED UPDATE_FAILED
    """,
    "StudioState": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS DELETE_IN_PROGRESS DELETED DELETE_FAILED
        CREATE_FAILED UPDATE_FAILED
    """,
}

STRUCTURES = {
    "StreamingSession": """
        arn:String automaticTerminationMode:AutomaticTerminationMode
        backupMode:SessionBackupMode createdAt:Timestamp createdBy:String ec2InstanceType:String
        launchProfileId:String maxBackupsToRetain:StreamConfigurationMaxBackupsToRetain
        ownedBy:String sessionId:StreamingSessionId
        sessionPersistenceMode:SessionPersistenceMode startedAt:Timestamp startedBy:String
        startedFromBackupId:String state:StreamingSessionState
        statusCode:StreamingSessionStatusCode statusMessage:String stopAt:Timestamp
        stoppedAt:Timestamp stoppedBy:String streamingImageId:StreamingImageId tags:Tags
        terminateAt:Timestamp updatedAt:Timestamp updatedBy:String
        volumeConfiguration:VolumeConfiguration volumeRetentionMode:VolumeRetentionMode
    """,
    "VolumeConfiguration": """
        iops:VolumeIops size:VolumeSizeInGiB throughput:VolumeThroughputInMiBs
    """,
    "StreamingSessionStream": """
        createdAt:Timestamp createdBy:String expiresAt:Timestamp ownedBy:String
        state:StreamingSessionStreamState statusCode:StreamingSessionStreamStatusCode
        streamId:String url:SensitiveString
    """,
    "StreamingSessionBackup": """
        arn:String backupId:String createdAt:Timestamp launchProfileId:String ownedBy:String
        sessionId:StreamingSessionId state:StreamingSessionState
        statusCode:StreamingSessionStatusCode statusMessage:String tags:Tags
    """,
}

LIMITS: dict[str, dict[str, Any]] = {
    "StreamConfigurationMaxBackupsToRetain": {"type": "integer", "min": 0, "max": 10},
    "StreamingImageId": {"type": "string", "min": 0, "max": 22, "pattern": "^[a-zA-Z0-9-_]*$"},
    "VolumeIops": {"type": "integer", "min": 3000, "max": 16000},
    "VolumeSizeInGiB": {"type": "integer", "min": 100, "max": 16000},
    "VolumeThroughputInMiBs": {"type": "integer", "min": 125, "max": 1000},
    "ClientToken": {"type": "string", "min": 1, "max": 64},
    "StreamingSessionStreamExpirationInSeconds": {"type": "integer", "min": 60, "max": 3600},
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

WORTH_ANOTHER_TRY = {
    "ThrottlingException": {"throttling": True},
    "InternalServerErrorException": {"throttling": False},
}

RESOURCES = {
    "LaunchProfile": "launchProfileId",
    "StreamingImage": "streamingImageId",
    "StudioComponent": "studioComponentId",
    "Studio": "studioId",
}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    folder = str(Path(nimble.__file__).with_name("data"))
    loader = Loader(extra_search_paths=[folder], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model("nimble", "service-2"), "nimble")


def members(shape: Any) -> dict[str, str]:
    return {name: member.name for name, member in shape.members.items()}


def table(text: str) -> dict[str, str]:
    return dict(entry.split(":") for entry in text.split())


def test_the_model_names_the_service(model: ServiceModel) -> None:
    assert model.api_version == "2020-08-01"
    assert model.resolved_protocol == "rest-json"
    assert model.signature_version == "v4"
    assert model.signing_name == model.endpoint_prefix == "nimble"
    assert str(model.service_id) == "nimble"


def test_the_model_has_the_operations_that_are_used_and_no_others(model: ServiceModel) -> None:
    assert {*model.operation_names} == {*OPERATIONS}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_its_path_inputs_output_and_errors(model: ServiceModel, name: str) -> None:
    method, path, inputs, output = OPERATIONS[name]
    operation = model.operation_model(name)
    assert operation.http == {"method": method, "requestUri": STUDIOS + path, "responseCode": 200}
    found = {
        f"{field}{'!' * (field in operation.input_shape.required_members)}"
        f":{member.name}@{member.serialization.get('location', 'body')}"
        for field, member in operation.input_shape.members.items()
    }
    assert found == {*inputs.split()}
    assert members(operation.output_shape) == table(output)
    assert {error.name for error in operation.error_shapes} == {*ERRORS}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_client_token_is_an_idempotency_token_in_its_header(
    model: ServiceModel, name: str
) -> None:
    operation = model.operation_model(name)
    assert operation.idempotent_members == (
        ["clientToken"] if "clientToken" in operation.input_shape.members else []
    )
    for token in operation.idempotent_members:
        place = operation.input_shape.members[token].serialization
        assert place == {"location": "header", "name": "X-Amz-Client-Token"}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_has_its_members(model: ServiceModel, name: str) -> None:
    assert members(model.shape_for(name)) == table(STRUCTURES[name])


@pytest.mark.parametrize("name", ENUMS)
def test_an_enumeration_has_its_values(model: ServiceModel, name: str) -> None:
    shape = model.shape_for(name)
    assert shape.type_name == "string"
    assert shape.metadata["enum"] == ENUMS[name].split()


@pytest.mark.parametrize("name", LIMITS)
def test_a_value_has_its_limits(model: ServiceModel, name: str) -> None:
    shape = model.shape_for(name)
    assert {"type": shape.type_name} | shape.metadata == LIMITS[name]


def test_times_are_iso_8601(model: ServiceModel) -> None:
    shape = model.shape_for("Timestamp")
    assert shape.type_name == "timestamp"
    assert shape.serialization["timestampFormat"] == "iso8601"


def test_tags_are_text_by_text(model: ServiceModel) -> None:
    tags = model.shape_for("Tags")
    assert (tags.type_name, tags.key.name, tags.value.name) == ("map", "String", "String")


@pytest.mark.parametrize("item", ["StreamingSession", "StreamingSessionBackup"])
def test_a_list_is_of_its_items(model: ServiceModel, item: str) -> None:
    assert model.shape_for(f"{item}List").member.name == item


def test_the_url_of_a_stream_is_sensitive(model: ServiceModel) -> None:
    url = model.shape_for("StreamingSessionStream").members["url"]
    assert url.name == "SensitiveString"
    assert url.metadata["sensitive"] is True


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_its_status_and_members(model: ServiceModel, name: str) -> None:
    shape = model.shape_for(name)
    assert shape.metadata["exception"] is True
    assert shape.metadata["error"]["httpStatusCode"] == ERRORS[name]
    assert shape.metadata["error"].get("senderFault", False) is (ERRORS[name] < 500)
    assert shape.metadata.get("retryable") == WORTH_ANOTHER_TRY.get(name)
    assert members(shape) == {"message": "String", "code": "String", "context": "ExceptionContext"}
    assert shape.members["context"].type_name == "map"


@pytest.mark.parametrize("name", RESOURCES)
def test_what_else_is_in_a_studio_tells_its_id_and_state(model: ServiceModel, name: str) -> None:
    told = members(model.shape_for(name))
    assert told["state"] == f"{name}State"
    assert {RESOURCES[name], "arn", "createdAt", "updatedAt", "statusCode", "statusMessage"} < {
        *told
    }


def test_the_model_holds_no_prose(model: ServiceModel) -> None:
    shapes = [model.shape_for(name) for name in model.shape_names]
    assert {shape.documentation for shape in shapes} == {""}
    assert {model.operation_model(name).documentation for name in OPERATIONS} == {""}
