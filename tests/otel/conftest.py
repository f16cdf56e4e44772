"""Telemetry that stays in memory, and what can be read of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenroom import otel


class Memory:
    """Telemetry of its own providers.

    Attributes:
        telemetry: What looks on.
        tracer_provider: Where its spans go.
    """

    def __init__(self) -> None:
        self.reader, self._spans = InMemoryMetricReader(), InMemorySpanExporter()
        self.meter_provider = MeterProvider([self.reader])
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = otel.Telemetry(
            meter_provider=self.meter_provider, tracer_provider=self.tracer_provider
        )

    def metrics(self) -> dict[str, Any]:
        """Return every metric by name, as it stands."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (() if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str, *by: str) -> dict[tuple[Any, ...], Any]:
        """Return the value of a metric, or its (count, sum), by some of its attributes."""
        found = {}
        metric = self.metrics().get(name)
        for point in () if metric is None else metric.data.data_points:
            key = tuple(point.attributes.get(each) for each in by)
            assert key not in found, f"{name} has more attributes than {by}"
            count = getattr(point, "count", None)
            found[key] = point.value if count is None else (count, point.sum)
        return found

    def spans(self, name: str = "") -> Sequence[ReadableSpan]:
        """Return the spans that have ended whose name begins so, in the order of ending."""
        return [span for span in self._spans.get_finished_spans() if span.name.startswith(name)]


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    assert not memory.telemetry.broken
    memory.meter_provider.shutdown()
    memory.tracer_provider.shutdown()


def seconds(span: ReadableSpan) -> float:
    """Return for how long a span lasted."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9
