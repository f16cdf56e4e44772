"""The dashboard asks for what is exported, and for all of it, by Prometheus' own names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from tests.launch.conftest import Studio

import greenroom
from greenroom import Observation, Poller, Throttled, otel
from greenroom.testing import ScriptedSource, run

EXPRESSIONS = [
    target["expr"]
    for panel in json.loads(otel.dashboard())["panels"]
    for target in panel["targets"]
]
SUFFIXES = ("_bucket", "_count", "_sum")


@pytest.fixture(scope="module")
def exported():
    """The labels of every sample that a launch with every kind of trouble exports, by name."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)])

    async def main():
        studio = Studio(seed=5, create={"failures": {"INITIALIZATION_SCRIPT_ERROR": 0.4}})
        studio.fault = lambda name, number: (
            Throttled("slow down") if name == "list_sessions" and number == 2 else None
        )
        soon = Observation("READY", changed_at=datetime.now(UTC) + timedelta(seconds=5))
        timely = Poller(ScriptedSource({"s": [(0, "CREATE_IN_PROGRESS"), (5, soon)]}))
        poller = Poller(studio)
        telemetry = otel.Telemetry(meter_provider=provider)
        telemetry.look_at(timely)
        telemetry.look_at(poller)
        specs = [{"key": f"ws-{n}", "launch_profile_id": "lp"} for n in range(10)]
        async with timely, poller:
            await timely.wait("s", until="READY", timeout=60)
            await greenroom.launch(studio, specs, poller=poller)
            return generate_latest(registry).decode()

    text = run(main)
    provider.shutdown()
    samples = re.findall(r"^(greenroom_\w+)(?:\{(.*)\})? ", text, re.M)
    labels: dict[str, set[str]] = {}
    for name, told in samples:
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', told))
    return labels


def test_every_metric_that_a_panel_asks_for_is_exported_with_its_labels(exported):
    for expression in EXPRESSIONS:
        asked = re.findall(r"by \((.*?)\) \((?:\w+\()?(\w+)\{(.*?)\}", expression)
        assert len(asked) == expression.count("{") > 0, expression
        for by, name, selector in asked:
            labels = {*by.split(", "), *re.findall(r"(\w+)(?:=~|!=|=)", selector)}
            assert labels <= exported[name], expression


def test_every_instrument_is_on_the_dashboard(exported):
    asked = " ".join(EXPRESSIONS)
    for name in exported:
        family = name.removesuffix(next((each for each in SUFFIXES if name.endswith(each)), ""))
        assert re.search(rf"\b{family}(_bucket|_count|_sum)?\{{", asked), name


def test_no_metric_knows_an_id(exported):
    known = {
        "error_type",
        "greenroom_goal",
        "greenroom_kind",
        "greenroom_operation",
        "greenroom_verdict",
        "le",
    }
    for name, labels in exported.items():
        assert {label for label in labels if not label.startswith("otel_scope_")} <= known, name


def test_it_is_printed_by_its_module():
    printed = subprocess.run(
        [sys.executable, "-m", "greenroom.otel"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert json.loads(printed)["title"] == "greenroom"
