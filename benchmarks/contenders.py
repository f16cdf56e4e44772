"""Five ways to wait for many sessions, each run by `peers.py` in a process of its own.

A contender is an async context manager: entering it opens its client, and it yields a function that
waits for every session and tells each answer the moment it has it. An answer is the state in which
the wait believes the session to have arrived; anything else is the error that ended the wait.

The studio's time runs `speed` times as fast as the wall clock, so every pause and every rate of
every contender is scaled alike: botocore's pauses between retries too, which takes a patch.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenacity
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from aiobotocore.waiter import WaiterModel, create_waiter_with_client
from botocore import retryhandler
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, WaiterError
from botocore.loaders import Loader

from greenroom import Every, PayAsYouWait, Poller, RateLimiter, Schedule, Verdict
from greenroom.sources import nimble

RATE = 10.0
"""Calls per simulated second that the studio lets pass, of each operation."""

BURST = 20
"""Calls that it lets pass at once."""

TIMEOUT = 1800.0
"""Simulated seconds that every wait may last."""

PRICE, LOW_PRICE = 20.0, 2.0
"""Session-seconds that a call is worth: greenroom's own choice, and that of one in a hurry."""

CEILING = 60.0
"""Simulated seconds after which greenroom reads a session in any case."""

INTERVAL = 2.5
"""Simulated seconds between greenroom's looks where it is given an interval."""

CONNECTIONS = 300
"""Connections that a peer may open: enough that the pool is not what is measured."""

FAILURES = ("CREATE_FAILED", "START_FAILED")

READY_WAITER: dict[str, Any] = {
    "operation": "GetStreamingSession",
    "delay": 10,
    "maxAttempts": 180,
    "acceptors": [
        {"matcher": "path", "argument": "session.state", "expected": "READY", "state": "success"},
        *(
            {"matcher": "path", "argument": "session.state", "expected": state, "state": "failure"}
            for state in FAILURES
        ),
    ],
}
"""The service's own waiter for a READY session."""

