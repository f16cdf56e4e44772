"""Runs a launch for a command: tells a report and a screen, and minds Ctrl-C.

The first Ctrl-C stops the launch: nothing more is created, what is under way is seen through and
recorded. The second leaves at once. After both, the user is told how to go on.
"""

from __future__ import annotations

import json
import os
import shlex
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import click

from greenroom._launch import _events as events
from greenroom._launch._launch import Launch
from greenroom._launch._lines import REOPENED
from greenroom._launch._site import INTERRUPTED
from greenroom._limiter import RateLimiter
from greenroom._poller import Poller
from greenroom._states import Verdict
from greenroom.cli._interrupt import interruptible
from greenroom.cli._kinds import connect_studio
from greenroom.cli._launch_options import resume_line
from greenroom.cli._pace import Pace
from greenroom.cli._report import Summary, printable, timestamp
from greenroom.cli._status import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from greenroom._launch._events import LaunchEvent, StreamReady
    from greenroom._launch._report import LaunchReport
    from greenroom.cli._launch_options import Wanted
    from greenroom.cli._launch_screen import LaunchScreen
    from greenroom.cli._launch_told import LaunchTold

TICK = 0.25
"""Seconds from one look at the figures to the next."""


_UNFINISHED = REOPENED | {Verdict.PENDING}

LEFT = "the launch was left before this was decided"


class LaunchRun:
    """One launch of a command: who is told, and what has come of it so far.

    Args:
        launch: The launch, not yet entered.
        poller: What it waits with.
        told: Told of what happens.
        screen: Shown how far things are.
        speed: Shown seconds per second of the clock.
    """

    def __init__(
        self,
        launch: Launch,
        poller: Poller,
        told: LaunchTold,
        screen: LaunchScreen,
        *,
        speed: float = 1.0,
    ) -> None:
        self.tally = Tally()
        self._launch = launch
        self._poller = poller
        self._told = told
        self._screen = screen
        self._speed = speed
        self._began = anyio.current_time()
        self._pace = Pace(self._began, speed=speed)
        self._outcomes: set[str] = set()

    async def run(self, stopping: Callable[[], None]) -> LaunchReport:
        """Run the launch to its end, or until the user ends it, and return the account.

        Args:
            stopping: Called at the first Ctrl-C.
        """

        def stop() -> None:
            self.tally.interrupted = True
            self._launch.stop()
            stopping()

        with self._screen, interruptible(stop) as scope:
            async with self._launch as launch, anyio.create_task_group() as ticking:
                ticking.start_soon(self._tick)
                async for event in launch:
                    self.tell(event)
                ticking.cancel_scope.cancel()
        self.tally.interrupted = self.tally.interrupted or scope.cancel_called
        report = self._launch.report()
        for key in report:
            self._outcome(key)
        self._told.summary(report, self._summary(report))
        return report

    def tell(self, event: LaunchEvent) -> None:
        """Tell everyone of an event."""
        match event:
            case events.LaunchBegan():
                for line in self._launch.account.lines.values():
                    if not line.open:
                        self._outcome(line.spec.key)
            case events.Changed():
                self._told.change(event)
            case events.Settled():
                self._pace.settled(anyio.current_time())
                self._outcome(event.key)
            case events.CreatesStopped() if event.cause == INTERRUPTED:
                pass  # the user knows
            case events.CreatesHeld() | events.CreatesStopped() | events.CreatesReleased():
                self._screen.notice(event)

    def _outcome(self, key: str) -> None:
        if key in self._outcomes:
            return
        self._outcomes.add(key)
        result = self._launch.account.lines[key].result()
        if result.verdict is Verdict.PENDING:  # left at once
            result = replace(result, verdict=Verdict.CANCELLED, message=LEFT)
        self.tally.count(result)
        self._told.outcome(result)

    def _summary(self, report: LaunchReport) -> Summary:
        elapsed = (anyio.current_time() - self._began) * self._speed
        cost = self._launch.cost()
        return Summary(len(report), self.tally, cost.calls, cost.throttled, elapsed)

    async def _tick(self) -> None:
        while True:
            now = anyio.current_time()
            self._screen.tick(
                self._launch.account,
                self._launch.cost(),
                self._poller.statistics(),
                self._pace,
                (now - self._began) * self._speed,
                now,
            )
            await anyio.sleep(TICK)


async def launch(wanted: Wanted, told: LaunchTold, screen: LaunchScreen) -> int:
    """Launch, and return the exit status."""
    limiter = wanted.pacing.limiter()
    creates = RateLimiter(wanted.create_rate, burst=max(1, round(wanted.create_rate)))
    async with connect_studio(wanted.address) as studio:
        poller = Poller(studio, limiter=limiter, schedule=wanted.pacing.schedule())
        async with poller:
            with url_file(wanted.urls, append=wanted.resume) as write_url:
                running = Launch(
                    studio,
                    wanted.specs,
                    poller=poller,
                    creates=creates,
                    policy=wanted.policy,
                    journal=wanted.journal,
                    resume=wanted.resume,
                    options=wanted.options,
                )
                running.listen(write_url)
                run = LaunchRun(running, poller, told, screen)
                report = await run.run(say_stopping)
    _say_what_next(wanted.journal, report)
    return run.tally.exit_status


@contextmanager
def url_file(path: Path | None, *, append: bool) -> Iterator[Callable[[LaunchEvent], None]]:
    """Yield what writes the URLs of streams to a file that only its owner can read.

    Raises:
        click.UsageError: It cannot be written, or there is such a file and it is not to be resumed.
    """
    if path is None:
        yield lambda event: None  # noqa: ARG005  # nobody asked for them
        return
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        hint = "; name a new file" if isinstance(error, FileExistsError) else ""
        raise click.UsageError(f"cannot write {path}: {error.strerror}{hint}") from None
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:

        def write(event: LaunchEvent) -> None:
            if isinstance(event, events.StreamReady):
                file.write(_url_line(event))
                file.flush()

        yield write


def _url_line(ready: StreamReady) -> str:
    expires_at = ready.stream.expires_at
    members = {
        "key": ready.key,
        "id": ready.id,
        "stream_id": ready.stream.stream_id,
        "url": ready.stream.url,
        "expires_at": None if expires_at is None else timestamp(expires_at),
    }
    return json.dumps(members) + "\n"


def say_stopping() -> None:
    """Tell the user what the first Ctrl-C does."""
    click.echo(
        "greenroom: stopping: nothing more is created, what is under way is seen through; "
        "Ctrl-C again leaves at once",
        err=True,
    )


def _say_what_next(journal: Path | None, report: LaunchReport) -> None:
    unfinished = any(result.verdict in _UNFINISHED for result in report.values())
    if journal is None:
        if unfinished:
            click.echo("greenroom: there is no journal, so it cannot be resumed", err=True)
        return
    if unfinished:
        click.echo(f"greenroom: to resume: {printable(resume_line(journal))}", err=True)
    click.echo(f"greenroom: the account: greenroom report {shlex.quote(str(journal))}", err=True)
