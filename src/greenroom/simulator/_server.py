"""The simulator behind a socket: a real HTTP server."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from greenroom.simulator._clock import Clock
from greenroom.simulator._control import control
from greenroom.simulator._settings import Settings
from greenroom.simulator._simulator import Simulator
from greenroom.simulator._wire import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def serve(
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    speed: float = 1.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[Simulator]:
    """Serve a simulated studio over HTTP for as long as the context lasts. Needs asyncio.

    Args:
        settings: How it behaves; None for the defaults.
        host: The address to listen on.
        port: The port to listen on; 0 for any that is free.
        speed: Simulated seconds per second of `clock`.
        clock: Where time comes from, in epoch seconds. A test gives one that it moves by hand.
        sleep: How the network's latency is waited for, in seconds of `clock`.

    Yields:
        The simulator, listening.

    Raises:
        OSError: It cannot listen there, most often because the port is in use.
        ValueError: `speed` is not greater than 0.
    """
    simulator = Simulator(settings or Settings(), Clock(clock, speed=speed), sleep)
    handler = partial(_answer, simulator)
    server = web.Server(handler, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            message = f"the simulator cannot listen on {host}:{port}: {error.strerror}"
            raise OSError(error.errno, f"{message}; choose another port, or 0 for any") from error
        bound_host, bound_port = runner.addresses[0][:2]
        shown_host = f"[{bound_host}]" if ":" in bound_host else bound_host
        simulator.url = f"http://{shown_host}:{bound_port}"
        yield simulator
    finally:
        simulator.close()
        await runner.cleanup()


async def _answer(simulator: Simulator, http: web.BaseRequest) -> web.StreamResponse:
    asked = Request(
        http.method, http.rel_url.raw_path, http.rel_url.query, http.headers, await http.read()
    )
    reply = control(simulator, asked) or await simulator.handle(asked)
    if reply.arrives == "all":
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if reply.arrives == "half":
        response.content_length = len(reply.body)
        await response.prepare(http)
        await response.write(reply.body[: len(reply.body) // 2])
    if http.transport is not None:
        http.transport.close()
    return response
