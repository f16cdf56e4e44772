import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.simulator import Fault, Settings, Simulator, serve
from greenroom.simulator._facts import ERRORS
from greenroom.simulator._faults import FaultPlan
from greenroom.simulator._settings import DISGUISES

SESSIONS = "/2020-08-01/studios/any/streaming-sessions"
CREATE = {"launchProfileId": "lp"}

Open = Callable[..., Any]


def once(kind: str, **more: Any) -> dict[str, Any]:
    return {"faults": [{"kind": kind, "times": 1, **more}]}


async def has_struck(simulator: Simulator) -> None:
    while not simulator.statistics().faults:  # noqa: ASYNC110 - what hangs gives no event
        await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "status"), ERRORS.items())
async def test_each_error_of_the_service_can_be_asked_for(
    open_desk: Open, kind: str, status: int
) -> None:
    async with open_desk(once(kind, retry_after=3)) as desk:
        answered, body, headers = await desk.call("POST", SESSIONS, CREATE)

        assert answered == status
        assert headers["x-amzn-ErrorType"] == kind
        assert headers["Retry-After"] == "3"
        assert body["message"]
        assert desk.simulator.truth() == {}
        assert desk.simulator.statistics().faults == {kind: 1}
        throttled = desk.simulator.statistics().throttled.get("CreateStreamingSession", 0)
        assert throttled == (kind == "ThrottlingException")
        await desk.create()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "status", "content_type", "carried_out"),
    [
        ("blank", 200, "application/json", False),
        ("mislabelled", 200, "text/html", True),
        ("html", 503, "text/html", False),
        ("wrong_type", 200, "text/html", False),
        ("no_error_header", 500, "application/json", False),
        ("truncated", 200, "application/json", True),
        ("empty", 200, "application/json", True),
    ],
)
async def test_an_answer_can_be_in_disguise(
    open_desk: Open, kind: str, status: int, content_type: str, carried_out: bool
) -> None:
    async with open_desk(once(kind)) as desk:
        async with desk.http.post(SESSIONS, json=CREATE) as response:
            body = await response.read()

            assert response.status == status
            assert response.content_type == content_type
            assert "x-amzn-ErrorType" not in response.headers
            assert response.content_length == len(body)
        assert len(desk.simulator.truth()) == carried_out
        if kind == "truncated":
            assert body.startswith(b'{"session": {')
            assert not body.endswith(b"}")
        if kind == "empty":
            assert body == b""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "carried_out"), [("drop", True), ("outage", False), ("cut", True)]
)
async def test_a_connection_can_close_too_early(
    open_desk: Open, kind: str, carried_out: bool
) -> None:
    async with open_desk(once(kind)) as desk:
        with pytest.raises(aiohttp.ClientError):
            await desk.call("POST", SESSIONS, CREATE)

        assert len(desk.simulator.truth()) == carried_out


@pytest.mark.asyncio
async def test_a_lost_answer_and_a_client_token_make_one_session(open_desk: Open) -> None:
    async with open_desk(once("drop")) as desk:
        headers = {"X-Amz-Client-Token": "t"}
        with pytest.raises(aiohttp.ClientError):
            await desk.call("POST", SESSIONS, CREATE, headers=headers)
        await desk.ask("POST", SESSIONS, CREATE, headers=headers)

        assert len(desk.simulator.truth()) == 1


@pytest.mark.asyncio
async def test_a_cut_answer_has_begun(open_desk: Open) -> None:
    async with open_desk(once("cut")) as desk, desk.http.get(SESSIONS) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.asyncio
async def test_a_request_that_hangs_is_never_answered(open_desk: Open) -> None:
    async with open_desk(once("hang")) as desk:
        hanging = asyncio.ensure_future(desk.call("GET", SESSIONS))
        await has_struck(desk.simulator)
        await desk.call("GET", SESSIONS)

        assert not hanging.done()
        hanging.cancel()


@pytest.mark.asyncio
async def test_closing_the_simulator_lets_go_of_what_hangs() -> None:
    settings = Settings(faults=(Fault(kind="hang"),))
    async with aiohttp.ClientSession() as http:
        async with serve(settings) as simulator:
            hanging = asyncio.ensure_future(http.get(simulator.url + SESSIONS))
            await has_struck(simulator)
        with pytest.raises(aiohttp.ClientError):
            await hanging


