"""What a state means for a goal: the theory, and the table that carries it.

A *session* is anything remote with a state that changes on its own: a workstation, a stream, an
image. Two parties move it. The **service** moves it by itself, in its own time: from
CREATE_IN_PROGRESS to READY or to CREATE_FAILED. A **caller** moves it by an action: from STOPPED,
by *start*, to START_IN_PROGRESS. A wait is a bet on the first party alone; nobody who waits also
acts. So the question *is it worth waiting on?* is a question of reachability over the service's
moves, and the answer to it is a **verdict**:

- SUCCESS: the state is in the goal.
- PENDING: the goal can still be reached by moves that the service makes by itself.
- FAILURE: it cannot, and the session stands in a failure state at the end of the very operation
  that could have led to the goal: CREATE_FAILED, for someone who waits for READY.
- UNREACHABLE: it cannot, for any other reason: DELETED, for someone who waits for READY; and
  STOP_FAILED too, because no stop ever leads there.

A state at rest from which one caller's action could lead to the goal (STOPPED, for READY) is
UNREACHABLE all the same: the table judges the state, not how fresh the news of it is. That reads
lie for a while after an action is the tracker's business.

What is not modelled: how long a move takes (the schedule's business); moves on a timetable that the
resource itself announces, such as the automatic stop of a session hours from now, since a wait for
them is a wait for the clock; and states that the service may grow after the table was written:
those are PENDING, because waiting on can be undone and giving up cannot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from greenroom._errors import TableError

if TYPE_CHECKING:
    from datetime import datetime

Goal = frozenset[str]
"""The states that a wait is for; reaching any one of them is success."""

ANY_STATE: Goal = frozenset({"*"})
"""The goal of a mere look: whatever the state is, it is what was asked for."""


class Verdict(StrEnum):
    """What a state means for a goal, or how a wait ended.

    The first four are words of the transition table. The other four can only end a wait.
    """

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    UNREACHABLE = "unreachable"

    MISSING = "missing"
    TIMEOUT = "timeout"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Observation:
    """One session's state, as one read showed it.

    Attributes:
        state: The service's own word, such as `READY`.
        reason: The service's status code beside the state, or None.
        message: The service's sentence for people, or None.
        changed_at: When the service says that the session last changed (aware), or None.
        resource: The service's whole answer about this session.
    """

    state: str
    reason: str | None = None
    message: str | None = None
    changed_at: datetime | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class TransitionTable:
    """The states of one kind of session, and what each means for every goal.

    Attributes:
        kind: The kind's name, such as `nimble-session`.
        moves: Every state, with the states that the service may lead to from it by itself.
        actions: Per state, the caller's actions allowed there and the state each leads to.
        failures: The states that the kind calls failures.
        goals: The states that people wait for, most usual first. Any state may be a goal; these
            are the ones that a printed table shows.
        gone: The state that a session the service has forgotten was last in, or None where
            absence means nothing.
        faults: Status codes that explain a failure, each with what it means for a person.

    Raises:
        TableError: A state is named that `moves` does not define, a goal cannot be reached from
            any other state, or a state is both a failure and a goal.
    """

    kind: str
    moves: Mapping[str, Collection[str]]
    failures: frozenset[str]
    goals: tuple[str, ...]
    actions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gone: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.moves:
            raise TableError(f"{self.kind}: a table needs at least one state in moves={{...}}")
        lists: dict[str, object] = {**self.moves, "goals": self.goals, "failures": self.failures}
        for where, listed in lists.items():
            if isinstance(listed, str):
                raise TableError(f"{self.kind}: {where}: {listed!r} is text; write ({listed!r},)")
        named: dict[str, Iterable[str]] = {
            "moves": (after for moves in self.moves.values() for after in moves),
            "failures": self.failures,
            "goals": self.goals,
            "actions": (
                state
                for before, actions in self.actions.items()
                for state in (before, *actions.values())
            ),
            "gone": () if self.gone is None else (self.gone,),
        }
        for where, states in named.items():
            for state in states:
                if state not in self.moves:
                    raise TableError(f"{self.kind}: {where} names {self._unknown(state)}")
        for state in self.goals:
            if state in self.failures:
                raise TableError(f"{self.kind}: {state} cannot be both a goal and a failure")
            if not any(state in self._reach[other] for other in self.moves if other != state):
                raise TableError(f"{self.kind}: no other state leads to the goal {state}")

    @property
    def states(self) -> tuple[str, ...]:
        """Every state of the kind, in the order of the table."""
        return tuple(self.moves)

    def goal(self, until: str | Iterable[str], *, what: str = "until") -> Goal:
        """Return `until` as a checked goal.

        Args:
            until: A state, or several.
            what: What an error calls it.

        Raises:
            TableError: `until` is empty or names a state that the kind does not have.
        """
        try:
            goal = frozenset((until,) if isinstance(until, str) else until)
        except TypeError:
            raise TableError(
                f"{self.kind}: {what}={until!r} is no state and no list of states"
            ) from None
        if goal == ANY_STATE:
            return goal
        if not goal:
            raise TableError(f"{self.kind}: {what} is empty; name a state, as {self.goals[0]!r}")
        for state in sorted(goal, key=str):
            if state not in self.moves:
                raise TableError(f"{self.kind}: {what} names {self._unknown(state)}")
        return goal

    def verdict(self, state: str, until: str | Iterable[str]) -> Verdict:
        """Return what `state` means for a wait for `until`.

        A state that the table does not know is PENDING. The answer is one of PENDING, SUCCESS,
        FAILURE and UNREACHABLE.

        Raises:
            TableError: `until` is empty or names a state that the kind does not have.
        """
        goal = frozenset((until,) if isinstance(until, str) else until)
        known = self._verdicts.get((state, goal))
        if known is None:
            known = self._verdicts[state, goal] = self._judge(state, self.goal(goal))
        return known

    def awaits_action(self, state: str, goal: Goal) -> tuple[str, ...]:
        """Return the caller's actions that would lead on from `state` towards `goal`.

        Empty unless the state is at rest: where the service itself moves on, or nothing does, no
        action is being waited for.
        """
        if self.moves.get(state):
            return ()
        return tuple(
            action
            for action, after in self.actions.get(state, {}).items()
            if after in goal or goal & self._reach[after]
        )

    def skipped(self, before: str, after: str) -> tuple[str, ...]:
        """Return the states that every path from `before` to `after` goes through, in order.

        Paths use the moves of both parties. Where no path is known, nothing is proven: `()`.
        """
        path = self._path(before, after)
        return tuple(state for state in path[1:-1] if not self._path(before, after, without=state))

    def explain(self, reason: str | None) -> str | None:
        """Return what the status code `reason` means for a person, or None if it is no fault."""
        return None if reason is None else self.faults.get(reason)

    def _judge(self, state: str, goal: Goal) -> Verdict:
        if state in goal or goal == ANY_STATE:
            return Verdict.SUCCESS
        if state not in self.moves or goal & self._reach[state]:
            return Verdict.PENDING
        if state in self.failures and any(
            state in after and goal & self._reach[before] for before, after in self.moves.items()
        ):
            return Verdict.FAILURE
        return Verdict.UNREACHABLE

    @cached_property
    def _verdicts(self) -> dict[tuple[str, Goal], Verdict]:
        return {}

    @cached_property
    def _reach(self) -> dict[str, Goal]:
        """For every state, where the service may lead from it in any number of moves."""
        reach: dict[str, Goal] = {}
        for start in self.moves:
            seen: set[str] = set()
            ahead = list(self.moves[start])
            while ahead:
                state = ahead.pop()
                if state not in seen:
                    seen.add(state)
                    ahead += self.moves.get(state, ())
            reach[start] = frozenset(seen)
        return reach

    def _path(self, before: str, after: str, without: str | None = None) -> tuple[str, ...]:
        """Return a shortest path over everybody's moves that avoids `without`, or `()`."""
        came: dict[str, str | None] = {before: None}
        ahead = [before]
        for state in ahead:
            if state == after and came[state] is not None:
                break
            for following in (*self.moves.get(state, ()), *self.actions.get(state, {}).values()):
                if following not in came and following != without:
                    came[following] = state
                    ahead.append(following)
        if after == before or after not in came:
            return ()
        path = [after]
        while (previous := came[path[-1]]) is not None:
            path.append(previous)
        return tuple(reversed(path))

    def _unknown(self, state: object) -> str:
        alike = {known.casefold(): known for known in self.moves}
        close = get_close_matches(str(state).casefold(), alike, n=1)
        hint = f"did you mean {alike[close[0]]!r}?" if close else f"it has {', '.join(self.moves)}"
        return f"the unknown state {state!r}; {hint}"
