"""How it ends for a workstation, before it stands in its line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenroom._errors import SourceError
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._remedies import Remedies
    from greenroom._results import WaitResult


class Ending(NamedTuple):
    """What becomes of a workstation.

    Attributes:
        verdict: The verdict.
        state: The last state seen of its session.
        reason: The code that explains it.
        message: The sentence that goes with it.
        cause: What the report groups it by; None for a success.
        row: The row of the remedies that the cause falls under, where it has none of its own.
        reads: Answers about its stream.
    """

    verdict: Verdict
    state: str | None = None
    reason: str | None = None
    message: str | None = None
    cause: str | None = None
    row: str | None = None
    reads: int = 0


def ending_of(result: WaitResult, remedies: Remedies) -> Ending:
    """Return how it ends for a session that was waited for.

    Where reading it was refused, the refusal has a row of the remedies, as that of a create has.
    """
    if result.verdict is Verdict.SUCCESS:
        return Ending(result.verdict, result.state, result.reason, result.message)
    message = result.message if result.verdict is Verdict.ERROR else result.explanation
    row = remedies.row_of(result.error) if isinstance(result.error, SourceError) else None
    return Ending(result.verdict, result.state, result.reason, message, cause_of(result), row)


def cause_of(result: WaitResult) -> str:
    """Return why a wait did not succeed: a status code, an error's code, or the verdict's name."""
    if result.verdict is Verdict.FAILURE:
        return result.reason or result.state or result.verdict.name
    return getattr(result.error, "code", None) or result.verdict.name
