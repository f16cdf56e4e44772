"""The error family: one root, and every error carries its evidence as attributes.

Three branches, by who can do something about it:

- `WaitError`: the wait is over and the goal was not reached. `.result` says all that was seen.
- `SourceError`: the service answered something other than a state, or nothing. The poller lives
  through most of these; `AccessDenied` and `InvalidRequest` end the waits that they concern.
- `TableError` and `ConfigurationError`: the program is wrong; nothing has been called yet. A
  `SpecError` is of this branch too: the list of what to launch is wrong.

Beside them stands `JournalError`: the record of a launch cannot be read, or cannot be written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from greenroom._results import WaitResult
    from greenroom._states import Observation


def worded(error: Exception) -> str:
    """Return the type and the message of anybody's exception, whose `__str__` may raise as well."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # a broken exception is no reason for another
        return f"{type(error).__name__}, whose message cannot be read"


class GreenroomError(Exception):
    """Root of every error that greenroom raises on purpose."""


class ConfigurationError(GreenroomError, ValueError):
    """Something needed before the first call is missing or wrong; the message shows the fix."""


class SpecError(ConfigurationError):
    """What is to be launched cannot be right. Nothing has been created.

    Attributes:
        problems: Every problem, each with the line or the place it is at.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        shown = "; ".join(self.problems[:_SHOWN_PROBLEMS])
        more = len(self.problems) - _SHOWN_PROBLEMS
        super().__init__(f"{shown}; and {more} more" if more > 0 else shown)

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


_SHOWN_PROBLEMS = 20


class JournalError(GreenroomError):
    """The journal of a launch cannot be used. The message says why, and what can be done.

    Attributes:
        path: The journal.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[type[JournalError], tuple[str, str]]:
        return type(self), (str(self), self.path)


class TableError(GreenroomError, ValueError):
    """A transition table contradicts itself, or was asked about a state it does not have."""


class PollerClosed(GreenroomError):
    """The poller was closed, or never entered, while something waited on it."""


class WaitError(GreenroomError):
    """A wait ended without reaching its goal.

    Attributes:
        result: The `WaitResult`: verdict, last state, reason, history, and the whole resource.
    """

    def __init__(self, message: str, result: WaitResult) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[type[WaitError], tuple[str, WaitResult]]:
        return type(self), (str(self), self.result)


class WaitTimeout(WaitError, TimeoutError):
    """The deadline came while the goal could still have been reached."""


class WaitFailed(WaitError):
    """The session entered a state that the kind calls a failure of this goal."""


class GoalUnreachable(WaitError):
    """The service will never lead from the session's state to the goal by itself."""


class SessionMissing(WaitError):
    """The service, asked for this id alone, does not know it."""


class WaitsFailed(WaitError):
    """Some members of a `wait_all` did not reach the goal.

    Attributes:
        result: The first unsuccessful result, in the order the ids were given.
        results: Every unsuccessful result by id, in the same order.
    """

    def __init__(self, message: str, results: Mapping[str, WaitResult]) -> None:
        super().__init__(message, next(iter(results.values())))
        self.results = results

    def __reduce__(self) -> tuple[type[WaitsFailed], tuple[str, Mapping[str, WaitResult]]]:  # type: ignore[override]  # the two constructors differ
        return type(self), (str(self), self.results)


class SourceError(GreenroomError):
    """A call did not bring states.

    Attributes:
        ids: The ids that the service names as the cause; empty where it names none.
        code: The service's own error code, such as `ValidationException`, or None.
        operation: The operation that was called, or None.
        retry_after: Seconds the service asks us to stay away, or None where it does not say.
        seen: What was read before it, by id, where an answer takes several calls.
    """

    def __init__(
        self,
        message: str,
        *,
        ids: Iterable[str] = (),
        code: str | None = None,
        operation: str | None = None,
        retry_after: float | None = None,
        seen: Mapping[str, Observation] | None = None,
    ) -> None:
        super().__init__(message)
        self.ids = tuple(ids)
        self.code = code
        self.operation = operation
        self.retry_after = _seconds(retry_after)
        self.seen: Mapping[str, Observation] = {} if seen is None else seen


def _seconds(asked: float | None) -> float | None:
    """Return seconds that can be waited, or None: what a service asks for may be garbage."""
    sound = isinstance(asked, (int, float)) and 0 <= asked < math.inf
    return asked if sound else None


class AccessDenied(SourceError):
    """The caller may not ask. Ends the waits of every id in the call at once."""


class InvalidRequest(SourceError):
    """The service refuses the request as malformed. Ends the waits of the ids it is about.

    Where `ids` names every id of the call, all of them are refused at once; where it names some or
    none, the others are found out by asking again.
    """


class NotFound(SourceError):
    """The one thing asked for does not exist. Sources turn it into an absent id."""


class Conflict(SourceError):
    """The action does not fit the present state of the thing."""


class QuotaExceeded(SourceError):
    """The account holds as much of this as it may; something has to end first."""


class Throttled(SourceError):
    """The service asks us to slow down."""


class Unavailable(SourceError):
    """No usable answer: no connection, a server error, an HTML page, or a garbage 200."""
