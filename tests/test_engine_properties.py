"""Whatever the service does and whoever leaves: one outcome each, and each change told once.

A random service (sessions that move, vanish and appear; answers that are throttled, lost, garbage,
incomplete, refused or never come) meets random waits (goals, deadlines, cancellations). What the
service truly showed is recorded beside it and is the only thing that verdicts may rest on.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import greenroom
from greenroom import Observation, Poller, Verdict
from greenroom._waiting import LAST_LOOK
from greenroom.sources._nimble_tables import STREAMING_SESSION as TABLE
from greenroom.testing import ScriptedSource, run

IDS = ("a", "b", "c", "d")
SETTLE, GRACE, CALL_TIMEOUT = 15.0, 12.0, 4.0
RATE, BURST = 5.0, 6
FATES = ("ok",) * 6 + ("throttled", "lost", "garbage", "incomplete", "refused", "hangs")


@dataclass(frozen=True)
class Asked:
    id: str
    goal: str
    start: float
    timeout: float
    cancelled_after: float | None


@st.composite
def scripts(draw):
    """A path over the moves of both parties, some of it missing."""
    state = draw(st.sampled_from(TABLE.states))
    now, script = draw(st.sampled_from([0.0, 0.0, 20.0])), []
    for _ in range(draw(st.integers(1, 6))):
        script.append((now, state))
        now += draw(st.floats(0.1, 40))
        following = [*TABLE.moves[state], *TABLE.actions.get(state, {}).values()]
        if not following:
            break
        state = draw(st.sampled_from(following))
    if draw(st.booleans()):
        script.append((now + 1, None))
    return script


waits = st.builds(
    Asked,
    id=st.sampled_from(IDS),
    goal=st.sampled_from(TABLE.goals),
    start=st.floats(0, 60),
    timeout=st.floats(0, 90),
    cancelled_after=st.none() | st.none() | st.floats(0, 60),
)


class Service(ScriptedSource):
    """The scripted source with a fate for each call, keeping what it showed."""

    def __init__(self, scripts, fates, max_batch):
        super().__init__(scripts, max_batch=max_batch, latency=0.2)
        self.fates = fates
        self.shown = []  # (answered at, asked at, id, state or None, alone)

    async def describe(self, ids, /):
        asked_at = anyio.current_time()
        fate = self.fates[len(self.calls) % len(self.fates)]
        seen = dict(await super().describe(ids))
        if fate == "throttled":
            raise greenroom.Throttled("slow down", retry_after=1.0)
        if fate == "lost":
            raise ConnectionResetError
        if fate == "garbage":
            return None
        if fate == "refused" and len(ids) > 1:
            raise greenroom.InvalidRequest("one of you is odd")
        if fate == "hangs":
            await anyio.sleep_forever()
        if fate == "incomplete" and len(ids) > 1:
            seen.pop(ids[0], None)
        for id_ in ids:
            if id_ in seen:
                self.shown.append((anyio.current_time(), asked_at, id_, seen[id_].state))
            elif len(ids) == 1:
                self.shown.append((anyio.current_time(), asked_at, id_, None))
        return {**seen, "foreign": Observation("READY")}


def expected_chain(shown, id_):
    """The changes that the answers about one id show, in order."""
    chain, last = [], None
    for _, _, shown_id, state in shown:
        if shown_id != id_ or state == last or (last is None and state is None):
            continue
        chain.append((last, state))
        last = state
    return chain


def check(asked, result, shown, began):
    start = began[asked]
    end = start + result.elapsed
    mine = [
        state
        for answered_at, asked_at, id_, state in shown
        if id_ == asked.id and asked_at >= start and answered_at <= end + 1e-6
    ]
    goal = frozenset({asked.goal})
    match result.verdict:
        case Verdict.SUCCESS:
            assert mine[-1] == asked.goal or (mine[-1] is None and asked.goal == TABLE.gone)
        case Verdict.UNREACHABLE | Verdict.FAILURE:
            assert TABLE.verdict(mine[-1], goal) is result.verdict
        case Verdict.MISSING:
            assert mine[-1] is None
            assert result.elapsed >= GRACE
        case Verdict.TIMEOUT:
            assert asked.timeout - 1e-6 <= result.elapsed <= asked.timeout + LAST_LOOK + 1e-6
            assert asked.goal not in mine
        case _:
            pytest.fail(f"no wait may end so: {result}")
    assert result.elapsed <= asked.timeout + LAST_LOOK + 1e-6


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=150)
@given(
    scripts=st.fixed_dictionaries({id_: scripts() for id_ in IDS[:-1]}),
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=12),
    asked=st.lists(waits, min_size=1, max_size=8, unique=True),
    max_batch=st.sampled_from([1, 2, 100]),
)
def test_one_outcome_each_and_every_change_told_once(backend, scripts, fates, asked, max_batch):
    async def main():
        service = Service(scripts, (*fates, "ok"), max_batch)
        limiter = greenroom.RateLimiter(max_rate=RATE, burst=BURST)
        outcomes, began, watched, heard = {}, {}, [], []

        async def watch(poller):
            async with poller.watch(IDS) as changes:
                async for change in changes:
                    watched.append(change)  # noqa: PERF401  # what came before a cancel counts

        async def wait(poller, one):
            await anyio.sleep(one.start)
            began[one] = anyio.current_time()
            with anyio.CancelScope() as scope:
                if one.cancelled_after is not None:
                    scope.deadline = anyio.current_time() + one.cancelled_after
                results = await poller.wait_all([one.id], until=one.goal, timeout=one.timeout)
                assert one not in outcomes
                outcomes[one] = results[one.id]

        async with anyio.create_task_group() as watching:
            async with Poller(
                service,
                limiter=limiter,
                settle=SETTLE,
                not_found_grace=GRACE,
                call_timeout=CALL_TIMEOUT,
            ) as poller:
                for state in TABLE.states:
                    poller.on(state, heard.append)
                watching.start_soon(watch, poller)
                async with anyio.create_task_group() as tasks:
                    for one in asked:
                        tasks.start_soon(wait, poller, one)
                assert poller.statistics().waiting == 0
                assert sum(poller.statistics().outcomes.values()) == len(outcomes)
                shown = list(service.shown)
            watching.cancel_scope.cancel()

        for one in asked:
            assert one in outcomes or one.cancelled_after is not None
        for one, result in outcomes.items():
            check(one, result, shown, began)
        for id_ in IDS:
            told = [(change.before, change.after) for change in watched if change.id == id_]
            # A session that comes back after it was gone is a first sight again.
            assert told == expected_chain(shown, id_)
            assert [change.after for change in heard if change.id == id_] == [
                after for _, after in told if after is not None
            ]
        times = [call.at for call in service.calls]
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= RATE * (times[last] - times[first]) + BURST + 1e-6

    run(main, backend=backend)
