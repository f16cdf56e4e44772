"""OpenTelemetry: what greenroom does, as metrics and spans. It takes `greenroom[otel]`.

    from greenroom import otel

    otel.instrument()  # once: every poller that is made from now on is looked at

This is the API alone. Where they go is for the SDK that your program or `opentelemetry-instrument`
sets up; without one nothing is kept. Under `opentelemetry-instrument` any program that uses
greenroom is instrumented by itself, the command line too.

The instruments are in `_instruments.py`, and `python -m greenroom.otel` prints a dashboard of them
for Grafana. There is a span for each wait, in the trace of whoever waits; for each API call, which
many waits share, so that each wait links to the call that decided it; and, in a launch, for the
launch and each attempt at a workstation.
"""

from __future__ import annotations

try:
    import opentelemetry.trace as _api  # noqa: F401  # to say what is missing
except ModuleNotFoundError as error:
    _message = "greenroom.otel needs its extra: pip install 'greenroom[otel]'"
    raise ModuleNotFoundError(_message, name=error.name) from error

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from greenroom import _observing
from greenroom.otel._telemetry import Telemetry

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Instrumentor", "Telemetry", "dashboard", "instrument", "uninstrument"]


def instrument(
    *, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
) -> None:
    """Have every poller that is made from now on looked at; to say it twice changes nothing.

    Args:
        meter_provider: Where metrics go; None for the global provider, whenever that is set.
        tracer_provider: Where spans go; None for the global provider, likewise.
    """
    _observing.observe(_telemetry(meter_provider, tracer_provider).observer)


def uninstrument() -> None:
    """Have no poller that is made from now on looked at."""
    _observing.observe(None)


def dashboard() -> str:
    """Return a dashboard for Grafana, as JSON, on a Prometheus that has these metrics."""
    return files(__package__).joinpath("dashboard.json").read_text("utf-8")


class Instrumentor:
    """What `opentelemetry-instrument` finds as an entry point; it asks no more than this."""

    def instrument(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
        **_: object,
    ) -> None:
        """Have every poller looked at."""
        instrument(meter_provider=meter_provider, tracer_provider=tracer_provider)

    def uninstrument(self, **_: object) -> None:
        """Take that back."""
        uninstrument()


@cache
def _telemetry(
    meter_provider: MeterProvider | None, tracer_provider: TracerProvider | None
) -> Telemetry:
    """Return the one of these providers: what is observed must not be observed twice."""
    return Telemetry(meter_provider=meter_provider, tracer_provider=tracer_provider)
