"""Turns by worth: whom to read, and when a call is worth it. The rule is in `_schedule`.

The rule asks at every call for the sessions with the largest D, out of a hundred thousand whose D
all grow by the second. Hardly any is looked at in vain, because they wait in *cohorts*: those that
stood in the same state, at the same age but for 8 %, when they were last read. Members of a cohort
differ in little but when that was, and are lined up in that order, or nearly, as answers come in;
so the largest D of a cohort is its first member's, near enough, and the largest of all are found by
merging the heads of some hundred cohorts. A session changes its cohort only by being read.

Between two answers the sum of D over time is nearly a parabola: dD/dt = 1 - exp(-x), and its
derivative is the hazard times exp(-x). So the moment at which it will reach the price is found by a
formula, and checked when it has come.

**Newcomers**, whom somebody has only just begun to wait for, may be where they are wanted already.
The chance of that starts at one half, and follows how many were; the D of each is that chance times
the time since the last call before it came. So it is read at once where there has been none for
long, and never more than `LONGEST_WELCOME` later.

Pure: `now` is injected, in seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, NamedTuple

from greenroom._hazard import EDGES, Curve, Evidence, bin_of
from greenroom._schedule import PayAsYouWait, unseen
from greenroom._turns import Look

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHANCE = 0.5
"""The chance that the first newcomer is where it is wanted already."""

LEAST_CHANCE = 0.1
"""What that chance does not fall below."""

NEWS = 0.1
"""How much a newcomer changes that chance for those who come later."""

LONGEST_WELCOME = 10.0
"""Seconds that a newcomer waits for its first read at most."""

LOOKAHEAD = 0.05
"""The part of its age that the best may grow older by until a forecast is made anew: the hazard may
have grown meanwhile."""

LEAST_LOOKAHEAD, MOST_LOOKAHEAD = 0.1, 5.0
"""Seconds that this is at least, and at most."""

GROWTH = 1.02
"""By what departures or exposure grow before the hazard is reckoned anew."""

NEARLY = 0.98
"""The part of the price that will do, so that no forecast is made anew for a trifle."""

FRESH = 0.1
"""Seconds for which a ranking will do."""

OVERTAKEN = 200
"""Places in line that one whose answer is late gets back at most."""

OLDEST = 6 * 3600.0
"""Seconds of age beyond which a service is not believed about when a state began."""

CONTRADICTION = 5.0
"""Seconds by which the service's clock may contradict ours and still be believed."""


class _Seat:
    """A session in its place.

    Attributes:
        stage: Its state; None where it was never read.
        entered: When its state began; when it came where that is not known.
        last: When it was last read; when it came if it never was.
        waiting: Whether it has a turn coming. Who has not is passed over in its line.
        came: When it came, if it is a newcomer; else infinity.
        called_before: When the last call was made before it came, likewise.
        fresh: Whether it was a newcomer until its latest read.
    """

    __slots__ = (
        "called_before",
        "came",
        "entered",
        "fresh",
        "last",
        "session_id",
        "stage",
        "waiting",
    )

    def __init__(self, session_id: str, stage: _Stage | None, entered: float, last: float) -> None:
        self.session_id = session_id
        self.stage = stage
        self.entered = entered
        self.last = last
        self.waiting = True
        self.came = math.inf
        self.called_before = 0.0
        self.fresh = False

    def copy(self) -> _Seat:
        """Return one like it, without a turn."""
        other = _Seat(self.session_id, self.stage, self.entered, self.last)
        other.waiting = False
        other.came, other.called_before, other.fresh = self.came, self.called_before, self.fresh
        return other


