from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from greenroom import REMEDIES, Spec
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._events import LaunchEvent
from greenroom._launch._figures import (
    Course,
    Fate,
    Figures,
    figures,
)
from greenroom._launch._journal_tables import Header
from greenroom._launch._timeline import CREATING, GONE, WAITING
from greenroom._remedies import OTHER_ADVICE, UNKNOWN
from greenroom._states import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = datetime.fromisoformat("2024-03-01T12:00:00+00:00")
HEADER = Header("launch", T0, {"studio_id": "studio-1"})
BEGAN = events.LaunchBegan(at=T0, resumed=False)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def told(*happened: LaunchEvent, keys: str = "a") -> Figures:
    account = Account("launch", [Spec(key=key, launch_profile_id="lp") for key in keys])
    for event in happened:
        account.take(event)
    return figures(HEADER, account)


def intended(second: float, attempt: int = 1, key: str = "a") -> LaunchEvent:
    return events.CreateIntended(at=at(second), key=key, attempt=attempt, token="t", choice={})


def created(second: float, attempt: int = 1, key: str = "a") -> LaunchEvent:
    return events.Created(at=at(second), key=key, attempt=attempt, id=f"s-{key}-{attempt}")


def changed(
    second: float, after: str | None, attempt: int = 1, told_at: float | None = None
) -> LaunchEvent:
    return events.Changed(
        at=at(second),
        key="a",
        id=f"s-a-{attempt}",
        before=None,
        after=after,
        changed_at=None if told_at is None else at(told_at),
    )


def failed(second: float, cause: str, attempt: int = 1) -> LaunchEvent:
    return events.AttemptFailed(
        at=at(second), key="a", attempt=attempt, id=f"s-a-{attempt}", cause=cause, message=None
    )


def settled(
    second: float, verdict: Verdict = Verdict.SUCCESS, cause: str | None = None, key: str = "a"
) -> LaunchEvent:
    return events.Settled(
        at=at(second),
        key=key,
        verdict=verdict,
        id=None,
        state=None,
        reason=None,
        message=None,
        elapsed=0.0,
        reads=1,
        cause=cause,
    )


def metered(second: float, calls: int, throttled: int = 0) -> LaunchEvent:
    return events.Metered(at=at(second), calls=calls, changes=0, throttled=throttled)


def bar(found: Figures) -> list[tuple[float, float, str]]:
    return [(each.start, each.end, each.state) for each in found.workstations[0].stretches]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 2, "break_at": 200, "resumes_after": 40_000},
        {"seed": 3, "break_at": 200, "ends": False},
        {"seed": 4, "break_at": 100},
        {"seed": 5, "timeout": 240},
    ],
    ids=["whole", "resumed", "killed", "interrupted", "late"],
)
def test_everything_is_counted_once(
    imagine: Callable[..., Any], options: dict[str, object]
) -> None:
    launch = imagine(count=120, **options)
    account = launch.account()
    found = figures(launch.header, account)
    assert [each.key for each in found.workstations] == list(account.lines)
    assert sum(found.verdicts.values()) == 120
    ready = found.verdicts.get(Verdict.SUCCESS, 0)
    assert found.made == found.deleted + len(found.left) + ready
    assert sum(len(group.keys) for group in found.causes) + ready + found.verdicts.get(
        Verdict.PENDING, 0
    ) == len(found.workstations)
    assert sum(each.calls for each in found.intervals) == found.calls
    assert sum(each.throttled for each in found.intervals) == found.throttled
    if found.ready:
        assert sum(each.count for each in found.ready.bins) == found.ready.count == ready
        assert found.ready.median <= found.ready.p90 <= found.ready.p99 <= found.ready.longest
    for each in found.workstations:
        for one, other in pairwise(each.stretches):
            assert one.end == other.start
            assert (one.state, one.attempt) != (other.state, other.attempt)
        assert all(0 <= one.start < one.end <= found.elapsed for one in each.stretches)


def test_a_journal_without_events() -> None:
    found = told(keys="abc")
    assert found.course is Course.UNBEGUN
    assert found.open == 3
    assert found.began_at == T0
    assert found.verdicts == {Verdict.PENDING: 3}
    assert found.made == found.calls == 0
    assert found.ready is None
    assert found.causes == found.left == found.intervals == ()
    assert all(not each.stretches for each in found.workstations)


