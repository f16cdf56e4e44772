"""What the workstations of one launch share: where they are made, who is told, and what stops them.

Three stop signs, because three kinds of business end at different times:

=========  ==============================================  ======================================
sign       minded by                                       goes up
=========  ==============================================  ======================================
creating   whatever would make one more session            breaker, refusal, journal, and all below
asking     calls that may have been carried out unheard    the deadline, and all below
waiting    waits                                           an interruption
=========  ==============================================  ======================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import anyio

from greenroom._launch import _events as events
from greenroom._launch._clock import Bell
from greenroom._launch._gate import Gate
from greenroom._launch._signs import StopSign
from greenroom._states import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from anyio.abc import TaskGroup

    from greenroom._launch._account import Account
    from greenroom._launch._asking import Asker
    from greenroom._launch._clock import Clock, Deadline
    from greenroom._launch._creating import Request
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._policy import LaunchPolicy
    from greenroom._launch._provider import Provider
    from greenroom._launch._recorder import Recorder
    from greenroom._poller import Poller
    from greenroom._remedies import Remedies
    from greenroom._results import Transition

INTERRUPTED, TIMEOUT = events.INTERRUPTED, events.TIMEOUT
JOURNAL, CANARY = events.JOURNAL, events.CANARY

CANARY_MESSAGE = "waiting for what becomes of the first ones"

_DECIDED = (Verdict.FAILURE, Verdict.ERROR)


class Cost(NamedTuple):
    """What a launch has cost.

    Attributes:
        calls: API calls, of every kind.
        changes: Those of them that make or end something; the others read.
        throttled: Those of them that the service throttled.
    """

    calls: int
    changes: int
    throttled: int


@dataclass(slots=True)
class Site:
    """One launch, seen from one of its workstations.

    Attributes:
        studio: Where sessions are made.
        remedies: What to do about failures.
        policy: How to go about it.
        account: What has happened so far.
        recorder: Told of what happens.
        asker: Makes the calls.
        poller: Waits for sessions.
        checks: Wait for what must be so besides, by goal, in the order in which it is looked at.
        streams: Waits for streams, where there are any.
        clock: The time.
        deadline: The end of all waits.
        tasks: Where what goes on beside a workstation runs.
        gate: Who may begin.
        creating, asking, waiting: The stop signs.
        keys: The workstations by session.
        gathering: Creates that wait for leave, by what they ask for.
        room: Rung when there may be room for one more session.
        settling: Rung when a workstation settles.
    """

    studio: Provider
    remedies: Remedies
    policy: LaunchPolicy
    account: Account
    recorder: Recorder
    asker: Asker
    poller: Poller
    checks: Mapping[str, Poller]
    streams: Poller | None
    clock: Clock
    deadline: Deadline
    tasks: TaskGroup
    gate: Gate
    creating: StopSign = field(default_factory=StopSign)
    asking: StopSign = field(default_factory=StopSign)
    waiting: StopSign = field(default_factory=StopSign)
    keys: dict[str, str] = field(default_factory=dict)
    gathering: dict[tuple[object, ...], Request] = field(default_factory=dict)
    room: Bell = field(default_factory=Bell)
    settling: Bell = field(default_factory=Bell)
    _seen: set[Transition] = field(default_factory=set)
    _latest: dict[str, datetime] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _waits_for_canary: bool = False
    _held: tuple[str, str] | None = None
    _before: Cost = field(init=False)

    def __post_init__(self) -> None:
        self._before = Cost(0, 0, 0)
        self._before = self.cost()

    def cost(self) -> Cost:
        """Return what the launch has cost so far, since it was taken up."""
        polled = [poller.statistics() for poller in self._pollers()]
        before = self._before
        return Cost(
            calls=self.asker.calls + sum(each.calls for each in polled) - before.calls,
            changes=self.asker.calls - before.changes,
            throttled=self.asker.throttled
            + sum(each.throttled for each in polled)
            - before.throttled,
        )

    def _pollers(self) -> Iterator[Poller]:
        yield self.poller
        yield from self.checks.values()
        if self.streams is not None:
            yield self.streams

    def record(self, make: Callable[..., LaunchEvent], /, **members: object) -> None:
        """Record an event of now."""
        self.recorder.record(make(at=self.clock.now(), **members))

    def saw(self, change: Transition) -> None:
        """Record a change of a session of this launch, once.

        Nor one from before the latest, with which the history of a wait may begin: where the poller
        knew the session already, as that of somebody who was given it before.
        """
        key, latest = self.keys.get(change.id), self._latest.get(change.id)
        if key is None or change in self._seen or (latest is not None and change.at < latest):
            return
        self._seen.add(change)
        self._latest[change.id] = change.at
        self.recorder.record(
            events.Changed(
                at=change.at,
                key=key,
                id=change.id,
                before=change.before,
                after=change.after,
                reason=change.reason,
                message=change.message,
                changed_at=change.changed_at,
                elapsed=change.elapsed,
            )
        )
        if change.after in (None, self.studio.table.gone):
            self.ended(change.id)

    def token(self, *parts: object) -> str:
        """Return the client token of a request: the same for the same parts of the same launch."""
        named = "\0".join(map(str, (self.account.launch_id, *parts)))
        return hashlib.sha256(named.encode()).hexdigest()

    def stop(self, cause: str, message: str) -> None:
        """Create nothing more, and say why."""
        if not self.creating.is_up:
            self.record(events.CreatesStopped, cause=cause, message=message)
            self.creating.put_up(cause, message)

    def settled(self, verdict: Verdict, cause: str | None, row: str | None) -> None:
        """Take in that a workstation settled.

        Args:
            verdict: The verdict.
            cause: Why, where it did not succeed.
            row: The row of the remedies that the cause falls under.
        """
        remedy = self.remedies.of(row)
        final = cause if verdict in _DECIDED and remedy.needs_a_person else None
        breaks = self.gate.settled(final, success=verdict is Verdict.SUCCESS)
        if breaks is not None:
            self.stop(breaks, f"the first to settle all failed with {breaks}: {remedy.advice}")
        self.settling.ring()

    def ended(self, session_id: str) -> None:
        """Take in, once, that a session ended: there may be room for one more."""
        if session_id not in self._gone:
            self._gone.add(session_id)
            self.pass_on()

    def pass_on(self) -> None:
        """Let one create pass a hold."""
        self.gate.room_for_one()
        self.room.ring()

    def hold(self, cause: str, message: str) -> None:
        """Take in that a create found no room."""
        self.gate.hold()
        self._tell_hold((cause, message))

    def made(self) -> None:
        """Take in that a create found room."""
        self.gate.made()
        self._tell_hold(self._held)
        self.room.ring()

    async def worth_another_try(self, tries: int) -> None:
        """Wait until there may be room, or a pause is over that grows with the tries.

        Raises:
            Stopped: Creating has stopped.
        """
        with anyio.move_on_after(self.policy.backoff.delay(tries)):
            await self.room_for_one()
        self.creating.check()

    async def leave_to_begin(self) -> None:
        """Wait until one more workstation may begin, and for leave to make a create.

        Raises:
            Stopped: Creating has stopped.
        """
        with self.creating.minded():
            while self.gate.waits_for_canary:
                self._waits_for_canary = True
                self._tell_hold(self._held)
                await self.settling.rings()
            self._waits_for_canary = False
            self._tell_hold(self._held)
        await self.room_for_one()
        await self.asker.leave(self.creating)
        self.gate.begun()

    def may_begin(self) -> bool:
        """Return whether one more workstation may begin at once, for which this counts as begun."""
        if self.gate.waits_for_canary or not self.gate.take_pass():
            return False
        self.gate.begun()
        return True

    async def room_for_one(self) -> None:
        """Wait until one more session may be made.

        Raises:
            Stopped: Creating has stopped.
        """
        with self.creating.minded():
            while not self.gate.take_pass():
                await self.room.rings()

    def _tell_hold(self, quota: tuple[str, str] | None) -> None:
        """Record what holds creates, where that is not what was last recorded."""
        self._held = quota if self.gate.held else None
        canary = (CANARY, CANARY_MESSAGE) if self._waits_for_canary else None
        reason, told = self._held or canary, self.account.held
        if reason is None:
            if told is not None:
                self.record(events.CreatesReleased)
        elif told is None or told.cause != reason[0]:
            self.record(events.CreatesHeld, cause=reason[0], message=reason[1])
