"""A launch of instances in virtual time: many in one call, as safely as one by one."""

from __future__ import annotations

import random
from collections import Counter

import anyio
import anyio.to_thread
import pytest

import greenroom
from greenroom import (
    AccessDenied,
    ConfigurationError,
    Launch,
    LaunchPolicy,
    Observation,
    SourceError,
    Throttled,
    Unavailable,
    Verdict,
)
from greenroom._launch import _events as events
from greenroom.sources import ec2

pytestmark = pytest.mark.usefixtures("inline_threads")

FIRST, SECOND = ("g5.xlarge", "subnet-1"), ("g5.xlarge", "subnet-2")
THIRD, FOURTH = ("g4dn.xlarge", "subnet-1"), ("g4dn.xlarge", "subnet-2")


def on_run(error, when=lambda number: True):
    return lambda name, number: error() if name == "RunInstances" and when(number) else None


@pytest.mark.parametrize("journaled", [False, True])
def test_three_hundred_with_fallbacks(run, region, desks, fair, tmp_path, journaled):
    async def main():
        there = region(
            capacity={FIRST: 40, SECOND: 100, THIRD: 30},
            deaths={"Server.InternalError": 0.03, "Server.InsufficientInstanceCapacity": 0.03},
            lag=3,
        )
        journal = tmp_path / "run.db" if journaled else None
        report = await greenroom.launch(there, desks(300), journal=journal)
        fair(report, there)
        assert list(report) == [f"ws-{n}" for n in range(300)]
        assert len(report.succeeded) == 300
        assert Counter(each.choice for each in there.instances.values())[FIRST] == 40
        assert {each.choice for each in there.instances.values()} == {FIRST, SECOND, THIRD, FOURTH}
        assert there.counts["RunInstances"] <= 45
        assert there.counts["DescribeInstances"] <= 110  # some fail for what is not found yet
        assert report.calls == sum(there.counts.values())
        if journaled:
            assert dict(greenroom.read_report(journal)) == dict(report)

    run(main)


def test_as_few_calls_as_the_canary_and_the_size_of_a_call_allow(run, region, desks, fair):
    async def main():
        there = region()
        report = await greenroom.launch(there, desks(300))
        fair(report, there)
        assert [count for _, _, count in there.runs] == [10, 100, 100, 90]
        there = region()
        await greenroom.launch(there, desks(300), policy=LaunchPolicy(canary=0))
        assert [count for _, _, count in there.runs] == [100, 100, 100]

    run(main)


def test_those_that_are_not_alike_are_not_asked_for_together(run, region, desks, fair):
    async def main():
        there = region()
        specs = desks(40)
        for spec in specs[::2]:
            spec["tags"] = {"show": "orchid"}
        report = await greenroom.launch(there, specs, policy=LaunchPolicy(canary=0))
        fair(report, there)
        assert [count for _, _, count in there.runs] == [20, 20]
        by_token = {}
        for result in report.values():
            by_token.setdefault(result.attempts[0].token, set()).add(str(result.spec.tags))
        assert all(len(tags) == 1 for tags in by_token.values())

    run(main)


def test_where_fewer_are_made_the_later_places_are_asked_for_again(run, region, desks, fair):
    async def main():
        there = region(capacity={FIRST: 7})
        report = await greenroom.launch(there, desks(10))
        fair(report, there)
        assert len(report.succeeded) == 10
        assert there.runs[0][1:] == (FIRST, 10)
        assert there.runs[1][1:] == (FIRST, 3)
        assert there.runs[2][1:] == (SECOND, 3)
        for number, result in enumerate(report.values()):
            causes = [each.cause for each in result.attempts]
            if number < 7:
                assert (causes, result.attempts[0].place) == ([None], number)
            else:
                assert causes == [ec2.FEWER, "InsufficientInstanceCapacity", None]
        assert len({token for token, _, _ in there.runs}) == 3

    run(main)


def test_a_choice_has_a_label(run, region, desks):
    async def main():
        report = await greenroom.launch(region(capacity={FIRST: 0}), desks(1))
        (result,) = report.values()
        assert [each.label for each in result.attempts] == [
            "g5.xlarge in subnet-1",
            "g5.xlarge in subnet-2",
        ]
        assert result.attempts[0].instance_type == "g5.xlarge"

    run(main)


