"""A region of EC2 in virtual time, scripted: RunInstances as the service promises it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from greenroom import (
    Conflict,
    LaunchReport,
    NotFound,
    Observation,
    SourceError,
    Unavailable,
    Verdict,
)
from greenroom.sources import ec2

LATENCY = 0.1


@dataclass
class Instance:
    """One instance.

    Attributes:
        id: Its id.
        place: Its launch index.
        choice: Its type and subnet.
        token: The token that it was made by.
        made_at: When.
        takes: Seconds from then to running, or to its end.
        dies_of: The reason for which it never runs, if it does not.
        ok_after: Seconds from running to its checks being passed.
        ended_at: When somebody terminated it.
    """

    id: str
    place: int
    choice: tuple[str, ...]
    token: str
    made_at: float
    takes: float
    dies_of: str | None
    ok_after: float
    ended_at: float | None = None

    def state(self, now: float) -> tuple[str, str | None]:
        if self.ended_at is not None:
            gone = now >= self.ended_at + 20
            return "terminated" if gone else "shutting-down", "Client.UserInitiatedShutdown"
        if now < self.made_at + self.takes:
            return "pending", None
        if self.dies_of is None:
            return "running", None
        gone = now >= self.made_at + self.takes + 5
        return "terminated" if gone else "shutting-down", self.dies_of


class Checks:
    """What the status checks say."""

    table = ec2.INSTANCE_OK.table
    max_batch = 100

    def __init__(self, region: Region) -> None:
        self._region = region

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        await self._region.called("DescribeInstanceStatus")
        now, shown = anyio.current_time(), {}
        for each in self._region.visible(ids, "DescribeInstanceStatus"):
            state, _ = each.state(now)
            if state == "running":
                passed = now >= each.made_at + each.takes + each.ok_after
                state = "ok" if passed else "initializing"
            shown[each.id] = Observation(state)
        return shown


class Region:
    """What `ec2.connect` yields, scripted.

    Args:
        seed: Of its chances.
        capacity: Instances that there is room for, by type and subnet; any number where it is not
            said.
        deaths: The part of the instances that dies on its way, by reason.
        quota: Instances that there may be at a time; any number if None.
        lag: Seconds for which a new instance is not found.
        takes: Seconds from pending to running: least and most.
        ok_after: Seconds from running to passed checks: least and most.
        place: Where it is, if it says so.

    Attributes:
        instances: Every instance ever made.
        counts: Calls by operation.
        runs: Every RunInstances: token, choice, MaxCount.
        fault: Called with each operation and its number; what it returns is raised, and nothing is
            carried out.
        lost: Called so as well; where it holds, the call is carried out and its answer is lost.
    """

    table = ec2.INSTANCE.table
    max_batch = 500
    launches = ec2.INSTANCE_LAUNCH

    def __init__(
        self,
        *,
        seed: int = 1,
        capacity: Mapping[tuple[str, ...], int] | None = None,
        quota: int | None = None,
        deaths: Mapping[str, float] | None = None,
        lag: float = 0.0,
        takes: tuple[float, float] = (15.0, 40.0),
        ok_after: tuple[float, float] = (60.0, 120.0),
        place: str | None = None,
    ) -> None:
        self.place = place
        self.instances: dict[str, Instance] = {}
        self.counts: Counter[str] = Counter()
        self.runs: list[tuple[str, tuple[str, ...], int]] = []
        self.capacity = dict(capacity or {})
        self.quota = quota
        self.fault: Callable[[str, int], Exception | None] = lambda name, number: None
        self.lost: Callable[[str, int], bool] = lambda name, number: False
        self.status_checks = Checks(self)
        self._deaths = dict(deaths or {})
        self._lag = lag
        self._takes = takes
        self._ok_after = ok_after
        self._chance = random.Random(seed)
        self._heard: dict[str, tuple[Any, dict[int, str]]] = {}

    async def create_sessions(
        self, spec: ec2.InstanceSpec, choice: Mapping[str, str], *, count: int, client_token: str
    ) -> Mapping[int, str]:
        where = tuple(choice.values())
        self.runs.append((client_token, where, count))
        number = await self.called("RunInstances")
        asked = (spec.likeness(), where, count)
        if client_token in self._heard:
            before, made = self._heard[client_token]
            if before != asked:
                raise SourceError("another request", code="IdempotentParameterMismatch")
        else:
            made = self._made(where, count, client_token)
            self._heard[client_token] = asked, made
        if self.lost("RunInstances", number):
            raise Unavailable("the answer was lost")
        return dict(made)

    def _made(self, where: tuple[str, ...], count: int, token: str) -> dict[int, str]:
        now = anyio.current_time()
        living = sum(each.state(now)[0] != "terminated" for each in self.instances.values())
        room = count if self.quota is None else min(count, self.quota - living)
        if room <= 0:
            raise SourceError("no more vCPUs", code="VcpuLimitExceeded")
        left = self.capacity.get(where)
        if left is not None:
            room = min(room, left)
            if room <= 0:
                raise SourceError("no capacity", code="InsufficientInstanceCapacity")
            self.capacity[where] = left - room
        made = {}
        for place in range(room):
            id_ = f"i-{len(self.instances):017x}"
            drawn, dies_of = self._chance.random(), None
            for reason, part in self._deaths.items():
                if (drawn := drawn - part) < 0:
                    dies_of = reason
                    break
            self.instances[id_] = Instance(
                id_,
                place,
                where,
                token,
                now,
                self._chance.uniform(*self._takes),
                dies_of,
                self._chance.uniform(*self._ok_after),
            )
            made[place] = id_
        return made

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        await self.called("DescribeInstances")
        now = anyio.current_time()
        return {
            each.id: Observation(*each.state(now), resource={"InstanceId": each.id})
            for each in self.visible(ids, "DescribeInstances")
        }

    def visible(self, ids: Iterable[str], operation: str) -> list[Instance]:
        """Return the instances, or fail the whole call for those that are not found."""
        now, asked = anyio.current_time(), list(ids)
        known = (self.instances[each] for each in asked if each in self.instances)
        found = [each for each in known if now >= each.made_at + self._lag]
        if unknown := sorted(set(asked) - {each.id for each in found}):
            raise NotFound(
                f"The instance IDs '{', '.join(unknown)}' do not exist",
                ids=unknown,
                code="InvalidInstanceID.NotFound",
                operation=operation,
            )
        return found

    async def start_session(self, session_id: str, *, client_token: str) -> None:
        raise NotImplementedError

    async def stop_session(self, session_id: str, *, client_token: str) -> None:
        await self.called("StopInstances")
        raise Conflict("not running", code="IncorrectInstanceState")

    async def delete_session(self, session_id: str, *, client_token: str) -> None:
        await self.called("TerminateInstances")
        instance = self.instances[session_id]
        if instance.state(anyio.current_time())[0] != "terminated":
            instance.ended_at = instance.ended_at or anyio.current_time()

    async def called(self, operation: str) -> int:
        self.counts[operation] += 1
        number = self.counts[operation]
        await anyio.sleep(LATENCY)
        if (error := self.fault(operation, number)) is not None:
            raise error
        return number


@pytest.fixture
def region() -> type[Region]:
    return Region


@pytest.fixture
def desks() -> Callable[..., list[dict[str, Any]]]:
    """Return so many specs, of two types in two subnets."""

    def specs(count: int, **more: Any) -> list[dict[str, Any]]:
        wanted = {
            "image_id": "ami-1",
            "instance_types": ["g5.xlarge", "g4dn.xlarge"],
            "subnet_ids": ["subnet-1", "subnet-2"],
        }
        return [{"key": f"ws-{n}", **wanted, **more} for n in range(count)]

    return specs


@pytest.fixture
def fair() -> Callable[[LaunchReport, Region], None]:
    """Compare an account with the truth: nothing hidden, nothing doubled, each at its place."""

    def check(report: LaunchReport, region: Region) -> None:
        attempts = [each for result in report.values() for each in result.attempts]
        ids = [each.id for each in attempts if each.id is not None]
        assert sorted(ids) == sorted(region.instances)
        places = Counter((each.token, each.place) for each in attempts)
        assert set(places.values()) <= {1}
        for each in attempts:
            if each.id is not None:
                made = region.instances[each.id]
                assert (made.token, made.place) == (each.token, each.place)
                assert made.choice == tuple(each.choice.values())
        asked: dict[str, set[tuple[tuple[str, ...], int]]] = {}
        for token, choice, count in region.runs:
            asked.setdefault(token, set()).add((choice, count))
        assert all(len(each) == 1 for each in asked.values())
        assert all(count <= 100 for _, _, count in region.runs)
        for result in report.values():
            assert result.verdict is not Verdict.PENDING
            if result.verdict is Verdict.SUCCESS:
                assert region.instances[result.id].state(float("inf"))[0] == "running"

    return check
