"""A long night: `python -m tests.campaign.long_night --sessions 2000 --hours 24`, in virtual time.

So many people ask at any moment, each about one session after the other, for a night: they wait,
watch, hint, lose patience, give up, while the service throttles, fails, hangs, lies and forgets.
Each outcome is compared with the truth as it comes, and nothing else is kept; so what grows is the
engine's. The gauges are read every half hour.

Exit status: 0, or 1 where an outcome is wrong or something grows.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import anyio
from tests.campaign.gauges import FEWEST, Reading, growth, read, told, too_much

import greenroom
from greenroom import Observation, Poller, RateLimiter, Transition, Verdict, WaitResult
from greenroom._poller import NOT_FOUND_GRACE
from greenroom._waiting import LAST_LOOK
from greenroom.sources import nimble
from greenroom.testing import run

HALF_HOUR = 1800.0
NEWS_TAKES = 180.0
"""Seconds after which something true is known, whatever goes wrong with calls."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FAULTS = {
    "throttled": 0.02,
    "unavailable": 0.02,
    "lost": 0.01,
    "garbage": 0.01,
    "hangs": 0.002,
    "incomplete": 0.02,
    "novel": 0.001,
}
"""How often a call goes wrong, and how."""


@dataclass
class Fate:
    """What will become of one session: states, and the second from which each is true."""

    states: list[tuple[float, str | None]] = field(default_factory=list)

    def state(self, at: float) -> str | None:
        """Return what is true at a time; None while it does not exist, and when no more."""
        now: str | None = None
        for since, state in self.states:
            if since <= at:
                now = state
        return now

    def since(self, at: float) -> float:
        """Return when that became true."""
        return max(since for since, _ in self.states if since <= at)

    @property
    def end(self) -> str | None:
        """The last state."""
        return self.states[-1][1] if self.states else None


def fate(rng: Random, now: float) -> Fate:
    """Draw what becomes of a session that is created now."""
    kind = rng.random()
    if kind < 0.02:
        return Fate()
    ready = now + rng.lognormvariate(5.3, 0.5)
    if kind < 0.12:
        return Fate([(now, "CREATE_IN_PROGRESS"), (ready, "CREATE_FAILED")])
    if kind < 0.17:
        gone = ready + 10
        return Fate([(now, "CREATE_IN_PROGRESS"), (ready, "DELETE_IN_PROGRESS"), (gone, "DELETED")])
    return Fate([(now, "CREATE_IN_PROGRESS"), (ready, "READY")])


