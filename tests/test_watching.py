"""A slow consumer of a watch: bounded memory, and states that still join up."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom import Poller, Transition
from greenroom._watching import BUFFER, Watch
from greenroom.testing import ScriptedSource, run

STATES = ("CREATE_IN_PROGRESS", "READY", "STOP_IN_PROGRESS", "STOPPED", None)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def changes_of(session_id, states):
    before = None
    for state in states:
        if state != before:
            yield Transition(session_id, before, state, AT, 0.0)
            before = state


def taken(watch):
    """Return all that is here, from a watch that is closed."""

    async def main():
        return [change async for change in watch]

    watch.close()
    return run(main)


def test_a_consumer_that_keeps_up_is_told_every_change():
    watch = Watch(["a"])
    changes = list(changes_of("a", STATES[:4] * 4))
    assert len(changes) == BUFFER
    assert [watch.put(change) for change in changes] == [False] * BUFFER
    assert taken(watch) == changes
    assert watch.conflated == 0


def test_the_two_oldest_of_too_many_become_one():
    watch = Watch(["a"])
    changes = list(changes_of("a", STATES[:4] * 5))[: BUFFER + 2]
    behind = [watch.put(change) for change in changes]
    assert behind == [False] * BUFFER + [True, False]
    first, *others = taken(watch)
    assert (first.before, first.after) == (None, "STOP_IN_PROGRESS")
    assert first.skipped == ("CREATE_IN_PROGRESS", "READY")
    assert others == changes[3:]
    assert watch.conflated == 2


def test_one_that_flaps_takes_nothing_from_the_others():
    watch = Watch(["a", "b"])
    quiet = list(changes_of("b", STATES[:2]))
    watch.put(quiet[0])
    for change in changes_of("a", STATES[:4] * 1000):
        watch.put(change)
    watch.put(quiet[1])
    told = taken(watch)
    assert [change for change in told if change.id == "b"] == quiet
    assert len(told) == BUFFER + 2
    assert all(len(change.skipped) <= BUFFER for change in told)


def test_refusals_keep_their_place_among_the_changes():
    watch = Watch(["a", "b"])
    watch.put(Transition("a", None, "READY", AT, 0.0))
    watch.refuse("b", greenroom.InvalidRequest("no"))

    async def main():
        assert (await anext(watch)).id == "a"
        with pytest.raises(greenroom.InvalidRequest):
            await anext(watch)

    run(main)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*STATES, "take"])), max_size=200)
)
def test_what_is_told_joins_up_and_ends_with_the_latest(steps):
    watch = Watch("abc")
    put: dict[str, list[str | None]] = {each: [None] for each in "abc"}
    told: dict[str, list[Transition]] = {each: [] for each in "abc"}

    async def main():
        for each, step in steps:
            if step == "take":
                if watch._turns:
                    change = await anext(watch)
                    told[change.id].append(change)
            elif step != put[each][-1]:
                watch.put(Transition(each, put[each][-1], step, AT, 0.0))
                put[each].append(step)
        assert all(len(waiting) <= BUFFER for waiting in watch._changes.values())
        assert len(watch._turns) <= BUFFER * 3

    run(main)
    for change in taken(watch):
        told[change.id].append(change)
    for each, changes in told.items():
        states = [None]
        for change in changes:
            assert change.before == states[-1]
            states.append(change.after)
        assert states[-1] == put[each][-1]
        assert sum(len(t) for t in told.values()) + watch.conflated == sum(
            len(p) - 1 for p in put.values()
        )


def test_a_poller_says_once_that_the_consumer_of_a_watch_is_behind(run, caplog):
    caplog.set_level("WARNING", "greenroom")

    async def main():
        flapping = [(10 * n, STATES[n % 2]) for n in range(100)]
        source = ScriptedSource({"s-1": flapping})
        async with (
            Poller(source, schedule=greenroom.Every(5)) as poller,
            poller.watch(["s-1"]) as changes,
        ):
            await anyio.sleep(900)
            assert changes.conflated > 50
            first = await anext(changes)
            assert (first.before, len(first.skipped)) == (None, BUFFER)

    run(main)
    assert [record.getMessage() for record in caplog.records] == [
        "event='watch.behind' kind='nimble-session' id='s-1'"
    ]