@pytest.mark.asyncio
async def test_a_slow_answer_is_late_by_simulated_seconds(open_desk: Open) -> None:
    async with open_desk(once("slow", delay_s=90), speed=60) as desk:
        await desk.ask("GET", SESSIONS)
        await desk.ask("GET", SESSIONS)

        assert desk.slept == [1.5]


@pytest.mark.asyncio
async def test_a_late_answer_is_about_what_was_done_in_time() -> None:
    async with AsyncExitStack() as stack:
        waiting, go_on = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await go_on.wait()

        settings = Settings(faults=(Fault(kind="late", delay_s=90),))
        simulator = await stack.enter_async_context(serve(settings, sleep=sleep))
        http = await stack.enter_async_context(aiohttp.ClientSession(simulator.url))
        asked = asyncio.ensure_future(http.post(SESSIONS, json=CREATE))
        await waiting.wait()

        assert len(simulator.truth()) == 1
        assert not asked.done()
        go_on.set()
        assert (await asked).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "status"), [("html", 404), ("no_error_header", 408)])
async def test_an_error_in_disguise_can_have_any_status(
    open_desk: Open, kind: str, status: int
) -> None:
    async with (
        open_desk(once(kind, status=status)) as desk,
        desk.http.post(SESSIONS, json=CREATE) as response,
    ):
        assert response.status == status
        assert "x-amzn-ErrorType" not in response.headers


@pytest.mark.asyncio
async def test_a_signature_can_be_refused_for_its_date(open_desk: Open) -> None:
    async with open_desk(once("skewed")) as desk:
        status, body, headers = await desk.call("POST", SESSIONS, CREATE)

        assert status == 403
        assert headers["x-amzn-ErrorType"] == "InvalidSignatureException"
        assert body["message"].startswith("Signature expired")
        assert desk.simulator.truth() == {}


@pytest.mark.asyncio
async def test_a_request_that_is_carried_out_counts_for_the_throttle(open_desk: Open) -> None:
    settings = {
        "throttle": {"*": {"rate": 1, "burst": 1}},
        "faults": [{"kind": "slow", "delay_s": 1}],
    }
    async with open_desk(settings) as desk:
        assert [(await desk.call("GET", SESSIONS))[0] for _ in range(2)] == [200, 429]


@pytest.mark.asyncio
async def test_an_outage_lasts_for_its_window(open_desk: Open) -> None:
    window = {"kind": "outage", "from_s": 10, "until_s": 20}
    async with open_desk({"faults": [window]}) as desk:
        assert (await desk.call("GET", SESSIONS))[0] == 200
        desk.advance(10)
        with pytest.raises(aiohttp.ClientError):
            await desk.call("GET", SESSIONS)
        assert (await desk.call("GET", "/_greenroom/health"))[0] == 200
        desk.advance(10)
        assert (await desk.call("GET", SESSIONS))[0] == 200


@pytest.mark.asyncio
async def test_changing_other_settings_does_not_count_the_strikes_anew(open_desk: Open) -> None:
    async with open_desk(once("html")) as desk:
        await desk.http.get(SESSIONS)
        desk.simulator.configure({"page_size": 5})
        assert (await desk.call("GET", SESSIONS))[0] == 200
        desk.simulator.configure(once("ConflictException"))
        assert (await desk.call("GET", SESSIONS))[0] == 409


def test_every_disguise_is_covered_here() -> None:
    assert set(DISGUISES) == {
        *("html", "wrong_type", "no_error_header", "skewed", "truncated", "empty", "blank"),
        *("mislabelled", "drop", "outage", "cut", "hang", "slow", "late"),
    }


def test_a_rule_strikes_its_own_operation_and_the_first_rule_wins() -> None:
    plan = FaultPlan(
        (
            Fault(kind="drop", operation="GetStudio"),
            Fault(kind="html", times=1),
            Fault(kind="cut"),
        ),
        seed=0,
    )

    struck = [plan.strike(each, 0.0) for each in ("GetStudio", "GetStreamingImage", "GetStudio")]
    last = plan.strike("GetStreamingImage", 0.0)

    assert [fault and fault.kind for fault in (*struck, last)] == ["drop", "html", "drop", "cut"]


@given(probability=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_rule_strikes_about_as_often_as_it_should(probability: float, seed: int) -> None:
    plan = FaultPlan((Fault(kind="html", probability=probability),), seed)

    strikes = sum(plan.strike("GetStudio", 0.0) is not None for _ in range(2000))

    assert abs(strikes / 2000 - probability) < 0.06
