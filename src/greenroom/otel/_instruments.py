"""Every instrument, with its unit and its attributes.

======================================  =====================================================
attribute                               values
======================================  =====================================================
`greenroom.kind`                        that of the source, such as `nimble-session`
`greenroom.operation`                   the source's or provider's method: `describe`,
                                        `create_sessions`, `delete_session` ...
`greenroom.goal`                        the states waited for, with a bar between them
`greenroom.verdict`                     how it ended, such as `success`
`error.type`                            of calls, the class of the error, or `cancelled`;
                                        of workstations, the row of the remedies or the cause
======================================  =====================================================

Ids are on spans alone: a metric with an id has a series for each session there ever was.

What ends is counted when it ends. What the engine counts anyway is observed when somebody collects,
which an exporter does from a thread of its own: so only plain figures are read there, and none that
takes a loop.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter

    from greenroom.otel._poller import PollerTelemetry

    Observe = Callable[[CallbackOptions], Iterable[Observation]]
    Read = Callable[[PollerTelemetry], int]

KIND = "greenroom.kind"
OPERATION = "greenroom.operation"
GOAL = "greenroom.goal"
VERDICT = "greenroom.verdict"
ERROR = "error.type"

MINUTES = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 3600)
"""Buckets of what takes seconds to half an hour, in seconds."""

DELAYS = (0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300)
CALLS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 20, 30)

COUNTED: Mapping[str, tuple[str, str, Read]] = {
    "greenroom.reads": (
        "{session}",
        "Answers about single sessions",
        lambda each: each.engine.reads,
    ),
    "greenroom.transitions": (
        "{transition}",
        "Changes of sessions seen, first sights included",
        lambda each: each.engine.transitions,
    ),
    "greenroom.callback.errors": (
        "{error}",
        "Exceptions that callbacks raised",
        lambda each: each.engine.callback_failures,
    ),
}
PRESENT: Mapping[str, tuple[str, str, Read]] = {
    "greenroom.sessions": (
        "{session}",
        "Sessions being polled",
        lambda each: len(each.engine.sessions),
    ),
    "greenroom.active_waits": ("{wait}", "Waits in progress", lambda each: len(each.waits)),
}


class Instruments:
    """The instruments, and the pollers that are observed.

    Args:
        meter: Makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self._lock = Lock()
        self._open: list[PollerTelemetry] = []
        self._closed: dict[str, Counter[str]] = {}  # by kind, what pollers of the past have counted
        self.calls = meter.create_counter("greenroom.calls", "{call}", "API calls")
        self.throttles = meter.create_counter(
            "greenroom.throttles", "{call}", "API calls that the service throttled"
        )
        self.call_duration = meter.create_histogram(
            "greenroom.call.duration",
            "s",
            "From an API call to its answer",
            explicit_bucket_boundaries_advisory=CALLS,
        )
        self.active_calls = meter.create_up_down_counter(
            "greenroom.active_calls", "{call}", "API calls in flight"
        )
        self.limiter_rate = meter.create_gauge(
            "greenroom.limiter.rate", "{call}/s", "What the budget allows now, when a call is made"
        )
        self.wait_duration = meter.create_histogram(
            "greenroom.wait.duration",
            "s",
            "From the beginning of a wait to its end",
            explicit_bucket_boundaries_advisory=MINUTES,
        )
        self.delay = meter.create_histogram(
            "greenroom.delay",
            "s",
            "From the change that ended a wait, as the service tells its time, to its end",
            explicit_bucket_boundaries_advisory=DELAYS,
        )
        self.workstation_duration = meter.create_histogram(
            "greenroom.workstation.duration",
            "s",
            "From a workstation's first create to what became of it",
            explicit_bucket_boundaries_advisory=MINUTES,
        )
        for name, (unit, description, read) in COUNTED.items():
            meter.create_observable_counter(name, [self._counted(name, read)], unit, description)
        for name, (unit, description, read) in PRESENT.items():
            meter.create_observable_up_down_counter(name, [self._present(read)], unit, description)
        meter.create_observable_gauge(
            "greenroom.lag",
            [self._lag],
            "s",
            "For how long the call that should be next has been waiting for the budget",
        )

    def opened(self, poller: PollerTelemetry) -> None:
        """Observe a poller."""
        with self._lock:
            self._open.append(poller)
            self._closed.setdefault(poller.kind, Counter())

    def closed(self, poller: PollerTelemetry) -> None:
        """Observe it no more; what it has counted stays counted."""
        with self._lock:
            if poller in self._open:
                self._open.remove(poller)
                for name, (_, _, read) in COUNTED.items():
                    self._closed[poller.kind][name] += read(poller)

    def _counted(self, name: str, read: Read) -> Observe:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                sums = {kind: counts[name] for kind, counts in self._closed.items()}
                for poller in self._open:
                    sums[poller.kind] += read(poller)
            return _observations(sums)

        return observe

    def _present(self, read: Read) -> Observe:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                sums = dict.fromkeys(self._closed, 0)
                for poller in self._open:
                    sums[poller.kind] += read(poller)
            return _observations(sums)

        return observe

    def _lag(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            lags = dict.fromkeys(self._closed, 0.0)
            for poller in self._open:
                lags[poller.kind] = max(lags[poller.kind], poller.lag())
        return _observations(lags)


def _observations(by_kind: Mapping[str, float]) -> list[Observation]:
    return [Observation(value, {KIND: kind}) for kind, value in by_kind.items()]
