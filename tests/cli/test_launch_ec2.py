"""Instances launched, stopped, started and deleted over real sockets, against moto's server.

moto makes as many instances as `MinCount` says, so that each call makes one, and it does not look
at client tokens: a call that is repeated makes another. Its instances are running at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import boto3
import pytest
from tests.moto_server import served

import greenroom
from greenroom.sources import ec2

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

IMAGE = "ami-12c6146b"
TEMPLATE = ("--image-id", IMAGE, "--instance-type", "g4dn.xlarge", "--instance-type", "g5.xlarge")


@pytest.fixture
def moto(credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with served("ec2") as url:
        yield url


@pytest.fixture
def instances(moto: str) -> Callable[[], list[dict[str, Any]]]:
    """Return every instance that there is, as EC2 tells it."""

    def instances() -> list[dict[str, Any]]:
        told = boto3.client("ec2", endpoint_url=moto).describe_instances()["Reservations"]
        return [each for reservation in told for each in reservation["Instances"]]

    return instances


def states(told: list[dict[str, Any]]) -> dict[str, str]:
    return {each["InstanceId"]: each["State"]["Name"] for each in told}


def test_twenty_from_python(moto: str, instances: Callable[[], list[dict[str, Any]]]) -> None:
    before = states(instances())
    specs = [
        {
            "key": f"desk-{number}",
            "image_id": IMAGE,
            "instance_types": ["g4dn.xlarge"],
            "user_data": "#!/bin/sh\n",
            "tags": {"show": "orchid"},
            "request": {"Monitoring": {"Enabled": True}},
        }
        for number in range(20)
    ]

    async def main() -> greenroom.LaunchReport:
        async with ec2.connect(region_name="us-west-2", endpoint_url=moto) as there:
            report = await greenroom.launch(there, specs)
            (first, *_) = report.values()
            stopped = await greenroom.act(there, "stop", [first.id or ""], timeout=60)
            assert stopped[first.id or ""].state == "stopped"
            return report

    report = anyio.run(main)
    assert len(report.succeeded) == 20
    made = [each for each in instances() if each["InstanceId"] not in before]
    assert {each["InstanceId"] for each in made} == {result.id for result in report.values()}
    assert {each["InstanceType"] for each in made} == {"g4dn.xlarge"}
    assert {each["Monitoring"]["State"] for each in made} == {"enabled"}
    assert all({"Key": "show", "Value": "orchid"} in each["Tags"] for each in made)


def test_twenty_by_the_command_line_then_stopped_started_and_deleted(
    run: Callable[..., Ran], moto: str, instances: Callable[[], list[dict[str, Any]]]
) -> None:
    where = ("--endpoint-url", moto, "--output", "json", "--rate", "50")
    more = ("--count", "20", "--journal", "run.db", "--create-rate", "50", "--spot")
    ran = run("launch", "ec2-instance", *TEMPLATE, *more, *where)
    assert ran.status == 0, ran.err
    outcomes = [each for each in ran.events if each["event"] == "outcome"]
    assert [each["verdict"] for each in outcomes] == ["success"] * 20
    assert {each["key"] for each in outcomes} == {str(number) for number in range(1, 21)}
    ids = [each["id"] for each in outcomes]
    assert len(set(ids)) == 20
    assert ran.events[-1]["success"] == 20

    again = run("launch", "--journal", "run.db", "--resume", *where)
    assert again.status == 0, again.err
    assert {each["id"] for each in again.events if each["event"] == "outcome"} == set(ids)
    text = run("report", "run.db").out
    assert "20 succeeded of 20" in text or "20 ready" in text

    Path("ids.txt").write_text("\n".join(ids))
    for action, state in (("stop", "stopped"), ("start", "running"), ("delete", "terminated")):
        ran = run(action, "ec2-instance", "--ids-from", "ids.txt", *where)
        assert ran.status == 0, ran.err
        assert ran.events[-1]["success"] == 20
        there = states(instances())
        assert {there[each] for each in ids} == {state}


def test_a_file_says_what_each_is_to_be_like(
    run: Callable[..., Ran], moto: str, instances: Callable[[], list[dict[str, Any]]]
) -> None:
    lines = [{"key": "anna", "instance_type": "g5.2xlarge"}, {"key": "ben"}]
    Path("desks.jsonl").write_text("\n".join(map(json.dumps, lines)))
    Path("first.sh").write_text("#!/bin/sh\necho hello\n")
    ran = run(
        *("launch", "ec2-instance", "--spec", "desks.jsonl", *TEMPLATE, "--until", "running"),
        *("--user-data", "first.sh", "--endpoint-url", moto, "--output", "json", "--no-journal"),
    )
    assert ran.status == 0, ran.err
    ids = {each["key"]: each["id"] for each in ran.events if each["event"] == "outcome"}
    types = {each["InstanceId"]: each["InstanceType"] for each in instances()}
    assert types[ids["anna"]] == "g5.2xlarge"
    assert types[ids["ben"]] == "g4dn.xlarge"
    client = boto3.client("ec2", endpoint_url=moto)
    told = client.describe_instance_attribute(InstanceId=ids["ben"], Attribute="userData")
    assert told["UserData"]["Value"] == "IyEvYmluL3NoCmVjaG8gaGVsbG8K"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("ec2-instance", "--launch-profile-id", "lp"), "--launch-profile-id is for nimble-sess"),
        (("ec2-instance", "--owner", "ada"), "--owner is for nimble-session, and not for ec2"),
        (("nimble-session", "--subnet-id", "s"), "--subnet-id is for ec2-instance, and not for"),
        (("--spot",), "--spot is for ec2-instance, and not for nimble-session"),
        (("ec2-instance", *TEMPLATE, "--stream"), "--stream"),
        (("ec2-instance", *TEMPLATE, "--until", "READY"), "until 'running' or 'ok'"),
        (("ec2-instance", *TEMPLATE, "--subnet-id", "net-1"), "'net-1' is no subnet id"),
        (("ec2-instance", "--image-id", IMAGE), "instance_types is missing"),
        (("ec2-instance", "--instance-type", "g5.xlarge"), "image_id is missing"),
        (("ec2-instances",), "did you mean ec2-instance?"),
        (("workspace",), "'workspace' cannot be launched"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_what_cannot_be_right_is_told_before_any_call(
    run: Callable[..., Ran], tmp_path: Path, args: tuple[str, ...], told: str
) -> None:
    where = ("--endpoint-url", "http://127.0.0.1:9", "--studio-id", "s")
    ran = run("launch", *args, "--count", "3", "--journal", str(tmp_path / "run.db"), *where)
    assert ran.status == 2
    assert told in " ".join(ran.err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_launch_is_resumed_as_what_it_is(
    run: Callable[..., Ran], moto: str, tmp_path: Path
) -> None:
    journal = str(tmp_path / "run.db")
    more = ("--count", "1", "--journal", journal, "--endpoint-url", moto)
    assert run("launch", "ec2-instance", *TEMPLATE, *more).status == 0
    ran = run("launch", "nimble-session", "--journal", journal, "--resume")
    assert ran.status == 2
    assert "a launch of ec2-instance, and not of nimble-session" in ran.err


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_launch_is_not_resumed_in_another_region(
    run: Callable[..., Ran], moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    journal = str(tmp_path / "run.db")
    more = ("--count", "1", "--journal", journal, "--endpoint-url", moto)
    assert run("launch", "ec2-instance", *TEMPLATE, *more).status == 0
    elsewhere = ("--region", "us-east-1") if by == "option" else ()
    if by == "environment":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    ran = run("launch", "--journal", journal, "--resume", *elsewhere)
    assert ran.status == 2
    assert "is a launch in us-west-2, and this is a source of us-east-1" in ran.err
    east = boto3.client("ec2", endpoint_url=moto, region_name="us-east-1")
    assert not east.describe_instances()["Reservations"]


def test_the_help_promises_no_kind_the_goal_of_another(run: Callable[..., Ran]) -> None:
    told = " ".join(run("launch", "--help").out.split())
    assert "[default: the last of the kind's goals]" in told
    assert "[default: ok]" not in told


def test_the_example_of_the_readme_works_as_written(moto: str, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (example,) = (each for each in blocks if "def render_desks" in each)
    namespace: dict[str, Any] = {"greenroom": greenroom}
    exec(example, namespace)

    async def main() -> greenroom.LaunchReport:
        report: greenroom.LaunchReport
        report = await namespace["render_desks"](tmp_path / "run.db", endpoint_url=moto)
        return report

    assert len(anyio.run(main).succeeded) == 12


def test_what_moto_does_not_do(moto: str) -> None:
    client = boto3.client("ec2", endpoint_url=moto)
    asked = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 3, "ClientToken": "the-same"}
    first, second = (client.run_instances(**asked)["Instances"] for _ in range(2))
    assert len(first) == len(second) == 1, "moto minds MaxCount now: say so above"
    assert first[0]["InstanceId"] != second[0]["InstanceId"], "moto minds tokens now: say so above"
