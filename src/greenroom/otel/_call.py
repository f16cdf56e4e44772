"""API calls: a span of kind CLIENT and a few figures for each, pages one by one.

While a call is under way its span is the current one, so that spans of botocore or of the HTTP
client become its children.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from greenroom._errors import SourceError, Throttled
from greenroom.otel._harmless import harmless
from greenroom.otel._instruments import ERROR, KIND, OPERATION

if TYPE_CHECKING:
    from greenroom.otel._clock import Clock
    from greenroom.otel._telemetry import Telemetry

CANCELLED = "cancelled"
SESSIONS = "greenroom.call.sessions"

answer: ContextVar[SpanContext | None] = ContextVar("answer", default=None)
"""The call whose answer this task takes in, if it does."""


class CallTelemetry:
    """One question to a service.

    Args:
        telemetry: Where figures and spans go.
        clock: The poller's time.
        kind: What it is about.
        operation: The source's or the provider's method.
        sessions: How many it is about; None if that is not known.
    """

    def __init__(
        self, telemetry: Telemetry, clock: Clock, kind: str, operation: str, sessions: int | None
    ) -> None:
        self.telemetry = telemetry
        self._clock = clock
        self._attributes = {KIND: kind, OPERATION: operation}
        self._name = f"{operation} {kind}"
        self._sessions: dict[str, Any] = {} if sessions is None else {SESSIONS: sessions}
        self._outside = context.get_current()
        self._span: trace.Span | None = None
        self._began = 0.0
        self._begin()

    @harmless
    def page_began(self) -> None:
        """Begin the next call's span."""
        self._begin()

    @harmless
    def page_ended(self) -> None:
        """End a call that was answered, though not in full."""
        self._end(None)

    @harmless
    def ended(self, outcome: object) -> None:
        """End the last call."""
        self._end(outcome)

    @harmless
    def abandoned(self) -> None:
        """End a call that was cancelled."""
        self._end(CANCELLED)

    def _begin(self) -> None:
        self._began = self._clock.now()
        self._span = self.telemetry.tracer.start_span(
            self._name,
            kind=SpanKind.CLIENT,
            attributes={**self._attributes, **self._sessions},
            start_time=self._clock.nanoseconds(self._began),
        )
        context.attach(trace.set_span_in_context(self._span))
        self.telemetry.instruments.active_calls.add(1, self._attributes)

    def _end(self, outcome: object) -> None:
        span, self._span = self._span, None
        if span is None:  # cancelled between two pages
            return
        now, instruments = self._clock.now(), self.telemetry.instruments
        context.attach(self._outside)
        answer.set(span.get_span_context())
        instruments.active_calls.add(-1, self._attributes)
        told = {**self._attributes, **_error(outcome)}
        instruments.calls.add(1, told)
        instruments.call_duration.record(now - self._began, told)
        if isinstance(outcome, Throttled):
            instruments.throttles.add(1, self._attributes)
        if span.is_recording():
            _tell(span, outcome)
        span.end(self._clock.nanoseconds(now))


def _error(outcome: object) -> dict[str, str]:
    if isinstance(outcome, SourceError):
        return {ERROR: type(outcome).__name__}  # not its code, which may be anything
    return {ERROR: CANCELLED} if outcome is CANCELLED else {}


def _tell(span: trace.Span, outcome: object) -> None:
    span.set_attributes(_error(outcome))
    if isinstance(outcome, SourceError):
        span.set_status(Status(StatusCode.ERROR, str(outcome)))
        if outcome.code is not None:
            span.set_attribute("greenroom.error.code", outcome.code)
        if outcome.operation is not None:
            span.set_attribute("rpc.method", outcome.operation)
