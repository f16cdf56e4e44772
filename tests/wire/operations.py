"""The six things that a user does over the wire, each judged by the simulator's truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import anyio
from tests.wire.service import SPEED, Service

import greenroom
from greenroom import Every, Poller, RateLimiter, Verdict
from greenroom.events import CreatesHeld, LaunchEvent
from greenroom.sources.nimble import StreamingSessions

TIMEOUT = 20.0
"""Seconds that an operation may take. The fault is over in one; none may need as much as this."""

READS = ("GetStreamingSession", "ListStreamingSessions")


@dataclass
class Seen:
    """How an operation ended, as its caller saw it.

    Attributes:
        errors: The refusals that ended it, by their codes; none where it succeeded.
        held: Whether creates were held until there was room.
        anew: Whether a session was asked for by another request, with a token of its own.
    """

    errors: set[str] = field(default_factory=set)
    held: bool = False
    anew: bool = False


def poller(studio: StreamingSessions) -> Poller:
    return Poller(
        studio,
        limiter=RateLimiter(max_rate=1000, burst=100),
        schedule=Every(4 / SPEED),
        settle=30 / SPEED,
        not_found_grace=300 / SPEED,
    )


class Operation:
    """Something that a user does.

    Args:
        service: Where it is done; what it needs there is made at once.
        folder: A folder of its own.

    Attributes:
        name: Its column.
        writes: The calls by which it changes something.
        once: What it means for these that a token was recognised.
    """

    name: ClassVar[str]
    writes: ClassVar[tuple[str, ...]] = ()
    once: ClassVar[str] = "done once"

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.folder = folder
        self.arrange()

    def arrange(self) -> None:
        """Make what it needs at the service."""

    async def run(self, studio: StreamingSessions) -> Seen:
        """Do it, and say how it ended."""
        raise NotImplementedError

    def judge(self, truth: dict[str, list[str]], *, done: bool) -> None:
        """Make sure that the service did what was asked for, once; or nothing, if it refused."""
        raise NotImplementedError


class Wait(Operation):
    """A wait for one, and one for a group of which one member can never get there."""

    name = "wait"

    def arrange(self) -> None:
        self.resting = self.service.create("STOPPED")
        self.alone, *self.group = (self.service.create("CREATE_IN_PROGRESS") for _ in range(4))

    async def run(self, studio: StreamingSessions) -> Seen:
        seen = Seen()

        async def one() -> None:
            async with poller(studio) as waiting:
                try:
                    result = await waiting.wait(self.alone, until="READY", timeout=TIMEOUT)
                except greenroom.SourceError as error:
                    seen.errors.add(str(error.code))
                else:
                    assert result.state == "READY"

        async with poller(studio) as waiting, anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            asked = [*self.group, self.resting]
            results = await waiting.wait_all(asked, until="READY", timeout=TIMEOUT)
        assert list(results) == asked
        for id_, result in results.items():
            if isinstance(result.error, greenroom.SourceError):
                seen.errors.add(str(result.error.code))
            else:
                assert 0 <= result.elapsed < TIMEOUT
                rests = id_ == self.resting
                assert result.verdict is (Verdict.UNREACHABLE if rests else Verdict.SUCCESS)
                assert result.state == ("STOPPED" if rests else "READY")
        return seen

    def judge(self, truth: dict[str, list[str]], *, done: bool) -> None:
        if done:
            for id_ in (self.alone, *self.group):
                assert truth[id_] == ["CREATE_IN_PROGRESS", "READY"]


class Watch(Operation):
    """One session, and two together, that are watched until they are ready and stopped again."""

    name = "watch"

    def arrange(self) -> None:
        alone, *pair = (self.service.create("CREATE_IN_PROGRESS") for _ in range(3))
        self.groups = ([alone], pair)
        self.told: dict[str, list[str]] = {alone: [], **{id_: [] for id_ in pair}}

    async def run(self, studio: StreamingSessions) -> Seen:
        seen = Seen()
        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                for ids in self.groups:
                    tasks.start_soon(self._watch, studio, ids, seen)
        return seen

    async def _watch(self, studio: StreamingSessions, ids: list[str], seen: Seen) -> None:
        async with poller(studio) as watching, watching.watch(ids) as transitions:
            while any(self.told[id_][-1:] != ["STOPPED"] for id_ in ids):
                try:
                    change = await anext(transitions)
                except greenroom.SourceError as error:
                    seen.errors.add(str(error.code))
                    continue
                except StopAsyncIteration:
                    assert seen.errors
                    break
                assert change.after is not None
                self.told[change.id] += [*change.skipped, change.after]
                if change.after == "READY":
                    self.service.stop(change.id)

    def judge(self, truth: dict[str, list[str]], *, done: bool) -> None:
        for id_, told in self.told.items():
            assert in_order(told, truth[id_])
            if done:
                assert told[-1] == truth[id_][-1] == "STOPPED"


class Launch(Operation):
    """A launch of three, with a journal."""

    name = "launch"
    writes = ("CreateStreamingSession",)
    once = "found by its token"

    async def run(self, studio: StreamingSessions) -> Seen:
        seen = Seen()
        events: list[LaunchEvent] = []
        specs = [{"key": key, "launch_profile_id": "lp"} for key in "abc"]
        policy = greenroom.LaunchPolicy(
            timeout=TIMEOUT, backoff=greenroom.Backoff(initial=0.05, floor=0.02, ceiling=0.1)
        )
        async with poller(studio) as waiting:
            launch = greenroom.Launch(
                studio,
                specs,
                poller=waiting,
                creates=RateLimiter(max_rate=1000, burst=100),
                policy=policy,
                journal=self.folder / "run.db",
            )
            launch.listen(events.append)
            async with launch:
                pass
        self.report = launch.report()
        assert [*self.report] == [*"abc"]
        for result in self.report.values():
            if result.verdict in (Verdict.ERROR, Verdict.CANCELLED):
                seen.errors.add(str(result.cause))
            else:
                assert result.verdict is Verdict.SUCCESS
        moments = [event.at for event in events]
        assert max(moments) - min(moments) < timedelta(seconds=TIMEOUT)
        seen.anew = any(len(result.attempts) > 1 for result in self.report.values())
        seen.held = any(isinstance(event, CreatesHeld) for event in events)
        return seen

    def judge(self, truth: dict[str, list[str]], *, done: bool) -> None:
        made = [result.id for result in self.report.values() if result.id is not None]
        assert sorted(made) == sorted(truth)
        assert len(truth) == (3 if done else 0)
        kept = greenroom.read_report(self.folder / "run.db")
        assert [result.id for result in kept.values()] == [
            result.id for result in self.report.values()
        ]


class Act(Operation):
    """Two sessions that are started, stopped or deleted."""

    before: ClassVar[str]
    course: ClassVar[tuple[str, ...]]

    def arrange(self) -> None:
        self.ids = [self.service.create(self.before) for _ in range(2)]
        self.before_it = {id_: len(states) for id_, states in self.service.truth().items()}

    async def run(self, studio: StreamingSessions) -> Seen:
        seen = Seen()
        async with poller(studio) as waiting:
            results = await greenroom.act(
                studio,
                self.name,  # type: ignore[arg-type]
                self.ids,
                timeout=TIMEOUT,
                poller=waiting,
                changes=RateLimiter(max_rate=1000, burst=100),
            )
        self.results = results
        assert list(results) == self.ids
        for result in results.values():
            if isinstance(result.error, greenroom.SourceError):
                seen.errors.add(str(result.error.code))
            else:
                assert result.verdict is Verdict.SUCCESS
                assert result.state == self.course[-1] or self.course[-1] == "DELETED"
        return seen

    def judge(self, truth: dict[str, list[str]], *, done: bool) -> None:
        assert sorted(truth) == sorted(self.ids)
        course = list(self.course) if done else []
        did = {id_: truth[id_][self.before_it[id_] :] for id_ in self.ids}
        assert did == dict.fromkeys(self.ids, course), [*self.results.values()]


class Start(Act):
    name = "start"
    writes = ("StartStreamingSession",)
    before = "STOPPED"
    course = ("START_IN_PROGRESS", "READY")


class Stop(Act):
    name = "stop"
    writes = ("StopStreamingSession",)
    before = "READY"
    course = ("STOP_IN_PROGRESS", "STOPPED")


class Delete(Act):
    name = "delete"
    writes = ("DeleteStreamingSession",)
    before = "READY"
    course = ("DELETE_IN_PROGRESS", "DELETED")


OPERATIONS = (Wait, Watch, Launch, Start, Stop, Delete)


def in_order(told: Iterable[str], truth: Iterable[str]) -> bool:
    """Return whether what was told happened, each once and in this order."""
    left = iter(truth)
    return all(state in left for state in told)
