"""What is done about each of EC2's causes."""

from __future__ import annotations

import pytest

from greenroom import (
    AccessDenied,
    Action,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    SourceError,
    Throttled,
    Unavailable,
)
from greenroom._launch._steps import Again, GiveUp, next_step
from greenroom.sources import ec2

CHOICES = [{"subnet_id": each} for each in "ab"]
REMEDIES = ec2.REMEDIES


def step(*causes, choices=CHOICES):
    """Return what follows from these, where each attempt was of the choice that its step named."""
    tried, following = [], Again(choices[0])
    for cause in causes:
        tried.append((cause, following.choice))
        following = next_step(tried, choices, REMEDIES)
    return following


def test_every_row_has_advice():
    assert all(remedy.advice.endswith(".") for remedy in REMEDIES.values())


def test_every_reason_that_ends_an_instance_has_a_row():
    reasons = set(ec2.INSTANCE.table.faults) - {"Client.UserInitiatedHibernate"}
    assert reasons <= set(REMEDIES)


@pytest.mark.parametrize(
    "cause",
    [
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientFreeAddressesInSubnet",
        "Server.InsufficientInstanceCapacity",
        "Server.SpotInstanceTermination",
        "Server.SpotInstanceShutdown",
    ],
)
def test_a_shortage_tries_the_next_choice_for_as_long_as_there_is_time(cause):
    steps = [step(*[cause] * times) for times in (1, 2, 3)]
    assert steps == [Again(CHOICES[1]), Again(CHOICES[0], pause=1), Again(CHOICES[1])]
    assert isinstance(step(*[cause] * 99), Again)


@pytest.mark.parametrize(("cause", "rounds"), [("Unsupported", 1), ("SpotMaxPriceTooLow", 2)])
def test_what_time_alone_does_not_mend_goes_round_a_few_times(cause, rounds):
    for times in range(1, 2 * rounds):
        assert isinstance(step(*[cause] * times), Again)
    assert step(*[cause] * 2 * rounds) == GiveUp()
    assert step(*[cause] * rounds, choices=[{}]) == GiveUp()


def test_a_choice_that_is_not_offered_is_left_out_and_the_others_are_waited_for():
    shortage = "InsufficientInstanceCapacity"
    assert step(shortage, "Unsupported").choice == CHOICES[0]
    for times in range(1, 50):
        following = step(shortage, "Unsupported", *[shortage] * times)
        assert following.choice == CHOICES[0]
        assert following.pause >= times


@pytest.mark.parametrize(
    "cause",
    [
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "Client.VolumeLimitExceeded",
    ],
)
def test_a_limit_of_the_account_holds_creates(cause):
    assert step(cause) == Again(CHOICES[0], hold=True)


@pytest.mark.parametrize(
    "cause",
    [
        "IdempotentParameterMismatch",
        "InvalidAMIID.NotFound",
        "InvalidParameterValue",
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.UserInitiatedShutdown",
    ],
)
def test_what_a_person_must_mend_is_never_tried_again(cause):
    assert step(cause) == GiveUp()


def test_a_denial_gives_up_all_of_them():
    assert step("UnauthorizedOperation") == GiveUp(stop=True)


def test_those_who_came_away_with_nothing_ask_again_at_once_for_the_same():
    assert step(*[ec2.FEWER] * 300) == Again(CHOICES[0])
    assert step("Unsupported", ec2.FEWER) == Again(CHOICES[1])


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (AccessDenied("no", code="ExpiredToken"), "UnauthorizedOperation"),
        (InvalidRequest("no", code="MissingParameter"), "InvalidParameterValue"),
        (NotFound("no", code="InvalidPlacementGroup.NotFound"), "NotFound"),
        (NotFound("no", code="InvalidSubnetID.NotFound"), "InvalidSubnetID.NotFound"),
        (Conflict("no"), "IncorrectState"),
        (QuotaExceeded("no"), "InstanceLimitExceeded"),
        (SourceError("no", code="Brand.New"), "*"),
    ],
)
def test_an_error_falls_under_its_code_or_its_class(error, row):
    assert REMEDIES.row_of(error) == row
    assert not REMEDIES.repeats(error)


@pytest.mark.parametrize(
    "error",
    [
        Throttled("slow", code="RequestLimitExceeded"),
        Throttled("slow", code="EC2ThrottledException"),
        Unavailable("down"),
        Unavailable("down", code="InternalError"),
        SourceError("?"),
    ],
)
def test_what_may_have_been_heard_is_repeated(error):
    assert REMEDIES.repeats(error)


def test_no_capacity_is_an_answer_even_with_a_status_that_looks_like_an_outage():
    assert not REMEDIES.repeats(Unavailable("500", code="InsufficientInstanceCapacity"))
    assert REMEDIES["InsufficientInstanceCapacity"].action is Action.NEXT_CHOICE
