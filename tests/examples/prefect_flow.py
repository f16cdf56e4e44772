"""Prefect: an async flow has the poller, and its tasks await it.

Tasks of an async flow run in the flow's event loop, so they share the poller's calls, and each of
them is a task of its own in Prefect, with its state and its retries.
"""

import asyncio
import os

from prefect import flow, task

from greenroom import Poller, RateLimiter
from greenroom.sources import nimble


@task(task_run_name="{session_id}", persist_result=False, cache_policy=None)
async def ready(poller: Poller, session_id: str) -> str:
    result = await poller.wait(session_id, until="READY", timeout=1800)
    return result.id


@flow
async def desks(studio_id: str, ids: list[str]) -> list[str]:
    async with (
        nimble.connect(studio_id=studio_id, endpoint_url=os.environ["STUDIO_URL"]) as sessions,
        Poller(sessions, limiter=RateLimiter(10, burst=20)) as poller,
    ):
        waits = [ready(poller, session_id) for session_id in ids]
        ended = await asyncio.gather(*waits, return_exceptions=True)
    return [each for each in ended if isinstance(each, str)]
