import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import Observation, Transition, Verdict
from greenroom._tracker import Patience, Tracker
from greenroom.sources._nimble_tables import STREAMING_SESSION as TABLE

AT = datetime(2024, 5, 1, tzinfo=UTC)
READY, STOPPED, DELETED = (frozenset({state}) for state in ("READY", "STOPPED", "DELETED"))


def tracker(settle=30.0, grace=30.0):
    return Tracker("s-1", TABLE, Patience(settle, grace))


def see(memory, state, now, changed_at=None, asked_at=None):
    seen = Observation(
        state, changed_at=None if changed_at is None else AT + timedelta(seconds=changed_at)
    )
    return memory.observe(seen, asked_at=now if asked_at is None else asked_at, now=now, at=AT)


def miss(memory, now):
    return memory.observe_absence(asked_at=now, now=now, at=AT)


def test_a_wait_is_decided_only_by_reads_asked_for_after_it_began():
    memory = tracker()
    see(memory, "READY", now=10)
    assert memory.verdict(READY, since=10.1, now=11) is Verdict.PENDING
    see(memory, "READY", now=12, asked_at=10.0)
    assert memory.verdict(READY, since=10.1, now=12) is Verdict.PENDING
    see(memory, "READY", now=13)
    assert memory.verdict(READY, since=10.1, now=13) is Verdict.SUCCESS


def test_a_state_at_rest_may_be_old_news_for_the_settle_time():
    memory = tracker(settle=30)
    see(memory, "STOPPED", now=1)
    assert memory.verdict(READY, since=0, now=29.9) is Verdict.PENDING
    assert memory.verdict(READY, since=0, now=30) is Verdict.UNREACHABLE


def test_a_session_that_was_seen_to_move_is_believed_at_once():
    memory = tracker(settle=30)
    see(memory, "STOP_IN_PROGRESS", now=1)
    see(memory, "STOPPED", now=2)
    assert memory.verdict(READY, since=0, now=2) is Verdict.UNREACHABLE
    assert memory.verdict(READY, since=1.5, now=2) is Verdict.UNREACHABLE
    see(memory, "STOPPED", now=4)
    assert memory.verdict(READY, since=3, now=4) is Verdict.PENDING, "moved before this wait"


@pytest.mark.parametrize("state", ["DELETED", "CREATE_FAILED", "STOP_FAILED", "DELETE_FAILED"])
def test_no_patience_where_no_action_could_lead_to_the_goal(state):
    memory = tracker()
    see(memory, state, now=0)
    assert memory.verdict(READY, since=0, now=0) in (Verdict.UNREACHABLE, Verdict.FAILURE)


def test_not_found_is_pending_for_the_grace_and_then_missing():
    memory = tracker(grace=30)
    assert miss(memory, now=1) is None
    assert memory.verdict(READY, since=0, now=29) is Verdict.PENDING
    assert memory.verdict(READY, since=0, now=30) is Verdict.MISSING
    see(memory, "CREATE_IN_PROGRESS", now=31)
    assert memory.verdict(READY, since=0, now=31) is Verdict.PENDING


def test_absence_is_success_for_deleted_once_seen_or_once_confirmed():
    seen = tracker()
    see(seen, "DELETE_IN_PROGRESS", now=0)
    gone = miss(seen, now=1)
    assert (gone.before, gone.after) == ("DELETE_IN_PROGRESS", None)
    assert seen.verdict(DELETED, since=0, now=1) is Verdict.SUCCESS
    unseen = tracker()
    miss(unseen, now=0)
    assert unseen.verdict(DELETED, since=0, now=0) is Verdict.PENDING
    miss(unseen, now=2)
    assert unseen.verdict(DELETED, since=0, now=2) is Verdict.SUCCESS


def test_an_answer_older_by_its_own_timestamp_is_no_transition_for_the_settle_time():
    memory = tracker(settle=30)
    see(memory, "CREATE_IN_PROGRESS", now=0, changed_at=0)
    see(memory, "READY", now=10, changed_at=9)
    assert see(memory, "CREATE_IN_PROGRESS", now=12, changed_at=0) is None
    assert memory.state == "READY"
    assert memory.stale == 1
    late = see(memory, "CREATE_IN_PROGRESS", now=40, changed_at=0)
    assert (late.before, late.after) == ("READY", "CREATE_IN_PROGRESS"), "believed in the end"


