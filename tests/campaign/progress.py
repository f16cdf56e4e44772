"""Whether everything that can progress does, and the budget is kept: what has to happen by when.

A *demand* is a moment from which on a session has to be asked for within so many seconds: somebody
joins, a hint comes, a doubt ends, a deadline is reached, an answer fails, or its turn comes by the
schedule. To these seconds is added what the budget may take: all sessions once each, pages and all,
at the rate that is left after throttled calls, and the time for which the service wants to be left
alone. A demand holds for as long as somebody is interested.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.campaign.journal import Broken, Call, Failed, Waiting
from tests.campaign.program import IDS, Spend
from tests.campaign.stage import SLOWEST, Record, longest_gap

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = 1e-6
WELCOME = 10.0
"""Seconds that a newcomer waits for company at most."""
RETRY = 30.0
"""Seconds between a failed call and the next at most: 10, and thrice that for one alone of six."""
PAUSE = 0.5
"""Seconds between them at least, where nobody asks for more."""
SUSPECT = 30.0
"""Seconds between two looks at an id that made calls fail, at most."""
CUT = 22.0
"""Seconds after which a throttled limiter has its rate back."""

Key = tuple[int, str]


class Progress:
    """Collects demands and calls, and compares them in the end."""

    def __init__(self, record: Record) -> None:
        world = self._world = record.program.world
        self._record = record
        self._asked: dict[Key, list[float]] = defaultdict(list)
        self._in_flight: dict[Key, dict[float, float]] = defaultdict(dict)
        self._interest: dict[Key, list[list[float]]] = defaultdict(list)
        self._demands: list[tuple[Key, float, float, str, Waiting | None]] = []
        self._ends: dict[Waiting, float] = {}
        self._left: dict[int, float] = {}
        self._slowed: list[tuple[float, float]] = []
        self._accused: dict[Key, float] = {}
        self._failed: list[tuple[Key, float, float]] = []
        self._well: dict[int, list[float]] = defaultdict(list)
        self._gap = longest_gap(world)
        self._pages = math.ceil(min(world.max_batch, len(IDS)) / (world.page or len(IDS)))
        spent = sum(step.calls for step in record.program.steps if isinstance(step, Spend))
        crowd = {id_ for step in record.program.steps for id_ in getattr(step, "ids", ())}
        queue = 2 * len(crowd) * world.pollers * self._pages + spent + 2
        self._queue_time = queue / world.rate * (SLOWEST if world.adaptive else 1)

    def joined(self, poller: int, id_: str, at: float) -> None:
        """Take in that somebody became interested."""
        spans = self._interest[poller, id_]
        if not spans or spans[-1][1] < math.inf:
            spans.append([at, math.inf])
        self.demanded(poller, id_, at, "a newcomer", WELCOME)

    def parted(self, poller: int, id_: str, at: float) -> None:
        """Take in that nobody is interested any more."""
        self._interest[poller, id_][-1][1] = at

    def waits(self, poller: int, one: Waiting) -> None:
        """Take in a wait, whose deadline is a demand."""
        if one.until is not None:
            self.demanded(poller, one.id, one.until, "a deadline", by=one)

    def ended(self, one: Waiting, at: float) -> None:
        """Take in that a wait is over."""
        self._ends[one] = at

    def closed(self, poller: int, at: float) -> None:
        """Take in that a poller was left."""
        self._left[poller] = at

    def asked(self, poller: int, call: Call) -> None:
        """Take in a call."""
        for id_ in call.ids:
            self._asked[poller, id_].append(call.asked_at)
            self._in_flight[poller, id_][call.asked_at] = math.inf

    def answered(self, poller: int, call: Call, at: float) -> None:
        """Take in what came of a call, from which the next turns follow."""
        outcome = call.outcome
        failed = isinstance(outcome, Failed)
        if not failed:
            self._well[poller].append(at)
        if isinstance(outcome, Failed) and outcome.kind in ("notfound", "invalid", "access"):
            for id_ in call.ids:
                self._accused.setdefault((poller, id_), at)
            failed = outcome.kind != "notfound" or len(call.ids) > 1
        for id_ in call.ids:
            self._in_flight[poller, id_][call.asked_at] = at
            again = failed and not (isinstance(outcome, Failed) and id_ in outcome.seen)
            within, why = (RETRY, "a failed call") if again else (self._gap, "its turn")
            self.demanded(poller, id_, at, why, within)

    def failed(self, poller: int, id_: str, asked_at: float, at: float) -> None:
        """Take in that a call showed nothing of a session, for no fault of the session's."""
        self._failed.append(((poller, id_), asked_at, at))

    def slowed(self, at: float, retry_after: object) -> None:
        """Take in that the limiter was slowed down."""
        self._slowed.append((at, retry_after if isinstance(retry_after, float) else 0.0))

    def demanded(
        self,
        poller: int,
        id_: str,
        at: float,
        why: str,
        within: float = 0.0,
        by: Waiting | None = None,
    ) -> None:
        """Take in that a session has to be asked for, so many seconds from now.

        Where one wait demands it, that wait must still last.
        """
        self._demands.append(((poller, id_), at, within, why, by))

    def check(self) -> None:
        """Compare.

        Raises:
            Broken: A demand was not met, or the budget not kept.
        """
        ends = [entry.at for entry in self._record.journal.entries if entry.what == "quiet"]
        if not ends:
            raise Broken("the program never came to its end")
        over = ends[0]
        for key, at, within, why, one in self._demands:
            interest = min(self._interested_until(key, at), self._left.get(key[0], math.inf))
            if one is not None:
                interest = min(interest, self._ends.get(one, math.inf))
            begin = self._landed(key, at)
            suspected = within and self._accused.get(key, math.inf) <= begin
            by = self._budget_by(begin + (max(within, SUSPECT) if suspected else within))
            if by >= min(interest, over) - TINY:
                continue
            times = self._asked[key]
            place = bisect_left(times, at - TINY)
            if place == len(times) or times[place] > by + TINY:
                then = times[place] if place < len(times) else None
                raise Broken(f"{key[1]} is asked for at {then}, not by {by}, after {why} at {at}")
        self._check_pauses()
        self._check_budget()

    def _interested_until(self, key: Key, at: float) -> float:
        for began, ended in reversed(self._interest[key]):
            if began <= at:
                return ended
        return -math.inf

    def _landed(self, key: Key, at: float) -> float:
        """Return when the last of the calls in flight at this time was answered; else the time."""
        calls = self._in_flight[key].items()
        landed = [min(end, self._answer_by(began)) for began, end in calls if began <= at + TINY]
        return max((at, *landed))

    def _answer_by(self, asked_at: float) -> float:
        """Return the time at which a call is answered, or has failed, at the latest."""
        wait_for_pages = self._budget_by(asked_at) - asked_at if self._pages > 1 else 0.0
        return asked_at + self._pages * self._world.call_timeout + wait_for_pages

    def _budget_by(self, by: float) -> float:
        """Return the time at which the budget has granted what was to be asked for by then."""
        by += self._queue_time + 0.5
        for at, retry_after in self._slowed:
            if at <= by and at + retry_after + CUT > by - self._queue_time - CUT:
                by = max(by, at + retry_after + CUT + self._queue_time)
        return by

    def _check_pauses(self) -> None:
        """Check that nobody is asked for right after a failure, unless somebody wants it.

        Or the service has just answered a call: then it is worth asking for the others as well.
        """
        wanted: dict[Key, list[float]] = defaultdict(list)
        for key, at, _, why, _ in self._demands:
            if why not in ("a failed call", "its turn"):
                wanted[key].append(at)
        for key, asked_at, at in self._failed:
            times = self._asked[key]
            place = bisect_left(times, at - TINY)
            if place == len(times) or times[place] >= at + PAUSE - TINY:
                continue
            if self._accused.get(key, math.inf) <= at:  # suspects ride along with each other
                continue
            reasons = (*wanted[key], *self._well[key[0]])
            if not any(asked_at - TINY <= one <= times[place] + TINY for one in reasons):
                raise Broken(f"{key[1]} is asked for at {times[place]}, after a failure at {at}")

    def _check_budget(self) -> None:
        """Check that a bucket of the promised size would have held, and that pauses were kept."""
        world, level, last, closed_until = self._world, float(self._world.burst), 0.0, -math.inf
        for at, what, retry_after in self._spent():
            level = min(float(world.burst), level + (at - last) * world.rate)
            last = at
            if what == "slowed":
                closed_until = max(closed_until, at + retry_after)
                continue
            if what in ("granted", "spent") and at < closed_until - TINY:
                raise Broken(f"a call is granted at {at}; the service said to stay away")
            level -= what != "granted"
            if level < -TINY:
                raise Broken(f"the call at {at} is {-level} more than the budget allows")

    def _spent(self) -> Iterator[tuple[float, str, float]]:
        for entry in self._record.journal.entries:
            if entry.what in ("granted", "asked", "page", "spent"):
                yield entry.at, entry.what, 0.0
            elif entry.what == "slowed":
                pause = entry.of if isinstance(entry.of, float) else 0.0
                yield entry.at, "slowed", pause
