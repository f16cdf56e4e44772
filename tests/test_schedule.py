import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom


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
        {"ceiling": 1, "initial": 2},
        {"floor": 3, "initial": 2},
        {"floor": -1},
        {"ceiling": float("inf")},
    ],
)
def test_impossible_backoffs_are_refused(bad):
    with pytest.raises(greenroom.ConfigurationError):
        greenroom.Backoff(**bad)
