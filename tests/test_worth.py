"""Whom it is worth most to read, and when: beside brute force over everybody, in injected time."""

import math
import random
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import PayAsYouWait
from greenroom._hazard import EDGES, Evidence, bin_of
from greenroom._schedule import unseen
from greenroom._turns import Look
from greenroom._worth import CHANCE, LEAST_CHANCE, LONGEST_WELCOME, NEARLY, NEWS, Worth

PRICE = 20.0
WIDTHS = [after - before for before, after in pairwise((*EDGES, 2 * EDGES[-1]))]


def known(hazard):
    """So much evidence of a hazard by age that whatever is learned besides is nothing."""
    rates = [hazard(edge + width / 2) for edge, width in zip(EDGES, WIDTHS, strict=True)]
    departures = (1e9 * rate * width for rate, width in zip(rates, WIDTHS, strict=True))
    return Evidence(departures, (1e9 * width for width in WIDTHS))


def even(hazard):
    return known(lambda age: hazard)


def lognormal(age, median=300, sigma=0.35):
    z = math.log(age / median) / sigma
    if z > 5:
        return z / sigma / age
    density = math.exp(-z * z / 2) / (age * sigma * math.sqrt(2 * math.pi))
    return density / (math.erfc(z / math.sqrt(2)) / 2)


def wild(seed):
    rng = random.Random(seed)
    return known(lambda age: 10 ** rng.uniform(-5, -1))


class Seat(NamedTuple):
    state: str | None
    entered: float
    last: float
    came: float | None = None
    """When somebody began to wait for it, until it is read."""
    unread: float = 0.0
    """When the last call before that was made."""


class House:
    """A `Worth`, and beside it what brute force needs to know of everybody.

    Sessions are in "P" unless said otherwise, whose hazard is `past["P"]`.
    """

    def __init__(self, schedule=PayAsYouWait(PRICE), limit=100, past=None):  # noqa: B008  # frozen
        past = past or {"P": even(0.01)}
        self.schedule, self.limit = schedule, limit
        self.worth = Worth(schedule, limit, past)
        self.seats, self.waiting = {}, set()
        self._curves = {state: each.curve() for state, each in past.items()}
        self._called_at, self._chance, self._crowd = -math.inf, CHANCE, 0

    def come(self, *ids, at):
        for id_ in ids:
            self.worth.welcome(id_, at)
            known = self.seats.get(id_, Seat(None, at, at))
            self.seats[id_] = known._replace(came=at, unread=self._called_at)
            self.waiting.add(id_)
            self._crowd = max(self._crowd, len(self.seats))

    def read(self, *ids, at, state="P", since=None):
        """Give an answer; sessions only change their state together with a `since`."""
        same = {id_: 2 for id_ in ids if since is None and self.seats[id_].state == state}
        self.worth.stayed(same, at)
        for id_ in ids:
            before = self.seats[id_]
            if id_ not in same:
                self.worth.back(Look(id_, state, at, since=since))
            self.seats[id_] = Seat(state, before.entered if since is None else since, at)
            self.waiting.add(id_)
            if before.came is not None:
                self._chance = max(LEAST_CHANCE, self._chance * (1 - NEWS))

    def take(self, at, most=None):
        taken = self.worth.take(self.limit if most is None else most, at)
        assert set(taken) <= self.waiting
        assert len(set(taken)) == len(taken)
        self.waiting -= set(taken)
        self._called_at = at
        return taken

    def put_off(self, *ids):
        for id_ in ids:
            self.worth.put_off(id_)
            self.waiting.discard(id_)

    def go(self, *ids):
        for id_ in ids:
            self.worth.discard(id_, settled=True)
            self.waiting.discard(id_)
            del self.seats[id_]
        self._crowd *= bool(self.seats)

    def price(self):
        return self.schedule.price * min(1, self._crowd / min(100, self.limit))

    def starves(self, id_):
        """When one has waited for too long."""
        seat = self.seats[id_]
        if seat.came is not None:
            return seat.came + min(LONGEST_WELCOME, self.schedule.ceiling_at(0))
        # That of the youngest in its cohort, all of whom are of about the same age.
        return seat.last + self.schedule.ceiling_at(EDGES[bin_of(seat.last - seat.entered)])

    def starves_at(self):
        """When the first of those who wait has waited for too long."""
        return min(map(self.starves, self.waiting), default=math.inf)

    def worth_of(self, id_, now):
        """The D of one, and at least the price where it starves."""
        seat = self.seats[id_]
        if seat.came is not None:
            unread = now - max(seat.unread, seat.came - self.price() / self._chance)
            worth = self._chance * unread
        else:
            curve = self._curves[seat.state]
            x = curve.at(now - seat.entered) - curve.at(seat.last - seat.entered)
            worth = unseen(now - seat.last, x)
        return max(worth, self.price()) if now >= self.starves(id_) else worth

    def best(self, now):
        """Those who wait, the greatest D first; no more than a call can read."""
        ranked = sorted(self.waiting, key=lambda id_: -self.worth_of(id_, now))
        return ranked[: self.limit]

    def total(self, now):
        return sum(self.worth_of(id_, now) for id_ in self.best(now))

    def due_after(self, now):
        """When a call is due, for one who asks whenever told to."""
        for _ in range(10_000):
            at = self.worth.due(now)
            if at <= now or at == math.inf:
                return max(at, now)
            now = at
        raise AssertionError("asked without end")


