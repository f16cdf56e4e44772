"""Shards of instances, which are made many at once, and handed on in the midst of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.launch.ec2.conftest import Region
from tests.temporal.stage import (
    EC2,
    Server,
    at_desk,
    bring_up,
    killed,
    moments,
    order_of,
    report_of,
)

from greenroom import Throttled, Verdict

Run = Callable[[Callable[[], Any]], Any]

FIRST, SECOND, THIRD = (
    ("g5.xlarge", "subnet-1"),
    ("g5.xlarge", "subnet-2"),
    ("g4dn.xlarge", "subnet-1"),
)


@pytest.mark.parametrize("seed", range(6))
def test_no_instance_is_made_twice_or_forgotten_when_workers_are_killed(
    run: Run, seed: int
) -> None:
    draw, server = random.Random(seed), Server()
    wanted = order_of("ec2-instance", 24, EC2, canary=draw.choice([None, 0, 3]))

    async def main() -> None:
        there = Region(
            seed=seed,
            capacity={FIRST: draw.choice([3, 9]), SECOND: draw.choice([0, 5]), THIRD: 6},
            deaths={"Server.InternalError": 0.1, "Client.InternalError": 0.05},
            lag=draw.choice([0, 0, 5]),
            ok_after=(10, 30),
        )
        there.lost = lambda name, number: name == "RunInstances" and number % 4 == 1
        there.fault = lambda name, number: (
            Throttled("slow down", code="RequestLimitExceeded")
            if name == "RunInstances" and number % 5 == 3
            else None
        )
        for number, seconds in enumerate(moments(seed, 4, draw.choice([1.0, 20.0]))):
            async with at_desk(there, f"worker-{number}") as desk:
                if await killed(seconds, server, desk, wanted):
                    break
            await anyio.sleep(2.0)
        async with at_desk(there, "last") as desk:
            server.kept = (await bring_up(server, desk, wanted)).record
        report = report_of(wanted, server)
        attempts = [each for result in report.values() for each in result.attempts]
        named = Counter(each.id for each in attempts if each.id is not None)
        assert named == Counter(there.instances.keys())
        for each in attempts:
            if each.id is not None:
                made = there.instances[each.id]
                assert (made.token, made.place) == (each.token, each.place)
        by_token = {token: (choice, count) for token, choice, count in there.runs}
        assert len(by_token) == len(set(there.runs)), "a token is one and the same request"
        for result in report.values():
            assert result.verdict in (Verdict.SUCCESS, Verdict.FAILURE)

    run(main)
