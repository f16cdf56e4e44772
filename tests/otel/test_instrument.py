"""Switched on from outside, as any program is that OpenTelemetry knows."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from greenroom import otel

CONSOLE = {
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_METRICS_EXPORTER": "console",
    "OTEL_LOGS_EXPORTER": "none",
}
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))


def test_opentelemetry_instrument_finds_it_by_its_entry_point():
    (found,) = entry_points(group="opentelemetry_instrumentor", name="greenroom")
    assert found.load() is otel.Instrumentor


def test_the_command_line_is_instrumented_by_opentelemetry_instrument():
    demo = (sys.executable, "-m", "greenroom", "demo", "--sessions", "3", "--speed", "200")
    told = subprocess.run(
        [INSTRUMENT, *demo],
        env={**os.environ, **CONSOLE},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for name in ("launch nimble-session", "wait nimble-session", "describe nimble-session"):
        assert f'"name": "{name}"' in told
    assert '"name": "greenroom.wait.duration"' in told, "also what the last seconds brought"