def filled(read, newcomers=(), quiet=30.0, **options):
    """A house at 100,000 s: those read, as (state, age then, seconds since), and newcomers."""
    house, now = House(**options), 1e5
    house.take(now - quiet, most=0)
    for number, (state, age, tau) in enumerate(sorted(read, key=lambda each: -each[2])):
        house.come(f"s-{number}", at=now - tau)
        house.read(f"s-{number}", at=now - tau, state=state, since=now - tau - age)
    for number, waited in enumerate(sorted(newcomers, reverse=True)):
        house.come(f"new-{number}", at=now - min(waited, quiet))
    return house, now


ages, taus = st.floats(0, 3000), st.floats(0, 100)
readings = st.lists(st.tuples(st.sampled_from("PQ"), ages, taus), max_size=40)
waits = st.lists(st.floats(0, 12), max_size=6)
seeds = st.integers(0, 10**6)


# Whom.


@given(readings, waits, st.integers(1, 12), seeds)
def test_the_largest_are_taken_but_for_the_order_in_a_cohort(read, newcomers, limit, seed):
    past = {"P": wild(seed), "Q": wild(seed + 1)}
    house, now = filled(read, newcomers, limit=limit, past=past)
    waiting = set(house.waiting)
    worth = {id_: house.worth_of(id_, now) for id_ in waiting}
    taken = house.take(now)
    assert len(taken) == min(limit, len(waiting))

    def line(id_):
        """Which line one stands in, and where."""
        seat = house.seats[id_]
        if seat.came is not None:
            return None, seat.came
        return (seat.state, bin_of(seat.last - seat.entered)), seat.last

    firsts = {}
    for id_ in sorted(waiting - set(taken), key=lambda id_: (line(id_)[1], int(id_.split("-")[1]))):
        firsts.setdefault(line(id_)[0], id_)
    for id_ in firsts.values():
        if line(id_)[0] == line(taken[-1])[0]:
            continue  # it has become the first of its line only now
        assert worth[id_] <= worth[taken[-1]] * (1 + 1e-6) + 1e-9


@given(readings, waits, st.integers(1, 12))
def test_those_taken_are_worth_nearly_what_the_best_are(read, newcomers, limit):
    past = {"P": known(lognormal), "Q": even(0.003)}
    house, now = filled(read, newcomers, limit=limit, past=past)
    best = house.total(now)
    worth = {id_: house.worth_of(id_, now) for id_ in house.waiting}
    # Ages in a cohort differ by 8 %, and the steepest hazard here by three times that.
    assert sum(worth[id_] for id_ in house.take(now)) >= 0.9 * best


def test_of_equals_those_unread_for_longest_are_taken():
    house, now = filled([("P", 50, 5), ("P", 50, 9), ("P", 50, 7)], limit=2)
    assert house.take(now) == ["s-0", "s-1"]
    assert [house.seats[id_].last for id_ in ("s-0", "s-1", "s-2")] == [now - 9, now - 7, now - 5]


def test_who_is_likelier_to_have_changed_is_taken_before_who_is_unread_for_longer():
    past = {"P": even(0.001), "Q": even(0.05)}
    house, now = filled([("P", 50, 20), ("Q", 50, 10)], limit=1, past=past)
    assert house.seats[house.take(now)[0]].state == "Q"


