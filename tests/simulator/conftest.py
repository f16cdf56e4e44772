from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from greenroom.simulator import Clock, Settings, Simulator, serve

T0 = 1_700_000_000.0

STUDIO = "/2020-08-01/studios/any"
SESSIONS = f"{STUDIO}/streaming-sessions"


class Desk:
    """A simulator on a real socket, a client for it, and its time in the test's hands."""

    def __init__(
        self, simulator: Simulator, http: aiohttp.ClientSession, slept: list[float]
    ) -> None:
        self.simulator = simulator
        self.http = http
        self.slept = slept

    def advance(self, seconds: float) -> None:
        self.simulator.clock.advance(seconds)

    async def call(
        self, method: str, path: str, body: object = None, **options: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        async with self.http.request(method, path, json=body, **options) as response:
            return response.status, await response.json(), response.headers

    async def ask(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        """Return the body of an answer that must be a good one."""
        status, answer, _ = await self.call(method, path, body, **options)
        assert status == 200, answer
        return answer

    async def create(self, **body: Any) -> str:
        answer = await self.ask("POST", SESSIONS, {"launchProfileId": "lp"} | body)
        return str(answer["session"]["sessionId"])

    async def create_ready(self) -> str:
        session_id = await self.create()
        self.advance(3600)
        return session_id


@pytest.fixture
def open_desk() -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(settings: object = None, speed: float = 1.0) -> AsyncIterator[Desk]:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        async with (
            serve(
                Settings.from_table(settings or {}),
                clock=Clock(lambda: T0),
                speed=speed,
                sleep=sleep,
            ) as simulator,
            aiohttp.ClientSession(simulator.url) as http,
        ):
            yield Desk(simulator, http, slept)

    return opened
