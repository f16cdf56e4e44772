"""An evening of the long night: what nobody asks for any more leaves nothing behind."""

from __future__ import annotations

import pytest
from tests.campaign.gauges import Reading, growth, too_much
from tests.campaign.long_night import Night

from greenroom import _engine
from greenroom.testing import run


def test_nothing_grows_while_people_come_and_go(monkeypatch):
    monkeypatch.setattr(_engine, "MAX_REMEMBERED", 100)
    night = Night(sessions=40, hours=3, seed=1, say=lambda line: None)
    run(night.last)
    assert night.outcomes.total() > 1_200
    assert len(night.outcomes) == 7
    assert too_much(night.readings, "objects", "descriptors", "tasks") == {}


def test_growth_is_seen():
    steady = [Reading(100, 100, 10, 5)] * 8
    growing = [Reading(100 + n, 100, 10, 5) for n in range(8)]
    assert growth(steady)["resident"] == 0
    assert growth(growing)["resident"] == pytest.approx(4 / 101.5)
    assert set(too_much(growing, "resident", "objects")) == {"resident"}
    leaking = [Reading(100, 100, 10 + 3 * n, 5) for n in range(8)]
    assert too_much(leaking, "descriptors", "tasks") == {"descriptors": 9}
