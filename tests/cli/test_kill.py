"""SIGKILL at any moment, then --resume: nothing lost, nothing made twice, no verdict wrong.

Real processes; the studio lives on in this one. Five launches of 300 are killed ten times each, at
random moments from the first import on, and then left to finish.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from greenroom import read_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Spawn = Callable[..., subprocess.Popen[str]]

KILLS = 10
FAILURES = {
    "INSUFFICIENT_CAPACITY": 0.02,
    "INTERNAL_ERROR": 0.02,
    "INITIALIZATION_SCRIPT_ERROR": 0.01,
    "NETWORK_INTERFACE_ERROR": 0.01,
}


@pytest.mark.parametrize("seed", range(5))
def test_a_launch_survives_being_killed(
    studio: Start, spawn: Spawn, tmp_path: Path, seed: int
) -> None:
    simulator = studio(
        speed=40.0,
        seed=seed,
        create={"median_s": 100, "sigma": 0.35, "failures": FAILURES},
        failure={"median_s": 40, "sigma": 0.35},
        latency=[0.5, 4.0],
    )
    journal = tmp_path / "run.db"
    rng = random.Random(seed)

    def start() -> subprocess.Popen[str]:
        return spawn(
            *("launch", "--launch-profile-id", "lp", "--count", "300", "--output", "json"),
            *("--instance-type", "g4dn.xlarge", "--instance-type", "g5.xlarge", "--canary", "0"),
            *("--create-rate", "40", "--rate", "100", "--every", "100ms"),
            *("--journal", str(journal), "--resume"),
        )

    for _ in range(KILLS):
        process = start()
        try:
            process.communicate(timeout=rng.uniform(0.3, 1.6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    process = start()
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 1), err

    outcomes = [each for each in map(json.loads, out.splitlines()) if each["event"] == "outcome"]
    assert sorted(int(each["key"]) for each in outcomes) == [*range(1, 301)]
    truth = simulator.truth()
    report = read_report(journal)
    made = [attempt for result in report.values() for attempt in result.attempts]
    assert len({attempt.token for attempt in made}) == len(made)
    assert {attempt.id for attempt in made} == set(truth), "each session, and no other, is named"
    assert len(truth) == len(made) == sum(each["attempts"] for each in outcomes)
    for each in outcomes:
        last = truth[each["id"]][-1]
        assert each["state"] == last.state
        assert each["verdict"] == ("success" if last.state == "READY" else "failure")
        if each["verdict"] == "failure":
            assert last.status_code == "INITIALIZATION_SCRIPT_ERROR"
