"""Lists in pages, chained by tokens.

A token says how far the list has been read. It is sealed with the filters that the list was asked
with, so that it cannot be spent on another list: the server would have to guess what is meant.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom.simulator._errors import StudioError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        sessions: The sessions on it.
        next_token: What to ask for the next page with; None on the last page.
    """

    sessions: list[dict[str, Any]]
    next_token: str | None = None


def paginate(
    candidates: Sequence[str],
    shown: Callable[[str], dict[str, Any] | None],
    size: int,
    filters: tuple[str | None, ...],
    token: str | None,
) -> Page:
    """Return the page of `candidates` that begins where `token` says.

    Args:
        candidates: The ids that may be on the list, in an order that only ever grows at its end.
        shown: Describes a candidate, or returns None for one that is not on the list.
        size: How many a page holds.
        filters: What the list was asked with.
        token: Where the page before ended; None for the first.

    Raises:
        StudioError: ValidationException for a token that belongs to another list, or to none.
    """
    seal = hashlib.sha256(repr(filters).encode()).hexdigest()[:16]
    position = 0 if token is None else _open(token, seal)
    sessions: list[dict[str, Any]] = []
    for index in range(position, len(candidates)):
        if len(sessions) == size:
            return Page(sessions, _seal(index, seal))
        if (session := shown(candidates[index])) is not None:
            sessions.append(session)
    return Page(sessions)


def _seal(position: int, seal: str) -> str:
    return base64.urlsafe_b64encode(f"{position}.{seal}".encode()).decode()


def _open(token: str, seal: str) -> int:
    try:
        position, _, sealed_with = base64.urlsafe_b64decode(token).decode().partition(".")
        if sealed_with == seal:
            return int(position)
    except (binascii.Error, ValueError):
        pass
    raise StudioError("ValidationException", "nextToken was not given by a list with these filters")