class _Stage:
    """A state, what is known of leaving it, and those who stand in it."""

    __slots__ = ("_curve", "_drawn_at", "_past", "cohorts", "evidence", "state")

    def __init__(self, state: str | None, past: Evidence | None) -> None:
        self.state = state
        self.evidence = Evidence()
        self.cohorts: dict[int, deque[_Seat]] = {}
        self._past = past
        self._curve = self.evidence.curve(past)
        self._drawn_at = (0.0, 0.0)

    def curve(self) -> Curve:
        left, exposed = self._drawn_at
        if self.evidence.left > GROWTH * left or self.evidence.exposed > GROWTH * exposed:
            self._curve = self.evidence.curve(self._past)
            self._drawn_at = (self.evidence.left, self.evidence.exposed)
        return self._curve

    def add(self, seat: _Seat, place: int) -> None:
        cohort = self.cohorts.get(place)
        if cohort is None:
            cohort = self.cohorts[place] = deque()
        behind = len(cohort)  # but answers may come out of order
        foremost = max(0, behind - OVERTAKEN)
        while behind > foremost and cohort[behind - 1].last > seat.last:
            behind -= 1
        cohort.insert(behind, seat)

    def clear(self) -> None:
        for place, cohort in tuple(self.cohorts.items()):
            _clear(cohort)
            if not cohort:
                del self.cohorts[place]


_Bid = tuple[float, float, int, float, float, _Seat]
"""One that competes with those of other cohorts: minus its D, when it was last read, the number of
the cohort, the derivative of D, the derivative of that, and who it is. The least is the best; so of
those who starve, who all count the price alone, it is who was unread for longest."""


class _Ranking(NamedTuple):
    """The best at one moment.

    Attributes:
        at: The moment.
        due: Since when, or from when on, they are worth a call.
        seats: Who they are.
        complete: Whether nobody has come since who may be among them.
    """

    at: float
    due: float
    seats: Sequence[_Seat]
    complete: bool = True