def test_states_that_went_by_unseen_are_reported_where_the_table_proves_them():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0)
    assert see(memory, "STOPPED", now=9).skipped == ("READY", "STOP_IN_PROGRESS")
    assert see(memory, "NEW_STATE", now=10).skipped == ()


def test_an_unknown_state_is_pending_and_a_transition():
    memory = tracker()
    assert see(memory, "HIBERNATING", now=0).after == "HIBERNATING"
    assert memory.verdict(READY, since=0, now=1000) is Verdict.PENDING


def test_details_can_be_forgotten_without_forgetting_the_state():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0)
    see(memory, "READY", now=1)
    memory.forget_details()
    assert see(memory, "READY", now=2) is None
    assert len(memory.history) == 1


def test_answers_and_looks_at_the_present_state_are_counted():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0)
    assert (memory.reads, memory.looks) == (1, 1)
    for now in (1, 2, 3):
        see(memory, "CREATE_IN_PROGRESS", now=now)
    memory.unlisted()
    memory.unlisted()
    assert (memory.reads, memory.looks) == (6, 6)
    miss(memory, now=4)
    assert (memory.reads, memory.looks) == (7, 1), "an absence begins anew"
    miss(memory, now=5)
    miss(memory, now=6)
    assert (memory.reads, memory.looks) == (9, 3)


def test_a_transition_has_all_that_the_answer_said():
    memory = tracker()
    miss(memory, now=2)
    said = Observation("CREATE_FAILED", "INTERNAL_ERROR", "It broke.", AT, {"a": 1})
    transition = memory.observe(said, asked_at=4, now=5, at=AT + timedelta(seconds=5))
    assert transition == Transition(
        id="s-1",
        before=None,
        after="CREATE_FAILED",
        at=AT + timedelta(seconds=5),
        elapsed=3,
        reason="INTERNAL_ERROR",
        message="It broke.",
        changed_at=AT,
        skipped=(),
    )
    assert memory.asked_at == 4


def test_what_is_old_news_is_counted():
    memory = tracker(settle=30)
    see(memory, "READY", now=0, changed_at=9)
    for now in (1, 2):
        see(memory, "CREATE_IN_PROGRESS", now=now, changed_at=0)
    assert (memory.stale, memory.reads) == (2, 3)


def test_a_session_that_comes_back_has_not_passed_what_lies_between():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0)
    miss(memory, now=1)
    back = see(memory, "STOPPED", now=2)
    assert (back.before, back.skipped) == (None, ())


def test_patience_counts_from_the_start_of_the_wait():
    memory = tracker(settle=30, grace=30)
    see(memory, "STOPPED", now=1001)
    assert memory.verdict(READY, since=1000, now=1029) is Verdict.PENDING
    assert memory.verdict(READY, since=1000, now=1030) is Verdict.UNREACHABLE
    miss(memory, now=1031)
    assert memory.verdict(READY, since=1005, now=1034) is Verdict.PENDING
    assert memory.verdict(READY, since=1005, now=1035) is Verdict.MISSING


def test_a_move_seen_at_the_very_start_of_a_wait_was_before_it():
    memory = tracker(settle=30)
    see(memory, "STOP_IN_PROGRESS", now=0)
    see(memory, "STOPPED", now=5)
    assert memory.verdict(READY, since=5, now=6) is Verdict.PENDING


