"""Acting on sessions that exist: asked for until it is answered, waited for until it is done."""

from __future__ import annotations

import itertools
import re

import anyio
import anyio.lowlevel
import pytest

import greenroom
from greenroom import (
    AccessDenied,
    ConfigurationError,
    Every,
    InvalidRequest,
    NotFound,
    Poller,
    PollerClosed,
    RateLimiter,
    Throttled,
    Unavailable,
    Verdict,
)

pytestmark = pytest.mark.usefixtures("inline_threads")

GOALS = {"start": "READY", "stop": "STOPPED", "delete": "DELETED"}
FIXED = {
    name: {"median_s": seconds, "sigma": 0}
    for name, seconds in {
        "create": 60,
        "start": 40,
        "stop": 30,
        "delete": 20,
        "failure": 50,
    }.items()
}
OK, BAD = Verdict.SUCCESS, Verdict.FAILURE


async def made(service):
    """Make a session, and return its id."""
    return await service.create_session(
        launch_profile_id="lp", client_token=f"made-{len(service.tokens)}"
    )


async def brought(service, state):
    """Make a session, and bring it into a state."""
    fail = {"failures": {"INTERNAL_ERROR": 1.0}}
    part = {"CREATE_FAILED": "create", "START_FAILED": "start", "STOP_FAILED": "stop"}
    part["DELETE_FAILED"] = "delete"
    before = service.model.settings
    if state in part:
        service.model.settings = before.merged({part[state]: fail})
    id_ = await made(service)
    steps = {
        "CREATE_IN_PROGRESS": (),
        "CREATE_FAILED": (100,),
        "READY": (100,),
        "STOP_IN_PROGRESS": (100, "stop"),
        "STOP_FAILED": (100, "stop", 100),
        "STOPPED": (100, "stop", 100),
        "START_IN_PROGRESS": (100, "stop", 100, "start"),
        "START_FAILED": (100, "stop", 100, "start", 100),
        "DELETE_IN_PROGRESS": (100, "delete"),
        "DELETE_FAILED": (100, "delete", 100),
        "DELETED": (100, "delete", 100),
    }[state]
    for step in steps:
        if isinstance(step, str):
            await getattr(service, f"{step}_session")(id_, client_token=f"{step}-{id_}")
        else:
            await anyio.sleep(step)
    service.model.settings = before
    assert service.sessions()[id_][-1].state == state
    return id_


ENDS = {
    "start": {
        "CREATE_IN_PROGRESS": OK,
        "CREATE_FAILED": None,
        "READY": OK,
        "STOP_IN_PROGRESS": OK,
        "STOP_FAILED": None,
        "STOPPED": OK,
        "START_IN_PROGRESS": OK,
        "START_FAILED": None,
        "DELETE_IN_PROGRESS": None,
        "DELETE_FAILED": None,
        "DELETED": None,
    },
    "stop": {
        "CREATE_IN_PROGRESS": OK,
        "CREATE_FAILED": None,
        "READY": OK,
        "STOP_IN_PROGRESS": OK,
        "STOP_FAILED": None,
        "STOPPED": OK,
        "START_IN_PROGRESS": OK,
        "START_FAILED": None,
        "DELETE_IN_PROGRESS": None,
        "DELETE_FAILED": None,
        "DELETED": None,
    },
    "delete": dict.fromkeys(
        [
            *("CREATE_IN_PROGRESS", "CREATE_FAILED", "READY", "STOP_IN_PROGRESS", "STOP_FAILED"),
            *("STOPPED", "START_IN_PROGRESS", "START_FAILED", "DELETE_IN_PROGRESS"),
            *("DELETE_FAILED", "DELETED"),
        ],
        OK,
    ),
}


@pytest.mark.parametrize(
    ("action", "state"), [(action, state) for action, ends in ENDS.items() for state in ends]
)
def test_an_action_from_every_state(run, studio, action, state):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, state)
        began = anyio.current_time()
        result = (await greenroom.act(service, action, [id_], timeout=1000))[id_]
        took = anyio.current_time() - began
        last = service.sessions()[id_][-1].state
        if ENDS[action][state] is OK:
            assert result.verdict is Verdict.SUCCESS, result.explanation
            assert last == GOALS[action]
            assert took < 200
        else:
            assert result.verdict in (Verdict.FAILURE, Verdict.UNREACHABLE, Verdict.MISSING)
            assert last == state
            assert took < 100, "what cannot become true is not waited for"
            assert result.explanation
        assert service.counts[f"{action}_session"] <= 10

    run(main)


