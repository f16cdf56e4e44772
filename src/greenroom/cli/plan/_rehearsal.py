"""A launch rehearsed: the real engine, in virtual time, with a studio whose sessions are drawn.

Nothing is modelled but the service. Launch, poller, limiter and schedule are those that would do
the work, so that whatever they learn or get wrong shows in the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

import anyio

from greenroom._launch._launch import Launch
from greenroom._limiter import RateLimiter
from greenroom._overload import PATIENCE
from greenroom._poller import Poller
from greenroom._schedule import Backoff, default_schedule
from greenroom._specs import count_specs
from greenroom._states import Observation
from greenroom.cli.plan._figures import Outcome, Row, effort, row, turned
from greenroom.cli.plan._lives import STATE, lives
from greenroom.sources._nimble_launch import SessionLaunches, SessionSpec
from greenroom.sources._nimble_tables import STREAMING_SESSION
from greenroom.testing import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom._launch._policy import LaunchPolicy
    from greenroom._limiter import LimiterStatistics
    from greenroom._results import Transition
    from greenroom._schedule import PayAsYouWait, Schedule
    from greenroom.cli.plan._lives import Law, Life

LATENCY = 0.1
"""Seconds that each call takes."""

SAMPLE = 5.0
"""Seconds from one look at the budget to the next."""

READY, FAILED = "READY", "CREATE_FAILED"
CAUSE = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is rehearsed. Durations are seconds.

    Attributes:
        count: Workstations.
        rate: Calls per second that read, at most.
        burst: Such calls at once after a pause.
        share: The part of these, and of the creates, that may be used.
        batch: Sessions that one call reads.
        schedule: When a session is worth another look; None for the poller's own choice.
        create_rate: Calls per second that create.
        policy: How to go about it.
        law: How long sessions take.
        failures: The part of them that fails.
        seed: Which of all such rehearsals is the first.
    """

    count: int
    rate: float
    burst: int
    share: float
    batch: int
    schedule: Schedule | PayAsYouWait | None
    create_rate: float
    policy: LaunchPolicy
    law: Law
    failures: float
    seed: int

    @property
    def paced(self) -> Schedule | PayAsYouWait:
        """The schedule, or what the poller chooses where there is none."""
        return default_schedule(self.batch) if self.schedule is None else self.schedule

    def budget(self) -> _Watched:
        """Return the budget of the calls that read."""
        return _Watched(self.rate, self.burst, self.share)


def rehearse_all(plan: Plan) -> Iterator[Row]:
    """Yield what to expect at each of some rates, the lowest first, and then at other prices.

    With the rate goes the burst: the rates are those of larger and smaller parts of one quota.
    Where no call was ever held up, a higher rate changes nothing, and is not rehearsed again. Where
    no price decides, an interval may; see `_figures.knob`.
    """
    _, rates, prices, times = effort(plan.count)
    outcomes: list[Outcome] = []
    for factor in rates:
        part = replace(plan, rate=plan.rate * factor, burst=max(1, round(plan.burst * factor)))
        if not outcomes or any(each.held for each in outcomes):
            outcomes = _rehearsed(part, times)
        yield _row(part, outcomes, asked=factor == 1)
    for factor in prices:
        other = replace(plan, schedule=turned(plan.paced, factor))
        if other.schedule != plan.paced:
            yield _row(other, _rehearsed(other, times), asked=False)


def _rehearsed(plan: Plan, times: int) -> list[Outcome]:
    return [rehearse(plan, plan.seed + n) for n in range(times)]


def _row(plan: Plan, outcomes: Sequence[Outcome], *, asked: bool) -> Row:
    allowed = run(_allowed, plan)
    return row(
        outcomes,
        count=plan.count,
        rate=allowed.max_rate,
        burst=allowed.burst,
        schedule=plan.paced,
        asked=asked,
    )


async def _allowed(plan: Plan) -> LimiterStatistics:
    """Return what the budget allows, which only a limiter knows, and only where time passes."""
    return plan.budget().statistics()


def rehearse(plan: Plan, seed: int) -> Outcome:
    """Return what comes of the plan, which is the same for the same seed."""
    return run(_rehearse, plan, seed)


