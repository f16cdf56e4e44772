"""A studio that says whatever a test wants, on a real socket, and an AWS configuration of nothing.

The server runs in a thread with a loop of its own, so that a test on trio can call it too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from botocore import xform_name
from botocore.exceptions import ClientError

from greenroom.sources import nimble

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class FakeClient:
    """An open client of an AWS service that is none: each operation is answered by a function.

    Args:
        answers: By operation, such as `DescribeInstances`: from its parameters to its answer.
    """

    def __init__(self, **answers: Answer) -> None:
        self.meta = SimpleNamespace(endpoint_url="https://aws.test")
        self.asked: list[tuple[str, dict[str, Any]]] = []
        for operation, answer in answers.items():
            setattr(self, xform_name(operation), self._method(operation, answer))

    def _method(self, operation: str, answer: Answer) -> Callable[..., Any]:
        async def method(**params: Any) -> Mapping[str, Any]:
            await anyio.lowlevel.checkpoint()
            self.asked.append((operation, dict(params)))
            return answer(params)

        return method


@pytest.fixture
def fake_client() -> type[FakeClient]:
    """A client whose operations the test answers."""
    return FakeClient


@pytest.fixture
def refusal() -> Callable[..., ClientError]:
    """Make the exception that botocore raises for an error of a service."""

    def refusal(operation: str, code: str, message: str, status: int = 400) -> ClientError:
        metadata = {"HTTPStatusCode": status, "HTTPHeaders": {"content-type": "text/xml"}}
        details = {"Code": code, "Message": message}
        return ClientError({"Error": details, "ResponseMetadata": metadata}, operation)

    return refusal


class Stub:
    """Answers every request by `handler`, and remembers what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[web.Request] = []
        self.handler: Handler | None = None

    def says(self, *answers: Any) -> None:
        """Answer with JSON, or with a ready `web.Response`, one after the other."""
        left = iter(answers)

        async def handler(request: web.Request) -> web.StreamResponse:
            answer = next(left)
            return answer if isinstance(answer, web.Response) else web.json_response(answer)

        self.handler = handler

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        assert self.handler is not None
        return await self.handler(request)


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        done = asyncio.Event()
        runner = web.ServerRunner(web.Server(stub))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        ready.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield stub
    stop[0]()
    thread.join(10)


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """Take away all AWS configuration that the machine may have."""
    for name in ("PROFILE", "REGION", "DEFAULT_REGION", "ENDPOINT_URL", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture(autouse=True)
def aws(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.setenv("AWS_ACCESS_KEY_ID", "any")
    no_aws.setenv("AWS_SECRET_ACCESS_KEY", "words")
    no_aws.setenv("AWS_DEFAULT_REGION", "us-west-2")


@pytest.fixture
def ask(stub: Stub, backend: str) -> Callable[..., Any]:
    """Run `await use(sessions)` on a connection to the stub, on both backends."""

    def ask(use: Callable[[nimble.StreamingSessions], Awaitable[Any]], **options: Any) -> Any:
        async def main() -> Any:
            async with nimble.connect(
                studio_id="studio", endpoint_url=stub.url, **options
            ) as sessions:
                return await use(sessions)

        return anyio.run(main, backend=backend)

    return ask