Tell = Callable[[str, str], None]
WaitForAll = Callable[[Sequence[str], Tell], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the studio is, and how fast its time runs."""

    url: str
    studio_id: str
    speed: float


def paying(price: float) -> Callable[[Place], AbstractAsyncContextManager[WaitForAll]]:
    """One greenroom poller for all sessions, which pays a price for its calls."""
    return lambda place: poller(
        place, PayAsYouWait(price / place.speed, ceiling=CEILING / place.speed)
    )


def every(place: Place) -> AbstractAsyncContextManager[WaitForAll]:
    """One greenroom poller for all sessions, which reads them at an interval."""
    return poller(place, Every(INTERVAL / place.speed))


@asynccontextmanager
async def poller(place: Place, schedule: Schedule | PayAsYouWait) -> AsyncIterator[WaitForAll]:
    """One greenroom poller for all sessions."""
    speed = place.speed
    async with (
        nimble.connect(studio_id=place.studio_id, endpoint_url=place.url) as sessions,
        Poller(
            sessions,
            limiter=RateLimiter(max_rate=RATE * speed, burst=BURST),
            schedule=schedule,
            settle=30 / speed,
            not_found_grace=30 / speed,
        ) as polled,
    ):

        async def wait_for_all(ids: Sequence[str], tell: Tell) -> None:
            async for result in polled.as_completed(ids, until="READY", timeout=TIMEOUT / speed):
                believed = result.verdict in (Verdict.SUCCESS, Verdict.FAILURE)
                tell(result.id, str(result.state) if believed else result.explanation)

        yield wait_for_all


@asynccontextmanager
async def waiter(place: Place) -> AsyncIterator[WaitForAll]:
    """One wait of aiobotocore's waiter per session, over botocore's retries as they ship."""
    scale_retries(place.speed)
    async with connect(place, retries={"mode": "legacy"}) as client:
        model = WaiterModel({"version": 2, "waiters": {"StreamingSessionReady": READY_WAITER}})

        async def wait(session_id: str) -> str:
            ready = create_waiter_with_client("StreamingSessionReady", model, client)
            try:
                await ready.wait(
                    studioId=place.studio_id,
                    sessionId=session_id,
                    WaiterConfig={"Delay": READY_WAITER["delay"] / place.speed},
                )
            except WaiterError as error:
                state = error.last_response.get("session", {}).get("state")
                return state if state in FAILURES else str(error)
            except BotoCoreError as error:
                return str(error)
            return "READY"

        yield each(wait)


@asynccontextmanager
async def retrying(place: Place) -> AsyncIterator[WaitForAll]:
    """One tenacity loop with full jitter per session; botocore's own retries are off."""
    speed = place.speed
    async with connect(place, retries={"total_max_attempts": 1}) as client:

        async def state(session_id: str) -> str:
            answer = await client.get_streaming_session(
                studioId=place.studio_id, sessionId=session_id
            )
            return answer["session"]["state"]

        async def wait(session_id: str) -> str:
            retry = tenacity.AsyncRetrying(
                wait=tenacity.wait_random_exponential(multiplier=1 / speed, max=30 / speed),
                stop=tenacity.stop_after_delay(TIMEOUT / speed),
                retry=tenacity.retry_if_exception(is_passing)
                | tenacity.retry_if_result(lambda seen: seen not in ("READY", *FAILURES)),
            )
            try:
                return await retry(state, session_id)
            except (tenacity.RetryError, BotoCoreError, ClientError) as error:
                return str(error)

        yield each(wait)


CONTENDERS: Mapping[str, Callable[[Place], AbstractAsyncContextManager[WaitForAll]]] = {
    "greenroom": paying(PRICE),
    "hurried": paying(LOW_PRICE),
    "interval": every,
    "waiter": waiter,
    "tenacity": retrying,
}


def each(wait: Callable[[str], Awaitable[str]]) -> WaitForAll:
    """Make, of a wait for one session, one that runs for all of them at the same time."""

    async def wait_for_all(ids: Sequence[str], tell: Tell) -> None:
        async def follow(session_id: str) -> None:
            tell(session_id, await wait(session_id))

        await asyncio.gather(*map(follow, ids))

    return wait_for_all


def connect(place: Place, retries: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    """Open a client as aiobotocore makes it, of the service model that greenroom ships."""
    session = AioSession()
    models = Path(nimble.__file__).with_name("data")
    session.register_component("data_loader", Loader(extra_search_paths=[str(models)]))
    config = AioConfig(max_pool_connections=CONNECTIONS, retries=retries)
    return session.create_client("nimble", endpoint_url=place.url, config=config)


def scale_retries(speed: float) -> None:
    """Shorten botocore's pauses between retries, in this process; for clients made from now on."""
    pause = retryhandler.delay_exponential

    def scaled(base: Any, growth_factor: float, attempts: int) -> float:
        return pause(base, growth_factor, attempts) / speed

    retryhandler.delay_exponential = scaled


def is_passing(error: BaseException) -> bool:
    """Say whether a call failed for a while only: throttled, or not answered."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] == "ThrottlingException"
    return isinstance(error, HTTPClientError)


def megabytes(field: str) -> float:
    """Return a figure of this process's memory as Linux keeps it; NaN on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else ()
    kibibytes = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return float(next(kibibytes, "nan")) * 1024 / 1e6


async def main(name: str, place: Place) -> None:
    """Say that the client is open, read the ids, wait for them, and report as one JSON object."""
    answers: dict[str, tuple[float, str]] = {}

    def tell(session_id: str, answer: str) -> None:
        answers[session_id] = (time.time(), answer)

    async with CONTENDERS[name](place) as wait_for_all:
        print("open", flush=True)
        ids = json.loads(await asyncio.to_thread(sys.stdin.readline))
        memory, cpu = megabytes("VmRSS"), time.process_time()
        await wait_for_all(ids, tell)
        cpu, memory = time.process_time() - cpu, megabytes("VmHWM") - memory
    print(json.dumps({"answers": answers, "cpu": cpu, "memory": memory}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Place(**json.loads(sys.argv[2]))))
