"""Power lost at any moment of a launch: `python -m tests.campaign.power --cuts 5000 --seed 1`.

A launch is run for real under strace: its first process is killed at some write to its journal, the
second is stopped by SIGINT, the third finishes. What they wrote, synced and sent is then cut at
random moments. For each of these the files are left as a disk might hold them (`disk`), and the
journal has to be readable and to tell of every request that had gone out by then; and a launch that
is taken up from it, in virtual time, at a studio that has carried out what it was sent by then, has
to lose nothing, to double nothing, and to tell the truth.

The first broken promise ends the campaign with exit status 1, and names its seed and its cut.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import anyio
import anyio.to_thread
from tests.campaign.account import judge
from tests.campaign.disk import Disk, Event, Sent
from tests.campaign.journal import Broken
from tests.campaign.judge import promise
from tests.campaign.kills import environment, settings, studio
from tests.campaign.strace import Reader, tracing
from tests.launch.conftest import Studio

import greenroom
from greenroom import JournalError, LaunchPolicy, LaunchReport, testing
from greenroom._launch._journal import read_journal
from greenroom._launch._journal_file import journal_exists
from greenroom.simulator import Simulator
from greenroom.simulator import Studio as Model

WORKSTATIONS = 20
SPEED = 100.0
POLICY = LaunchPolicy(on_failure="delete", stream=True, canary=0)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where what a disk may hold is looked at: nothing there has to last."""

CHANGING = ("create_session", "create_stream", "delete_session")
"""What a launch asks for that changes something."""


@dataclass(frozen=True)
class Carried:
    """A request that the studio carried out."""

    name: str
    at: float
    members: dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """A launch that happened.

    Attributes:
        seed: The studio's.
        keys: Its workstations.
        events: What was written, synced and sent, in its order, and when.
        carried: What the studio did, in its order.
        began: When the studio's clock began, in epoch seconds.
    """

    seed: int
    keys: tuple[str, ...]
    events: tuple[tuple[float, Event], ...]
    carried: tuple[Carried, ...]
    began: float