# What is ready.


@pytest.mark.parametrize(("until", "least"), [(None, 75), ("ok", 75), ("running", 15)])
def test_ready_is_what_the_policy_says(run, region, desks, fair, until, least):
    async def main():
        there = region(takes=(15, 15), ok_after=(60, 60))
        policy = LaunchPolicy(until=until)
        report = await greenroom.launch(there, desks(5), policy=policy)
        fair(report, there)
        assert len(report.succeeded) == 5
        assert (there.counts["DescribeInstanceStatus"] > 0) == (until != "running")
        for result in report.values():
            assert result.state == "running"
            assert least <= result.elapsed < least + 25

    run(main)


def test_a_check_that_is_passed_is_told(run, region, desks):
    async def main():
        launch, told = Launch(region(), desks(2)), []
        launch.listen(told.append)
        async with launch:
            pass
        passed = [each for each in told if isinstance(each, events.CheckPassed)]
        assert [(each.key, each.until) for each in sorted(passed, key=lambda each: each.key)] == [
            ("ws-0", "ok"),
            ("ws-1", "ok"),
        ]
        (attempt,) = launch.report()["ws-0"].attempts
        assert attempt.passed_at is not None

    run(main)


def test_an_instance_that_goes_while_it_is_checked_says_why(run, region, desks):
    async def main():
        there = region(takes=(15, 15), ok_after=(900, 900))
        async with Launch(there, desks(1)) as launch:
            await anyio.sleep(60)
            (instance,) = there.instances.values()
            instance.ended_at = anyio.current_time()
        (result,) = launch.report().values()
        assert (result.verdict, result.cause) == (
            Verdict.FAILURE,
            "Client.UserInitiatedShutdown",
        )

    run(main)


def test_checks_that_do_not_pass_in_time_are_late(run, region, desks):
    async def main():
        there = region(ok_after=(9000, 9000))
        report = await greenroom.launch(there, desks(3), policy=LaunchPolicy(timeout=600))
        assert len(report.timed_out) == 3
        assert {result.cause for result in report.values()} == {"TIMEOUT"}

    run(main)


@pytest.mark.parametrize("policy", [{"until": "READY"}, {"stream": True}])
def test_what_instances_do_not_have_is_told_before_any_call(region, desks, policy):
    with pytest.raises(ConfigurationError, match="ec2-instance"):
        Launch(region(), desks(1), policy=LaunchPolicy(**policy))


# What goes wrong.


def test_a_death_that_no_retry_helps_stops_the_launch_at_the_canary(run, region, desks, fair):
    async def main():
        there = region(deaths={"Client.InternalError": 1.0})
        report = await greenroom.launch(there, desks(300))
        fair(report, there)
        assert len(there.instances) == 10
        assert report.stopped.cause == "Client.InternalError"
        assert list(report.by_cause) == ["Client.InternalError"]
        assert "key" in report.advice("Client.InternalError")

    run(main)


def test_an_unknown_reason_is_a_failed_attempt_and_tried_once_more(run, region, desks, fair):
    async def main():
        there = region(deaths={"Server.Brand.New": 1.0})
        report = await greenroom.launch(there, desks(2))
        fair(report, there)
        assert {(each.verdict, each.cause, len(each.attempts)) for each in report.values()} == {
            (Verdict.FAILURE, "Server.Brand.New", 2)
        }

    run(main)


@pytest.mark.parametrize("operation", ["DescribeInstances", "DescribeInstanceStatus"])
def test_where_reading_is_denied_the_breaker_opens(run, region, desks, operation):
    async def main():
        there = region()
        there.fault = lambda name, number: (
            AccessDenied("no", code="UnauthorizedOperation") if name == operation else None
        )
        report = await greenroom.launch(there, desks(300), policy=LaunchPolicy(canary=5))
        assert len(there.instances) <= 15
        assert report.stopped.cause == "UnauthorizedOperation"
        assert len(report) == 300

    run(main)


