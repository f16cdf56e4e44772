"""The kinds of EC2 as data: instances, up to 500 in one call, and their status checks, up to 100.

EC2 fails a whole call for one id that it does not know, and names it. Right after a launch that may
happen to ids that are good. Facts: API version 2016-11-15.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from greenroom._states import Observation, TransitionTable
from greenroom.sources._aws_kind import AwsKind, Read, at

_ID = {"InstanceId": "i-"}

_FAULTS = {
    "Server.InsufficientInstanceCapacity": "no capacity for this type in this zone now; try "
    "another type or zone, or later",
    "Server.InternalError": "EC2 failed inside; another try may succeed",
    "Server.ScheduledStop": "a stop that was announced for its host; start it again",
    "Server.SpotInstanceShutdown": "Spot took the capacity back; launch anew, of another type or "
    "on demand",
    "Server.SpotInstanceTermination": "Spot took the capacity back; launch anew, of another type "
    "or on demand",
    "Client.InternalError": "it could not be started, most often since EC2 may not use the key of "
    "an encrypted volume; the key's policy needs a person",
    "Client.InstanceInitiatedShutdown": "it was shut down from inside",
    "Client.InstanceTerminated": "it was rebooted or shut down while it was being terminated",
    "Client.InvalidSnapshot.NotFound": "the snapshot of a volume does not exist; the image needs a "
    "person",
    "Client.UserInitiatedHibernate": "somebody hibernated it",
    "Client.UserInitiatedShutdown": "somebody stopped or terminated it",
    "Client.VolumeLimitExceeded": "the account's limit on volumes or their size was reached; "
    "delete some, or have it raised",
}
"""What the codes of `StateReason` mean. A service may grow more."""

_instance = at("State.Name", reason="StateReason.Code", message="StateReason.Message")


def _observe_instance(resource: Mapping[str, Any]) -> Observation | None:
    """Return an instance's state.

    `LaunchTime` is when it was last started. That is when it began to be pending, and says nothing
    about any later state.
    """
    seen = _instance(resource)
    launched = resource.get("LaunchTime")
    if seen is None or seen.state != "pending" or not isinstance(launched, datetime):
        return seen
    return Observation(seen.state, seen.reason, seen.message, launched, resource)


INSTANCE = AwsKind(
    table=TransitionTable(
        kind="ec2-instance",
        moves={
            "pending": ("running", "stopping", "stopped", "shutting-down", "terminated"),
            "running": (),
            "stopping": ("stopped", "terminated"),
            "stopped": (),
            "shutting-down": ("terminated",),
            "terminated": (),
        },
        actions={
            "running": {"stop": "stopping", "terminate": "shutting-down"},
            "stopped": {"start": "pending", "terminate": "terminated"},
        },
        failures=frozenset(),
        goals=("running", "stopped", "terminated"),
        gone="terminated",
        faults=_FAULTS,
    ),
    service="ec2",
    parts=_ID,
    many=Read(
        operation="DescribeInstances",
        parameter="InstanceIds",
        listed="Reservations[].Instances[]",
    ),
    max_batch=500,  # EC2 names no limit; an answer of this many is 0.8 MB, read in 0.15 s
    observe=_observe_instance,
    price=200.0,  # an account has one quota of it, and everything else in the account draws on it
)

_CHECKS = ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")
_WORST_FIRST = ("impaired", "insufficient-data", "initializing", "ok")


def _observe_status(resource: Mapping[str, Any]) -> Observation | None:
    """Return the worst of an instance's checks; of one that is not running, the instance's state.

    A check that does not apply, such as that of volumes which the type of instance does not offer,
    does not count.
    """
    instance = _at(resource, "InstanceState", "Name")
    if not isinstance(instance, str):
        return None
    if instance != "running":
        return Observation(instance, resource=resource)
    checks = {check: _at(resource, check, "Status") for check in _CHECKS}
    counting = {check: status for check, status in checks.items() if status in _WORST_FIRST}
    if not counting:
        others = [status for status in checks.values() if isinstance(status, str)]
        return Observation(others[0], resource=resource) if others else None
    state = min(counting.values(), key=_WORST_FIRST.index)
    if state == "ok":
        return Observation(state, resource=resource)
    which = [check for check, status in counting.items() if status == state]
    told = ", ".join(f"{check} is {state}" for check in which)
    return Observation(state, which[0], told, resource=resource)


def _at(resource: Mapping[str, Any], member: str, name: str) -> Any:
    structure = resource.get(member)
    return structure.get(name) if isinstance(structure, dict) else None


INSTANCE_OK = AwsKind(
    table=TransitionTable(
        kind="ec2-instance-ok",
        moves={
            "pending": ("initializing", "stopping", "stopped", "shutting-down", "terminated"),
            "initializing": ("ok", "impaired", "insufficient-data", "not-applicable"),
            "insufficient-data": ("ok", "impaired", "initializing"),
            "impaired": ("ok", "insufficient-data", "initializing"),
            "ok": (),
            "not-applicable": ("initializing", "insufficient-data", "ok"),
            "stopping": ("stopped", "terminated"),
            "stopped": (),
            "shutting-down": ("terminated",),
            "terminated": (),
        },
        actions={
            "ok": {"stop": "stopping", "terminate": "shutting-down"},
            "stopped": {"start": "pending", "terminate": "terminated"},
        },
        failures=frozenset(),
        goals=("ok",),
        gone="terminated",
    ),
    service="ec2",
    parts=_ID,
    many=Read(
        operation="DescribeInstanceStatus",
        parameter="InstanceIds",
        listed="InstanceStatuses[]",
        others={"IncludeAllInstances": True},
    ),
    max_batch=100,
    observe=_observe_status,
)

KINDS = (INSTANCE, INSTANCE_OK)
