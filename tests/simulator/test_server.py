import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from greenroom.simulator import Clock, Settings, serve

T0 = 1_700_000_000.0

STUDIO = "/2020-08-01/studios/any"
SESSIONS = f"{STUDIO}/streaming-sessions"

Open = Callable[..., Any]

pytestmark = pytest.mark.asyncio


async def test_a_session_is_created_stopped_started_and_deleted(open_desk: Open) -> None:
    async with open_desk() as desk:
        created = await desk.ask(
            "POST",
            SESSIONS,
            {
                "launchProfileId": "lp",
                "streamingImageId": "si",
                "ec2InstanceType": "g5.xlarge",
                "ownedBy": "kim",
                "tags": {"show": "x"},
            },
        )
        session = created["session"]
        path = f"{SESSIONS}/{session['sessionId']}"
        assert session["state"] == "CREATE_IN_PROGRESS"
        assert session["createdAt"] == "2023-11-14T22:13:20.000Z"
        assert session["tags"] == {"show": "x"}

        desk.advance(3600)
        got = (await desk.ask("GET", path))["session"]
        assert got["state"] == "READY"
        true = desk.simulator.truth()[session["sessionId"]][-1].at
        assert abs(datetime.fromisoformat(got["updatedAt"]).timestamp() - true) <= 0.001

        body = {"volumeRetentionMode": "DELETE"}
        stopped = await desk.ask("POST", f"{path}/stop", body)
        assert stopped["session"]["state"] == "STOP_IN_PROGRESS"
        desk.advance(600)
        started = await desk.ask("POST", f"{path}/start", {"backupId": "b-1"})
        assert started["session"]["startedFromBackupId"] == "b-1"
        desk.advance(600)
        deleted = await desk.ask("DELETE", path)
        assert deleted["session"]["state"] == "DELETE_IN_PROGRESS"


async def test_a_stream_is_created_and_becomes_ready(open_desk: Open) -> None:
    async with open_desk() as desk:
        streams = f"{SESSIONS}/{await desk.create_ready()}/streams"

        created = (await desk.ask("POST", streams, {"expirationInSeconds": 120}))["stream"]
        desk.advance(60)
        ready = (await desk.ask("GET", f"{streams}/{created['streamId']}"))["stream"]

        assert (created["state"], "url" in created) == ("CREATE_IN_PROGRESS", False)
        assert ready["state"] == "READY"
        assert ready["url"].startswith("https://")
        assert ready["expiresAt"].endswith("Z")


async def test_a_list_is_chained_by_its_token(open_desk: Open) -> None:
    async with open_desk({"page_size": 2}) as desk:
        ids = [await desk.create() for _ in range(5)]
        listed: list[str] = []
        query = {"sessionIds": ",".join(ids), "ownedBy": "simulated-user"}
        while True:
            page = await desk.ask("GET", SESSIONS, params=query)
            listed += [session["sessionId"] for session in page["sessions"]]
            if "nextToken" not in page:
                break
            query["nextToken"] = page["nextToken"]

        assert listed == ids


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (STUDIO, "studio"),
        (f"{STUDIO}/launch-profiles/lp", "launchProfile"),
        (f"{STUDIO}/streaming-images/si", "streamingImage"),
        (f"{STUDIO}/studio-components/sc", "studioComponent"),
    ],
)
async def test_what_stands_still_is_ready(open_desk: Open, path: str, member: str) -> None:
    async with open_desk() as desk:
        assert (await desk.ask("GET", path))[member]["state"] == "READY"


async def test_a_refusal_names_the_error_in_the_header_and_explains_in_the_body(
    open_desk: Open,
) -> None:
    async with open_desk() as desk:
        status, body, headers = await desk.call("GET", f"{SESSIONS}/none")

        assert status == 404
        assert headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
        assert body == {
            "message": "there is no session none",
            "code": "RESOURCE_NOT_FOUND",
            "context": {},
        }


async def test_a_client_token_makes_a_create_safe_to_repeat(open_desk: Open) -> None:
    async with open_desk() as desk:
        headers = {"X-Amz-Client-Token": "t"}
        body = {"launchProfileId": "lp"}
        first = await desk.ask("POST", SESSIONS, body, headers=headers)
        assert await desk.ask("POST", SESSIONS, body, headers=headers) == first

        status, answer, _ = await desk.call(
            "POST", SESSIONS, {"launchProfileId": "lp-2"}, headers=headers
        )

        assert (status, answer["code"]) == (409, "CONFLICT")


