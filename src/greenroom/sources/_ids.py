"""What every source does with the ids it is asked about, before it calls anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from greenroom._errors import InvalidRequest
from greenroom._states import TransitionTable


class _Checking(Protocol):
    table: TransitionTable
    max_batch: int

    def check_id(self, id_: str) -> str | None: ...


def checked_ids(source: _Checking, ids: Sequence[str], operation: str) -> tuple[str, ...]:
    """Return the ids, each once.

    Args:
        source: Who was asked. Its `check_id` says what is wrong with an id, or None.
        ids: What it was asked about.
        operation: What it would call, for the error.

    Raises:
        InvalidRequest: There are more of them than fit one call, or some cannot be ids.
    """
    unique = tuple(dict.fromkeys(ids))
    if len(unique) > source.max_batch:
        raise InvalidRequest(
            f"{len(unique)} ids in one describe of {source.table.kind}, "
            f"which takes {source.max_batch}",
            operation=operation,
        )
    wrong = {id_: problem for id_ in unique if (problem := source.check_id(id_))}
    if wrong:
        raise InvalidRequest("; ".join(wrong.values()), ids=wrong, operation=operation)
    return unique
