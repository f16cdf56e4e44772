"""AppStream (WorkSpaces Applications): fleets and image builders, by their names.

    async with appstream.connect(region_name="us-west-2") as fleets:
        await greenroom.wait(fleets, "artists", until="RUNNING", timeout=3600)
        builders = fleets.of(appstream.IMAGE_BUILDER)

A name that does not exist fails the whole call. Neither kind has a state for what was deleted.
Facts: API version 2016-12-01.
"""

from __future__ import annotations

from greenroom._states import TransitionTable
from greenroom.sources._aws_kind import AwsKind, Read, at

__all__ = ["FLEET", "IMAGE_BUILDER", "KINDS", "connect"]

FLEET = AwsKind(
    table=TransitionTable(
        kind="appstream-fleet",
        moves={
            "STARTING": ("RUNNING", "STOPPING", "STOPPED"),
            "RUNNING": (),
            "STOPPING": ("STOPPED",),
            "STOPPED": (),
        },
        actions={"RUNNING": {"stop": "STOPPING"}, "STOPPED": {"start": "STARTING"}},
        failures=frozenset(),
        goals=("RUNNING", "STOPPED"),
    ),
    service="appstream",
    parts={"Name": ""},
    many=Read(operation="DescribeFleets", parameter="Names", listed="Fleets[]"),
    max_batch=100,  # the service names no limit
    observe=at("State", reason="FleetErrors[0].ErrorCode", message="FleetErrors[0].ErrorMessage"),
)

_SETTLES = ("RUNNING", "STOPPED", "FAILED")

IMAGE_BUILDER = AwsKind(
    table=TransitionTable(
        kind="appstream-image-builder",
        moves={
            "PENDING": ("UPDATING_AGENT", "PENDING_QUALIFICATION", *_SETTLES),
            "UPDATING_AGENT": _SETTLES,
            "RUNNING": (),
            "STOPPING": ("STOPPED", "FAILED"),
            "STOPPED": (),
            "REBOOTING": _SETTLES,
            "SNAPSHOTTING": _SETTLES,
            "DELETING": ("FAILED",),
            "FAILED": (),
            "UPDATING": _SETTLES,
            "PENDING_QUALIFICATION": ("PENDING", *_SETTLES),
            "PENDING_SYNCING_APPS": ("SYNCING_APPS", *_SETTLES),
            "SYNCING_APPS": _SETTLES,
            "PENDING_IMAGE_IMPORT": ("PENDING", *_SETTLES),
        },
        actions={
            "RUNNING": {
                "stop": "STOPPING",
                "snapshot": "SNAPSHOTTING",
                "sync apps": "PENDING_SYNCING_APPS",
                "delete": "DELETING",
            },
            "STOPPED": {"start": "PENDING", "update": "UPDATING", "delete": "DELETING"},
            "FAILED": {"delete": "DELETING"},
        },
        failures=frozenset({"FAILED"}),
        goals=("RUNNING", "STOPPED"),
        faults={
            "INTERNAL_ERROR": "the service failed inside; another try may succeed",
            "IMAGE_UNAVAILABLE": "its image cannot be used; the image needs a person",
        },
    ),
    service="appstream",
    parts={"Name": ""},
    many=Read(operation="DescribeImageBuilders", parameter="Names", listed="ImageBuilders[]"),
    max_batch=100,  # the service names no limit
    observe=at(
        "State",
        reason="ImageBuilderErrors[0].ErrorCode || StateChangeReason.Code",
        message="ImageBuilderErrors[0].ErrorMessage || StateChangeReason.Message",
    ),
)

KINDS = (FLEET, IMAGE_BUILDER)

connect = FLEET.connect
"""Open a source of fleets; see `AwsKind.connect`."""