async def test_other_studios_are_not_found_once_one_is_named(open_desk: Open) -> None:
    async with open_desk({"studios": {"s-1": "READY"}}) as desk:
        assert desk.simulator.studio_id == "s-1"
        assert (await desk.call("GET", SESSIONS))[0] == 404
        assert (await desk.call("GET", "/2020-08-01/studios/s-1/streaming-sessions"))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"launchProfileId": ""}',
        b'{"launchProfileId": 5}',
        b'{"launchProfileId": "lp", "tags": {"a": 1}}',
        b'{"launchProfileId": "lp", "tags": []}',
        b'{"launchProfileId": "lp", "ec2InstanceType": "t2.nano"}',
    ],
)
async def test_a_bad_body_is_a_validation_error(open_desk: Open, body: bytes) -> None:
    async with open_desk() as desk, desk.http.post(SESSIONS, data=body) as response:
        assert response.status == 400
        assert response.headers["x-amzn-ErrorType"] == "ValidationException"
        assert (await response.json())["message"]


async def test_the_expiration_of_a_stream_must_be_a_whole_number(open_desk: Open) -> None:
    async with open_desk() as desk:
        streams = f"{SESSIONS}/{await desk.create_ready()}/streams"
        for bad in ("60", 60.5, True, 59, 3601):
            status, _, _ = await desk.call("POST", streams, {"expirationInSeconds": bad})
            assert status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/2020-08-01/studios"),
        ("PUT", SESSIONS),
        ("GET", f"{STUDIO}/streaming-session-backups"),
        ("GET", f"{SESSIONS}/a/b/c/d"),
    ],
)
async def test_what_is_no_operation_is_not_found(open_desk: Open, method: str, path: str) -> None:
    async with open_desk() as desk:
        status, body, _ = await desk.call(method, path)

        assert status == 404
        assert body["message"] == f"there is no operation {method} {path}"


@pytest.mark.parametrize("encoded", ["a%2Fb", "%2e%2e%2f", "%00", "%ff%fe", "%25", "%F0%9F%8E%AD"])
async def test_whatever_is_in_an_id_stays_in_the_id(open_desk: Open, encoded: str) -> None:
    async with open_desk() as desk:
        reader, writer = await asyncio.open_connection(
            *desk.simulator.url.removeprefix("http://").split(":")
        )
        writer.write(f"GET {SESSIONS}/{encoded} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.0 404")
        assert b"there is no session" in answer


async def test_an_empty_id_is_not_mistaken_for_a_list(open_desk: Open) -> None:
    async with open_desk() as desk:
        await desk.create()
        status, body, _ = await desk.call("GET", f"{SESSIONS}/")

        assert (status, body["message"]) == (404, "there is no session ")


async def test_a_time_beyond_the_calendar_is_answered_as_its_last_day(open_desk: Open) -> None:
    async with open_desk({"session_length": 1e200}) as desk:
        path = f"{SESSIONS}/{await desk.create_ready()}"

        assert (await desk.ask("GET", path))["session"]["stopAt"] == "9999-12-31T00:00:00.000Z"


async def test_the_throttle_is_by_operation_and_refills_with_simulated_time(
    open_desk: Open,
) -> None:
    throttle = {"GetStreamingSession": {"rate": 1, "burst": 2}}
    async with open_desk({"throttle": throttle}) as desk:
        path = f"{SESSIONS}/{await desk.create()}"

        async def statuses(count: int) -> list[int]:
            return [(await desk.call("GET", path))[0] for _ in range(count)]

        assert await statuses(4) == [200, 200, 429, 429]
        assert (await desk.call("GET", SESSIONS))[0] == 200
        desk.advance(1)
        assert await statuses(2) == [200, 429]
        _, body, headers = await desk.call("GET", path)
        assert headers["x-amzn-ErrorType"] == "ThrottlingException"
        assert "Retry-After" not in headers
        assert body["code"] == "THROTTLING"

        statistics = desk.simulator.statistics()
        assert statistics.calls["GetStreamingSession"] == 7
        assert statistics.throttled == {"GetStreamingSession": 4}
        assert statistics.calls["CreateStreamingSession"] == 1


async def test_retry_after_is_sent_in_the_seconds_of_the_client(open_desk: Open) -> None:
    settings = {"retry_after": 90, "throttle": {"*": {"rate": 1, "burst": 1}}}
    async with open_desk(settings, speed=60) as desk:
        await desk.call("GET", SESSIONS)
        _, _, headers = await desk.call("GET", SESSIONS)

        assert headers["Retry-After"] == "2"


