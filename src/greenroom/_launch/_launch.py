"""A launch as a whole: it begins workstations, waits for all of them, and ends with the account.

Safe: what is about to be created is on record before it is asked for, and under a token that cannot
make a second one. Thrifty: all waits share one poller, and all creates one budget. Careful: the
first ones show whether the others are worth it. Complete: every key has exactly one line.
"""

from __future__ import annotations

import json
import math
import secrets
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

import anyio
import anyio.to_thread

from greenroom import _arguments, _log
from greenroom._errors import ConfigurationError, GreenroomError, JournalError
from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._account import Account
from greenroom._launch._asking import Asker
from greenroom._launch._beginning import begin
from greenroom._launch._clock import Bell, Clock, Deadline
from greenroom._launch._deleting import to_delete
from greenroom._launch._events import LaunchEvent
from greenroom._launch._gate import Gate
from greenroom._launch._groups import ungrouped
from greenroom._launch._journal_tables import Header
from greenroom._launch._policy import LaunchPolicy
from greenroom._launch._provider import Provider, kind_of, place_of
from greenroom._launch._record import FileRecord, Record
from greenroom._launch._recorder import Recorder
from greenroom._launch._report import LaunchReport
from greenroom._launch._site import CANARY, Cost, Site
from greenroom._launch._taking_up import open_journal
from greenroom._launch._workstation import Workstation
from greenroom._limiter import Limiter, RateLimiter
from greenroom._poller import Poller
from greenroom._specs import SpecLike, check_specs

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from types import TracebackType

    from anyio.abc import TaskGroup

    from greenroom._launch._lines import Line
    from greenroom._results import Transition

CREATES_PER_SECOND = 5.0
"""The budget of creates where none is given; its burst is 5 as well."""

METER_INTERVAL = 2.0
"""Seconds between two records of what it has cost."""


