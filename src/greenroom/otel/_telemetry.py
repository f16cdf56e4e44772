"""Where metrics and spans go: one meter and one tracer, for any number of pollers."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from greenroom import _log
from greenroom.otel._instruments import Instruments
from greenroom.otel._poller import PollerTelemetry

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from greenroom._poller import Poller


class Telemetry:
    """Metrics and spans of those pollers that it is to look at.

        telemetry = otel.Telemetry(meter_provider=..., tracer_provider=...)
        poller = greenroom.Poller(source)
        telemetry.look_at(poller)  # before it is entered; otel.instrument() looks at all

    One is enough for all pollers of a pair of providers, in any number of threads.

    Args:
        meter_provider: Where metrics go; None for the global provider, whenever that is set.
        tracer_provider: Where spans go; None for the global provider, likewise.

    Attributes:
        broken: What of it has raised so far, each logged once as `telemetry.failed`.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        scope = ("greenroom", version("greenroom"))
        self.instruments = Instruments(metrics.get_meter(*scope, meter_provider))
        self.tracer = trace.get_tracer(*scope, tracer_provider)
        self._log = _log.logger()
        self.broken: set[str] = set()

    def look_at(self, poller: Poller) -> None:
        """Look at a poller that is not yet entered, and at the launches that wait with it."""
        poller.observer = self.observer()

    def observer(self) -> PollerTelemetry:
        """Return who looks at one more poller."""
        return PollerTelemetry(self)

    def failed(self, what: str, error: Exception) -> None:
        """Take in that a processor, a sampler or an exporter raised; the first time, say so."""
        if what not in self.broken:
            self.broken.add(what)
            self._log.error("telemetry.failed", what=what, exc_info=error)
