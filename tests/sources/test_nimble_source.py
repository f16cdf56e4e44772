"""The Nimble sources against a server on a real socket: asyncio with aiohttp, trio with httpx."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.abc
import pytest
from aiobotocore.session import AioSession
from aiohttp import web

import greenroom
from greenroom.sources import nimble
from greenroom.sources._nimble_tables import TABLES

Ask = Callable[..., Any]

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


def session(id_: str, state: str = "READY", **more: Any) -> dict[str, Any]:
    return {"sessionId": id_, "state": state, **more}


def describe(*ids: str) -> Callable[[nimble.StreamingSessions], Any]:
    return lambda sessions: sessions.describe(ids)


def refusal(status: int, error: str, message: str, **more: Any) -> web.Response:
    return web.json_response(
        {"message": message, **more}, status=status, headers={"x-amzn-ErrorType": error}
    )


# One id is read by Get, several by List


def test_one_id_is_read_by_get_and_several_by_list(stub: Any, ask: Ask) -> None:
    stub.says({"session": session("s-1")}, {"sessions": [session("s-1"), session("s-2")]})

    async def use(sessions: nimble.StreamingSessions) -> Any:
        return await sessions.describe(["s-1"]), await sessions.describe(["s-1", "s-2"])

    one, two = ask(use)
    assert [*one] == ["s-1"]
    assert [*two] == ["s-1", "s-2"]
    get, listing = stub.asked
    assert get.path == "/2020-08-01/studios/studio/streaming-sessions/s-1"
    assert listing.path == "/2020-08-01/studios/studio/streaming-sessions"
    assert dict(listing.query) == {"sessionIds": "s-1,s-2"}
    assert "greenroom/" in get.headers["User-Agent"]


def test_an_observation_carries_state_reason_message_time_and_the_whole_resource(
    stub: Any, ask: Ask
) -> None:
    told = session(
        "s-1",
        "CREATE_FAILED",
        statusCode="INSUFFICIENT_CAPACITY",
        statusMessage="no capacity",
        updatedAt="2024-01-02T12:00:00Z",
        stopAt="2024-01-02T12:00:00+00:00",
        tags={"show": "x"},
        stoppedBy=None,
        memberOfTomorrow={"kept": True},
    )
    stub.says({"session": told}, {"sessions": [told, session("s-2")]})

    async def use(sessions: nimble.StreamingSessions) -> Any:
        return await sessions.describe(["s-1"]), await sessions.describe(["s-1", "s-2"])

    one, two = ask(use)
    seen = one["s-1"]
    assert (seen.state, seen.reason, seen.message, seen.changed_at) == (
        "CREATE_FAILED",
        "INSUFFICIENT_CAPACITY",
        "no capacity",
        NOON,
    )
    assert seen.resource == {
        "sessionId": "s-1",
        "state": "CREATE_FAILED",
        "statusCode": "INSUFFICIENT_CAPACITY",
        "statusMessage": "no capacity",
        "updatedAt": NOON,
        "stopAt": NOON,
        "tags": {"show": "x"},
        "memberOfTomorrow": {"kept": True},
    }
    assert type(seen.resource) is dict
    assert two["s-1"].resource == seen.resource


def test_without_batches_every_id_is_read_by_get(stub: Any, ask: Ask) -> None:
    stub.says({"session": session("s-1")})

    async def use(sessions: nimble.StreamingSessions) -> Any:
        assert sessions.max_batch == 1
        return await sessions.describe(["s-1"])

    assert [*ask(use, batch=False)] == ["s-1"]


def test_an_id_asked_alone_and_not_found_is_absent(stub: Any, ask: Ask) -> None:
    stub.says(refusal(404, "ResourceNotFoundException", "no such session"))
    assert ask(describe("s-1")) == {}


def test_no_ids_need_no_call(stub: Any, ask: Ask) -> None:
    assert ask(describe()) == {}
    assert stub.asked == []


# Pages


def test_pages_are_chained_by_their_token(stub: Any, ask: Ask) -> None:
    stub.says(
        {"sessions": [session("s-1")], "nextToken": "more"},
        {"sessions": [session("s-2")], "nextToken": "never asked for"},
    )
    assert [*ask(describe("s-1", "s-2"))] == ["s-1", "s-2"]
    assert [dict(request.query).get("nextToken") for request in stub.asked] == [None, "more"]


def test_a_list_that_is_not_found_means_that_the_studio_is_not_there(stub: Any, ask: Ask) -> None:
    stub.says(refusal(404, "ResourceNotFoundException", "no such studio"))
    with pytest.raises(greenroom.InvalidRequest, match="does not exist") as caught:
        ask(describe("s-1", "s-2"))
    assert caught.value.ids == ("s-1", "s-2"), "all of them are refused at once"


def test_every_call_but_the_first_is_paid_for(stub: Any, ask: Ask) -> None:
    stub.says({"sessions": [session("s-1")], "nextToken": "a"}, {"sessions": [session("s-2")]})
    paid_after: list[int] = []

    async def pay() -> None:
        paid_after.append(len(stub.asked))

    seen = ask(lambda sessions: sessions.describe_pages(["s-1", "s-2"], pay))
    assert [*seen] == ["s-1", "s-2"]
    assert paid_after == [1]


def test_a_server_that_ignores_the_filter_is_read_until_all_were_seen(stub: Any, ask: Ask) -> None:
    stub.says(
        {"sessions": [session("foreign"), session("s-2")], "nextToken": "a"},
        {"sessions": [session("other"), session("s-1")], "nextToken": "b"},
    )
    assert {*ask(describe("s-1", "s-2"))} == {"s-1", "s-2"}
    assert len(stub.asked) == 2


def test_a_token_handed_out_twice_ends_the_chain(stub: Any, ask: Ask) -> None:
    stub.says(
        {"sessions": [], "nextToken": "a"},
        {"sessions": [], "nextToken": "b"},
        {"sessions": [], "nextToken": "a"},
    )
    assert ask(describe("s-1", "s-2")) == {}


def test_entries_without_id_or_state_are_skipped(stub: Any, ask: Ask) -> None:
    entries = [None, "text", {"sessionId": "s-1"}, {"state": "READY"}, session("s-2")]
    stub.says({"sessions": entries})
    assert [*ask(describe("s-1", "s-2"))] == ["s-2"]


def test_a_time_that_is_none_does_not_cost_the_page(stub: Any, ask: Ask) -> None:
    entries = [session("s-1", updatedAt="yesterday"), session("s-2", updatedAt=1704196800)]
    stub.says({"sessions": entries})
    seen = ask(describe("s-1", "s-2"))
    assert seen["s-1"].changed_at is None
    assert seen["s-1"].resource["updatedAt"] == "yesterday"
    assert seen["s-2"].changed_at == NOON


# A garbage 200 is not an answer

GARBAGE = {
    "empty": b"",
    "truncated": b'{"session": {"sessionId": "s-1", "sta',
    "html": b"<html><body>Please log in</body></html>",
    "a list": b"[]",
    "null": b"null",
    "no text": b"\xff\xfe\xfd",
    "another key": b"{}",
    "a null under the key": b'{"session": null, "sessions": null}',
    "no object under the key": b'{"session": "s-1", "sessions": "s-1"}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("ids", [("s-1",), ("s-1", "s-2")], ids=["get", "list"])
def test_a_garbage_200_is_unavailable(
    stub: Any, ask: Ask, body: bytes, ids: tuple[str, ...]
) -> None:
    stub.says(web.Response(body=body, content_type="text/html"))
    with pytest.raises(greenroom.Unavailable, match=stub.url):
        ask(describe(*ids))


@pytest.mark.parametrize(
    "told", [{"sessionId": "s-1"}, session("s-2")], ids=["no state", "another id"]
)
def test_a_get_that_tells_of_something_else_is_unavailable(
    stub: Any, ask: Ask, told: dict[str, Any]
) -> None:
    stub.says({"session": told})
    with pytest.raises(greenroom.Unavailable):
        ask(describe("s-1"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 502])
def test_an_error_page_of_a_box_on_the_way_is_unavailable(stub: Any, ask: Ask, status: int) -> None:
    stub.says(
        web.Response(text="<html><h1>Nope</h1></html>", status=status, content_type="text/html")
    )
    with pytest.raises(greenroom.Unavailable, match=f"{stub.url} answered {status}"):
        ask(describe("s-1"))


ODD_ERRORS = [b"[]", b"null", b'"text"', b'{"message": 5, "code": [1], "context": "x"}', b"\xff"]


@pytest.mark.parametrize("body", ODD_ERRORS)
def test_an_error_with_an_odd_body_is_known_by_its_header(stub: Any, ask: Ask, body: bytes) -> None:
    stub.says(
        web.Response(
            body=body,
            status=400,
            content_type="application/json",
            headers={"x-amzn-ErrorType": "ValidationException"},
        )
    )
    with pytest.raises(greenroom.InvalidRequest):
        ask(describe("s-1"))


def test_a_dropped_connection_is_unavailable(stub: Any, ask: Ask) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    stub.handler = drop
    with pytest.raises(greenroom.Unavailable, match=stub.url):
        ask(describe("s-1"))


def test_an_answer_cut_off_is_unavailable(stub: Any, ask: Ask) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"session": {')
        assert request.transport is not None
        request.transport.close()
        return response

    stub.handler = cut
    with pytest.raises(greenroom.Unavailable, match=stub.url) as caught:
        ask(describe("s-1"))
    assert caught.value.__cause__ is not None


def test_a_port_where_nobody_listens_is_unavailable(backend: str) -> None:
    async def main() -> None:
        url = "http://127.0.0.1:1"
        async with nimble.connect(studio_id="studio", endpoint_url=url) as sessions:
            await sessions.describe(["s-1"])

    with pytest.raises(greenroom.Unavailable, match=r"127\.0\.0\.1:1: no connection"):
        anyio.run(main, backend=backend)


# What the service refuses


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_no_answer_and_not_followed(stub: Any, ask: Ask, status: int) -> None:
    there = {"Location": "/login"}
    stub.says(*(web.Response(status=status, headers=there) for _ in range(2)))

    async def use(sessions: nimble.StreamingSessions) -> Any:
        with pytest.raises(greenroom.Unavailable):
            await sessions.describe(["s-1"])
        with pytest.raises(greenroom.Unavailable):
            await sessions.create_session(launch_profile_id="lp", client_token="t")

    ask(use)
    assert len(stub.asked) == 2


def test_a_failed_call_is_made_once(stub: Any, ask: Ask) -> None:
    stub.says(refusal(500, "InternalServerErrorException", "oops"))
    with pytest.raises(greenroom.Unavailable, match="oops"):
        ask(describe("s-1"))
    assert len(stub.asked) == 1


def test_a_throttle_says_how_long_to_stay_away(stub: Any, ask: Ask) -> None:
    answer = refusal(429, "ThrottlingException", "slow down")
    answer.headers["Retry-After"] = "7"
    stub.says(answer)
    with pytest.raises(greenroom.Throttled) as caught:
        ask(describe("s-1", "s-2"))
    assert caught.value.retry_after == 7


def test_the_ids_that_a_refusal_names_are_told(stub: Any, ask: Ask) -> None:
    stub.says(
        refusal(400, "ValidationException", "bad input", code="BAD_ID", context={"id": "s-1"})
    )
    with pytest.raises(greenroom.InvalidRequest) as caught:
        ask(describe("s-1", "s-10"))
    assert caught.value.ids == ("s-1",)
    assert caught.value.code == "ValidationException"
    assert caught.value.operation == "ListStreamingSessions"


@pytest.mark.parametrize("bad", ["", " ", "s 1", "s,1", "s/1", "s\n1", ".", "..", 5])
def test_an_id_that_cannot_be_one_is_refused_without_a_call(stub: Any, ask: Ask, bad: Any) -> None:
    with pytest.raises(greenroom.InvalidRequest, match="reads SESSION_ID") as caught:
        ask(describe("s-1", bad))
    assert caught.value.ids == (bad,)
    assert stub.asked == []


def test_more_ids_than_max_batch_are_refused_without_a_call(stub: Any, ask: Ask) -> None:
    with pytest.raises(greenroom.InvalidRequest, match="101 ids"):
        ask(describe(*(f"s-{number}" for number in range(101))))
    assert stub.asked == []


# The other kinds

OTHERS = {
    "nimble-stream": ("s-1/t-1", "streaming-sessions/s-1/streams/t-1", "stream", "streamId"),
    "nimble-launch-profile": (
        "p-1",
        "launch-profiles/p-1",
        "launchProfile",
        "launchProfileId",
    ),
    "nimble-image": ("i-1", "streaming-images/i-1", "streamingImage", "streamingImageId"),
    "nimble-component": ("c-1", "studio-components/c-1", "studioComponent", "studioComponentId"),
    "nimble-studio": ("other-studio", "", "studio", "studioId"),
}


def test_kinds_lists_every_table() -> None:
    assert {*nimble.KINDS} == {*TABLES} == {"nimble-session", *OTHERS}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_kind_is_read_by_its_get(stub: Any, ask: Ask, kind: str) -> None:
    id_, path, key, member = OTHERS[kind]
    told = {member: id_.split("/")[-1], "state": "READY", "createdAt": "2024-01-02T12:00:00Z"}
    stub.says({key: told}, refusal(404, "ResourceNotFoundException", "gone"))

    async def use(sessions: nimble.StreamingSessions) -> Any:
        source = nimble.KINDS[kind](sessions)
        assert (source.kind, source.table, source.max_batch) == (kind, TABLES[kind], 1)
        return await source.describe([id_]), await source.describe([id_])

    seen, gone = ask(use)
    assert seen[id_].state == "READY"
    assert seen[id_].resource["createdAt"] == NOON
    assert gone == {}
    studio = "other-studio" if kind == "nimble-studio" else "studio"
    assert stub.asked[0].path == f"/2020-08-01/studios/{studio}/{path}".rstrip("/")


@pytest.mark.parametrize("bad", ["s-1", "s-1/", "/t-1", "s-1/t-1/u-1", "s-1/t 1"])
def test_a_stream_id_has_two_parts(stub: Any, ask: Ask, bad: str) -> None:
    with pytest.raises(greenroom.InvalidRequest, match="reads SESSION_ID/STREAM_ID") as caught:
        ask(lambda sessions: sessions.streams.describe([bad]))
    assert caught.value.ids == (bad,)
    assert stub.asked == []


def test_the_url_of_a_stream_is_not_shown(stub: Any, ask: Ask, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    stub.says({"stream": {"streamId": "t-1", "state": "READY", "url": "https://secret.example"}})
    seen = ask(lambda sessions: sessions.streams.describe(["s-1/t-1"]))
    assert seen["s-1/t-1"].resource["url"] == "https://secret.example"
    assert "secret.example" not in repr(seen)
    assert "secret.example" not in repr(seen["s-1/t-1"].resource)
    assert "secret.example" not in caplog.text


# The client


def test_the_client_is_there_for_every_other_call(stub: Any, ask: Ask) -> None:
    told = session("s-1", "CREATE_IN_PROGRESS", createdAt="2024-01-02T12:00:00Z")
    stub.says({"session": told}, {"sessions": [told]})

    async def use(sessions: nimble.StreamingSessions) -> Any:
        made = await sessions.client.create_streaming_session(
            studioId=sessions.studio_id, launchProfileId="p-1"
        )
        listed = await sessions.client.list_streaming_sessions(studioId=sessions.studio_id)
        return made["session"], listed["sessions"][0]

    made, listed = ask(use)
    assert made == listed == {**told, "createdAt": NOON}
    assert stub.asked[0].method == "POST"
    assert stub.asked[0].headers["X-Amz-Client-Token"]


def test_a_session_of_ones_own_may_have_been_used_before(stub: Any, backend: str) -> None:
    stub.says({"session": session("s-1")}, {"session": session("s-1")})

    async def main() -> None:
        mine = AioSession()
        mine.get_component("data_loader").list_available_services("service-2")
        for _ in range(2):
            async with nimble.connect(
                studio_id="studio", endpoint_url=stub.url, session=mine
            ) as sessions:
                assert [*await sessions.describe(["s-1"])] == ["s-1"]

    anyio.run(main, backend=backend)


def test_a_closed_connection_says_so_and_calls_nobody(stub: Any, backend: str) -> None:
    async def main() -> None:
        async with nimble.connect(studio_id="studio", endpoint_url=stub.url) as sessions:
            pass
        await sessions.describe(["s-1"])

    with pytest.raises(greenroom.ConfigurationError, match="closed"):
        anyio.run(main, backend=backend)
    assert stub.asked == []


def test_a_key_may_be_given_instead_of_found(
    stub: Any, ask: Ask, no_aws: pytest.MonkeyPatch
) -> None:
    no_aws.delenv("AWS_ACCESS_KEY_ID")
    no_aws.delenv("AWS_SECRET_ACCESS_KEY")
    stub.says({"session": session("s-1")})
    key = {"aws_access_key_id": "given", "aws_secret_access_key": "words"}
    assert [*ask(describe("s-1"), region_name="eu-west-1", **key)] == ["s-1"]
    signed = stub.asked[0].headers["Authorization"]
    assert "Credential=given/" in signed
    assert "/eu-west-1/nimble/" in signed


# What is missing before the first call

URL = "http://127.0.0.1:1"


def opening(**options: Any) -> None:
    async def main() -> None:
        async with nimble.connect(**{"studio_id": "studio", "endpoint_url": URL} | options):
            pytest.fail("it opened")

    anyio.run(main)


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"endpoint_url": None}, "greenroom simulator"),
        ({"endpoint_url": ""}, "greenroom simulator"),
        ({"endpoint_url": "127.0.0.1:8000"}, "http://127.0.0.1:8000"),
        ({"endpoint_url": "ftp://127.0.0.1"}, "http://127.0.0.1:8000"),
        ({"endpoint_url": "http://"}, "http://127.0.0.1:8000"),
        ({"endpoint_url": "http://127.0.0.1:port"}, "http://127.0.0.1:8000"),
        ({"studio_id": ""}, "us-west-2-abc"),
        ({"studio_id": "a/b"}, "us-west-2-abc"),
        ({"profile": "nobody"}, "list-profiles"),
        ({"aws_access_key_id": "half"}, "both halves"),
        ({"region_name": "no region!"}, "no region!"),
        ({"session": AioSession(), "profile": "mine"}, "session or profile"),
    ],
)
def test_what_cannot_be_right_is_said_before_any_call(options: dict[str, Any], fix: str) -> None:
    with pytest.raises(greenroom.ConfigurationError, match=fix):
        opening(**options)


def test_no_region_is_said_before_any_call(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.delenv("AWS_DEFAULT_REGION")
    no_aws.delenv("AWS_REGION", raising=False)
    with pytest.raises(greenroom.ConfigurationError, match="AWS_REGION"):
        opening()


def test_no_credentials_are_said_before_any_call(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.delenv("AWS_ACCESS_KEY_ID")
    no_aws.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(greenroom.ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        opening()


def test_half_a_key_in_the_environment_is_said_before_any_call(
    no_aws: pytest.MonkeyPatch,
) -> None:
    no_aws.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(greenroom.ConfigurationError, match="both halves"):
        opening()


def test_trio_without_httpx_is_said_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.sources._aws.find_spec", lambda name: None)

    async def main() -> None:
        async with nimble.connect(studio_id="studio", endpoint_url=URL):
            pytest.fail("it opened")

    with pytest.raises(greenroom.ConfigurationError, match=r"greenroom\[trio\]"):
        anyio.run(main, backend="trio")


def test_a_call_is_one_request_even_on_a_connection_that_was_closed() -> None:
    """aiohttp would repeat a GET by itself, behind the limiter's back."""
    asked: list[bytes] = []

    async def main() -> None:
        async def close_at_once(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                while True:
                    asked.append(await stream.receive())
                    if len(asked) > 1:
                        return
                    body = b'{"sessions": []}'
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    await stream.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, close_at_once)
            async with nimble.connect(
                studio_id="us-west-2-abc",
                region_name="us-west-2",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id="simulated",
                aws_secret_access_key="simulated",
            ) as sessions:
                assert await sessions.describe(["s-1", "s-2"]) == {}
                with pytest.raises(greenroom.Unavailable):
                    await sessions.describe(["s-1", "s-2"])
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert len(asked) == 2