async def test_latency_is_in_simulated_seconds(open_desk: Open) -> None:
    async with open_desk({"latency": 30}, speed=60) as desk:
        await desk.call("GET", SESSIONS)
        assert desk.slept == [0.5]
        desk.simulator.configure({"latency": [30, 60]})
        await desk.call("GET", SESSIONS)
        assert 0.5 <= desk.slept[1] <= 1


async def test_the_settings_can_be_shown_and_changed_while_it_runs(open_desk: Open) -> None:
    async with open_desk() as desk:
        shown = await desk.ask("GET", "/_greenroom/settings")
        changed = await desk.ask("POST", "/_greenroom/settings", {"create": {"sigma": 0}})

        assert changed == {**shown, "create": {**shown["create"], "sigma": 0}}
        session_id = await desk.create()
        desk.advance(150)
        assert (await desk.ask("GET", f"{SESSIONS}/{session_id}"))["session"]["state"] == "READY"


async def test_a_bad_change_is_refused_as_a_whole_and_says_why(open_desk: Open) -> None:
    async with open_desk() as desk:
        status, body, _ = await desk.call(
            "POST", "/_greenroom/settings", {"seed": 9, "create": {"median_s": -3}}
        )

        assert status == 400
        assert body == {"message": "create.median_s: -3 must be greater than 0 seconds"}
        assert desk.simulator.settings == Settings()


async def test_the_truth_is_shown_with_exact_times(open_desk: Open) -> None:
    async with open_desk({"create": {"sigma": 0}}) as desk:
        session_id = await desk.create()
        desk.advance(151)

        truth = await desk.ask("GET", "/_greenroom/truth")

        assert truth["now"] == T0 + 151
        assert truth["sessions"][session_id] == [
            {
                "at": T0,
                "state": "CREATE_IN_PROGRESS",
                "statusCode": "STREAMING_SESSION_CREATE_IN_PROGRESS",
            },
            {"at": T0 + 150, "state": "READY", "statusCode": "STREAMING_SESSION_READY"},
        ]


async def test_time_can_be_moved_ahead_and_never_back(open_desk: Open) -> None:
    async with open_desk() as desk:
        assert await desk.ask("POST", "/_greenroom/advance", {"seconds": 60}) == {"now": T0 + 60}
        bad_orders: list[object] = [
            *({"seconds": value} for value in (-1, "1", True, None, 10**400, float("nan"))),
            *({}, []),
        ]
        for bad in bad_orders:
            assert (await desk.call("POST", "/_greenroom/advance", bad))[0] == 400
        async with desk.http.post("/_greenroom/advance", data=b"{") as response:
            assert response.status == 400
        assert desk.simulator.clock() == T0 + 60


async def test_it_says_how_it_is_and_counts(open_desk: Open) -> None:
    async with open_desk() as desk:
        await desk.call("GET", SESSIONS)

        assert await desk.ask("GET", "/_greenroom/health") == {
            "status": "ok",
            "studioId": "us-west-2-simulated",
            "now": T0,
        }
        assert await desk.ask("GET", "/_greenroom/statistics") == {
            "calls": {"ListStreamingSessions": 1},
            "throttled": {},
            "faults": {},
        }
        status, body, _ = await desk.call("GET", "/_greenroom/none")
        assert status == 404
        assert "GET /_greenroom/truth" in body["message"]


async def test_a_port_in_use_is_an_error_that_names_it(open_desk: Open) -> None:
    async with open_desk() as desk:
        port = int(desk.simulator.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*choose another"):
            async with serve(port=port):
                pass


async def test_by_default_its_time_is_the_worlds() -> None:
    async with serve(speed=1000) as simulator:
        before = simulator.clock()
        await asyncio.sleep(0)
        assert simulator.clock() >= before


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
async def test_a_clock_must_run_forwards(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=speed)


async def test_a_clock_runs_as_fast_as_it_is_told() -> None:
    reading = T0
    clock = Clock(lambda: reading, speed=60)
    reading += 2

    assert clock() == T0 + 120
    assert clock.wall(120) == 2


@pytest.mark.parametrize("leap", [-3600.0, 3600.0])
async def test_a_leap_of_the_time_of_day_does_not_move_the_simulated_time(
    monkeypatch: pytest.MonkeyPatch, leap: float
) -> None:
    clock = Clock()
    assert abs(clock() - time.time()) < 60

    leapt = time.time() + leap
    monkeypatch.setattr(time, "time", lambda: leapt)

    assert 0 <= clock() - clock.started < 60
