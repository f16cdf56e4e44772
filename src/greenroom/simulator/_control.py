"""The simulator's own addresses, under `/_greenroom/`: to watch it and to steer it while it runs.

| address | does |
|---|---|
| `GET health` | says that it is up, the studio's id, and the simulated time |
| `GET settings`, `POST settings` | shows the settings; changes some of them |
| `GET statistics` | counts the calls, those throttled, and the faults |
| `GET truth` | every change of every session so far, with its exact time in epoch seconds |
| `POST advance` | with `{"seconds": n}`, jumps ahead in simulated time |
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from greenroom.simulator._wire import JSON, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.simulator._simulator import Simulator
    from greenroom.simulator._wire import Request

PREFIX = "/_greenroom/"


def control(simulator: Simulator, request: Request) -> Reply | None:
    """Answer a request to the simulator itself, or return None if it is meant for the studio."""
    if not request.path.startswith(PREFIX):
        return None
    name = request.path.removeprefix(PREFIX)
    if request.method == "GET" and name in _SHOWN:
        return _reply(200, _SHOWN[name](simulator))
    if request.method == "POST" and name in _ORDERS:
        try:
            return _reply(200, _ORDERS[name](simulator, _parsed(request.body)))
        except ValueError as error:
            return _reply(400, {"message": str(error)})
    known = [
        *(f"GET {PREFIX}{each}" for each in _SHOWN),
        *(f"POST {PREFIX}{each}" for each in _ORDERS),
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
