import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom._hazard import BINS, EDGES, FIRST_BIN, RATIO, REACH, Curve, Evidence, bin_of

ages = st.floats(0, 1e6)
intervals = st.tuples(ages, ages).map(sorted)
bins = st.integers(0, BINS - 1)


def wild(seed):
    rng = random.Random(seed)
    return Curve([10 ** rng.uniform(-5, 0) for _ in range(BINS)])


curves = st.integers(0, 10**6).map(wild)


def evidence_of(seed):
    rng = random.Random(seed)
    found = Evidence()
    for _ in range(rng.randrange(40)):
        age = rng.lognormvariate(5, 2)
        found.stay(age * rng.random() ** 3, age)
        if rng.random() < 0.6:
            found.leave(age)
    return found


evidences = st.integers(0, 10**6).map(evidence_of)


# Bins and curves.


def test_bins_begin_with_two_seconds_and_grow_by_eight_per_cent_to_days():
    assert len(EDGES) == BINS
    assert EDGES[:2] == (0, FIRST_BIN)
    assert all(b / a == pytest.approx(RATIO) for a, b in pairwise(EDGES[1:]))
    assert 4 < EDGES[-1] / 86400 < 6


@given(bins)
def test_a_bin_has_its_edge_and_not_the_next(place):
    assert bin_of(EDGES[place]) == place
    if place:
        assert bin_of(math.nextafter(EDGES[place], 0)) == place - 1


@given(ages)
def test_every_age_lies_in_one_bin(age):
    place = bin_of(age)
    assert EDGES[place] <= age
    assert place == BINS - 1 or age < EDGES[place + 1]


def test_the_last_bin_has_no_end():
    assert bin_of(1e12) == BINS - 1
    assert wild(1).at(1e12) - wild(1).at(1e12 - 1000) == pytest.approx(1000 * wild(1).rates[-1])


@given(curves, intervals)
def test_the_cumulative_hazard_is_the_integral_of_the_rates(curve, interval):
    since, until = interval
    overlaps = (min(until, end) - max(since, begin) for begin, end in pairwise((*EDGES, math.inf)))
    integral = sum(
        rate * overlap for rate, overlap in zip(curve.rates, overlaps, strict=True) if overlap > 0
    )
    assert curve.at(until) - curve.at(since) == pytest.approx(
        integral, rel=1e-9, abs=1e-12 * (1 + curve.at(until))
    )


@given(curves, intervals)
def test_the_cumulative_hazard_never_falls(curve, interval):
    since, until = interval
    assert curve.at(0) == 0
    assert 0 <= curve.at(since) <= curve.at(until)


@given(curves, ages)
def test_the_age_of_a_cumulative_hazard_is_the_inverse(curve, age):
    assert curve.age_at(curve.at(age)) == pytest.approx(age, rel=1e-6, abs=1e-6)


@given(curves, intervals)
def test_the_median_lies_in_the_interval_and_halves_the_chance(curve, interval):
    since, until = interval
    median = curve.median(since, until)
    assert since <= median <= until
    whole = -math.expm1(curve.at(since) - curve.at(until))
    half = -math.expm1(curve.at(since) - curve.at(median))
    assert half == pytest.approx(whole / 2, rel=1e-6, abs=1e-12 * (1 + curve.at(until)))


def test_the_median_of_an_even_hazard_is_the_middle_of_a_short_interval_and_early_in_a_long_one():
    even = Curve([0.01] * BINS)
    assert even.median(100, 101) == pytest.approx(100.5, abs=0.01)
    assert even.median(100, 100_000) == pytest.approx(100 + math.log(2) / 0.01)
    assert even.median(100, 100) == 100


# Evidence.


@given(st.lists(intervals, max_size=5))
def test_exposure_adds_up_to_the_time_that_was_stayed(stays):
    found = Evidence()
    for since, until in stays:
        found.stay(since, until)
    total = sum(until - since for since, until in stays)
    assert sum(found.exposure) == pytest.approx(total, rel=1e-12, abs=1e-9)
    assert found.events == [0] * BINS


@given(intervals)
def test_exposure_is_where_the_time_was_spent(interval):
    since, until = interval
    found = Evidence()
    found.stay(since, until)
    for begin, end, seconds in zip(EDGES, (*EDGES[1:], math.inf), found.exposure, strict=True):
        overlap = max(0.0, min(until, end) - max(since, begin))
        assert seconds == pytest.approx(overlap, abs=1e-9)
        assert seconds >= 0


@given(st.lists(ages, max_size=20))
def test_a_departure_counts_in_the_bin_of_its_age(departures):
    found = Evidence()
    for age in departures:
        found.leave(age)
    assert sum(found.events) == len(departures)
    for place in range(BINS):
        assert found.events[place] == sum(bin_of(age) == place for age in departures)


# What is made of it.


COUNT = 3000


def exponential(rng):
    return [rng.expovariate(0.01) for _ in range(COUNT)]


def lognormal(rng):
    return [rng.lognormvariate(math.log(300), 0.35) for _ in range(COUNT)]


def survival(age):
    return math.erfc(math.log(age / 300) / 0.35 / math.sqrt(2)) / 2


