"""EC2 and WorkSpaces by the command line, over real sockets, against moto's server.

What moto has is at once what it will be: its instances are running and its WorkSpaces available
before anybody waits. Where time matters, a proxy before it shows for a while what the real service
would still show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import aiohttp
import boto3
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from tests.moto_server import served

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

Warp = Callable[[bytes, float], bytes]

UNKNOWN = "i-0000000000000dead"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with served("ec2", "workspaces") as url:
        yield url


@pytest.fixture
def client(moto: str, credentials: None) -> Callable[[str], Any]:
    return lambda service: boto3.client(service, endpoint_url=moto)


@pytest.fixture
def instances(client: Callable[[str], Any]) -> list[str]:
    ec2 = client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=30, MaxCount=30)["Instances"]
    return [instance["InstanceId"] for instance in made]


@pytest.fixture
def desktops(client: Callable[[str], Any]) -> list[str]:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-west-2{zone}"
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    directory = client("ds").create_directory(
        Name="desks.test",
        Password="Pw0rd!Pw0rd!",
        Size="Small",
        VpcSettings={"VpcId": vpc, "SubnetIds": subnets},
    )["DirectoryId"]
    workspaces = client("workspaces")
    workspaces.register_workspace_directory(DirectoryId=directory)
    wanted = [
        {"DirectoryId": directory, "UserName": f"user{number}", "BundleId": "wsb-bh8rsxt14"}
        for number in range(30)
    ]
    made: list[str] = []
    for first in (0, 25):
        answer = workspaces.create_workspaces(Workspaces=wanted[first : first + 25])
        made += [each["WorkspaceId"] for each in answer["PendingRequests"]]
    return made


@pytest.fixture
def warped(moto: str) -> Iterator[Callable[[Warp], str]]:
    """Start a proxy whose answers `warp` changes, given the seconds since the first of them."""
    stops: list[Callable[[], object]] = []

    async def serve(warp: Warp) -> str:
        session = aiohttp.ClientSession()
        began: list[float] = []

        async def handler(request: web.BaseRequest) -> web.Response:
            body = await request.read()
            began.append(time.monotonic())
            async with session.post(moto, data=body, headers=request.headers) as answer:
                shown = warp(await answer.read(), began[-1] - began[0])
                kind = answer.headers["Content-Type"]
                return web.Response(
                    body=shown, status=answer.status, headers={"Content-Type": kind}
                )

        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

        async def stop() -> None:
            await runner.cleanup()
            await session.close()

        stops.append(lambda: portal.call(stop))
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    with start_blocking_portal() as portal:
        yield lambda warp: portal.call(serve, warp)
        for stop in stops:
            stop()


def test_instances_from_running_to_terminated(
    run: Callable[..., Ran], client: Callable[[str], Any], moto: str, instances: list[str]
) -> None:
    where = ("--endpoint-url", moto, "--output", "json")
    ran = run("wait", "ec2-instance", *instances, "--until", "RUNNING", *where)
    assert ran.status == 0, ran.err
    assert ran.events[-1]["success"] == 30
    assert ran.events[-1]["calls"] == 1

    ec2 = client("ec2")
    ec2.stop_instances(InstanceIds=instances[:10])
    assert run("wait", "ec2-instance", *instances[:10], "--until", "stopped", *where).status == 0
    ec2.start_instances(InstanceIds=instances[:5])
    assert run("wait", "ec2-instance", *instances[:5], "--until", "running", *where).status == 0
    ec2.terminate_instances(InstanceIds=instances[:1])
    ran = run("wait", "ec2-instance", *instances[:2], "--until", "running", *where)
    assert ran.status == 1
    outcomes = {each["id"]: each for each in ran.events if each["event"] == "outcome"}
    assert outcomes[instances[0]]["verdict"] == "unreachable"
    assert outcomes[instances[0]]["reason"] == "Client.UserInitiatedShutdown"
    assert outcomes[instances[1]]["verdict"] == "success"
    ran = run("wait", "ec2-instance", instances[0], "--until", "terminated", *where)
    assert ran.status == 0


def test_an_instance_that_never_existed_harms_nobody(
    run: Callable[..., Ran], moto: str, instances: list[str]
) -> None:
    where = ("--endpoint-url", moto, "--output", "json")
    ran = run("get", "ec2-instance", *instances, UNKNOWN, *where)
    assert ran.status == 1
    assert [each["State"]["Name"] for each in ran.events] == ["running"] * 30
    assert UNKNOWN in ran.err


def test_the_variable_of_a_studio_is_not_for_aws(
    run: Callable[..., Ran], moto: str, instances: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENROOM_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    assert run("wait", "ec2-instance", *instances, "--until", "running").status == 0


def test_the_checks_of_instances(run: Callable[..., Ran], moto: str, instances: list[str]) -> None:
    where = ("--endpoint-url", moto, "--output", "json")
    ran = run("wait", "ec2-instance-ok", *instances, "--until", "ok", *where)
    assert ran.status == 0, ran.err
    assert ran.events[-1]["success"] == 30


def test_instances_that_take_their_time(
    run: Callable[..., Ran], warped: Callable[[Warp], str], instances: list[str]
) -> None:
    def warp(body: bytes, age: float) -> bytes:
        return body.replace(b"<name>running<", b"<name>pending<") if age < 1 else body

    where = ("--endpoint-url", warped(warp), "--output", "json", "--every", "0.3")
    ran = run("wait", "ec2-instance", *instances, "--until", "running", *where)
    assert ran.status == 0, ran.err
    moves = [each for each in ran.events if each["event"] == "transition"]
    assert [each["after"] for each in moves].count("pending") == 30
    assert [each["before"] for each in moves].count("pending") == 30
    assert 3 <= ran.events[-1]["calls"] <= 6


def test_workspaces_that_are_not_there_yet(
    run: Callable[..., Ran], warped: Callable[[Warp], str], desktops: list[str]
) -> None:
    def warp(body: bytes, age: float) -> bytes:
        if age < 0.5:
            return b'{"Workspaces": []}'
        return body.replace(b'"AVAILABLE"', b'"PENDING"') if age < 1 else body

    where = ("--endpoint-url", warped(warp), "--output", "json", "--every", "0.3")
    ran = run("wait", "workspace", *desktops, "--until", "available", *where)
    assert ran.status == 0, ran.err
    assert ran.events[-1]["success"] == 30
    assert {each["before"] for each in ran.events if each["event"] == "transition"} == {
        None,
        "PENDING",
    }


def test_workspaces_stop_and_one_is_unknown(
    run: Callable[..., Ran], client: Callable[[str], Any], moto: str, desktops: list[str]
) -> None:
    where = ("--endpoint-url", moto, "--output", "json")
    ran = run("get", "workspace", *desktops, "ws-000000000", *where)
    assert ran.status == 1
    assert len(ran.events) == 30
    assert "ws-000000000" in ran.err
