"""What one List page of a hundred sessions costs the client in CPU, end to end, layer by layer.

    python benchmarks/page.py [--pages 200] [--repeat 5]

The same bytes, from one server in another process, are read by readers of which each contains the
one before it, except for the first:

- aiobotocore as it ships;
- aiobotocore whose own parser was given a quick function for times, as anybody can;
- aiobotocore on greenroom's client, with its settings and its parsing, the answer dropped: the
  least that signing, HTTP and JSON cost;
- greenroom's source, which makes observations of it;
- greenroom's engine: a poller whose waits for the hundred sessions stay pending, and whose reads
  follow each other without a pause, so that limiter, schedule, trackers and verdicts are all in it;
  with a fixed interval, and with the schedule that is its default here.

They take turns, `repeat` times, one request in flight at a time. A figure is the CPU time of this
process for one page.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from aiobotocore.session import AioSession
from aiohttp import web

from greenroom import Every, PayAsYouWait, Poller, RateLimiter, Schedule
from greenroom.simulator import Settings, Studio
from greenroom.simulator.moto import SERVICE_MODELS
from greenroom.sources import nimble
from greenroom.sources._aws_json import moment

SIZE = 100
STUDIO = "us-west-2-abc"
REGION = "us-west-2"
KEYS: dict[str, Any] = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
NOW = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
HOUR = 3600
WARM_UP = 20
"""Pages read before each measurement."""

QUICK = "aiobotocore, quick times"
SHIPPED = "aiobotocore as it ships"
BARE = "aiobotocore, fast parsing"
SOURCE = "greenroom's source"
ENGINES: dict[str, Schedule | PayAsYouWait] = {
    "greenroom's engine, Every": Every(1e-6),
    "greenroom's engine, PayAsYouWait": PayAsYouWait(price=1e-9),
}
"""By name, the schedules; with these, a read is due as soon as the one before it has come."""

MOST_ADDED = 0.25
MOST_MILLISECONDS = 2.0

Measure = Callable[[int], Awaitable[float]]
"""Reads so many pages, and returns milliseconds of this process' CPU time for one of them."""


def page() -> tuple[list[str], bytes]:
    """Return the ids of a hundred sessions that are being started, and the page that lists them.

    They ran before and were stopped, so that nearly every member of a session is there.
    """
    studio = Studio(Settings())
    ids = [
        studio.create_session(NOW, launch_profile_id="lp-1", tags={"shot": "0010"})["sessionId"]
        for _ in range(SIZE)
    ]
    for id_ in ids:
        studio.stop_session(NOW + HOUR, id_)
        studio.start_session(NOW + 2 * HOUR, id_)
    sessions = studio.list_sessions(NOW + 2 * HOUR, session_ids=",".join(ids)).sessions
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


async def one_by_one(read: Callable[[], Awaitable[object]], pages: int) -> float:
    for _ in range(WARM_UP):
        await read()
    before = time.process_time()
    for _ in range(pages):
        await read()
    return (time.process_time() - before) / pages * 1e3


async def by_engine(
    sessions: nimble.StreamingSessions,
    schedule: Schedule | PayAsYouWait,
    ids: list[str],
    pages: int,
) -> float:
    limiter = RateLimiter(max_rate=1e6, burst=1000)
    async with Poller(sessions, limiter=limiter, schedule=schedule) as poller:
        waits = poller.as_completed(ids, until="READY", timeout=HOUR)

        async def calls(least: int) -> int:
            # Looked at seldom, since looking is measured too.
            while (made := poller.statistics().calls) < least:  # noqa: ASYNC110
                await anyio.sleep(0.05)
            return made

        first = await calls(WARM_UP)
        before = time.process_time()
        last = await calls(first + pages)
        spent = time.process_time() - before
        after = poller.statistics()
        assert (after.failed, after.waiting) == (0, SIZE)
        assert after.reads >= (after.calls - 1) * SIZE  # one may be in flight
        await waits.aclose()
    return spent / (last - first) * 1e3


async def measure(url: str, ids: list[str], pages: int, repeat: int) -> dict[str, list[float]]:
    session, quick = AioSession(), AioSession()
    for each in (session, quick):
        each.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
    quick.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    async with (
        quick.create_client("nimble", region_name=REGION, endpoint_url=url, **KEYS) as quickened,
        session.create_client("nimble", region_name=REGION, endpoint_url=url, **KEYS) as shipped,
        nimble.connect(studio_id=STUDIO, region_name=REGION, endpoint_url=url, **KEYS) as sessions,
    ):
        seen = await sessions.describe(ids)
        assert [*seen] == ids
        assert all(one.state == "START_IN_PROGRESS" and one.changed_at for one in seen.values())

        async def list_by(client: Any) -> object:
            return await client.list_streaming_sessions(studioId=STUDIO, sessionIds=",".join(ids))

        measures: dict[str, Measure] = {
            SHIPPED: partial(one_by_one, partial(list_by, shipped)),
            QUICK: partial(one_by_one, partial(list_by, quickened)),
            BARE: partial(one_by_one, partial(list_by, sessions.client)),
            SOURCE: partial(one_by_one, partial(sessions.describe, ids)),
            **{name: partial(by_engine, sessions, each, ids) for name, each in ENGINES.items()},
        }
        figures: dict[str, list[float]] = {name: [] for name in measures}
        names = [*measures]
        for turn in range(repeat):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                figures[name].append(await measures[name](pages))
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
    ratios = {
        name: median(one / bare for one, bare in zip(each, figures[BARE], strict=True))
        for name, each in figures.items()
    }
    print(f"One page of {SIZE} sessions, {len(body):,} bytes, over HTTP.\n")
    print("|                                  | CPU a page, median | least |  most | ratio |")
    print("| -------------------------------- | -----------------: | ----: | ----: | ----: |")
    for name, each in figures.items():
        print(
            f"| {name:32} | {median(each):15.2f} ms | {min(each):5.2f} | {max(each):5.2f} "
            f"| {ratios[name]:5.2f} |"
        )
    for base in (QUICK, BARE):
        print(f"\nClaim: the engine adds at most {MOST_ADDED:.0%} to {base}.")
        for name in ENGINES:
            added = ratios[name] / ratios[base] - 1
            print(f"- {name}: {added:+.1%}, {kept(added <= MOST_ADDED)}")
    print(f"Claim: a page costs the engine at most {MOST_MILLISECONDS:.2f} ms.")
    for name in ENGINES:
        cost = median(figures[name])
        print(f"- {name}: {cost:.2f} ms, {kept(cost <= MOST_MILLISECONDS)}")


def kept(claim: bool) -> str:
    return "which holds" if claim else "which does NOT hold"


if __name__ == "__main__":
    main()