def test_a_death_that_the_checks_see_first_is_read_until_its_reason_is_known(run, region, desks):
    class Behind(region):
        """Shows instances as they were five seconds ago."""

        async def describe(self, ids, /):
            await self.called("DescribeInstances")
            then = anyio.current_time() - 5
            return {
                each.id: Observation(*each.state(then))
                for each in self.visible(ids, "DescribeInstances")
            }

    async def main():
        there = Behind()

        async def take_back():
            await anyio.sleep(50)
            first = next(iter(there.instances.values()))
            first.dies_of = "Server.SpotInstanceTermination"
            first.takes = anyio.current_time() - first.made_at

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_back)
            report = await greenroom.launch(there, desks(3))
        assert len(report.succeeded) == 3
        assert sorted(len(each.attempts) for each in report.values()) == [1, 1, 2]

    run(main)


def test_a_choice_that_is_not_offered_does_not_end_the_wait_for_another(run, region, desks):
    async def main():
        there = region(capacity={("g5.xlarge", "subnet-1"): 0})

        async def more_room():
            await anyio.sleep(60)
            there.capacity.clear()

        def not_offered(name, number):
            offered = name != "RunInstances" or there.runs[-1][1] == ("g5.xlarge", "subnet-1")
            return None if offered else SourceError("not there", code="Unsupported")

        there.fault = not_offered
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(more_room)
            report = await greenroom.launch(there, desks(8))
        assert len(report.succeeded) == 8

    run(main)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (lambda: AccessDenied("no", code="UnauthorizedOperation"), "UnauthorizedOperation"),
        (lambda: AccessDenied("no", code="ExpiredToken"), "ExpiredToken"),
        (lambda: SourceError("no", code="InvalidAMIID.NotFound"), "InvalidAMIID.NotFound"),
    ],
)
def test_a_refusal_that_needs_a_person_makes_one_call(run, region, desks, error, cause):
    async def main():
        there = region()
        there.fault = on_run(error)
        report = await greenroom.launch(there, desks(300))
        assert there.counts["RunInstances"] == 1
        assert report.stopped.cause == cause
        assert list(report.by_cause) == [cause]

    run(main)


def test_what_is_offered_nowhere_is_given_up_after_one_round(run, region, desks):
    async def main():
        there = region()
        there.fault = on_run(lambda: SourceError("not here", code="Unsupported"))
        report = await greenroom.launch(there, desks(2), policy=LaunchPolicy(canary=0))
        assert [choice for _, choice, _ in there.runs] == [FIRST, SECOND, THIRD, FOURTH]
        assert list(report.by_cause) == ["Unsupported"]

    run(main)


def test_a_full_account_holds_until_instances_end(run, region, desks, fair):
    async def main():
        there = region(quota=20)
        async with Launch(there, desks(30), policy=LaunchPolicy(canary=0)) as launch:
            await anyio.sleep(60)
            assert len(there.instances) == 20
            assert launch.account.held.cause == "VcpuLimitExceeded"
            assert there.counts["RunInstances"] <= 8
            there.quota = 200
        report = launch.report()
        fair(report, there)
        assert len(report.succeeded) == 30

    run(main)


def test_throttled_and_lost_calls_are_repeated_with_their_token(run, region, desks, fair):
    async def main():
        there = region()
        there.fault = on_run(
            lambda: Throttled("slow down", code="RequestLimitExceeded"), lambda n: n % 3 == 1
        )
        there.lost = lambda name, number: name == "RunInstances" and number % 3 == 2
        report = await greenroom.launch(there, desks(150))
        fair(report, there)
        assert len(report.succeeded) == len(there.instances) == 150
        assert len({token for token, _, _ in there.runs}) == 3

    run(main)


def test_on_failure_delete_terminates_what_was_left_on_its_way(run, region, desks, fair):
    async def main():
        there = region(takes=(9000, 9000))
        policy = LaunchPolicy(timeout=100, on_failure="delete")
        report = await greenroom.launch(there, desks(8), policy=policy)
        assert len(report.timed_out) == 8
        assert there.counts["TerminateInstances"] == 8
        assert all(each.ended_at is not None for each in there.instances.values())

    run(main)


