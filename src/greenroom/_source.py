"""What the engine asks of whatever reads states, and what it takes for an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, runtime_checkable

from greenroom._errors import Unavailable
from greenroom._states import Observation, TransitionTable


class Source(Protocol):
    """What reads states.

    It may also say what suits it, where a poller is not told otherwise: `not_found_grace`, the
    seconds after the start of a wait in which not found may be too early, and `price`, the seconds
    of waiting, added up over all, that a full call of it is worth.

    Attributes:
        table: The transition table of what it reads.
        max_batch: Most ids in one `describe`.
    """

    @property
    def table(self) -> TransitionTable:
        """The transition table of what it reads."""
        ...

    @property
    def max_batch(self) -> int:
        """Most ids in one `describe`, at least 1."""
        ...

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the sessions in one API call.

        An id left out of the answer to a question about it alone does not exist. One left out of
        the answer to a question about many is asked for alone before that is believed.

        Raises:
            SourceError: There is no answer. `AccessDenied` and `InvalidRequest` end the waits that
                they are about. Everything else is tried again, until the deadlines of those who
                wait; so is any other exception, which is also logged with its traceback.
        """
        ...


@runtime_checkable
class PagedSource(Source, Protocol):
    """A source whose answer may take several API calls."""

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Read the sessions, as `describe` does, awaiting `pay()` before every call but the first.

        Raises:
            SourceError: As for `describe`. What earlier calls have shown goes with it as its
                `seen`, so that it is not lost.
        """
        ...


def checked(seen: Mapping[str, Observation], asked: Sequence[str]) -> Mapping[str, Observation]:
    """Return what `seen` says about those asked for; what is no observation is no answer.

    Raises:
        Unavailable: It is not what a source must return.
    """
    if not isinstance(seen, Mapping):
        raise Unavailable(f"the source returned {type(seen).__name__}, not a mapping from id")
    wanted = {id_: seen[id_] for id_ in asked if id_ in seen}
    for id_, one in wanted.items():
        if not (
            isinstance(one, Observation)
            and isinstance(one.state, str)
            and (one.reason is None or isinstance(one.reason, str))
            and (one.message is None or isinstance(one.message, str))
            and (one.changed_at is None or isinstance(one.changed_at, datetime))
        ):
            raise Unavailable(f"the source returned {one!r} for {id_}: no observation")
        if one.changed_at is not None and not _is_comparable(one.changed_at):
            wanted[id_] = replace(one, changed_at=None)
    return wanted


def _is_comparable(moment: datetime) -> bool:
    """Return whether a time has an offset, or no zone at all; some zones do not know theirs."""
    try:
        return (moment.tzinfo is None) == (moment.utcoffset() is None)
    except Exception:  # noqa: BLE001  # a tzinfo of somebody else's may raise anything
        return False
