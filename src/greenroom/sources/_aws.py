"""A client of an AWS service, opened and called the way a poller needs it. Every AWS source's base.

Opening fails early and says what to do: everything that can be known to be missing before the first
call is a `ConfigurationError`. A call is one HTTP request: botocore's own retries are off, since
they would spend the budget behind the limiter's back, and its errors arrive translated.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import AioSession
from botocore import exceptions as boto
from botocore import xform_name
from botocore.loaders import Loader
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

from greenroom._errors import ConfigurationError
from greenroom.sources._aws_errors import translate, translating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["call", "open_client", "translate", "translating"]

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to stand."""

READ_TIMEOUT = 10.0
"""Seconds between two pieces of an answer."""

MAX_CONNECTIONS = 32

_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")

_FIXES: Mapping[type[Exception], str] = MappingProxyType(
    {
        boto.NoRegionError: "set AWS_REGION, as AWS_REGION=us-west-2, or give the profile one; or "
        "pass region_name= in Python, --region on the command line",
        boto.NoCredentialsError: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a "
        "profile with AWS_PROFILE; a simulator takes any two words",
        boto.PartialCredentialsError: "an access key needs both halves: an id and a secret",
        boto.ProfileNotFound: "`aws configure list-profiles` lists the ones there are",
    }
)


@asynccontextmanager
async def open_client(
    service: str,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile: str | None = None,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    session: AioSession | None = None,
    model_path: Path | None = None,
) -> AsyncIterator[Any]:
    """Open an aiobotocore client, on asyncio or on trio.

    What is not given comes from the usual chain: environment, profile, instance role.

    Args:
        service: The service's name, such as `ec2`.
        region_name: The region.
        endpoint_url: Where the service is, if not at its usual host.
        profile: The profile of the AWS configuration files.
        aws_access_key_id: The access key, first half.
        aws_secret_access_key: The access key, second half.
        aws_session_token: The token that goes with a temporary access key.
        session: An aiobotocore session to use instead of one of our own.
        model_path: A folder of service models, laid out as botocore's own. It is added to this
            session's loader, and to nothing else.

    Yields:
        The client.

    Raises:
        ConfigurationError: There is no region, there are no credentials, or something given
            cannot be right. Nothing has been called yet.
    """
    _check_texts(region_name=region_name, endpoint_url=endpoint_url, profile=profile)
    _check_credentials(
        aws_access_key_id=aws_access_key_id,
        aws_secret_access_key=aws_secret_access_key,
        aws_session_token=aws_session_token,
    )
    if not isinstance(session, AioSession | None):
        raise ConfigurationError(f"session={session!r} must be an AioSession() of aiobotocore")
    if endpoint_url is not None:
        _check_endpoint(endpoint_url)
    if region_name and not _REGION.fullmatch(region_name):
        raise ConfigurationError(
            f'region_name={region_name!r} is no AWS region, such as region_name="us-west-2"'
        )
    if session is not None and profile is not None:
        raise ConfigurationError("a session has its profile already; pass session or profile")
    config = _config()
    async with AsyncExitStack() as stack:
        try:
            aws: Any = session or _own_session(profile, config)
            if model_path is not None:
                _add_models(aws, str(model_path))
            # botocore reads AWS_DEFAULT_REGION alone; every other SDK of AWS reads AWS_REGION.
            region_name = region_name or os.environ.get("AWS_REGION")
            if not (region_name or aws.get_config_variable("region")):
                raise boto.NoRegionError
            explicit = (aws_access_key_id, aws_secret_access_key) != (None, None)
            if not explicit and await aws.get_credentials() is None:
                raise boto.NoCredentialsError
            client = await stack.enter_async_context(
                aws.create_client(
                    service,
                    region_name=region_name or None,
                    endpoint_url=endpoint_url,
                    aws_access_key_id=aws_access_key_id,
                    aws_secret_access_key=aws_secret_access_key,
                    aws_session_token=aws_session_token,
                    config=config,
                )
            )
            _check_endpoint(client.meta.endpoint_url)  # which may come from the environment
        except ConfigurationError:
            raise
        except (boto.BotoCoreError, ValueError) as error:
            problem = str(error).rstrip(".")
            if type(error) is ValueError and _carries_more(problem):  # the environment's is no URL
                raise ConfigurationError(_MORE) from None
            fix = _FIXES.get(type(error))
            # What could not be parsed is a line of the credentials, which a cause would show.
            cause = None if isinstance(error, boto.ConfigParseError) else error
            raise ConfigurationError(f"{problem}: {fix}" if fix else problem) from cause
        try:
            yield client
        finally:
            client.meta.events.register("before-call", _refuse)