@pytest.mark.parametrize(
    ("last", "course"),
    [
        ((), Course.RUNNING),
        ((events.LaunchEnded(at=at(9), interrupted=True),), Course.INTERRUPTED),
        ((events.LaunchEnded(at=at(9), interrupted=False),), Course.FINISHED),
    ],
)
def test_the_course(last: tuple[LaunchEvent, ...], course: Course) -> None:
    assert told(BEGAN, *last).course is course


def test_time_to_ready_is_from_the_first_create_to_the_services_own_time() -> None:
    found = told(
        *(BEGAN, intended(10), created(11), failed(60, "INTERNAL_ERROR")),
        *(intended(100, 2), created(101, 2), changed(205, "READY", 2, told_at=202)),
        *(changed(900, "READY", 2), settled(901)),  # seen again by a launch that was resumed
    )
    assert found.ready is not None
    assert found.ready.longest == 192


@pytest.mark.parametrize("told_at", [-6, 206, None])
def test_a_time_that_cannot_be_true_is_not_believed(told_at: float | None) -> None:
    found = told(BEGAN, intended(0), created(1), changed(205, "READY", 1, told_at), settled(210))
    assert found.ready is not None
    assert found.ready.longest == 205


def test_what_other_attempts_overcame() -> None:
    found = told(
        *(BEGAN, intended(0), created(1), failed(60, "INSUFFICIENT_CAPACITY")),
        *(intended(70, 2), created(71, 2), changed(200, "READY", 2), settled(200)),
    )
    assert [(each.cause, each.attempts, each.keys) for each in found.overcome] == [
        ("INSUFFICIENT_CAPACITY", 1, ("a",))
    ]
    assert not found.causes


def test_a_failure_in_the_end_is_not_overcome() -> None:
    found = told(
        *(BEGAN, intended(0), created(1), failed(60, "INSUFFICIENT_CAPACITY")),
        settled(61, Verdict.FAILURE, "INSUFFICIENT_CAPACITY"),
    )
    assert not found.overcome
    assert found.causes[0].keys == ("a",)
    assert found.causes[0].advice == REMEDIES["INSUFFICIENT_CAPACITY"].advice


def test_every_cause_has_advice() -> None:
    named = {verdict.name for verdict in Verdict} - {"SUCCESS", "PENDING"}
    assert named <= set(OTHER_ADVICE)
    assert not set(OTHER_ADVICE) & set(REMEDIES)
    assert REMEDIES.advice("BRAND_NEW") == REMEDIES[UNKNOWN].advice


def test_a_bar_through_two_attempts() -> None:
    found = told(
        *(BEGAN, intended(2), created(3), changed(8, "CREATE_IN_PROGRESS", 1, 3)),
        *(changed(60, "CREATE_FAILED", 1, 50), failed(60, "INTERNAL_ERROR")),
        *(changed(70, "DELETE_IN_PROGRESS"), intended(100, 2), created(101, 2)),
        *(changed(110, "DELETED"), changed(205, "READY", 2, told_at=202), settled(215)),
    )
    assert bar(found) == [
        (2, 3, CREATING),
        (3, 50, "CREATE_IN_PROGRESS"),
        (50, 60, "CREATE_FAILED"),
        (60, 100, WAITING),
        (100, 101, CREATING),
        (101, 202, "CREATE_IN_PROGRESS"),
        (202, 215, "READY"),
    ]


def test_a_bar_shows_the_deletion_that_it_ends_with() -> None:
    found = told(
        *(BEGAN, intended(0), created(1), changed(60, "CREATE_FAILED")),
        *(failed(60, "AMI_VALIDATION_ERROR"), changed(70, "DELETE_IN_PROGRESS")),
        *(changed(80, None), settled(90, Verdict.FAILURE, "AMI_VALIDATION_ERROR")),
    )
    assert bar(found)[-3:] == [
        (60, 70, "CREATE_FAILED"),
        (70, 80, "DELETE_IN_PROGRESS"),
        (80, 90, GONE),
    ]
    assert found.deleted == 1
    assert not found.left


