"""The machine: composes a program rule by rule, then plays it in virtual time and judges it.

Nothing runs while the rules do, so a failing program shrinks like any other data: steps are left
out, pauses become nothing, and the world becomes the usual one.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.campaign.journal import Broken
from tests.campaign.judge import judge
from tests.campaign.program import (
    DEEDS,
    IDS,
    RETRY_AFTER,
    TABLES,
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
from tests.campaign.service import DECISIVE, FAILURES, LIES, NAMED, NOVEL
from tests.campaign.shrink import failure, shrunk
from tests.campaign.stage import VERDICTS, play

pauses = st.sampled_from((0.0, 0.0, 0.25, 1.0, 1.25, 3.0, 7.0, 16.0, 31.0))
"""Seconds from one step to the next. No answer comes on a quarter of a second: see `latencies`."""
latencies = st.sampled_from((1 / 128, 33 / 128, 3 + 65 / 128))
ids = st.sampled_from(IDS)
crowds = st.lists(ids, min_size=1, max_size=len(IDS), unique=True).map(tuple)
timeouts = st.sampled_from((None, None, 0.0, 1 / 64, 5 + 1 / 64, 20 + 1 / 64, 60 + 1 / 64))
leaving = st.sampled_from((None, None, 0.0, 1 / 32, 2 + 1 / 32, 14 + 1 / 32, 40 + 1 / 32))
pollers = st.integers(0, 1)
schedules = st.one_of(
    st.tuples(st.just("every"), st.sampled_from((5.0, 0.5, 2.5, 13.0))),
    st.tuples(st.just("backoff"), st.sampled_from((2.0, 0.5)), st.sampled_from((20.0, 6.0))),
    st.tuples(
        st.just("pay"),
        st.sampled_from((20.0, 0.01, 2.0, 1e9, float("inf"))),
        st.sampled_from((None, 20.0, 3.0, 0.5)),
    ),
)
worlds = st.builds(
    World,
    table=st.sampled_from(tuple(TABLES)),
    max_batch=st.sampled_from((50, 1, 2, 3, 5)),
    page=st.sampled_from((0, 0, 1, 2)),
    latency=latencies,
    timestamps=st.booleans(),
    skew=st.sampled_from((0.0, 2.0, -90.0, 1e6)),
    schedule=schedules,
    past=st.booleans(),
    rate=st.sampled_from((20.0, 100.0, 5.0, 1.0)),
    burst=st.sampled_from((10, 3, 1)),
    adaptive=st.sampled_from((False, False, True)),
    pollers=st.sampled_from((1, 1, 2)),
    settle=st.sampled_from((15.0, 0.0, 4.0)),
    grace=st.sampled_from((12.0, 0.0, 31.0)),
    call_timeout=st.sampled_from((4.0, 1.0)),
    strict=st.sampled_from((False, False, True)),
    raises=st.sampled_from((False, False, True)),
)


class Campaign(RuleBasedStateMachine):
    """Composes a program; playing it is the teardown.

    Attributes:
        backend: The event loop.
        done: Steps of all programs so far: operations executed, calls answered, transitions told.
    """

    backend = "asyncio"
    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.steps: list[Step] = []
        self.now = 0.0

    def add(self, step: Step) -> None:
        """Append a step of the program."""
        self.steps.append(step)

    @initialize(world=worlds, data=st.data())
    def begin(self, world: World, data: st.DataObject) -> None:
        """Choose a world, and who is there."""
        self.world = world
        for id_ in data.draw(crowds):
            self.add(Move(0.0, id_, data.draw(self.states())))

    def states(self) -> st.SearchStrategy[str]:
        """Return the states that there are."""
        return st.sampled_from((*TABLES[self.world.table].states, NOVEL))

    def after(self, pause: float) -> float:
        """Let time pass and return the second."""
        self.now += pause
        return self.now

    def at(self, poller: int) -> int:
        """Return a poller that there is."""
        return poller % self.world.pollers

    @rule(pause=pauses, id_=ids, data=st.data())
    def moves(self, pause: float, id_: str, data: st.DataObject) -> None:
        state = data.draw(self.states() | st.none())
        reason = data.draw(st.sampled_from((None, "INTERNAL_ERROR")))
        self.add(Move(self.after(pause), id_, state, reason))

    @rule(
        pause=pauses,
        crowd=crowds,
        often=st.integers(1, 6),
        vanishes=st.booleans(),
        data=st.data(),
    )
    def lives(
        self,
        pause: float,
        crowd: tuple[str, ...],
        often: int,
        vanishes: bool,
        data: st.DataObject,
    ) -> None:
        """Lead sessions through moves of both parties, one every now and then."""
        table = TABLES[self.world.table]
        state = data.draw(st.sampled_from(table.states))
        at = self.after(pause)
        for _ in range(often):
            self.steps += [Move(at, id_, state) for id_ in crowd]
            following = (*table.moves[state], *table.actions.get(state, {}).values())
            if not following:
                break
            state = data.draw(st.sampled_from(following))
            at += data.draw(st.sampled_from((2.0, 5.0, 14.0, 30.0)))
        if vanishes:
            self.steps += [Move(at + 5.0, id_, None) for id_ in crowd]

    @rule(
        pause=pauses,
        crowd=crowds,
        timeout=timeouts,
        how=st.sampled_from(("all", "one", "each", "first", "lazy", "again")),
        cancel_after=leaving,
        poller=pollers,
        data=st.data(),
    )
    def waits(
        self,
        pause: float,
        crowd: tuple[str, ...],
        timeout: float | None,
        how: str,
        cancel_after: float | None,
        poller: int,
        data: st.DataObject,
    ) -> None:
        table = TABLES[self.world.table]
        usual = st.sampled_from(table.goals).map(lambda goal: (goal,))
        several = st.lists(st.sampled_from(table.states), min_size=1, max_size=3, unique=True)
        goal = data.draw(usual | several.map(tuple) | st.just(("*",)))
        poller = self.at(poller)
        self.add(Wait(self.after(pause), crowd, goal, timeout, how, cancel_after, poller))

    @rule(
        pause=pauses,
        crowd=crowds,
        leave_after=leaving,
        over_each=st.sampled_from((0.0, 0.0, 9.0, 90.0)),
        poller=pollers,
    )
    def watches(
        self,
        pause: float,
        crowd: tuple[str, ...],
        leave_after: float | None,
        over_each: float,
        poller: int,
    ) -> None:
        self.add(Watch(self.after(pause), crowd, leave_after, over_each, self.at(poller)))

    @rule(pause=pauses, id_=ids, times=st.integers(9, 20), poller=pollers, data=st.data())
    def flaps(self, pause: float, id_: str, times: int, poller: int, data: st.DataObject) -> None:
        """Lead a session to and fro, each time with a hint, while somebody watches who is slow."""
        at, poller = self.after(pause), self.at(poller)
        states = data.draw(st.tuples(self.states(), self.states() | st.none()))
        self.add(Watch(at, (id_,), None, 90.0, poller))
        for number in range(times):
            self.steps += [Move(at, id_, states[number % 2]), Notify(at + 0.25, id_, poller)]
            at += 2.0

    @rule(pause=pauses, id_=ids, poller=pollers, times=st.integers(1, 3))
    def hints(self, pause: float, id_: str, poller: int, times: int) -> None:
        """Hint, and where it is done again, probably while a call is on its way."""
        self.after(pause)
        for _ in range(times):
            self.add(Notify(self.after(0.0), id_, self.at(poller)))
            self.after(0.25)

    @rule(
        pause=pauses,
        deed=st.sampled_from(DEEDS),
        off_after=leaving,
        poller=pollers,
        data=st.data(),
    )
    def registers(
        self, pause: float, deed: str, off_after: float | None, poller: int, data: st.DataObject
    ) -> None:
        known = st.sampled_from(TABLES[self.world.table].states)
        pairs = st.tuples(known | st.none(), known | st.none())
        verdicts = st.sampled_from(VERDICTS).map(str)
        trigger = data.draw(st.just("*") | verdicts | known | pairs)
        self.add(On(self.after(pause), trigger, deed, off_after, self.at(poller)))

    @rule(pause=pauses, retry_after=st.sampled_from(tuple(RETRY_AFTER)))
    def others_are_throttled(self, pause: float, retry_after: str) -> None:
        self.add(SlowDown(self.after(pause), retry_after))

    @rule(pause=pauses, calls=st.integers(1, 12))
    def others_spend(self, pause: float, calls: int) -> None:
        self.add(Spend(self.after(pause), calls))

    @rule(
        pause=pauses,
        calls=st.sampled_from((1, 2, 3, 8)),
        kind=st.sampled_from(FAILURES) | st.sampled_from(LIES),
        late=st.sampled_from((0.0, 0.0, 2 + 17 / 128)),
        named=st.sampled_from(NAMED),
        retry_after=st.sampled_from(tuple(RETRY_AFTER)),
    )
    def goes_wrong(
        self, pause: float, calls: int, kind: str, late: float, named: str, retry_after: str
    ) -> None:
        if kind not in FAILURES:
            named = retry_after = ""
        self.add(
            Trouble(self.after(pause), calls, kind, late, named or "none", retry_after or "unsaid")
        )

    @rule(
        pause=pauses,
        id_=ids,
        kind=st.sampled_from(DECISIVE) | st.sampled_from(FAILURES) | st.sampled_from(LIES),
        named=st.sampled_from(NAMED),
        poller=pollers,
    )
    def crosses(self, pause: float, id_: str, kind: str, named: str, poller: int) -> None:
        """Have somebody come while a call that goes wrong is on its way, and another before it."""
        goal = (TABLES[self.world.table].goals[0],)
        at, poller = self.after(pause), self.at(poller)
        self.add(Trouble(at, 1, kind, 1 / 2 + 17 / 128, named))
        self.add(Wait(at, (id_,), goal, 20 + 1 / 64, poller=poller))
        self.add(Wait(self.after(0.5), (id_,), goal, 20 + 1 / 64, poller=poller))

    @rule(
        pause=pauses,
        id_=ids,
        kind=st.sampled_from(("notfound", "invalid", "value", "throttled", "hangs", "cancelled")),
        lasts=st.sampled_from((20.0, 3.0, 90.0)),
        named=st.booleans(),
    )
    def is_poisoned(self, pause: float, id_: str, kind: str, lasts: float, named: bool) -> None:
        self.add(Poison(self.after(pause), id_, kind, lasts, named))

    @rule(pause=pauses, poller=pollers)
    def asks_for_figures(self, pause: float, poller: int) -> None:
        self.add(Statistics(self.after(pause), self.at(poller)))

    @precondition(lambda self: len(self.steps) > 25)
    @rule(pause=pauses, how=st.sampled_from(("normally", "exception", "cancelled")), poller=pollers)
    def closes(self, pause: float, how: str, poller: int) -> None:
        self.add(Close(self.after(pause), how, self.at(poller)))

    def teardown(self) -> None:
        """Play the program, judge what came of it, and make it small where that is broken."""
        program = Program(self.world, tuple(sorted(self.steps, key=lambda step: step.at)))
        try:
            self.done.update(judge(play(program, self.backend)))
        except Exception as first:  # noqa: BLE001  # a crash of the engine is a finding as well
            smallest = shrunk(program, self.backend)
            error = failure(smallest, self.backend) or first
            raise Broken(f"on {self.backend}: {error!r}\n{smallest.shown()}") from error
