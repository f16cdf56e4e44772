"""What goes wrong, and what is done about it: stop, try again, hold, or repeat with one token."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import anyio
import pytest

import greenroom
from greenroom import (
    REMEDIES,
    AccessDenied,
    Action,
    Backoff,
    Conflict,
    InvalidRequest,
    Launch,
    LaunchPolicy,
    NotFound,
    QuotaExceeded,
    RateLimiter,
    Remedy,
    Throttled,
    Unavailable,
    Verdict,
)
from greenroom._launch import _events as events
from greenroom.sources.nimble import TABLES

pytestmark = pytest.mark.usefixtures("inline_threads")

NEVER = [code for code in TABLES["nimble-session"].faults if REMEDIES[code].action is Action.NEVER]
TYPES = ["g4dn.xlarge", "g5.xlarge", "g5.2xlarge"]


def on_create(error, when=lambda number: True):
    """Make the creates fail for which `when` holds."""
    return lambda name, number: error() if name == "create_session" and when(number) else None


def bucket(rate, burst, **more):
    """Throttle creates as a service does."""
    state = {"tokens": float(burst), "at": 0.0}

    def fault(name, number):
        if name != "create_session":
            return None
        now = anyio.current_time()
        state["tokens"] = min(burst, state["tokens"] + (now - state["at"]) * rate)
        state["at"] = now
        if state["tokens"] < 1:
            return Throttled("slow down", code="ThrottlingException", **more)
        state["tokens"] -= 1
        return None

    return fault


def cautious(report, service, cause, most):
    assert service.counts["create_session"] <= most
    assert report.stopped is not None
    assert report.stopped.cause == cause
    assert list(report.by_cause) == [cause]
    assert len(report) == len(report.by_cause[cause])
    assert {each.verdict for each in report.values() if not each.attempts} == {Verdict.CANCELLED}
    assert all("not created" in each.message for each in report.values() if not each.attempts)


# What stops a launch.


@pytest.mark.parametrize(("canary", "in_flight"), [(None, 10), (None, 1), (3, 10), (10, 2)])
@pytest.mark.parametrize("code", NEVER)
def test_a_failure_that_needs_a_person_stops_the_launch(
    run, studio, wanted, balanced, code, canary, in_flight
):
    async def main():
        service = studio(create={"failures": {code: 1.0}})
        policy = LaunchPolicy(canary=canary, in_flight=in_flight)
        report = await greenroom.launch(service, wanted(300), policy=policy)
        cautious(report, service, code, (canary or 10) + in_flight)
        balanced(report, service)
        made = [each for each in report.values() if each.attempts]
        assert {each.verdict for each in made} == {Verdict.FAILURE}
        assert all(len(each.attempts) == 1 for each in made)
        assert REMEDIES[code].advice in report.stopped.message

    run(main)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AccessDenied, "AccessDeniedException"),
        (AccessDenied, "ExpiredTokenException"),
        (AccessDenied, "UnrecognizedClientException"),
        (AccessDenied, None),
        (InvalidRequest, "ValidationException"),
        (InvalidRequest, "SerializationException"),
        (InvalidRequest, None),
        (NotFound, "ResourceNotFoundException"),
        (NotFound, "NotFoundException"),
        (NotFound, None),
    ],
)
@pytest.mark.parametrize("canary", [None, 3])
def test_a_refusal_that_needs_a_person_stops_the_launch(
    run, studio, wanted, balanced, kind, code, canary
):
    async def main():
        service = studio()
        service.fault = on_create(lambda: kind("it will not do", code=code))
        policy = LaunchPolicy(canary=canary)
        report = await greenroom.launch(service, wanted(300), policy=policy)
        cautious(report, service, code or kind.__name__, 20)
        balanced(report, service)
        refused = [each for each in report.values() if each.attempts]
        assert {each.verdict for each in refused} == {Verdict.ERROR}
        assert all(each.message == "it will not do" for each in refused)
        assert not service.sessions()

    run(main)


def test_a_denial_stops_at_once_and_without_a_canary(run, studio, wanted):
    async def main():
        service = studio()
        service.fault = on_create(lambda: AccessDenied("no", code="AccessDeniedException"))
        policy = LaunchPolicy(canary=0, in_flight=4)
        report = await greenroom.launch(service, wanted(300), policy=policy)
        cautious(report, service, "AccessDeniedException", 4)

    run(main)


def test_what_exists_when_a_launch_stops_is_seen_through(run, studio, wanted, balanced):
    async def main():
        service = studio()
        service.fault = on_create(
            lambda: InvalidRequest("no", code="ValidationException"), lambda number: number > 5
        )
        report = await greenroom.launch(service, wanted(300))
        assert report.stopped.cause == "ValidationException"
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 5
        assert len(report.by_cause["ValidationException"]) == 295

    run(main)


def test_a_denial_later_on_leaves_what_exists_alone(run, studio, wanted, balanced):
    async def main():
        service = studio()
        service.fault = on_create(
            lambda: AccessDenied("no", code="AccessDeniedException"), lambda number: number > 20
        )
        report = await greenroom.launch(service, wanted(60))
        balanced(report, service)
        assert len(report.succeeded) == 20
        assert len(report.by_cause["AccessDeniedException"]) == 40
        assert service.counts["create_session"] <= 30

    run(main)


def test_a_few_bad_specs_do_not_stop_the_others(run, studio, wanted, balanced):
    async def main():
        service = studio(launch_profiles={"lp": "READY"})
        specs = wanted(40)
        for spec in specs[3::10]:
            spec["launch_profile_id"] = "gone"
        report = await greenroom.launch(service, specs)
        balanced(report, service)
        assert len(report.succeeded) == 36
        assert {each.key for each in report.failed} == {"ws-3", "ws-13", "ws-23", "ws-33"}
        assert list(report.by_cause) == ["ResourceNotFoundException"]
        assert all(len(each.attempts) == 1 for each in report.values())
        assert report.stopped is None

    run(main)


def test_a_breaker_does_not_name_its_cause_for_those_it_did_not_take(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 1000, "sigma": 0})
        service.fault = on_create(
            lambda: InvalidRequest("no", code="ValidationException"), lambda number: number > 5
        )
        async with Launch(service, wanted(10)) as launch:
            await anyio.sleep(100)
            assert launch.account.stopped.cause == "ValidationException"
            launch.stop()
        report = launch.report()
        assert len(service.sessions()) == 5
        causes = {each.cause for each in report.values() if each.id is not None}
        assert causes == {"INTERRUPTED"}

    run(main)


def test_a_breaker_does_not_hide_the_deadline(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 50, "sigma": 0})

        def fault(name, number):
            if name == "create_session" and number > 5:
                return InvalidRequest("no", code="ValidationException")
            return Unavailable("down") if name == "create_stream" else None

        service.fault = fault
        policy = LaunchPolicy(stream=True, timeout=200)
        report = await greenroom.launch(service, wanted(10), policy=policy)
        late = [each for each in report.values() if each.id is not None]
        assert len(late) == 5
        assert {each.verdict for each in late} == {Verdict.TIMEOUT}
        assert {each.cause for each in late} == {"TIMEOUT"}

    run(main)


# What is tried again.


def test_a_shortage_that_ends_is_ridden_out(run, studio, wanted, balanced):
    async def main():
        service = studio(create={"failures": {"INSUFFICIENT_CAPACITY": 1.0}})
        settings = service.model.settings
        async with Launch(service, wanted(30, instance_types=TYPES)) as launch:
            await anyio.sleep(600)
            service.model.settings = settings.merged(
                {"create": {"failures": {"INSUFFICIENT_CAPACITY": 0.0}}}
            )
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) == 30
        retried = [each for each in report.values() if len(each.attempts) > 1]
        assert len(retried) >= 10
        for result in retried:
            asked = [each.instance_type for each in result.attempts]
            assert asked == (TYPES * len(asked))[: len(asked)]

    run(main)


def test_a_shortage_of_every_type_pauses_between_the_rounds(run, studio, wanted):
    async def main():
        service = studio(
            create={"failures": {"INSUFFICIENT_CAPACITY": 1.0}},
            failure={"median_s": 10, "sigma": 0},
        )
        policy = LaunchPolicy(
            timeout=2000, backoff=Backoff(initial=100, factor=2, ceiling=400, floor=100)
        )
        report = await greenroom.launch(service, wanted(1, instance_types=TYPES[:2]), policy=policy)
        (result,) = report.values()
        assert result.verdict is Verdict.TIMEOUT
        asked = [each.asked_at.timestamp() for each in result.attempts]
        pauses = [after - before for before, after in pairwise(asked)]
        assert all(pause < 20 for pause in pauses[0::2])
        assert all(pause >= 100 for pause in pauses[1::2])
        assert len(result.attempts) <= 20
        assert result.cause == "INSUFFICIENT_CAPACITY"

    run(main)


@pytest.mark.parametrize(
    "code", ["INTERNAL_ERROR", "NETWORK_CONNECTION_ERROR", "NETWORK_INTERFACE_ERROR"]
)
def test_a_passing_failure_that_does_not_pass_is_given_up(run, studio, wanted, balanced, code):
    async def main():
        service = studio(create={"failures": {code: 1.0}})
        report = await greenroom.launch(service, wanted(4))
        balanced(report, service)
        assert len(service.sessions()) == 12
        for result in report.values():
            assert result.verdict is Verdict.FAILURE
            assert [each.cause for each in result.attempts] == [code] * 3
            assert (result.cause, result.state, result.reason) == (code, "CREATE_FAILED", code)
            assert result.message
        assert report.stopped is None

    run(main)


def test_an_image_that_is_not_ready_yet_is_waited_for(run, studio, wanted, balanced):
    async def main():
        service = studio(launch_profiles={"lp": "CREATE_IN_PROGRESS"})
        async with Launch(service, wanted(3)) as launch:
            await anyio.sleep(3)
            service.model.settings = service.model.settings.merged(
                {"launch_profiles": {"lp": "READY"}}
            )
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) == 3
        assert all(
            [each.cause for each in result.attempts] == ["ConflictException", None]
            for result in report.values()
        )

    run(main)


def test_an_image_that_is_never_ready_is_given_up(run, studio, wanted, balanced):
    async def main():
        service = studio(launch_profiles={"lp": "UPDATE_IN_PROGRESS"})
        report = await greenroom.launch(service, wanted(2))
        balanced(report, service)
        assert service.counts["create_session"] == 8
        assert {result.verdict for result in report.values()} == {Verdict.ERROR}
        assert list(report.by_cause) == ["ConflictException"]

    run(main)


def test_a_row_of_ones_own_has_its_way(run, studio, wanted, balanced):
    async def main():
        service = studio(create={"failures": {"INSUFFICIENT_CAPACITY": 1.0}})
        rows = {"INSUFFICIENT_CAPACITY": Remedy(Action.NEVER, "Buy machines.")}
        report = await greenroom.launch(service, wanted(300), policy=LaunchPolicy(remedies=rows))
        cautious(report, service, "INSUFFICIENT_CAPACITY", 20)
        assert "Buy machines." in report.stopped.message
        balanced(report, service)

    run(main)


# What is held.


def test_a_full_account_holds_until_sessions_end(run, studio, wanted, balanced):
    async def main():
        service = studio(max_sessions=20, session_length=200, stopped_length=30)
        told = []
        launch = Launch(service, wanted(50), policy=LaunchPolicy(canary=0))
        launch.listen(told.append)
        async with launch:
            await anyio.sleep(40)
            assert launch.account.held.cause == "ServiceQuotaExceededException"
            assert "20 sessions" in launch.account.held.message
            assert len(service.sessions()) == 20
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) == 50
        assert all(len(result.attempts) == 1 for result in report.values())
        said = [e for e in told if isinstance(e, events.CreatesHeld | events.CreatesReleased)]
        assert [type(event) for event in said[:2]] == [events.CreatesHeld, events.CreatesReleased]
        assert len(service.sessions()) == 50

    run(main)


def test_a_held_launch_does_not_hammer(run, studio, wanted):
    async def main():
        service = studio(max_sessions=5)
        policy = LaunchPolicy(canary=0, timeout=1800)
        report = await greenroom.launch(service, wanted(100), policy=policy)
        assert len(report.succeeded) == 5
        assert len(report.timed_out) == 95
        assert service.counts["create_session"] <= 5 + 10 * 15

    run(main)


def test_what_the_quota_kept_out_says_so(run, studio, wanted):
    async def main():
        service = studio(max_sessions=5)
        report = await greenroom.launch(service, wanted(7), policy=LaunchPolicy(timeout=900))
        late = report.timed_out
        assert len(late) == 2
        asked = [result for result in late if result.attempts]
        assert asked
        for result in asked:
            assert "is not known" not in result.message
            assert result.cause == "ServiceQuotaExceededException"

    run(main)


def test_a_hold_is_said_as_long_as_it_lasts(run, studio, wanted):
    async def main():
        service = studio(max_sessions=9, create={"median_s": 100, "sigma": 0})
        async with Launch(service, wanted(20), policy=LaunchPolicy(timeout=900)) as launch:
            await anyio.sleep(300)
            assert len(service.sessions()) == 9
            assert launch.account.held is not None
            assert launch.account.held.cause == "ServiceQuotaExceededException"

    run(main)


def test_a_session_that_ends_makes_room_at_once(run, studio, wanted, balanced):
    async def main():
        service = studio(
            max_sessions=5,
            create={"median_s": 100, "sigma": 0},
            failure={"median_s": 300, "sigma": 0},
            delete={"median_s": 10, "sigma": 0},
        )
        lazy = Backoff(initial=5000, factor=2, ceiling=5000, floor=5000)
        policy = LaunchPolicy(canary=0, breaker=50, on_failure="delete", backoff=lazy)
        first = service.model.settings.merged(
            {"create": {"failures": {"INITIALIZATION_SCRIPT_ERROR": 1.0}}}
        )
        rest, service.model.settings = service.model.settings, first
        async with Launch(service, wanted(6), policy=policy) as launch:
            await anyio.sleep(0.15)  # the first five have been made, and will fail
            assert len(service.sessions()) == 5
            service.model.settings = rest
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) == 1
        gone = min(
            each.deleted_at
            for result in report.values()
            for each in result.attempts
            if each.deleted_at
        )
        (last,) = report.succeeded
        assert (last.attempts[-1].answered_at - gone).total_seconds() < 5

    run(main)


def test_a_row_may_hold_for_a_failed_session_too(run, studio, wanted, balanced):
    async def main():
        service = studio(create={"failures": {"INSUFFICIENT_CAPACITY": 1.0}})
        rows = {"INSUFFICIENT_CAPACITY": Remedy(Action.HOLD, "Wait.")}
        policy = LaunchPolicy(remedies=rows)
        async with Launch(service, wanted(15), policy=policy) as launch:
            await anyio.sleep(120)
            assert launch.account.held.cause == "INSUFFICIENT_CAPACITY"
            service.model.settings = service.model.settings.merged(
                {"create": {"failures": {"INSUFFICIENT_CAPACITY": 0.0}}}
            )
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) == 15

    run(main)


# What is repeated.


@pytest.mark.parametrize("retry_after", [None, 3.0])
def test_throttled_creates_are_all_made_and_none_doubled(
    run, studio, wanted, balanced, retry_after
):
    async def main():
        service = studio()
        service.fault = bucket(2, 2, retry_after=retry_after)
        limiter = RateLimiter(5, burst=5)
        policy = LaunchPolicy(canary=0)
        report = await greenroom.launch(service, wanted(100), creates=limiter, policy=policy)
        balanced(report, service)
        assert len(report.succeeded) == 100
        assert len(service.sessions()) == 100
        assert all(len(result.attempts) == 1 for result in report.values())
        throttled = service.counts["create_session"] - 100
        assert 0 < throttled == report.throttled == limiter.statistics().throttled
        assert throttled < 250
        times = [changes[0].at for changes in service.sessions().values()]
        assert max(times) - min(times) < 250

    run(main)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_lost_answer_makes_no_second_session(run, studio, wanted, balanced, every):
    async def main():
        service = studio()
        first = set()

        def lost(name, number):
            if name != "create_session" or number % every:
                return False
            token = service.tokens[-1]
            return token not in first and not first.add(token)

        service.lost = lost
        report = await greenroom.launch(service, wanted(30))
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 30
        repeated = Counter(service.tokens)
        assert len(repeated) == 30
        assert max(repeated.values()) >= 2

    run(main)


def test_an_answer_that_comes_too_late_makes_no_second_session(run, studio, wanted, balanced):
    async def main():
        service = studio()
        service.late = lambda name, number: (
            100 if name == "create_session" and number % 3 == 0 else 0
        )
        report = await greenroom.launch(service, wanted(12))
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 12
        assert len(set(service.tokens)) == 12 < len(service.tokens)

    run(main)


def test_an_outage_of_minutes_is_lived_through(run, studio, wanted, balanced):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            Unavailable("down") if 3 < anyio.current_time() < 400 else None
        )
        report = await greenroom.launch(service, wanted(40))
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 40

    run(main)


def test_a_service_that_shows_old_news_is_seen_through(run, studio, wanted, balanced):
    async def main():
        service = studio(
            create_lag=20, read_lag=15, create={"failures": {"INTERNAL_ERROR": 0.3}}, seed=5
        )
        report = await greenroom.launch(service, wanted(40))
        balanced(report, service)
        assert len(report.succeeded) >= 35
        assert set(report.by_cause) <= {"INTERNAL_ERROR"}

    run(main)


@pytest.mark.parametrize("kind", [Conflict, QuotaExceeded])
def test_what_a_lost_create_answers_the_second_time_is_believed(
    run, studio, wanted, balanced, kind
):
    async def main():
        service = studio()
        code = {
            Conflict: "ConflictException",
            QuotaExceeded: "ServiceQuotaExceededException",
        }[kind]

        def fault(name, number):
            if name != "create_session" or number > 2:
                return None
            return Unavailable("down") if number == 1 else kind("no", code=code)

        service.fault = fault
        report = await greenroom.launch(service, wanted(1))
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 1

    run(main)
