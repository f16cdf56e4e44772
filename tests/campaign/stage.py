"""Where a program is played: pollers, those who wait, the service; and what each of them noted.

The engine is watched at its doors only: who joins, who leaves, who is settled (the protocol
`Polling` of `_waiting`), and the calls that its limiter grants.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import anyio
import sniffio
import trio
from tests.campaign.journal import Callback, Journal, Waiting, Watching, wall
from tests.campaign.program import (
    RETRY_AFTER,
    TABLES,
    TAKES,
    Close,
    Move,
    Notify,
    On,
    Poison,
    Program,
    SlowDown,
    Spend,
    Statistics,
    Step,
    Trouble,
    Wait,
    Watch,
    World,
)
from tests.campaign.service import Face, PagedFace, Service

import greenroom
from greenroom import (
    AdaptiveRateLimiter,
    Backoff,
    Every,
    History,
    Limiter,
    PayAsYouWait,
    Poller,
    RateLimiter,
    Verdict,
)
from greenroom.testing import ScriptedSource, run

TOO_LONG = 100_000.0
"""Seconds of virtual time after which something waits for ever."""

VERDICTS = tuple(verdict for verdict in Verdict if verdict is not Verdict.PENDING)


SLOWEST = 4
"""By how much slower than its highest rate a budget is that feels for it."""


class Boom(Exception):
    """What the body of a poller raises."""


@dataclass(eq=False)
class Asking:
    """Somebody's waits, which began together.

    Attributes:
        waits: By id.
        order: The results, in the order in which they were handed over.
        complete: Whether it came to its end: nobody was cancelled, all there was was taken.
        over_at: When it came to its end.
    """

    how: str
    timeout: float | None
    waits: dict[str, Waiting] = field(default_factory=dict)
    order: list[Waiting] = field(default_factory=list)
    complete: bool = False
    over_at: float = math.inf

    def deliver(self, id_: str, result: object) -> None:
        """Note a result."""
        self.waits[id_].delivered.append(result)
        self.order.append(self.waits[id_])


_asking: ContextVar[Asking] = ContextVar("asking")


@dataclass
class Record:
    """What came of a program.

    Attributes:
        leftovers: What was found in memory when nobody waited any more.
        tasks_left: Tasks that outlived their pollers.
        cut_short: The pollers that were not left normally.
        raised: What leaving them raised of their callbacks' errors, by poller.
    """

    program: Program
    journal: Journal
    askings: list[Asking] = field(default_factory=list)
    watchings: list[Watching] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    tasks_left: int = 0
    cut_short: set[int] = field(default_factory=set)
    raised: dict[int, int] = field(default_factory=dict)


class Budget:
    """A limiter of one poller's, before the one that all share; notes what it grants."""

    def __init__(self, limiter: Limiter, journal: Journal, poller: int) -> None:
        self.grants: deque[int] = deque()
        self._limiter = limiter
        self._journal = journal
        self._poller = poller

    async def acquire(self) -> None:
        """Wait for leave to make one call."""
        await self._limiter.acquire()
        self.grants.append(self._journal.note("granted", self._poller))

    def refund(self) -> None:
        """Give back a grant."""
        self.grants.pop()
        self._journal.note("refunded", self._poller)
        self._limiter.refund()

    def slow_down(self, retry_after: float | None = None) -> None:
        """Learn that the service throttled."""
        self._journal.note("slowed", self._poller, retry_after)
        self._limiter.slow_down(retry_after)


def play(program: Program, backend: str = "asyncio") -> Record:
    """Play a program in virtual time and return what came of it."""
    if program.world.past:
        _past(program.world.table)
    random.seed(0)
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r.seed(0)
    return run(_Stage(program).play, backend=backend)  # type: ignore[arg-type]


def longest_gap(world: World) -> float:
    """Return the seconds after which a session that is read in vain is read again."""
    kind, first, second = (*world.schedule, None)[:3]
    if kind == "pay":
        return 60.0 if second is None else float(second)
    return 2 * float(first if second is None else second)  # as long again for being spread


