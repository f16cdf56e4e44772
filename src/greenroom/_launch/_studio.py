"""What a launch asks of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from greenroom._reader import Source


class Studio(Source, Protocol):
    """A source whose sessions can be made and ended, as `nimble.connect` yields one.

    Every method is one API call. It raises `SourceError` where the service refuses, and
    `Throttled` or `Unavailable` where the same call may be made again with the same token.

    Attributes:
        streams: The source of the sessions' streams; an id is `SESSION_ID/STREAM_ID`.
    """

    @property
    def streams(self) -> Source:
        """The source of the sessions' streams."""
        ...

    async def create_session(
        self,
        *,
        launch_profile_id: str,
        client_token: str,
        streaming_image_id: str | None = None,
        instance_type: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Ask for a session, and return its id."""
        ...

    async def create_stream(
        self, session_id: str, *, client_token: str, expires_in: int | None = None
    ) -> str:
        """Ask for a stream of a session, and return the stream's id."""
        ...

    async def start_session(self, session_id: str, *, client_token: str) -> None:
        """Start a session."""
        ...

    async def stop_session(self, session_id: str, *, client_token: str) -> None:
        """Stop a session."""
        ...

    async def delete_session(self, session_id: str, *, client_token: str) -> None:
        """Delete a session."""
        ...
