"""The main job on an embedded simulator: launch many sessions, wait for all, count what it took.

Everything goes over real HTTP. The studio's time runs `speed` times as fast as the clock on the
wall, and so do the budgets, the price and the ceiling here: whatever is shown is in simulated
seconds.
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

from greenroom._launch import _events as events
from greenroom._launch._launch import Launch
from greenroom._launch._policy import LaunchPolicy
from greenroom._limiter import RateLimiter
from greenroom._poller import Poller
from greenroom._schedule import PayAsYouWait
from greenroom._specs import count_specs
from greenroom._states import Verdict
from greenroom.cli._printing import span
from greenroom.cli.launch._run import LaunchRun
from greenroom.cli.launch._screen import LaunchNotices
from greenroom.cli.launch._told import JsonLaunch, TextLaunch
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble

if TYPE_CHECKING:
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._lines import WorkstationResult
    from greenroom._launch._report import LaunchReport
    from greenroom.cli._printing import Summary
    from greenroom.cli._status import Tally
    from greenroom.cli.launch._screen import LaunchScreen
    from greenroom.cli.launch._told import LaunchTold
    from greenroom.simulator import Simulator

READS = (10.0, 20)
"""Calls per second that read, and burst: what the studio lets pass."""

CREATES = (5.0, 5)
"""Calls per second that create, and burst."""

PRICE = 8.0
"""Session-seconds of delay that a call is worth."""

CEILING = 5.0
"""Seconds after which a session is read in any case."""

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
        total: Workstations to launch.
        told: Told of what happens.
        screen: Shown how far things are.
    """

    def __init__(
        self,
        simulator: Simulator,
        source: nimble.StreamingSessions,
        total: int,
        told: LaunchTold,
        screen: LaunchScreen,
    ) -> None:
        self._simulator = simulator
        self._speed = speed = simulator.clock.speed
        self._total = total
        self.poller = Poller(
            source,
            limiter=RateLimiter(READS[0] * speed, READS[1]),
            schedule=PayAsYouWait(PRICE / speed, CEILING / speed),
            settle=30.0 / speed,
            not_found_grace=30.0 / speed,
        )
        launch = Launch(
            source,
            count_specs(total, {"launch_profile_id": "demo"}, nimble.SessionSpec),
            poller=self.poller,
            creates=RateLimiter(CREATES[0] * speed, CREATES[1]),
            policy=LaunchPolicy(timeout=TIMEOUT / speed, canary=0),
        )
        launch.listen(self._remember)
        self._run = LaunchRun(launch, self.poller, _Simulated(told, simulator), screen, speed=speed)
        self._known_at: dict[str, float] = {}

    async def run(self) -> LaunchReport:
        """Launch, wait, and return what became of the workstations."""
        async with self.poller:
            return await self._run.run()

    @property
    def tally(self) -> Tally:
        """What became of them, in figures."""
        return self._run.tally

    def figures(self, report: LaunchReport) -> Figures:
        """Return what it took. Only where at least one session became READY."""
        polled = self.poller.statistics()
        delays, waits = [], []
        for session_id, changes in self._simulator.truth().items():
            ready_at = next((change.at for change in changes if change.state == "READY"), None)
            if ready_at is not None and session_id in self._known_at:
                delays.append(self._known_at[session_id] - ready_at)
                waits.append(ready_at - changes[0].at)
        return Figures(
            sessions=self._total,
            ready=len(waits),
            elapsed=report.elapsed * self._speed,
            calls=polled.calls,
            throttled=polled.throttled,
            calls_per_session=polled.calls / self._total,
            mean_delay=fmean(delays),
            p99_delay=sorted(delays)[math.ceil(0.99 * len(delays)) - 1],
            waiter_calls=sum(1 + math.ceil(wait / WAITER_DELAY) for wait in waits),
        )

    def _remember(self, event: LaunchEvent) -> None:
        if isinstance(event, events.Settled) and event.id is not None:
            self._known_at[event.id] = self._simulator.clock()


class _Simulated:
    """Tells of a launch in simulated time."""

    def __init__(self, told: LaunchTold, simulator: Simulator) -> None:
        self._told = told
        self._clock = simulator.clock

    def change(self, change: events.Changed) -> None:
        """Tell of a change."""
        started, speed = self._clock.started, self._clock.speed
        at = started + (change.at.timestamp() - started) * speed
        self._told.change(
            replace(change, at=datetime.fromtimestamp(at, UTC), elapsed=change.elapsed * speed)
        )

    def outcome(self, result: WorkstationResult) -> None:
        """Tell of an outcome."""
        self._told.outcome(replace(result, elapsed=result.elapsed * self._clock.speed))

    def summary(self, report: LaunchReport, summary: Summary) -> None:
        """Tell of the end."""
        self._told.summary(report, summary)


async def run(sessions: int, *, speed: float, seed: int, as_json: bool, live: bool) -> int:
    """Run the demo, and return the exit status."""
    told: LaunchTold = JsonLaunch() if as_json else TextLaunch(verbose=False)
    screen: LaunchScreen = LaunchNotices(lines=not as_json)
    if live:
        from greenroom.cli.launch._view import LaunchView

        title = f"launching {sessions} simulated workstations"
        screen = LaunchView(title, TIMEOUT, speed=speed)
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
        demo = Demo(simulator, source, sessions, told, screen)
        if not (as_json or live):
            click.echo(f"greenroom: launching {sessions} sessions at {simulator.url}", err=True)
        began = anyio.current_time()
        report = await demo.run()
        if demo.tally.counts[Verdict.SUCCESS] and not demo.tally.interrupted:
            figures = demo.figures(report)
            if as_json:
                click.echo(as_line(figures))
            else:
                click.echo(as_text(figures, anyio.current_time() - began))
    return demo.tally.exit_status


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

  reads per session    {figures.calls_per_session:.1f}
  one waiter each      would have made {waiters}
  READY until we knew  {figures.mean_delay:.1f} s on average, 99 % within {figures.p99_delay:.1f} s

All times are simulated; it took {span(took)} of yours."""
