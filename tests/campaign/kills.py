"""Signals at random moments of launches: `python -m tests.campaign.kills --strikes 500 --seed 1`.

Real processes, over real HTTP, against a studio that lives on in this one. A launch of 300 is
struck ten times, taken up again after each blow that ended it, and at last left to finish. One blow
in five falls while the process begins, at some import; the others once it has the journal. Then the
journal and the last outcomes are held against what truly happened at the studio. The seed says how
the launch is made (its sessions kept, deleted or streamed), and when it is struck. A blow counts
where there was a process to be struck.

`--with kill` is a crash, `term` and `int` are somebody who stops it (every other time with a second
blow, which leaves at once), `stop` is a laptop that sleeps, `any` draws one each time.
The first broken promise ends the campaign with exit status 1, and names the seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from tests.campaign.account import judge
from tests.campaign.journal import Broken
from tests.campaign.judge import promise

import greenroom
from greenroom import read_report
from greenroom.simulator import Settings, Simulator, serve

WAYS = ("kill", "term", "int", "stop")
EARLY = 0.2
"""How many blows, of all, come before the process has the journal."""
STRIKES = 10
"""Blows that one launch gets, if it does not end before."""
CREATES = 12
"""Creates a second, and at once."""
WORKSTATIONS = 30
"""Workstations for each blow: so many that no launch is over before its last one, however slow the
machine, for a life of at most 1.3 s makes 28."""
SPEED = 40.0
BEGINS = 10.0
"""Seconds in which a process takes hold of its journal, on a slow machine."""
PATIENCE = 60.0
"""Seconds in which a launch that nobody strikes has to be over."""

MANNERS = ((), ("--on-failure", "delete"), ("--stream",))
"""How launches are made, by the seed."""

FAILURES = {
    "INSUFFICIENT_CAPACITY": 0.02,
    "INTERNAL_ERROR": 0.02,
    "INITIALIZATION_SCRIPT_ERROR": 0.01,
    "NETWORK_INTERFACE_ERROR": 0.01,
}


def settings(seed: int) -> Settings:
    """Return those of a studio where answers are slow and sessions fail."""
    return Settings.from_table(
        {
            "seed": seed,
            "create": {"median_s": 100, "sigma": 0.35, "failures": FAILURES},
            "failure": {"median_s": 40, "sigma": 0.35},
            "delete": {"median_s": 20, "sigma": 0.35},
            "stream": {"median_s": 20},
            "latency": [0.5, 4.0],
        }
    )


@contextmanager
def studio(seed: int, speed: float = SPEED) -> Iterator[Simulator]:
    """Serve it."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(settings(seed), speed=speed)) as simulator,
    ):
        yield simulator


