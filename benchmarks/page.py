"""What one List page of a hundred sessions costs the client in CPU, end to end.

    python benchmarks/page.py [--pages 200] [--repeat 5]

The same bytes, from a server in another process, read by greenroom's source and by aiobotocore as
it ships: signing, HTTP, JSON, times, and for greenroom the observations, all included.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
from aiobotocore.session import AioSession
from aiohttp import web

from greenroom.simulator import Settings, Studio
from greenroom.simulator.moto import SERVICE_MODELS
from greenroom.sources import nimble

SIZE = 100
STUDIO = "us-west-2-abc"
KEYS = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
NOW = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def page() -> tuple[list[str], bytes]:
    """Return the ids of a hundred sessions that came up, and the page that lists them."""
    studio = Studio(Settings())
    ids = [
        studio.create_session(NOW, launch_profile_id="lp-1", tags={"shot": "0010"})["sessionId"]
        for _ in range(SIZE)
    ]
    sessions = studio.list_sessions(NOW + 3600, session_ids=",".join(ids)).sessions
    return ids, json.dumps({"sessions": sessions}).encode()


def serve(body: bytes, ready: Connection) -> None:
    """Answer every request with the same bytes."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ready.send(runner.addresses[0][1])
        await anyio.sleep_forever()

    anyio.run(main)


async def cpu(read: Callable[[], Awaitable[object]], pages: int, repeat: int) -> list[float]:
    """Return milliseconds of this process' CPU time for one page, once per repetition."""
    for _ in range(20):
        await read()
    figures = []
    for _ in range(repeat):
        before = time.process_time()
        for _ in range(pages):
            await read()
        figures.append((time.process_time() - before) / pages * 1e3)
    return figures


async def measure(url: str, ids: list[str], pages: int, repeat: int) -> dict[str, list[float]]:
    figures = {}
    async with nimble.connect(
        studio_id=STUDIO, region_name="us-west-2", endpoint_url=url, **KEYS
    ) as sessions:
        seen = await sessions.describe(ids)
        assert len(seen) == SIZE
        assert all(one.state == "READY" and one.changed_at for one in seen.values())
        figures["greenroom"] = await cpu(lambda: sessions.describe(ids), pages, repeat)
    session = AioSession()
    session.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
    async with session.create_client(
        "nimble", region_name="us-west-2", endpoint_url=url, **KEYS
    ) as client:

        async def bare() -> object:
            return await client.list_streaming_sessions(studioId=STUDIO, sessionIds=",".join(ids))

        assert len((await bare())["sessions"]) == SIZE
        figures["aiobotocore as it ships"] = await cpu(bare, max(pages // 5, 1), repeat)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ[name] = str(Path(os.devnull))
    ids, body = page()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(body, theirs))
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        figures = anyio.run(measure, url, ids, asked.pages, asked.repeat)
    finally:
        server.terminate()
        server.join()
    least = min(statistics.median(each) for each in figures.values())
    print(f"One page of {SIZE} sessions, {len(body):,} bytes, over HTTP.\n")
    print("|                         | CPU a page, median | least | most | ratio |")
    print("| ----------------------- | -----------------: | ----: | ---: | ----: |")
    for name, each in figures.items():
        median = statistics.median(each)
        print(
            f"| {name:23} | {median:15.2f} ms | {min(each):5.2f} | {max(each):4.1f} "
            f"| {median / least:5.1f} |"
        )


if __name__ == "__main__":
    main()
