"""The simulator behind a socket: a real HTTP server.

Beside the service's addresses it has its own, under `/_greenroom/`: to watch the simulator and to
steer it while it runs.

| address | does |
|---|---|
| `GET health` | says that it is up, the studio's id, and the simulated time |
| `GET settings`, `POST settings` | shows the settings; changes some of them |
| `GET statistics` | counts the calls, those throttled, and the faults |
| `GET truth` | every change of every session so far, with its exact time in epoch seconds |
| `POST advance` | with `{"seconds": n}`, jumps ahead in simulated time |
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from greenroom.simulator._settings import Settings
from greenroom.simulator._simulator import Clock, Simulator
from greenroom.simulator._wire import JSON, Reply, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_PREFIX = "/_greenroom/"


@asynccontextmanager
async def serve(
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    speed: float = 1.0,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[Simulator]:
    """Serve a simulated studio over HTTP for as long as the context lasts. Needs asyncio.

    Args:
        settings: How it behaves; None for the defaults.
        host: The address to listen on.
        port: The port to listen on; 0 for any that is free.
        speed: Simulated seconds per second of `clock`.
        clock: Where time comes from, in epoch seconds; None for a time of day that goes on evenly
            whatever becomes of the machine's. A test gives one that it moves by hand.
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
    reply = _control(simulator, asked) or await simulator.handle(asked)
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


def _control(simulator: Simulator, request: Request) -> Reply | None:
    """Answer a request to the simulator itself, or return None if it is meant for the studio."""
    if not request.path.startswith(_PREFIX):
        return None
    name = request.path.removeprefix(_PREFIX)
    if request.method == "GET" and name in _SHOWN:
        return _reply(200, _SHOWN[name](simulator))
    if request.method == "POST" and name in _ORDERS:
        try:
            return _reply(200, _ORDERS[name](simulator, _parsed(request.body)))
        except ValueError as error:
            return _reply(400, {"message": str(error)})
    known = [
        *(f"GET {_PREFIX}{each}" for each in _SHOWN),
        *(f"POST {_PREFIX}{each}" for each in _ORDERS),
    ]
    return _reply(404, {"message": f"no such address; there are {', '.join(known)}"})


def _reply(status: int, body: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(body).encode(), JSON)


def _health(simulator: Simulator) -> dict[str, Any]:
    return {"status": "ok", "studioId": simulator.studio_id, "now": simulator.clock()}


def _show_settings(simulator: Simulator) -> dict[str, Any]:
    return simulator.settings.as_table()


def _change_settings(simulator: Simulator, changes: Any) -> dict[str, Any]:
    return simulator.configure(changes).as_table()


def _statistics(simulator: Simulator) -> dict[str, Any]:
    return asdict(simulator.statistics())


def _truth(simulator: Simulator) -> dict[str, Any]:
    sessions = {
        session_id: [
            {"at": change.at, "state": change.state, "statusCode": change.status_code}
            for change in changes
        ]
        for session_id, changes in simulator.truth().items()
    }
    return {"now": simulator.clock(), "sessions": sessions}


def _advance(simulator: Simulator, order: Any) -> dict[str, Any]:
    seconds = order.get("seconds") if isinstance(order, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError('seconds: must be a number, as in {"seconds": 60}')
    simulator.clock.advance(seconds)
    return {"now": simulator.clock()}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body must be JSON: {error}") from None


_SHOWN: dict[str, Callable[[Simulator], dict[str, Any]]] = {
    "health": _health,
    "settings": _show_settings,
    "statistics": _statistics,
    "truth": _truth,
}

_ORDERS: dict[str, Callable[[Simulator, Any], dict[str, Any]]] = {
    "settings": _change_settings,
    "advance": _advance,
}
