"""One session's memory: what was seen of it, and what that means for each who waits on it.

A tracker is fed answers and asked for verdicts. It adds to the transition table the one thing that
a table cannot know: **reads lie**. A service answers from replicas, and right after an action some
of them still tell the old story. Four rules follow, all bounded in time, so that a service that
really behaves oddly is believed in the end:

- A wait is decided only by answers that were asked for after it began.
- A state at rest that a caller's action would lead on from (STOPPED, for someone who waits for
  READY) may be old news: PENDING for `settle` seconds from the start of the wait, unless the
  session has been seen to move since then.
- An answer that by its own timestamp is older than one already seen is old news, and not a
  transition, for `settle` seconds after the newer one.
- Not found, right after a create, is PENDING for `not_found_grace` seconds from the start of the
  wait; later the session is MISSING. For someone who waits for the state in which the service
  forgets sessions, absence *is* the goal: at once if the session was ever seen, else on the second
  answer that says so.

Pure: `now` is injected, in seconds on any clock that does not go back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from greenroom._results import Transition
from greenroom._states import Goal, Observation, TransitionTable, Verdict

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long news that may be old is not acted on.

    Attributes:
        settle: Seconds after the start of a wait in which a state at rest may be old news.
        not_found_grace: Seconds after the start of a wait in which not found may be too early.
    """

    settle: float = 30.0
    not_found_grace: float = 30.0

    @property
    def durations(self) -> frozenset[float]:
        """Seconds after the start of a wait at which some doubt ends."""
        return frozenset((self.settle, self.not_found_grace))


class Tracker:
    """The memory of one session.

    Attributes:
        id: The session.
        observation: The last answer believed, or None while the session was never seen.
        asked_at: When the last answer that was believed was asked for; -inf before the first.
        reads: Answers so far, absences included.
        stale: Answers that were not believed because they were older than what was known.
        looks: Answers in a row that showed the present state.
        history: Transitions so far, oldest first.
    """

    __slots__ = (
        "_absences",
        "_first_asked_at",
        "_moved_at",
        "_patience",
        "_seen_at",
        "_table",
        "asked_at",
        "history",
        "id",
        "looks",
        "observation",
        "reads",
        "stale",
    )

    def __init__(self, session_id: str, table: TransitionTable, patience: Patience) -> None:
        self.id = session_id
        self.observation: Observation | None = None
        self.asked_at = float("-inf")
        self.reads = 0
        self.stale = 0
        self.looks = 0
        self.history: list[Transition] = []
        self._table = table
        self._patience = patience
        self._first_asked_at: float | None = None
        self._seen_at = float("-inf")
        self._moved_at = float("-inf")
        self._absences = 0

    @property
    def state(self) -> str | None:
        """The last state believed, or None while the session was never seen."""
        return None if self.observation is None else self.observation.state

    @property
    def absent(self) -> bool:
        """Whether the last answer that was believed was not found."""
        return self._absences > 0

    def observe(
        self, seen: Observation, *, asked_at: float, now: float, at: datetime
    ) -> Transition | None:
        """Take in an answer that arrived at `now`, and return the transition it shows, if any."""
        self.reads += 1
        known = self.observation
        if known is not None and not self._absences and self._is_old_news(seen, known, now):
            self.stale += 1
            return None
        self._believe(asked_at)
        before = None if known is None else known.state
        reappeared, self._absences = self._absences > 0 and known is not None, 0
        self.observation = seen
        self._seen_at = now
        if before == seen.state and not reappeared:
            self.looks += 1
            return None
        self.looks = 1
        return self._moved(
            Transition(
                id=self.id,
                before=None if reappeared else before,
                after=seen.state,
                at=at,
                elapsed=self._elapsed(now),
                reason=seen.reason,
                message=seen.message,
                changed_at=seen.changed_at,
                skipped=()
                if before is None or reappeared
                else self._table.skipped(before, seen.state),
            ),
            now,
        )

    def stays(self, seen: Observation, *, asked_at: float, now: float) -> bool:
        """Take in an answer that says what the last one said; return False if it does not.

        It is what `observe` would do with it, for less: most answers are of this kind.
        """
        known = self.observation
        if (
            known is None
            or self._absences
            or seen.state != known.state
            or seen.changed_at != known.changed_at
        ):
            return False
        self.observation = seen
        self.reads += 1
        self.looks += 1
        self._seen_at = now
        if asked_at > self.asked_at:
            self.asked_at = asked_at
        return True

    def observe_absence(self, *, asked_at: float, now: float, at: datetime) -> Transition | None:
        """Take in a not-found that answered a question about this id alone."""
        self.reads += 1
        self._believe(asked_at)
        self._absences += 1
        self.looks += 1
        if self.observation is None or self._absences > 1:
            return None
        self.looks = 1
        return self._moved(
            Transition(
                id=self.id,
                before=self.observation.state,
                after=None,
                at=at,
                elapsed=self._elapsed(now),
            ),
            now,
        )

    def unlisted(self) -> None:
        """Take in that a page of many did not list this id, which proves nothing."""
        self.reads += 1
        self.looks += 1

    def verdict(self, goal: Goal, since: float, now: float) -> Verdict:
        """Return what is known, at `now`, for a wait for `goal` that began at `since`."""
        if self.asked_at < since:
            return Verdict.PENDING
        if self._absences:
            if self._table.gone in goal:
                certain = self.observation is not None or self._absences > 1
                return Verdict.SUCCESS if certain else Verdict.PENDING
            in_grace = now - since < self._patience.not_found_grace
            return Verdict.PENDING if in_grace else Verdict.MISSING
        if self.observation is None:
            return Verdict.PENDING
        verdict = self._table.verdict(self.observation.state, goal)
        if (
            verdict in (Verdict.FAILURE, Verdict.UNREACHABLE)
            and now - since < self._patience.settle
            and self._moved_at <= since
            and self._table.awaits_action(self.observation.state, goal)
        ):
            return Verdict.PENDING
        return verdict

    def in_doubt(self, goal: Goal) -> bool:
        """Return whether only doubt keeps a pending wait for `goal` from ending."""
        if not self.reads:  # it is to be read anyway
            return False
        if self.observation is None or self._absences:
            return True
        return self._table.verdict(self.observation.state, goal) is not Verdict.PENDING

    def absence_would_count(self, goal: Goal, since: float, now: float) -> bool:
        """Return whether a not-found could decide this wait, and is worth asking alone for."""
        return self._table.gone in goal or now - since >= self._patience.not_found_grace

    def forget_details(self) -> None:
        """Keep only what it takes not to tell the same change twice."""
        if self.observation is not None:
            self.observation = replace(self.observation, resource={})
        del self.history[:-1]

    def _is_old_news(self, seen: Observation, known: Observation, now: float) -> bool:
        new, old = seen.changed_at, known.changed_at
        if new is None or old is None or (new.tzinfo is None) != (old.tzinfo is None):
            return False
        return new < old and now - self._seen_at < self._patience.settle

    def _believe(self, asked_at: float) -> None:
        if self._first_asked_at is None:
            self._first_asked_at = asked_at
        self.asked_at = max(self.asked_at, asked_at)

    def _elapsed(self, now: float) -> float:
        return 0.0 if self._first_asked_at is None else now - self._first_asked_at

    def _moved(self, transition: Transition, now: float) -> Transition:
        if transition.before is not None:
            self._moved_at = now
        self.history.append(transition)
        return transition
