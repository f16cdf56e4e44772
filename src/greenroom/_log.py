"""Events for operators: structlog, and silent unless the application configures logging.

Where the application has configured structlog, events go through its pipeline. Otherwise they go to
the standard library's `greenroom` logger, which has no output of its own until somebody gives it
one. Event names are stable and listed in the README; ids are bound as `kind` and `id`.
"""

from __future__ import annotations

import logging
from typing import cast

import structlog

_STANDARD = logging.getLogger("greenroom")
_STANDARD.addHandler(logging.NullHandler())


def logger(**bound: object) -> structlog.typing.FilteringBoundLogger:
    """Return a logger with `bound` in every event."""
    if structlog.is_configured():
        return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(**bound))
    wrapped = structlog.wrap_logger(
        _STANDARD,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return cast("structlog.typing.FilteringBoundLogger", wrapped.bind(**bound))