def record(seed: int, folder: Path, workstations: int = WORKSTATIONS) -> Recording:
    """Run a launch of three processes, and return what happened.

    Raises:
        Broken: It did not go as it should have, or its own account is wrong.
    """
    draw = Random(seed)
    journal = folder / "run.db"
    keys = tuple(str(number) for number in range(1, workstations + 1))
    reader, events = Reader(folder), list[tuple[float, Event]]()
    with studio(seed, SPEED) as simulator:
        carried = _noted(simulator)
        ends = (("SIGKILL", {-signal.SIGKILL}), ("SIGINT", {130}), (None, {0, 1}))
        for number, statuses in ends:
            out = folder.with_name(f"{folder.name}-calls")
            moment = f"inject=pwrite64:signal={number}:when={draw.randint(40, 100)}"
            ended = subprocess.run(
                [
                    *tracing(out, *(("-e", moment) if number else ())),
                    *(sys.executable, "-m", "greenroom", "launch", "--launch-profile-id", "lp"),
                    *("--instance-type", "g4dn.xlarge", "--instance-type", "g5.xlarge"),
                    *("--count", str(workstations), "--create-rate", "40", "--rate", "100"),
                    *("--every", "100ms", "--canary", "0", "--on-failure", "delete", "--stream"),
                    *("--journal", str(journal), "--resume"),
                ],
                env=environment(simulator),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            promise(ended.returncode in statuses, f"{number}: {ended}")
            events += reader.read(out)
            out.unlink()
        judge(greenroom.read_report(journal), simulator.truth(), keys, deleted=True)
        return Recording(seed, keys, tuple(events), tuple(carried), simulator.clock.started)


def _noted(simulator: Simulator) -> list[Carried]:
    """Have everything noted that a studio carries out."""
    carried: list[Carried] = []

    def noting(name: str, carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def note(now: float, session_id: str | None = None, **members: Any) -> Any:
            if session_id is not None:
                members["session_id"] = session_id
            told = carry_out(now, **members)
            carried.append(Carried(name, now, members))
            return told

        return note

    for name in CHANGING:
        setattr(simulator.studio, name, noting(name, getattr(simulator.studio, name)))
    return carried


@dataclass(frozen=True)
class Cut:
    """The moment at which the power was lost: before one of the events."""

    recording: Recording
    number: int
    seed: int

    def judge(self, folder: Path, *, take_up: bool = True) -> bool:
        """Return whether anything was asked for by then, once all promises are seen to be kept.

        Args:
            folder: Where the files are left.
            take_up: Whether the launch is taken up from them.

        Raises:
            Broken: One is not.
        """
        recording, draw = self.recording, Random(self.seed)
        before = [event for _, event in recording.events[: self.number]]
        sent = {event.token for event in before if isinstance(event, Sent)}
        Disk(before).lose_power(folder, draw)
        left = {path.name: path.stat().st_size for path in folder.iterdir()}
        try:
            journal = folder / "run.db"
            if sent or journal_exists(journal):
                self._check_told(journal, sent)
            if not take_up:
                return bool(sent)
            service = self._service(sent, draw)
            report = _taken_up(recording, service, journal, draw)
            judge(report, service.truth(), recording.keys, deleted=True)
            streams = Counter(session_id for session_id, _ in service.model._streams)
            promise(set(streams.values()) <= {1}, f"two streams of one session: {streams}")
            promise({each.id for each in report.succeeded} <= streams.keys(), "a stream is missing")
        except (Broken, JournalError) as error:
            raise Broken(f"cut {self.number}, seed {self.seed}, left {left}: {error}") from error
        return bool(sent)

    def _check_told(self, journal: Path, sent: set[str]) -> None:
        """Make sure that whatever may exist is known of."""
        lines = read_journal(journal)[1].lines.values()
        attempts = [attempt for line in lines for attempt in line.attempts]
        told = {attempt.token for attempt in attempts}
        told |= {line.stream_token for line in lines if line.stream_token is not None}
        deleted = {attempt.id for attempt in attempts if attempt.deletion is not None}
        for each in self.recording.carried:
            token = each.members["client_token"]
            known = (
                each.members["session_id"] in deleted if "delete" in each.name else token in told
            )
            superseded = each.name == "create_stream"  # by another attempt
            promise(
                token not in sent or known or superseded, f"{each} had gone out, and is not told"
            )

    def _service(self, sent: set[str], draw: Random) -> PastStudio:
        """Return a studio that has carried out what it was sent; what was on its way, perhaps."""
        recording = self.recording
        at = recording.events[max(0, self.number - 1)][0]
        now = recording.began + (at - recording.began) * SPEED
        kept = [
            each.members["client_token"] in sent and (each.at <= now or draw.random() < 0.5)
            for each in recording.carried
        ]
        return PastStudio(recording, kept)


class PastStudio(Studio):
    """A studio in virtual time that has a past of its own.

    Args:
        recording: What a studio once did.
        kept: Which of it this one did.

    Attributes:
        last: The second at which something last happened.
    """

    def __init__(self, recording: Recording, kept: list[bool]) -> None:
        super().__init__()
        self._began = recording.began
        self.model = model = Model(settings(recording.seed))
        self.last = 0.0
        for each, keep in zip(recording.carried, kept, strict=True):
            if keep or each.name != "delete_session":
                getattr(model, each.name)(each.at, **each.members)
            self.last = max(self.last, each.at - self._began) if keep else self.last
        tokens = {
            each.members["client_token"]
            for each, keep in zip(recording.carried, kept, strict=True)
            if not keep
        }
        for (target, token), (_, made) in tuple(model._requests._known.items()):
            if token in tokens and target == "create":
                del model._sessions[made.session_id], model._requests._known[target, token]
        for (target, token), (_, made) in tuple(model._requests._known.items()):
            if token in tokens and target != "create":
                model._streams.pop((made.session.session_id, made.stream_id), None)
                del model._requests._known[target, token]

    async def call(self, name: str, carry_out: Callable[..., Any]) -> Any:
        return await super().call(name, lambda now: carry_out(self._began + now))

    def truth(self) -> Any:
        """Return every session that was ever made, with its changes."""
        return self.model.truth(self._began + self.last)


def _taken_up(
    recording: Recording, service: PastStudio, journal: Path, draw: Random
) -> LaunchReport:
    """Take the launch up in virtual time, some minutes later."""
    specs = [
        {
            "key": key,
            "launch_profile_id": "lp",
            "instance_types": ("g4dn.xlarge", "g5.xlarge"),
        }
        for key in recording.keys
    ]

    async def main() -> LaunchReport:
        await anyio.sleep(service.last + draw.uniform(0.0, 300.0))
        report = await greenroom.launch(service, specs, policy=POLICY, journal=journal, resume=True)
        service.last = anyio.current_time()
        return report

    with inline_threads():
        report: LaunchReport = testing.run(main)
    return report


@contextmanager
def inline_threads() -> Iterator[None]:
    """Run what would go to a thread at once: virtual time does not wait for threads."""

    async def run_sync(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(*args)

    with patch.object(anyio.to_thread, "run_sync", run_sync):
        yield


def cuts(recording: Recording, number: int, seed: int) -> Iterator[Cut]:
    """Yield cuts at random moments."""
    draw = Random(seed)
    for _ in range(number):
        yield Cut(recording, draw.randint(0, len(recording.events)), draw.randrange(1 << 32))


def main() -> int:
    """Cut launches until there were enough cuts, or until something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=5000, help="cuts to make, in all")
    parser.add_argument("--launches", type=int, default=5, help="launches to make them in")
    parser.add_argument("--workstations", type=int, default=WORKSTATIONS, help="in each launch")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first launch")
    arguments = parser.parse_args()
    began = time.monotonic()
    for seed in range(arguments.seed, arguments.seed + arguments.launches):
        asked = 0
        try:
            with tempfile.TemporaryDirectory() as folder:
                (there := Path(folder, "launch")).mkdir()
                recording = record(seed, there, arguments.workstations)
            for cut in cuts(recording, arguments.cuts // arguments.launches, seed):
                with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
                    asked += cut.judge(Path(folder))
        except Broken as broken:
            _say(f"seed {seed}: {broken}")
            return 1
        kinds = Counter(type(event).__name__ for _, event in recording.events)
        _say(
            f"seed {seed}: {arguments.cuts // arguments.launches} cuts of {dict(kinds)}, {asked} "
            f"after the first request; {time.monotonic() - began:.0f} s"
        )
    _say("0 lost, 0 doubled, 0 wrong")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
