"""What is handed to the people who wait: a transition, a result, and the results of a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from greenroom._errors import (
    GoalUnreachable,
    GreenroomError,
    SessionMissing,
    WaitError,
    WaitFailed,
    WaitsFailed,
    WaitTimeout,
)
from greenroom._states import ANY_STATE, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._states import Goal, TransitionTable


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one session, as a read brought it to light.

    Attributes:
        id: The session.
        before: The state seen before, or None at first sight and after an absence.
        after: The state seen now, or None where the service no longer knows the session.
        reason: The status code beside the new state, or None.
        message: The service's sentence beside it, or None.
        at: When this read showed it (aware, UTC).
        changed_at: When the service says that it happened, or None.
        elapsed: Seconds from the moment this session was first asked for.
        skipped: States that it passed between `before` and `after`, in order: unseen between two
            reads, as far as the transition table proves it; or seen, and told late by a watch whose
            consumer was slow (the last 16).
    """

    id: str
    before: str | None
    after: str | None
    at: datetime
    elapsed: float
    reason: str | None = None
    message: str | None = None
    changed_at: datetime | None = None
    skipped: tuple[str, ...] = ()

    @property
    def state(self) -> str | None:
        """The state seen now; the same as `after`."""
        return self.after


@dataclass(frozen=True, slots=True)
class WaitResult:
    """How one wait ended, and on what evidence.

    Attributes:
        id: The session.
        verdict: SUCCESS, FAILURE, UNREACHABLE, MISSING, TIMEOUT, ERROR or CANCELLED.
        state: The last state seen, or None if there never was one.
        reason: The status code beside that state, or None.
        message: The service's own sentence, or what went wrong where the verdict is ERROR.
        elapsed: Seconds from the start of the wait, on the event loop's clock.
        reads: Answers about this session that arrived during the wait.
        history: The transitions seen during the wait, oldest first. Where the session was polled
            before the wait began, the first is the one that led to the state it was then in.
        resource: The service's own dict of this session from the last read; empty without one.
        goal: The states that were waited for.
        explanation: One sentence for people: what happened and what it would take.
        error: What the source raised, where the verdict is ERROR; else None.
    """

    id: str
    verdict: Verdict
    state: str | None
    reason: str | None
    message: str | None
    elapsed: float
    reads: int
    history: tuple[Transition, ...] = field(default=(), repr=False)
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    goal: Goal = frozenset()
    explanation: str = field(default="", repr=False)
    error: GreenroomError | None = None

    def raise_for_failure(self) -> None:
        """Raise the error that belongs to the verdict; return for SUCCESS.

        Raises:
            WaitFailed: The verdict is FAILURE.
            GoalUnreachable: The verdict is UNREACHABLE.
            SessionMissing: The verdict is MISSING.
            WaitTimeout: The verdict is TIMEOUT.
            GreenroomError: The verdict is ERROR or CANCELLED: what the source raised, or
                `PollerClosed`.
        """
        if self.verdict is Verdict.SUCCESS:
            return
        if self.error is not None:
            raise self.error
        raise _ERRORS.get(self.verdict, WaitError)(self.explanation, self)


_ERRORS: Mapping[Verdict, type[WaitError]] = MappingProxyType(
    {
        Verdict.FAILURE: WaitFailed,
        Verdict.UNREACHABLE: GoalUnreachable,
        Verdict.MISSING: SessionMissing,
        Verdict.TIMEOUT: WaitTimeout,
    }
)


class WaitResults(Mapping[str, WaitResult]):
    """The results of a group: id to `WaitResult`, in the order in which the ids were given."""

    def __init__(self, results: Mapping[str, WaitResult]) -> None:
        self._results = dict(results)

    def __getitem__(self, session_id: str) -> WaitResult:
        return self._results[session_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return (
            f"<WaitResults: {len(self.succeeded)} succeeded, {len(self.failed)} failed, "
            f"{len(self.timed_out)} timed out>"
        )

    @property
    def succeeded(self) -> tuple[WaitResult, ...]:
        """The results whose verdict is SUCCESS."""
        return self._with(Verdict.SUCCESS)

    @property
    def failed(self) -> tuple[WaitResult, ...]:
        """The results that neither succeeded nor timed out, whatever their verdict."""
        return self._with(*set(Verdict) - {Verdict.SUCCESS, Verdict.TIMEOUT})

    @property
    def timed_out(self) -> tuple[WaitResult, ...]:
        """The results whose verdict is TIMEOUT."""
        return self._with(Verdict.TIMEOUT)

    def raise_for_failures(self) -> None:
        """Return if every member succeeded.

        Raises:
            WaitsFailed: At least one member did not, timed out included.
        """
        bad = {
            session_id: result
            for session_id, result in self.items()
            if result.verdict is not Verdict.SUCCESS
        }
        if bad:
            shown = [result.explanation for result in bad.values()][:3]
            more = f"; and {len(bad) - len(shown)} more" if len(bad) > len(shown) else ""
            raise WaitsFailed(f"{len(bad)} of {len(self)} failed: {'; '.join(shown)}{more}", bad)

    def _with(self, *verdicts: Verdict) -> tuple[WaitResult, ...]:
        return tuple(result for result in self._results.values() if result.verdict in verdicts)


def explain(result: WaitResult, table: TransitionTable, trouble: str | None = None) -> str:
    """Return one sentence about a result: what was seen, and what it would take to go on.

    Args:
        result: The result, its own explanation still empty.
        table: The kind's table.
        trouble: Why the latest call failed, or has no answer yet, if that is so.
    """
    goal = "any state" if result.goal == ANY_STATE else " or ".join(sorted(result.goal))
    where = f"{result.id} is {result.state}" if result.state else f"{result.id} was never seen"
    because = f" ({result.reason})" if result.reason else ""
    fault = table.explain(result.reason)
    tail = f": {fault}" if fault else f": {result.message}" if result.message else ""
    match result.verdict:
        case Verdict.SUCCESS if result.state in result.goal or result.goal == ANY_STATE:
            return f"{where}{because}"
        case Verdict.SUCCESS:
            seen = f", last seen {result.state}" if result.state else ""
            return f"{result.id} no longer exists{seen}"
        case Verdict.FAILURE:
            return f"{where}{because}, which ends the way to {goal}{tail}"
        case Verdict.UNREACHABLE:
            actions = table.awaits_action(result.state or "", result.goal)
            hint = f"; only a {' or '.join(actions)} leads on from here" if actions else ""
            return f"{where}{because} and can never become {goal} by itself{tail}{hint}"
        case Verdict.MISSING:
            seen = f", last seen {result.state}" if result.state else ""
            return f"{result.id} does not exist{seen}"
        case Verdict.TIMEOUT if result.state is None and not result.reads and not trouble:
            return (
                f"{result.id} was never read within {result.elapsed:.1f} s: its turn had not come; "
                "a higher rate would reach it"
            )
        case Verdict.TIMEOUT if result.state is None:
            why = trouble or "not found so far, which may be too early to tell"
            return f"{result.id} was not seen within {result.elapsed:.1f} s: {why}"
        case Verdict.ERROR:
            return f"{result.id} was refused: {result.message}"
        case Verdict.TIMEOUT:
            known = result.state in table.moves
            because += "" if known else f", which is no state of {table.kind}"
            failing = f"; the latest call failed: {trouble}" if trouble else ""
            return f"{where}{because}, not {goal}, after {result.elapsed:.1f} s{failing}"
        case _:
            return f"{where}{because}: {result.message or result.verdict.value}"