async def _rehearse(plan: Plan, seed: int) -> Outcome:
    pauses = partial(Random(f"pauses {seed}").uniform, 0.0)
    studio = _Studio(lives(plan.law, plan.failures, Random(seed)), plan.batch)
    limiter = plan.budget()
    schedule = default_schedule(plan.batch, pauses) if plan.schedule is None else plan.schedule
    policy = plan.policy
    if isinstance(policy.backoff, Backoff):
        policy = replace(policy, backoff=replace(policy.backoff, jitter=pauses))
    poller = Poller(studio, limiter=limiter, schedule=schedule)
    poller.observer = None  # what is rehearsed is no news of the world
    delays: list[float] = []
    ready_at = 0.0

    def noticed(change: Transition) -> None:
        nonlocal ready_at
        ready_at = anyio.current_time()
        delays.append(ready_at - studio.ends[change.id])

    launch = Launch(
        studio,
        count_specs(plan.count, {"launch_profile_id": "rehearsed"}, SessionSpec),
        poller=poller,
        creates=RateLimiter(plan.create_rate, max(1, round(plan.create_rate)), plan.share),
        policy=policy,
    )
    async with poller:
        poller.on(READY, noticed)
        async with launch, anyio.create_task_group() as watching:
            watching.start_soon(limiter.watch, poller)
            await launch.finished()
            watching.cancel_scope.cancel()
        cost = launch.cost()
    return Outcome(
        reads=cost.calls - cost.changes,
        creates=cost.changes,
        delays=tuple(delays),
        ready_at=ready_at,
        held=limiter.held,
        overloaded=max(limiter.overloaded, limiter.held_long),
        rate_needed=limiter.rate_needed,
    )


class _Watched(RateLimiter):
    """A budget that knows for how long it has held up calls, and could not keep up.

    Attributes:
        held: Seconds for which calls that were due had to wait.
        held_long: Those of them that were so long for a single call that it alone is an overload.
        overloaded: Seconds for which the poller has said that the budget is too small.
    """

    def __init__(self, rate: float, burst: int, share: float) -> None:
        super().__init__(rate, burst, share)
        self.held = self.held_long = self.overloaded = 0.0
        self._needed: list[float] = []

    @property
    def rate_needed(self) -> float:
        """Calls per second that the poller has then asked for, on average; 0 if it never has."""
        return fmean(self._needed) if self._needed else 0.0

    async def acquire(self) -> None:
        """Wait for leave to make one call."""
        before = anyio.current_time()
        try:
            await super().acquire()
        finally:
            waited = anyio.current_time() - before
            self.held += waited
            self.held_long += waited if waited >= PATIENCE else 0.0

    async def watch(self, poller: Poller) -> None:
        """Listen to what the poller says of it, until cancelled."""
        while True:
            await anyio.sleep(SAMPLE)
            if (advice := poller.statistics().overload) is not None:
                self.overloaded += SAMPLE
                self._needed.append(advice.rate_needed)


class _Studio(SessionLaunches):
    """A studio in which sessions live as they were drawn to.

    It does not say when they changed, so that what the poller learns comes from its reads alone.

    Attributes:
        ends: When each session is ready, or fails.
    """

    table = STREAMING_SESSION

    def __init__(self, drawn: Iterator[Life], batch: int) -> None:
        self.max_batch = batch
        self.ends: dict[str, float] = {}
        self._drawn = drawn
        self._failing: set[str] = set()

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read sessions."""
        await anyio.sleep(LATENCY)
        now = anyio.current_time()
        return {each: self._shown(each, now) for each in ids}

    async def create_session(
        self,
        *,
        launch_profile_id: str,  # noqa: ARG002  # all are alike
        client_token: str,  # noqa: ARG002
        streaming_image_id: str | None = None,  # noqa: ARG002
        instance_type: str | None = None,  # noqa: ARG002
        owner: str | None = None,  # noqa: ARG002
        tags: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> str:
        """Make the next session."""
        session_id, life = f"s-{len(self.ends) + 1}", next(self._drawn)
        self.ends[session_id] = anyio.current_time() + LATENCY + life.takes
        if life.fails:
            self._failing.add(session_id)
        await anyio.sleep(LATENCY)
        return session_id

    async def start_session(self, session_id: str, *, client_token: str) -> None:
        """Refuse: nothing is started."""
        raise NotImplementedError

    async def stop_session(self, session_id: str, *, client_token: str) -> None:
        """Refuse: nothing is stopped."""
        raise NotImplementedError

    async def delete_session(self, session_id: str, *, client_token: str) -> None:
        """Refuse: what failed is kept."""
        raise NotImplementedError

    def _shown(self, session_id: str, now: float) -> Observation:
        if now < self.ends[session_id]:
            return Observation(STATE)
        if session_id in self._failing:
            return Observation(FAILED, CAUSE)
        return Observation(READY)