@cache
def _past(table: str) -> History:
    """Return what somebody learned who watched a few sessions of this kind."""
    moves = TABLES[table].moves
    lives = {
        f"{state}-{number}": [(0, state), (7 * number, following[0])]
        for state, following in moves.items()
        if following
        for number in range(1, 5)
    }

    async def watch() -> History:
        source = ScriptedSource(lives, table=TABLES[table])
        async with Poller(source, schedule=PayAsYouWait()) as poller, poller.watch(lives):
            await anyio.sleep(60)
        return poller.history()

    return run(watch)


def _limiter(world: World) -> RateLimiter | AdaptiveRateLimiter:
    if not world.adaptive:
        return RateLimiter(world.rate, world.burst)
    least = world.rate / SLOWEST
    return AdaptiveRateLimiter(least, burst=world.burst, min_rate=least, max_rate=world.rate)


def _schedule(world: World) -> Any:
    match world.schedule:
        case "every", seconds:
            return Every(seconds)  # type: ignore[arg-type]
        case "backoff", initial, ceiling:
            return Backoff(initial=initial, ceiling=ceiling, floor=min(1.0, initial))  # type: ignore
        case _, price, ceiling:
            history = _past(world.table) if world.past else None
            return PayAsYouWait(price, ceiling, history=history)  # type: ignore[arg-type]
    raise AssertionError(world)