def complete(durations):
    found = Evidence()
    for age in durations:
        found.stay(0, age)
        found.leave(age)
    return found


def read(durations, interval=20):
    """What reads show, each departure placed as it is while waiting."""
    found, rng = Evidence(), random.Random(2)
    for age in durations:
        last, look = 0.0, rng.uniform(0, interval)
        while look < age:
            found.stay(last, look)
            last, look = look, look + interval
        left = found.curve().median(last, look)
        found.stay(last, left)
        found.leave(left)
    return found


@pytest.mark.parametrize("gather", [complete, read], ids=["complete", "read"])
def test_an_even_hazard_is_recovered(gather):
    curve = gather(exponential(random.Random(1))).curve()
    # Reads every 20 s tell little of what goes on within the first two or three of them.
    for age in (10, 20, 50, 100, 200, 300) if gather is complete else (60, 100, 200, 300):
        place = bin_of(age)
        begin, end = EDGES[place - REACH], EDGES[place + REACH + 1]
        departures = COUNT * (math.exp(-0.01 * begin) - math.exp(-0.01 * end))
        noise = 4 / math.sqrt(departures)  # a count of n is off by its root, at times fourfold
        assert curve.rates[place] == pytest.approx(0.01, rel=noise)
        # A share p of n is off by the root of p * (1 - p) / n, at times fourfold.
        assert math.exp(-curve.at(age)) == pytest.approx(
            math.exp(-0.01 * age), abs=4 * math.sqrt(0.25 / COUNT)
        )


@pytest.mark.parametrize("gather", [complete, read], ids=["complete", "read"])
def test_a_lognormal_hazard_is_recovered(gather):
    curve = gather(lognormal(random.Random(1))).curve()
    assert curve.rates[bin_of(20)] == pytest.approx(0.25 / 319, rel=0.05), (
        "the floor: never nothing"
    )
    # From there on. Five bins are two fifths of the age, over which such a hazard doubles.
    for age in (200, 250, 300, 400, 500, 600):
        z = math.log(age / 300) / 0.35
        density = math.exp(-z * z / 2) / (age * 0.35 * math.sqrt(2 * math.pi))
        assert curve.rates[bin_of(age)] == pytest.approx(density / survival(age), rel=0.2)
        stayed = math.exp(curve.at(200) - curve.at(age))
        # A share p of n is off by the root of p * (1 - p) / n, at times fourfold.
        assert stayed == pytest.approx(
            survival(age) / survival(200), abs=4 * math.sqrt(0.25 / COUNT)
        )


def test_nothing_known_is_one_over_the_age():
    curve = Evidence().curve()
    for age in (5, 60, 3600, 86400):
        assert curve.rates[bin_of(age)] == pytest.approx(1 / age, rel=RATIO - 1)
    assert curve.at(1200) - curve.at(600) == pytest.approx(math.log(2), rel=0.01)
    assert curve.at(20) - curve.at(10) == pytest.approx(math.log(2), rel=0.01)


def test_what_is_known_of_one_age_says_nothing_of_another():
    found = complete([100.0] * 50)
    blank, curve = Evidence().curve(), found.curve()
    assert curve.rates[bin_of(100)] > 4 * blank.rates[bin_of(100)]
    assert curve.rates[bin_of(10_000)] >= blank.rates[bin_of(10_000)]


@given(evidences, st.none() | evidences)
def test_no_hazard_is_below_a_quarter_of_the_mean(found, before):
    parts = [found] if before is None else [found, before]
    seconds = sum(sum(part.exposure) for part in parts)
    mean = sum(sum(part.events) for part in parts) / seconds if seconds else 0.0
    curve = found.curve(before)
    assert min(curve.rates) >= 0.25 * mean * (1 - 1e-9)
    assert min(curve.rates) > 0


@given(evidences)
def test_what_was_known_before_counts_as_if_it_were_ones_own(found):
    assert Evidence().curve(found).rates == pytest.approx(found.curve().rates)
    assert found.curve(Evidence()).rates == pytest.approx(Evidence().curve(found).rates)


@given(evidences, st.floats(0.1, 50))
def test_scaled_evidence_is_worth_at_most_so_many_sessions_and_shows_the_same(found, most):
    scaled = found.scaled(most)
    standing = [s / (b - a) for s, a, b in zip(found.exposure, EDGES, EDGES[1:], strict=False)]
    part = min(1, most / max(*standing, sum(found.events), 1e-9))
    assert scaled.events == pytest.approx([part * each for each in found.events])
    assert scaled.exposure == pytest.approx([part * each for each in found.exposure])


def test_scaling_leaves_the_evidence_alone():
    found = complete([10.0, 20.0, 30.0])
    found.scaled(1).leave(15.0)
    assert sum(found.events) == 3
    assert sum(found.exposure) == pytest.approx(60)


def test_time_without_departures_draws_a_curve_anew_too():
    found = complete([50.0] * 100)
    before = found.curve()
    for _ in range(100):
        found.stay(0, 50)
    assert found.curve().rates[bin_of(50)] < 0.6 * before.rates[bin_of(50)]
