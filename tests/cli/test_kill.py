"""Signals at any moment, then --resume: nothing lost, nothing made twice, no verdict wrong.

Real processes; the studio lives on in this one. Three launches of 120 are killed four times each,
and then left to finish; others are asked to end, or put to sleep. `tests/campaign/kills.py` is how,
and has the campaign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.campaign.kills import WORKSTATIONS, Struck

if TYPE_CHECKING:
    from pathlib import Path


STRIKES = 4


@pytest.mark.parametrize("seed", range(3))
def test_a_launch_survives_being_killed(tmp_path: Path, seed: int) -> None:
    struck = Struck(seed, "kill", STRIKES, tmp_path)
    assert struck.run().total() == STRIKES * WORKSTATIONS
    assert struck.blows["kill"] == STRIKES


@pytest.mark.parametrize(("way", "seed"), [("term", 6), ("int", 6), ("stop", 6)])
def test_a_launch_survives_being_asked_to_end_or_put_to_sleep(
    tmp_path: Path, way: str, seed: int
) -> None:
    struck = Struck(seed, way, STRIKES, tmp_path)
    assert struck.run().total() == STRIKES * WORKSTATIONS
    assert struck.blows[way] == STRIKES
