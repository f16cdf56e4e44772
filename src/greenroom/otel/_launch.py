"""A launch: a span of its own, and one for each attempt at a workstation.

The launch's span is the current one in the tasks of its workstations, so that their waits, and the
calls that create, stream and delete, are its children, beside the attempts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.trace import Status, StatusCode

from greenroom._launch import _events as events
from greenroom._states import Verdict
from greenroom.otel._harmless import harmless
from greenroom.otel._instruments import ERROR, KIND, VERDICT

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._events import LaunchEvent
    from greenroom.otel._telemetry import Telemetry


class LaunchTelemetry:
    """Takes in what happens in a launch.

    Args:
        telemetry: Where figures and spans go.
        kind: What is launched.
        launch_id: The launch.
    """

    def __init__(self, telemetry: Telemetry, kind: str, launch_id: str) -> None:
        self.telemetry = telemetry
        self._kind = kind
        self._id = launch_id
        self._span: trace.Span = trace.INVALID_SPAN
        self._attempts: dict[str, trace.Span] = {}
        self._verdicts: Counter[Verdict] = Counter()

    @harmless
    def __call__(self, event: LaunchEvent) -> None:
        """Take in an event."""
        match event:
            case events.LaunchBegan():
                self._began(event)
            case events.CreateIntended():
                self._end(event.key, event.at)
                self._attempts[event.key] = self._attempt(event)
            case events.Created() if event.key in self._attempts:
                self._attempts[event.key].set_attribute("greenroom.session.id", event.id)
            case events.CreateRefused() | events.AttemptFailed():
                self._end(event.key, event.at, event.cause, event.message)
            case events.Settled():
                self._settled(event)
            case events.LaunchEnded():
                self._ended(event)

    def _began(self, event: events.LaunchBegan) -> None:
        self._span = self.telemetry.tracer.start_span(
            f"launch {self._kind}",
            attributes={
                KIND: self._kind,
                "greenroom.launch.id": self._id,
                "greenroom.launch.resumed": event.resumed,
            },
            start_time=_nanoseconds(event.at),
        )
        context.attach(trace.set_span_in_context(self._span))  # in the launch's task, for its life

    def _attempt(self, event: events.CreateIntended) -> trace.Span:
        choice = {f"greenroom.choice.{name}": value for name, value in event.choice.items()}
        return self.telemetry.tracer.start_span(
            f"attempt {self._kind}",
            context=trace.set_span_in_context(self._span),
            attributes={
                KIND: self._kind,
                "greenroom.key": event.key,
                "greenroom.attempt": event.attempt,
                **choice,
            },
            start_time=_nanoseconds(event.at),
        )

    def _settled(self, event: events.Settled) -> None:
        self._verdicts[event.verdict] += 1
        why = event.row or event.cause
        told = {KIND: self._kind, VERDICT: event.verdict.value}
        self.telemetry.instruments.workstation_duration.record(
            event.elapsed, told if why is None else {**told, ERROR: why}
        )
        if event.key in self._attempts:
            self._attempts[event.key].set_attribute(VERDICT, event.verdict.value)
        self._end(event.key, event.at, event.cause, event.message)

    def _ended(self, event: events.LaunchEnded) -> None:
        for key in tuple(self._attempts):
            self._end(key, event.at)
        self._span.set_attribute("greenroom.launch.interrupted", event.interrupted)
        for verdict, count in self._verdicts.items():
            self._span.set_attribute(f"greenroom.launch.{verdict.value}", count)
        self._span.end(_nanoseconds(event.at))

    def _end(
        self, key: str, at: datetime, cause: str | None = None, message: str | None = None
    ) -> None:
        span = self._attempts.pop(key, trace.INVALID_SPAN)
        if cause is not None:
            span.set_attribute(ERROR, cause)
            span.set_status(Status(StatusCode.ERROR, message))
        span.end(_nanoseconds(at))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e9)