def test_one_that_was_seen_and_is_gone_is_in_doubt():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0)
    miss(memory, now=1)
    assert memory.in_doubt(READY)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["CREATE_IN_PROGRESS", "READY", None]),
            st.integers(0, 20),
            st.integers(0, 3),
            st.none() | st.integers(0, 3),
        ),
        max_size=30,
    )
)
def test_what_stays_as_it_is_counts_as_if_it_were_observed(answers):
    quick, thorough, now, stayed = tracker(), tracker(), 0, 0
    for state, pause, latency, changed_at in answers:
        now += pause
        if state is None:
            assert miss(quick, now) == miss(thorough, now)
        else:
            seen = Observation(
                state, changed_at=None if changed_at is None else AT + timedelta(seconds=changed_at)
            )
            times = {"asked_at": now - latency, "now": now}
            told = thorough.observe(seen, at=AT, **times)
            if quick.stays(seen, **times):
                stayed += 1
                assert told is None
                assert quick.observation is seen
            else:
                assert quick.observe(seen, at=AT, **times) == told
        for name in Tracker.__slots__:
            assert getattr(quick, name) == getattr(thorough, name), name
    repeated = sum(
        one[0] == other[0] is not None and one[3] == other[3]
        for one, other in itertools.pairwise(answers)
    )
    assert repeated - quick.stale <= stayed <= repeated + quick.stale


@pytest.mark.parametrize("states", [["READY"], ["CREATE_IN_PROGRESS", "READY", "STOP_IN_PROGRESS"]])
def test_only_the_last_state_is_remembered(states):
    memory = tracker()
    for now, state in enumerate(states):
        seen = Observation(state, resource={"large": "x"})
        memory.observe(seen, asked_at=now, now=now, at=AT)
    last = memory.history[-1]
    memory.forget_details()
    assert memory.history == [last]
    assert memory.observation == Observation(states[-1])
    assert memory.observation.resource == {}


def test_a_disappearance_says_when_it_was_seen():
    memory = tracker()
    see(memory, "READY", now=3)
    gone = miss(memory, now=8)
    assert (gone.id, gone.at, gone.elapsed) == ("s-1", AT, 5)


def test_one_that_vanished_and_came_back_at_rest_was_seen_to_move():
    memory = tracker(settle=30, grace=0)
    see(memory, "READY", now=0)
    miss(memory, now=10)
    see(memory, "STOPPED", now=11)
    assert memory.verdict(READY, since=5, now=11) is Verdict.UNREACHABLE


def test_an_answer_of_the_same_second_is_no_old_news():
    memory = tracker()
    see(memory, "CREATE_IN_PROGRESS", now=0, changed_at=5)
    assert see(memory, "READY", now=1, changed_at=5).after == "READY"


def test_old_news_is_measured_from_the_last_answer():
    memory = tracker(settle=30)
    see(memory, "READY", now=1000, changed_at=9)
    assert see(memory, "CREATE_IN_PROGRESS", now=1010, changed_at=0) is None


def test_what_was_never_read_is_not_in_doubt():
    memory = tracker()
    assert not memory.in_doubt(READY), "it is to be read anyway"
    miss(memory, now=0)
    assert memory.in_doubt(READY)
    see(memory, "CREATE_IN_PROGRESS", now=1)
    assert not memory.in_doubt(READY)
    see(memory, "STOPPED", now=2)
    assert memory.in_doubt(READY)


def test_a_not_found_is_worth_a_call_once_the_grace_of_the_wait_is_over():
    memory = tracker(grace=30)
    assert not memory.absence_would_count(READY, since=100, now=129)
    assert memory.absence_would_count(READY, since=100, now=130)
    assert memory.absence_would_count(DELETED, since=100, now=100)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TABLE.states, "NEW_STATE", None]),
            st.floats(0, 20),
            st.none() | st.integers(0, 100),
        ),
        max_size=40,
    )
)
def test_whatever_arrives_the_transitions_form_one_chain(answers):
    memory, now, told = tracker(), 0.0, []
    for state, pause, changed_at in answers:
        now += pause
        transition = miss(memory, now) if state is None else see(memory, state, now, changed_at)
        if transition is not None:
            told.append(transition)
        for goal in (READY, STOPPED, DELETED):
            memory.verdict(goal, since=0, now=now)
    assert memory.history == told
    assert memory.reads == len(answers)
    for earlier, later in itertools.pairwise(told):
        assert later.before == earlier.after
        assert later.after != earlier.after
    if told:
        assert told[0].before is None