class Launch(AsyncIterable[LaunchEvent]):
    """A launch that is under way. Use it as an async context manager.

        async with greenroom.Launch(studio, specs, journal="run.db") as launch:
            async for event in launch:
                print(event)
        report = launch.report()

    Each iteration is told every event from its beginning on, and ends with the launch. Leaving the
    context normally waits for the end; leaving it by an exception, or being cancelled, ends the
    launch at once. What exists then goes on existing, and a journal takes it up again.

    Args:
        studio: Where sessions are made, as `nimble.connect` or `ec2.connect` yields it.
        specs: What is wanted: specs of the kind, or dicts of their fields. None to take them from
            the journal of a launch that is resumed.
        poller: An open poller of `studio` to wait with; None for one of its own.
        checks: Open pollers that wait for what the kind has looked at besides, by goal, as `ok` for
            `ec2-instance`; for any that is left out there is one of its own.
        creates: The budget of every call that creates, streams or deletes; None for one of its own
            of 5 calls per second. Give it the poller's limiter where both draw on one quota.
        policy: How to go about it.
        journal: The file that makes the launch durable, or a `Record` that somebody else keeps,
            which then says what is launched, and how far it has come; None for none.
        resume: Whether to take up the launch in the journal. Where there is no such file yet, it is
            begun, so that the same call can be made until it succeeds.
        retry_failed: Whether a launch that is resumed tries once more what had failed for good.
        options: Plain values, as JSON has them, to be kept in the journal for whoever resumes it.

    Attributes:
        account: What is known, at any moment.
        options: What is kept in the journal beside it.
        unrecorded: Why the journal is not complete, at any moment and in the end; None if it is.

    Raises:
        SpecError: Some specs cannot be right, or are not those of the launch that is resumed.
        ConfigurationError: An argument cannot be right. On entering: the launch that is resumed was
            begun elsewhere. Nothing was called.
        JournalError: On entering: the journal cannot be used. Nothing was created.
        PollerClosed: On leaving: the poller is not open. Nothing was created.
    """

    def __init__(
        self,
        studio: Provider,
        specs: Iterable[SpecLike] | None = None,
        *,
        poller: Poller | None = None,
        checks: Mapping[str, Poller] | None = None,
        creates: Limiter | None = None,
        policy: LaunchPolicy | None = None,
        journal: str | os.PathLike[str] | Record | None = None,
        resume: bool = False,
        retry_failed: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._record = journal if isinstance(journal, Record) else None
        if self._record is not None and (specs is not None or resume or retry_failed):
            raise ConfigurationError(
                "a Record says what is launched, and how far it has come: leave out specs, resume "
                "and retry_failed"
            )
        if resume and journal is None:
            raise ConfigurationError('resume=True needs the journal to resume: journal="run.db"')
        if retry_failed and not resume:
            raise ConfigurationError("retry_failed=True needs resume=True: nothing has failed yet")
        if specs is None and not resume and self._record is None:
            raise ConfigurationError("specs is missing: say what to launch, as specs=[{...}]")
        self._kind, self._place = kind_of(studio), place_of(studio)
        self._specs = None if specs is None else check_specs(specs, self._kind.spec)
        self._studio = studio
        self._poller = poller
        self._checks = dict(checks or {})
        if not isinstance(poller, Poller | None):
            raise ConfigurationError(f"poller={poller!r} must be a Poller(studio), or None")
        self._creates = (
            RateLimiter(CREATES_PER_SECOND, burst=5)
            if creates is None
            else _arguments.limiter("creates", creates)
        )
        self._policy = LaunchPolicy() if policy is None else policy
        if not isinstance(self._policy, LaunchPolicy):
            raise ConfigurationError(f"policy={policy!r} must be a LaunchPolicy(...)")
        self._policy.check_for(self._kind)
        self._path = (
            None
            if journal is None or isinstance(journal, Record)
            else _arguments.path("journal", journal)
        )
        self._began = partial(
            events.LaunchBegan,
            resumed=resume,
            retry_failed=retry_failed,
            handed_over=self._record is not None,
        )
        self._resume = resume
        self.options: Mapping[str, Any] = _kept(options)
        self.account = (
            Account("", self._specs or ()) if self._record is None else self._record.account
        )
        self.unrecorded: JournalError | None = None
        self._tasks: TaskGroup | None = None
        self._site: Site | None = None
        self._interrupted = False
        self._error: GreenroomError | None = None
        self._finished = anyio.Event()
        self._log = _log.logger()
        self._listeners: list[Callable[[LaunchEvent], object]] = []
        self._iterations: WeakSet[_Iteration] = WeakSet()

    # Using it.

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ConfigurationError("this launch was entered before; make a new Launch(...)")
        if self._path is not None:
            self._record = await anyio.to_thread.run_sync(self._open, self._path)
        elif self._record is None:
            self.account = Account(secrets.token_hex(8), self._specs or ())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        try:
            if exc is not None:
                self._tasks.cancel_scope.cancel()
            # The body's own exception passes by the task group, which would wrap it.
            await self._tasks.__aexit__(None, None, None)
        finally:
            if self._record is not None:
                with anyio.CancelScope(shield=True):
                    await self._record.close()
        if exc is None and self._error is not None:
            raise self._error

    def __aiter__(self) -> AsyncIterator[LaunchEvent]:
        self._check_entered()
        iteration = _Iteration(self._finished)
        self._iterations.add(iteration)
        return iteration

    def listen(self, listener: Callable[[LaunchEvent], object]) -> None:
        """Have a plain function called with every event from now on, as it happens.

        What it raises is logged, and ends nothing.
        """
        self._listeners.append(listener)

    def stop(self) -> None:
        """Create nothing more and wait for nothing more; see calls that are under way through.

        Sessions on their way are kept or deleted as the policy says. The iteration ends, and
        leaving the context does not take long, unless there is something to delete.
        """
        if not self._finished.is_set():
            self._interrupted = True
            if self._site is not None:
                _interrupt(self._site)

    def create_no_more(self, cause: str, message: str) -> None:
        """Create nothing more, and say why; what is on its way is waited for."""
        if self._site is not None:
            self._site.stop(cause, message)

    def report(self) -> LaunchReport:
        """Return the account as it stands."""
        return self.account.report()

    def cost(self) -> Cost:
        """Return what it has cost since it was taken up. Only where an event loop runs."""
        return Cost(0, 0, 0) if self._site is None else self._site.cost()

    @property
    def trouble(self) -> str | None:
        """Why the latest call that creates, streams or deletes was not answered, if it was not."""
        return None if self._site is None else self._site.asker.trouble

    async def finished(self) -> LaunchReport:
        """Wait until every workstation has its line, and return the account.

        Raises:
            ConfigurationError: The launch was not entered.
        """
        self._check_entered()
        await self._finished.wait()
        return self.report()

    # Running it.

    def _check_entered(self) -> None:
        if self._tasks is None:
            raise ConfigurationError("this launch has not begun: use it inside `async with`")

    def _open(self, path: Path) -> Record:
        """Open the journal, and with it the account."""
        now, kind = datetime.now(UTC), self._kind.name
        header = Header(secrets.token_hex(8), now, self.options, kind, self._place)
        journal = open_journal(path, header, self._specs, resume=self._resume)
        self.options = journal.header.options
        self.account = journal.account
        return FileRecord(journal)

    async def _run(self) -> None:
        recorder = Recorder(self.account, self._record, self._told, self._journal_failed)
        try:
            with ungrouped():
                async with AsyncExitStack() as stack:
                    poller = self._poller
                    if poller is None:
                        poller = await stack.enter_async_context(Poller(self._studio))
                    poller.check_open()
                    if self._is_over():
                        return
                    checks = {
                        check.until: self._checks.get(check.until)
                        or await _beside(stack, poller, check.source(self._studio))
                        for check in self._kind.checks_until(self._policy.until)
                    }
                    streams = None
                    if self._policy.stream and self._kind.streams is not None:
                        source = self._kind.streams.source(self._studio)
                        streams = await _beside(stack, poller, source)
                    if poller.observer is not None:
                        began = poller.observer.launch_began
                        self.listen(began(self._kind.name, self.account.launch_id))
                    stack.callback(poller.on("*", self._saw))
                    await self._carry_out(recorder, poller=poller, checks=checks, streams=streams)
        except GreenroomError as error:
            self._error = error
        finally:
            if self._site is not None and self.account.running:
                self._interrupted = True
                self._site.record(events.LaunchEnded, interrupted=True)
            with anyio.CancelScope(shield=True):
                await recorder.commit()
            self.unrecorded = recorder.error
            self._finished.set()
            for iteration in tuple(self._iterations):
                iteration.news.ring()

    def _is_over(self) -> bool:
        """Return whether there is nothing left to do, as when a finished launch is resumed."""
        began = self._began(at=datetime.now(UTC))

        def left(line: Line) -> bool:
            open_still = line.settled is None if began.handed_over else line.open
            return open_still or bool(to_delete(line, self._policy))

        return not (began.retry_failed or any(map(left, self.account.lines.values())))

    async def _carry_out(self, recorder: Recorder, **pollers: Any) -> None:
        async with anyio.create_task_group() as background:
            background.start_soon(recorder.run)
            async with anyio.create_task_group() as tasks:
                site = self._site = self._make_site(recorder, tasks, **pollers)
                background.start_soon(_meter, site)
                background.start_soon(_mind_deadline, site)
                site.record(self._began)
                if self._interrupted:
                    _interrupt(site)
                await begin(site)
            for line in self.account.lines.values():
                if line.settled is None:
                    Workstation(site, line).settle_unbegun()
            site.record(events.Metered, **site.cost()._asdict())
            site.record(events.LaunchEnded, interrupted=self._interrupted)
            background.cancel_scope.cancel()

    def _make_site(self, recorder: Recorder, tasks: TaskGroup, **pollers: Any) -> Site:
        policy = self._policy
        remedies = self._kind.remedies | policy.remedies
        return Site(
            studio=self._studio,
            remedies=remedies,
            policy=policy,
            account=self.account,
            recorder=recorder,
            asker=Asker(
                self._creates, policy.in_flight, remedies, observer=pollers["poller"].observer
            ),
            clock=Clock(),
            deadline=Deadline(math.inf if policy.timeout is None else policy.timeout),
            tasks=tasks,
            gate=Gate(policy.canary, policy.breaker),
            **pollers,
        )

    def _saw(self, change: Transition) -> None:
        if self._site is not None:
            self._site.saw(change)

    def _told(self, event: LaunchEvent) -> None:
        match event:
            case events.CreatesHeld():
                tell = self._log.info if event.cause == CANARY else self._log.warning
                tell("launch.held", cause=event.cause, message=event.message)
            case events.CreatesStopped():
                self._log.warning("launch.stopped", cause=event.cause, message=event.message)
            case events.Settled():
                self._log.info("launch.settled", key=event.key, verdict=event.verdict.value)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001  # a listener may raise anything
                name = getattr(listener, "__qualname__", repr(listener))
                self._log.error("callback.failed", callback=name, exc_info=error)
        for iteration in tuple(self._iterations):
            iteration.put(event)

    def _journal_failed(self, error: JournalError) -> None:
        self._log.error("launch.unrecorded", error=str(error))
        self.unrecorded = error
        if self._site is not None:
            self._site.stop(_site.JOURNAL, str(error))


class _Iteration(AsyncIterator[LaunchEvent]):
    """One iteration over what happens."""

    def __init__(self, finished: anyio.Event) -> None:
        self.news = Bell()
        self._events: deque[LaunchEvent] = deque()
        self._finished = finished

    async def __anext__(self) -> LaunchEvent:
        while not self._events:
            if self._finished.is_set():
                raise StopAsyncIteration
            await self.news.rings()
        return self._events.popleft()

    def put(self, event: LaunchEvent) -> None:
        self._events.append(event)
        self.news.ring()


async def launch(
    studio: Provider,
    specs: Iterable[SpecLike] | None = None,
    *,
    poller: Poller | None = None,
    creates: Limiter | None = None,
    policy: LaunchPolicy | None = None,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
) -> LaunchReport:
    """Create many workstations, wait for all of them, and return the account.

    Never raises for a workstation: what became of each stands in its line. To follow what happens
    meanwhile, use `Launch`. Args and errors are those of `Launch`.
    """
    async with Launch(
        studio,
        specs,
        poller=poller,
        creates=creates,
        policy=policy,
        journal=journal,
        resume=resume,
        retry_failed=retry_failed,
    ) as running:
        return await running.finished()


async def _beside(stack: AsyncExitStack, poller: Poller, source: Any) -> Poller:
    """Open another poller on the budget of the first."""
    beside = Poller(source, limiter=poller.limiter)
    beside.observer = None if poller.observer is None else poller.observer.beside()
    return await stack.enter_async_context(beside)


def _interrupt(site: Site) -> None:
    message = "the launch was stopped before it was ready"
    site.stop(_site.INTERRUPTED, message)
    site.asking.put_up(_site.INTERRUPTED, message)
    site.waiting.put_up(_site.INTERRUPTED, message)


async def _mind_deadline(site: Site) -> None:
    await site.deadline.reached()
    message = "the deadline of the launch was reached"
    site.stop(_site.TIMEOUT, message)
    site.asking.put_up(_site.TIMEOUT, message)


async def _meter(site: Site) -> None:
    last = None
    while True:
        await anyio.sleep(METER_INTERVAL)
        if (cost := site.cost()) != last:
            site.record(events.Metered, **cost._asdict())
            last = cost


def _kept(options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what a journal is to keep.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(options, Mapping | None):
        raise ConfigurationError(f"options={options!r} must be a dict of plain values, or None")
    kept = dict(options or {})
    try:
        json.dumps(kept)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"options={kept!r} must be what JSON has: {error}") from error
    return kept
