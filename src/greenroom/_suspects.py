"""Ids for which a service fails whole calls: kept from riding along, remembered for a while.

Some services answer a question about a hundred ids with states for those they know. Others fail the
whole call for one id that they do not know. There such an id would cost everybody their read, time
after time: for as long as it is waited for, and again as soon as somebody waits for it anew.

So an id that made a call fail is under **suspicion**. Suspects are asked for in calls of their own,
all of them together, in growing intervals, until one is seen: then it was merely too young to be
known, and it rides along with the others again. The suspicion outlives the wait by ten minutes.

Pure: `now` is injected, in seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from greenroom._schedule import Backoff, Schedule
from greenroom._turns import Queue, Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

REMEMBERED_FOR = 600.0
"""Seconds after its last failed call for which an id is suspected."""

MOST_REMEMBERED = 10_000
"""Ids that are suspected at the same time; beyond that the oldest suspicions are dropped."""

PAUSE = Backoff(initial=5.0, factor=3.0, ceiling=30.0, floor=3.0)
"""Seconds between two looks at a suspect."""


class Suspects:
    """Who is suspected, and when each is asked for next.

    Args:
        pause: How long a suspect waits for its next look.
    """

    def __init__(self, pause: Schedule = PAUSE) -> None:
        self._pause = pause
        self._perhaps: set[str] = set()
        self._drawn_for: tuple[float, int] | None = None
        self._drawn = 0.0
        self._until: OrderedDict[str, float] = OrderedDict()
        self._turns: dict[str, Turn] = {}
        self._queue = Queue(self._turns)

    def __bool__(self) -> bool:
        return bool(self._until)

    def blame(self, asked: Iterable[str], named: Iterable[str], now: float) -> None:
        """Take in that a call failed for the sake of some of those whom it asked about.

        Args:
            asked: Whom it asked about.
            named: Those of them that the service names. Where it names none, it may be any of them:
                who is to blame shows as they are asked for apart.
            now: The time.
        """
        known = tuple(named)
        self._suspect(known, now)
        if not known:
            self._perhaps.update(asked)

    def answered(self, asked: Sequence[str], seen: Collection[str], now: float) -> None:
        """Take in that a call was answered, or that what it asked about alone was refused.

        Args:
            asked: Whom it asked about.
            seen: Those of them that it showed.
            now: The time.
        """
        if not self._until and not self._perhaps:
            return
        for session_id in seen:
            self._until.pop(session_id, None)
        if len(asked) == 1 and asked[0] not in seen and asked[0] in self._perhaps:
            self._suspect(asked, now)
        self._perhaps.difference_update(asked)

    def suspected(self, session_id: str, now: float) -> bool:
        """Return whether this id is under suspicion."""
        until = self._until.get(session_id)
        if until is None:
            return False
        if until <= now:
            del self._until[session_id]
            return False
        return True

    def all_suspected(self, session_ids: Iterable[str], now: float) -> bool:
        """Return whether all of these are under suspicion."""
        return all(self.suspected(session_id, now) for session_id in session_ids)

    def put(self, due: float, session_id: str) -> None:
        """Give a suspect a turn at `due`, in place of any that it had."""
        self._queue.put(due, session_id)

    def put_soon(self, now: float, session_id: str) -> None:
        """Give a suspect a turn at `now`, unless it has one already."""
        if session_id not in self._turns:
            self._queue.put(now, session_id)

    def put_back(self, asked_at: float, looks: int, session_id: str) -> None:
        """Give a suspect that was looked at so many times its next turn, after a pause.

        Those who were asked about together, as often, pause together: else the shortest of many
        pauses would be everybody's.
        """
        if (asked_at, looks) != self._drawn_for:
            self._drawn_for = (asked_at, looks)
            self._drawn = self._pause.delay(looks)
        self._queue.put(asked_at + self._drawn, session_id)

    def due(self) -> float:
        """Return when the first of them is to be asked for; infinity if none is."""
        return self._queue.due()

    def take(self, most: int) -> tuple[str, ...]:
        """Return whom a call about suspects reads, at most so many: they spoil it for nobody."""
        return tuple(self._queue.take(most))

    def put_off(self, session_id: str) -> None:
        """Take away a suspect's turn, if it has one: something else takes care of it."""
        self._turns.pop(session_id, None)

    def discard(self, session_id: str) -> None:
        """Ask for this one no more. What is suspected of it is remembered."""
        self._turns.pop(session_id, None)
        self._perhaps.discard(session_id)

    def _suspect(self, session_ids: Iterable[str], now: float) -> None:
        for session_id in session_ids:
            self._until[session_id] = now + REMEMBERED_FOR
            self._until.move_to_end(session_id)
        while len(self._until) > MOST_REMEMBERED:
            self._until.popitem(last=False)