def test_who_starves_is_taken_before_all():
    past = {"P": even(1e-6), "Q": even(0.05)}
    read = [("P", 50, 60.5)] + [("Q", 50, 15)] * 20
    house, now = filled(read, limit=5, past=past)
    assert "s-0" in house.take(now)


def test_a_call_made_for_others_takes_along_the_best_of_those_who_are_not_due():
    house, now = filled([("P", 50, tau / 10) for tau in range(10)])
    assert house.worth.due(now) > now
    assert len(house.take(now, most=4)) == 4
    assert house.waiting == {f"s-{number}" for number in range(4, 10)}


# When.


@given(readings, waits, st.integers(1, 12))
def test_a_call_is_due_when_the_best_add_up_to_the_price(read, newcomers, limit):
    past = {"P": known(lognormal), "Q": even(0.003)}
    house, now = filled(read, newcomers, limit=limit, past=past)
    at = house.due_after(now)
    if not house.waiting:
        assert at == math.inf
        return
    assert at <= max(now, house.starves_at() + 1e-9)
    if at < house.starves_at():
        assert house.total(at) >= NEARLY * house.price() * (1 - 1e-6)
    if at > now:
        assert house.total(at - 0.01) <= 1.05 * house.price()


@given(readings, waits, st.floats(0.1, 5))
def test_who_asks_late_is_told_since_when(read, newcomers, late):
    past = {"P": even(0.01), "Q": even(0.003)}
    house, now = filled(read, newcomers, past=past)
    other, _ = filled(read, newcomers, past=past)
    at = house.due_after(now)
    if now < at < house.starves_at() - late:
        assert other.worth.due(at + late) == pytest.approx(at, abs=0.05 + 0.1 * late)


def test_who_asks_late_where_one_starves_is_told_since_when_it_does():
    past = {"P": even(0.01), "Q": even(0.003)}
    house, now = filled([("P", 0, 0), ("Q", 0, 59)], past=past, limit=2)
    assert house.starves_at() == pytest.approx(now + 1)
    assert house.worth.due(now + 2) == pytest.approx(now + 1, abs=0.5)


def root(value, least=0.0, most=1e4):
    """Return where a growing function is 0."""
    for _ in range(100):
        middle = (least + most) / 2
        least, most = (least, middle) if value(middle) > 0 else (middle, most)
    return least


@pytest.mark.parametrize("count", [1, 7, 50, 100, 300])
def test_a_crowd_smaller_than_a_call_pays_its_part_and_is_read_as_often(count):
    house = House()
    ids = [f"s-{number}" for number in range(count)]
    house.come(*ids, at=0)
    house.read(*ids, at=0)
    # A hundredth of the price each: so is it at once where one waits and where three hundred do.
    expected = root(lambda tau: unseen(tau, 0.01 * tau) - PRICE / 100)
    assert house.due_after(0) == pytest.approx(expected, rel=0.02)


def test_where_a_call_reads_fewer_than_a_hundred_the_part_is_of_those():
    house = House(limit=10)
    house.come(*"abcde", at=0)
    house.read(*"abcde", at=0)
    expected = root(lambda tau: 5 * unseen(tau, 0.01 * tau) - PRICE * 5 / 10)
    assert house.due_after(0) == pytest.approx(expected, rel=0.02)


def test_the_last_of_a_crowd_pay_the_full_price_until_nobody_is_left():
    house = House(PayAsYouWait(PRICE, ceiling=1000))
    ids = [f"s-{number}" for number in range(300)]
    house.come(*ids, at=0)
    house.read(*ids, at=0)
    house.go(*ids[1:])
    alone = root(lambda tau: unseen(tau, 0.01 * tau) - PRICE)
    assert house.due_after(0) == pytest.approx(alone, rel=0.02)
    house.go(ids[0])
    assert house.due_after(100) == math.inf
    house.come("later", at=200)
    house.read("later", at=200)
    soon = root(lambda tau: unseen(tau, 0.01 * tau) - PRICE / 100)
    assert house.due_after(200) == pytest.approx(200 + soon, rel=0.02)


def test_nobody_waits_where_nobody_is():
    house = House()
    assert house.due_after(0) == math.inf
    assert house.take(0) == []


# Nobody starves.

schedules = st.builds(
    PayAsYouWait,
    st.sampled_from([1.0, PRICE, 500.0, math.inf]),
    st.none() | st.floats(0.5, 100),
)


