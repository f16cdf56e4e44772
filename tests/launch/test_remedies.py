"""What is done about each cause, and what a workstation's misfortunes add up to."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from greenroom import (
    REMEDIES,
    AccessDenied,
    Action,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    LaunchPolicy,
    NotFound,
    QuotaExceeded,
    Remedy,
    SourceError,
    Throttled,
    Unavailable,
)
from greenroom._launch._steps import Again, GiveUp
from greenroom._launch._steps import next_step as step_of
from greenroom._remedies import UNKNOWN
from greenroom.simulator._facts import ERRORS
from greenroom.sources.nimble import TABLES

SHORTAGE = "INSUFFICIENT_CAPACITY"
TRANSIENT = ("INTERNAL_ERROR", "NETWORK_CONNECTION_ERROR", "NETWORK_INTERFACE_ERROR")
PERMANENT = (
    "ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR",
    "INITIALIZATION_SCRIPT_ERROR",
    "DECRYPT_STREAMING_IMAGE_ERROR",
    "AMI_VALIDATION_ERROR",
)
QUOTA = "ServiceQuotaExceededException"
REFUSALS = ("ValidationException", "ResourceNotFoundException", "AccessDeniedException")
UNHEARD = ("ThrottlingException", "InternalServerErrorException")


def next_step(rows, types, remedies):
    """Return what follows from these, where each attempt was of the choice that its step named."""
    choices = choices_of(types)
    tried, step = [], Again(choices[0])
    for row in rows:
        tried.append((row, step.choice if isinstance(step, Again) else tried[-1][1]))
        step = step_of(tried, choices, remedies)
    return step


def choices_of(types):
    return [{"instance_type": each} for each in types] or [{}]


def again(instance_type, **more):
    return Again({} if instance_type is None else {"instance_type": instance_type}, **more)


CODES = (*TABLES["nimble-session"].faults, *ERRORS)


def test_every_code_that_the_service_knows_has_a_row():
    assert {*CODES, UNKNOWN} == set(REMEDIES)
    assert all(remedy.advice.endswith(".") for remedy in REMEDIES.values())


# Sequences.


def test_a_shortage_tries_each_type_in_the_order_of_preference_then_later():
    steps = [next_step([SHORTAGE] * times, ("a", "b", "c"), REMEDIES) for times in range(1, 9)]
    assert steps == [
        again("b"),
        again("c"),
        again("a", pause=1),
        again("b"),
        again("c"),
        again("a", pause=2),
        again("b"),
        again("c"),
    ]


@pytest.mark.parametrize("types", [("a",), ()])
def test_a_shortage_of_the_only_type_pauses_each_time_longer(types):
    steps = [next_step([SHORTAGE] * times, types, REMEDIES) for times in (1, 2, 50)]
    assert steps == [again(types[0] if types else None, pause=pause) for pause in (1, 2, 50)]


@pytest.mark.parametrize("cause", TRANSIENT)
def test_a_passing_failure_is_tried_again_with_the_same_type_up_to_a_bound(cause):
    steps = [next_step([cause] * times, ("a", "b"), REMEDIES) for times in (1, 2, 3, 4)]
    assert steps == [again("a"), again("a"), GiveUp(), GiveUp()]


def test_another_cause_does_not_turn_back_to_a_type_that_was_short():
    assert next_step([SHORTAGE, "INTERNAL_ERROR"], ("a", "b"), REMEDIES) == again("b")
    assert next_step(["INTERNAL_ERROR", SHORTAGE], ("a", "b"), REMEDIES) == again("b")


@pytest.mark.parametrize("cause", PERMANENT)
def test_what_a_person_must_mend_is_never_tried_again(cause):
    assert REMEDIES[cause].needs_a_person
    assert next_step([cause], ("a", "b"), REMEDIES) == GiveUp()
    assert next_step([SHORTAGE, "INTERNAL_ERROR", cause], ("a", "b"), REMEDIES) == GiveUp()


@pytest.mark.parametrize("cause", ["ValidationException", "ResourceNotFoundException"])
def test_a_refused_spec_gives_up_this_workstation_alone(cause):
    assert next_step([cause], ("a",), REMEDIES) == GiveUp(stop=False)


def test_a_denial_gives_up_all_of_them():
    assert next_step(["AccessDeniedException"], ("a",), REMEDIES) == GiveUp(stop=True)
    assert REMEDIES["AccessDeniedException"].needs_a_person


def test_a_conflict_is_tried_again_after_growing_pauses_up_to_a_bound():
    steps = [next_step(["ConflictException"] * times, ("a",), REMEDIES) for times in (1, 2, 3, 4)]
    assert steps == [again("a", pause=1), again("a", pause=2), again("a", pause=3), GiveUp()]


def test_a_full_account_holds_and_tries_again_for_ever():
    for times in (1, 2, 100):
        assert next_step([QUOTA] * times, ("a",), REMEDIES) == again("a", hold=True)


@pytest.mark.parametrize("cause", ["NOVEL_ERROR", None, ""])
def test_an_unknown_cause_is_tried_once_more(cause):
    assert next_step([cause], ("a",), REMEDIES) == again("a")
    assert next_step([cause, cause], ("a",), REMEDIES) == GiveUp()


def test_causes_in_turn_have_a_bound_each():
    seen = ["INTERNAL_ERROR", "NETWORK_CONNECTION_ERROR"] * 2
    assert next_step(seen, (), REMEDIES) == again(None)
    assert next_step([*seen, "INTERNAL_ERROR"], (), REMEDIES) == GiveUp()


# Rows of one's own.


def test_a_row_can_be_exchanged_and_the_others_stay():
    rows = REMEDIES | {"AMI_VALIDATION_ERROR": Remedy(Action.AGAIN, "Wait.")}
    assert next_step(["AMI_VALIDATION_ERROR"], (), rows) == again(None)
    assert {**rows, "AMI_VALIDATION_ERROR": None} == {**REMEDIES, "AMI_VALIDATION_ERROR": None}
    assert REMEDIES["AMI_VALIDATION_ERROR"].action is Action.NEVER


@pytest.mark.parametrize(
    ("action", "step"),
    [
        (Action.AGAIN, again("a")),
        (Action.NEXT_TYPE, again("b")),
        (Action.REPEAT, again("a", pause=1)),
        (Action.HOLD, again("a", hold=True)),
        (Action.NEVER, GiveUp()),
        (Action.STOP, GiveUp(stop=True)),
    ],
)
@pytest.mark.parametrize("cause", ["INTERNAL_ERROR", "NOVEL_ERROR", QUOTA, UNKNOWN])
def test_every_action_can_stand_in_every_row(cause, action, step):
    rows = REMEDIES | {cause: Remedy(action, "Do it.")}
    assert next_step([cause], ("a", "b"), rows) == step


def test_the_row_of_the_unknown_can_be_exchanged_as_well():
    rows = REMEDIES | {UNKNOWN: Remedy(Action.NEVER, "Ask.")}
    assert next_step(["NOVEL_ERROR"], (), rows) == GiveUp()
    assert next_step(["INTERNAL_ERROR"], (), rows) == again(None)


def test_the_number_of_attempts_is_the_rows_own():
    rows = REMEDIES | {"INTERNAL_ERROR": Remedy(Action.AGAIN, "Wait.", attempts=1)}
    assert next_step(["INTERNAL_ERROR"], (), rows) == GiveUp()


@pytest.mark.parametrize(
    "odd",
    [
        lambda: Remedy("someday", "x"),
        lambda: Remedy(None, "x"),
        lambda: Remedy([], "x"),
        lambda: Remedy(Action.AGAIN, "x", attempts=0),
        lambda: Remedy(Action.AGAIN, "x", attempts=1.5),
        lambda: Remedy(Action.AGAIN, "x", attempts=True),
        lambda: LaunchPolicy(remedies={"INTERNAL_ERROR": "again"}),
        lambda: LaunchPolicy(remedies={"INTERNAL_ERROR": Action.AGAIN}),
    ],
)
def test_a_row_that_cannot_be_right_is_told_at_once(odd):
    with pytest.raises(ConfigurationError):
        odd()


def test_an_action_may_be_written_as_text():
    assert Remedy("next type", "x").action is Action.NEXT_TYPE


# Single calls.


@pytest.mark.parametrize("kind", [Unavailable, Throttled, SourceError])
def test_a_call_that_may_have_been_carried_out_is_made_again(kind):
    assert REMEDIES.repeats(kind("?"))


@pytest.mark.parametrize("code", UNHEARD)
def test_a_code_that_says_nothing_about_the_request_is_asked_again(code):
    assert REMEDIES.repeats(SourceError("?", code=code))


@pytest.mark.parametrize("kind", [AccessDenied, InvalidRequest, NotFound, Conflict, QuotaExceeded])
@pytest.mark.parametrize("code", [None, "NovelException"])
def test_a_refusal_is_an_answer_whatever_its_code(kind, code):
    assert not REMEDIES.repeats(kind("no", code=code))


@pytest.mark.parametrize("code", [*REFUSALS, QUOTA, "ConflictException"])
def test_a_refusing_code_is_an_answer_whatever_its_class(code):
    assert not REMEDIES.repeats(SourceError("no", code=code))


def test_a_row_of_ones_own_has_its_way_with_a_call():
    rows = REMEDIES | {
        "NovelException": Remedy(Action.REPEAT, "x"),
        "ThrottlingException": Remedy(Action.STOP, "x"),
    }
    assert rows.repeats(Conflict("no", code="NovelException"))
    assert not rows.repeats(Throttled("no", code="ThrottlingException"))


# Laws.

causes = st.none() | st.sampled_from(CODES) | st.sampled_from(["NOVEL_A", "NOVEL_B", ""])
types = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
rows = st.dictionaries(
    st.sampled_from([*CODES, "NOVEL_A"]),
    st.builds(
        Remedy,
        st.sampled_from(Action),
        st.just("x"),
        attempts=st.integers(1, 5),
        pause=st.booleans(),
    ),
)


@given(st.lists(causes, min_size=1, max_size=30), types, rows)
def test_there_is_always_a_step_and_it_keeps_to_the_types(seen, given_types, own):
    remedies = REMEDIES | own
    step = next_step(seen, given_types, remedies)
    assert isinstance(step, Again | GiveUp)
    if isinstance(step, Again):
        assert step.choice in choices_of(given_types)
        assert 0 <= step.pause <= len(seen)
        assert step.hold == (remedies.of(seen[-1]).action is Action.HOLD)


@given(st.lists(causes, min_size=1, max_size=60), types, rows)
def test_again_is_bounded_whatever_else_happens_between(seen, given_types, own):
    remedies = REMEDIES | own
    granted = dict.fromkeys(seen, 0)
    for number in range(1, len(seen) + 1):
        cause = seen[number - 1]
        step = next_step(seen[:number], given_types, remedies)
        remedy = remedies.of(cause)
        if remedy.action is Action.AGAIN:
            granted[cause] += isinstance(step, Again)
            assert granted[cause] < remedy.attempts
