"""Taken up again: killed at any moment, a launch loses no key, doubles no session, tells no lie."""

from __future__ import annotations

import random
from collections import Counter

import anyio
import pytest

import greenroom
from greenroom import (
    REMEDIES,
    AccessDenied,
    Action,
    Deletion,
    JournalError,
    Launch,
    LaunchPolicy,
    Poller,
    SpecError,
    Throttled,
    Verdict,
)
from greenroom._launch import _events as events
from greenroom._launch._steps import Again, next_step

pytestmark = pytest.mark.usefixtures("inline_threads")

TYPES = ["g4dn.xlarge", "g5.xlarge"]
CHOICES = [{"instance_type": each} for each in TYPES]
FAILING = {
    "INTERNAL_ERROR": 0.15,
    "INSUFFICIENT_CAPACITY": 0.1,
    "INITIALIZATION_SCRIPT_ERROR": 0.1,
}


def no_attempt_against_the_remedies(report):
    for result in report.values():
        tried = [(each.cause, each.choice) for each in result.attempts]
        for number in range(1, len(tried)):
            if tried[number - 1][0] is not None:
                before = [each for each in tried[:number] if each[0] is not None]
                assert isinstance(next_step(before, CHOICES, REMEDIES), Again), tried


def no_wrong_verdict(report, service):
    truth = service.sessions()
    for result in report.values():
        assert result.verdict in (Verdict.SUCCESS, Verdict.FAILURE)
        if result.verdict is Verdict.SUCCESS:
            assert truth[result.id][-1].state == "READY"
        else:
            tried = [(each.cause, each.choice) for each in result.attempts]
            assert not isinstance(next_step(tried, CHOICES, REMEDIES), Again)
            assert "READY" not in [change.state for change in truth[result.id]]


@pytest.mark.parametrize("on_failure", ["keep", "delete"])
@pytest.mark.parametrize("seed", range(15))
def test_killed_at_any_moment_and_taken_up_again(
    run, studio, wanted, balanced, tmp_path, killed, seed, on_failure
):
    draw = random.Random(seed)
    path = tmp_path / "run.db"

    async def main():
        service = studio(
            seed=seed,
            create={"failures": FAILING, "median_s": 60, "sigma": 0.3},
            failure={"median_s": 30, "sigma": 0.3},
            delete={"median_s": 20, "sigma": 0.3},
            create_lag=draw.choice([0, 0, 5]),
        )
        service.late = lambda name, number: 0.3 if name == "create_session" else 0
        service.lost = lambda name, number: name == "create_session" and number % 7 == 3
        service.fault = lambda name, number: (
            Throttled("slow down", code="ThrottlingException")
            if name == "create_session" and number % 5 == 4
            else None
        )
        policy = LaunchPolicy(on_failure=on_failure, canary=draw.choice([None, 0, 3]))
        specs = wanted(14, instance_types=TYPES)
        kills = 0
        for _ in range(draw.randint(1, 3)):
            give_specs = draw.random() < 0.5 or not path.exists()
            seconds = draw.uniform(0, draw.choice([3, 50, 50, 150] if kills else [3, 50]))

            def make_launch(give_specs=give_specs):
                return Launch(
                    service,
                    specs if give_specs else None,
                    policy=policy,
                    journal=path,
                    resume=True,
                )

            kills += not await killed(seconds, make_launch)
        report = await greenroom.launch(service, None, policy=policy, journal=path, resume=True)
        assert kills
        assert list(report) == [spec["key"] for spec in specs]
        balanced(report, service)
        no_wrong_verdict(report, service)
        no_attempt_against_the_remedies(report)
        assert len(set(service.tokens)) == len(service.sessions())
        assert dict(greenroom.read_report(path)) == dict(report)
        if on_failure == "delete":
            for result in report.values():
                for each in result.attempts:
                    assert (each.deletion is Deletion.DONE) == (each.cause is not None)

    run(main)


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.5, 20, 65, 80, 100])
def test_killed_while_streams_are_made(run, studio, wanted, balanced, tmp_path, killed, moment):
    path = tmp_path / "run.db"

    async def main():
        service = studio(create={"median_s": 60, "sigma": 0.1}, stream={"median_s": 20})
        service.late = lambda name, number: 0.3
        policy = LaunchPolicy(stream=True)
        specs = wanted(12)
        await killed(moment, lambda: Launch(service, specs, policy=policy, journal=path))
        report = await greenroom.launch(
            service, specs, policy=policy, journal=path, resume=path.exists()
        )
        balanced(report, service)
        assert len(report.succeeded) == len(service.sessions()) == 12
        assert len(service.model._streams) == 12
        assert all(result.stream is not None for result in report.values())

    run(main)


