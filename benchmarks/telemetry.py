"""What it costs to be looked at by OpenTelemetry, as a ratio to not being looked at.

    python benchmarks/telemetry.py [--sessions 300] [--rounds 15]

Sessions come up after lognormal times (median 150 s, sigma 0.35), and somebody waits for all of
them. The real engine does so in virtual time, with its usual schedule, against a source that costs
next to nothing: no HTTP, no JSON. So the ratio is to the engine alone, which flatters nobody. These
take turns, `rounds` times, on the same sessions:

- nobody looks on;
- `otel` looks on, and no SDK is there: what it costs whoever has only the API installed;
- with an SDK that keeps metrics in memory, and collects them once;
- with one that keeps metrics and spans.

A figure is the CPU time of this process, garbage collection included.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from random import Random
from statistics import median

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider

from greenroom import Poller
from greenroom.otel import Telemetry
from greenroom.testing import Script, ScriptedSource, run

OFF = "nobody looks on"
API = "the API, no SDK"
METRICS = "SDK, metrics"
SPANS = "SDK, metrics and spans"

Scripts = dict[str, Script]


def scripts(sessions: int) -> Scripts:
    random = Random(1)
    return {
        f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (150 * random.lognormvariate(0, 0.35), "READY")]
        for n in range(sessions)
    }


def spent(lives: Scripts, telemetry: Telemetry | None, collect: Callable[[], object]) -> float:
    """Return seconds of CPU for one wait for all, and for what is done with what was told."""

    async def main() -> None:
        poller = Poller(ScriptedSource(lives, latency=0.1))
        if telemetry is not None:
            telemetry.look_at(poller)
        async with poller:
            results = await poller.wait_all(lives, until="READY", timeout=3600)
        assert len(results.succeeded) == len(lives)

    gc.collect()
    before = time.process_time()
    run(main)
    collect()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    meters = [MeterProvider([reader]) for reader in readers]
    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    quiet = NoOpTracerProvider()
    ways: dict[str, tuple[Telemetry | None, Callable[[], object]]] = {
        OFF: (None, lambda: None),
        API: (Telemetry(), lambda: None),
        METRICS: (
            Telemetry(meter_provider=meters[0], tracer_provider=quiet),
            readers[0].get_metrics_data,
        ),
        SPANS: (
            Telemetry(meter_provider=meters[1], tracer_provider=tracers),
            lambda: (readers[1].get_metrics_data(), spans.clear()),
        ),
    }
    lives = scripts(asked.sessions)
    figures: dict[str, list[float]] = {name: [] for name in ways}
    names = [*ways]
    for name in names:  # not counted: what is made the first time
        spent(lives, *ways[name])
    for turn in range(asked.rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(spent(lives, *ways[name]))
    print(f"{asked.sessions} sessions, waited for once, {asked.rounds} rounds.\n")
    print("|                        | CPU, median |   least | added per session | ratio |")
    print("| ---------------------- | ----------: | ------: | ----------------: | ----: |")
    for name, each in figures.items():
        pairs = [*zip(each, figures[OFF], strict=True)]
        ratio = median(one / off for one, off in pairs)
        added = median(one - off for one, off in pairs) / asked.sessions
        print(
            f"| {name:22} | {median(each) * 1e3:8.1f} ms | {min(each) * 1e3:4.1f} ms "
            f"| {added * 1e6:14.0f} µs | {ratio:5.2f} |"
        )


if __name__ == "__main__":
    main()
