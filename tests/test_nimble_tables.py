"""The tables: against the service's own waiters, their own rules, and brute force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import ANY_STATE, TableError, TransitionTable, Verdict
from greenroom.sources._nimble_tables import (
    LAUNCH_PROFILE,
    SESSION_STREAM,
    STREAMING_IMAGE,
    STREAMING_SESSION,
    STUDIO,
    STUDIO_COMPONENT,
    TABLES,
)

# Every acceptor of the twelve waiters that the service published: success, then failures.

WAITERS: dict[str, tuple[TransitionTable, str, tuple[str, ...]]] = {
    "LaunchProfileDeleted": (LAUNCH_PROFILE, "DELETED", ("DELETE_FAILED",)),
    "LaunchProfileReady": (LAUNCH_PROFILE, "READY", ("CREATE_FAILED", "UPDATE_FAILED")),
    "StreamingImageDeleted": (STREAMING_IMAGE, "DELETED", ("DELETE_FAILED",)),
    "StreamingImageReady": (STREAMING_IMAGE, "READY", ("CREATE_FAILED", "UPDATE_FAILED")),
    "StreamingSessionDeleted": (STREAMING_SESSION, "DELETED", ("DELETE_FAILED",)),
    "StreamingSessionReady": (STREAMING_SESSION, "READY", ("CREATE_FAILED", "START_FAILED")),
    "StreamingSessionStopped": (STREAMING_SESSION, "STOPPED", ("STOP_FAILED",)),
    "StreamingSessionStreamReady": (SESSION_STREAM, "READY", ("CREATE_FAILED",)),
    "StudioComponentDeleted": (STUDIO_COMPONENT, "DELETED", ("DELETE_FAILED",)),
    "StudioComponentReady": (STUDIO_COMPONENT, "READY", ("CREATE_FAILED", "UPDATE_FAILED")),
    "StudioDeleted": (STUDIO, "DELETED", ("DELETE_FAILED",)),
    "StudioReady": (STUDIO, "READY", ("CREATE_FAILED", "UPDATE_FAILED")),
}

# Where each of them polls on to its last attempt, though the goal cannot be reached any more.

POLLED_FOR_NOTHING = {
    "LaunchProfileDeleted": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS CREATE_FAILED UPDATE_FAILED
    """,
    "LaunchProfileReady": "DELETE_IN_PROGRESS DELETED DELETE_FAILED",
    "StreamingImageDeleted": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS CREATE_FAILED UPDATE_FAILED
    """,
    "StreamingImageReady": "DELETE_IN_PROGRESS DELETED DELETE_FAILED",
    "StreamingSessionDeleted": """
        CREATE_IN_PROGRESS READY STOP_IN_PROGRESS STOPPED START_IN_PROGRESS
        CREATE_FAILED START_FAILED STOP_FAILED
    """,
    "StreamingSessionReady": """
        STOP_IN_PROGRESS STOPPED DELETE_IN_PROGRESS DELETED STOP_FAILED DELETE_FAILED
    """,
    "StreamingSessionStopped": """
        CREATE_IN_PROGRESS READY START_IN_PROGRESS DELETE_IN_PROGRESS DELETED
        CREATE_FAILED START_FAILED DELETE_FAILED
    """,
    "StreamingSessionStreamReady": "DELETE_IN_PROGRESS DELETED DELETE_FAILED",
    "StudioComponentDeleted": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS CREATE_FAILED UPDATE_FAILED
    """,
    "StudioComponentReady": "DELETE_IN_PROGRESS DELETED DELETE_FAILED",
    "StudioDeleted": """
        CREATE_IN_PROGRESS READY UPDATE_IN_PROGRESS CREATE_FAILED UPDATE_FAILED
    """,
    "StudioReady": "DELETE_IN_PROGRESS DELETED DELETE_FAILED",
}


@pytest.mark.parametrize("waiter", WAITERS)
def test_every_acceptor_of_the_services_own_waiters_is_agreed_with(waiter: str) -> None:
    table, goal, failures = WAITERS[waiter]
    assert table.verdict(goal, goal) is Verdict.SUCCESS
    for failure in failures:
        assert table.verdict(failure, goal) is Verdict.FAILURE