class Worth:
    """Whose turn it is where a call is made as soon as it is worth its price.

    Args:
        schedule: The price and the ceiling.
        limit: Most sessions in one call.
        past: What is known from earlier runs, by state.
    """

    def __init__(self, schedule: PayAsYouWait, limit: int, past: Mapping[str, Evidence]) -> None:
        self._schedule = schedule
        self._limit = limit
        self._past = past
        self._stages: dict[str | None, _Stage] = {}
        self._seats: dict[str, _Seat] = {}
        self._newcomers: deque[_Seat] = deque()
        self._called_at = -math.inf
        self._short_at = -math.inf  # when the best were last found not to be worth the price
        self._crowd = 0
        self._chance = CHANCE
        self._trusting = True  # that the service's clock agrees with ours
        self._ranking: _Ranking | None = None

    def welcome(self, session_id: str, now: float) -> None:
        """Give a turn at once, or soon in company, to a session that somebody new waits for."""
        known = self._seats.get(session_id)
        if known is not None and known.waiting:
            by = known.last + self._schedule.ceiling_at(known.last - known.entered)
            if known.came < math.inf or by <= now + self._longest_welcome():
                return
        seat = _Seat(session_id, None, now, now)
        seat.came, seat.called_before = now, self._called_at
        if known is not None:
            known.waiting = False
            seat.stage, seat.entered, seat.last = known.stage, known.entered, known.last
        self._seats[session_id] = seat
        _clear(self._newcomers)
        self._newcomers.append(seat)
        self._crowd = max(self._crowd, len(self._seats))
        if self._ranking is not None:
            alone = self._called_at + self._price() / (self._chance * len(self._newcomers))
            due = min(self._ranking.due, max(now, alone), now + self._longest_welcome())
            self._ranking = self._ranking._replace(due=due, complete=False)

    def back(self, look: Look) -> None:
        """Learn from a read, and let the session wait until the next one is worth it."""
        before = self._seats[look.session_id]
        before.waiting = False
        stage = self._stages.get(look.state)
        if stage is None:
            stage = self._stages[look.state] = _Stage(look.state, self._past.get(look.state or ""))
        entered = min(look.at, self._learn(before, look, stage))
        seat = self._seats[look.session_id] = _Seat(look.session_id, stage, entered, look.at)
        stage.add(seat, bin_of(look.at - entered))
        if before.came < math.inf:
            seat.fresh = True
            self._chance = max(LEAST_CHANCE, self._chance * (1 - NEWS))
        self._ranking = None

    def stayed(self, looks: Mapping[str, int], at: float) -> None:
        """Learn the same from those whose state is what it was, and let them wait."""
        for session_id in looks:
            seat = self._seats[session_id]
            stage, last = seat.stage, seat.last
            if stage is None or seat.waiting or seat.came < math.inf or at < last:
                self.back(Look(session_id, None if stage is None else stage.state, at))
                continue
            seat.last = at
            seat.waiting = True
            seat.fresh = False
            stage.add(seat, stage.evidence.stay(last - seat.entered, at - seat.entered))
        self._ranking = None

    def put_off(self, session_id: str) -> None:
        """Take away a session's turn, if it has one."""
        if seat := self._seats.get(session_id):
            if seat.waiting:  # its place in the line stays with the one it was
                self._seats[session_id] = seat.copy()
            seat.waiting = False
            self._ranking = None

    def discard(self, session_id: str, *, settled: bool) -> None:
        """Forget a session, though not what it has taught."""
        if seat := self._seats.pop(session_id, None):
            seat.waiting = False
            self._chance = min(1.0, self._chance + NEWS * (settled and seat.fresh))
            self._ranking = None
            if not self._seats:
                self._crowd = 0

    def due(self, now: float) -> float:
        """Return since when, or from when on, the best are worth a call."""
        ranking = self._ranking
        if ranking is None or (
            ranking.due <= now and (ranking.at < ranking.due or not ranking.complete)
        ):
            ranking = self._ranking = self._rank(now)
        return ranking.due

    def take(self, most: int, now: float) -> Sequence[str]:
        """Return the best, whose turns are over."""
        ranking = self._ranking
        if ranking is None or not ranking.complete or now - ranking.at > FRESH:
            ranking = self._rank(now)
        taken = ranking.seats[:most]
        for seat in taken:
            seat.waiting = False
        _clear(self._newcomers)
        for stage in self._stages.values():
            stage.clear()
        self._called_at = now
        self._ranking = None
        return [seat.session_id for seat in taken]

    def wanted(self, now: float) -> float:
        """Return how many reads a second would be worth their price."""
        hazards = roots = starving = 0.0
        for seat in self._seats.values():
            if seat.stage is not None:
                hazard = seat.stage.curve().rates[bin_of(now - seat.entered)]
                hazards += hazard
                roots += math.sqrt(hazard)
            starving += 1 / self._schedule.ceiling_at(seat.last - seat.entered)
        if not self._seats:
            return 0.0
        price, sessions = self._price(), len(self._seats)
        if sessions < self._limit:
            return max(starving, sessions * math.sqrt(hazards / (2 * price)))
        return max(starving, roots * math.sqrt(self._limit / (2 * price)))

    def evidence(self) -> Mapping[str, Evidence]:
        """Return what was learned here, by state."""
        return {state: stage.evidence for state, stage in self._stages.items() if state}

    def _learn(self, before: _Seat, look: Look, stage: _Stage) -> float:
        """Take in what a read shows of leaving a state; return when the present one began."""
        if before.stage is None:
            told = look.since
            if told is None or not self._trusting or not 0 <= look.at - told <= OLDEST:
                return before.entered
            return told
        known, last = before.stage.evidence, before.last - before.entered
        if before.stage is stage:
            known.stay(last, max(last, look.at - before.entered))
            return before.entered
        earliest, latest = before.last - CONTRADICTION, look.at + CONTRADICTION
        if look.since is not None and earliest <= look.since <= latest:
            left = max(last, look.since - before.entered)
        else:
            self._trusting = self._trusting and look.since is None
            until = max(last, look.at - before.entered)
            left = before.stage.curve().median(last, until)
        known.stay(last, left)
        known.leave(left)
        return before.entered + left

    def _price(self) -> float:
        return self._schedule.price * min(1.0, self._crowd / self._limit)

    def _rank(self, now: float) -> _Ranking:
        price = self._price()
        heads, starves_at = self._heads(now, price)
        best, worth, slope, bend = _best(heads, self._limit)
        if not best:
            return _Ranking(now, starves_at, best)
        if worth < NEARLY * price:
            self._short_at = now
            ahead = min(MOST_LOOKAHEAD, max(LEAST_LOOKAHEAD, LOOKAHEAD * (now - best[0].entered)))
            due = now + min(ahead, _time_to(price - worth, slope, bend))
        elif starves_at <= now:
            due = starves_at
        else:
            # No D began to grow before its session was read, or came.
            began = min(seat.last if seat.came == math.inf else seat.came for seat in best)
            back = now - _time_back(worth - price, slope, bend)
            due = max(began, self._short_at, back)
        return _Ranking(now, min(due, starves_at), best)

    def _heads(self, now: float, price: float) -> tuple[list[tuple[_Bid, Iterator[_Bid]]], float]:
        """Return the first of every cohort, and when the first of them all starves."""
        heads: list[tuple[_Bid, Iterator[_Bid]]] = []
        starves_at = math.inf
        _clear(self._newcomers)
        if self._newcomers:
            welcome = self._new_bids(now, price)
            heads.append((next(welcome), welcome))
            starves_at = self._newcomers[0].came + self._longest_welcome()
        for stage in self._stages.values():
            curve = stage.curve()
            stage.clear()
            for place, cohort in stage.cohorts.items():
                ceiling = self._schedule.ceiling_at(EDGES[place])
                starves_at = min(starves_at, cohort[0].last + ceiling)
                bids = _bids(cohort, len(heads), place, curve, now, ceiling, price)
                heads.append((next(bids), bids))
        return heads, starves_at

    def _new_bids(self, now: float, price: float) -> Iterator[_Bid]:
        """Yield the newcomers, the first come first."""
        longest = price / self._chance
        for seat in self._newcomers:
            if seat.waiting:
                unread = now - max(seat.called_before, seat.came - longest)
                if now - seat.came >= self._longest_welcome():
                    yield -max(price, self._chance * unread), seat.came, 0, 0.0, 0.0, seat
                else:
                    yield -self._chance * unread, seat.came, 0, self._chance, 0.0, seat

    def _longest_welcome(self) -> float:
        """Return the seconds that a newcomer waits for company at most."""
        return min(LONGEST_WELCOME, self._schedule.ceiling_at(0))


