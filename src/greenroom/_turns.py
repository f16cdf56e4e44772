"""What an order of turns has to offer, whichever schedule it follows; and a queue for turns.

The agenda (`_batch`) asks an order of turns for those whose turn comes in due course. There are
two: each session at its own interval (`_intervals`), and whom it is worth most to read (`_worth`).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Look(NamedTuple):
    """What a read of a session showed, as far as the next read depends on it.

    Attributes:
        session_id: The session.
        state: Its state; None where it was not found.
        at: When the read was asked for, on the poller's clock.
        looks: Answers in a row that showed this state, 1 or more.
        since: When the state began by the service's own word, on the poller's clock; None where it
            has not said so.
    """

    session_id: str
    state: str | None
    at: float
    looks: int = 1
    since: float | None = None


class Turns(Protocol):
    """Whose turn it is, of those who are neither urgent nor held back."""

    def welcome(self, session_id: str, now: float) -> None:
        """Give a turn soon to a session that somebody new waits for."""
        ...

    def back(self, look: Look) -> None:
        """Give the next turn to a session that was just read."""
        ...

    def stayed(self, looks: Mapping[str, int], at: float) -> None:
        """Do the same as `back` for those whose state is what it was, which are most.

        Args:
            looks: For each session, answers in a row that showed the state.
            at: When the read was asked for.
        """
        ...

    def put_off(self, session_id: str) -> None:
        """Take away a session's turn, if it has one: something else takes care of it."""
        ...

    def discard(self, session_id: str, *, settled: bool) -> None:
        """Forget a session: it is settled, or nobody waits for it any more."""
        ...

    def due(self, now: float) -> float:
        """Return since when, or from when on, a call is worth making; infinity if never.

        A time to come is the latest: ask again when something has happened, and then.
        """
        ...

    def take(self, most: int, now: float) -> Sequence[str]:
        """Return whom a call made at `now` should read, at most so many; their turns are over."""
        ...

    def wanted(self, now: float) -> float:
        """Return how many reads a second it would take to be on time."""
        ...


class Turn:
    """A turn that comes due by itself, of one session or of several at once.

    Attributes:
        due: When.
        session_ids: Whose.
    """

    __slots__ = ("due", "session_ids")

    def __init__(self, due: float, session_ids: Sequence[str]) -> None:
        self.due = due
        self.session_ids = session_ids


class Queue:
    """Turns in the order in which they come due; one a session, the latest given.

    Args:
        turns: The turn of each session. Queues may share it: a session is then in one of them.
    """

    __slots__ = ("_heap", "_serials", "_turns")

    def __init__(self, turns: dict[str, Turn]) -> None:
        self._turns = turns
        self._heap: list[tuple[float, int, Turn]] = []
        self._serials = itertools.count()

    def put(self, due: float, *session_ids: str) -> None:
        """Give a turn to these, in place of any that they had."""
        turn = Turn(due, session_ids)
        self._turns.update(dict.fromkeys(session_ids, turn))
        heapq.heappush(self._heap, (due, next(self._serials), turn))

    def due(self) -> float:
        """Return when the first turn comes due; infinity if there is none."""
        turn = self._first()
        return math.inf if turn is None else turn.due

    def take(self, most: int, now: float = math.inf) -> list[str]:
        """Return those whose turn is due at `now`, at most so many; their turns are over."""
        taken: list[str] = []
        while len(taken) < most and (turn := self._first()) is not None and turn.due <= now:
            theirs = [each for each in turn.session_ids if self._turns.get(each) is turn]
            fitting = theirs[: most - len(taken)]
            turn.session_ids = theirs[len(fitting) :]
            for session_id in fitting:
                del self._turns[session_id]
            taken += fitting
        return taken

    def _first(self) -> Turn | None:
        while self._heap:
            turn = self._heap[0][2]
            if any(self._turns.get(session_id) is turn for session_id in turn.session_ids):
                return turn
            heapq.heappop(self._heap)
        return None