# Actions


def test_a_create_sends_what_is_wanted_with_its_token(stub: Any, ask: Ask) -> None:
    stub.says({"session": session("s-1", "CREATE_IN_PROGRESS")}, {"session": session("s-2")})
    bodies: list[Any] = []
    answer = stub.handler

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await answer(request)

    stub.handler = handler

    async def use(sessions: nimble.StreamingSessions) -> Any:
        return (
            await sessions.create_session(
                launch_profile_id="lp",
                client_token="t-1",
                streaming_image_id="img",
                instance_type="g5.xlarge",
                owner="o",
                tags={"a": "b"},
            ),
            await sessions.create_session(launch_profile_id="lp", client_token="t-2"),
        )

    assert ask(use) == ("s-1", "s-2")
    assert bodies[0] == {
        "launchProfileId": "lp",
        "streamingImageId": "img",
        "ec2InstanceType": "g5.xlarge",
        "ownedBy": "o",
        "tags": {"a": "b"},
    }
    assert bodies[1] == {"launchProfileId": "lp"}
    assert [each.headers["X-Amz-Client-Token"] for each in stub.asked] == ["t-1", "t-2"]


@pytest.mark.parametrize("answer", [{}, {"session": {}}, {"session": {"sessionId": 7}}, []])
def test_a_create_that_answers_garbage_may_be_asked_again(stub: Any, ask: Ask, answer: Any) -> None:
    stub.says(answer)

    async def use(sessions: nimble.StreamingSessions) -> Any:
        with pytest.raises(greenroom.Unavailable):
            await sessions.create_session(launch_profile_id="lp", client_token="t")

    ask(use)


