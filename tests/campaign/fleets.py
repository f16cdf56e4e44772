"""Signals at random moments of fleets: `python -m tests.campaign.fleets --rounds 5 --seed 1`.

Real processes, over real HTTP and gRPC: three workers, Temporal's development server, and a studio
that lives on in this one, where sessions fail, are retried and deleted, answers are slow, and those
of creates are lost. While a fleet is brought up its workers are struck, one after the other, and in
every other round the server too. Then nobody is struck any more, and when the fleet is over its
account is held against what truly happened at the studio.

A blow is one of `BLOWS`: a worker crashes, or is asked to leave, and another one takes its place;
or it sleeps for longer than it takes to lose its shards, and wakes up; or the server crashes, is
away for up to four seconds, and is started again where it was. The seed says what the studio is
like, and when whom it hits; what the processes make of that is theirs.

The first broken promise ends the campaign with exit status 1, and names the seed and where the logs
are.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.from_thread import start_blocking_portal
from temporalio.client import Client
from tests.campaign.account import judge
from tests.campaign.journal import Broken
from tests.campaign.judge import promise
from tests.temporal.servers import TemporalServer, environment, temporal_server

from greenroom import LaunchPolicy, LaunchReport
from greenroom.cli._status import INTERRUPTED
from greenroom.simulator import Settings, Simulator, serve
from greenroom.temporal import Fleet, launch_fleet

BLOWS = ("kill", "term", "stop")
SERVER = "server"
STRIKES = 20
"""Blows that one fleet gets, if it is not over before."""
PAUSES = (0.3, 2.5)
"""Seconds between two blows."""
WORKERS = 3
WORKSTATIONS = 90
SHARD = 15
HEARTBEAT_TIMEOUT = 2.0
SLEEPS = (1.2 * HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_TIMEOUT)
"""Seconds for which a worker is stopped."""
AWAY = (0.0, 4.0)
"""Seconds for which the server is away."""
LEAVES_IN = 20.0
"""Seconds in which a worker that is asked to leave is gone, on a slow machine."""
LEFT = {INTERRUPTED, -signal.SIGTERM, -signal.SIGABRT}
"""Exit statuses of workers that were asked to leave. One so early that it had no handler yet dies
of the signal; and one that has handed everything back may be aborted while Python ends, where a
thread of Temporal's library still wants to say something (temporalio/sdk-python, issue 300)."""
PATIENCE = 150.0
"""Seconds in which a fleet that nobody strikes any more has to be over. After some blows a shard
waits for half a minute before it is offered again."""
SPEED = 60.0

PACED = ("--create-rate", "6", "--rate", "20", "--burst", "20", "--ceiling", "4s")

SPEC = {"launch_profile_id": "lp", "instance_types": ["g4dn.xlarge", "g5.xlarge"]}

FAILURES = {"INSUFFICIENT_CAPACITY": 0.2, "INTERNAL_ERROR": 0.1, "INITIALIZATION_SCRIPT_ERROR": 0.1}


def settings(seed: int) -> Settings:
    """Return those of a studio where answers are slow or lost, and sessions fail."""
    return Settings.from_table(
        {
            "seed": seed,
            "create": {"median_s": 150, "sigma": 0.35, "failures": FAILURES},
            "latency": [0.5, 6.0],
            "faults": [{"kind": "drop", "operation": "CreateStreamingSession", "probability": 0.1}],
            "forget_after": 86_400,
        }
    )


@dataclass
class Worker:
    """A worker in a process of its own.

    Attributes:
        process: The process.
        asleep: Whether it was stopped.
    """

    process: subprocess.Popen[bytes]
    asleep: bool = False

    def end(self) -> None:
        """Make sure that it is no more."""
        self.process.kill()
        self.process.wait()

    async def leaves(self) -> int | None:
        """Wait until it is gone, and return its status; None where it stays."""
        with anyio.move_on_after(LEAVES_IN):
            while self.process.poll() is None:  # noqa: ASYNC110  # it is another process
                await anyio.sleep(0.02)
        return self.process.returncode


