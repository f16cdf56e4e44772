"""The clients that people use, against the simulator's own server."""

from pathlib import Path
from typing import Any

import aiobotocore.session
import pytest
from aiobotocore.config import AioConfig

import greenroom
from greenroom.simulator import Clock, Settings, serve

SERVICE_MODELS = Path(str(greenroom.__file__)).parent / "sources" / "data"

T0 = 1_700_000_000.0

LIMIT = {"rate": 1, "burst": 2}

pytestmark = pytest.mark.asyncio


async def test_an_aiobotocore_client_understands_the_answers_and_the_refusals() -> None:
    session = aiobotocore.session.AioSession()
    session.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
    create_client: Any = session.create_client
    settings = Settings.from_table({"create": {"sigma": 0}, "throttle": {"*": LIMIT}})
    async with (
        serve(settings, clock=Clock(lambda: T0)) as simulator,
        create_client(
            "nimble",
            region_name="us-west-2",
            endpoint_url=simulator.url,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=AioConfig(retries={"total_max_attempts": 1}),
        ) as nimble,
    ):
        created = await nimble.create_streaming_session(
            studioId=simulator.studio_id, launchProfileId="lp", tags={"show": "x"}
        )
        which = {"studioId": "any", "sessionId": created["session"]["sessionId"]}
        simulator.clock.advance(150)
        got = (await nimble.get_streaming_session(**which))["session"]

        assert got["state"] == "READY"
        assert got["updatedAt"].timestamp() == T0 + 150
        assert got["tags"] == {"show": "x"}
        await nimble.get_streaming_session(**which)
        with pytest.raises(nimble.exceptions.ThrottlingException):
            await nimble.get_streaming_session(**which)
        with pytest.raises(nimble.exceptions.ConflictException):
            await nimble.start_streaming_session(**which)
        with pytest.raises(nimble.exceptions.ValidationException):
            await nimble.list_streaming_sessions(studioId="any", nextToken="bad")
