"""Errors of greenroom's own, taken out of the groups that task groups wrap them in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from greenroom._errors import GreenroomError


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise the first of greenroom's own errors as it is, where the body raises nothing else.

    An error that is a bug stays in its group, with all the others beside it.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        known, others = group.split(GreenroomError)
        if known is None or others is not None:
            raise
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__