@dataclass
class Round:
    """A fleet that is struck, and what came of it.

    Args:
        seed: Says what the studio is like, and when the blows come.
        with_server: Whether the server is struck, too.
        strikes: Most blows.
        folder: Where the server keeps its file, and the workers their logs.

    Attributes:
        blows: The blows, by their kind.
        processes: Workers that it took.
        sessions: Sessions that were made.
        statuses: Exit statuses of the workers that were asked to leave; None where one stayed.
    """

    seed: int
    with_server: bool
    strikes: int
    folder: Path
    blows: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    sessions: int = 0
    statuses: Counter[int | None] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._ways = (*BLOWS, SERVER) if self.with_server else BLOWS

    def run(self) -> Counter[str]:
        """Strike it, let it finish, and return the verdicts.

        Raises:
            Broken: Something is lost, doubled or wrong, or does not come to its end.
        """
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            serving = serve(settings(self.seed), speed=SPEED)
            self._simulator: Simulator = stack.enter_context(
                portal.wrap_async_context_manager(serving)
            )
            self._server: TemporalServer = stack.enter_context(temporal_server(self.folder))
            report = anyio.run(self._brought_up)
            self.sessions = len(self._simulator.truth())
            return self._judged(report)

    def _judged(self, report: LaunchReport) -> Counter[str]:
        truth = self._simulator.truth()
        left = {*self.statuses} <= LEFT
        promise(left, f"workers that were asked to leave ended with {dict(self.statuses)}")
        for key, result in report.items():
            promise(
                result.verdict.value in ("success", "failure"),
                f"{key} is {result.verdict} ({result.state}, {result.message}), truly "
                f"{[(each.id, truth.get(str(each.id))) for each in result.attempts]}",
            )
            if result.verdict.value == "failure":
                causes = [change.status_code for change in truth[str(result.id)]]
                promise(result.cause in causes, f"{key} failed by {result.cause}, truly {causes}")
        for id_, changes in truth.items():
            states = [change.state for change in changes]
            promise("DELETED" not in states or "CREATE_FAILED" in states, f"{id_}: {states}")
        keys = [str(number) for number in range(WORKSTATIONS)]
        return judge(report, truth, keys, deleted=True)

    async def _brought_up(self) -> LaunchReport:
        client = await self._server.connect()
        self._workers = [self._worker() for _ in range(WORKERS)]
        try:
            fleet = await self._launched(client)
            report, over = None, anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._strike, over)
                with anyio.move_on_after(self.strikes * (PAUSES[1] + LEAVES_IN) + PATIENCE):
                    report = await fleet.result()
                over.set()
            if report is None:
                raise Broken(f"it does not come to its end: {await fleet.status()}")
            return report
        finally:
            for worker in self._workers:
                worker.end()

    async def _launched(self, client: Client) -> Fleet:
        return await launch_fleet(
            client,
            [{"key": str(number), **SPEC} for number in range(WORKSTATIONS)],
            id="fleet",
            shard_size=SHARD,
            policy=LaunchPolicy(canary=0, breaker=WORKSTATIONS, on_failure="delete"),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
        )

    async def _strike(self, over: anyio.Event) -> None:
        """Strike until there were enough blows, or it is over."""
        async with anyio.create_task_group() as tasks:
            while self.blows.total() < self.strikes:
                with anyio.move_on_after(self._draw.uniform(*PAUSES)):
                    await over.wait()
                    return
                awake = [worker for worker in self._workers if not worker.asleep]
                way = self._draw.choice(self._ways)
                if way != SERVER and not awake:
                    continue
                self.blows[way] += 1
                if way == SERVER:
                    await self._strike_server()
                    continue
                worker = self._draw.choice(awake)
                if way == "stop":
                    worker.asleep = True
                    worker.process.send_signal(signal.SIGSTOP)
                    tasks.start_soon(self._wake, worker, self._draw.uniform(*SLEEPS))
                    continue
                await self._end(worker, way)

    async def _strike_server(self) -> None:
        self._server.kill()
        await anyio.sleep(self._draw.uniform(*AWAY))
        self._server.start()

    async def _wake(self, worker: Worker, after: float) -> None:
        await anyio.sleep(after)
        worker.process.send_signal(signal.SIGCONT)
        worker.asleep = False

    async def _end(self, worker: Worker, way: str) -> None:
        if way == "kill":
            worker.end()
        else:
            worker.process.send_signal(signal.SIGTERM)
            self.statuses[await worker.leaves()] += 1
            worker.end()
        self._workers[self._workers.index(worker)] = self._worker()

    def _worker(self) -> Worker:
        command = ("worker", "--address", self._server.address, *PACED)
        with (self.folder / f"worker-{self.processes}.log").open("wb") as log:
            self.processes += 1
            return Worker(
                subprocess.Popen(
                    [sys.executable, "-m", "greenroom", *command],
                    stdout=log,
                    stderr=log,
                    env=environment(self._simulator),
                )
            )


def main() -> int:
    """Strike fleets, round after round, or until something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="fleets to strike")
    parser.add_argument("--strikes", type=int, default=STRIKES, help="blows to each, at most")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first fleet")
    arguments = parser.parse_args()
    blows: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    sessions = 0
    seeds = range(arguments.seed, arguments.seed + arguments.rounds)
    for seed in seeds:
        folder = Path(tempfile.mkdtemp(prefix="fleets-"))
        struck = Round(seed, seed % 2 == 0, arguments.strikes, folder)
        began = time.monotonic()
        try:
            found = struck.run()
        except Broken as broken:
            _say(f"seed {seed}, {dict(struck.blows)}: {broken}\nlogs: {folder}")
            return 1
        shutil.rmtree(folder)
        blows += struck.blows
        verdicts += found
        sessions += struck.sessions
        _say(
            f"seed {seed}: {dict(struck.blows)}, {struck.processes} workers, those asked to leave "
            f"ended with {dict(struck.statuses)}; {dict(found)}, "
            f"{struck.sessions} sessions, {time.monotonic() - began:.0f} s"
        )
    _say(
        f"seeds {seeds[0]} to {seeds[-1]}: {dict(blows)}, at {verdicts.total():,} workstations "
        f"({dict(verdicts)}) and {sessions:,} sessions: 0 lost, 0 doubled, 0 wrong"
    )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