@pytest.mark.parametrize(
    ("action", "verdict"),
    [("start", Verdict.MISSING), ("stop", Verdict.MISSING), ("delete", Verdict.SUCCESS)],
)
def test_a_session_that_does_not_exist(run, studio, action, verdict):
    async def main():
        service = studio()
        result = (await greenroom.act(service, action, ["nobody"], timeout=100))["nobody"]
        assert result.verdict is verdict
        assert re.match("nobody (does not|no longer) exist", result.explanation)
        assert result.elapsed < 40
        assert service.counts[f"{action}_session"] <= 10

    run(main)


def test_many_are_acted_on_in_the_order_given_and_told_as_they_come(run, studio):
    async def main():
        service = studio(delete={"median_s": 30, "sigma": 0.5})
        ids = [await made(service) for _ in range(60)]
        await anyio.sleep(1000)
        told = []
        results = await greenroom.act(
            service, "delete", [*ids, ids[0]], timeout=1000, tell=told.append
        )
        assert list(results) == ids
        assert len(results.succeeded) == 60
        assert {changes[-1].state for changes in service.sessions().values()} == {"DELETED"}
        assert sorted(result.id for result in told) == sorted(ids)
        assert service.counts["delete_session"] == 60
        assert [result.id for result in told] != ids

    run(main)


def test_actions_keep_to_their_budget_and_to_the_pollers(run, studio):
    async def main():
        service = studio()
        ids = [await made(service) for _ in range(30)]
        await anyio.sleep(1000)
        times, stop = [], service.stop_session

        async def timed(session_id, **more):
            times.append(anyio.current_time())
            await stop(session_id, **more)

        service.stop_session = timed
        async with Poller(service, limiter=RateLimiter(4, burst=2)) as poller:
            before = sum(service.counts.values())
            results = await greenroom.act(
                service, "stop", ids, timeout=1000, poller=poller, changes=poller.limiter
            )
            assert len(results.succeeded) == 30
            calls = sum(service.counts.values()) - before
            assert poller.limiter.statistics().granted == calls
            assert poller.statistics().sessions == 0
        for first, last in itertools.combinations(range(30), 2):
            assert last - first + 1 <= 4 * (times[last] - times[first]) + 2 + 1e-6

    run(main)


@pytest.mark.parametrize(
    "error",
    [
        lambda: AccessDenied("no", code="AccessDeniedException"),
        lambda: InvalidRequest("no", code="ValidationException"),
    ],
)
def test_a_refusal_is_a_result_of_its_session_alone(run, studio, error):
    async def main():
        service = studio(**FIXED)
        ids = [await made(service) for _ in range(3)]
        await anyio.sleep(100)
        service.fault = lambda name, number: (
            error() if (name, number) == ("stop_session", 2) else None
        )
        results = await greenroom.act(service, "stop", ids, timeout=500)
        assert sorted(result.verdict for result in results.values()) == [
            Verdict.ERROR,
            Verdict.SUCCESS,
            Verdict.SUCCESS,
        ]
        (refused,) = [r for r in results.values() if r.verdict is Verdict.ERROR]
        assert refused.reason == error().code
        with pytest.raises(type(error())):
            refused.raise_for_failure()
        assert service.counts["stop_session"] == 3

    run(main)


@pytest.mark.parametrize("action", ["start", "stop", "delete"])
def test_a_lost_answer_is_asked_again_and_does_nothing_twice(run, studio, action):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "STOPPED" if action == "start" else "READY")
        service.counts.clear()
        service.lost = lambda name, number: name == f"{action}_session" and number <= 2
        result = (await greenroom.act(service, action, [id_], timeout=500))[id_]
        assert result.verdict is Verdict.SUCCESS
        assert service.counts[f"{action}_session"] == 3
        states = [change.state for change in service.sessions()[id_]]
        assert states[-1] == GOALS[action]
        assert len(states) == len(set(states)) + (action == "start")

    run(main)