def environment(simulator: Simulator) -> dict[str, str]:
    """Return what a process needs to find the studio, and nothing of the user's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **own,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GREENROOM_ENDPOINT_URL": simulator.url,
        "GREENROOM_STUDIO_ID": simulator.studio_id,
        "PYTHONPATH": str(Path(greenroom.__file__).parents[1]),
    }


@dataclass
class Struck:
    """A launch that is struck, and what came of it.

    Args:
        seed: Says how it is made, what the studio is like, and when the blows come.
        way: One of `WAYS`, or `any`.
        strikes: Most blows.
        folder: Where the journal goes.

    Attributes:
        blows: The blows that met a process, by their kind.
        early: Those of them that it got before it had the journal.
        processes: Processes that it took.
        statuses: Exit statuses of those that were struck.
    """

    seed: int
    way: str
    strikes: int
    folder: Path
    blows: Counter[str] = field(default_factory=Counter)
    early: int = 0
    processes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.journal = self.folder / "run.db"
        self.keys = [str(number) for number in range(1, self.strikes * WORKSTATIONS + 1)]
        self._draw = random.Random(self.seed)
        self._manner = MANNERS[self.seed % len(MANNERS)]

    def run(self) -> Counter[str]:
        """Strike it, let it finish, and return the verdicts.

        Raises:
            Broken: Something is lost, doubled or wrong.
        """
        with studio(self.seed) as simulator:
            self._environment = environment(simulator)
            while self.blows.total() < self.strikes:
                with self._process() as process:
                    if self._struck(process):
                        continue
                break
            with self._process() as process:
                out, err = process.communicate(timeout=PATIENCE)
            promise(process.returncode in (0, 1), f"it ended with {process.returncode}: {err}")
            return self._judged(simulator, outcomes(out))

    def _judged(self, simulator: Simulator, told: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
        """Hold what was recorded and what was told against what truly happened."""
        report = read_report(self.journal)
        verdicts = judge(report, simulator.truth(), self.keys, deleted="delete" in self._manner)
        promise(sorted(told, key=int) == self.keys, f"outcomes of {sorted(told, key=int)}")
        for key, result in report.items():
            outcome = told[key]
            was = (outcome["id"], outcome["verdict"], outcome["state"], outcome["attempts"])
            is_ = (result.id, result.verdict, result.state, len(result.attempts))
            promise(was == is_, f"{key} is told as {was}, and recorded as {is_}")
        if "--stream" in self._manner:
            streams = Counter(session_id for session_id, _ in simulator.studio._streams)
            wanted = Counter(str(result.id) for result in report.succeeded)
            promise(streams == wanted, f"streams of {streams}")
        return verdicts

    @contextmanager
    def _process(self) -> Iterator[subprocess.Popen[str]]:
        command = (
            *("launch", "--launch-profile-id", "lp", "--count", str(len(self.keys))),
            *("--instance-type", "g4dn.xlarge", "--instance-type", "g5.xlarge", "--canary", "0"),
            *("--create-rate", str(CREATES), "--rate", "100", "--every", "100ms"),
            *("--output", "json"),
            *("--journal", str(self.journal), "--resume", *self._manner),
        )
        self.processes += 1
        self._held_before = self._held_at()
        with subprocess.Popen(
            [sys.executable, "-m", "greenroom", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def _struck(self, process: subprocess.Popen[str]) -> bool:
        """Strike a process until it is over; return whether there may be more to do."""
        asleep = self._draw.random() < EARLY
        if not asleep:
            self._wait_for_it_to_begin(process)
        while self.blows.total() < self.strikes:
            if _ends(process, self._draw.uniform(0.05, 0.6 if asleep else 1.3)):
                return process.returncode not in (0, 1)
            self.early += asleep
            way = self._draw.choice(WAYS) if self.way == "any" else self.way
            self.blows[way] += 1
            if way == "stop":
                asleep = False
                process.send_signal(signal.SIGSTOP)
                time.sleep(self._draw.uniform(0.1, 2.0))
                process.send_signal(signal.SIGCONT)
                continue
            number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}[way]
            process.send_signal(number)
            if way != "kill" and self._draw.random() < 0.5:
                _ends(process, self._draw.uniform(0.0, 0.3))
                process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
            self.statuses[process.returncode] += 1
            self._check_ending(process.returncode, number, out, err)
            return True
        return True

    def _wait_for_it_to_begin(self, process: subprocess.Popen[str]) -> None:
        """Wait until it takes hold of the journal, or for so long that it must have by now.

        Not for ever: one whose output nobody reads waits as well.
        """
        late = time.monotonic() + BEGINS
        while process.poll() is None and time.monotonic() < late:
            if self._held_at() > self._held_before:
                return
            time.sleep(0.005)

    def _held_at(self) -> int:
        """Return when the journal was last written to, which is what a process begins with."""
        written = [0]
        for name in ("run.db", "run.db-wal"):
            with suppress(FileNotFoundError):
                written.append(self.journal.with_name(name).stat().st_mtime_ns)
        return max(written)

    def _check_ending(self, status: int, number: int, out: str, err: str) -> None:
        """Make sure that who was asked to end did so well; who was so early had no chance."""
        if status == -number:
            return
        promise(status in (0, 1, 130), f"it ended with {status}: {err}")
        promise("Traceback" not in err, err)
        if (told := outcomes(out)) or status != 130:
            promise(sorted(told, key=int) == self.keys, f"it told of {sorted(told)}")
            promise('"event": "summary"' in out.splitlines()[-1], out.splitlines()[-1])
            promise(f"--journal {self.journal} --resume" in err or status != 130, err)


def _ends(process: subprocess.Popen[str], seconds: float) -> bool:
    """Return whether a process is over by itself within some seconds."""
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
    return process.returncode is not None


def outcomes(out: str) -> dict[str, Mapping[str, Any]]:
    """Return the outcomes that were printed, by key.

    Raises:
        Broken: A key has two.
    """
    told = [each for each in map(json.loads, out.splitlines()) if each["event"] == "outcome"]
    found = {each["key"]: each for each in told}
    promise(len(found) == len(told), f"{len(told)} outcomes of {len(found)} keys")
    return found


def main() -> int:
    """Strike launches until there were enough blows, or until something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strikes", type=int, default=500, help="blows to deal, in all")
    parser.add_argument("--with", dest="way", choices=(*WAYS, "any"), default="kill")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first launch")
    arguments = parser.parse_args()
    blows: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    early = 0
    seed, began = arguments.seed, time.monotonic()
    while blows.total() < arguments.strikes:
        strikes = min(STRIKES, arguments.strikes - blows.total())
        with tempfile.TemporaryDirectory() as folder:
            struck = Struck(seed, arguments.way, strikes, Path(folder))
            try:
                verdicts += struck.run()
            except Broken as broken:
                _say(f"seed {seed}, after {blows.total()} blows: {broken}")
                return 1
        blows += struck.blows
        early += struck.early
        _say(
            f"seed {seed}: {dict(struck.blows)}, {struck.processes} processes, "
            f"ended with {dict(struck.statuses)}; in all {blows.total()} blows, "
            f"{time.monotonic() - began:.0f} s"
        )
        seed += 1
    _say(
        f"seeds {arguments.seed} to {seed - 1}: {dict(blows)}, {early} of them early, at "
        f"{verdicts.total():,} workstations ({dict(verdicts)}): 0 lost, 0 doubled, 0 wrong"
    )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