@pytest.mark.parametrize("action", ["start", "stop", "delete"])
@pytest.mark.parametrize("answer", [{}, {"session": {}}, {"session": {"sessionId": 7}}, []])
def test_an_action_that_answers_garbage_may_be_asked_again(
    stub: Any, ask: Ask, action: str, answer: Any
) -> None:
    stub.says(answer)

    async def use(sessions: nimble.StreamingSessions) -> Any:
        with pytest.raises(greenroom.Unavailable):
            await getattr(sessions, f"{action}_session")("s-1", client_token="t")

    ask(use)


def test_actions_name_the_session_and_carry_the_token(stub: Any, ask: Ask) -> None:
    stub.says(*[{"session": session("s-1")}] * 3, {"stream": {"streamId": "st-1"}})

    async def use(sessions: nimble.StreamingSessions) -> Any:
        await sessions.start_session("s-1", client_token="a")
        await sessions.stop_session("s-1", client_token="b")
        await sessions.delete_session("s-1", client_token="c")
        return await sessions.create_stream("s-1", client_token="d", expires_in=60)

    assert ask(use) == "st-1"
    where = "/2020-08-01/studios/studio/streaming-sessions/s-1"
    assert [(each.method, each.path) for each in stub.asked] == [
        ("POST", f"{where}/start"),
        ("POST", f"{where}/stop"),
        ("DELETE", where),
        ("POST", f"{where}/streams"),
    ]
    assert [each.headers["X-Amz-Client-Token"] for each in stub.asked] == ["a", "b", "c", "d"]


def test_an_action_that_is_refused_says_why(stub: Any, ask: Ask) -> None:
    stub.says(refusal(409, "ConflictException", "s-1 is STOPPED"))

    async def use(sessions: nimble.StreamingSessions) -> Any:
        with pytest.raises(greenroom.Conflict, match="s-1 is STOPPED") as caught:
            await sessions.stop_session("s-1", client_token="a")
        return caught.value.code

    assert ask(use) == "ConflictException"
