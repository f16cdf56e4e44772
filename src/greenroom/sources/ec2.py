"""EC2: instances, up to 500 in one call, their status checks, up to 100, and launches of many.

    async with ec2.connect(region_name="us-west-2") as instances:
        await greenroom.wait(instances, "i-0123456789abcdef", until="running", timeout=600)
        await greenroom.wait(instances.status_checks, "i-0123456789abcdef", until="ok", timeout=900)

EC2 fails a whole call for one id that it does not know, and names it. Right after a launch that may
happen to ids that are good. Facts: API version 2016-11-15.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Unpack

from greenroom.sources._ec2_kinds import INSTANCE, INSTANCE_OK, KINDS
from greenroom.sources._ec2_launch import (
    FEWER,
    INSTANCE_LAUNCH,
    REMEDIES,
    InstanceSpec,
    read_specs,
)

if TYPE_CHECKING:
    from greenroom.sources._aws_kind import Where
    from greenroom.sources._ec2_instances import Instances

__all__ = [
    "FEWER",
    "INSTANCE",
    "INSTANCE_LAUNCH",
    "INSTANCE_OK",
    "KINDS",
    "REMEDIES",
    "InstanceSpec",
    "connect",
    "read_specs",
]


@asynccontextmanager
async def connect(**where: Unpack[Where]) -> AsyncIterator[Instances]:
    """Open a region's instances, on asyncio or on trio.

    Args:
        where: Members of `Where`; the usual AWS chain gives what is left out.

    Yields:
        The instances; their status checks are `instances.status_checks`.

    Raises:
        ConfigurationError: There is no region, there are no credentials, or something given cannot
            be right. Nothing has been called yet.
    """
    from greenroom.sources._aws import open_client
    from greenroom.sources._ec2_instances import Instances

    async with open_client(INSTANCE.service, **where) as client:
        yield Instances(client, INSTANCE, INSTANCE_OK)
