from hypothesis import given
from hypothesis import strategies as st

from greenroom.simulator import Limit
from greenroom.simulator._simulator import TokenBucket


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket, limit = TokenBucket(), Limit(rate=2, burst=3)

    assert [bucket.take(0.0, limit) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(0.5, limit), bucket.take(0.5, limit)] == [True, False]


def test_a_lower_limit_applies_to_what_the_bucket_holds() -> None:
    bucket = TokenBucket()
    bucket.take(0.0, Limit(rate=1, burst=100))

    allowed = [bucket.take(0.0, Limit(rate=1, burst=2)) for _ in range(4)]

    assert allowed == [True, True, False, False]


@given(
    steps=st.lists(st.floats(min_value=-1, max_value=10), max_size=60),
    rate=st.floats(min_value=0.1, max_value=20),
    burst=st.integers(min_value=1, max_value=30),
)
def test_never_more_than_the_burst_and_the_rate_pass(
    steps: list[float], rate: float, burst: int
) -> None:
    bucket, limit = TokenBucket(), Limit(rate=rate, burst=burst)
    now = latest = passed = 0.0
    for step in steps:
        now += step
        latest = max(latest, now)
        passed += bucket.take(now, limit)

    assert passed <= burst + rate * latest + 1e-6