@pytest.mark.parametrize("cause", ["INITIALIZATION_SCRIPT_ERROR", "INTERNAL_ERROR"])
def test_killed_while_it_deletes_makes_no_session_that_the_remedies_forbid(
    run, studio, wanted, balanced, tmp_path, killed, cause
):
    path = tmp_path / "run.db"

    async def main():
        service = studio(
            create={"failures": {cause: 1.0}},
            failure={"median_s": 30, "sigma": 0},
            delete={"median_s": 60, "sigma": 0},
        )
        policy = LaunchPolicy(on_failure="delete")
        allowed = 1 if REMEDIES[cause].action is Action.NEVER else REMEDIES[cause].attempts
        moment = 33 * allowed + 20
        await killed(moment, lambda: Launch(service, wanted(1), policy=policy, journal=path))
        (before,) = greenroom.read_report(path).values()
        assert len(before.attempts) == allowed
        assert before.attempts[-1].deletion is Deletion.ASKED
        report = await greenroom.launch(service, policy=policy, journal=path, resume=True)
        (result,) = report.values()
        assert (result.verdict, result.cause) == (Verdict.FAILURE, cause)
        assert result.state == "CREATE_FAILED", "and not that of its deletion"
        assert len(result.attempts) == allowed
        balanced(report, service)
        assert {changes[-1].state for changes in service.sessions().values()} == {"DELETED"}

    run(main)


def test_a_deletion_of_an_earlier_attempt_is_finished_too(
    run, studio, wanted, balanced, tmp_path, killed
):
    path = tmp_path / "run.db"

    async def main():
        service = studio(
            create={"failures": {"INTERNAL_ERROR": 1.0}},
            failure={"median_s": 30, "sigma": 0},
            delete={"median_s": 20, "sigma": 0},
        )
        service.fault = lambda name, number: (
            greenroom.Unavailable("down")
            if name == "delete_session" and anyio.current_time() < 100
            else None
        )
        policy = LaunchPolicy(on_failure="delete")
        async with anyio.create_task_group() as tasks:

            async def mend():
                await anyio.sleep(20)  # the second attempt will succeed
                service.model.settings = service.model.settings.merged(
                    {"create": {"failures": {"INTERNAL_ERROR": 0.0}}}
                )

            tasks.start_soon(mend)
            await killed(60, lambda: Launch(service, wanted(1), policy=policy, journal=path))
        (before,) = greenroom.read_report(path).values()
        assert [each.deletion for each in before.attempts] == [Deletion.ASKED, None]
        await anyio.sleep(100)
        report = await greenroom.launch(service, policy=policy, journal=path, resume=True)
        (result,) = report.values()
        assert result.verdict is Verdict.SUCCESS
        balanced(report, service)
        assert [each.deletion for each in result.attempts] == [Deletion.DONE, None]

    run(main)


