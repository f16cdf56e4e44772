"""The account that others are reckoned from comes up whole, and a slow server loses nothing."""

from __future__ import annotations

import argparse

from benchmarks.scale_out import Took, as_fleet, as_launch, columns, products

from greenroom.testing import run


def asked(heartbeats: float = 1e5) -> argparse.Namespace:
    return argparse.Namespace(workstations=300, shard_size=100, workers=3, heartbeats=heartbeats)


def check(took: Took) -> None:
    assert took.counts.total() == 300
    assert took.counts["success"] > 290
    assert took.sessions == took.calls["create_session"]
    assert len(took.delays) == took.sessions


def test_an_account_is_brought_up_as_a_fleet_and_as_one_launch() -> None:
    fleet, alone = run(as_fleet, asked()), run(as_launch, asked())
    check(fleet)
    check(alone)
    assert alone.rows > fleet.rows  # of what was seen, a fleet keeps the latest
    assert columns(alone, 300).keys() < columns(fleet, 300).keys()
    assert products(fleet).keys() < columns(fleet, 300).keys()


def test_a_server_that_takes_two_heartbeats_a_second_loses_nothing() -> None:
    slowed = run(as_fleet, asked(heartbeats=2))
    check(slowed)
    assert slowed.heard is not None
    assert max(slowed.heard.seconds.values()) <= 3 + 3  # the library's own, of three shards, beside
