"""Disks that fail, for each way in which they do: `disks` has the campaign."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.campaign.disks import FAULTS, Failing


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_launch_whose_disk_fails_loses_and_doubles_nothing(tmp_path: Path, fault: str) -> None:
    # The disk of seed 4 fails from the 14th call on: a busy machine may make few, and large ones.
    failing = Failing(4, fault, tmp_path)
    assert failing.run().total() == 20
    assert failing.noticed