@given(schedules, st.integers(1, 12), st.integers(1, 40), st.floats(0, 0.4), seeds)
def test_nobody_goes_unread_beyond_the_ceiling_and_no_call_is_made_for_nothing(
    schedule, limit, count, latency, seed
):
    rng = random.Random(seed)
    house = House(schedule, limit, {"P": wild(seed)})
    comings = sorted((rng.uniform(0, 30), f"s-{number}") for number in range(count))
    answers, now, end = [], 0.0, min(3000.0, 60 * schedule.ceiling_at(0))
    while True:
        for _, id_ in (each for each in comings if each[0] <= now):
            house.come(id_, at=now)
        comings = [each for each in comings if each[0] > now]
        for asked_at, taken in (each for each in answers if each[0] + latency <= now):
            house.read(*taken, at=asked_at)
        answers = [each for each in answers if each[0] + latency > now]
        assert house.starves_at() >= now - 1e-6
        due = house.worth.due(now)
        if due <= now:
            starving, worth = house.starves_at() <= now + 1e-6, house.total(now)
            taken = house.take(now)
            assert taken
            assert starving or worth >= NEARLY * house.price() * (1 - 1e-6)
            answers.append((now, taken))
            continue
        following = [each[0] for each in comings[:1]] + [at + latency for at, _ in answers[:1]]
        now = min(due, *following, math.inf)
        if now > end:
            break


@pytest.mark.parametrize(("count", "limit"), [(1, 100), (60, 100), (250, 100), (250, 10)])
def test_an_infinite_price_is_a_fixed_interval(count, limit):
    house = House(PayAsYouWait(math.inf, ceiling=10), limit)
    ids = [f"s-{number}" for number in range(count)]
    house.come(*ids, at=0)
    now, calls = 0.0, 0
    while now < 500:
        now = house.due_after(now)
        house.read(*house.take(now), at=now)
        calls += 1
    assert calls == pytest.approx(math.ceil(count / limit) * 50, rel=0.05)


# Newcomers.


def busy(at=0.0, **options):
    """A house of a hundred who have been asked for at this moment; their answer is not here yet."""
    house = House(**options)
    ids = [f"s-{number}" for number in range(100)]
    house.come(*ids, at=at)
    assert len(house.take(at)) == 100
    return house


def test_the_first_is_read_at_once():
    house = House()
    house.come("a", at=7)
    assert house.worth.due(7) == 7
    assert house.take(7) == ["a"]


@pytest.mark.parametrize("price", [PRICE, math.inf])
def test_who_comes_when_it_is_quiet_is_read_at_once_and_takes_others_along(price):
    house = House(PayAsYouWait(price, ceiling=10 if price == math.inf else None))
    house.come("a", at=0)
    house.take(0)
    house.read("a", at=0)
    house.put_off("a")
    house.come("b", at=500)
    assert house.due_after(500) <= 500 + (LONGEST_WELCOME if price == math.inf else 0)


@pytest.mark.parametrize("count", [5, 10, 40, 100])
def test_who_comes_when_it_is_busy_waits_until_the_company_is_worth_a_call(count):
    house = busy()
    for number in range(count):
        house.come(f"new-{number}", at=0.1)
        house.worth.due(0.1)
    due = PRICE / (CHANCE * count)  # since the last call each has been worth its chance a second
    assert house.due_after(0.1) == pytest.approx(due, rel=1 - NEARLY)
    assert len(house.take(due)) == count


@pytest.mark.parametrize("ceiling", [None, 3, 50])
def test_a_newcomer_waits_for_company_for_ten_seconds_or_its_ceiling_at_most(ceiling):
    house = busy(schedule=PayAsYouWait(PRICE, ceiling))
    house.come("new", at=0.5)
    assert house.due_after(0.5) == pytest.approx(
        0.5 + min(LONGEST_WELCOME, ceiling or LONGEST_WELCOME)
    )
    assert house.take(house.due_after(0.5)) == ["new"]


def test_each_that_comes_brings_the_call_forward():
    dues = []
    for count in range(1, 20):
        house = busy()
        for number in range(count):
            house.come(f"new-{number}", at=0.1)
            house.worth.due(0.1)
        dues.append(house.due_after(0.1))
    assert dues == sorted(dues, reverse=True)
    assert dues[-1] < 0.3 * dues[0]


