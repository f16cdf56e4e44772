"""The simulated studio as a moto backend, for tests that use moto already. Needs `moto[server]`.

    from botocore.session import Session
    from greenroom.simulator import Clock, Settings, Work
    from greenroom.simulator.moto import SERVICE_MODELS, install
    from moto import mock_aws

    install(Settings(create=Work(median_s=60)))

    @mock_aws
    def test_launch():
        session = Session()
        session.get_component("data_loader").search_paths.append(str(SERVICE_MODELS))
        nimble = session.create_client("nimble", region_name="us-west-2")
        nimble.create_streaming_session(studioId="any", launchProfileId="any")

Under `mock_aws`, botocore's clients are answered within the process. aiobotocore's are not: they
await the body of an answer, and moto's is plain bytes. They, and every other client, talk to moto's
own server, `moto.server.ThreadedMotoServer`, with `endpoint_url` set to it. moto tells a service
by the request's signature, so requests to its server must be signed, with any credentials.

There is one studio per account and region, `nimble_backends[account_id][region_name].studio`, and
moto's reset empties it. Time runs by the clock that `install` was given; one made by
`Clock(lambda: 1_700_000_000.0)` stands still until the test calls its `advance`. Of the settings,
those of the studio itself apply; `throttle`, `latency` and `faults` belong to the simulator's own
server.

moto has no place to plug a service in. What `install` does instead is small, and all there is: it
adds one pattern to moto's list of addresses, and makes `moto.nimble` a name of this module, which
is where moto will look for the backend.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl

try:
    from moto import backend_index
    from moto.core.base_backend import BackendDict, BaseBackend
    from moto.core.responses import BaseResponse
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "greenroom.simulator.moto needs its extra: pip install 'greenroom[moto]'", name=error.name
    ) from error

from greenroom.simulator._settings import Settings
from greenroom.simulator._studio import Studio
from greenroom.simulator._wire import Reply, Request, answer, recognise

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.core.common_types import TYPE_RESPONSE

__all__ = ["SERVICE_MODELS", "NimbleBackend", "install", "nimble_backends"]

SERVICE_MODELS = Path(__file__).parents[1] / "sources" / "data"
"""Where botocore's loader finds the service's model; for its `search_paths`."""

REGIONS = [
    "us-east-1",
    "us-west-2",
    "ca-central-1",
    "ap-northeast-1",
    "ap-southeast-2",
    "eu-west-2",
]
"""The regions that a studio can be in."""

_HOST = r"https?://nimble\.(.+)\.amazonaws\.com"


@dataclass(frozen=True, slots=True)
class _Configuration:
    settings: Settings = field(default_factory=Settings)
    clock: Callable[[], float] = time.time


class NimbleBackend(BaseBackend):
    """The studio of one account in one region.

    Attributes:
        studio: The studio.
    """

    configuration: ClassVar[_Configuration] = _Configuration()

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.studio = Studio(self.configuration.settings, region=region_name, account_id=account_id)
        self._clock = self.configuration.clock
        self._one_at_a_time = Lock()

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Carry out a request; from any thread.

        Returns:
            Status, headers and body.
        """
        call = recognise(request)
        with self._one_at_a_time:
            reply = call if isinstance(call, Reply) else answer(self.studio, call, self._clock())
        return reply.status, reply.headers, reply.body

    @property
    def _url_module(self) -> SimpleNamespace:
        paths = {r"{0}/2020-08-01/studios/(?P<rest>.+)$": NimbleResponse.dispatch}
        return SimpleNamespace(url_bases=[_HOST], url_paths=paths)


nimble_backends = BackendDict(
    NimbleBackend, "nimble", use_boto3_regions=False, additional_regions=REGIONS
)
"""By account id and region name, the backends. moto looks for it by this name."""


class NimbleResponse(BaseResponse):
    """Hands the requests that moto receives to the studio."""

    def __init__(self) -> None:
        super().__init__(service_name="nimble")

    def call_action(self) -> TYPE_RESPONSE:
        """Answer the request that moto has set up."""
        backend = nimble_backends[self.current_account][self.region]
        status, headers, body = backend.answer(
            Request(
                method=self.method,
                path=self.raw_path,
                query=dict(parse_qsl(self.parsed_url.query, keep_blank_values=True)),
                headers=self.headers,
                body=self.raw_body,
            )
        )
        return status, {**self.response_headers, **headers}, body


def install(settings: Settings | None = None, clock: Callable[[], float] = time.time) -> None:
    """Make moto answer for Nimble Studio, with studios that are all new.

    May be called again, and then begins anew with other settings; moto is changed only once.

    Args:
        settings: How the studios behave; None for the defaults.
        clock: Simulated time, in epoch seconds.
    """
    NimbleBackend.configuration = _Configuration(settings or Settings(), clock)
    nimble_backends.clear()
    entry = ("nimble", re.compile(_HOST))
    if entry not in backend_index.backend_url_patterns:
        backend_index.backend_url_patterns.append(entry)
    sys.modules["moto.nimble"] = sys.modules[__name__]
