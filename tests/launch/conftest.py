"""A studio in virtual time: the simulator's own model, without a network, as a launch sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from greenroom import (
    AccessDenied,
    Conflict,
    Deletion,
    InvalidRequest,
    Launch,
    LaunchEvent,
    LaunchReport,
    NotFound,
    Observation,
    QuotaExceeded,
    SourceError,
    Throttled,
    Unavailable,
    Verdict,
)
from greenroom._launch._journal import Journal
from greenroom.simulator import Settings, StudioError
from greenroom.simulator import Studio as Model
from greenroom.sources._nimble_launch import SessionLaunches
from greenroom.sources.nimble import TABLES

ERRORS: Mapping[str, type[SourceError]] = {
    "AccessDeniedException": AccessDenied,
    "ConflictException": Conflict,
    "InternalServerErrorException": Unavailable,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": QuotaExceeded,
    "ThrottlingException": Throttled,
    "ValidationException": InvalidRequest,
}

LATENCY = 0.1


class Streams:
    """The streams of a studio, read one by one."""

    table = TABLES["nimble-stream"]
    max_batch = 1

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        session_id, stream_id = ids[0].split("/")
        get = partial(self._studio.model.get_stream, session_id=session_id, stream_id=stream_id)
        try:
            told = await self._studio.call("get_stream", get)
        except NotFound:
            return {}
        told["expiresAt"] = told.get("expiresAt") and datetime.fromtimestamp(told["expiresAt"], UTC)
        return {ids[0]: Observation(told["state"], told["statusCode"], resource=told)}


class Studio(SessionLaunches):
    """What `nimble.connect` yields, on the model itself.

    Attributes:
        model: The model.
        counts: Calls by name.
        tokens: The client token of every create of a session, in the order of the calls.
        fault: Called with the name of each call, and its number among those of that name, before it
            is carried out; what it returns is raised.
        lost: Called so as well; where it holds, the call is carried out, and its answer is lost.
        late: Called so as well; seconds from carrying out the call to its answer.
    """

    table = TABLES["nimble-session"]
    max_batch = 100

    def __init__(self, **settings: Any) -> None:
        self.model = Model(Settings.from_table(settings))
        self.streams = Streams(self)
        self.counts: Counter[str] = Counter()
        self.tokens: list[str] = []
        self.fault: Callable[[str, int], Exception | None] = lambda name, number: None
        self.lost: Callable[[str, int], bool] = lambda name, number: False
        self.late: Callable[[str, int], float] = lambda name, number: 0.0

    async def call(self, name: str, carry_out: Callable[..., Any]) -> Any:
        self.counts[name] += 1
        number = self.counts[name]
        await anyio.sleep(LATENCY)
        if (error := self.fault(name, number)) is not None:
            raise error
        try:
            answer = carry_out(anyio.current_time())
        except StudioError as error:
            raise ERRORS[error.code](str(error), code=error.code) from error
        if (late := self.late(name, number)) > 0:
            await anyio.sleep(late)
        if self.lost(name, number):
            raise Unavailable("the answer was lost")
        return answer

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        if len(ids) == 1:
            try:
                get = partial(self.model.get_session, session_id=ids[0])
                return {ids[0]: _seen(await self.call("get_session", get))}
            except NotFound:
                return {}
        page = partial(self.model.list_sessions, session_ids=",".join(ids))
        listed = (await self.call("list_sessions", page)).sessions
        return {told["sessionId"]: _seen(told) for told in listed}

    async def create_session(self, *, client_token: str, **wanted: Any) -> str:
        self.tokens.append(client_token)
        create = partial(self.model.create_session, client_token=client_token, **wanted)
        return str((await self.call("create_session", create))["sessionId"])

    async def create_stream(
        self, session_id: str, *, client_token: str, expires_in: int | None = None
    ) -> str:
        create = partial(
            self.model.create_stream,
            session_id=session_id,
            expiration=expires_in,
            client_token=client_token,
        )
        return str((await self.call("create_stream", create))["streamId"])

    async def start_session(self, session_id: str, *, client_token: str) -> None:
        await self._act("start_session", session_id, client_token)

    async def stop_session(self, session_id: str, *, client_token: str) -> None:
        await self._act("stop_session", session_id, client_token)

    async def delete_session(self, session_id: str, *, client_token: str) -> None:
        await self._act("delete_session", session_id, client_token)

    def sessions(self) -> Mapping[str, Any]:
        """Return every session ever made, with its changes so far."""
        return self.model.truth(anyio.current_time())

    async def _act(self, name: str, session_id: str, client_token: str) -> None:
        act = partial(getattr(self.model, name), session_id=session_id, client_token=client_token)
        await self.call(name, act)


def _seen(told: Mapping[str, Any]) -> Observation:
    return Observation(
        told["state"],
        told["statusCode"],
        told["statusMessage"],
        datetime.fromtimestamp(told["updatedAt"], UTC),
        resource=told,
    )


@pytest.fixture
def inline_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what would go to a thread at once: virtual time does not wait for threads."""

    async def run_sync(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync)


@pytest.fixture
def studio() -> Callable[..., Studio]:
    return Studio


@pytest.fixture
def wanted() -> Callable[..., list[dict[str, Any]]]:
    """Return so many specs."""

    def specs(count: int, **more: Any) -> list[dict[str, Any]]:
        return [{"key": f"ws-{n}", "launch_profile_id": "lp", **more} for n in range(count)]

    return specs


@pytest.fixture
def balanced() -> Callable[[LaunchReport, Studio], None]:
    """Compare an account with the truth: nothing hidden, nothing doubled, nothing made up."""

    def check(report: LaunchReport, studio: Studio) -> None:
        truth = studio.sessions()
        attempts = [each for result in report.values() for each in result.attempts]
        ids = [each.id for each in attempts if each.id is not None]
        assert sorted(ids) == sorted(truth), "every session is that of one attempt"
        assert len({each.token for each in attempts}) == len(attempts)
        for result in report.values():
            assert result.verdict is not Verdict.PENDING
            told = (result.attempts or (None,))[-1]
            if result.verdict is Verdict.SUCCESS:
                assert result.cause is None
                assert "READY" in [change.state for change in truth[result.id]]
                assert result.id == told.id
            else:
                assert result.cause
            for each in result.attempts:
                if each.failure is not None:
                    failed = [c for c in truth[each.id] if c.state == "CREATE_FAILED"]
                    assert [c.status_code for c in failed] == [each.cause]
                if each.deletion is Deletion.DONE:
                    assert truth[each.id][-1].state == "DELETED"

    return check


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[bool]]:
    """Run a launch until it ends or is killed; return whether it ended.

    What a killed process would still have written is not: its disk is cut off.
    """
    alive, append = {"yes": True}, Journal.append

    def cut_off(self: Journal, group: Sequence[LaunchEvent]) -> None:
        if alive["yes"]:
            append(self, group)

    monkeypatch.setattr(Journal, "append", cut_off)

    async def killed(seconds: float, make_launch: Callable[[], Launch]) -> bool:
        ended = False
        async with anyio.create_task_group() as tasks:

            async def kill() -> None:
                await anyio.sleep(seconds)
                alive["yes"] = False
                tasks.cancel_scope.cancel()

            tasks.start_soon(kill)
            async with make_launch() as launch:
                await launch.finished()
            ended = True
            tasks.cancel_scope.cancel()
        alive["yes"] = True
        return ended

    return killed
