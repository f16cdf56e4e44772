"""Waiters against moto's server, by real clients and real sockets: RDS, EC2 and S3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.moto_server import served

from greenroom import Poller, Verdict
from greenroom.sources import botocore_waiter
from greenroom.sources._aws import open_client

Open = Callable[[str], AbstractAsyncContextManager[Any]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served("ec2", "rds") as url:
        yield url


@pytest.fixture
def opened(url: str) -> Open:
    @asynccontextmanager
    async def opened(service: str) -> AsyncIterator[Any]:
        async with open_client(service, endpoint_url=url) as client:
            yield client

    return opened


def test_a_database_is_waited_for(opened: Open, backend: str) -> None:
    name = f"db-{backend}"

    async def main() -> None:
        async with opened("rds") as rds:
            await rds.create_db_instance(
                DBInstanceIdentifier=name,
                DBInstanceClass="db.t3.micro",
                Engine="postgres",
                MasterUsername="someone",
                MasterUserPassword="some-password",
                AllocatedStorage=20,
            )
            source = botocore_waiter(rds, "db_instance_available")
            async with Poller(source) as poller:
                id_ = f"DBInstanceIdentifier={name}"
                result = await poller.wait(id_, until="success", timeout=30)
            assert result.reason == "available"
            assert result.resource["DBInstances"][0]["DBInstanceIdentifier"] == name

            gone = botocore_waiter(rds, "db_instance_deleted")
            async with Poller(gone) as poller:
                result = await poller.wait(
                    "DBInstanceIdentifier=never-was", until="success", timeout=30
                )
            assert result.reason == "DBInstanceNotFound"

    anyio.run(main, backend=backend)


def test_instances_share_calls_and_one_that_never_was_harms_nobody(
    opened: Open, backend: str
) -> None:
    async def main() -> None:
        async with opened("ec2") as ec2:
            images = await ec2.describe_images()
            made = await ec2.run_instances(
                ImageId=images["Images"][0]["ImageId"], MinCount=5, MaxCount=5
            )
            ids = [instance["InstanceId"] for instance in made["Instances"]]
            await ec2.terminate_instances(InstanceIds=ids[:1])
            never = "i-0123456789abcdef0"
            source = botocore_waiter(ec2, "instance_running")
            async with Poller(source) as poller:
                results = await poller.wait_all([*ids, never], until="success", timeout=0.5)
                calls = poller.statistics().calls
            assert results[ids[0]].verdict is Verdict.FAILURE
            assert results[ids[0]].reason == "terminated"
            assert {results[id_].verdict for id_ in ids[1:]} == {Verdict.SUCCESS}
            assert results[never].verdict is Verdict.TIMEOUT
            assert calls <= 4

    anyio.run(main, backend=backend)


def test_an_object_is_waited_for_by_status_alone(opened: Open, backend: str) -> None:
    bucket = f"bucket-{backend}"

    async def main() -> None:
        async with opened("s3") as s3:
            await s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
            )
            source = botocore_waiter(s3, "object_exists")
            (seen,) = (await source.describe([f"Bucket={bucket},Key=a"])).values()
            assert (seen.state, seen.reason) == ("retry", "404")
            await s3.put_object(Bucket=bucket, Key="a", Body=b"text")
            (seen,) = (await source.describe([f"Bucket={bucket},Key=a"])).values()
            assert (seen.state, seen.reason) == ("success", "200")

    anyio.run(main, backend=backend)