@pytest.mark.parametrize("waiter", WAITERS)
def test_the_table_knows_where_a_waiter_polls_for_nothing(waiter: str) -> None:
    table, goal, failures = WAITERS[waiter]
    silent = [state for state in table.states if state not in (goal, *failures)]
    verdicts = {state: table.verdict(state, goal) for state in silent}
    unreachable = [state for state in silent if verdicts[state] is Verdict.UNREACHABLE]
    assert unreachable == POLLED_FOR_NOTHING[waiter].split()
    assert {*verdicts.values()} == {Verdict.PENDING, Verdict.UNREACHABLE}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_goes_by_the_name_of_its_kind(kind: str) -> None:
    assert TABLES[kind].kind == kind


def test_the_status_codes_that_explain_a_failure_are_explained() -> None:
    assert STREAMING_SESSION.explain("INSUFFICIENT_CAPACITY")
    assert SESSION_STREAM.explain("NETWORK_CONNECTION_ERROR")
    assert STREAMING_SESSION.explain("STREAMING_SESSION_READY") is None
    assert STREAMING_SESSION.explain(None) is None


@pytest.mark.parametrize(
    ("state", "goal", "actions"),
    [
        ("STOPPED", "READY", ("start",)),
        ("READY", "STOPPED", ("stop",)),
        ("READY", "DELETED", ("delete",)),
        ("CREATE_FAILED", "READY", ()),
        ("STOP_IN_PROGRESS", "READY", ()),
        ("DELETED", "READY", ()),
    ],
)
def test_a_state_at_rest_knows_the_actions_that_lead_on(
    state: str, goal: str, actions: tuple[str, ...]
) -> None:
    assert STREAMING_SESSION.awaits_action(state, frozenset({goal})) == actions


@pytest.mark.parametrize(
    ("before", "after", "skipped"),
    [
        ("STOPPED", "READY", ("START_IN_PROGRESS",)),
        ("READY", "STOPPED", ("STOP_IN_PROGRESS",)),
        ("CREATE_IN_PROGRESS", "STOPPED", ("READY", "STOP_IN_PROGRESS")),
        ("CREATE_IN_PROGRESS", "READY", ()),
        ("CREATE_IN_PROGRESS", "DELETED", ("DELETE_IN_PROGRESS",)),
        ("DELETED", "READY", ()),
        ("READY", "READY", ()),
        ("READY", "HIBERNATED", ()),
        ("HIBERNATED", "READY", ()),
    ],
)
def test_states_that_went_by_unseen_are_told_where_every_path_has_them(
    before: str, after: str, skipped: tuple[str, ...]
) -> None:
    assert STREAMING_SESSION.skipped(before, after) == skipped


def test_a_state_that_the_table_does_not_know_is_pending() -> None:
    assert STREAMING_SESSION.verdict("HIBERNATED", "READY") is Verdict.PENDING


def test_a_mere_look_succeeds_in_every_state() -> None:
    verdicts = {STREAMING_SESSION.verdict(state, ANY_STATE) for state in STREAMING_SESSION.states}
    assert verdicts == {Verdict.SUCCESS}


# What no table may be

