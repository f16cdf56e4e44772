"""How a launch ends that does not end by itself: stopped, cancelled, too late, or unrecorded."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

import greenroom
from greenroom import (
    Backoff,
    Deletion,
    JournalError,
    Launch,
    LaunchPolicy,
    Poller,
    Unavailable,
    Verdict,
)
from greenroom._launch import _events as events
from greenroom._launch._journal import Journal

pytestmark = pytest.mark.usefixtures("inline_threads")

FAILING = {
    "INTERNAL_ERROR": 0.15,
    "INSUFFICIENT_CAPACITY": 0.1,
    "INITIALIZATION_SCRIPT_ERROR": 0.15,
}
MOMENTS = (0.0, 0.05, 0.15, 7.0, 60.0, 165.0, 300.0)


# Deleting.


def test_what_did_not_succeed_is_deleted_once_and_accounted_for(run, studio, wanted, balanced):
    async def main():
        service, told = studio(seed=2, create={"failures": FAILING}), []
        launch = Launch(service, wanted(50), policy=LaunchPolicy(on_failure="delete", canary=0))
        launch.listen(told.append)
        async with launch:
            pass
        report = launch.report()
        balanced(report, service)
        assert report.by_cause
        ready = {result.id for result in report.succeeded}
        for session_id, changes in service.sessions().items():
            assert changes[-1].state == ("READY" if session_id in ready else "DELETED")
        attempts = [each for result in report.values() for each in result.attempts]
        assert all(
            (each.deletion is Deletion.DONE) == (each.cause is not None) for each in attempts
        )
        wishes = Counter(event.id for event in told if isinstance(event, events.DeleteIntended))
        assert set(wishes.values()) == {1}

    run(main)


def test_where_its_poller_is_taken_away_nothing_is_decided_and_nothing_is_deleted(
    run, studio, wanted
):
    async def main():
        service, scope, there = studio(seed=1), anyio.CancelScope(), anyio.Event()
        poller = Poller(service)

        async def hold():
            with scope:
                async with poller:
                    there.set()
                    await anyio.sleep_forever()

        policy = LaunchPolicy(on_failure="delete", canary=0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold)
            await there.wait()
            async with Launch(service, wanted(10), poller=poller, policy=policy) as launch:
                await anyio.sleep(20)
                scope.cancel()
        assert {result.verdict for result in launch.report().values()} == {Verdict.CANCELLED}
        assert service.counts["delete_session"] == 0
        assert len(service.sessions()) == 10

    run(main)


def test_what_cannot_be_deleted_is_said(run, studio, wanted, balanced):
    async def main():
        service = studio(
            create={"failures": {"INITIALIZATION_SCRIPT_ERROR": 1.0}},
            delete={"failures": {"INTERNAL_ERROR": 1.0}},
        )
        told = []
        launch = Launch(service, wanted(2), policy=LaunchPolicy(on_failure="delete"))
        launch.listen(told.append)
        async with launch:
            pass
        report = launch.report()
        balanced(report, service)
        for result in report.values():
            assert (result.verdict, result.cause) == (
                Verdict.FAILURE,
                "INITIALIZATION_SCRIPT_ERROR",
            )
            assert result.attempts[0].deletion is Deletion.FAILED
        failed = [event for event in told if isinstance(event, events.DeleteFailed)]
        assert len(failed) == 2
        assert all("DELETE_FAILED" in event.message for event in failed)

    run(main)


def test_a_deletion_that_takes_too_long_is_given_up(run, studio, wanted, balanced):
    async def main():
        service = studio(
            create={"failures": {"INITIALIZATION_SCRIPT_ERROR": 1.0}},
            delete={"median_s": 5000, "sigma": 0},
        )
        policy = LaunchPolicy(on_failure="delete", delete_timeout=100)
        began = anyio.current_time()
        report = await greenroom.launch(service, wanted(2), policy=policy)
        assert anyio.current_time() - began < 400
        balanced(report, service)
        assert {result.attempts[0].deletion for result in report.values()} == {Deletion.FAILED}

    run(main)


def test_a_failure_after_the_breaker_is_deleted_once(run, studio, wanted, balanced):
    async def main():
        service = studio(failure={"median_s": 40, "sigma": 0})
        fails = service.model.settings.merged({"create": {"failures": {"INTERNAL_ERROR": 1.0}}})
        service.model.settings = fails
        told = []
        launch = Launch(service, wanted(3), policy=LaunchPolicy(on_failure="delete"))
        launch.listen(told.append)
        async with launch:
            await anyio.sleep(10)
            launch._site.stop("SOMETHING", "nothing more is created")
        balanced(launch.report(), service)
        wishes = Counter(event.id for event in told if isinstance(event, events.DeleteIntended))
        assert len(wishes) == 3
        assert set(wishes.values()) == {1}
        assert service.counts["delete_session"] == 3

    run(main)


# Stopping.


@pytest.mark.parametrize("on_failure", ["keep", "delete"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_stopping_at_any_moment_leaves_nothing_untold(
    run, studio, wanted, balanced, tmp_path, moment, on_failure
):
    async def main():
        service = studio(seed=4, create={"failures": FAILING})
        policy = LaunchPolicy(on_failure=on_failure, stream=True)
        path = tmp_path / "run.db"
        async with Launch(service, wanted(20), policy=policy, journal=path) as launch:
            await anyio.sleep(moment)
            launch.stop()
            before = anyio.current_time()
            report = await launch.finished()
            took = anyio.current_time() - before
        creates = service.counts["create_session"]
        balanced(report, service)
        assert creates == len(service.tokens) <= len(service.sessions()) + 10
        assert report.interrupted
        assert not report.running
        assert report.stopped.cause in ("INTERRUPTED", "INITIALIZATION_SCRIPT_ERROR")
        assert dict(greenroom.read_report(path)) == dict(report)
        for result in report.values():
            assert result.verdict in (Verdict.SUCCESS, Verdict.FAILURE, Verdict.CANCELLED)
        if on_failure == "keep":
            assert took < 1
        else:
            ready = {result.id for result in report.succeeded}
            for session_id, changes in service.sessions().items():
                assert changes[-1].state == ("READY" if session_id in ready else "DELETED")
        await anyio.sleep(1000)
        assert service.counts["create_session"] == creates

    run(main)


def test_stopping_before_entering_makes_no_create(run, studio, wanted):
    async def main():
        service = studio()
        launch = Launch(service, wanted(5))
        launch.stop()
        async with launch:
            pass
        assert service.counts["create_session"] == 0
        assert {result.verdict for result in launch.report().values()} == {Verdict.CANCELLED}
        assert list(launch.report().by_cause) == ["INTERRUPTED"]

    run(main)


def test_stopping_twice_is_stopping_once(run, studio, wanted):
    async def main():
        told = []
        launch = Launch(studio(), wanted(5))
        launch.listen(told.append)
        async with launch:
            await anyio.sleep(10)
            launch.stop()
            launch.stop()
        assert sum(isinstance(event, events.CreatesStopped) for event in told) == 1

    run(main)


def test_stopping_after_the_end_changes_nothing(run, studio, wanted, tmp_path):
    async def main():
        told, path = [], tmp_path / "run.db"
        launch = Launch(studio(), wanted(2), journal=path)
        launch.listen(told.append)
        async with launch:
            report = await launch.finished()
            launch.stop()
        assert isinstance(told[-1], events.LaunchEnded)
        assert launch.report().stopped is report.stopped is None
        assert launch.report().interrupted is False

    run(main)


def test_an_answer_that_was_not_heard_is_not_said_to_be_known(run, studio, wanted):
    async def main():
        service = studio()
        service.lost = lambda name, number: name == "create_session"
        async with Launch(service, wanted(1)) as launch:
            await anyio.sleep(10)
            launch.stop()
        (result,) = launch.report().values()
        assert len(service.sessions()) == 1
        assert result.verdict is Verdict.CANCELLED
        assert "not known" in result.message

    run(main)


def test_a_new_session_that_is_not_shown_yet_is_deleted_all_the_same(run, studio, wanted, balanced):
    async def main():
        service = studio(create_lag=25)
        async with Launch(service, wanted(3), policy=LaunchPolicy(on_failure="delete")) as launch:
            await anyio.sleep(3)
            launch.stop()
        balanced(launch.report(), service)
        assert {changes[-1].state for changes in service.sessions().values()} == {"DELETED"}

    run(main)


# Cancelling.


@pytest.mark.parametrize("moment", MOMENTS)
def test_cancelling_leaves_nothing_behind(run, studio, wanted, moment):
    async def main():
        service = studio(seed=4, create={"failures": FAILING})
        async with Poller(service) as poller:
            launch = Launch(service, wanted(30), poller=poller, policy=LaunchPolicy(stream=True))
            with anyio.move_on_after(moment):
                async with launch:
                    await launch.finished()
            await anyio.wait_all_tasks_blocked()
            statistics = poller.statistics()
            assert (statistics.sessions, statistics.waiting) == (0, 0)
            assert not any(poller._engine.callbacks._by_change.values())
            counts = dict(service.counts)
            await anyio.sleep(1000)
            assert service.counts == counts
            assert poller.limiter.statistics().waiting == 0

    run(main)


def test_what_a_cancelled_launch_left_is_not_its_business_any_more(run, studio, wanted):
    async def main():
        service = studio()
        async with Poller(service) as poller:
            launch = Launch(service, wanted(3), poller=poller)
            with anyio.move_on_after(10):
                async with launch:
                    await launch.finished()
            before = dict(launch.report())
            await poller.wait_all(service.sessions(), until="READY", timeout=1000)
            assert dict(launch.report()) == before

    run(main)


# The deadline.


def test_what_is_late_is_late(run, studio, wanted, balanced):
    async def main():
        service = studio(create={"median_s": 150, "sigma": 0.5}, seed=3)
        began = anyio.current_time()
        policy = LaunchPolicy(timeout=150, canary=0)
        report = await greenroom.launch(service, wanted(60), policy=policy)
        assert anyio.current_time() - began <= 153
        balanced(report, service)
        assert len(report.succeeded) > 10
        assert len(report.succeeded) + len(report.timed_out) == 60
        assert list(report.by_cause) == ["TIMEOUT"]
        truth = service.sessions()
        for result in report.timed_out:
            assert result.state == "CREATE_IN_PROGRESS"
            ready = [change.at for change in truth[result.id] if change.state == "READY"]
            assert all(at > began + 150 for at in ready)

    run(main)


def test_what_was_not_begun_by_the_deadline_is_late_too(run, studio, wanted, balanced):
    async def main():
        service = studio(create={"median_s": 1000, "sigma": 0})
        policy = LaunchPolicy(timeout=100)
        report = await greenroom.launch(service, wanted(30), policy=policy)
        balanced(report, service)
        assert len(report.timed_out) == 30
        assert service.counts["create_session"] == 10
        assert all("not created" in each.message for each in report.values() if not each.attempts)

    run(main)


def test_a_deadline_of_nothing_is_a_verdict_for_all(run, studio, wanted):
    async def main():
        report = await greenroom.launch(studio(), wanted(30), policy=LaunchPolicy(timeout=0))
        assert len(report.timed_out) == 30

    run(main)


def test_a_service_that_is_down_is_a_timeout(run, studio, wanted):
    async def main():
        service = studio()
        service.fault = lambda name, number: Unavailable("down")
        began = anyio.current_time()
        report = await greenroom.launch(service, wanted(30), policy=LaunchPolicy(timeout=120))
        assert anyio.current_time() - began <= 123
        assert len(report.timed_out) == 30
        assert service.counts["create_session"] <= 200

    run(main)


def test_without_a_deadline_a_launch_takes_its_time(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 5000, "sigma": 0})
        report = await greenroom.launch(service, wanted(2), policy=LaunchPolicy(timeout=None))
        assert len(report.succeeded) == 2

    run(main)


# A journal that fails.


def failing_journal(monkeypatch, when):
    """Make appends fail for whose number `when` holds."""
    append, appends = Journal.append, Counter()

    def sometimes(self, group):
        appends["all"] += 1
        if when(appends["all"]):
            raise JournalError("the disk is full", str(self.path))
        append(self, group)

    monkeypatch.setattr(Journal, "append", sometimes)


@pytest.mark.parametrize("good", [0, 1, 2, 5, 13, 40])
def test_a_journal_that_fails_leaves_nothing_created_unrecorded(
    run, studio, wanted, balanced, tmp_path, monkeypatch, good
):
    path = tmp_path / "run.db"
    failing_journal(monkeypatch, lambda number: number > good)

    async def main():
        service = studio(seed=4, create={"failures": FAILING})
        report = await greenroom.launch(service, wanted(40), journal=path)
        balanced(report, service)
        assert report.stopped.cause == "JOURNAL"
        assert "disk is full" in report.stopped.message
        recorded = {
            each.token
            for result in greenroom.read_report(path).values()
            for each in result.attempts
        }
        assert set(service.tokens) <= recorded
        assert list(report) == [spec["key"] for spec in wanted(40)]
        for result in report.values():
            if not result.attempts:
                assert (result.verdict, result.cause) == (Verdict.CANCELLED, "JOURNAL")

    run(main)


INTENTS = {
    "create_session": events.CreateIntended,
    "create_stream": events.StreamIntended,
    "delete_session": events.DeleteIntended,
}


@pytest.mark.parametrize("good", [4, 8, 16, 1000])
def test_nothing_that_changes_something_is_asked_for_before_it_is_on_the_disk(
    run, studio, wanted, tmp_path, monkeypatch, good
):
    append, written, early = Journal.append, Counter(), []

    async def slowly(function, *args, **_):
        await anyio.sleep(1.0)
        return function(*args)

    def sometimes(self, group):
        written["appends"] += 1
        if written["appends"] > good:
            raise JournalError("the disk is full", str(self.path))
        append(self, group)
        written.update(map(type, group))

    def look(name, number):
        if name in INTENTS and written[INTENTS[name]] < number:
            early.append((name, number))

    monkeypatch.setattr(anyio.to_thread, "run_sync", slowly)
    monkeypatch.setattr(Journal, "append", sometimes)

    async def main():
        service = studio(
            seed=4,
            create={"failures": FAILING, "median_s": 60},
            failure={"median_s": 30},
            delete={"median_s": 20},
        )
        service.fault = look
        policy = LaunchPolicy(on_failure="delete", stream=True)
        await greenroom.launch(service, wanted(20), policy=policy, journal=tmp_path / "run.db")
        assert not early
        assert service.counts["create_session"]
        assert service.counts["delete_session"] or good < 1000

    run(main)


@pytest.mark.parametrize("bad", [2, 3, 9, 17])
def test_a_journal_that_recovers_is_complete(
    run, studio, wanted, balanced, tmp_path, monkeypatch, bad
):
    path = tmp_path / "run.db"
    failing_journal(monkeypatch, lambda number: bad <= number < bad + 3)

    async def main():
        service = studio(seed=4)
        report = await greenroom.launch(service, wanted(20), journal=path)
        balanced(report, service)
        assert report.stopped.cause == "JOURNAL"
        assert dict(greenroom.read_report(path)) == dict(report)

    run(main)


def test_what_was_never_asked_for_is_not_said_to_be_unknown(
    run, studio, wanted, tmp_path, monkeypatch
):
    failing_journal(monkeypatch, lambda number: True)

    async def main():
        service = studio()
        report = await greenroom.launch(service, wanted(3), journal=tmp_path / "run.db")
        assert service.counts["create_session"] == 0
        for result in report.values():
            assert "is not known" not in result.message

    run(main)


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_journal_says_in_the_end_what_the_launch_said(
    run, studio, wanted, tmp_path, count, spread
):
    async def main():
        for number in range(5):
            path = tmp_path / f"run-{number}.db"
            service = studio(seed=number, create={"median_s": 100, "sigma": spread})
            policy = LaunchPolicy(backoff=Backoff(initial=5, factor=2, ceiling=20, floor=5))
            report = await greenroom.launch(service, wanted(count), policy=policy, journal=path)
            read = greenroom.read_report(path)
            assert dict(read) == dict(report)
            assert (read.running, read.ended_at) == (False, report.ended_at)
            assert read.meters == report.meters

    run(main)


def test_an_odd_word_of_the_service_does_not_end_a_launch(run, studio, wanted, balanced, tmp_path):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            greenroom.InvalidRequest("half a \ud83d", code="ValidationException")
            if name == "create_session" and number == 2
            else None
        )
        path = tmp_path / "run.db"
        report = await greenroom.launch(service, wanted(3), journal=path)
        balanced(report, service)
        assert len(report.succeeded) == 2
        assert len(report.failed) == 1

    run(main)
