"""One poller, looked at: its waits, its calls, and its launches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from greenroom._states import Verdict
from greenroom.otel._call import CallTelemetry, answer
from greenroom.otel._clock import Clock
from greenroom.otel._harmless import harmless
from greenroom.otel._instruments import ERROR, GOAL, KIND, VERDICT
from greenroom.otel._launch import LaunchTelemetry

if TYPE_CHECKING:
    from greenroom._engine import Engine
    from greenroom._limiter import Limiter
    from greenroom._results import Transition, WaitResult
    from greenroom._waiting import Wait
    from greenroom.otel._telemetry import Telemetry

ID = "greenroom.session.id"
STATE = "greenroom.state"
REASON = "greenroom.reason"

ANSWERED = frozenset(Verdict) - {Verdict.TIMEOUT, Verdict.CANCELLED}
"""The verdicts that a call brings."""


class PollerTelemetry:
    """Looks on at one poller.

    Attributes:
        telemetry: Where figures and spans go.
        engine: The poller's engine.
        kind: What it polls.
        waits: The waits in progress, each with its span.
    """

    engine: Engine

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self.kind = ""
        self.waits: dict[Wait, trace.Span] = {}

    @harmless
    def opened(self, engine: Engine, limiter: Limiter) -> None:
        """Begin to look on."""
        self.engine, self._limiter, self._clock = engine, limiter, Clock()
        self.kind = engine.table.kind
        self.telemetry.instruments.opened(self)

    @harmless
    def closed(self) -> None:
        """Keep what was counted."""
        self.telemetry.instruments.closed(self)

    @harmless
    def wait_began(self, wait: Wait) -> None:
        """Begin a span, as a child of the current one: that of whoever waits."""
        self.waits[wait] = self.telemetry.tracer.start_span(
            f"wait {self.kind}",
            attributes={ID: wait.id, KIND: self.kind, GOAL: _shown(wait)},
            start_time=self._clock.nanoseconds(wait.since),
        )

    @harmless
    def wait_ended(self, wait: Wait, result: WaitResult | None) -> None:
        """Take the figures of a wait, and end its span."""
        span, now = self.waits.pop(wait, trace.INVALID_SPAN), self._clock.now()
        verdict = Verdict.CANCELLED if result is None else result.verdict
        told = {KIND: self.kind, GOAL: _shown(wait), VERDICT: verdict.value}
        self.telemetry.instruments.wait_duration.record(now - wait.since, told)
        if result is not None and (delay := _delay(result)) is not None:
            self.telemetry.instruments.delay.record(delay, {KIND: self.kind})
        if span.is_recording():
            span.set_attribute(VERDICT, verdict.value)
            if result is not None:
                _tell(span, result)
        span.end(self._clock.nanoseconds(now))

    @harmless
    def call_began(self, operation: str, sessions: int | None = None) -> CallTelemetry:
        """Look on at a call, too."""
        call = CallTelemetry(self.telemetry, self._clock, self.kind, operation, sessions)
        statistics = getattr(self._limiter, "statistics", None)
        if statistics is not None:
            self.telemetry.instruments.limiter_rate.set(statistics().rate, {KIND: self.kind})
        return call

    def launch_began(self, kind: str, launch_id: str) -> LaunchTelemetry:
        """Return who takes in what happens in a launch."""
        return LaunchTelemetry(self.telemetry, kind, launch_id)

    def beside(self) -> PollerTelemetry:
        """Return who looks on at another poller."""
        return PollerTelemetry(self.telemetry)

    def lag(self) -> float:
        """Return for how long the call that should be next has been waiting for the budget."""
        due = self.engine.reader.due if self.engine.sessions else math.inf
        return max(0.0, self._clock.now() - due)


def _shown(wait: Wait) -> str:
    return "|".join(sorted(wait.goal))


def _delay(result: WaitResult) -> float | None:
    """Return seconds from the change that ended a wait to its end; None if it is not known.

    A session that was there before anybody waited was not told late.
    """
    told = result.history[-1].changed_at if result.history else None
    if told is None or told.tzinfo is None or result.verdict not in ANSWERED:
        return None
    delay = (result.history[-1].at - told).total_seconds()
    return max(0.0, delay) if delay <= result.elapsed else None


def _tell(span: trace.Span, result: WaitResult) -> None:
    for change in result.history:
        at = int(change.at.timestamp() * 1e9)
        span.add_event("session.changed", _attributes(change), at)
    if result.state is not None:
        span.set_attribute(STATE, result.state)
    if result.reason is not None:
        span.set_attribute(REASON, result.reason)
    span.set_attribute("greenroom.reads", result.reads)
    decided_by = answer.get()
    if decided_by is not None:
        span.add_link(decided_by)
    if result.verdict not in (Verdict.SUCCESS, Verdict.CANCELLED):
        span.set_attribute(ERROR, result.verdict.value)
        span.set_status(Status(StatusCode.ERROR, result.explanation))


def _attributes(change: Transition) -> dict[str, Any]:
    told = {"greenroom.before": change.before, STATE: change.after, REASON: change.reason}
    return {name: value for name, value in told.items() if value is not None}