async def call(
    client: Any, operation: str, params: Mapping[str, Any], *, ids: Sequence[str] = ()
) -> dict[str, Any]:
    """Call one operation once.

    Args:
        client: A client from `open_client`.
        operation: The operation's name as the service writes it, such as `DescribeInstances`.
        params: The operation's parameters.
        ids: The ids asked for, to be looked for in an error.

    Raises:
        SourceError: There is no answer, or it is an error; see `translate`.
        ConfigurationError: The client is closed.
    """
    with translating(operation=operation, ids=ids, endpoint=client.meta.endpoint_url):
        answer: dict[str, Any] = await getattr(client, xform_name(operation))(**params)
        return answer


def _refuse(**_: object) -> None:
    raise ConfigurationError("the connection is closed; make every call inside its `async with`")


def _own_session(profile: str | None, config: AioConfig) -> AioSession:
    session = AioSession(profile=profile)
    session.set_default_client_config(config)  # so that credentials are fetched by the same backend
    return session


class _OneRequest(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
    """aiohttp, without its second try of a GET on a connection that had been closed, or redirects.

    The limiter would not know of them, the service would count them, and who redirects would be
    sent the token of the credentials.
    """

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._retry_connection = False  # noqa: SLF001  # no public switch; a test watches it
        return SimpleNamespace(request=partial(session.request, allow_redirects=False))


def _config() -> AioConfig:
    backend: Any = HttpxSession if _on_trio() else _OneRequest
    return AioConfig(
        http_session_cls=backend,
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
        user_agent_extra=f"greenroom/{_version()}",
    )


def _version() -> str:
    try:
        return version("greenroom")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"


def _on_trio() -> bool:
    """Return whether this runs on trio, where aiobotocore needs httpx.

    Raises:
        ConfigurationError: It does, and there is no httpx.
    """
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_task():
        return False
    if find_spec("httpx2") is None and find_spec("httpx") is None:
        raise ConfigurationError(
            "on trio, AWS is called by httpx, which is not installed: pip install 'greenroom[trio]'"
        )
    return True


def _check_texts(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, str | None):
            raise ConfigurationError(f"{name}={value!r} must be text, or None for the usual one")


def _check_credentials(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, str | None):  # which is not shown, being half a secret
            raise ConfigurationError(f"{name} must be text, and is {type(value).__name__}")


def _check_endpoint(endpoint_url: str) -> None:
    if _carries_more(endpoint_url):
        raise ConfigurationError(_MORE)
    try:
        parts = urlsplit(endpoint_url)
        good = (
            parts.scheme in ("http", "https")
            and parts.port != 0
            and endpoint_url.isprintable()
            and (is_valid_endpoint_url(endpoint_url) or is_valid_ipv6_endpoint_url(endpoint_url))
        )
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"endpoint_url={endpoint_url!r} is not an http or https URL with a host, "
            'such as endpoint_url="http://127.0.0.1:8000"'
        )


_MORE = (
    "the endpoint URL carries a user name, a password, a query or a fragment, which AWS clients do "
    "not need; leave it out, and give credentials the usual way"
)
"""Does not show the URL, which is a secret then."""


def _carries_more(url: str) -> bool:
    return any(mark in url for mark in "@?#")


def _add_models(session: Any, path: str) -> None:
    """Give the session a loader that also looks in `path`.

    A new one, since a loader that has been used remembers which services there are.
    """
    others = session.get_component("data_loader").search_paths
    if path not in others:
        loader = Loader(extra_search_paths=[path, *others], include_default_search_paths=False)
        session.register_component("data_loader", loader)
