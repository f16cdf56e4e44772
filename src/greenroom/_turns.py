"""What an order of turns has to offer, whichever schedule it follows; and a queue for turns.

The agenda (`_batch`) asks an order of turns for those whose turn comes in due course. There are
two: each session at its own interval (`_intervals`), and whom it is worth most to read (`_worth`).
"""

from __future__ import annotations

import heapq
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

    def discard(self, session_id: str) -> None:
        """Forget a session."""
        ...

    def has(self, session_id: str) -> bool:
        """Return whether a session has a turn coming."""
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


class Turn(NamedTuple):
    """A turn that comes due by itself.

    Attributes:
        due: When.
        serial: What decides between those due at once.
        session_id: Whose.
    """

    due: float
    serial: int
    session_id: str


class Queue:
    """Turns in the order in which they come due; one a session, the latest given.

    Args:
        turns: The turn of each session. Queues may share it: a session is then in one of them.
    """

    __slots__ = ("_heap", "_turns")

    def __init__(self, turns: dict[str, Turn]) -> None:
        self._turns = turns
        self._heap: list[Turn] = []

    def put(self, turn: Turn) -> None:
        """Give a turn, in place of any that the session had."""
        self._turns[turn.session_id] = turn
        heapq.heappush(self._heap, turn)

    def due(self) -> float:
        """Return when the first turn comes due; infinity if there is none."""
        turn = self._first()
        return math.inf if turn is None else turn.due

    def take(self, most: int, now: float = math.inf) -> list[str]:
        """Return those whose turn is due at `now`, at most so many; their turns are over."""
        taken: list[str] = []
        while len(taken) < most and (turn := self._first()) is not None and turn.due <= now:
            heapq.heappop(self._heap)
            del self._turns[turn.session_id]
            taken.append(turn.session_id)
        return taken

    def _first(self) -> Turn | None:
        while self._heap:
            if self._turns.get(self._heap[0].session_id) is self._heap[0]:
                return self._heap[0]
            heapq.heappop(self._heap)
        return None