class Service:
    """A source about the sessions that exist, on some of whose calls something goes wrong."""

    table = nimble.TABLES["nimble-session"]
    max_batch = 100

    def __init__(self, rng: Random) -> None:
        self.fates: dict[str, Fate] = {}
        self._rng = rng
        self._novel = 0

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Answer, if all goes well."""
        kind = self._rng.choices([*FAULTS, ""], [*FAULTS.values(), 1 - sum(FAULTS.values())])[0]
        await anyio.sleep(1000 if kind == "hangs" else self._rng.uniform(0.05, 0.5))
        match kind:
            case "throttled":
                raise greenroom.Throttled("slow down")
            case "unavailable":
                raise greenroom.Unavailable("away")
            case "lost":
                raise ConnectionResetError("gone")
            case "garbage":
                return {ids[0]: None}  # type: ignore[dict-item]
        now = anyio.current_time()
        seen = {}
        for session_id in ids[1:] if kind == "incomplete" and len(ids) > 1 else ids:
            fate = self.fates.get(session_id)
            state = fate and fate.state(now)
            if fate and state:
                changed_at = EPOCH + timedelta(seconds=fate.since(now))
                seen[session_id] = Observation(state, None, "as it is", changed_at, {"id": "x" * 9})
        if kind == "novel" and seen:
            self._novel += 1
            first = next(iter(seen))
            seen[first] = Observation(f"NOVEL_{self._novel}")
        return seen


class Night:
    """People who ask, and whether they were told the truth."""

    def __init__(self, sessions: int, hours: float, seed: int, say: Callable[[str], None]) -> None:
        self.outcomes: Counter[str] = Counter()
        self.readings: list[Reading] = []
        self._sessions = sessions
        self._hours = hours
        self._rng = Random(seed)
        self._service = Service(self._rng)
        self._say = say

    async def last(self) -> None:
        """Let the night pass."""
        limiter = RateLimiter(max_rate=20, burst=20)
        async with Poller(self._service, limiter=limiter) as poller:
            poller.on("*", self._hear)
            poller.on(Verdict.SUCCESS, self._hear)
            async with anyio.create_task_group() as people:
                for number in range(self._sessions):
                    people.start_soon(self._ask_and_ask, poller, number)
                for number in range(1, round(self._hours * 2) + 1):
                    await anyio.sleep(HALF_HOUR)
                    self.readings.append(read())
                    asked = self.outcomes.total()
                    self._say(f"{number / 2:4.1f} h: {self.readings[-1]}, {asked:,} outcomes")
                people.cancel_scope.cancel()
            statistics = poller.statistics()
            assert statistics.waiting == statistics.sessions == 0, statistics

    async def _hear(self, event: Transition | WaitResult) -> None:
        await anyio.sleep(1)

    async def _ask_and_ask(self, poller: Poller, number: int) -> None:
        await anyio.sleep(self._rng.uniform(0, 300))
        life = 0
        while True:
            life += 1
            session_id = f"s-{number}-{life}"
            self._service.fates[session_id] = fate(self._rng, anyio.current_time())
            try:
                await self._ask(poller, session_id)
            finally:
                del self._service.fates[session_id]
            await anyio.sleep(self._rng.uniform(1, 60))

    async def _ask(self, poller: Poller, session_id: str) -> None:
        manner = self._rng.random()
        if manner < 0.1:
            with anyio.move_on_after(self._rng.uniform(0, 300)):
                await poller.wait_all([session_id], until="READY", timeout=None)
            self.outcomes["given up"] += 1
        elif manner < 0.2:
            with anyio.move_on_after(self._rng.uniform(0, 600)):
                async with poller.watch([session_id]) as changes:
                    async for _ in changes:
                        await anyio.sleep(30)
            self.outcomes["watched"] += 1
        else:
            began = anyio.current_time()
            timeout = None if manner < 0.8 else self._rng.uniform(0, 400)
            if manner < 0.3:
                poller.notify(session_id)
            results = await poller.wait_all([session_id], until="READY", timeout=timeout)
            self._check(results[session_id], self._service.fates[session_id], began, timeout)

    def _check(self, result: WaitResult, fate: Fate, began: float, timeout: float | None) -> None:
        self.outcomes[result.verdict.value] += 1
        now = anyio.current_time()
        assert timeout is None or now <= began + timeout + LAST_LOOK + 0.001, result
        if result.verdict is Verdict.TIMEOUT:
            assert timeout is not None, result
            assert now >= began + timeout, result
            decided = fate.states[-1][0] if fate.states else began + NOT_FOUND_GRACE
            assert now - decided < NEWS_TAKES, (result, fate)
            return
        expected = {
            "READY": Verdict.SUCCESS,
            "CREATE_FAILED": Verdict.FAILURE,
            "DELETED": Verdict.UNREACHABLE,
            None: Verdict.MISSING,
        }[fate.end]
        assert result.verdict is expected, (result, fate)
        decisive = [at for at, state in fate.states if state in (result.state, fate.end)]
        assert not decisive or now >= min(decisive), (result, fate)


def main() -> int:
    """Let a night pass and tell how it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000, help="people who ask at any moment")
    parser.add_argument("--hours", type=float, default=24.0, help="of virtual time")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.hours * 2 < FEWEST:
        parser.error(f"--hours {arguments.hours:g}: it takes {FEWEST} half hours to see growth")
    night = Night(arguments.sessions, arguments.hours, arguments.seed, _say)
    run(night.last)
    _say(", ".join(f"{count:,} {what}" for what, count in sorted(night.outcomes.items())))
    grown = growth(night.readings[len(night.readings) // 4 :])
    _say(told(grown))
    return 1 if too_much(night.readings, *grown) else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
