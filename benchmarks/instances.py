"""How many calls it takes until 500 EC2 instances are running, in virtual time.

    python benchmarks/instances.py [--seed 1] [--rate 2]

A region of 500 instances, of which one is terminated, and one id that never existed. The others
are pending until they run, for a time drawn from a gamma distribution. The region allows `rate`
calls a second, with as many again at once after a pause of ten seconds, throttles those beyond,
and fails a whole call for one id that it does not know, as EC2 does. Its clients:

- an aiobotocore waiter `instance_running` for each instance, started at once;
- one aiobotocore waiter for all of them, which takes many ids;
- greenroom, with what is usual for EC2, and with ten times the haste.

aiobotocore's waiters are aiobotocore's own code on a client of this file. Nothing sleeps, and a run
of one seed is exact: the same figures everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import mean
from types import SimpleNamespace
from typing import Any

import anyio
import botocore.session
from aiobotocore.waiter import AIOWaiter, NormalizedOperationMethod
from botocore.exceptions import ClientError, WaiterError

from greenroom import PayAsYouWait, Poller, RateLimiter, Verdict
from greenroom.sources import ec2
from greenroom.sources._aws_source import AwsSource
from greenroom.testing import run

COUNT = 500
MEAN_S = 60.0
DEAD, NEVER = "i-dead", "i-never"
OPERATION = "DescribeInstances"


@dataclass
class Region:
    """A region's instances: when each begins to run. It is an open client of EC2, too."""

    runs_at: Mapping[str, float]
    rate: float
    calls: int = 0
    throttled: int = 0
    meta: Any = field(default_factory=lambda: SimpleNamespace(endpoint_url="https://ec2.test"))
    _tokens: float = 10.0
    _at: float = 0.0

    async def describe_instances(self, *, InstanceIds: list[str]) -> dict[str, Any]:  # noqa: N803
        await anyio.sleep(0.05)
        now = anyio.current_time()
        self._tokens = min(10 * self.rate, self._tokens + (now - self._at) * self.rate)
        self._at = now
        self.calls += 1
        if self._tokens < 1:
            self.throttled += 1
            raise _error("RequestLimitExceeded", "Request limit exceeded.", 503)
        self._tokens -= 1
        if NEVER in InstanceIds:
            message = f"The instance ID '{NEVER}' does not exist"
            raise _error("InvalidInstanceID.NotFound", message, 400)
        instances = [
            {"InstanceId": id_, "State": {"Name": self._state(id_)}} for id_ in InstanceIds
        ]
        return {"Reservations": [{"Instances": instances}]}

    def _state(self, id_: str) -> str:
        if id_ == DEAD:
            return "terminated"
        return "running" if self.runs_at[id_] <= anyio.current_time() else "pending"


def _error(code: str, message: str, status: int) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {"content-type": "text/xml"}}
    details = {"Code": code, "Message": message}
    return ClientError({"Error": details, "ResponseMetadata": metadata}, OPERATION)


Ends = dict[str, tuple[str, float]]
"""For each id: the verdict, and when it came."""

Client = Callable[[Region, list[str]], Awaitable[Ends]]


def _waiter(region: Region) -> AIOWaiter:
    model = botocore.session.get_session().get_waiter_model("ec2")
    operation = NormalizedOperationMethod(region.describe_instances)
    return AIOWaiter("instance_running", model.get_waiter("InstanceRunning"), operation)


async def _waited(region: Region, ids: list[str]) -> str:
    try:
        await _waiter(region).wait(InstanceIds=ids)
    except WaiterError as error:
        terminal = "terminal failure state" in str(error)
        return "failure" if terminal else "lost"
    return "success"


async def waiter_each(region: Region, ids: list[str]) -> Ends:
    async def one(id_: str) -> tuple[str, float]:
        return await _waited(region, [id_]), anyio.current_time()

    return dict(zip(ids, await asyncio.gather(*map(one, ids)), strict=True))


async def waiter_for_all(region: Region, ids: list[str]) -> Ends:
    verdict = await _waited(region, ids)
    verdict = "lost" if verdict != "success" else verdict
    return dict.fromkeys(ids, (verdict, anyio.current_time()))


def with_greenroom(price: float | None) -> Client:
    async def client(region: Region, ids: list[str]) -> Ends:
        limiter = RateLimiter(region.rate, burst=2)
        schedule = None if price is None else PayAsYouWait(price)
        source = AwsSource(region, ec2.INSTANCE)
        async with Poller(source, limiter=limiter, schedule=schedule) as poller:
            ends: Ends = {}
            async for result in poller.as_completed(ids, until="running", timeout=3600):
                verdict = {Verdict.SUCCESS: "success", Verdict.TIMEOUT: "lost"}.get(
                    result.verdict, "failure"
                )
                ends[result.id] = verdict, anyio.current_time()
            return ends

    return client


CLIENTS: dict[str, Client] = {
    "an aiobotocore waiter each": waiter_each,
    "one aiobotocore waiter for all": waiter_for_all,
    "greenroom": with_greenroom(None),
    "greenroom, price=20": with_greenroom(20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2.0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    shape = 6.0
    runs_at = {
        f"i-{number:017x}": rng.gammavariate(shape, MEAN_S / shape) for number in range(COUNT - 2)
    }
    ids = [*runs_at, DEAD, NEVER]
    print(f"{COUNT} instances, {options.rate:g} calls/s, seed {options.seed}\n")
    print("| | calls | throttled | lost | mean delay s | settled after s |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, client in CLIENTS.items():
        random.seed(options.seed)
        region = Region(runs_at, options.rate)
        ends = run(client, region, ids)
        won = [end - runs_at[id_] for id_, (verdict, end) in ends.items() if verdict == "success"]
        lost = sum(verdict == "lost" for verdict, _ in ends.values())
        delay = f"{mean(won):.1f}" if won else "-"
        last = max(end for _, end in ends.values())
        print(
            f"| {name} | {region.calls:,} | {region.throttled:,} | {lost} | {delay} | {last:.0f} |"
        )


if __name__ == "__main__":
    main()
