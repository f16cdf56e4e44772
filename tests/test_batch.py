import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom._batch import Agenda, split
from greenroom._intervals import Intervals
from greenroom._suspects import PAUSE, Suspects
from greenroom._turns import Look


class Given:
    """A schedule of intervals that the test gives."""

    interval = 0.0

    def delay(self, looks):
        return self.interval


class Diary(Agenda):
    """An agenda with intervals that the test gives."""

    def __init__(self, limit):
        self.given = Given()
        self.suspects = Suspects()
        super().__init__(limit, Intervals(self.given, limit), self.suspects)

    def next_due(self, now=0.0):
        return super().next_due(now)

    def later(self, session_id, since, interval):
        self.given.interval = interval
        super().later(Look(session_id, "PENDING", since))


def test_a_call_takes_along_those_whose_turn_comes_next():
    agenda = Diary(3)
    for number, due in enumerate([5, 1, 9, 3]):
        agenda.later(f"s-{number}", 0, due)
    assert agenda.next_due() == 1
    assert agenda.take(0.5) == ()
    assert agenda.take(1) == ("s-1", "s-3", "s-0")
    assert agenda.next_due() == 9


def test_those_whose_call_failed_do_not_ride_along_before_their_time():
    agenda = Diary(10)
    agenda.hold("failed", 5)
    agenda.at_once("new", 0)
    assert agenda.take(0) == ("new",)
    assert agenda.next_due() == 5
    assert agenda.take(5) == ("failed",)


def test_calls_are_spread_over_the_interval_where_one_cannot_read_all():
    agenda, interval = Diary(100), 2.0
    ids = [f"s-{number}" for number in range(230)]
    for session_id in ids:
        agenda.at_once(session_id, 0)
    now, last_read, calls, oldest = 0.0, dict.fromkeys(ids, 0.0), 0, 0.0
    while now < 200:
        now = max(now, agenda.next_due())
        taken = agenda.take(now)
        calls += 1
        for session_id in taken:
            if now > 20:
                oldest = max(oldest, now - last_read[session_id])
            last_read[session_id] = now
            agenda.later(session_id, now, interval)
    assert calls == pytest.approx(3 * 100, rel=0.03)
    assert oldest <= interval + 1e-9


def test_what_is_asked_apart_takes_turns_with_what_is_shared():
    agenda = Diary(10)
    for session_id in "abcd":
        agenda.at_once(session_id, 0)
    agenda.apart(("b",), 0)
    agenda.apart(("c",), 0)
    assert agenda.next_due() == 0
    assert [agenda.take(0) for _ in range(4)] == [("b",), ("a", "d"), ("c",), ()]


def test_a_hint_is_not_kept_waiting_by_the_spread():
    agenda = Diary(2)
    for session_id in "abcde":
        agenda.later(session_id, 0, 60)
    assert len(agenda.take(60)) == 2
    assert agenda.next_due() == 80
    agenda.at_once("e", 61)
    assert agenda.next_due() == 61
    assert agenda.take(61)[0] == "e"


def test_newcomers_wait_for_each_other_for_a_part_of_the_interval():
    agenda = Diary(100)
    agenda.soon("first", 0)
    assert agenda.take(0) == ("first",)
    agenda.later("first", 0, 2)
    agenda.soon("second", 0.9)
    assert agenda.take(0.9) == ("second", "first"), "nothing has set an interval before"
    agenda.later("first", 0.9, 2)
    agenda.soon("third", 1.0)
    agenda.soon("fourth", 1.2)
    assert agenda.next_due() == pytest.approx(1.7)
    assert agenda.take(agenda.next_due()) == ("third", "fourth", "first")


def test_the_discarded_are_never_taken():
    agenda = Diary(10)
    for session_id in "abcd":
        agenda.at_once(session_id, 0)
    agenda.apart(("d",), 0)
    agenda.discard("a")
    agenda.discard("c")
    assert agenda.take(0) == ("d",)
    assert agenda.take(0) == ("b",)
    assert agenda.next_due() == math.inf


def test_a_hint_brings_an_urgent_turn_forward_and_never_puts_one_off():
    agenda = Diary(1)
    agenda.at_once("a", 0)
    agenda.at_once("b", 1)
    agenda.at_once("a", 2)
    assert agenda.next_due() == 0
    assert agenda.take(2) == ("a",), "who asked first is read first"
    agenda.hold("c", 9)
    agenda.at_once("c", 3)
    assert agenda.take(3) == ("b",)
    assert agenda.take(3) == ("c",)
    assert agenda.next_due() == math.inf


