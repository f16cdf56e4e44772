"""Frameworks in folders of their own, without a server, a database or a broker of anybody's."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import pytest

from greenroom import sync
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble

EXAMPLES = Path(__file__).parents[1] / "examples"

# These are read when a framework is imported, which makes its home then.
home = tempfile.mkdtemp(prefix="frameworks-")
os.environ |= {
    "AIRFLOW_HOME": f"{home}/airflow",
    "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DO_NOT_TRACK": "1",
    "PREFECT_HOME": f"{home}/prefect",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


@dataclass(frozen=True)
class Studio:
    """A simulated studio with sessions on their way.

    Attributes:
        url: Where it is.
        ids: Its sessions.
        reads: Returns how many calls have read them so far.
    """

    url: str
    ids: list[str]
    reads: Callable[[], int]


async def _create(sessions):
    made = await sessions.client.create_streaming_session(
        studioId="us-west-2-abc", launchProfileId="lp-1"
    )
    return made["session"]["sessionId"]


@pytest.fixture
def studio(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "simulated")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    settings = Settings.from_table({"create": {"median_s": 60, "sigma": 0.1}, "seed": 3})
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(settings, speed=40)) as simulator,
    ):
        monkeypatch.setenv("STUDIO_URL", simulator.url)

        def reads():
            calls = portal.call(simulator.statistics).calls
            return sum(calls.values()) - calls["CreateStreamingSession"]

        where = nimble.connect(studio_id="us-west-2-abc", endpoint_url=simulator.url)
        with sync.connect(where) as sessions:
            ids = [sync.call(_create, sessions) for _ in range(40)]
        yield Studio(simulator.url, ids, reads)


@pytest.fixture
def example():
    """Load an example as its framework would, and forget it afterwards."""
    loaded = []

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        loaded.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]