def test_where_newcomers_have_never_been_done_they_wait_for_more_company():
    house = busy()
    house.read(*house.seats, at=0)
    house.put_off(*house.seats)
    house.take(1, most=0)
    for number in range(50):
        house.come(f"new-{number}", at=1)
    assert house.due_after(1) == pytest.approx(1 + PRICE / (LEAST_CHANCE * 50), rel=0.03)


def test_where_newcomers_have_always_been_done_they_wait_for_less():
    house = busy()
    ids = tuple(house.seats)
    house.come("stays", at=0)
    house.take(0)
    for id_ in ids:
        house.read(id_, at=0, state="DONE")
        house.go(id_)
    house.take(1, most=0)
    for number in range(10):
        house.come(f"new-{number}", at=1)
    assert house.due_after(1) == pytest.approx(1 + PRICE / 10, rel=0.05)


def test_one_that_somebody_else_begins_to_wait_for_is_read_as_a_newcomer():
    house = busy()
    house.read("s-0", at=0)
    assert house.worth.due(1) > 1
    house.come("s-0", at=1)
    for number in range(20):
        house.come(f"new-{number}", at=1)
    due = house.due_after(1)
    assert due < 3
    assert "s-0" in house.take(due)


def test_it_keeps_what_is_known_of_it_and_is_taken_once():
    house = House()
    house.come("a", "b", at=0)
    house.read("a", "b", at=0)
    house.read("a", "b", at=100)
    house.come("a", at=120)
    assert sorted(house.take(130)) == ["a", "b"]
    house.read("a", at=130)
    exposure = learned(house.worth).exposure
    assert sum(exposure) == pytest.approx(230)
    assert sum(exposure[bin_of(100) :]) >= 30
    assert sorted(house.take(140)) == ["a"]


@pytest.mark.parametrize("price", [PRICE, math.inf])
def test_a_newcomer_waits_no_longer_where_it_was_asked_before_when_a_call_is_due(price):
    house = busy(schedule=PayAsYouWait(price, ceiling=60))
    assert house.due_after(0.1) == math.inf, "all have been asked for"
    house.come("new", at=0.5)
    assert house.due_after(0.5) <= 0.5 + LONGEST_WELCOME


# Who is where.


@given(st.data(), st.integers(1, 7), schedules)
def test_everyone_waits_or_is_taken_and_is_taken_once(data, limit, schedule):
    worth, seated, waiting, now = Worth(schedule, limit, {}), set(), set(), 0.0
    for _ in range(data.draw(st.integers(0, 40))):
        name, action = (
            data.draw(st.sampled_from("abcdefghij")),
            data.draw(st.sampled_from("wbspdtu")),
        )
        now += data.draw(st.floats(0, 30))
        if action == "w":
            worth.welcome(name, now)
            seated.add(name)
            waiting.add(name)
        elif action == "b" and name in seated:
            since = data.draw(st.none() | st.floats(now - 1000, now + 1000))
            worth.back(Look(name, data.draw(st.sampled_from(["P", "Q", None])), now, 1, since))
            waiting.add(name)
        elif action == "s":
            stayed = data.draw(st.sets(st.sampled_from("abcdefghij"))) & seated
            worth.stayed(dict.fromkeys(stayed, 2), now)
            waiting |= stayed
        elif action == "p":
            worth.put_off(name)
            waiting.discard(name)
        elif action == "d":
            worth.discard(name, settled=data.draw(st.booleans()))
            seated.discard(name)
            waiting.discard(name)
        elif action == "u":
            assert (worth.due(now) == math.inf) == (not waiting)
        elif action == "t":
            most = data.draw(st.integers(0, limit))
            taken = worth.take(most, now)
            assert len(taken) == min(most, len(waiting))
            assert len(set(taken)) == len(taken)
            assert set(taken) <= waiting
            waiting -= set(taken)
    while (due := worth.due(now)) < math.inf:
        if due <= now:
            taken = worth.take(limit, now)
            assert taken, "what is due can be taken"
            assert set(taken) <= waiting
            waiting -= set(taken)
        now = max(now, due)
    assert not waiting


