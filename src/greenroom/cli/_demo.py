"""The main job on an embedded simulator: launch many sessions, wait for all, count what it took.

Everything goes over real HTTP. The studio's time runs `speed` times as fast as the clock on the
wall, and so do the budgets and the intervals here: whatever is shown is in simulated seconds.
"""

from __future__ import annotations

import json
import math
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING

import anyio
import click

from greenroom._limiter import RateLimiter
from greenroom._poller import Poller
from greenroom._results import Transition, WaitResult
from greenroom._schedule import Every
from greenroom._states import Verdict
from greenroom.cli._report import JsonReport, TextReport, span
from greenroom.cli._screen import Notices
from greenroom.cli._wait import Event, Run
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble
from greenroom.sources._aws import call

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from greenroom.cli._report import Report
    from greenroom.cli._screen import Screen
    from greenroom.cli._status import Tally
    from greenroom.simulator import Simulator

READS = (10.0, 20)
"""Calls per second that read, and burst: what the studio lets pass."""

CREATES = (5.0, 5)
"""Calls per second that create, and burst."""

INTERVAL = 5.0
"""Seconds between looks."""

TIMEOUT = 1800.0

WAITER_DELAY = 10.0
"""Seconds between the calls of botocore's own waiter for a READY session."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a demo took, in simulated seconds.

    Attributes:
        sessions: Sessions launched.
        ready: Those of them that became READY.
        elapsed: From the first create to the last answer.
        calls: Calls that read.
        throttled: Those of them that the studio throttled.
        calls_per_session: `calls / sessions`.
        mean_delay: From a session being READY to our knowing it, on average.
        p99_delay: The same for the slowest hundredth.
        waiter_calls: Calls that one botocore waiter for each session would have made: one at
            once, then one every 10 s until the session is READY.
    """

    sessions: int
    ready: int
    elapsed: float
    calls: int
    throttled: int
    calls_per_session: float
    mean_delay: float
    p99_delay: float
    waiter_calls: int


class Demo:
    """One demo.

    Args:
        simulator: The studio.
        source: What reads its sessions.
        total: Sessions to launch.
        report: Told of what happens.
        screen: Shown how far things are.
    """

    def __init__(
        self,
        simulator: Simulator,
        source: nimble.StreamingSessions,
        total: int,
        report: Report,
        screen: Screen,
    ) -> None:
        self._simulator = simulator
        self._source = source
        self._total = total
        self._speed = simulator.clock.speed
        self._creates = RateLimiter(CREATES[0] * self._speed, CREATES[1])
        limiter = RateLimiter(READS[0] * self._speed, READS[1])
        poller = Poller(
            source,
            limiter=limiter,
            schedule=Every(INTERVAL / self._speed),
            settle=30.0 / self._speed,
            not_found_grace=30.0 / self._speed,
        )
        self._run = Run(poller, limiter, total, report, screen, speed=self._speed)
        self._known_at: dict[str, float] = {}

    async def run(self) -> Tally:
        """Launch, wait, and return what became of the sessions."""
        run = self._run
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        async with send, receive, run.poller as poller:
            poller.on("*", send.send_nowait)
            async with anyio.create_task_group() as launching:
                launching.start_soon(self._launch, send)
                async with run.attended():
                    async for event in receive:
                        run.tell(self._simulated(event))
                launching.cancel_scope.cancel()
        run.tally.counts[Verdict.CANCELLED] = self._total - run.tally.counts.total()
        run.summarise()
        return run.tally

    def figures(self) -> Figures:
        """Return what it took. Only where at least one session became READY."""
        polled = self._run.poller.statistics()
        delays, waits = [], []
        for session_id, changes in self._simulator.truth().items():
            ready_at = next((change.at for change in changes if change.state == "READY"), None)
            if ready_at is not None and session_id in self._known_at:
                delays.append(self._known_at[session_id] - ready_at)
                waits.append(ready_at - changes[0].at)
        return Figures(
            sessions=self._total,
            ready=len(waits),
            elapsed=self._run.progress.elapsed(anyio.current_time()),
            calls=polled.calls,
            throttled=polled.throttled,
            calls_per_session=polled.calls / self._total,
            mean_delay=fmean(delays),
            p99_delay=sorted(delays)[math.ceil(0.99 * len(delays)) - 1],
            waiter_calls=sum(1 + math.ceil(wait / WAITER_DELAY) for wait in waits),
        )

    async def _launch(self, send: MemoryObjectSendStream[Event]) -> None:
        with send:
            async with anyio.create_task_group() as sessions:
                for _ in range(self._total):
                    await self._creates.acquire()
                    sessions.start_soon(self._follow, send)

    async def _follow(self, send: MemoryObjectSendStream[Event]) -> None:
        params = {"studioId": self._source.studio_id, "launchProfileId": "demo"}
        answer = await call(self._source.client, "CreateStreamingSession", params)
        session_id = answer["session"]["sessionId"]
        self._run.progress.begin((session_id,), anyio.current_time())
        results = await self._run.poller.wait_all(
            (session_id,), until="READY", timeout=TIMEOUT / self._speed
        )
        self._known_at[session_id] = self._simulator.clock()
        send.send_nowait(results[session_id])

    def _simulated(self, event: Event) -> Event:
        elapsed = event.elapsed * self._speed
        if isinstance(event, WaitResult):
            history = tuple(map(self._simulated_change, event.history))
            return replace(event, elapsed=elapsed, history=history)
        return self._simulated_change(event)

    def _simulated_change(self, change: Transition) -> Transition:
        started = self._simulator.clock.started
        at = started + (change.at.timestamp() - started) * self._speed
        elapsed = change.elapsed * self._speed
        return replace(change, elapsed=elapsed, at=datetime.fromtimestamp(at, UTC))


async def run(sessions: int, *, speed: float, seed: int, as_json: bool, live: bool) -> int:
    """Run the demo, and return the exit status."""
    report = JsonReport() if as_json else TextReport(verbose=False, hold_back=live)
    screen: Screen = Notices(lines=not as_json)
    if live:
        from greenroom.cli._live import LiveView

        screen = LiveView(f"{sessions} simulated sessions until READY", None, speed=speed)
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(serve(Settings(seed=seed), speed=speed))
        source = await stack.enter_async_context(
            nimble.connect(
                studio_id=simulator.studio_id,
                endpoint_url=simulator.url,
                region_name="us-west-2",
                aws_access_key_id="simulated",
                aws_secret_access_key="simulated",
            )
        )
        demo = Demo(simulator, source, sessions, report, screen)
        if not (as_json or live):
            click.echo(f"greenroom: launching {sessions} sessions at {simulator.url}", err=True)
        began = anyio.current_time()
        tally = await demo.run()
        if tally.counts[Verdict.SUCCESS] and not tally.interrupted:
            figures = demo.figures()
            if as_json:
                click.echo(as_line(figures))
            else:
                click.echo(as_text(figures, anyio.current_time() - began))
    return tally.exit_status


def as_line(figures: Figures) -> str:
    """Return the figures as one JSON object."""
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }
    return json.dumps({"event": "demo", **rounded})


def as_text(figures: Figures, took: float) -> str:
    """Return the figures in words, with the seconds it took on the wall."""
    waiters = f"{figures.waiter_calls:,} calls, {figures.waiter_calls / figures.sessions:.1f} each"
    return f"""\

  calls per session    {figures.calls_per_session:.1f}
  one waiter each      would have made {waiters}
  READY until we knew  {figures.mean_delay:.1f} s on average, 99 % within {figures.p99_delay:.1f} s

All times are simulated; it took {span(took)} of yours."""
