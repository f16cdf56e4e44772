"""A hundred thousand steps of the campaign, on both event loops."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.campaign.night import play_round

STEPS = 25_000
"""In each part: operations executed, calls answered, and transitions told."""

PROGRAMS = 50
"""Programs of one seed: so few that the last of them make a part little longer."""


@pytest.mark.parametrize("first_seed", [1, 101])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_quarter_of_a_hundred_thousand_steps_breaks_no_promise(backend, first_seed):
    done: Counter[str] = Counter()
    seed = first_seed
    while done.total() < STEPS:
        done += play_round(seed, backend, PROGRAMS)
        seed += 1
    assert done["calls answered"] > STEPS / 5
    assert done["transitions told"] > STEPS / 50
