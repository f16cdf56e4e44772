"""Telemetry that breaks, or is missing, ends nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from tests.launch.conftest import Studio

import greenroom
from greenroom import Every, Poller, otel
from greenroom.testing import ScriptedSource


class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise ValueError("a processor with a bug")

    def on_end(self, span):
        raise ValueError("a processor with a bug")


class BrokenAtTheEnd(SpanProcessor):
    def on_end(self, span):
        raise ValueError("a processor with a bug")


class Sulking(Sampler):
    def should_sample(self, *args, **kwargs):
        raise OSError("no sampling today")

    def get_description(self):
        return "sulking"


def broken_everywhere():
    provider = TracerProvider()
    provider.add_span_processor(Broken())
    return provider


def broken_at_the_end():
    provider = TracerProvider()
    provider.add_span_processor(BrokenAtTheEnd())
    return provider


def sulking():
    return TracerProvider(sampler=Sulking())


@pytest.mark.parametrize("make", [broken_everywhere, broken_at_the_end, sulking])
def test_an_sdk_that_raises_ends_no_wait_and_is_said_once(run, make):
    async def main():
        telemetry = otel.Telemetry(meter_provider=MeterProvider([]), tracer_provider=make())
        ids = ["s-1", "s-2", "gone"]
        source = ScriptedSource({id_: [(0, "READY")] for id_ in ids[:2]}, latency=0.5)
        poller = Poller(source, schedule=Every(5), not_found_grace=0)
        telemetry.look_at(poller)
        async with poller:
            results = await poller.wait_all(ids, until="READY", timeout=100)
        return [result.verdict for result in results.values()]

    with structlog.testing.capture_logs() as logged:
        verdicts = run(main)
    assert verdicts == ["success", "success", "missing"]
    said = [each["what"] for each in logged if each["event"] == "telemetry.failed"]
    assert said
    assert len(said) == len(set(said))


def test_a_launch_lives_through_an_sdk_that_raises(run):
    async def main():
        studio = Studio()
        poller = Poller(studio)
        otel.Telemetry(tracer_provider=broken_everywhere()).look_at(poller)
        async with poller:
            specs = [{"key": "a", "launch_profile_id": "lp"}]
            return await greenroom.launch(studio, specs, poller=poller)

    assert [result.key for result in run(main).succeeded] == ["a"]


def test_what_is_not_sampled_costs_no_attributes(run):
    async def main():
        poller = Poller(ScriptedSource({"s-1": [(0, "READY")]}))
        otel.Telemetry(tracer_provider=TracerProvider(sampler=ALWAYS_OFF)).look_at(poller)
        async with poller:
            return await poller.wait("s-1", until="READY", timeout=100)

    assert run(main).verdict == "success"


def test_the_core_imports_none_of_it():
    program = (
        "import sys, greenroom; "
        "print([name for name in sys.modules if name.split('.')[0] == 'opentelemetry'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    monkeypatch.delitem(sys.modules, "greenroom.otel")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'greenroom\[otel\]'"):
        import greenroom.otel  # noqa: F401