def test_a_throttled_action_is_made_in_the_end(run, studio):
    async def main():
        service = studio(**FIXED)
        ids = [await made(service) for _ in range(10)]
        await anyio.sleep(100)
        service.fault = lambda name, number: (
            Throttled("slow down", code="ThrottlingException", retry_after=2.0)
            if name == "delete_session" and number <= 12
            else None
        )
        results = await greenroom.act(service, "delete", ids, timeout=500)
        assert len(results.succeeded) == 10
        assert service.counts["delete_session"] == 22

    run(main)


@pytest.mark.parametrize(
    "fault", [lambda: Unavailable("down"), lambda: Throttled("slow"), lambda: KeyError("oops")]
)
def test_an_outage_ends_with_the_deadline(run, studio, fault):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "READY")
        service.fault = lambda name, number: fault() if name == "stop_session" else None
        began = anyio.current_time()
        result = (await greenroom.act(service, "stop", [id_], timeout=60))[id_]
        assert anyio.current_time() - began <= 63
        assert result.verdict is Verdict.TIMEOUT
        assert result.state == "READY"
        assert service.sessions()[id_][-1].state == "READY"

    run(main)


def test_what_takes_too_long_is_late(run, studio):
    async def main():
        service = studio(**FIXED | {"delete": {"median_s": 5000, "sigma": 0}})
        ids = [await brought(service, "READY"), await brought(service, "CREATE_IN_PROGRESS")]
        began = anyio.current_time()
        results = await greenroom.act(service, "delete", ids, timeout=50)
        assert anyio.current_time() - began <= 53
        assert len(results.timed_out) == 2

    run(main)


def test_a_deletion_that_fails_is_a_failure(run, studio):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "READY")
        service.model.settings = service.model.settings.merged(
            {"delete": {"failures": {"INTERNAL_ERROR": 1.0}}}
        )
        result = (await greenroom.act(service, "delete", [id_], timeout=500))[id_]
        assert (result.verdict, result.state, result.reason) == (
            Verdict.FAILURE,
            "DELETE_FAILED",
            "INTERNAL_ERROR",
        )

    run(main)


def test_a_session_that_reads_do_not_show_yet_is_not_said_to_be_gone(run, studio):
    async def main():
        service = studio(**FIXED, create_lag=25)
        id_ = await made(service)
        result = (await greenroom.act(service, "delete", [id_], timeout=500))[id_]
        assert result.verdict is Verdict.SUCCESS
        assert service.sessions()[id_][-1].state == "DELETED"

    run(main)


@pytest.mark.parametrize("action", ["start", "stop", "delete"])
def test_old_news_is_not_believed(run, studio, action):
    async def main():
        service = studio(**FIXED, read_lag=15)
        id_ = await brought(service, "STOPPED" if action == "start" else "READY")
        result = (await greenroom.act(service, action, [id_], timeout=500))[id_]
        assert result.verdict is Verdict.SUCCESS, result.explanation
        assert service.sessions()[id_][-1].state == GOALS[action]

    run(main)


@pytest.mark.parametrize("state", ["CREATE_FAILED", "DELETED"])
def test_old_news_is_not_waited_out_beyond_the_deadline(run, studio, state):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, state)

        async def accepted(session_id, *, client_token):
            await anyio.lowlevel.checkpoint()

        service.stop_session = accepted
        began, before = anyio.current_time(), service.counts.total()
        results = await greenroom.act(service, "stop", [id_], timeout=2)
        assert results[id_].verdict is Verdict.TIMEOUT
        assert "may be old news" in results[id_].explanation
        assert anyio.current_time() - began < 3
        assert service.counts.total() - before < 10

    run(main)


def test_cancelling_leaves_nothing_behind(run, studio):
    async def main():
        service = studio(**FIXED)
        ids = [await made(service) for _ in range(20)]
        async with Poller(service) as poller:
            with anyio.move_on_after(30):
                await greenroom.act(service, "delete", ids, timeout=None, poller=poller)
            await anyio.wait_all_tasks_blocked()
            assert (poller.statistics().sessions, poller.statistics().waiting) == (0, 0)
            counts = dict(service.counts)
            await anyio.sleep(500)
            assert service.counts == counts

    run(main)


