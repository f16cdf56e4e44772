"""What a launch has to know of EC2: what is asked for, and what is done about failures.

A spec says what RunInstances is called with. Where it names several instance types and subnets, it
has as many choices as there are pairs of them: where there is no capacity for a type in one subnet,
the next subnet is tried, and after all of them the next type.

Workstations that are alike are asked for together. What a call takes is checked offline, by the
model that botocore itself checks it by, before the first one is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from greenroom._errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unavailable,
)
from greenroom._launch_kind import Deed, LaunchKind, ReadyCheck, register
from greenroom._remedies import UNKNOWN, Action, Remedies, Remedy
from greenroom._specs import Check, Choice, WorkstationSpec, an_id, encodable, several, tags
from greenroom._specs import read_specs as read_specs_of
from greenroom.sources._ec2_kinds import INSTANCE, INSTANCE_OK

MOST_TOGETHER = 100
"""Instances that one RunInstances asks for at most; AWS advises against larger batches."""

LONGEST_USER_DATA = 16_384
"""Bytes of user data at most, before they are encoded."""

OWN_MEMBERS = ("MinCount", "MaxCount", "ClientToken", "DryRun")
"""Members of RunInstances that the launch itself fills in."""


def _like(pattern: str, what: str) -> Check:
    def check(name: str, value: Any) -> Iterator[str]:
        if not (isinstance(value, str) and re.fullmatch(pattern, value)):
            yield f"{name}={value!r} is no {what}"

    return check


def _each_like(pattern: str, example: str, what: str) -> Check:
    def each(value: Any) -> str | None:
        good = isinstance(value, str) and re.fullmatch(pattern, value)
        return None if good else f"{value!r} is no {what}, such as {example}"

    return several(example, each)


def _user_data(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"{name} must be text, which is sent as it is"
    elif not encodable(value):
        yield f"{name} has a character that UTF-8 does not have"
    elif (size := len(value.encode())) > LONGEST_USER_DATA:
        yield f"{name} has {size} bytes, and EC2 takes {LONGEST_USER_DATA}"


def _flag(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{name}={value!r} must be true or false"


def _request(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{name}={value!r} must be an object of members of RunInstances"
        return
    yield from (
        f"{name} has {member}, which the launch itself fills in"
        for member in OWN_MEMBERS
        if member in value
    )
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError) as error:
        yield f"{name} has something that JSON has not: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec(WorkstationSpec):
    """One instance that is wanted of EC2.

    The journal of a launch keeps all of it, the user data too.

    Attributes:
        key: Its name in this launch, and in its account. Unique.
        image_id: The machine image; None for the launch template's.
        launch_template: The id or the name of a launch template, and a version of it if not its
            default one: `desks`, `desks:3`, `lt-0123:$Latest`.
        instance_types: The types that will do, the most wanted first; empty for the template's.
        subnet_ids: The subnets that will do, the most wanted first; empty for the usual one.
        security_group_ids: Its security groups.
        key_name: The key pair to log in with.
        instance_profile: The name or the ARN of the instance profile that it runs under.
        user_data: What it runs when it first starts, as text; at most 16 KiB.
        spot: Whether it is a Spot instance.
        tags: Its tags.
        request: Any other members of RunInstances, by the names that EC2 has for them.
    """

    kind: ClassVar[str] = INSTANCE.table.kind
    other_names: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "ImageId": "image_id",
            "LaunchTemplate": "launch_template",
            "instance_type": "instance_types",
            "InstanceType": "instance_types",
            "subnet_id": "subnet_ids",
            "SubnetId": "subnet_ids",
            "security_group_id": "security_group_ids",
            "SecurityGroupIds": "security_group_ids",
            "KeyName": "key_name",
            "IamInstanceProfile": "instance_profile",
            "UserData": "user_data",
        }
    )
    checks: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {
            "image_id": _like(
                r"ami-\w+|resolve:ssm:\S+", "image id, such as ami-0123456789abcdef0"
            ),
            "launch_template": _like(
                r"[\w().\-/]{3,128}(:(\d+|\$Latest|\$Default))?",
                "launch template, such as desks or lt-0123:3",
            ),
            "instance_types": _each_like(r"[a-z0-9-]+\.[a-z0-9-]+", "g5.xlarge", "instance type"),
            "subnet_ids": _each_like(r"subnet-\w+", "subnet-0123", "subnet id"),
            "security_group_ids": _each_like(r"sg-\w+", "sg-0123", "security group id"),
            "key_name": an_id,
            "instance_profile": an_id,
            "user_data": _user_data,
            "spot": _flag,
            "tags": tags,
            "request": _request,
        }
    )

    image_id: str | None = None
    launch_template: str | None = None
    instance_types: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    key_name: str | None = None
    instance_profile: str | None = None
    user_data: str | None = field(default=None, repr=False)
    spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    request: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def choices(self) -> tuple[Choice, ...]:
        """Return each type in each subnet, all subnets of a type first."""
        types = [{"instance_type": each} for each in self.instance_types] or [{}]
        subnets = [{"subnet_id": each} for each in self.subnet_ids] or [{}]
        return tuple(one | other for one in types for other in subnets)

    def members(self, choice: Choice) -> dict[str, Any]:
        """Return what RunInstances is called with, but for what the launch itself fills in."""
        profile = self.instance_profile or ""
        template, _, version = (self.launch_template or "").partition(":")
        is_id = re.fullmatch(r"lt-[0-9a-zA-Z]+", template)
        by = "LaunchTemplateId" if is_id else "LaunchTemplateName"
        given = {
            "ImageId": self.image_id,
            "InstanceType": choice.get("instance_type"),
            "SubnetId": choice.get("subnet_id"),
            "SecurityGroupIds": list(self.security_group_ids),
            "KeyName": self.key_name,
            "UserData": self.user_data,
            "LaunchTemplate": template
            and {by: template, **({"Version": version} if version else {})},
            "IamInstanceProfile": profile
            and {"Arn" if profile.startswith("arn:") else "Name": profile},
            "InstanceMarketOptions": {"MarketType": "spot"} if self.spot else None,
            "TagSpecifications": self.tags
            and [
                {
                    "ResourceType": "instance",
                    "Tags": [
                        {"Key": name, "Value": value} for name, value in sorted(self.tags.items())
                    ],
                }
            ],
        }
        return {name: value for name, value in given.items() if value} | dict(self.request)

    def problems(self) -> Iterator[str]:
        """Yield what EC2 could not make sense of."""
        asked = self.members(self.choices()[0])
        beside = InstanceSpec(**self.as_dict() | {"request": {}}).members(self.choices()[0])
        twice = sorted(self.request.keys() & beside.keys())
        yield from (f"request has {each}, which is said beside it as well" for each in twice)
        if "ImageId" not in asked and "LaunchTemplate" not in asked:
            yield "image_id is missing, and there is no launch_template that could have one"
        if "InstanceType" not in asked and "LaunchTemplate" not in asked:
            yield "instance_types is missing, and there is no launch_template that could have one"
        yield from _unfit(asked)


def _unfit(members: Mapping[str, Any]) -> Iterator[str]:
    """Yield what botocore would say of a request, which makes no call."""
    report = _validator()({**members, "MinCount": 1, "MaxCount": 1})
    yield from (" ".join(line.split()) for line in report.splitlines())


@cache
def _validator() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    model = ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")
    shape = model.operation_model("RunInstances").input_shape
    return lambda given: ParamValidator().validate(given, shape).generate_report()


def read_specs(
    lines: Iterable[str], *, defaults: Mapping[str, Any] | None = None
) -> tuple[InstanceSpec, ...]:
    """Return the specs that JSON Lines tell, checked; blank lines are passed over.

    Args:
        lines: A JSON object each, with the fields of `InstanceSpec`.
        defaults: Fields for the lines that do not have them.

    Raises:
        SpecError: There are none, or some cannot be right. Every problem is named with its line,
            counted from 1.
    """
    return read_specs_of(lines, InstanceSpec, defaults=defaults)


_NO_CAPACITY = "Give more instance types or subnets, or launch earlier."
_SPOT_GONE = "Spot took the capacity back. Give more instance types, or launch without spot."
_DEAD = "Look at the instance's StateReason and its system log."

FEWER = "FewerThanAsked"
"""The cause of those for whom a RunInstances made none, while it made some."""

REMEDIES = Remedies(
    {
        # Errors: nothing was made.
        "InsufficientInstanceCapacity": Remedy(
            Action.NEXT_CHOICE, f"There was no machine of this type. {_NO_CAPACITY}"
        ),
        "InsufficientCapacity": Remedy(
            Action.NEXT_CHOICE, f"There was not enough capacity. {_NO_CAPACITY}"
        ),
        "InsufficientHostCapacity": Remedy(
            Action.NEXT_CHOICE, "No Dedicated Host had room. Allocate more, or give other types."
        ),
        "InsufficientReservedInstanceCapacity": Remedy(
            Action.NEXT_CHOICE, f"What is reserved is used up. {_NO_CAPACITY}"
        ),
        "ReservationCapacityExceeded": Remedy(
            Action.NEXT_CHOICE, "The capacity reservation is full. Make it larger, or leave it out."
        ),
        "InsufficientFreeAddressesInSubnet": Remedy(
            Action.NEXT_CHOICE, "The subnet has no free addresses. Give more subnets."
        ),
        "Unsupported": Remedy(
            Action.NEXT_CHOICE,
            "What was asked for is not offered there. Give types that the subnets' zones offer.",
            rounds=1,
        ),
        "SpotMaxPriceTooLow": Remedy(
            Action.NEXT_CHOICE,
            "Spot costs more than the highest price given. Raise that, or give more types.",
            rounds=2,
        ),
        FEWER: Remedy(
            Action.AGAIN,
            "One call made fewer instances than it asked for. Resume the launch.",
            attempts=1_000,
        ),
        "VcpuLimitExceeded": Remedy(
            Action.HOLD, "End instances that nobody needs, or have the account's vCPU quota raised."
        ),
        "InstanceLimitExceeded": Remedy(
            Action.HOLD, "End instances that nobody needs, or have the account's quota raised."
        ),
        "MaxSpotInstanceCountExceeded": Remedy(
            Action.HOLD, "End Spot instances that nobody needs, or have their quota raised."
        ),
        "IncorrectState": Remedy(
            Action.AGAIN, "Something it needs was not ready. Wait, then resume.", 4, pause=True
        ),
        "IdempotentParameterMismatch": Remedy(
            Action.NEVER,
            "EC2 knows the request's client token from another request. Look for instances that "
            "have it (filter client-token) before you launch these anew.",
        ),
        "IdempotentInstanceTerminated": Remedy(
            Action.NEVER,
            "An instance of this request was terminated before EC2's answer was heard. Look for "
            "the others (filter client-token) before you launch these anew.",
        ),
        "InvalidAMIID.NotFound": Remedy(
            Action.NEVER, "Mend the spec: there is no such image in this region."
        ),
        "InvalidAMIID.Unavailable": Remedy(
            Action.AGAIN, "The image is not available yet. Wait, then resume.", 4, pause=True
        ),
        "InvalidSubnetID.NotFound": Remedy(
            Action.NEVER, "Mend the spec: there is no such subnet in this region."
        ),
        "InvalidGroup.NotFound": Remedy(
            Action.NEVER, "Mend the spec: there is no such security group in the subnet's network."
        ),
        "InvalidKeyPair.NotFound": Remedy(
            Action.NEVER, "Mend the spec: there is no such key pair in this region."
        ),
        "InvalidParameterValue": Remedy(
            Action.NEVER, "Mend the spec: EC2 does not take one of its values."
        ),
        "InvalidParameterCombination": Remedy(
            Action.NEVER, "Mend the spec: EC2 does not take two of its values together."
        ),
        "NotFound": Remedy(Action.NEVER, "Mend the spec: something that it names does not exist."),
        "UnauthorizedOperation": Remedy(
            Action.STOP,
            "Give the caller the right that the message names (a launch takes ec2:RunInstances, "
            "and iam:PassRole where there is an instance profile), or renew its credentials.",
        ),
        "PendingVerification": Remedy(
            Action.STOP, "AWS is verifying the account. Wait for its mail, then resume."
        ),
        "RequestLimitExceeded": Remedy(
            Action.REPEAT, "Ask for fewer creates a second, or have the limit raised."
        ),
        "InternalError": Remedy(Action.REPEAT, "EC2 did not answer in time. Resume the launch."),
        # Reasons of a state: an instance was made, and died on its way.
        "Server.InsufficientInstanceCapacity": Remedy(
            Action.NEXT_CHOICE, f"There was no machine of this type. {_NO_CAPACITY}"
        ),
        "Server.InternalError": Remedy(
            Action.AGAIN, "EC2 failed inside, several times over. Try again later."
        ),
        "Server.ScheduledStop": Remedy(
            Action.AGAIN, "Its host was retired at that moment. Try again."
        ),
        "Server.SpotInstanceTermination": Remedy(Action.NEXT_CHOICE, _SPOT_GONE),
        "Server.SpotInstanceShutdown": Remedy(Action.NEXT_CHOICE, _SPOT_GONE),
        "Client.VolumeLimitExceeded": Remedy(
            Action.HOLD, "Delete volumes that nobody needs, or have the account's quota raised."
        ),
        "Client.InternalError": Remedy(
            Action.NEVER, "Let EC2 use the key that the volumes are encrypted with."
        ),
        "Client.InvalidSnapshot.NotFound": Remedy(
            Action.NEVER, "Mend the image: the snapshot of one of its volumes does not exist."
        ),
        "Client.InstanceInitiatedShutdown": Remedy(Action.NEVER, f"It shut itself down. {_DEAD}"),
        "Client.InstanceTerminated": Remedy(Action.NEVER, f"It was terminated. {_DEAD}"),
        "Client.UserInitiatedShutdown": Remedy(
            Action.NEVER, "Somebody stopped or terminated it before it was ready. Find out who."
        ),
        UNKNOWN: Remedy(
            Action.AGAIN, "greenroom does not know this cause: read the message.", attempts=2
        ),
    },
    by_error={
        AccessDenied: "UnauthorizedOperation",
        InvalidRequest: "InvalidParameterValue",
        NotFound: "NotFound",
        Conflict: "IncorrectState",
        QuotaExceeded: "InstanceLimitExceeded",
        Throttled: "RequestLimitExceeded",
        Unavailable: "InternalError",
    },
)
"""What each cause asks for, by the code of an error or of a `StateReason`."""

INSTANCE_LAUNCH = register(
    LaunchKind(
        table=INSTANCE.table,
        spec=InstanceSpec,
        remedies=REMEDIES,
        made="pending",
        ready="running",
        deeds={
            "start": Deed(action="start", goal="running"),
            "stop": Deed(action="stop", goal="stopped"),
            "delete": Deed(action="terminate", goal="terminated"),
        },
        checks=(
            ReadyCheck(
                until=INSTANCE_OK.table.goals[0],
                source=lambda instances: instances.status_checks,
            ),
        ),
        deaths=frozenset({"shutting-down", "terminated", "stopping", "stopped"}),
        together=MOST_TOGETHER,
        fewer=FEWER,
    )
)
