"""Who may be created now: the canary, the breaker and the hold."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from greenroom._launch._gate import CAUTION, PROBES, Gate

BAD = "AMI_VALIDATION_ERROR"


def begin(gate, most=1000):
    """Begin as many as may, and return how many those are."""
    begun = 0
    while begun < most and not gate.waits_for_canary:
        gate.begun()
        begun += 1
    return begun


# The canary.


@pytest.mark.parametrize("canary", [1, 5, 10])
def test_a_canary_by_number_waits_until_all_of_them_have_settled(canary):
    gate = Gate(canary, 5)
    assert begin(gate) == canary
    for _ in range(canary - 1):
        gate.settled(None, success=True)
        assert begin(gate) == 0
    gate.settled(None, success=False)
    assert begin(gate) == 1000


def test_no_canary_waits_for_nobody():
    gate = Gate(0, 5)
    assert begin(gate) == 1000


def test_caution_lets_the_others_follow_the_first_that_is_ready():
    gate = Gate(None, 5)
    assert begin(gate) == CAUTION
    gate.settled(None, success=False)
    assert begin(gate) == 0
    gate.settled(None, success=True)
    assert begin(gate) == 1000


def test_caution_goes_on_one_by_one_where_all_have_failed():
    gate = Gate(None, 50)
    assert begin(gate) == CAUTION
    for _ in range(CAUTION):
        gate.settled(BAD, success=False)
    assert begin(gate) == 1
    gate.settled(BAD, success=False)
    assert begin(gate) == 1


def test_a_launch_that_was_ready_in_part_before_needs_no_caution():
    gate = Gate(None, 5)
    gate.ready_before(0)
    assert begin(gate) == CAUTION
    gate.ready_before(1)
    assert begin(gate) == 1000


# The breaker.


def test_several_that_fail_alike_open_the_breaker_once():
    gate = Gate(None, 5)
    told = [gate.settled(BAD, success=False) for _ in range(10)]
    assert told == [None] * 4 + [BAD] + [None] * 5


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("other", ["INITIALIZATION_SCRIPT_ERROR", None])
def test_one_that_ends_otherwise_keeps_the_breaker_closed(position, other):
    gate = Gate(None, 5)
    told = [gate.settled(other if n == position else BAD, success=False) for n in range(20)]
    assert told == [None] * 20


def test_a_small_canary_is_enough_for_the_breaker():
    gate = Gate(3, 5)
    assert [gate.settled(BAD, success=False) for _ in range(3)] == [None, None, BAD]


def test_a_large_canary_does_not_ask_for_more():
    gate = Gate(20, 2)
    assert [gate.settled(BAD, success=False) for _ in range(2)] == [None, BAD]


# The hold.


def test_nothing_is_held_before_a_create_finds_no_room():
    gate = Gate(None, 5)
    assert not gate.held
    assert all(gate.take_pass() for _ in range(100))
    gate.made()
    assert not gate.held


def test_a_hold_begins_once_and_lets_nobody_through():
    gate = Gate(None, 5)
    gate.hold()
    gate.hold()
    assert gate.held
    assert not gate.take_pass()


def test_each_session_that_ends_lets_one_through():
    gate = Gate(None, 5)
    gate.hold()
    gate.room_for_one()
    gate.room_for_one()
    assert [gate.take_pass() for _ in range(3)] == [True, True, False]


def test_a_create_that_finds_no_room_takes_the_passes_back():
    gate = Gate(None, 5)
    gate.hold()
    gate.room_for_one()
    gate.hold()
    assert not gate.take_pass()


def test_creates_that_succeed_let_the_next_through_and_end_the_hold():
    gate = Gate(None, 5)
    gate.hold()
    for _ in range(PROBES - 1):
        gate.made()
        assert gate.held
        assert gate.take_pass()
        assert not gate.take_pass()
    gate.made()
    assert not gate.held
    assert all(gate.take_pass() for _ in range(10))


def test_the_probes_of_a_hold_have_to_be_in_a_row():
    gate = Gate(None, 5)
    gate.hold()
    gate.made()
    gate.made()
    gate.hold()
    gate.made()
    assert gate.held


def test_a_second_hold_starts_anew():
    gate = Gate(None, 5)
    gate.hold()
    for _ in range(PROBES):
        gate.made()
    gate.hold()
    assert gate.held
    assert not gate.take_pass()


# Laws.


class Gatekeeping(RuleBasedStateMachine):
    """A launch in any order of events, with its own books of passes and of who is on the way."""

    @initialize(canary=st.none() | st.integers(0, 15), breaker=st.integers(1, 8))
    def open(self, canary, breaker):
        self.gate = Gate(canary, breaker)
        self.on_the_way = self.settled = self.passes = self.broken = 0

    @precondition(lambda self: not self.gate.waits_for_canary)
    @rule()
    def begin(self):
        self.gate.begun()
        self.on_the_way += 1

    @precondition(lambda self: self.on_the_way)
    @rule(cause=st.sampled_from([None, BAD, "OTHER"]), success=st.booleans())
    def settle(self, cause, success):
        self.on_the_way -= 1
        self.settled += 1
        self.broken += self.gate.settled(None if success else cause, success=success) is not None

    @rule(count=st.integers(0, 2))
    def ready_before(self, count):
        self.gate.ready_before(count)

    @rule()
    def hold(self):
        self.gate.hold()
        assert self.gate.held
        self.passes = 0

    @rule()
    def made(self):
        was_held = self.gate.held
        self.gate.made()
        assert was_held or not self.gate.held
        self.passes += was_held

    @rule()
    def room_for_one(self):
        self.gate.room_for_one()
        self.passes += 1

    @precondition(lambda self: self.gate.held)
    @rule()
    def take_pass(self):
        let_through = self.gate.take_pass()
        assert let_through == (self.passes > 0)
        self.passes -= let_through

    @invariant()
    def the_gate_never_waits_for_nobody(self):
        if hasattr(self, "gate") and not self.on_the_way:
            assert not self.gate.waits_for_canary

    @invariant()
    def the_breaker_opens_once(self):
        assert getattr(self, "broken", 0) <= 1


TestGatekeeping = Gatekeeping.TestCase


@given(canary=st.none() | st.integers(0, 20), breaker=st.integers(1, 10), total=st.integers(1, 60))
def test_where_all_fail_alike_at_most_caution_or_the_canary_begin(canary, breaker, total):
    gate, begun, stopped = Gate(canary, breaker), 0, False
    while not stopped and begun < total:
        wave = begin(gate, total - begun)
        assert wave, "somebody may always begin once all have settled"
        begun += wave
        told = [gate.settled(BAD, success=False) for _ in range(wave)]
        stopped = BAD in told
    if canary != 0:
        assert begun <= max(CAUTION if canary is None else canary, breaker)