def test_a_second_hint_at_the_same_moment_changes_no_order():
    agenda = Diary(1)
    for session_id in "aba":
        agenda.at_once(session_id, 5)
    assert [agenda.take(5), agenda.take(5), agenda.take(5)] == [("a",), ("b",), ()]


def test_suspects_are_hinted_at_and_held_back_apart_from_the_others():
    agenda = Diary(10)
    agenda.suspects.blame(["bad"], ["bad"], 0)
    agenda.at_once("good", 0)
    agenda.at_once("bad", 0)
    assert [agenda.take(0), agenda.take(0)] == [("bad",), ("good",)]
    agenda.hold("bad", 7)
    agenda.at_once("good", 7)
    assert agenda.take(6.9) == ()
    assert [agenda.take(7), agenda.take(7)] == [("bad",), ("good",)]
    assert agenda.next_due() == math.inf


def test_suspects_come_anew_and_stay_apart_in_growing_pauses():
    agenda = Diary(10)
    agenda.suspects.blame(["bad"], ["bad"], 0)
    agenda.soon("bad", 1)
    agenda.soon("good", 1)
    assert [agenda.take(1), agenda.take(1)] == [("bad",), ("good",)]
    agenda.given.interval = 2.0
    agenda.stayed({"bad": 1, "good": 1}, 1)
    assert agenda.next_due() == pytest.approx(3)
    assert agenda.take(3) == ("good",)
    due = agenda.next_due()
    assert 1 + PAUSE.floor <= due <= 1 + PAUSE.ceiling
    assert agenda.take(due) == ("bad",)
    assert agenda.next_due() == math.inf


def test_an_answer_ends_a_turn_that_came_meanwhile():
    agenda = Diary(10)
    agenda.at_once("a", 0)
    assert agenda.take(0) == ("a",)
    agenda.at_once("a", 1)
    agenda.at_once("b", 1)
    agenda.given.interval = 9.0
    agenda.stayed({"a": 1}, 2)
    assert agenda.take(2)[0] == "b"
    assert agenda.next_due() in (11, math.inf)


def test_who_is_asked_apart_has_no_other_turn():
    agenda = Diary(10)
    agenda.suspects.blame(["bad"], ["bad"], 0)
    agenda.at_once("bad", 0)
    agenda.later("good", 0, 3)
    agenda.apart(("bad", "good"), 1)
    assert agenda.take(1) == ("bad", "good")
    assert agenda.next_due() == math.inf


def test_a_hint_takes_the_place_of_a_turn_apart_that_has_yet_to_come():
    agenda = Diary(10)
    agenda.apart(("bad", "good"), 5)
    agenda.at_once("bad", 1)
    assert agenda.take(1) == ("bad",)
    agenda.apart(("bad",), 6)
    assert [agenda.take(6), agenda.take(6), agenda.next_due()] == [("good",), ("bad",), math.inf]


def test_who_is_to_be_asked_apart_by_now_needs_no_other_turn():
    agenda = Diary(10)
    agenda.apart(("bad",), 1)
    agenda.at_once("bad", 1)
    agenda.soon("bad", 1)
    assert [agenda.take(1), agenda.next_due()] == [("bad",), math.inf]


def test_a_turn_apart_is_over_once_a_session_was_read_or_left():
    agenda = Diary(10)
    agenda.apart(("read",), 5)
    agenda.apart(("stayed",), 5)
    agenda.apart(("left",), 5)
    agenda.later("read", 1, 100)
    agenda.stayed({"stayed": 1}, 1)
    agenda.discard("left")
    assert agenda.next_due() > 5


def test_a_newcomer_does_not_wait_for_a_call_apart_that_is_far_away():
    agenda = Diary(10)
    agenda.apart(("near", "far"), 8)
    agenda.apart(("far",), 100)
    agenda.soon("near", 0)
    agenda.soon("far", 0)
    assert agenda.take(0) == ("far",)
    assert agenda.take(8) == ("near",)
    assert agenda.next_due() == math.inf


def test_an_answer_brings_those_together_who_were_to_wait_for_long():
    agenda = Diary(10)
    agenda.apart(("a", "b"), 5)
    agenda.apart(("c",), 50)
    agenda.apart(("d", "e"), 90)
    agenda.at_once("e", 1)
    assert agenda.take(1) == ("e",)
    agenda.gather(2, later_than=12)
    assert agenda.take(2) == ("c", "d")
    assert agenda.take(5) == ("a", "b")
    assert agenda.next_due() == math.inf


def test_those_whose_call_failed_take_turns_with_those_whose_turn_has_come():
    agenda = Diary(1)
    for session_id in "ab":
        agenda.hold(session_id, 5)
    for session_id in "cd":
        agenda.later(session_id, 0, 5)
    assert [agenda.take(5) for _ in range(3)] == [("a",), ("c",), ("b",)]


