"""A real hour: `python -m tests.campaign.real_hour --minutes 60`, with real sockets and a disk.

The simulator runs in a process of its own, twenty times as fast, with faults on the wire. In this
one a few people launch workstations with a journal, watch them, stop, start and delete them, over
and over; the account of each launch is compared with what they then find. The gauges are read every
minute, and the first quarter of the time is for warming up: of the sessions that nobody asks about
any more an engine remembers 10,000, which would take the whole day here, so it is made to remember
fewer.

Exit status: 0, or 1 where something grows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
from tests.campaign.gauges import FEWEST, Reading, growth, read, told, too_much

import greenroom
from greenroom import LaunchPolicy, Poller, RateLimiter, _engine
from greenroom.sources import nimble

SPEED = 20.0
STUDIO = """
latency = [0.2, 2.0]
[create]
median_s = 100
failures = { INSUFFICIENT_CAPACITY = 0.03, INTERNAL_ERROR = 0.03 }
"""
FAULTS = {
    "ThrottlingException": 0.03,
    "InternalServerErrorException": 0.01,
    "html": 0.01,
    "drop": 0.02,
    "cut": 0.01,
    "truncated": 0.01,
    "empty": 0.01,
    "wrong_type": 0.01,
}
DESKS = 5
REMEMBERED = 100


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """Serve a studio in a process of its own and yield its URL."""
    config = folder / "studio.toml"
    faults = [
        f'[[faults]]\nkind = "{kind}"\noperation = "*"\nprobability = {part}\n'
        for kind, part in FAULTS.items()
    ]
    config.write_text(STUDIO + "".join(faults))
    served = (sys.executable, "-m", "greenroom", "simulator", "--speed", f"{SPEED:g}")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*served, "--config", config], text=True, **streams) as it:  # type: ignore[call-overload]
        assert it.stdout is not None
        try:
            yield it.stdout.readline().strip()
        finally:
            it.terminate()


class Hour:
    """People who use workstations.

    Attributes:
        lives: Workstations that were launched, used and deleted.
        readings: What the gauges showed.
    """

    def __init__(self, folder: Path) -> None:
        self.lives = 0
        self.readings: list[Reading] = []
        self._folder = folder
        self._limiter = RateLimiter(max_rate=20, burst=20)

    async def last(self, url: str, minutes: int, people: int) -> None:
        """Let the time pass."""
        async with (
            nimble.connect(
                studio_id="us-west-2-abc",
                region_name="us-west-2",
                endpoint_url=url,
                aws_access_key_id="id",
                aws_secret_access_key="secret",
            ) as studio,
            Poller(studio, limiter=self._limiter) as poller,
            anyio.create_task_group() as tasks,
        ):
            for number in range(people):
                tasks.start_soon(self._live, studio, poller, number)
            for minute in range(1, minutes + 1):
                await anyio.sleep(60)
                self.readings.append(read())
                _say(f"{minute:3} min: {self.readings[-1]}, {self.lives:,} lives")
            tasks.cancel_scope.cancel()

    async def _live(self, studio: nimble.StreamingSessions, poller: Poller, number: int) -> None:
        journal = self._folder / f"{number}.db"
        specs = [{"key": f"desk-{n}", "launch_profile_id": "lp-1"} for n in range(DESKS)]
        act = partial(greenroom.act, studio, timeout=300, poller=poller, changes=self._limiter)
        while True:
            journal.unlink(missing_ok=True)
            report = await greenroom.launch(
                studio,
                specs,
                poller=poller,
                creates=self._limiter,
                policy=LaunchPolicy(timeout=300),
                journal=journal,
            )
            assert len(report) == DESKS, report
            ids = [desk.id for desk in report.succeeded if desk.id]
            async with poller.watch(ids) as changes:
                for action, goal in (
                    ("stop", "STOPPED"),
                    ("start", "READY"),
                    ("delete", "DELETED"),
                ):
                    done = await act(action, ids)
                    assert len(done.succeeded) == len(ids), (action, done)
                    found = await poller.wait_all(ids, until=goal, timeout=60)
                    assert len(found.succeeded) == len(ids), (goal, found)
                with anyio.move_on_after(1):
                    async for _ in changes:
                        pass
            self.lives += len(ids)


def main() -> int:
    """Let the time pass and tell how it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--people", type=int, default=4, help="who launch five workstations each")
    arguments = parser.parse_args()
    if arguments.minutes < FEWEST:
        parser.error(f"--minutes {arguments.minutes}: it takes {FEWEST} readings to see growth")
    _engine.MAX_REMEMBERED = REMEMBERED
    with tempfile.TemporaryDirectory() as folder, simulator(Path(folder)) as url:
        hour = Hour(Path(folder))
        anyio.run(hour.last, url, arguments.minutes, arguments.people)
    grown = growth(hour.readings[len(hour.readings) // 4 :])
    _say(told(grown))
    return 1 if too_much(hour.readings, *grown) else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
