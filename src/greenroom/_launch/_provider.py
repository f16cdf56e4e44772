"""What a launch asks of a source, besides states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from greenroom._errors import ConfigurationError
from greenroom._launch_kind import LaunchKind
from greenroom._source import Source
from greenroom._specs import Choice


class Provider(Source, Protocol):
    """A source whose sessions can be made and ended, as `nimble.connect` yields one.

    Every method is one API call. It raises `SourceError` where the service refuses, and
    `Throttled` or `Unavailable` where the same call may be made again with the same token.

    It may also have a `place`: a text that is the same wherever the same token names the same
    sessions, such as a region. A launch is resumed only where it was begun.

    Attributes:
        launches: What there is to know of the kind.
    """

    @property
    def launches(self) -> LaunchKind:
        """What there is to know of the kind."""
        ...

    async def create_sessions(
        self, spec: Any, choice: Choice, /, *, count: int, client_token: str
    ) -> Mapping[int, str]:
        """Ask for sessions that are alike, and return their ids by place.

        Places are 0 to `count` - 1. The same call with the same token returns the same. A place
        that is left out got no session, and will never get one by this token.

        Args:
            spec: What they are like, an instance of `launches.spec`; its key says nothing.
            choice: One of the spec's choices.
            count: How many, at most `launches.together`.
            client_token: 1 to 64 characters that name this request.
        """
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


def place_of(provider: object) -> str | None:
    """Return where a provider makes its sessions; None where it does not say.

    Raises:
        ConfigurationError: What it says is no text.
    """
    place = getattr(provider, "place", None)
    if place is not None and not (isinstance(place, str) and place):
        raise ConfigurationError(
            f"place={place!r} of a {type(provider).__name__} must be text that says where its "
            'sessions are, as place="us-west-2", or None'
        )
    return place


def kind_of(provider: object) -> LaunchKind:
    """Return what there is to know of the kind that a provider launches.

    Raises:
        ConfigurationError: It launches nothing.
    """
    launches = getattr(provider, "launches", None)
    if not isinstance(launches, LaunchKind):
        raise ConfigurationError(
            f"{type(provider).__name__} only reads: to launch, start, stop or delete, pass what "
            "`nimble.connect` or `ec2.connect` yields, or a provider with `launches`"
        )
    return launches