@pytest.mark.parametrize("moment", [0.0, 0.15, 1.0, 7.0, 60.0, 150.0, 250.0])
def test_stopped_at_any_moment_and_taken_up_again(run, studio, wanted, balanced, tmp_path, moment):
    path = tmp_path / "run.db"

    async def main():
        service = studio(seed=1, create={"failures": {"INTERNAL_ERROR": 0.2}})
        policy = LaunchPolicy(on_failure="delete")
        async with Launch(service, wanted(25), policy=policy, journal=path) as launch:
            await anyio.sleep(moment)
            launch.stop()
        report = await greenroom.launch(service, policy=policy, journal=path, resume=True)
        balanced(report, service)
        no_wrong_verdict(report, service)
        assert len(report.succeeded) >= 23
        assert not report.interrupted
        assert report.stopped is None

    run(main)


# What is taken up, and what is not.


def finished(service, path, specs, **more):
    return greenroom.launch(service, specs, journal=path, **more)


def test_a_finished_launch_makes_no_create(run, studio, wanted, balanced, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio(seed=2, create={"failures": {"INITIALIZATION_SCRIPT_ERROR": 0.2}})
        first = await finished(service, path, wanted(20))
        assert first.failed
        counts = dict(service.counts)
        again = await finished(service, path, wanted(20), resume=True)
        assert service.counts == counts
        assert dict(again) == dict(first)
        assert again.launch_id == first.launch_id
        balanced(again, service)

    run(main)


def test_what_a_person_has_mended_is_asked_for_again(run, studio, wanted, balanced, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        service.fault = lambda name, number: (
            AccessDenied("no", code="AccessDeniedException")
            if name == "create_session" and 5 < number <= 20
            else None
        )
        first = await finished(service, path, wanted(20))
        assert len(first.succeeded) == 5
        denied = [result for result in first.failed if result.attempts]
        service.fault = lambda name, number: None
        again = await finished(service, path, None, resume=True)
        balanced(again, service)
        assert len(again.succeeded) == 20
        assert again.stopped is None
        for result in denied:
            assert [each.cause for each in again[result.key].attempts] == [
                "AccessDeniedException",
                None,
            ]

    run(main)


def test_what_was_late_is_waited_for_again(run, studio, wanted, balanced, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio(create={"median_s": 150, "sigma": 0.1})
        first = await finished(service, path, wanted(8), policy=LaunchPolicy(timeout=50))
        assert len(first.timed_out) == 8
        creates = service.counts["create_session"]
        again = await finished(service, path, None, resume=True)
        assert service.counts["create_session"] == creates
        assert len(again.succeeded) == 8
        balanced(again, service)
        assert again.calls == sum(service.counts.values())

    run(main)


def test_an_answer_never_heard_is_found_out(run, studio, wanted, balanced, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        service.lost = lambda name, number: name == "create_session"
        async with Launch(service, wanted(4), journal=path) as launch:
            await anyio.sleep(5)
            launch.stop()
        assert len(service.sessions()) == 4
        assert {result.id for result in launch.report().values()} == {None}
        service.lost = lambda name, number: False
        again = await finished(service, path, None, resume=True)
        assert len(service.sessions()) == 4
        assert len(again.succeeded) == 4
        balanced(again, service)

    run(main)


def test_an_answer_never_heard_is_found_out_after_a_denial(run, studio, wanted, tmp_path):
    """Who may not ask any more is told nothing of what was made before."""

    async def main():
        service = studio()
        path = tmp_path / "run.db"
        service.lost = lambda name, number: name == "create_session" and number == 1
        service.fault = lambda name, number: (
            AccessDenied("expired", code="AccessDeniedException")
            if name == "create_session" and number == 2
            else None
        )
        report = await finished(service, path, wanted(1))
        (result,) = report.values()
        assert result.verdict is Verdict.CANCELLED
        assert result.cause == "AccessDeniedException"
        assert "whether it was created is not known" in result.message
        again = await finished(service, path, None, resume=True)
        (result,) = again.values()
        assert result.verdict is Verdict.SUCCESS
        assert [result.id] == [*service.sessions()]

    run(main)


@pytest.mark.parametrize(
    "other",
    [
        lambda specs: specs[:-1],
        lambda specs: [*specs, {"key": "more", "launch_profile_id": "lp"}],
        lambda specs: [{**specs[0], "launch_profile_id": "another"}, *specs[1:]],
        lambda specs: [{**specs[0], "tags": {"a": "b"}}, *specs[1:]],
        lambda specs: [{**specs[0], "key": "another"}, *specs[1:]],
    ],
)
def test_a_launch_of_other_specs_is_another_launch(run, studio, wanted, tmp_path, other):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        await finished(service, path, wanted(4))
        calls, before = dict(service.counts), greenroom.read_report(path)
        with pytest.raises(SpecError):
            await finished(service, path, other(wanted(4)), resume=True)
        assert service.counts == calls
        after = greenroom.read_report(path)
        assert (dict(after), after.ended_at) == (dict(before), before.ended_at)
        assert [each.name for each in tmp_path.iterdir()] == ["run.db"]

    run(main)


def test_specs_in_another_order_are_the_same_launch(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        await finished(service, path, wanted(4))
        report = await finished(service, path, wanted(4)[::-1], resume=True)
        assert list(report) == [spec["key"] for spec in wanted(4)]

    run(main)


@pytest.mark.parametrize("there", [False, True])
def test_resuming_what_was_never_begun_begins_it(run, studio, wanted, tmp_path, there):
    path = tmp_path / "run.db"
    if there:
        path.touch()  # as tools that make temporary files do

    async def main():
        service = studio()
        report = await finished(service, path, wanted(3), resume=True)
        assert len(report.succeeded) == 3

    run(main)


def test_a_launch_is_not_begun_twice_in_one_journal(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        await finished(service, path, wanted(3))
        with pytest.raises(JournalError, match="exists already"):
            await finished(service, path, wanted(3))
        assert len(service.sessions()) == 3

    run(main)


def test_a_launch_that_runs_cannot_be_taken_up(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        async with Launch(service, wanted(3), journal=path) as launch:
            await anyio.sleep(10)
            with pytest.raises(JournalError, match="in use"):
                await finished(service, path, None, resume=True)
            assert greenroom.read_report(path).running
        assert len(launch.report().succeeded) == 3
        assert len(service.sessions()) == 3

    run(main)


def test_options_are_kept_for_whoever_resumes(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service, options = studio(), {"rate": 5, "types": ["a"], "stream": None}
        async with Launch(service, wanted(1), journal=path, options=options):
            pass
        launch = Launch(service, journal=path, resume=True, options={"rate": 7})
        async with launch:
            assert launch.options == options

    run(main)


def test_a_launch_taken_up_tells_what_is_new_and_knows_what_was(
    run, studio, wanted, tmp_path, killed
):
    path = tmp_path / "run.db"

    async def main():
        service, told = studio(create={"median_s": 100, "sigma": 0.2}), []
        await killed(110, lambda: Launch(service, wanted(20), journal=path))
        before = greenroom.read_report(path)
        assert before.running
        ready = len(before.succeeded)
        assert 0 < ready < 20
        async with Poller(service) as poller:
            launch = Launch(service, journal=path, resume=True, poller=poller)
            launch.listen(told.append)
            async with launch:
                assert len(launch.report().succeeded) == ready
        assert told[0].resumed
        settled = Counter(event.key for event in told if isinstance(event, events.Settled))
        assert len(settled) == 20 - ready
        assert set(settled.values()) == {1}
        assert len(launch.report().succeeded) == 20

    run(main)


def test_taking_up_what_is_over_leaves_the_account_as_it_is(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        service = studio()
        before = await finished(service, path, wanted(3))
        await anyio.sleep(10_000)
        counts = dict(service.counts)
        after = await finished(service, path, None, resume=True)
        assert dict(after) == dict(before)
        assert (after.elapsed, after.ended_at) == (before.elapsed, before.ended_at)
        assert service.counts == counts

    run(main)
