import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import ConfigurationError, History
from greenroom._hazard import BINS, bin_of

KIND, STATE = "nimble-session", "CREATE_IN_PROGRESS"

stays = st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), max_size=12)
names = st.text(max_size=4)
told = st.dictionaries(names, st.dictionaries(names, stays, max_size=2), max_size=2)


def history_of(kinds):
    history = History()
    for kind, states in kinds.items():
        for state, each in states.items():
            history.add(kind, state, each)
    return history


def assert_same(one, other, kind):
    assert one.of(kind).keys() == other.of(kind).keys()
    for state, known in one.of(kind).items():
        assert other.of(kind)[state].events == known.events
        assert other.of(kind)[state].exposure == pytest.approx(known.exposure, rel=1e-9, abs=1e-3)


@given(told)
def test_a_history_comes_back_from_json_as_it_was(kinds):
    history = history_of(kinds)
    again = History.from_json(history.to_json())
    for kind in kinds:
        assert_same(history, again, kind)
        assert again.departures(kind) == history.departures(kind)
    assert repr(again) == repr(history)
    assert History.from_json(history.to_json().encode()).to_json() == again.to_json()


@given(stays, stays)
def test_what_is_added_to_a_history_that_came_back_counts_with_the_rest(first, then):
    history = History.from_json(history_of({KIND: {STATE: first}}).to_json())
    history.add(KIND, STATE, then)
    assert_same(history, history_of({KIND: {STATE: first + then}}), KIND)
    assert history.departures(KIND) == sum(left for _, left in first + then)


@given(told, told)
def test_two_histories_add_up_to_what_both_know(one, other):
    both = history_of(one) + history_of(other)
    for kind in {*one, *other}:
        joined = history_of({kind: one.get(kind, {})})
        for state, each in other.get(kind, {}).items():
            joined.add(kind, state, each)
        assert_same(both, joined, kind)


def test_what_is_added_to_a_sum_is_not_added_to_its_parts():
    history = history_of({KIND: {STATE: [(100, True)]}})
    both = history + History()
    both.add(KIND, STATE, [(100, True)])
    assert (history.departures(KIND), both.departures(KIND)) == (1, 2)


def test_a_history_tells_departures_and_seconds_by_age():
    history = history_of({KIND: {STATE: [(100, True), (100, True), (50, False)]}})
    known = history.of(KIND)[STATE]
    assert known.events[bin_of(100)] == sum(known.events) == 2
    assert sum(known.exposure) == pytest.approx(250)
    rows = json.loads(history.to_json())["kinds"][KIND][STATE]
    assert rows[0] == [0, 0, 6]
    assert len(rows) == bin_of(100) + 1


def test_nothing_is_known_of_a_kind_that_was_never_added():
    assert History().of(KIND) == {}
    assert History().weak(KIND) == {}
    assert History().departures(KIND) == 0
    assert repr(History()) == "<History of nothing>"


def test_a_history_shows_what_it_is_of():
    history = history_of({KIND: {STATE: [(9, True)] * 40, "STOP_IN_PROGRESS": [(5, True)]}})
    assert repr(history) == "<History of nimble-session: 41 departures>"


@given(st.dictionaries(st.text(max_size=3), stays, max_size=3), st.integers(1, 5))
def test_it_is_worth_thirty_sessions_a_state_at_most_and_says_the_same(states, times):
    history = history_of({KIND: {state: each * times for state, each in states.items()}})
    before = history.to_json()
    weak = history.weak(KIND)
    assert weak.keys() == states.keys()
    for state, known in history.of(KIND).items():
        sessions = len(states[state]) * times
        assert sum(weak[state].events) <= min(30, sum(known.events)) + 1e-9
        part = sum(weak[state].exposure) / (sum(known.exposure) or 1)
        assert part >= min(1, 30 / max(1, sessions)) - 1e-9 or not sum(known.exposure)
        assert weak[state].exposure == pytest.approx([part * s for s in known.exposure])
        weak[state].leave(1)
        weak[state].stay(0, 1e5)
    assert history.to_json() == before, "what is learned from it does not change it"


def test_a_history_of_those_who_never_left_is_worth_no_more_than_one_of_those_who_did():
    """A launch in which nothing ever got ready must not slow down the next one for good."""
    stuck = history_of({KIND: {STATE: [(1800, False)] * 3000}})
    usual = history_of({KIND: {STATE: [(1800, True)] * 3000}})
    most = sum(usual.weak(KIND)[STATE].exposure)
    assert sum(stuck.weak(KIND)[STATE].exposure) <= 2 * most


@pytest.mark.parametrize("seconds", [-5.0, math.nan, math.inf])
def test_a_stay_of_no_possible_time_is_refused(seconds):
    history = History()
    with pytest.raises(ConfigurationError):
        history.add(KIND, STATE, [(seconds, True)])
    assert history.departures(KIND) == 0


def test_a_stay_that_ended_at_once_and_one_of_weeks_are_told():
    history = history_of({KIND: {STATE: [(0, True), (3e6, True)]}})
    again = History.from_json(history.to_json()).of(KIND)[STATE]
    assert again.events[0] == again.events[BINS - 1] == 1
    assert sum(again.exposure) == pytest.approx(3e6)


def rows(*rows):
    return json.dumps({"greenroom_history": 1, "kinds": {KIND: {STATE: rows}}})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("<html>", "Expecting value"),
        (b"\xff\xfe\xff", "it is no text"),
        ("[" * 100_000, "recursion"),
        (None, "NoneType"),
        ("7", "of something else"),
        ("[]", "of something else"),
        ("{}", "of something else"),
        ('{"greenroom_history": 2, "kinds": {}}', "version 2"),
        ('{"greenroom_history": 1}', "kinds"),
        ('{"greenroom_history": 1, "kinds": []}', "list"),
        ('{"greenroom_history": 1, "kinds": {"k": []}}', "list"),
        ('{"greenroom_history": 1, "kinds": {"k": {"s": 7}}}', "int"),
        (rows(7), "int"),
        (rows([1, 2]), "expected 3"),
        (rows([1, 2, 3, 4]), "expected 3"),
        (rows(["1", 2, 3]), "'1' is no age"),
        (rows([1, None, 3]), "None is no age"),
        (rows([1, 2, -3]), "-3 is no age"),
        (rows([1, math.nan, 3]), "nan is no age"),
        (rows([math.inf, 2, 3]), "inf is no age"),
    ],
)
def test_what_is_no_history_is_refused_with_the_reason(text, why):
    with pytest.raises(ConfigurationError, match=f"no history.*(?:{why})"):
        History.from_json(text)


@pytest.mark.parametrize("row", [[10**400, 2, 3], [1, 10**400, 3], [1, 2, 10**400]])
def test_numbers_beyond_all_bounds_are_refused_too(row):
    with pytest.raises(ConfigurationError):
        History.from_json(rows(row))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["greenroom_history", "kinds", "k"]), inner)
        ),
        max_leaves=12,
    )
)
def test_json_of_any_shape_is_a_history_or_refused(shape):
    for each in (shape, {"greenroom_history": 1, "kinds": {KIND: {STATE: shape}}}):
        with suppress(ConfigurationError):
            History.from_json(json.dumps(each)).weak(KIND)
