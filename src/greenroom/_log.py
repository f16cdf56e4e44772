"""Events for operators: structlog, and silent unless the application configures logging.

Where the application has configured structlog, events go through its pipeline. Otherwise they go to
the standard library's `greenroom` logger, which has no output of its own until somebody gives it
one. Event names are stable and listed in the README; ids are bound as `kind` and `id`.
"""

from __future__ import annotations

import logging
from typing import Any

_STANDARD = logging.getLogger("greenroom")
_STANDARD.addHandler(logging.NullHandler())


class Log:
    """Tells events, and lives through a pipeline that breaks.

    A pipe that nobody reads any more or a processor with a bug is no reason to end a wait. It is
    told as the standard library tells of a handler that failed: on stderr, unless
    `logging.raiseExceptions` is off.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def info(self, event: str, **fields: object) -> None:
        """Tell what is as it should be."""
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what somebody may want to look at."""
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what somebody has to mend."""
        self._tell("error", event, fields)

    def _tell(self, level: str, event: str, fields: dict[str, object]) -> None:
        try:
            getattr(self._logger, level)(event, **fields)
        except Exception:  # noqa: BLE001  # the application's pipeline may raise anything
            logging.Handler().handleError(logging.makeLogRecord({"msg": event}))


def logger(**bound: object) -> Log:
    """Return a logger with `bound` in every event."""
    import structlog  # which costs as much as everything else here, and rich with it

    if structlog.is_configured():
        return Log(structlog.get_logger(**bound))
    wrapped = structlog.wrap_logger(
        _STANDARD,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return Log(wrapped.bind(**bound))