# Killed and taken up.


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_and_taken_up_again(run, region, desks, fair, killed, tmp_path, seed):
    draw = random.Random(seed)
    path = tmp_path / "run.db"

    async def main():
        there = region(
            seed=seed,
            capacity={FIRST: draw.choice([3, 9]), SECOND: draw.choice([0, 5]), THIRD: 6},
            deaths={
                "Server.InternalError": 0.1,
                "Server.InsufficientInstanceCapacity": 0.1,
                "Client.InternalError": 0.05,
            },
            lag=draw.choice([0, 0, 5]),
            ok_after=(10, 30),
        )
        there.lost = lambda name, number: name == "RunInstances" and number % 4 == 1
        there.fault = on_run(
            lambda: Throttled("slow down", code="RequestLimitExceeded"), lambda n: n % 5 == 3
        )
        policy = LaunchPolicy(canary=draw.choice([None, 0, 3]))
        specs = desks(24)
        kills = 0
        for _ in range(draw.randint(1, 4)):
            seconds = draw.uniform(0, draw.choice([1, 3, 20, 60] if kills else [0.6, 3, 20]))
            kills += not await killed(
                seconds,
                lambda: Launch(there, specs, policy=policy, journal=path, resume=True),
            )
        report = await greenroom.launch(there, None, policy=policy, journal=path, resume=True)
        assert kills
        fair(report, there)
        assert list(report) == [spec["key"] for spec in specs]
        for result in report.values():
            assert result.verdict in (Verdict.SUCCESS, Verdict.FAILURE)
            if result.verdict is Verdict.FAILURE:
                assert result.cause in ("Client.InternalError", "Server.InternalError")
        assert dict(greenroom.read_report(path)) == dict(report)

    run(main)


def test_what_is_asked_for_is_on_the_disk_before_it_is_asked_for(
    run, region, desks, fair, tmp_path, monkeypatch
):
    path = tmp_path / "run.db"

    async def slow_disk(function, *args, **_):
        await anyio.sleep(0.5)
        return function(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", slow_disk)

    async def main():
        there, seen = region(capacity={FIRST: 7}), []
        create = there.create_sessions

        async def watched(spec, choice, *, count, client_token):
            known = [
                each
                for result in greenroom.read_report(path).values()
                for each in result.attempts
                if each.token == client_token
            ]
            seen.append(
                sorted(each.place for each in known) == list(range(count))
                and {each.together for each in known} == {count}
                and all(each.choice == choice for each in known)
            )
            return await create(spec, choice, count=count, client_token=client_token)

        there.create_sessions = watched
        report = await greenroom.launch(there, desks(30), journal=path)
        fair(report, there)
        assert len(report.succeeded) == 30
        assert len(seen) >= 4
        assert all(seen)

    run(main)


def test_the_unanswered_of_one_call_ask_once_together(run, region, desks, fair, killed, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        there = region()
        there.lost = lambda name, number: name == "RunInstances"
        assert not await killed(0.5, lambda: Launch(there, desks(10), journal=path))
        assert len(there.instances) == 10
        assert {each.id for each in greenroom.read_report(path).values()} == {None}
        there.lost = lambda name, number: False
        runs = len(there.runs)
        report = await greenroom.launch(there, journal=path, resume=True)
        fair(report, there)
        assert there.runs[runs:] == there.runs[:1]
        assert len(report.succeeded) == len(there.instances) == 10

    run(main)


def test_a_journal_knows_its_kind(run, region, studio, wanted, desks, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        await greenroom.launch(region(), desks(40), journal=path)
        report = greenroom.read_report(path)
        assert {type(each.spec) for each in report.values()} == {ec2.InstanceSpec}
        history = greenroom.read_history(path)
        assert history.of("ec2-instance")["pending"].events
        with pytest.raises(ConfigurationError, match="is a launch of ec2-instance"):
            await greenroom.launch(studio(), journal=path, resume=True)

    run(main)


def test_an_outage_loses_nothing(run, region, desks, fair):
    async def main():
        there = region()
        there.fault = lambda name, number: (
            Unavailable("down") if 2 < anyio.current_time() < 200 else None
        )
        report = await greenroom.launch(there, desks(120))
        fair(report, there)
        assert len(report.succeeded) == len(there.instances) == 120

    run(main)