def test_those_whose_call_failed_ride_along_where_there_is_room():
    agenda = Diary(3)
    agenda.hold("a", 5)
    agenda.hold("late", 9)
    agenda.later("c", 0, 5)
    assert agenda.take(5) == ("a", "c")
    agenda.hold("a", 6)
    agenda.later("c", 5, 1)
    assert agenda.take(6) == ("c", "a"), "this time they come last"


def test_a_hint_about_one_who_is_due_apart_changes_nothing():
    agenda = Diary(10)
    agenda.apart(("a",), 5)
    agenda.at_once("a", 5)
    agenda.at_once("b", 5)
    assert [agenda.take(5), agenda.take(5)] == [("a",), ("b",)]
    assert agenda.next_due() == math.inf


def test_one_whose_call_failed_meanwhile_leaves_its_group():
    agenda = Diary(10)
    agenda.apart(("a", "b"), 5)
    agenda.hold("a", 3)
    assert agenda.take(3) == ("a",)
    assert agenda.take(5) == ("b",)


def test_a_suspect_that_was_read_or_left_is_a_suspect_still():
    agenda = Diary(10)
    agenda.suspects.blame(["bad"], ["bad"], 0)
    agenda.at_once("bad", 0)
    assert agenda.take(0) == ("bad",)
    agenda.later("bad", 0, 1)
    due = agenda.next_due()
    assert PAUSE.floor <= due <= PAUSE.ceiling
    assert agenda.take(due) == ("bad",)
    agenda.at_once("bad", due)
    agenda.discard("bad")
    assert agenda.next_due() == math.inf


def test_suspects_and_groups_apart_come_in_order_of_time():
    agenda = Diary(10)
    agenda.suspects.blame(["bad"], ["bad"], 0)
    agenda.hold("bad", 3)
    agenda.apart(("x",), 5)
    agenda.apart(("y",), 2)
    assert [agenda.take(5) for _ in range(3)] == [("y",), ("bad",), ("x",)]


def test_whoever_is_to_be_asked_for_soon_is_not_gathered():
    agenda = Diary(10)
    for session_id in "abcd":
        agenda.apart((session_id,), 1)
    agenda.gather(0, later_than=1)
    assert agenda.take(0) == ()
    assert [agenda.take(1) for _ in range(5)] == [("a",), ("b",), ("c",), ("d",), ()]


@given(st.data(), st.integers(1, 7))
def test_everyone_on_the_agenda_gets_exactly_one_turn(data, limit):
    agenda, expected, now = Diary(limit), set(), 0.0
    names = st.sampled_from("abcdefghij")
    for _ in range(data.draw(st.integers(0, 40))):
        name, action = data.draw(names), data.draw(st.sampled_from("nlhdt"))
        now += data.draw(st.floats(0, 3))
        if action == "n":
            agenda.at_once(name, now)
            expected.add(name)
        elif action == "l":
            agenda.later(name, now, data.draw(st.floats(0.1, 5)))
            expected.add(name)
        elif action == "h":
            agenda.hold(name, now + data.draw(st.floats(0, 5)))
            expected.add(name)
        elif action == "d":
            agenda.discard(name)
            expected.discard(name)
        else:
            taken = agenda.take(now)
            assert len(taken) <= limit
            assert len(set(taken)) == len(taken)
            assert set(taken) <= expected
            expected -= set(taken)
    while (due := agenda.next_due()) < math.inf:
        now = max(now, due)
        taken = agenda.take(now)
        assert taken, "what is due can be taken"
        assert set(taken) <= expected
        expected -= set(taken)
    assert not expected


@given(st.integers(2, 100), st.data())
def test_halving_isolates_every_bad_id_and_finds_one_in_a_hundred_in_fifteen_calls(count, data):
    ids = tuple(f"s-{number}" for number in range(count))
    bad = data.draw(st.sets(st.sampled_from(ids), max_size=3))
    calls, found, good, queue = 0, set(), set(), [ids]
    while queue:
        group = queue.pop()
        calls += 1
        if not bad & set(group):
            good |= set(group)
        elif len(group) == 1:
            found |= set(group)
        else:
            queue += split(group, ())
    assert found == bad
    assert good == set(ids) - bad
    assert len(bad) != 1 or calls <= 15


def test_named_ids_are_asked_alone_and_the_others_together():
    assert split(("a", "b", "c", "d"), ["c", "elsewhere"]) == (("a", "b", "d"), ("c",))
    assert split(("a", "b"), ["a", "b"]) == (("a",), ("b",))