@given(seeds, schedules, st.integers(1, 12))
def test_to_have_stayed_is_the_same_as_to_be_back_in_the_same_state(seed, schedule, limit):
    rng, now, state = random.Random(seed), 0.0, {}
    told, untold = (Worth(schedule, limit, {"P": wild(seed)}) for _ in range(2))
    for _ in range(40):
        now += rng.expovariate(0.2)
        if rng.random() < 0.4:
            name = rng.choice("abcdefgh")
            for worth in (told, untold):
                worth.welcome(name, now)
            state.setdefault(name, None)
        if rng.random() < 0.1 and state:
            name = rng.choice(sorted(state))
            for worth in (told, untold):
                worth.put_off(name)
        taken = told.take(limit, now)
        assert untold.take(limit, now) == taken
        stayed = [name for name in taken if state[name] and rng.random() < 0.7]
        told.stayed(dict.fromkeys(stayed, 2), now)
        for name in stayed:
            untold.back(Look(name, state[name], now))
        for name in set(taken) - set(stayed):
            state[name] = rng.choice("PQ")
            for worth in (told, untold):
                worth.back(Look(name, state[name], now))
        assert told.due(now) == untold.due(now)
        for one, other in zip(told.evidence().values(), untold.evidence().values(), strict=True):
            assert (one.events, one.exposure) == (other.events, other.exposure)


# What is learned.


def learned(worth, state="P"):
    return worth.evidence()[state]


def test_a_stay_is_learned_from_the_reads_on_both_sides_of_it():
    house = House(past={"P": even(0.01), "Q": even(0.01)})
    house.come("a", at=100)
    house.read("a", at=100)
    house.read("a", at=150)
    assert sum(learned(house.worth).exposure) == pytest.approx(50)
    house.worth.back(Look("a", "Q", 151))
    assert learned(house.worth).events[bin_of(50.5)] == 1
    assert sum(learned(house.worth).exposure) == pytest.approx(50.5, abs=0.01)
    house.worth.back(Look("a", "Q", 161))
    # Had it left before it was seen there, nobody would know that it ever was: that does not count.
    assert sum(learned(house.worth, "Q").exposure) == pytest.approx(10)
    assert sum(learned(house.worth, "Q").events) == 0


def test_when_a_state_began_is_believed_to_the_service():
    worth = House().worth
    worth.welcome("a", 1000)
    worth.back(Look("a", "P", 1000, since=700))
    worth.back(Look("a", "P", 1050))
    exposure = learned(worth).exposure
    assert sum(exposure) == pytest.approx(50)
    assert sum(exposure[bin_of(300) : bin_of(350) + 1]) == pytest.approx(50)
    worth.back(Look("a", "Q", 1100, since=1060))
    assert learned(worth).events[bin_of(360)] == 1
    assert sum(learned(worth).exposure) == pytest.approx(60)
    worth.back(Look("a", "Q", 1200))
    assert sum(learned(worth, "Q").exposure[: bin_of(40)]) == 0, (
        "it was forty seconds old when seen"
    )
    assert sum(learned(worth, "Q").exposure) == pytest.approx(100)


YEARS = 50 * 365 * 86400.0


@pytest.mark.parametrize("since", [1000 - YEARS, 1000 + YEARS, 1001, 1000 - 7 * 3600])
def test_who_began_years_ago_or_in_the_future_began_when_it_came(since):
    worth = House().worth
    worth.welcome("a", 1000)
    worth.back(Look("a", "P", 1000, since=since))
    worth.back(Look("a", "P", 1050))
    assert sum(learned(worth).exposure[: bin_of(50) + 1]) == pytest.approx(50)


@pytest.mark.parametrize("since", [1000 - YEARS, 1000 + YEARS, 1080, 990])
def test_a_change_told_for_when_it_was_seen_not_to_be_is_placed_between_the_reads(since):
    worth = House().worth
    worth.welcome("a", 1000)
    worth.back(Look("a", "P", 1000))
    worth.back(Look("a", "P", 1050))
    worth.back(Look("a", "Q", 1070, since=since))
    assert learned(worth).events[bin_of(59.5)] == 1
    assert sum(learned(worth).exposure) == pytest.approx(60, abs=1)


@pytest.mark.parametrize("since", [1046, 1074])
def test_clocks_that_differ_by_a_few_seconds_are_believed(since):
    worth = House().worth
    worth.welcome("a", 1000)
    worth.back(Look("a", "P", 1000))
    worth.back(Look("a", "P", 1050))
    worth.back(Look("a", "Q", 1070, since=since))
    assert learned(worth).events[bin_of(max(50, since - 1000))] == 1
    worth.back(Look("a", "Q", 1090))
    assert min(*learned(worth).exposure, *learned(worth, "Q").exposure) >= 0


