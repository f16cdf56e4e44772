"""The power is lost at two hundred moments of a launch: `power` has the campaign."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from tests.campaign.disk import Disk, Made, Removed, Renamed, Resized, Sent, Synced, Written
from tests.campaign.power import MEMORY, cuts, record

CUTS = 200
TAKEN_UP = 5
"""One cut of how many is taken up again; of the others the journal is read."""


@pytest.mark.usefixtures("strace")
def test_what_was_asked_for_is_on_the_disk_whenever_the_power_is_lost(tmp_path: Path) -> None:
    (folder := tmp_path / "launch").mkdir()
    recording = record(1, folder, workstations=12)
    asked = 0
    for number, cut in enumerate(cuts(recording, CUTS, seed=1)):
        with TemporaryDirectory(dir=MEMORY) as left:
            asked += cut.judge(Path(left), take_up=number % TAKEN_UP == 0)
    assert asked > CUTS // 2


def left(events: list, seed: int) -> dict[str, bytes]:
    with TemporaryDirectory(dir=MEMORY) as folder:
        Disk(events).lose_power(Path(folder), Random(seed))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_what_was_synced_is_there_and_of_the_rest_any_part() -> None:
    events = [
        *(Made("draft", 1), Written(1, 0, b"a" * 1024), Synced(1), Renamed("draft", "file")),
        *(Made("other", 2), Synced(None), Removed("other")),
        *(Written(1, 0, b"b" * 1024), Resized(1, 700), Sent("token")),
    ]
    found = [left(events, seed) for seed in range(200)]
    assert all(each.keys() in ({"file"}, {"file", "other"}) for each in found)
    assert {"other" in each for each in found} == {True, False}
    sectors = {(each["file"][:1], each["file"][512:513]) for each in found}
    assert sectors == {(x, y) for x in (b"a", b"b") for y in (b"a", b"b")}
    assert {len(each["file"]) for each in found} == {700, 1024}
    assert left([*events, Synced(1), Synced(None)], 1) == {"file": b"b" * 700}
    assert {*map(len, (left(events[:4], seed) for seed in range(50)))} == {0, 1}