@pytest.mark.parametrize(
    ("action", "ids", "more"),
    [
        ("reboot", ["a"], {}),
        ("", ["a"], {}),
        ("START", ["a"], {}),
        (None, ["a"], {}),
        ("start", [], {}),
        ("start", "a", {}),
        ("start", [""], {}),
        ("start", [None], {}),
        ("start", None, {}),
        ("start", ["a"], {"timeout": -1}),
        ("start", ["a"], {"timeout": float("inf")}),
        ("start", ["a"], {"timeout": "1h"}),
        ("start", ["a"], {"in_flight": 0}),
    ],
)
def test_what_cannot_be_right_is_told_before_any_call(run, studio, action, ids, more):
    async def main():
        service = studio()
        with pytest.raises(ConfigurationError):
            await greenroom.act(service, action, ids, **{"timeout": 10} | more)
        assert not service.counts

    run(main)


def test_a_poller_that_is_not_open_is_told_before_any_call(run, studio):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "READY")
        before = dict(service.counts)
        with pytest.raises(PollerClosed):
            await greenroom.act(service, "stop", [id_], timeout=10, poller=Poller(service))
        assert service.counts == before

    run(main)


def test_a_studio_that_is_set_up_wrongly_is_told_as_it_is(run, studio):
    async def main():
        service = studio()

        async def closed(*_, **__):
            raise ConfigurationError("the connection is closed")

        service.stop_session = closed
        with pytest.raises(ConfigurationError, match="the connection is closed"):
            await greenroom.act(service, "stop", ["a"], timeout=10)

    run(main)


@pytest.mark.parametrize("read", [2, 3, 20])
def test_one_read_that_does_not_find_it_does_not_make_up_for_a_delete(run, studio, read):
    """The delete was never accepted, and the session was seen to stand since."""

    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "READY")
        first = {"delete_session": 1, "get_session": read}
        service.fault = lambda name, number: (
            NotFound("no such session", code="ResourceNotFoundException")
            if first.get(name) == number
            else None
        )
        async with Poller(service, schedule=Every(1)) as poller:
            results = await greenroom.act(service, "delete", [id_], timeout=1000, poller=poller)
        assert results[id_].verdict is Verdict.SUCCESS
        assert service.sessions()[id_][-1].state == "DELETED"

    run(main)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_session_that_the_action_does_not_find_yet_is_acted_on_in_the_end(run, studio, action):
    async def main():
        service = studio(**FIXED)
        id_ = await brought(service, "STOPPED" if action == "start" else "READY")
        service.fault = lambda name, number: (
            NotFound("no such session", code="ResourceNotFoundException")
            if name in (f"{action}_session", "get_session") and number < 3
            else None
        )
        result = (await greenroom.act(service, action, [id_], timeout=1000))[id_]
        assert result.verdict is Verdict.SUCCESS, result.explanation
        assert service.sessions()[id_][-1].state == GOALS[action]

    run(main)


def test_a_session_that_nothing_shows_yet_is_deleted_in_the_end(run, studio):
    """The delete itself says for a while that there is no such session."""

    async def main():
        service = studio(**FIXED, create_lag=25)
        id_ = await made(service)
        service.fault = lambda name, number: (
            NotFound("no such session", code="ResourceNotFoundException")
            if name == "delete_session" and number < 3
            else None
        )
        result = (await greenroom.act(service, "delete", [id_], timeout=1000))[id_]
        assert result.verdict is Verdict.SUCCESS
        assert service.sessions()[id_][-1].state == "DELETED"

    run(main)


@pytest.mark.parametrize("action", ["start", "stop", "delete"])
@pytest.mark.parametrize("late", [0.2, 1.0, 3.0])
def test_an_action_right_after_an_arrival_is_not_judged_by_old_news(run, studio, action, late):
    async def main():
        service = studio(**FIXED, read_lag=5)
        id_ = await made(service)
        if action == "start":
            id_ = await brought(service, "STOPPED")
        else:
            ready = service.model._sessions[id_].timeline.next(anyio.current_time()).at
            await anyio.sleep(ready - anyio.current_time() + late)
        result = (await greenroom.act(service, action, [id_], timeout=1000))[id_]
        assert result.verdict is Verdict.SUCCESS, result.explanation
        assert service.sessions()[id_][-1].state == GOALS[action]

    run(main)
