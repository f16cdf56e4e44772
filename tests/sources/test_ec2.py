"""EC2 in virtual time: instances that move, and a service that fails calls as EC2 does."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import anyio
import pytest

import greenroom
from greenroom import Poller, RateLimiter, Verdict
from greenroom.sources import ec2
from greenroom.sources._aws_source import AwsSource

LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)


class Region:
    """The instances of an account: for each, what state it is in from when on."""

    def __init__(self, lives, fake_client, refusal):
        self.lives = lives
        self._refusal = refusal
        self.client = fake_client(
            DescribeInstances=self.instances, DescribeInstanceStatus=self.statuses
        )

    def state(self, id_):
        now = anyio.current_time() - self.began
        shown = [what for at, what in self.lives[id_] if at <= now]
        return shown[-1] if shown else None

    def asked(self, operation, params):
        self.began = getattr(self, "began", anyio.current_time())
        ids = params["InstanceIds"]
        unknown = [id_ for id_ in ids if id_ not in self.lives or self.state(id_) is None]
        if unknown:
            who = (
                f"ID '{unknown[0]}' does" if len(unknown) == 1 else f"IDs '{', '.join(unknown)}' do"
            )
            raise self._refusal(
                operation, "InvalidInstanceID.NotFound", f"The instance {who} not exist"
            )
        return ids

    def instances(self, params):
        ids = self.asked("DescribeInstances", params)
        return {"Reservations": [{"Instances": [self.instance(id_) for id_ in ids]}]}

    def instance(self, id_):
        state = self.state(id_)
        instance = {"InstanceId": id_, "State": {"Name": state}, "LaunchTime": LAUNCHED}
        if state in ("shutting-down", "terminated"):
            instance["StateReason"] = {
                "Code": "Server.InsufficientInstanceCapacity",
                "Message": "Server.InsufficientInstanceCapacity: there is none",
            }
        return instance

    def statuses(self, params):
        ids = self.asked("DescribeInstanceStatus", params)
        assert params["IncludeAllInstances"] is True
        statuses = []
        for id_ in ids:
            state = self.state(id_)
            status = "initializing" if state == "running" else "not-applicable"
            statuses.append(
                {
                    "InstanceId": id_,
                    "InstanceState": {"Name": "running" if state == "ok" else state},
                    "InstanceStatus": {"Status": "ok" if state == "ok" else status},
                    "SystemStatus": {"Status": "ok" if state == "ok" else status},
                    "AttachedEbsStatus": {"Status": "not-applicable"},
                }
            )
        return {"InstanceStatuses": statuses}


def instance_id(number):
    return f"i-{number:017x}"


@pytest.mark.parametrize("seed", range(5))
def test_500_instances_at_2_calls_a_second_take_at_most_30_calls(run, seed, fake_client, refusal):
    rng = random.Random(seed)
    lives = {
        instance_id(number): [(0, "pending"), (rng.gammavariate(6, 6), "running")]
        for number in range(498)
    }
    lives["i-dead"] = [(0, "terminated")]

    async def main():
        region = Region(lives, fake_client, refusal)
        source = AwsSource(region.client, ec2.INSTANCE)
        async with Poller(source, limiter=RateLimiter(2, burst=2)) as poller:
            results = await poller.wait_all([*lives, "i-never"], until="running", timeout=1800)
        assert results["i-dead"].verdict is Verdict.UNREACHABLE
        assert "Server.InsufficientInstanceCapacity" in str(results["i-dead"].explanation)
        assert results["i-never"].verdict is Verdict.MISSING
        assert len(results.succeeded) == 498
        assert len(region.client.asked) <= 30
        late = [results[id_].elapsed - life[1][0] for id_, life in lives.items() if len(life) > 1]
        assert sum(late) / len(late) < 8
        poisoned = [
            params for _, params in region.client.asked if "i-never" in params["InstanceIds"]
        ]
        assert sum(len(params["InstanceIds"]) > 1 for params in poisoned) == 1

    run(main)


def test_running_is_not_ready_until_the_checks_are_passed(run, fake_client, refusal):
    lives = {
        instance_id(number): [(0, "pending"), (30 + number, "running"), (150 + number, "ok")]
        for number in range(120)
    }

    async def main():
        region = Region(lives, fake_client, refusal)
        source = AwsSource(region.client, ec2.INSTANCE).of(ec2.INSTANCE_OK)
        async with Poller(source) as poller:
            results = await poller.wait_all(lives, until="ok", timeout=1800)
        assert len(results.succeeded) == 120
        assert max(len(params["InstanceIds"]) for _, params in region.client.asked) == 100
        seen = [change.after for change in results[instance_id(0)].history]
        assert seen[-1] == "ok"

    run(main)


def status(instance="running", **checks):
    return {
        "InstanceId": "i-1",
        "InstanceState": {"Name": instance},
        **{check: {"Status": status} for check, status in checks.items()},
    }


@pytest.mark.parametrize(
    ("resource", "state", "reason"),
    [
        (status(SystemStatus="ok", InstanceStatus="ok", AttachedEbsStatus="ok"), "ok", None),
        (status(SystemStatus="ok", InstanceStatus="ok"), "ok", None),
        (
            status(SystemStatus="ok", InstanceStatus="ok", AttachedEbsStatus="not-applicable"),
            "ok",
            None,
        ),
        (
            status(SystemStatus="ok", InstanceStatus="initializing"),
            "initializing",
            "InstanceStatus",
        ),
        (
            status(SystemStatus="impaired", InstanceStatus="initializing"),
            "impaired",
            "SystemStatus",
        ),
        (
            status(SystemStatus="insufficient-data", InstanceStatus="initializing"),
            "insufficient-data",
            "SystemStatus",
        ),
        (
            status("stopped", SystemStatus="not-applicable", InstanceStatus="not-applicable"),
            "stopped",
            None,
        ),
        (
            status(SystemStatus="not-applicable", InstanceStatus="not-applicable"),
            "not-applicable",
            None,
        ),
        (status(SystemStatus="grown"), "grown", None),
    ],
)
def test_the_worst_check_that_applies_counts(resource, state, reason):
    seen = ec2.INSTANCE_OK.observe(resource)
    assert seen is not None
    assert (seen.state, seen.reason) == (state, reason)


@pytest.mark.parametrize(
    "resource", [{}, {"InstanceState": "running"}, status(None), status("running")]
)
def test_a_resource_without_a_status_is_no_observation(resource):
    assert ec2.INSTANCE_OK.observe(resource) is None


def test_the_time_of_the_launch_says_when_it_became_pending_and_nothing_else():
    resource = {"State": {"Name": "pending"}, "LaunchTime": LAUNCHED}
    assert ec2.INSTANCE.observe(resource).changed_at == LAUNCHED
    resource["State"] = {"Name": "stopping"}
    assert ec2.INSTANCE.observe(resource).changed_at is None


def test_an_answer_without_reservations_is_none(run, fake_client):
    async def main():
        client = fake_client(DescribeInstances=lambda params: {})
        with pytest.raises(greenroom.Unavailable, match="nothing of what was asked"):
            await AwsSource(client, ec2.INSTANCE).describe(["i-1", "i-2"])

    run(main)
