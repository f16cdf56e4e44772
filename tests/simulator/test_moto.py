from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("moto")

import aiobotocore.session
import botocore.session
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backend_index import backend_url_patterns
from moto.server import ThreadedMotoServer

from greenroom.simulator import Clock, Settings
from greenroom.simulator.moto import SERVICE_MODELS, install, nimble_backends

T0 = 1_700_000_000.0

KEYS = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}


@pytest.fixture
def clock() -> Clock:
    clock = Clock(lambda: T0)
    install(Settings.from_table({"create": {"sigma": 0}}), clock)
    return clock


@pytest.fixture
def endpoint_url(clock: Clock) -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client(region_name: str = "us-west-2", **options: Any) -> Any:
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
    return session.create_client("nimble", region_name=region_name, **options)


@asynccontextmanager
async def async_client(endpoint_url: str) -> Any:
    session = aiobotocore.session.AioSession()
    session.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
    create_client: Any = session.create_client
    async with create_client(
        "nimble", region_name="us-west-2", endpoint_url=endpoint_url, **KEYS
    ) as nimble:
        yield nimble


def walk_through(nimble: Any, clock: Clock) -> None:
    session = nimble.create_streaming_session(studioId="any", launchProfileId="lp")["session"]
    which = {"studioId": "any", "sessionId": session["sessionId"]}
    assert session["state"] == "CREATE_IN_PROGRESS"

    clock.advance(150)
    assert nimble.get_streaming_session(**which)["session"]["state"] == "READY"

    stream = nimble.create_streaming_session_stream(**which)["stream"]
    clock.advance(60)
    shown = nimble.get_streaming_session_stream(**which, streamId=stream["streamId"])["stream"]
    assert shown["state"] == "READY"

    stopping = nimble.stop_streaming_session(**which, volumeRetentionMode="RETAIN")["session"]
    assert stopping["state"] == "STOP_IN_PROGRESS"
    with pytest.raises(ClientError) as caught:
        nimble.start_streaming_session(**which)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    clock.advance(600)
    nimble.start_streaming_session(**which)
    clock.advance(600)
    nimble.delete_streaming_session(**which)
    clock.advance(600)

    listed = nimble.list_streaming_sessions(studioId="any", sessionIds=which["sessionId"])
    assert [each["state"] for each in listed["sessions"]] == ["DELETED"]


def test_a_botocore_client_is_answered_within_the_process(clock: Clock) -> None:
    with mock_aws():
        walk_through(client(), clock)


def test_a_botocore_client_is_answered_by_the_server(clock: Clock, endpoint_url: str) -> None:
    walk_through(client(endpoint_url=endpoint_url, **KEYS), clock)


@pytest.mark.asyncio
async def test_an_aiobotocore_client_is_answered_by_the_server(
    clock: Clock, endpoint_url: str
) -> None:
    async with async_client(endpoint_url) as nimble:
        created = await nimble.create_streaming_session(studioId="any", launchProfileId="lp")
        session_id = created["session"]["sessionId"]
        clock.advance(150)
        listed = await nimble.list_streaming_sessions(studioId="any", sessionIds=session_id)
        assert [each["state"] for each in listed["sessions"]] == ["READY"]
        with pytest.raises(nimble.exceptions.ResourceNotFoundException):
            await nimble.get_streaming_session(studioId="any", sessionId="a/b %")


def test_accounts_and_regions_have_studios_of_their_own(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mock_aws():
        client().create_streaming_session(studioId="any", launchProfileId="lp")
        assert client("eu-west-2").list_streaming_sessions(studioId="any")["sessions"] == []
        monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
        assert client().list_streaming_sessions(studioId="any")["sessions"] == []
        created = client().create_streaming_session(studioId="any", launchProfileId="lp")
        assert ":us-west-2:111122223333:" in created["session"]["arn"]
        studio = nimble_backends["111122223333"]["us-west-2"].studio
        assert list(studio.truth(T0)) == [created["session"]["sessionId"]]


def test_nothing_is_left_when_the_mock_ends(clock: Clock) -> None:
    with mock_aws():
        client().create_streaming_session(studioId="any", launchProfileId="lp")
    with mock_aws():
        assert client().list_streaming_sessions(studioId="any")["sessions"] == []


def test_installing_again_changes_the_settings_and_nothing_else(clock: Clock) -> None:
    before = list(backend_url_patterns)

    install(Settings.from_table({"create": {"median_s": 1, "sigma": 0}}), clock)

    assert backend_url_patterns == before
    with mock_aws():
        nimble = client()
        created = nimble.create_streaming_session(studioId="any", launchProfileId="lp")
        clock.advance(1)
        which = {"studioId": "any", "sessionId": created["session"]["sessionId"]}
        assert nimble.get_streaming_session(**which)["session"]["state"] == "READY"


def test_what_is_no_operation_is_not_found(clock: Clock) -> None:
    with mock_aws(), pytest.raises(ClientError) as caught:
        client().get_streaming_session_backup(studioId="any", backupId="b-1")

    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