def _clear(line: deque[_Seat]) -> None:
    while line and not line[0].waiting:
        line.popleft()


def _bids(
    cohort: deque[_Seat],
    serial: int,
    place: int,
    curve: Curve,
    now: float,
    ceiling: float,
    price: float,
) -> Iterator[_Bid]:
    """Yield the members of a cohort, the best first, as they compete with those of others."""
    edge, rate, until_edge = EDGES[place], curve.rates[place], curve.sums[place]
    rates, sums, exp = curve.rates, curve.sums, math.exp
    for seat in cohort:
        if seat.waiting:
            tau = now - seat.last
            age = now - seat.entered
            here = bisect_right(EDGES, age) - 1
            x = sums[here] + rates[here] * (age - EDGES[here])
            x -= until_edge + rate * (seat.last - seat.entered - edge)
            if now >= seat.last + ceiling:
                yield -max(price, unseen(tau, x)), seat.last, serial, 0.0, 0.0, seat
            else:
                stayed = exp(-x)
                yield -unseen(tau, x), seat.last, serial, 1 - stayed, rates[here] * stayed, seat


def _best(
    heads: list[tuple[_Bid, Iterator[_Bid]]], most: int
) -> tuple[list[_Seat], float, float, float]:
    """Return the best of all cohorts, the sum of their D, its derivative, and that one's."""
    best: list[_Seat] = []
    worth = slope = bend = 0.0
    heapify(heads)
    while heads and len(best) < most:
        (cost, _, _, slope_of_one, bend_of_one, seat), others = heads[0]
        best.append(seat)
        worth -= cost
        slope += slope_of_one
        bend += bend_of_one
        following = next(others, None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following, others))
    return best, worth, slope, bend


def _time_to(gap: float, slope: float, bend: float) -> float:
    """Return the t at which slope * t + bend * t**2 / 2 = gap."""
    speed = slope + math.sqrt(slope * slope + 2 * bend * gap) if gap < math.inf else 0.0
    return 2 * gap / speed if speed else math.inf


def _time_back(excess: float, slope: float, bend: float) -> float:
    """Return the t at which slope * t - bend * t**2 / 2 = excess, or at which they are nearest."""
    speed = slope + math.sqrt(max(0.0, slope * slope - 2 * bend * excess))
    return 2 * excess / speed if speed and excess < math.inf else 0.0
