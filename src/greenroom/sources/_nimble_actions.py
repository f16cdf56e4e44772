"""What can be done to streaming sessions, one API call each: create, start, stop, delete, stream.

A call that got no answer may have been carried out all the same. Repeat it with the same client
token: the service then answers as if it had been asked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom._errors import Unavailable
from greenroom.sources._aws import call
from greenroom.sources._nimble_launch import SessionLaunches


class SessionActions(SessionLaunches):
    """The actions of a studio. Each raises `SourceError` where there is no good answer.

    Attributes:
        client: The open aiobotocore client.
        studio_id: The studio.
    """

    client: Any
    studio_id: str

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
        """Ask for a session, and return its id.

        Args:
            launch_profile_id: The launch profile.
            client_token: 1 to 64 characters that name this request.
            streaming_image_id: The image; None for the profile's own.
            instance_type: The type of machine; None for the profile's own.
            owner: Who is to own it; None for the caller.
            tags: Its tags.
        """
        wanted = {
            "launchProfileId": launch_profile_id,
            "streamingImageId": streaming_image_id,
            "ec2InstanceType": instance_type,
            "ownedBy": owner,
            "tags": dict(tags) if tags else None,
            "clientToken": client_token,
        }
        return await self._made("CreateStreamingSession", wanted, "session", "sessionId")

    async def create_stream(
        self, session_id: str, *, client_token: str, expires_in: int | None = None
    ) -> str:
        """Ask for a stream of a READY session, and return the stream's id.

        Args:
            session_id: The session.
            client_token: 1 to 64 characters that name this request.
            expires_in: Seconds for which it can be opened, 60 to 3600; None for the service's own.
        """
        wanted = {
            "sessionId": session_id,
            "expirationInSeconds": expires_in,
            "clientToken": client_token,
        }
        return await self._made("CreateStreamingSessionStream", wanted, "stream", "streamId")

    async def start_session(self, session_id: str, *, client_token: str) -> None:
        """Start a STOPPED session."""
        await self._act("StartStreamingSession", session_id, client_token)

    async def stop_session(self, session_id: str, *, client_token: str) -> None:
        """Stop a READY session."""
        await self._act("StopStreamingSession", session_id, client_token)

    async def delete_session(self, session_id: str, *, client_token: str) -> None:
        """Delete a session that is in no transition."""
        await self._act("DeleteStreamingSession", session_id, client_token)

    async def _act(self, operation: str, session_id: str, client_token: str) -> None:
        wanted = {"sessionId": session_id, "clientToken": client_token}
        await self._made(operation, wanted, "session", "sessionId")

    async def _made(
        self, operation: str, wanted: Mapping[str, Any], member: str, identifier: str
    ) -> str:
        answer = (await self._ask(operation, wanted)).get(member)
        made = answer.get(identifier) if isinstance(answer, dict) else None
        if not isinstance(made, str) or not made:
            raise Unavailable(
                f"{operation}: {self.client.meta.endpoint_url} answered 200, but with no "
                f"{identifier}",
                operation=operation,
            )
        return made

    async def _ask(self, operation: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        params = {name: value for name, value in wanted.items() if value is not None}
        ids = [params["sessionId"]] if "sessionId" in params else []
        return await call(self.client, operation, {"studioId": self.studio_id} | params, ids=ids)
