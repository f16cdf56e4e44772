"""Client tokens: how a repeated request is told from a new one.

A client that gets no answer cannot know whether its request was carried out. It sends the same
request again, with the same token, and the service answers as if it had been asked once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.simulator._errors import StudioError

if TYPE_CHECKING:
    from collections.abc import Hashable


class Requests:
    """The requests that came with a token. Tokens are separate for every target."""

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, str], tuple[Hashable, Any]] = {}

    def repeated(self, token: str | None, target: Hashable, asked: Hashable) -> Any:
        """Return what the first request with this token was about, or None if this is the first.

        Args:
            token: The client token; None makes every request a new one.
            target: What the request acts on, and how.
            asked: Its parameters.

        Raises:
            StudioError: ValidationException for a token that is too long or empty;
                ConflictException for one that came before with other parameters.
        """
        if token is None:
            return None
        if not 1 <= len(token) <= 64:
            raise StudioError("ValidationException", "a client token has 1 to 64 characters")
        before, subject = self._known.get((target, token), (asked, None))
        if before != asked:
            raise StudioError(
                "ConflictException", "this client token was used with other parameters before"
            )
        return subject

    def remember(self, token: str | None, target: Hashable, asked: Hashable, subject: Any) -> None:
        """Keep what a request was about, to be returned when it is repeated."""
        if token is not None:
            self._known[target, token] = (asked, subject)
