"""A hundred thousand steps of the campaign, on both event loops."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.campaign.night import play_round

STEPS = 50_000
"""On each event loop: operations executed, calls answered, and transitions told."""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_fifty_thousand_steps_break_no_promise(backend):
    done: Counter[str] = Counter()
    seed = 1
    while done.total() < STEPS:
        done += play_round(seed, backend)
        seed += 1
    assert done["calls answered"] > STEPS / 5
    assert done["transitions told"] > STEPS / 50
