"""The one exception of the simulated studio: an error that the service would answer."""

from __future__ import annotations

from greenroom.simulator._facts import ERRORS


class StudioError(Exception):
    """A request that the studio refuses.

    Attributes:
        code: One of the service's seven errors, such as `ConflictException`.
        message: What is wrong, for people.
        status: The HTTP status that goes with the code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = ERRORS[code]
