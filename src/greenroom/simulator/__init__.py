"""A simulated Nimble Studio. The service closed in 2024; here is where greenroom still meets it.

Used by `greenroom demo` and `greenroom simulator`, by greenroom's tests and benchmarks, and by
whoever wants to see a client of their own against throttling, lag and failures, all of them seeded:

    async with serve(Settings.from_file("studio.toml"), speed=60) as simulator:
        ...  # any client, with endpoint_url=simulator.url

`Studio` is the model alone, without a network. The studio behind moto's mocks and servers is in
`greenroom.simulator.moto`, which needs moto. Nothing here imports the rest of greenroom: a
simulator is a witness, and shares no code with what it is to judge.
"""

from greenroom.simulator._checks import SettingsError
from greenroom.simulator._facts import StudioError
from greenroom.simulator._server import serve
from greenroom.simulator._sessions import Page
from greenroom.simulator._settings import Fault, Law, Limit, Settings, StreamWork, Work
from greenroom.simulator._simulator import Clock, Simulator, Statistics
from greenroom.simulator._studio import Studio
from greenroom.simulator._timeline import Change

__all__ = [
    "Change",
    "Clock",
    "Fault",
    "Law",
    "Limit",
    "Page",
    "Settings",
    "SettingsError",
    "Simulator",
    "Statistics",
    "StreamWork",
    "Studio",
    "StudioError",
    "Work",
    "serve",
]