class _Stage:
    def __init__(self, program: Program) -> None:
        self.world = program.world
        self.journal = Journal()
        self.record = Record(program, self.journal)
        self.service = Service(self.world, self.journal)
        self.pollers: dict[int, Poller] = {}
        self.closing: dict[int, tuple[anyio.Event, anyio.CancelScope]] = {}
        self.how: dict[int, str] = {}
        self.busy = 0
        self.waitings: dict[Any, Waiting] = {}

    async def play(self) -> Record:
        self.limiter = _limiter(self.world)
        with anyio.fail_after(TOO_LONG):
            async with anyio.create_task_group() as hosts:
                for number in range(self.world.pollers):
                    await hosts.start(self._host, number)
                async with anyio.create_task_group() as guests:
                    await self._follow(guests)
                    await self._tail()
                    guests.cancel_scope.cancel()
                await anyio.sleep(0.25)
                for number in self.pollers:
                    self._figures(number)
                self.journal.note("quiet", -1)
                await self._callbacks_end()
                self._look_for_leftovers()
                for number in tuple(self.pollers):
                    self._close(number, "normally")
        self.record.tasks_left = _tasks()
        return self.record

    async def _host(self, number: int, *, task_status: Any) -> None:
        budget = Budget(self.limiter, self.journal, number)
        face = (PagedFace if self.world.page else Face)(self.service, number, budget.grants)
        poller = Poller(
            face,
            limiter=budget,
            schedule=_schedule(self.world),
            settle=self.world.settle,
            not_found_grace=self.world.grace,
            call_timeout=self.world.call_timeout,
            strict=self.world.strict,
            raise_callback_errors=self.world.raises,
        )
        leave = anyio.Event()
        try:
            with anyio.CancelScope() as scope:
                async with poller:
                    now = anyio.current_time()
                    poller._engine._started = (now, wall(now))
                    self._watch_the_doors(number, poller)
                    self.pollers[number] = poller
                    self.closing[number] = leave, scope
                    for trigger in ("*", *VERDICTS):
                        self._register(number, trigger, "note")
                    task_status.started()
                    try:
                        await leave.wait()
                        if self.how[number] == "exception":
                            raise Boom
                    finally:
                        del self.pollers[number]
                        self.journal.note("closed", number)
        except Boom:
            assert self.how[number] == "exception"
        except BaseExceptionGroup as callbacks_raised:
            self.record.raised[number] = len(callbacks_raised.exceptions)

    def _watch_the_doors(self, number: int, poller: Poller) -> None:
        engine, note = poller._engine, self.journal.note
        join, leave, settle = engine.join, engine.leave, engine.settle

        def joins(wait: Any) -> None:
            asking = _asking.get()
            until = None if asking.timeout is None else wait.since + asking.timeout
            one = Waiting(number, wait.id, wait.goal, wait.since, until)
            self.waitings[wait] = asking.waits[wait.id] = one
            note("joined", number, one)
            join(wait)

        def leaves(wait: Any) -> None:
            note("left", number, self.waitings[wait])
            leave(wait)

        def settles(wait: Any, verdict: Verdict, error: Any = None) -> None:
            note("settled", number, self.waitings[wait], verdict)
            settle(wait, verdict, error)

        engine.join, engine.leave, engine.settle = joins, leaves, settles  # type: ignore[method-assign]

    async def _follow(self, guests: Any) -> None:
        began = anyio.current_time()
        for step in self.record.program.steps:
            await anyio.sleep(max(0.0, began + step.at - anyio.current_time()))
            self._do(step, guests)

    def _do(self, step: Step, guests: Any) -> None:
        match step:
            case Move():
                self.service.move(step.id, step.state, step.reason)
            case Trouble():
                self.service.trouble(step)
            case Poison():
                self.service.poison(step, anyio.current_time() + step.lasts)
            case SlowDown():
                retry_after = greenroom.Throttled("", retry_after=RETRY_AFTER[step.retry_after])  # type: ignore[arg-type]
                self.journal.note("slowed", -1, retry_after.retry_after)
                self.limiter.slow_down(retry_after.retry_after)
            case Spend():
                guests.start_soon(self._spend, step.calls)
            case Close():
                self._close(step.poller, step.how)
            case Wait():
                guests.start_soon(self._attend, partial(self._wait, step))
            case Watch():
                guests.start_soon(self._attend, partial(self._watch, step))
            case Statistics():
                self._figures(step.poller)
            case Notify():
                if step.poller in self.pollers:
                    self.journal.note("notified", step.poller, step.id)
                    self.pollers[step.poller].notify(step.id)
            case On():
                if step.poller in self.pollers:
                    forget = self._register(step.poller, step.trigger, step.deed)
                    if step.off_after is not None:
                        guests.start_soon(self._forget_later, forget, step.off_after)

    async def _tail(self) -> None:
        """Be well for long enough that everything which can progress must have."""
        self.service.heal()
        for _ in range(math.ceil(longest_gap(self.world) + self.world.settle + 30)):
            await anyio.sleep(1.0)
            if not self.busy:
                return

    def _close(self, number: int, how: str) -> None:
        if number in self.pollers and number not in self.how:
            self._figures(number)
            self.how[number] = how
            event, scope = self.closing[number]
            if how != "normally":
                self.record.cut_short.add(number)
            if how == "cancelled":
                scope.cancel()
            else:
                event.set()

    def _figures(self, number: int) -> None:
        if number in self.pollers:
            self.journal.note("figures", number, self.pollers[number].statistics())

    async def _spend(self, calls: int) -> None:
        for _ in range(calls):
            await self.limiter.acquire()
            self.journal.note("spent", -1)

    async def _attend(self, guest: Callable[[], Any]) -> None:
        self.busy += 1
        try:
            await guest()
        finally:
            self.busy -= 1

    # Those who wait.

    async def _wait(self, step: Wait) -> None:
        after = step.cancel_after
        deadline = math.inf if after is None else anyio.current_time() + after
        poller = self.pollers.get(step.poller)
        if poller is None:
            return
        with anyio.CancelScope(deadline=deadline):
            for _ in range(3 if step.how == "again" else 1):
                await self._ask(poller, step.how, step.ids, step.goal, step.timeout)

    async def _ask(
        self,
        poller: Poller,
        how: str,
        ids: tuple[str, ...],
        goal: tuple[str, ...],
        timeout: float | None,
    ) -> None:
        asking = Asking(how, timeout)
        self.record.askings.append(asking)
        _asking.set(asking)
        try:
            match how:
                case "one":
                    await self._ask_for_one(poller, asking, ids[0], goal)
                case "all" | "again":
                    results = await poller.wait_all(ids, until=goal, timeout=timeout)
                    for id_, result in results.items():
                        asking.deliver(id_, result)
                case _:
                    coming = poller.as_completed(ids, until=goal, timeout=timeout)
                    if how == "lazy":
                        await anyio.sleep(30)
                    async for result in coming:
                        asking.deliver(result.id, result)
                        if how == "first":
                            break
        except greenroom.PollerClosed:
            if asking.waits:
                raise
        else:
            asking.complete, asking.over_at = True, anyio.current_time()

    async def _ask_for_one(
        self, poller: Poller, asking: Asking, id_: str, goal: tuple[str, ...]
    ) -> None:
        try:
            result: object = await poller.wait(id_, until=goal, timeout=asking.timeout)
        except greenroom.WaitError as error:
            result = error
        except greenroom.GreenroomError as error:
            if not asking.waits:
                raise
            result = error
        asking.deliver(id_, result)

    async def _watch(self, step: Watch) -> None:
        poller = self.pollers.get(step.poller)
        if poller is None:
            return
        watching = Watching(step.poller, step.ids)
        self.record.watchings.append(watching)
        self.journal.note("watched", step.poller, watching)
        after = step.leave_after
        deadline = math.inf if after is None else anyio.current_time() + after
        async with poller.watch(step.ids) as changes:
            try:
                with anyio.CancelScope(deadline=deadline):
                    await self._listen(watching, changes, step.pause)
            finally:
                watching.drained = step.pause == 0
                watching.conflated = changes.conflated
                self.journal.note("unwatched", step.poller, watching)

    async def _listen(self, watching: Watching, changes: Any, pause: float) -> None:
        while True:
            try:
                watching.told.append(await anext(changes))
            except StopAsyncIteration:
                return
            except greenroom.SourceError as refusal:
                watching.told.append(refusal)
            await anyio.sleep(pause)

    # Callbacks.

    def _register(self, number: int, trigger: Any, deed: str) -> Callable[[], None]:
        poller = self.pollers[number]
        if trigger in set(VERDICTS):
            trigger = Verdict(trigger)
        callback = Callback(number, trigger, deed)
        self.record.callbacks.append(callback)
        forget: list[Callable[[], None]] = []

        def take_back() -> None:
            self.journal.note("forgotten", number, callback)
            forget[0]()

        def called(event: Any) -> Any:
            callback.heard.append((anyio.current_time(), event))
            match deed:
                case "raise":
                    self.journal.note("raised", number, callback)
                    raise ValueError("a callback's own")
                case "cancel" if sniffio.current_async_library() == "asyncio":
                    self.journal.note("raised", number, callback)
                    raise asyncio.CancelledError
                case "hang":
                    return anyio.sleep(TAKES["hang"])
                case "stumble":
                    return self._stumble(callback)
                case "notify" if number in self.pollers:
                    self.journal.note("notified", number, event.id)
                    poller.notify(event.id)
                case "forget":
                    take_back()
                case "register" if number in self.pollers and len(callback.heard) <= 2:
                    self._register(number, "*", "note")
                case "wait" if len(callback.heard) <= 3:
                    return self._ask(
                        poller, "all", (event.id,), (poller._engine.table.goals[0],), 3
                    )
            return None

        self.journal.note("registered", number, callback)
        forget.append(poller.on(trigger, called))
        return take_back

    async def _stumble(self, callback: Callback) -> None:
        await anyio.sleep(TAKES["stumble"])
        self.journal.note("raised", callback.poller, callback)
        raise ValueError("a callback's own, after a while")

    async def _forget_later(self, forget: Callable[[], None], after: float) -> None:
        await anyio.sleep(after)
        forget()

    async def _callbacks_end(self) -> None:
        """Wait until callbacks that take their time have had it."""
        await anyio.sleep(60)
        if any(poller._engine.sessions for poller in self.pollers.values()):
            gc.collect()  # iterators that somebody dropped, in frames that hold each other
            await anyio.sleep(1)
        for _ in range(100):
            if any(poller._engine.callbacks._queues for poller in self.pollers.values()):
                await anyio.sleep(60)

    def _look_for_leftovers(self) -> None:
        for poller in self.pollers.values():
            engine = poller._engine
            agenda = engine.reader._agenda
            kept = {
                "sessions": engine.sessions,
                "polled": engine.reader._polled,
                "turns": agenda._turns,
                "suspects' turns": engine.reader._suspects._turns,
                "the perhaps suspect": engine.reader._suspects._perhaps,
                "turns in order": getattr(engine._turns, "_seats", None)
                or getattr(engine._turns, "_turns", None),
                "queues of callbacks": engine.callbacks._queues,
            }
            self.record.leftovers += [
                f"{what}: {sorted(map(str, it))}" for what, it in kept.items() if it
            ]


def _tasks() -> int:
    if sniffio.current_async_library() == "asyncio":
        return len(asyncio.all_tasks()) - 1
    return sum(len(nursery.child_tasks) for nursery in trio.lowlevel.current_task().child_nurseries)