def test_a_bar_that_is_resumed_has_no_seam() -> None:
    found = told(
        *(BEGAN, intended(0), created(1), changed(5, "CREATE_IN_PROGRESS", 1, 1)),
        *(
            settled(50, Verdict.CANCELLED, "INTERRUPTED"),
            events.LaunchBegan(at=at(80), resumed=True),
        ),
        *(changed(81, "CREATE_IN_PROGRESS", 1, 1), changed(90, "READY"), settled(90)),
    )
    assert bar(found) == [(0, 1, CREATING), (1, 90, "CREATE_IN_PROGRESS")]


def test_an_open_bar_ends_with_what_is_known() -> None:
    found = told(BEGAN, intended(0), created(1), intended(30, key="b"), keys="ab")
    assert bar(found) == [(0, 1, CREATING), (1, 30, "CREATE_IN_PROGRESS")]
    assert found.unanswered == ("b",)
    assert [(each.id, each.fate) for each in found.left] == [("s-a-1", Fate.UNDECIDED)]


def test_a_refused_create_waits_to_be_tried_again() -> None:
    refused = events.CreateRefused(
        at=at(1), key="a", attempt=1, cause="ConflictException", message="not now"
    )
    found = told(BEGAN, intended(0), refused, settled(60, Verdict.TIMEOUT, "ConflictException"))
    assert bar(found) == [(0, 1, CREATING), (1, 60, WAITING)]


@pytest.mark.parametrize(
    ("happened", "fates"),
    [
        ((), [Fate.KEPT]),
        ((events.DeleteIntended(at=at(62), key="a", id="s-a-1"),), [Fate.DELETING]),
        (
            (events.DeleteFailed(at=at(62), key="a", id="s-a-1", message="late"),),
            [Fate.NOT_DELETED],
        ),
        ((events.Deleted(at=at(62), key="a", id="s-a-1"),), []),
    ],
)
def test_what_may_still_be_billed(happened: tuple[LaunchEvent, ...], fates: list[Fate]) -> None:
    found = told(
        *(BEGAN, intended(0), created(1), failed(60, "INTERNAL_ERROR"), *happened),
        *(intended(70, 2), created(71, 2), changed(200, "READY", 2), settled(200)),
    )
    assert [each.fate for each in found.left] == fates


def test_calls_over_time_add_up_over_two_runs() -> None:
    found = told(
        *(BEGAN, metered(10, 30, 2), metered(20, 50, 2)),
        *(events.LaunchBegan(at=at(40), resumed=True), metered(50, 7, 1)),
    )
    assert found.calls == 57
    assert [(each.start, each.calls, each.throttled) for each in found.intervals] == [
        (0, 0, 0),
        (10, 30, 2),
        (20, 20, 0),
        (30, 0, 0),
        (40, 0, 0),
        (50, 7, 1),
    ]


def test_a_long_silence_is_found_and_left_out() -> None:
    found = told(
        *(BEGAN, metered(10, 30), metered(20, 50)),
        *(events.LaunchBegan(at=at(30_000), resumed=True), metered(30_010, 7)),
    )
    assert [tuple(each) for each in found.silences] == [(20, 30_010)]
    assert len(found.intervals) < 10
    assert sum(each.calls for each in found.intervals) == 57


def test_one_time_to_ready_of_nothing() -> None:
    found = told(BEGAN, intended(0), created(0), changed(0, "READY"), settled(0))
    assert found.ready is not None
    assert [(each.start, each.count) for each in found.ready.bins] == [(0, 1)]


def test_a_straggler_does_not_squeeze_the_others() -> None:
    happened: list[LaunchEvent] = [BEGAN]
    keys = [chr(number) for number in range(0x61, 0x61 + 26)]
    for key in keys:
        slow = 9000 if key == "z" else 100 + ord(key) / 100
        happened += [intended(0, key=key), created(1, key=key)]
        ready = events.Changed(
            at=at(slow), key=key, id=f"s-{key}-1", before=None, after="READY", changed_at=None
        )
        happened += [ready, settled(slow, key=key)]
    found = told(*happened, keys="".join(keys))
    assert found.ready is not None
    assert found.ready.bins[-1].end is None
    assert found.ready.bins[-1].count == 1
    assert found.ready.bins[-1].start < 600
