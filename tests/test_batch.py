import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import Observation
from greenroom._batch import Agenda, sort_out, split


def test_a_call_takes_along_those_whose_turn_comes_next():
    agenda = Agenda(3)
    for number, due in enumerate([5, 1, 9, 3]):
        agenda.later(f"s-{number}", 0, due)
    assert agenda.next_due() == 1
    assert agenda.take(0.5) == ()
    assert agenda.take(1) == ("s-1", "s-3", "s-0")
    assert agenda.next_due() == 9


def test_those_whose_call_failed_do_not_ride_along_before_their_time():
    agenda = Agenda(10)
    agenda.hold("failed", 5)
    agenda.now("new", 0)
    assert agenda.take(0) == ("new",)
    assert agenda.next_due() == 5
    assert agenda.take(5) == ("failed",)


def test_calls_are_spread_over_the_interval_where_one_cannot_read_all():
    agenda, interval = Agenda(100), 2.0
    ids = [f"s-{number}" for number in range(230)]
    for session_id in ids:
        agenda.now(session_id, 0)
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
    assert calls == pytest.approx(2.3 * 100, rel=0.03)
    assert oldest <= interval * 1.35


def test_what_is_asked_apart_comes_first_and_alone():
    agenda = Agenda(10)
    agenda.now("a", 0)
    agenda.now("b", 0)
    agenda.apart(("b",))
    assert agenda.next_due() == -math.inf
    assert agenda.take(0) == ("b",)
    assert agenda.take(0) == ("a",)


def test_the_discarded_are_never_taken():
    agenda = Agenda(10)
    for session_id in "abcd":
        agenda.now(session_id, 0)
    agenda.apart(("c", "d"))
    agenda.discard("a")
    agenda.discard("c")
    assert agenda.take(0) == ("d",)
    assert agenda.take(0) == ("b",)
    assert agenda.next_due() == math.inf


@given(st.data(), st.integers(1, 7))
def test_everyone_on_the_agenda_gets_exactly_one_turn(data, limit):
    agenda, expected, now = Agenda(limit), set(), 0.0
    names = st.sampled_from("abcdefghij")
    for _ in range(data.draw(st.integers(0, 40))):
        name, action = data.draw(names), data.draw(st.sampled_from("nlhdt"))
        now += data.draw(st.floats(0, 3))
        if action == "n":
            agenda.now(name, now)
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


def test_absence_is_believed_only_of_an_id_asked_for_alone():
    seen = {"a": Observation("READY"), "foreign": Observation("READY")}
    answer = sort_out(("a", "b"), seen)
    assert set(answer.observed) == {"a"}
    assert answer.absent == ()
    assert answer.unlisted == ("b",)
    assert sort_out(("b",), seen).absent == ("b",)


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