def test_what_was_learned_outlasts_those_who_taught_it():
    worth = House().worth
    for number in range(5):
        worth.welcome(f"s-{number}", 0)
        worth.back(Look(f"s-{number}", "P", 0))
        worth.back(Look(f"s-{number}", "DONE", 40, since=40))
        worth.discard(f"s-{number}", settled=True)
    assert sum(learned(worth).events) == 5
    assert sum(learned(worth).exposure) == pytest.approx(200)
    assert set(worth.evidence()) == {"P", "DONE"}


def test_a_hazard_is_reckoned_anew_as_evidence_grows_and_not_for_every_read(monkeypatch):
    drawn, curve = [], Evidence.curve
    monkeypatch.setattr(Evidence, "curve", lambda *known: drawn.append(known) or curve(*known))
    worth = House().worth
    for number in range(3000):
        worth.welcome("a", number)
        worth.back(Look("a", "P", number))
        worth.back(Look("a", "DONE", number + 50.0, since=number + 50.0))
        worth.discard("a", settled=True)
        worth.welcome("b", number)
        worth.back(Look("b", "P", number))
        assert worth.due(number) < math.inf
        worth.discard("b", settled=False)
    assert 100 < len(drawn) < 800, "two per cent more each time, once there are many"


def test_who_is_not_found_is_in_no_state_to_be_learned():
    worth = House().worth
    worth.welcome("a", 0)
    worth.back(Look("a", None, 0))
    worth.back(Look("a", "P", 20))
    assert set(worth.evidence()) == {"P"}


@given(seeds)
def test_exposure_and_departures_add_up_whatever_the_answers(seed):
    rng, worth, now = random.Random(seed), House().worth, 1e6
    worth.welcome("a", now)
    state = None
    changes = 0
    for _ in range(rng.randrange(2, 30)):
        now += rng.expovariate(0.05)
        after = rng.choice("PPPQR")
        changes += state not in (None, after)
        since = rng.choice([None, now - rng.expovariate(0.05), now - 10 ** rng.uniform(0, 9)])
        worth.back(Look("a", after, now, since=since if state != after else None))
        state = after
    found = worth.evidence().values()
    assert sum(sum(each.events) for each in found) == changes
    assert all(min(each.exposure) >= 0 for each in found)
    assert sum(sum(each.exposure) for each in found) <= now - 1e6 + 1e-6


# How much that would take.


def test_more_sessions_want_more_reads():
    house, wants = House(), []
    for number in range(300):
        house.come(f"s-{number}", at=0)
        house.read(f"s-{number}", at=0)
        wants.append(house.worth.wanted(0))
    assert wants == sorted(wants)
    assert wants[99] == pytest.approx(100 * wants[0])
    assert wants[299] == pytest.approx(300 * wants[0])


def test_nobody_wants_nothing():
    assert House().worth.wanted(0) == 0


def test_an_infinite_price_wants_as_many_reads_as_the_ceiling():
    house = House(PayAsYouWait(math.inf, ceiling=10))
    house.come(*"abcde", at=0)
    assert house.worth.wanted(0) == pytest.approx(0.5)
    house.read(*"abcde", at=0)
    assert house.worth.wanted(0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("count", "limit"), [(1, 100), (30, 100), (100, 100), (400, 100), (60, 10)]
)
def test_what_is_wanted_is_about_what_is_used_in_a_steady_state(count, limit):
    hazard, rng = 0.01, random.Random(1)
    house = House(limit=limit, past={"P": even(hazard)})
    ends, reads, wants, now, serial = {}, 0, [], 0.0, 0
    while now < 1500:
        while len(ends) < count:
            serial += 1
            house.come(f"s-{serial}", at=now)
            ends[f"s-{serial}"] = now + rng.expovariate(hazard)
        now = house.due_after(now)
        wants.append(house.worth.wanted(now))
        for id_ in house.take(now):
            reads += now > 300
            house.read(id_, at=now)
            if ends[id_] <= now:
                house.go(id_)
                del ends[id_]
    assert reads / (now - 300) == pytest.approx(sum(wants) / len(wants), rel=0.3)
