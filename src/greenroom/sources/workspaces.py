"""WorkSpaces: desktops, 25 in one call.

    async with workspaces.connect(region_name="us-west-2") as desktops:
        await greenroom.wait(desktops, "ws-0123abcd9", until="AVAILABLE", timeout=3600)

CreateWorkspaces answers before there is anything to describe: for a while the id that it gave is
not found. Facts: API version 2015-04-08; from which states a caller may act, the documentation of
each action says.
"""

from __future__ import annotations

from greenroom._states import TransitionTable
from greenroom.sources._aws_kind import AwsKind, Read, at

__all__ = ["KINDS", "WORKSPACE", "connect"]

_UP_AGAIN = ("AVAILABLE", "UNHEALTHY", "IMPAIRED", "ERROR")
_TERMINATE = {"terminate": "TERMINATING"}
_RENEW = {"rebuild": "REBUILDING", "restore": "RESTORING"}

WORKSPACE = AwsKind(
    table=TransitionTable(
        kind="workspace",
        moves={
            "PENDING": _UP_AGAIN,
            "AVAILABLE": (),
            "IMPAIRED": ("AVAILABLE", "UNHEALTHY", "ERROR"),
            "UNHEALTHY": ("AVAILABLE", "IMPAIRED", "ERROR"),
            "REBOOTING": _UP_AGAIN,
            "STARTING": (*_UP_AGAIN, "STOPPED"),
            "REBUILDING": _UP_AGAIN,
            "RESTORING": _UP_AGAIN,
            "MAINTENANCE": (*_UP_AGAIN, "STOPPED"),
            "ADMIN_MAINTENANCE": (),
            "TERMINATING": ("TERMINATED",),
            "TERMINATED": (),
            "SUSPENDED": (*_UP_AGAIN, "STOPPED"),
            "UPDATING": (*_UP_AGAIN, "STOPPED"),
            "STOPPING": ("STOPPED", "ERROR"),
            "STOPPED": (),
            "ERROR": (),
        },
        actions={
            "AVAILABLE": {
                "reboot": "REBOOTING",
                "stop": "STOPPING",
                "maintain": "ADMIN_MAINTENANCE",
                **_RENEW,
                **_TERMINATE,
            },
            "ADMIN_MAINTENANCE": {"end maintenance": "AVAILABLE", **_TERMINATE},
            "STOPPED": {"start": "STARTING", **_RENEW, **_TERMINATE},
            "ERROR": {"stop": "STOPPING", **_RENEW, **_TERMINATE},
        },
        failures=frozenset({"ERROR"}),
        goals=("AVAILABLE", "STOPPED", "TERMINATED"),
        gone="TERMINATED",
    ),
    service="workspaces",
    parts={"WorkspaceId": "ws-"},
    many=Read(operation="DescribeWorkspaces", parameter="WorkspaceIds", listed="Workspaces[]"),
    max_batch=25,
    observe=at("State", reason="ErrorCode", message="ErrorMessage"),
    not_found_grace=300.0,
)

KINDS = (WORKSPACE,)

connect = WORKSPACE.connect
"""Open a source of WorkSpaces; see `AwsKind.connect`."""
