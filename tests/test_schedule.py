import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom import PayAsYouWait
from greenroom._schedule import unseen


@given(
    looks=st.integers(1, 300),
    floor=st.floats(0, 5),
    initial=st.floats(0.001, 10),
    ceiling=st.floats(0.001, 100),
    factor=st.floats(1.1, 10),
    draw=st.floats(0, 1),
)
def test_backoff_keeps_between_floor_and_ceiling_and_under_its_exponential_bound(
    looks, floor, initial, ceiling, factor, draw
):
    floor, initial, ceiling = sorted((floor, initial, ceiling))
    if initial == 0:
        return
    schedule = greenroom.Backoff(
        initial=initial, factor=factor, ceiling=ceiling, floor=floor, jitter=lambda v: v * draw
    )
    delay = schedule.delay(looks)
    assert floor <= delay <= ceiling
    bound = initial * factor ** (looks - 1)
    assert delay <= max(floor, bound * 1.0001)


def test_backoff_doubles_its_bound_until_the_ceiling():
    schedule = greenroom.Backoff(initial=1, factor=2, ceiling=10, floor=0, jitter=lambda v: v)
    assert [schedule.delay(looks) for looks in range(1, 8)] == [1, 2, 4, 8, 10, 10, 10]


def test_full_jitter_spreads_evenly_over_the_bound():
    rng = random.Random(7)
    schedule = greenroom.Backoff(
        initial=8, ceiling=8, floor=0, jitter=lambda value: rng.uniform(0, value)
    )
    draws = [schedule.delay(1) for _ in range(4000)]
    assert sum(draws) / len(draws) == pytest.approx(4, rel=0.05)
    assert min(draws) < 0.1
    assert max(draws) > 7.9


def test_every_is_deaf_to_history():
    assert greenroom.Every(2.5).delay(1) == greenroom.Every(2.5).delay(500) == 2.5


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "2"])
def test_an_impossible_interval_is_refused_with_its_value(interval):
    with pytest.raises(greenroom.ConfigurationError, match="interval="):
        greenroom.Every(interval)


@pytest.mark.parametrize(
    "bad",
    [
        {"initial": 0},
        {"factor": 1},
        {"factor": "x"},
        {"factor": 10**309},
        {"ceiling": 1, "initial": 2},
        {"floor": 3, "initial": 2},
        {"floor": -1},
        {"ceiling": float("inf")},
    ],
)
def test_impossible_backoffs_are_refused(bad):
    with pytest.raises(greenroom.ConfigurationError):
        greenroom.Backoff(**bad)


# Pay as you wait.

taus = st.floats(0.01, 1e5)
masses = st.floats(1e-12, 700)


@given(taus, st.floats(1e-4, 700))
def test_unseen_is_the_closed_form(tau, x):
    assert unseen(tau, x) == pytest.approx(tau * (1 - (1 - math.exp(-x)) / x), rel=1e-6)


@given(taus, st.floats(1e-4, 700))
def test_unseen_is_the_mean_time_since_a_change_at_an_even_hazard(tau, x):
    """The chance that it had changed by each moment before now, added up over the interval."""
    step = tau / 1000
    added = sum(-math.expm1(-x * (n + 0.5) / 1000) for n in range(1000)) * step
    assert unseen(tau, x) == pytest.approx(added, rel=1e-3)


@given(taus, st.floats(0, 1e-6))
def test_unseen_is_half_of_tau_times_x_where_a_change_is_unlikely(tau, x):
    assert unseen(tau, x) == pytest.approx(tau * x / 2, rel=1e-6)


def test_unseen_is_all_of_tau_where_a_change_is_certain():
    assert unseen(60, 1e9) == pytest.approx(60)
    assert unseen(60, 1e3) == pytest.approx(60 * (1 - 1e-3))
    assert unseen(60, 0) == 0
    assert unseen(0, 0) == 0


@given(taus)
def test_unseen_does_not_jump_where_it_becomes_a_series(tau):
    switch = 1e-3
    below, above = unseen(tau, math.nextafter(switch, 0)), unseen(tau, switch)
    assert below == pytest.approx(above, rel=1e-6)
    assert unseen(tau, switch * 0.999) < unseen(tau, switch * 1.001)


@given(taus, taus, masses, masses)
def test_unseen_grows_with_the_time_and_with_the_hazard_and_never_beyond_the_time(t, u, x, y):
    least, most = unseen(min(t, u), min(x, y)), unseen(max(t, u), max(x, y))
    one, other = unseen(min(t, u), max(x, y)), unseen(max(t, u), min(x, y))
    nearly = 1 + 1e-6  # the series and the closed form are not the same to the last digit
    assert 0 <= least <= min(one, other) * nearly
    assert max(one, other) <= most * nearly
    assert most <= max(t, u)


def test_pay_as_you_wait_needs_to_be_told_nothing():
    assert PayAsYouWait() == PayAsYouWait(price=20, ceiling=None, history=None)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"price": 0}, "price=0 "),
        ({"price": -1}, "price=-1 "),
        ({"price": math.nan}, "price=nan "),
        ({"price": -math.inf}, "price=-inf "),
        ({"price": "20"}, "price='20' "),
        ({"price": None}, "price=None "),
        ({"price": True}, "price=True "),
        ({"ceiling": 0}, "ceiling=0 "),
        ({"ceiling": -5}, "ceiling=-5 "),
        ({"ceiling": math.nan}, "ceiling=nan "),
        ({"ceiling": math.inf}, "ceiling=inf "),
        ({"ceiling": "5"}, "ceiling='5' "),
        ({"price": math.inf, "ceiling": math.inf}, "ceiling=inf "),
        ({"history": "runs.json"}, "history='runs.json' is no History"),
        ({"history": {}}, "history={} is no History"),
    ],
)
def test_an_impossible_price_ceiling_or_history_is_refused_with_its_value(bad, said):
    with pytest.raises(greenroom.ConfigurationError, match=f"^{said}"):
        PayAsYouWait(**bad)


def test_a_price_may_be_infinite_and_a_history_empty():
    assert PayAsYouWait(price=math.inf, ceiling=10).price == math.inf
    assert PayAsYouWait(math.inf).ceiling_at(0) == 60
    assert PayAsYouWait(history=greenroom.History()).history is not None


@pytest.mark.parametrize(
    ("age", "ceiling"),
    [(0, 60), (300, 60), (540, 60), (900, 100), (3600, 400), (5400, 600), (9000, 600), (1e9, 600)],
)
def test_the_ceiling_is_a_minute_or_a_tenth_of_the_age_or_ten_minutes(age, ceiling):
    assert PayAsYouWait().ceiling_at(age) == pytest.approx(ceiling)


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_the_tenth_is_of_the_age_at_which_the_time_is_over(age, other):
    ceiling = PayAsYouWait().ceiling_at(age)
    assert 60 <= ceiling <= 600
    assert ceiling in (60, 600) or ceiling == pytest.approx((age + ceiling) / 10)
    assert PayAsYouWait().ceiling_at(min(age, other)) <= PayAsYouWait().ceiling_at(max(age, other))


@given(st.floats(0, 1e7), st.floats(0.1, 1e6), st.sampled_from([1.0, math.inf]))
def test_a_ceiling_of_ones_own_is_the_same_at_every_age(age, ceiling, price):
    assert PayAsYouWait(price, ceiling).ceiling_at(age) == ceiling
