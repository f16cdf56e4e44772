"""Runs a launch for a command: tells a report and a screen, and minds Ctrl-C.

The first Ctrl-C stops the launch: nothing more is created, what is under way is seen through and
recorded. The second leaves at once. After both, the user is told how to go on.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from greenroom import _private
from greenroom._launch import _events as events
from greenroom._launch._launch import Launch
from greenroom._launch._lines import REOPENED
from greenroom._launch._site import INTERRUPTED
from greenroom._poller import Poller
from greenroom._states import Verdict
from greenroom.cli._budget import held
from greenroom.cli._interrupt import interruptible
from greenroom.cli._pace import Pace
from greenroom.cli._printing import Summary, escaped, printable, shell_word, timestamp
from greenroom.cli._status import Tally
from greenroom.cli.launch._options import resume_line
from greenroom.cli.launch._screen import Glance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from greenroom._launch._events import LaunchEvent, StreamReady
    from greenroom._launch._report import LaunchReport
    from greenroom.cli.launch._options import Wanted
    from greenroom.cli.launch._screen import LaunchScreen
    from greenroom.cli.launch._told import LaunchTold

CREATES = "/creates"
"""What the name of a shared budget ends in that is for creating, and not for reading."""

TICK = 0.25
"""Seconds from one look at the figures to the next."""


_UNFINISHED = REOPENED | {Verdict.PENDING}

STOPPING = (
    "stopping: nothing more is created, what is under way is seen through; "
    "Ctrl-C again leaves at once"
)

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
        self._to_settle = 0
        self._broken: OSError | None = None
        self._in_trouble = False

    async def run(self) -> LaunchReport:
        """Run the launch to its end, or until the user ends it, and return the account.

        Raises:
            OSError: What was to be told could not be printed. The launch was stopped for that, and
                what was under way seen through.
        """
        with self._screen, interruptible(self._stop) as scope:
            async with self._launch as launch, anyio.create_task_group() as ticking:
                ticking.start_soon(self._tick)
                async for event in launch:
                    self._printing(lambda: self._tell(event))  # noqa: B023  # called at once
                ticking.cancel_scope.cancel()
        self.tally.interrupted = self.tally.interrupted or scope.cancel_called
        report = self._launch.report()
        for key in report:
            self._printing(lambda: self._outcome(key))  # noqa: B023  # called at once
        self._printing(lambda: self._told.summary(report, self._summary(report)))
        if self._broken is not None:
            raise self._broken
        return report

    def _stop(self) -> None:
        self.tally.interrupted = True
        self._launch.stop()
        self._screen.notice(STOPPING)
        self._show()

    def _printing(self, tell: Callable[[], None]) -> None:
        """Tell something; where nobody can be told any more, stop the launch as Ctrl-C does."""
        if self._broken is None:
            try:
                tell()
            except OSError as error:
                self._broken = error
                self._launch.stop()

    def _tell(self, event: LaunchEvent) -> None:
        match event:
            case events.LaunchBegan():
                lines = self._launch.account.lines.values()
                self._to_settle = sum(line.open for line in lines)
                for line in lines:
                    if not line.open:
                        self._outcome(line.spec.key)
            case events.Changed():
                self._told.change(event)
            case events.Settled():
                self._pace.settled(anyio.current_time())
                self._to_settle -= 1
                self._outcome(event.key)
            case events.CreatesStopped() if event.cause == INTERRUPTED:
                pass  # the user knows
            case events.CreatesStopped():
                self._screen.notice(f"nothing more is created ({event.cause}): {event.message}")
            case events.CreatesHeld():
                self._screen.notice(f"creates are held ({event.cause}): {event.message}")
            case events.CreatesReleased():
                self._screen.notice("creates go on", over=True)

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
            self._show()
            await anyio.sleep(TICK)

    def _show(self) -> None:
        now = anyio.current_time()
        trouble = self._launch.trouble
        if trouble is not None and not self._in_trouble:
            self._screen.notice(f"no answer, trying on: {trouble}")
        elif trouble is None and self._in_trouble:
            self._screen.notice("the service answers again", over=True)
        self._in_trouble = trouble is not None
        cost = self._launch.cost()
        self._screen.tick(
            Glance(
                account=self._launch.account,
                cost=cost,
                polled=self._poller.statistics(),
                rate=self._pace.call_rate(cost.calls, now),
                elapsed=(now - self._began) * self._speed,
                left=self._pace.left(self._to_settle, now),
                now=now,
            )
        )


async def launch(wanted: Wanted, told: LaunchTold, screen: LaunchScreen) -> int:
    """Launch, and return the exit status."""
    limiter = wanted.pacing.limiter()
    burst = max(1, round(wanted.create_rate))
    creates = wanted.pacing.limiter_of(wanted.create_rate, burst, CREATES)
    async with held(limiter), held(creates), wanted.provider.connect(wanted.address) as studio:
        schedule = wanted.pacing.schedule(studio.max_batch, getattr(studio, "price", None))
        poller = Poller(studio, limiter=limiter, schedule=schedule)
        running = Launch(
            studio,
            wanted.specs,
            poller=poller,
            creates=creates,
            policy=wanted.policy,
            journal=wanted.journal,
            resume=wanted.resume,
            retry_failed=wanted.retry_failed,
            options=wanted.options,
        )
        run = LaunchRun(running, poller, told, screen)
        running.listen(partial(_announce, wanted.journal))
        try:
            with url_file(wanted.urls, append=wanted.resume) as write_url:
                running.listen(write_url)
                async with poller:
                    await run.run()
        finally:
            _say_what_next(wanted.journal, running)
    return run.tally.exit_status


def _announce(journal: Path | None, event: LaunchEvent) -> None:
    """Say where the launch is recorded, before anything is made."""
    if isinstance(event, events.LaunchBegan) and journal is not None:
        click.echo(f"greenroom: recorded in {escaped(str(journal))}", err=True)


def _say_what_next(journal: Path | None, running: Launch) -> None:
    report = running.report()
    if running.unrecorded is not None:
        click.echo(f"greenroom: error: {printable(str(running.unrecorded))}", err=True)
    if report.began_at is None:  # nothing was begun; why is said elsewhere
        return
    unfinished = running.unrecorded is not None or any(
        result.verdict in _UNFINISHED for result in report.values()
    )
    if journal is None:
        if unfinished:
            click.echo("greenroom: there is no journal, so it cannot be resumed", err=True)
        return
    if unfinished:
        click.echo(f"greenroom: to resume: {resume_line(journal)}", err=True)
    click.echo(f"greenroom: the account: greenroom report {shell_word(str(journal))}", err=True)


@contextmanager
def url_file(path: Path | None, *, append: bool) -> Iterator[Callable[[LaunchEvent], None]]:
    """Yield what writes the URLs of streams to a file that only its owner can read.

    Raises:
        click.UsageError: It cannot be written, or there is such a file and it is not to be resumed.
    """
    if path is None:
        yield lambda event: None  # noqa: ARG005  # nobody asked for them
        return
    try:
        descriptor = _opened(path, append=append)
    except OSError as error:
        hint = "; name a new file" if isinstance(error, FileExistsError) else ""
        raise click.UsageError(f"cannot write {path}: {error.strerror}{hint}") from None
    except ValueError as error:  # of a path that no file can have
        raise click.UsageError(f"cannot write {path}: {error}; name a file") from None

    def write(event: LaunchEvent) -> None:
        if isinstance(event, events.StreamReady):
            try:
                _write_whole(descriptor, _url_line(event).encode())
            except OSError as error:
                problem = f"the URL of {event.key}'s stream cannot be written: {error.strerror}"
                click.echo(f"greenroom: error: {printable(problem)}", err=True)

    try:
        yield write
    finally:
        status = os.fstat(descriptor)
        os.close(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            path.unlink()


def _opened(path: Path, *, append: bool) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_EXCL)
    descriptor = os.open(_private.resolved(path) if append else path, flags, 0o600)
    try:
        _private.check_ours(descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            _private.restrict(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write a line, or nothing of it: what is left of a full disk may take a part.

    Raises:
        OSError: It cannot be written.
    """
    rest = line
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            os.ftruncate(descriptor, status.st_size - (len(line) - len(rest)))
        raise


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
