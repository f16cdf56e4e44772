"""WorkSpaces Instances: one by one, or 25 to a page of all that the account has.

    async with workspaces_instances.connect(region_name="us-west-2") as instances:
        await greenroom.wait(instances, "wsinst-0123abcd9", until="ALLOCATED", timeout=1800)

The list cannot be asked for certain ids. Where the account has many more than are waited for, the
pages end early, and the rest is asked for one by one. Facts: API version 2022-07-26.
"""

from __future__ import annotations

from greenroom._states import TransitionTable
from greenroom.sources._aws_kind import AwsKind, Read, at

__all__ = ["KINDS", "WORKSPACES_INSTANCE", "connect"]

_DELETE = {"delete": "DEALLOCATING"}

WORKSPACES_INSTANCE = AwsKind(
    table=TransitionTable(
        kind="workspaces-instance",
        moves={
            "ALLOCATING": ("ALLOCATED", "ERROR_ALLOCATING"),
            "ALLOCATED": (),
            "DEALLOCATING": ("DEALLOCATED", "ERROR_DEALLOCATING"),
            "DEALLOCATED": (),
            "ERROR_ALLOCATING": (),
            "ERROR_DEALLOCATING": (),
        },
        actions={
            "ALLOCATED": _DELETE,
            "ERROR_ALLOCATING": _DELETE,
            "ERROR_DEALLOCATING": _DELETE,
        },
        failures=frozenset({"ERROR_ALLOCATING", "ERROR_DEALLOCATING"}),
        goals=("ALLOCATED", "DEALLOCATED"),
        gone="DEALLOCATED",
    ),
    service="workspaces-instances",
    parts={"WorkspaceInstanceId": "wsinst-"},
    many=Read(
        operation="ListWorkspaceInstances",
        listed="WorkspaceInstances[]",
        others={"MaxResults": 25},
    ),
    one=Read(operation="GetWorkspaceInstance", listed="@"),
    max_batch=25,
    observe=at(
        "ProvisionState",
        reason="WorkspaceInstanceErrors[0].ErrorCode || EC2InstanceErrors[0].EC2ErrorCode",
        message="WorkspaceInstanceErrors[0].ErrorMessage || EC2InstanceErrors[0].EC2ErrorMessage",
    ),
)

KINDS = (WORKSPACES_INSTANCE,)

connect = WORKSPACES_INSTANCE.connect
"""Open a source of WorkSpaces Instances; see `AwsKind.connect`."""
