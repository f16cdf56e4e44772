"""A launch in virtual time: all of them, at their pace, each with one line."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

import greenroom
from greenroom import (
    Action,
    ConfigurationError,
    InvalidRequest,
    JournalError,
    Launch,
    LaunchPolicy,
    Poller,
    PollerClosed,
    RateLimiter,
    Remedy,
    Spec,
    SpecError,
    Verdict,
)
from greenroom._launch import _events as events

pytestmark = pytest.mark.usefixtures("inline_threads")

FOUR_CAUSES = {
    "INSUFFICIENT_CAPACITY": 0.02,
    "INTERNAL_ERROR": 0.02,
    "NETWORK_CONNECTION_ERROR": 0.01,
    "INITIALIZATION_SCRIPT_ERROR": 0.01,
}


def paced(service, began):
    """Return when the last create was made, and how long the slowest session took."""
    truth = service.sessions().values()
    last = max(changes[0].at for changes in truth) - began
    slowest = max(changes[1].at - changes[0].at for changes in truth if len(changes) > 1)
    return last, slowest


@pytest.mark.parametrize("journaled", [False, True])
def test_three_hundred_of_which_some_fail(run, studio, wanted, balanced, tmp_path, journaled):
    async def main():
        service = studio(seed=7, create={"failures": FOUR_CAUSES})
        types = ["g4dn.xlarge", "g5.xlarge"]
        journal = tmp_path / "run.db" if journaled else None
        began = anyio.current_time()
        report = await greenroom.launch(service, wanted(300, instance_types=types), journal=journal)
        elapsed = anyio.current_time() - began
        last, slowest = paced(service, began)
        assert elapsed <= 1.05 * (last + slowest) + 5
        assert list(report) == [f"ws-{n}" for n in range(300)]
        balanced(report, service)
        retries = sum(len(result.attempts) - 1 for result in report.values())
        assert retries > 3
        assert len(service.sessions()) == 300 + retries
        seen = {each.cause for result in report.values() for each in result.attempts}
        assert seen == {*FOUR_CAUSES, None}
        assert set(report.by_cause) == {"INITIALIZATION_SCRIPT_ERROR"}
        assert len(report.succeeded) + len(report.failed) == 300
        assert report.calls == sum(service.counts.values())
        assert report.elapsed == pytest.approx(elapsed, abs=1)
        assert not report.running
        assert report.stopped is None
        if journaled:
            assert dict(greenroom.read_report(journal)) == dict(report)

    run(main)


def test_creates_keep_to_five_a_second(run, studio, wanted):
    async def main():
        service = studio()
        await greenroom.launch(service, wanted(60), policy=LaunchPolicy(canary=0))
        times = sorted(changes[0].at for changes in service.sessions().values())
        for first in range(60):
            for last in range(first, 60):
                assert last - first + 1 <= 5 * (times[last] - times[first]) + 5 + 1e-6
        assert times[-1] - times[0] == pytest.approx(11, abs=0.5)

    run(main)


def test_no_more_creates_are_in_flight_than_allowed(run, studio, wanted):
    async def main():
        service, under_way, most = studio(), Counter(), Counter()
        create = service.create_session

        async def counted(**asked):
            under_way["now"] += 1
            most["now"] = max(most["now"], under_way["now"])
            try:
                return await create(**asked)
            finally:
                under_way["now"] -= 1

        service.create_session = counted
        service.late = lambda name, number: 20 if name == "create_session" else 0
        policy = LaunchPolicy(canary=0, in_flight=3)
        report = await greenroom.launch(service, wanted(12), policy=policy)
        assert len(report.succeeded) == 12
        assert most["now"] == 3

    run(main)


def test_what_was_wanted_is_what_is_asked_for(run, studio):
    async def main():
        service, asked = studio(), []
        create = service.create_session

        async def remembered(**members):
            asked.append(members)
            return await create(**members)

        service.create_session = remembered
        full = Spec(
            key="a",
            launch_profile_id="lp",
            streaming_image_id="im",
            instance_types=("g5.xlarge", "g5.2xlarge"),
            owner="ada",
            tags={"project": "orchid"},
        )
        await greenroom.launch(service, [full, {"key": "b", "launch_profile_id": "lp"}])
        tokens = [each.pop("client_token") for each in asked]
        assert asked == [
            {
                "launch_profile_id": "lp",
                "streaming_image_id": "im",
                "instance_type": "g5.xlarge",
                "owner": "ada",
                "tags": {"project": "orchid"},
            },
            {
                "launch_profile_id": "lp",
                "streaming_image_id": None,
                "instance_type": None,
                "owner": None,
                "tags": None,
            },
        ]
        assert len(set(tokens)) == 2
        assert all(1 <= len(token) <= 64 for token in tokens)

    run(main)


def test_two_launches_of_the_same_specs_share_no_token(run, studio, wanted):
    async def main():
        service = studio()
        for _ in range(2):
            await greenroom.launch(service, wanted(5))
        assert len(set(service.tokens)) == 10
        assert len(service.sessions()) == 10

    run(main)


def test_it_tells_everything_in_order_and_then_ends(run, studio, wanted):
    async def main():
        told, heard = [], []
        launch = Launch(studio(), wanted(3))
        launch.listen(heard.append)
        async with launch:
            async for event in launch:
                told.append(event)  # noqa: PERF401  # in the order of telling
        assert told == heard
        assert told[0] == events.LaunchBegan(at=told[0].at, resumed=False)
        assert told[-1] == events.LaunchEnded(at=told[-1].at, interrupted=False)
        for key in ("ws-0", "ws-1", "ws-2"):
            mine = [event for event in told if getattr(event, "key", None) == key]
            kinds = [type(event).__name__ for event in mine]
            assert kinds == ["CreateIntended", "Created", "Changed", "Changed", "Settled"]
            assert [e.after for e in mine if isinstance(e, events.Changed)] == [
                "CREATE_IN_PROGRESS",
                "READY",
            ]
        replayed = launch.account.__class__(
            "x", [line.spec for line in launch.account.lines.values()]
        )
        for event in told:
            replayed.take(event)
        assert dict(replayed.report()) == dict(launch.report())

    run(main)


def test_the_account_can_be_read_at_any_moment(run, studio, wanted):
    async def main():
        async with Launch(studio(), wanted(5)) as launch:
            await anyio.sleep(5)
            report = launch.report()
            assert {result.verdict for result in report.values()} == {Verdict.PENDING}
            assert report.running
            report = await launch.finished()
            assert len(report.succeeded) == 5
            assert not report.running
        assert dict(launch.report()) == dict(report)

    run(main)


def test_a_body_may_leave_before_the_end_and_waits_for_it(run, studio, wanted):
    async def main():
        async with Launch(studio(), wanted(5)) as launch:
            pass
        assert len(launch.report().succeeded) == 5

    run(main)


def test_what_the_body_raises_comes_out_as_it_is(run, studio, wanted):
    async def main():
        service = studio()

        async def body():
            async with Launch(service, wanted(5)):
                await anyio.sleep(5)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await body()
        counts = dict(service.counts)
        await anyio.sleep(500)
        assert service.counts == counts
        assert len(service.sessions()) == 5

    run(main)


# The canary.


def test_a_canary_is_waited_for_and_said(run, studio, wanted):
    async def main():
        service, told = studio(create={"median_s": 100, "sigma": 0}), []
        launch = Launch(service, wanted(20), policy=LaunchPolicy(canary=3))
        launch.listen(told.append)
        async with launch:
            await anyio.sleep(90)
            assert service.counts["create_session"] == 3
            assert launch.account.held.cause == "CANARY"
            await anyio.sleep(20)
            assert launch.account.held is None
            await anyio.sleep(10)
            assert service.counts["create_session"] == 20
        said = [e for e in told if isinstance(e, events.CreatesHeld | events.CreatesReleased)]
        assert [type(event) for event in said] == [events.CreatesHeld, events.CreatesReleased]
        assert len(launch.report().succeeded) == 20

    run(main)


def test_ten_go_ahead_where_no_canary_is_asked_for(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 100, "sigma": 0})
        async with Launch(service, wanted(30)) as launch:
            await anyio.sleep(95)
            assert service.counts["create_session"] == 10
            await anyio.sleep(30)
            assert service.counts["create_session"] == 30
        assert len(launch.report().succeeded) == 30

    run(main)


def test_a_canary_as_large_as_the_launch_holds_nobody(run, studio, wanted):
    async def main():
        for canary in (4, 5, 0):
            service = studio()
            async with Launch(service, wanted(4), policy=LaunchPolicy(canary=canary)) as launch:
                await anyio.sleep(2)
                assert service.counts["create_session"] == 4
                assert launch.account.held is None

    run(main)


# Sharing.


def test_two_launches_share_a_poller_and_its_budget(run, studio, wanted, balanced):
    async def main():
        service, reports = studio(create={"failures": {"INTERNAL_ERROR": 0.2}}), []
        limiter = RateLimiter(10, burst=20)
        async with Poller(service, limiter=limiter) as poller, anyio.create_task_group() as tasks:

            async def one():
                reports.append(
                    await greenroom.launch(
                        service, wanted(40), poller=poller, creates=poller.limiter
                    )
                )

            tasks.start_soon(one)
            await anyio.sleep(1)
            tasks.start_soon(one)
        assert limiter.statistics().granted == sum(service.counts.values())
        ids = [
            each.id for report in reports for result in report.values() for each in result.attempts
        ]
        assert sorted(ids) == sorted(service.sessions())
        for report in reports:
            assert len(report.succeeded) + len(report.by_cause.get("INTERNAL_ERROR", ())) == 40
            for result in report.values():
                assert all(
                    {change.id for change in each.changes} == {each.id} for each in result.attempts
                )

    run(main)


def test_a_launch_leaves_a_poller_as_it_found_it(run, studio, wanted):
    async def main():
        service = studio()
        async with Poller(service) as poller:
            await greenroom.launch(service, wanted(5), poller=poller)
            assert poller.statistics().sessions == 0
            assert poller._engine.callbacks._by_change == {"*": []}
            result = await poller.wait(next(iter(service.sessions())), until="READY", timeout=5)
            assert result.verdict is Verdict.SUCCESS

    run(main)


# What cannot be right.


@pytest.mark.parametrize(
    "odd",
    [
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "1h"},
        {"timeout": True},
        {"canary": -1},
        {"canary": 1.5},
        {"canary": True},
        {"canary": False},
        {"canary": "3"},
        {"breaker": 0},
        {"breaker": None},
        {"in_flight": 0},
        {"in_flight": 2.0},
        {"on_failure": "ignore"},
        {"on_failure": None},
        {"on_failure": []},
        {"stream_expires_in": 0},
        {"stream_expires_in": float("nan")},
        {"stream_expires_in": "300"},
        {"stream_expires_in": 60.5},
        {"delete_timeout": -1},
        {"delete_timeout": float("inf")},
        {"delete_timeout": None},
        {"backoff": 5},
        {"backoff": None},
        {"remedies": {"INTERNAL_ERROR": "again"}},
        {"remedies": ["INTERNAL_ERROR"]},
        {"remedies": None},
    ],
)
def test_a_policy_that_cannot_be_right_is_told(odd):
    with pytest.raises(ConfigurationError):
        LaunchPolicy(**odd)


@pytest.mark.parametrize(
    "odd",
    [
        {"stream_expires_in": 59},
        {"stream_expires_in": 3601},
        {"until": "STOPPED"},
        {"until": "ready"},
    ],
)
def test_a_policy_that_does_not_fit_the_kind_is_told(studio, wanted, odd):
    with pytest.raises(ConfigurationError):
        Launch(studio(), wanted(1), policy=LaunchPolicy(**odd))


def test_the_edges_of_a_policy_are_inside(run, studio, wanted):
    async def main():
        policy = LaunchPolicy(
            timeout=None,
            canary=1,
            breaker=1,
            in_flight=1,
            stream=True,
            stream_expires_in=60,
            delete_timeout=0,
            remedies={"NOVEL": Remedy(Action.NEVER, "x")},
        )
        report = await greenroom.launch(studio(), wanted(3), policy=policy)
        assert len(report.succeeded) == 3

    run(main)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ConfigurationError),
        ({"specs": None}, ConfigurationError),
        ({"specs": []}, SpecError),
        ({"specs": ()}, SpecError),
        ({"specs": "ws-1"}, SpecError),
        ({"specs": {"key": "a"}}, SpecError),
        ({"specs": [{"key": "a"}]}, SpecError),
        ({"specs": [None]}, SpecError),
        ({"specs": [], "resume": True, "journal": "run.db"}, SpecError),
        ({"resume": True}, ConfigurationError),
        ({"specs": [{"key": "a", "launch_profile_id": "b"}], "resume": True}, ConfigurationError),
    ],
)
def test_a_launch_that_cannot_be_right_is_told_before_any_call(studio, arguments, error):
    service = studio()
    with pytest.raises(error):
        Launch(service, **arguments)
    assert not service.counts


def test_a_journal_that_cannot_be_used_is_told_on_entering(run, studio, wanted, tmp_path):
    (tmp_path / "file").write_text("mine")

    async def main():
        service = studio()
        for journal, resume in (
            (tmp_path / "file", False),
            (tmp_path / "file", True),
            (tmp_path / "file" / "run.db", False),
            (tmp_path / "file" / "run.db", True),
            (tmp_path / "nowhere" / "run.db", True),
            (tmp_path, True),
        ):
            with pytest.raises(JournalError):
                await greenroom.launch(service, wanted(3), journal=journal, resume=resume)
        with pytest.raises(JournalError, match="does not exist"):
            await greenroom.launch(service, None, journal=tmp_path / "none.db", resume=True)
        assert not service.counts
        assert [each.name for each in tmp_path.iterdir()] == ["file"]

    run(main)


def test_a_launch_is_entered_once(run, studio, wanted):
    async def main():
        async with Launch(studio(), wanted(1)) as launch:
            with pytest.raises(ConfigurationError, match="entered before"):
                await launch.__aenter__()

    run(main)


@pytest.mark.parametrize("when", ["never entered", "left"])
def test_a_poller_that_is_not_open_is_told_before_any_create(run, studio, wanted, when):
    async def main():
        service = studio()
        poller = Poller(service)
        if when == "left":
            async with poller:
                pass
        with pytest.raises(PollerClosed):
            await greenroom.launch(service, wanted(3), poller=poller)
        assert service.counts["create_session"] == 0

    run(main)


def test_a_poller_that_is_left_meanwhile_leaves_no_line_open(run, studio, wanted, balanced):
    async def main():
        service = studio()
        async with anyio.create_task_group() as tasks, Poller(service) as poller:
            launch = Launch(service, wanted(3), poller=poller)
            done = anyio.Event()

            async def one():
                async with launch:
                    pass
                done.set()

            tasks.start_soon(one)
            await anyio.sleep(30)
        assert done.is_set()
        report = launch.report()
        assert {result.verdict for result in report.values()} == {Verdict.CANCELLED}
        balanced(report, service)

    run(main)


def test_a_studio_that_is_set_up_wrongly_is_told_as_it_is(run, studio, wanted):
    async def main():
        service = studio()

        async def closed(**_):
            raise ConfigurationError("the connection is closed")

        service.create_session = closed
        with pytest.raises(ConfigurationError, match="the connection is closed"):
            await greenroom.launch(service, wanted(3))

    run(main)


def test_a_studio_that_raises_anything_is_asked_again(run, studio, wanted, balanced):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            KeyError("oops") if name == "create_session" and number % 2 else None
        )
        report = await greenroom.launch(service, wanted(5))
        assert len(report.succeeded) == 5
        balanced(report, service)

    run(main)


def test_a_session_that_may_not_be_read_is_an_error_and_not_lost(run, studio, wanted):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            InvalidRequest("no", code="ValidationException") if name != "create_session" else None
        )
        report = await greenroom.launch(service, wanted(2))
        assert {result.verdict for result in report.values()} == {Verdict.ERROR}
        assert {result.cause for result in report.values()} == {"ValidationException"}
        assert {result.id for result in report.values()} == set(service.sessions())

    run(main)
