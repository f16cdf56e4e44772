"""Runs a poller for a command: settles or watches sessions, and tells a report and a screen.

Everything that happens passes through one queue and is told from one place, so that a change is
told before the outcome it led to, and what cannot be printed ends the run.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import click

from greenroom._errors import AccessDenied, InvalidRequest
from greenroom._poller import Poller
from greenroom._results import Transition, WaitResult
from greenroom._states import ANY_STATE, Verdict
from greenroom.cli._budget import held
from greenroom.cli._interrupt import interruptible
from greenroom.cli._kinds import connect, place_of
from greenroom.cli._printing import Summary, printable
from greenroom.cli._progress import Progress
from greenroom.cli._status import Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from anyio.streams.memory import MemoryObjectSendStream

    from greenroom._errors import GreenroomError
    from greenroom._source import Source
    from greenroom._waiting import AsCompleted
    from greenroom.cli._budget import Budget
    from greenroom.cli._options import Asked
    from greenroom.cli._printing import Report
    from greenroom.cli._screen import Screen

TICK = 0.25
"""Seconds from one look at the figures to the next."""

Event = Transition | WaitResult


@dataclass(frozen=True, slots=True)
class Goal:
    """What to wait for.

    Attributes:
        until: The states, of which any will do.
        timeout: Seconds for all sessions together, or None.
        not_found_grace: Seconds in which not found may be too early to tell; None for what is
            usual for the kind.
    """

    until: Collection[str]
    timeout: float | None
    not_found_grace: float | None = None


class Run:
    """One run of one poller: who is told, and what has come of it so far.

    Args:
        poller: The poller, not yet entered.
        limiter: Its budget.
        total: Sessions that there will be.
        report: Told of what happens.
        screen: Shown how far things are.
        source: What the poller reads.
        speed: Shown seconds per second of the clock.
    """

    def __init__(
        self,
        poller: Poller,
        limiter: Budget,
        total: int,
        report: Report,
        screen: Screen,
        *,
        source: Source,
        speed: float = 1.0,
    ) -> None:
        self.poller = poller
        self.source = source
        self.tally = Tally()
        self.progress = Progress(total, anyio.current_time(), speed=speed)
        self._limiter = limiter
        self._report = report
        self._screen = screen
        self._told: set[Transition] = set()
        self._never_seen = 0

    def tell(self, event: Event) -> None:
        """Tell everyone of a change or an outcome; a change that was told already is not news."""
        if isinstance(event, WaitResult):
            for change in event.history:
                self._tell_change(change)
            self.tally.count(event)
            absent = event.verdict in (Verdict.SUCCESS, Verdict.MISSING)
            self._never_seen += absent and event.state is None and event.goal != ANY_STATE
            self.progress.outcome(event, anyio.current_time())
            self._report.outcome(event)
        else:
            self._tell_change(event)

    def refuse(self, error: GreenroomError) -> None:
        """Take in that the source will not speak about one of the sessions."""
        self.tally.counts[Verdict.ERROR] += 1
        click.echo(f"greenroom: {printable(str(error))}", err=True)

    def summarise(self) -> None:
        """Tell the report of the end, with all calls that the budget has paid for."""
        budget = self._limiter.statistics()
        elapsed = self.progress.elapsed(anyio.current_time())
        self._report.summary(
            Summary(self.progress.total, self.tally, budget.granted, budget.throttled, elapsed)
        )
        if self._never_seen:
            place = place_of(self.source)
            click.echo(
                f"greenroom: {self._never_seen} of {self.progress.total} never existed, as far as "
                f"is known{place and f' in {place}'}; is that where they are?",
                err=True,
            )

    @asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Keep the screen up to date during the body, and end the body when the user says so."""
        with self._screen:
            async with anyio.create_task_group() as ticking:
                ticking.start_soon(self._tick)
                with interruptible() as scope:
                    yield
                self.tally.interrupted = scope.cancel_called
                ticking.cancel_scope.cancel()
            self._show()

    def _tell_change(self, change: Transition) -> None:
        if change not in self._told:
            self._told.add(change)
            self.progress.transition(change)
            self._report.transition(change)

    async def _tick(self) -> None:
        while True:
            self._show()
            await anyio.sleep(TICK)

    def _show(self) -> None:
        self._screen.tick(
            self.progress,
            self.poller.statistics(),
            self._limiter.statistics(),
            anyio.current_time(),
        )


async def settle(asked: Asked, goal: Goal, report: Report, screen: Screen) -> int:
    """Wait for all the sessions, and return the exit status.

    Waits that an interruption cuts short have the verdict CANCELLED.
    """
    send, receive = anyio.create_memory_object_stream[Event](math.inf)
    async with (
        send,
        receive,
        open_run(asked, report, screen, not_found_grace=goal.not_found_grace) as run,
        anyio.create_task_group() as tasks,
    ):
        async with run.poller as poller:
            poller.on("*", send.send_nowait)
            run.progress.begin(asked.ids, anyio.current_time())
            waits = poller.as_completed(asked.ids, until=goal.until, timeout=goal.timeout)
            tasks.start_soon(_forward, waits, send)
            async with run.attended():
                async for event in receive:
                    run.tell(event)
        async for event in receive:  # what closing the poller cancelled
            run.tell(event)
        run.summarise()
    return run.tally.exit_status


async def watch(asked: Asked, report: Report, screen: Screen) -> int:
    """Tell of every change until interrupted, or until the source refuses all the sessions.

    Returns:
        The exit status.
    """
    async with (
        open_run(asked, report, screen) as run,
        run.poller as poller,
        poller.watch(asked.ids) as changes,
    ):
        async with run.attended():
            while run.tally.counts[Verdict.ERROR] < len(asked.ids):
                try:
                    async for change in changes:
                        run.tell(change)
                except (AccessDenied, InvalidRequest) as error:
                    run.refuse(error)
                else:
                    break  # nothing comes any more, as where the poller broke
        run.tally.counts[Verdict.CANCELLED] = len(asked.ids) - run.tally.counts[Verdict.ERROR]
        run.summarise()
    return run.tally.exit_status


@asynccontextmanager
async def open_run(
    asked: Asked, report: Report, screen: Screen, *, not_found_grace: float | None = None
) -> AsyncIterator[Run]:
    """Connect to what is asked about, and yield a run whose poller is not yet entered."""
    limiter = asked.pacing.limiter()
    async with held(limiter), connect(asked.kind, asked.address, asked.ids) as source:
        schedule = asked.pacing.schedule(source.max_batch, getattr(source, "price", None))
        poller = Poller(source, limiter=limiter, schedule=schedule, not_found_grace=not_found_grace)
        yield Run(poller, limiter, len(asked.ids), report, screen, source=source)


async def _forward(waits: AsCompleted, send: MemoryObjectSendStream[Event]) -> None:
    with send:
        async for result in waits:
            send.send_nowait(result)
        await anyio.lowlevel.checkpoint()  # changes of the last answer may be yet to be heard