GOOD: dict[str, Any] = {
    "kind": "door",
    "moves": {"OPENING": ("OPEN", "STUCK"), "OPEN": (), "STUCK": ()},
    "failures": frozenset({"STUCK"}),
    "goals": ("OPEN",),
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"moves": {}}, "at least one state"),
        ({"moves": GOOD["moves"] | {"OPENING": ("OPEN", "STUK")}}, "moves .*'STUK'"),
        ({"failures": frozenset({"XYZ"})}, "failures .*it has OPENING, OPEN, STUCK"),
        ({"goals": ("open",)}, "goals .*did you mean 'OPEN'"),
        ({"actions": {"SHUT": {"push": "OPENING"}}}, "actions .*'SHUT'"),
        ({"actions": {"OPEN": {"push": "SHUTTING"}}}, "actions .*'SHUTTING'"),
        ({"gone": "LOST"}, "gone .*'LOST'"),
        ({"goals": ("STUCK",)}, "both a goal and a failure"),
        ({"goals": ("OPENING",)}, "no other state leads to the goal OPENING"),
        ({"goals": "OPEN"}, r"goals: 'OPEN' is text; write \('OPEN',\)"),
        ({"failures": "STUCK"}, "failures: 'STUCK' is text"),
        ({"moves": GOOD["moves"] | {"OPENING": "OPEN"}}, "OPENING: 'OPEN' is text"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(wrong: dict[str, Any], said: str) -> None:
    assert TransitionTable(**GOOD).states == ("OPENING", "OPEN", "STUCK")
    with pytest.raises(TableError, match=said):
        TransitionTable(**GOOD | wrong)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("ready", "did you mean 'READY'"),
        ([], "empty; name a state, as 'READY'"),
        (["READY", "XYZ"], "until names the unknown state 'XYZ'"),
        ([None, "XYZ"], "unknown state 'XYZ'|unknown state None"),
        (5, "until=5 is no state and no list"),
    ],
)
def test_a_goal_that_is_none_is_refused(until: Any, said: str) -> None:
    with pytest.raises(TableError, match=said):
        STREAMING_SESSION.goal(until)


def test_a_goal_is_one_state_or_several() -> None:
    assert STREAMING_SESSION.goal("READY") == {"READY"}
    assert STREAMING_SESSION.goal(["READY", "STOPPED"]) == {"READY", "STOPPED"}
    assert STREAMING_SESSION.goal("*") == ANY_STATE


# Any table at all, against brute force

STATES = ("A", "B", "C", "D", "E", "F")
Moves = Mapping[str, tuple[str, ...]]


@st.composite
def tables(draw: st.DrawFn) -> TransitionTable:
    states = STATES[: draw(st.integers(1, len(STATES)))]
    some = st.lists(st.sampled_from(states), unique=True, max_size=3).map(tuple)
    actions = st.dictionaries(st.sampled_from(["push", "pull"]), st.sampled_from(states))
    return TransitionTable(
        kind="any",
        moves={state: draw(some) for state in states},
        actions=draw(st.dictionaries(st.sampled_from(states), actions)),
        failures=frozenset(draw(some)),
        goals=(),
    )


def paths(moves: Moves, before: str, after: str, so_far: tuple[str, ...] = ()) -> Iterator[Any]:
    """Yield every path of at least one move that meets no state twice, unless it ends there."""
    walked = (*so_far, before)
    for following in moves[before]:
        if following == after:
            yield (*walked, following)
        elif following not in walked:
            yield from paths(moves, following, after, walked)


def leads(moves: Moves, before: str, goal: frozenset[str]) -> bool:
    return any(any(paths(moves, before, state)) for state in goal)


@given(tables(), st.data())
def test_verdicts_agree_with_trying_every_path(table: TransitionTable, data: st.DataObject) -> None:
    goal = data.draw(st.frozensets(st.sampled_from(table.states), min_size=1))
    for state in table.states:
        verdict = table.verdict(state, goal)
        ends_an_attempt = state in table.failures and any(
            state in table.moves[before] and leads(table.moves, before, goal)
            for before in table.states
        )
        assert (verdict is Verdict.SUCCESS) == (state in goal)
        assert (verdict is Verdict.PENDING) == (
            state not in goal and leads(table.moves, state, goal)
        )
        if verdict in (Verdict.FAILURE, Verdict.UNREACHABLE):
            assert (verdict is Verdict.FAILURE) == ends_an_attempt


@given(tables())
def test_skipped_states_are_exactly_those_on_every_path(table: TransitionTable) -> None:
    everybody = {
        state: (*table.moves[state], *table.actions.get(state, {}).values())
        for state in table.states
    }
    for before in table.states:
        for after in table.states:
            skipped = table.skipped(before, after)
            every = [] if before == after else [*paths(everybody, before, after)]
            between = [set(path[1:-1]) for path in every]
            assert {*skipped} == (set.intersection(*between) if between else set())
            for path in every:
                assert [state for state in path if state in skipped] == [*skipped]
