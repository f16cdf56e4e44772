"""Disks that fail at random moments of launches: `python -m tests.campaign.disks --launches 100`.

A launch runs for real while strace refuses what it writes to its journal, from some call on: as a
full disk does, one over its quota, one that was remounted read-only, or one that breaks. This needs
no rights and no mount, and the process gets the very error that a system would give. Whatever it
does then, what it asked for has to be in the journal; and taken up on a disk that works again, the
launch has to lose nothing, to double nothing, and to tell the truth.

The first broken promise ends the campaign with exit status 1, and names the seed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.campaign.account import judge
from tests.campaign.journal import Broken
from tests.campaign.judge import promise
from tests.campaign.kills import environment, outcomes, studio

from greenroom import read_report
from greenroom.simulator import Simulator

WORKSTATIONS = 20
SPEED = 100.0


@dataclass(frozen=True)
class Fault:
    """How a disk fails.

    Attributes:
        call: The system call that is refused.
        error: The error that it is refused with.
    """

    call: str
    error: str


FAULTS = {
    "full": Fault("pwrite64", "ENOSPC"),
    "over its quota": Fault("pwrite64", "EDQUOT"),
    "read-only": Fault("pwrite64", "EROFS"),
    "broken": Fault("fdatasync", "EIO"),
}
MENDS = ("Make room on its disk", "Look at its disk")
"""What the user may be told to do; SQLite does not always say which of these it was."""
EARLY = 8
"""Calls in which a journal is begun, or nearly so."""


@dataclass
class Failing:
    """A launch whose disk fails.

    Args:
        seed: Says what the studio is like, and from which call on the disk fails.
        fault: The name of the fault.
        folder: Where the journal goes.

    Attributes:
        status: The exit status that it came to.
        asked: Sessions that were made before.
        noticed: Whether it was told that the journal cannot be written.
    """

    seed: int
    fault: str
    folder: Path
    status: int = 0
    asked: int = 0
    noticed: bool = False

    def __post_init__(self) -> None:
        self.journal = self.folder / "run.db"

    def run(self) -> Counter[str]:
        """Let it fail, take it up again, and return the verdicts.

        Raises:
            Broken: Something is lost, doubled, wrong, or not said.
        """
        fault, draw = FAULTS[self.fault], Random(self.seed)
        moment = draw.randint(1, EARLY) if draw.random() < 0.2 else draw.randint(EARLY, 70)
        refuse = f"inject={fault.call}:error={fault.error}:when={moment}+"
        strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={fault.call}", "-e", refuse]
        keys = tuple(str(number) for number in range(1, WORKSTATIONS + 1))
        with studio(self.seed, SPEED) as simulator:
            failed = self._launched(simulator, strace)
            self.status, self.asked = failed.returncode, len(simulator.truth())
            promise(self.status in (0, 1, 2), f"it ended with {self.status}: {failed.stderr}")
            self.noticed = "cannot be written" in failed.stderr
            if self.noticed:
                promise(str(self.journal) in failed.stderr, failed.stderr)
                promise(any(mend in failed.stderr for mend in MENDS), failed.stderr)
                promise(self.status == 2 or "--resume" in failed.stderr, failed.stderr)
            promise("Traceback" not in failed.stderr, failed.stderr)
            promise(self.status != 2 or not self.asked, f"{self.asked} made: {failed.stderr}")
            told = outcomes(failed.stdout)
            promise(self.status == 2 or sorted(told, key=int) == [*keys], f"told {sorted(told)}")
            self._check_known(simulator)
            done = self._launched(simulator, [])
            promise(done.returncode in (0, 1), f"taken up, it ended so: {done}")
            return judge(read_report(self.journal), simulator.truth(), keys, deleted=True)

    def _check_known(self, simulator: Simulator) -> None:
        """Make sure that the journal knows of whatever was asked for."""
        known = simulator.studio._requests._known
        asked = {token for target, token in known if target == "create"}
        if asked:
            lines = read_report(self.journal).values()
            told = {attempt.token for result in lines for attempt in result.attempts}
            promise(asked <= told, f"asked for, and not on record: {asked - told}")

    def _launched(
        self, simulator: Simulator, strace: list[str]
    ) -> subprocess.CompletedProcess[str]:
        command = (
            *("launch", "--launch-profile-id", "lp", "--count", str(WORKSTATIONS)),
            *("--instance-type", "g4dn.xlarge", "--instance-type", "g5.xlarge", "--canary", "0"),
            *("--create-rate", "40", "--rate", "100", "--every", "100ms", "--output", "json"),
            *("--journal", str(self.journal), "--resume", "--on-failure", "delete"),
        )
        return subprocess.run(
            [*strace, sys.executable, "-m", "greenroom", *command],
            env=environment(simulator),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def main() -> int:
    """Let disks fail until there were enough launches, or until something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="seed of the first launch")
    arguments = parser.parse_args()
    began, faults = time.monotonic(), [*FAULTS]
    for seed in range(arguments.seed, arguments.seed + arguments.launches):
        with tempfile.TemporaryDirectory() as folder:
            failing = Failing(seed, faults[seed % len(faults)], Path(folder))
            try:
                verdicts = failing.run()
            except Broken as broken:
                _say(f"seed {seed}, {failing.fault}: {broken}")
                return 1
        _say(
            f"seed {seed}, {failing.fault}: status {failing.status}, {failing.asked} made before; "
            f"then {dict(verdicts)}; {time.monotonic() - began:.0f} s"
        )
    _say("0 lost, 0 doubled, 0 wrong")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
