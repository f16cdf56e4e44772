"""How far a run has come: the figures behind the live view and the progress lines.

Plain arithmetic; `now` is injected, in seconds on any clock that does not go back. A demo runs
faster than life, so every duration shown is multiplied by `speed`, and every rate divided by it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from greenroom._states import Verdict
from greenroom.cli._pace import Pace
from greenroom.cli._printing import CELL, printable, shortfall, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom._poller import PollerStatistics
    from greenroom._results import Transition, WaitResult

UNSEEN = "not seen yet"
UNLAUNCHED = "not launched yet"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One session that is being waited for.

    Attributes:
        id: The session.
        state: The last state seen, or None.
        waited: Shown seconds since its wait began.
    """

    id: str
    state: str | None
    waited: float


class Progress:
    """What is known of a run at any moment.

    Args:
        total: Sessions that there will be.
        now: When the run began.
        speed: Shown seconds per second of the clock.

    Attributes:
        pace: How fast it goes of late.
    """

    def __init__(self, total: int, now: float, *, speed: float = 1.0) -> None:
        self.total = total
        self.outcomes: Counter[Verdict] = Counter()
        self._speed = speed
        self._began = now
        self._pending: dict[str, tuple[float, str | None]] = {}
        self._ended_in: Counter[str] = Counter()
        self.pace = Pace(now, speed=speed)

    @property
    def settled(self) -> int:
        """Sessions that have an outcome."""
        return self.outcomes.total()

    def begin(self, ids: Iterable[str], now: float) -> None:
        """Take in that these are waited for from now on."""
        for session_id in ids:
            self._pending[session_id] = (now, None)

    def transition(self, change: Transition) -> None:
        """Take in a change."""
        if change.id in self._pending:
            self._pending[change.id] = (self._pending[change.id][0], change.after)

    def outcome(self, result: WaitResult, now: float) -> None:
        """Take in that a wait ended."""
        self._pending.pop(result.id, None)
        self.outcomes[result.verdict] += 1
        self._ended_in[printable(result.state or result.verdict.value, CELL)] += 1
        self.pace.settled(now)

    def elapsed(self, now: float) -> float:
        """Return shown seconds since the run began."""
        return (now - self._began) * self._speed

    def states(self) -> list[tuple[str, int]]:
        """Return how many sessions were last seen in each state, most first."""
        pending = Counter(printable(state or UNSEEN, CELL) for _, state in self._pending.values())
        launched = len(self._pending) + self.settled
        counts = (pending + self._ended_in).most_common()
        return [*counts, (UNLAUNCHED, self.total - launched)] if launched < self.total else counts

    def slowest(self, count: int, now: float) -> list[Waiting]:
        """Return the sessions that have been waited for longest."""
        # Insertion order is the order of beginning.
        return [
            Waiting(printable(session_id), state, (now - since) * self._speed)
            for session_id, (since, state) in islice(self._pending.items(), count)
        ]

    def line(self, statistics: PollerStatistics, now: float) -> str:
        """Return all of it on one line."""
        states = ", ".join(f"{count} {state}" for state, count in self.states())
        trouble = "; no answer at the moment" if statistics.last_error else ""
        if statistics.overload is not None:
            trouble += f"; {shortfall(statistics.overload, self._speed)}"
        return (
            f"{self.settled} of {self.total} settled after {span(self.elapsed(now))}: {states}; "
            f"{statistics.calls} calls, {statistics.throttled} throttled{trouble}"
        )
