"""Nimble Studio: streaming sessions, many in one call, and everything beside them one by one.

    async with nimble.connect(studio_id=..., region_name=..., endpoint_url=...) as sessions:
        await greenroom.wait(sessions, "SESSION_ID", until="READY", timeout=1800)
        await greenroom.wait(sessions.streams, "SESSION_ID/STREAM_ID", until="READY", timeout=150)

The service closed in October 2024, so there is no usual host, and botocore has no model of it: the
model is greenroom's own, and `endpoint_url` says where a server is that speaks like the service.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from greenroom._errors import (
    ConfigurationError,
    InvalidRequest,
    NotFound,
    SourceError,
    Unavailable,
)
from greenroom._states import Observation
from greenroom.sources import _nimble_reads as reads
from greenroom.sources import _nimble_tables as tables
from greenroom.sources._aws import call, open_client
from greenroom.sources._aws_json import read_json
from greenroom.sources._ids import checked_ids
from greenroom.sources._nimble_actions import SessionActions
from greenroom.sources._nimble_launch import REMEDIES, SESSION_LAUNCH, SessionSpec, read_specs
from greenroom.sources._nimble_model import MODELS
from greenroom.sources._nimble_tables import TABLES
from greenroom.sources._nimble_view import StreamingSession, VolumeConfiguration

if TYPE_CHECKING:
    from aiobotocore.session import AioSession


__all__ = [
    "KINDS",
    "REMEDIES",
    "SESSION_LAUNCH",
    "TABLES",
    "Resources",
    "SessionSpec",
    "StreamingSession",
    "StreamingSessions",
    "VolumeConfiguration",
    "connect",
    "read_specs",
]

MOST_ID = 256
"""Characters of an id at most."""

_LIST = str(reads.SESSION.lists)
_UNFIT = re.compile(r"[\s,/\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\.{0,2}$|^.{257}", re.DOTALL)


class Resources:
    """One kind of thing in a studio, read one by one.

    Attributes:
        kind: The kind's name, such as `nimble-launch-profile`.
        table: The kind's transition table.
        max_batch: Most ids in one `describe`.
        client: The open aiobotocore client, for every other call.
        studio_id: The studio.
    """

    def __init__(self, client: Any, studio_id: str, get: reads.Reads) -> None:
        self.kind = get.table.kind
        self.table = get.table
        self.max_batch = 1
        self.client = client
        self.studio_id = studio_id
        self._get = get
        self._in_one_part = len(get.parameters) == 1

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the states of at most `max_batch` things.

        Returns:
            What was seen, by id. An id that was asked for alone and is left out does not exist.

        Raises:
            InvalidRequest: An id cannot be one, or there are more than `max_batch`; nothing was
                called. Or the service says so.
            SourceError: There is no answer.
        """
        checked = checked_ids(self, ids, self._get.operation)
        seen = {id_: await self._read(id_) for id_ in checked}
        return {id_: observation for id_, observation in seen.items() if observation}

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id that no thing of this kind can have, or None."""
        if self._in_one_part and isinstance(id_, str) and _is_usual(id_):
            return None
        parts = id_.split("/") if isinstance(id_, str) else ()
        if len(parts) == len(self._get.parameters) and not any(map(_UNFIT.search, parts)):
            return None
        return f"{id_!r} is no id of a {self.kind}, which reads {self._get.id_form}"

    async def _read(self, id_: str) -> Observation | None:
        parts = dict(zip(self._get.parameters, id_.split("/"), strict=True))
        try:
            answer = await call(
                self.client, self._get.operation, {"studioId": self.studio_id} | parts, ids=(id_,)
            )
        except NotFound:
            return None
        resource = answer.get(self._get.result)
        observation = _observation(resource)
        name = self._get.parameters[-1]
        if observation is None or observation.resource.get(name, parts[name]) != parts[name]:
            raise self._garbage(self._get.operation)
        return observation

    def _garbage(self, operation: str) -> Unavailable:
        endpoint = self.client.meta.endpoint_url
        return Unavailable(
            f"{operation}: {endpoint} answered 200, but with nothing of what was asked for",
            operation=operation,
        )


class StreamingSessions(Resources, SessionActions):
    """The streaming sessions of a studio, up to a hundred in one call.

    Attributes:
        client: The open aiobotocore client, for every other call, such as
            `await sessions.client.list_streaming_session_backups(studioId=...)`.
        studio_id: The studio.
        streams: The sessions' streams; an id is `SESSION_ID/STREAM_ID`.
        launch_profiles: The studio's launch profiles.
        streaming_images: The studio's streaming images.
        studio_components: The studio's components.
        studios: Studios, of which an id may be any.
    """

    def __init__(self, client: Any, studio_id: str, *, batch: bool = True) -> None:
        super().__init__(client, studio_id, reads.SESSION)
        self.max_batch = reads.SESSION.max_batch if batch else 1
        self.streams = Resources(client, studio_id, reads.STREAM)
        self.launch_profiles = Resources(client, studio_id, reads.PROFILE)
        self.streaming_images = Resources(client, studio_id, reads.IMAGE)
        self.studio_components = Resources(client, studio_id, reads.COMPONENT)
        self.studios = Resources(client, studio_id, reads.STUDIO)

    @property
    def place(self) -> str:
        """The studio, wherever its server is at the moment."""
        return self.studio_id

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the states of at most `max_batch` sessions: one by Get, several by List.

        Returns:
            What was seen, by id. An id that was asked for alone and is left out does not exist;
            one that several were asked with is merely not listed.

        Raises:
            InvalidRequest: An id cannot be one, or there are more than `max_batch`; nothing was
                called. Or the service says so.
            SourceError: There is no answer.
        """
        return await self.describe_pages(ids, anyio.lowlevel.checkpoint)

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Read the states as `describe` does, awaiting `pay()` before every call but the first.

        The pages end when every id was seen, when the service has no further one, or when it hands
        out a page token for the second time.

        Raises:
            SourceError: As for `describe`.
        """
        checked = checked_ids(self, ids, self._get.operation)
        if len(checked) == 1:
            return await super().describe(checked)
        missing = set(checked)
        tokens: set[str] = set()
        query = {"studioId": self.studio_id, "sessionIds": ",".join(checked)}
        found: dict[str, Observation] = {}
        while missing:
            try:
                page = await self._list(query, checked)
                found |= self._listed(page, missing)
            except SourceError as error:
                error.seen = found
                raise
            missing -= found.keys()
            token = str(page.get("nextToken") or "")
            if not token or token in tokens or not missing:
                break
            tokens.add(token)
            query["nextToken"] = token
            await pay()
        return found

    async def _list(self, query: Mapping[str, str], ids: Sequence[str]) -> Mapping[str, Any]:
        try:
            return await call(self.client, _LIST, query, ids=ids)
        except NotFound as error:
            # A page can lack sessions without being an error: what was not found is the studio.
            raise InvalidRequest(
                f"studio {self.studio_id!r} does not exist: {error}",
                ids=ids,
                code=error.code,
                operation=_LIST,
            ) from error

    def _listed(self, page: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Observation]:
        sessions = page.get("sessions")
        if not isinstance(sessions, list):
            raise self._garbage(_LIST)
        listed = {}
        for session in sessions:
            id_ = session.get("sessionId") if isinstance(session, dict) else None
            if isinstance(id_, str) and id_ in wanted and (seen := _observation(session)):
                listed[id_] = seen
        return listed


KINDS: Mapping[str, Callable[[StreamingSessions], Resources]] = MappingProxyType(
    {
        tables.STREAMING_SESSION.kind: lambda sessions: sessions,
        tables.SESSION_STREAM.kind: lambda sessions: sessions.streams,
        tables.LAUNCH_PROFILE.kind: lambda sessions: sessions.launch_profiles,
        tables.STREAMING_IMAGE.kind: lambda sessions: sessions.streaming_images,
        tables.STUDIO_COMPONENT.kind: lambda sessions: sessions.studio_components,
        tables.STUDIO.kind: lambda sessions: sessions.studios,
    }
)
"""The source of every kind, from the sessions of an open connection."""


@asynccontextmanager
async def connect(
    *,
    studio_id: str,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    batch: bool = True,
    profile: str | None = None,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    session: AioSession | None = None,
) -> AsyncIterator[StreamingSessions]:
    """Open a connection to a studio, on asyncio or on trio.

    Region and credentials that are not given come from the usual AWS chain.

    Args:
        studio_id: The studio.
        region_name: The region.
        endpoint_url: The server. Required: the service itself has closed.
        batch: Whether several sessions are read by one List; if not, each is read by a Get.
        profile: The profile of the AWS configuration files.
        aws_access_key_id: The access key, first half.
        aws_secret_access_key: The access key, second half.
        aws_session_token: The token that goes with a temporary access key.
        session: An aiobotocore session to use instead of one of our own.

    Yields:
        The studio's sessions; the other kinds are its attributes.

    Raises:
        ConfigurationError: Something needed is missing or cannot be right. Nothing has been
            called yet.
    """
    if not endpoint_url:
        raise ConfigurationError(
            "endpoint_url is missing, and the Nimble Studio service, closed in October 2024, has "
            "no host any more. Start a simulated studio with `greenroom simulator` and pass the "
            'URL that it prints: connect(..., endpoint_url="http://127.0.0.1:8000")'
        )
    if not isinstance(studio_id, str) or not studio_id or _UNFIT.search(studio_id):
        raise ConfigurationError(
            f'studio_id={studio_id!r} is no studio id, such as studio_id="us-west-2-abc"'
        )
    async with open_client(
        "nimble",
        region_name=region_name,
        endpoint_url=endpoint_url,
        profile=profile,
        aws_access_key_id=aws_access_key_id,
        aws_secret_access_key=aws_secret_access_key,
        aws_session_token=aws_session_token,
        session=session,
        model_path=MODELS,
    ) as client:
        read_json(client)
        yield StreamingSessions(client, studio_id, batch=batch)


def _observation(resource: Any) -> Observation | None:
    """Return the state that a resource tells, or None if it tells none."""
    if not isinstance(resource, dict):
        return None
    get = resource.get
    state, reason, message = get("state"), get("statusCode"), get("statusMessage")
    changed_at = get("updatedAt")
    if not isinstance(state, str):
        return None
    return Observation(
        state,
        reason if isinstance(reason, str) else None,
        message if isinstance(message, str) else None,
        changed_at if isinstance(changed_at, datetime) else None,
        resource,
    )


def _is_usual(part: str) -> bool:
    """Return whether this is sure to be fit, which is quicker than to find out if it is unfit."""
    return len(part) <= MOST_ID and part.isascii() and part.replace("-", "").isalnum()
