"""What the promises of the README mean, written anew: no code of the engine's is used here.

`Meaning` says what a state means for a goal, from the moves alone. `Belief` says what is known of
one session after the answers so far, and what that means for one who waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.campaign.journal import Shown

from greenroom import TransitionTable

PENDING, SUCCESS, FAILURE, UNREACHABLE = "pending", "success", "failure", "unreachable"
MISSING, TIMEOUT, ERROR, CANCELLED = "missing", "timeout", "error", "cancelled"


def _closure(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return for each state where one or more of these moves lead."""
    lead = {state: set(after) for state, after in edges.items()}
    growing = True
    while growing:
        growing = False
        for after in lead.values():
            further = set().union(*(lead[state] for state in after)) - after
            growing = growing or bool(further)
            after |= further
    return lead


class Meaning:
    """What states mean for goals."""

    def __init__(self, table: TransitionTable) -> None:
        self.gone = table.gone
        self._failures = table.failures
        self._moves = {state: set(after) for state, after in table.moves.items()}
        self._actions = {state: set(table.actions.get(state, {}).values()) for state in table.moves}
        self._leads = _closure(self._moves)
        self._both = {state: self._moves[state] | self._actions[state] for state in self._moves}

    def knows(self, state: str) -> bool:
        """Return whether the table has this state."""
        return state in self._moves

    def verdict(self, state: str, goal: frozenset[str]) -> str:
        """Return what a state means for a goal."""
        if state in goal or "*" in goal:
            return SUCCESS
        if not self.knows(state) or self._leads[state] & goal:
            return PENDING
        ended = any(
            state in after and self._leads[before] & goal for before, after in self._moves.items()
        )
        return FAILURE if state in self._failures and ended else UNREACHABLE

    def an_action_would_do(self, state: str, goal: frozenset[str]) -> bool:
        """Return whether the state is at rest, and what a caller may do there leads to the goal."""
        if not self.knows(state) or self._moves[state]:
            return False
        return any(after in goal or self._leads[after] & goal for after in self._actions[state])

    def skipped(self, before: str, after: str) -> tuple[str, ...]:
        """Return the states through which everything that leads from one to the other goes."""
        if before == after or not (self.knows(before) and self.knows(after)):
            return ()
        if after not in _closure(self._both)[before]:
            return ()
        proven = [
            state
            for state in self._moves
            if state not in (before, after) and after not in self._without(state)[before]
        ]
        return tuple(sorted(proven, key=lambda one: self._earlier(before, one, proven)))

    def _without(self, state: str) -> dict[str, set[str]]:
        return _closure({one: after - {state} for one, after in self._both.items() if one != state})

    def _earlier(self, before: str, one: str, proven: list[str]) -> int:
        """Return how many of these one has to have passed to come from `before` to `one`."""
        return sum(one != other and one not in self._without(other)[before] for other in proven)


@dataclass(frozen=True)
class Change:
    """A transition that has to be told."""

    before: str | None
    after: str | None
    at: float
    elapsed: float
    shown: Shown | None
    skipped: tuple[str, ...]


class Belief:
    """What is known of one session.

    Attributes:
        last: The last answer that was believed.
        whole: Whether its resource is still remembered.
        absences: Answers in a row that said not found, asked about it alone.
        asked_at: When the last answer believed was asked for.
        reads: Answers so far.
        perhaps: Answers more, which may have counted or not.
        changes: What has to have been told.
    """

    def __init__(self, meaning: Meaning, settle: float, grace: float) -> None:
        self.last: Shown | None = None
        self.whole = True
        self.absences = 0
        self.asked_at = -math.inf
        self.reads = 0
        self.perhaps = 0
        self.stale = 0
        self.changes: list[Change] = []
        self._meaning = meaning
        self._settle = settle
        self._grace = grace
        self._first_asked_at = math.inf
        self._seen_at = -math.inf
        self._moved_at = -math.inf

    @property
    def state(self) -> str | None:
        """The last state seen."""
        return None if self.last is None else self.last.state

    def see(self, shown: Shown, asked_at: float, now: float) -> bool:
        """Take in a state; return whether it is believed."""
        self.reads += 1
        last = self.last
        lately = now - self._seen_at < self._settle
        if last is not None and not self.absences and lately and _older(shown, last):
            self.stale += 1
            return False
        self._asked(asked_at)
        back = self.absences > 0
        before = None if last is None or back else last.state
        self.absences, self.last, self.whole, self._seen_at = 0, shown, True, now
        if last is None or back or last.state != shown.state:
            skipped = () if before is None else self._meaning.skipped(before, shown.state)
            self._change(before, shown.state, now, shown, skipped)
        return True

    def miss(self, asked_at: float, now: float) -> None:
        """Take in a not found."""
        self.reads += 1
        self._asked(asked_at)
        self.absences += 1
        if self.last is not None and self.absences == 1:
            self._change(self.last.state, None, now, None, ())

    def verdict(self, goal: frozenset[str], since: float, now: float) -> str:
        """Return what is known for a wait that began at `since`."""
        if self.asked_at < since:
            return PENDING
        if self.absences:
            if self._meaning.gone in goal:
                return SUCCESS if self.last is not None or self.absences > 1 else PENDING
            return PENDING if now - since < self._grace else MISSING
        if self.last is None:
            return PENDING
        verdict = self._meaning.verdict(self.last.state, goal)
        doubtful = (
            verdict in (FAILURE, UNREACHABLE)
            and now - since < self._settle
            and self._moved_at <= since
            and self._meaning.an_action_would_do(self.last.state, goal)
        )
        return PENDING if doubtful else verdict

    def doubtful(self, goal: frozenset[str]) -> bool:
        """Return whether a pending wait may be decided by the next answer even if it is no news."""
        if not self.reads:
            return False
        if self.last is None or self.absences:
            return True
        return self._meaning.verdict(self.last.state, goal) != PENDING

    def _asked(self, asked_at: float) -> None:
        self._first_asked_at = min(self._first_asked_at, asked_at)
        self.asked_at = max(self.asked_at, asked_at)

    def _change(
        self,
        before: str | None,
        after: str | None,
        now: float,
        shown: Shown | None,
        skipped: tuple[str, ...],
    ) -> None:
        elapsed = now - self._first_asked_at
        self.changes.append(Change(before, after, now, elapsed, shown, skipped))
        if before is not None:
            self._moved_at = now


def _older(one: Shown, other: Shown) -> bool:
    first, second = one.changed_at, other.changed_at
    if first is None or second is None or (first.tzinfo is None) != (second.tzinfo is None):
        return False
    return first < second
