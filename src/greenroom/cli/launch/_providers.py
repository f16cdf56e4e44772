"""What can be launched by the command line, and the options that say what each is to be like.

An option belongs to every kind whose spec has the field that it fills in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from greenroom._launch_kind import LaunchKind
from greenroom.cli import _arguments
from greenroom.cli._kinds import connect_studio
from greenroom.sources import ec2
from greenroom.sources._nimble_launch import SESSION_LAUNCH

if TYPE_CHECKING:
    from greenroom.cli._kinds import Address

Option = Callable[[Callable[..., int]], Callable[..., int]]
"""What gives a command one more option."""


def _as_it_is(value: Any) -> Any:
    return value


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is no tag; write it as in --tag project=orchid")
        tags[name] = value
    return tags


@dataclass(frozen=True, slots=True)
class Field:
    """An option that fills in a field of a spec.

    Attributes:
        option: Its name.
        help: What it says.
        metavar: What stands for its value.
        multiple: Whether it may be given several times.
        is_flag: Whether it has no value.
        value: From what click has read to the value of the field.
    """

    option: str
    help: str
    metavar: str = "ID"
    multiple: bool = False
    is_flag: bool = False
    value: Callable[[Any], Any] = _as_it_is

    def as_click(self, name: str) -> Option:
        """Return it as click has it."""
        if self.is_flag:
            return click.option(self.option, name, is_flag=True, help=self.help)
        return click.option(
            self.option, name, metavar=self.metavar, multiple=self.multiple, help=self.help
        )


FIELDS = {
    "launch_profile_id": Field("--launch-profile-id", "The launch profile."),
    "streaming_image_id": Field(
        "--streaming-image-id", "The streaming image, if not the profile's own."
    ),
    "image_id": Field("--image-id", "The machine image."),
    "launch_template": Field(
        "--launch-template",
        "The launch template, by id or name; with a version, as in desks:3, if not its usual one.",
        "TEMPLATE",
    ),
    "instance_types": Field(
        "--instance-type",
        "The type of machine, if not the profile's or the template's own. Given several times: "
        "where there is no capacity for one, the next is tried.",
        "TYPE",
        multiple=True,
    ),
    "subnet_ids": Field(
        "--subnet-id",
        "The subnet. Given several times: where there is no capacity in one, the next is tried, "
        "and after all of them the next type.",
        multiple=True,
    ),
    "security_group_ids": Field(
        "--security-group-id", "A security group. Repeatable.", multiple=True
    ),
    "key_name": Field("--key-name", "The key pair to log in with.", "NAME"),
    "instance_profile": Field(
        "--instance-profile", "The instance profile, by name or ARN.", "PROFILE"
    ),
    "user_data": Field(
        "--user-data",
        "What they run when they first start.",
        "FILE",
        value=lambda file: "\n".join(_arguments.read_lines(file)),
    ),
    "spot": Field("--spot", "Make them Spot instances.", is_flag=True),
    "owner": Field("--owner", "Who is to own them, if not the caller."),
    "tags": Field("--tag", "A tag. Repeatable.", "NAME=VALUE", multiple=True, value=_tags),
}
"""The options by the field of a spec that each fills in."""


@dataclass(frozen=True, slots=True)
class LaunchProvider:
    """Something that the command line can launch.

    Attributes:
        launches: The kind.
        connect: Opens its source, which can launch.
        place: Where it is launched, in words.
    """

    launches: LaunchKind
    connect: Callable[[Address], AbstractAsyncContextManager[Any]]
    place: Callable[[Address], str]

    @property
    def name(self) -> str:
        """The kind's name."""
        return self.launches.name

    @property
    def fields(self) -> frozenset[str]:
        """The fields of its spec."""
        return frozenset(each.name for each in fields(self.launches.spec))


PROVIDERS = {
    provider.name: provider
    for provider in (
        LaunchProvider(
            SESSION_LAUNCH,
            connect_studio,
            lambda address: f" in {address.studio_id}",
        ),
        LaunchProvider(
            ec2.INSTANCE_LAUNCH,
            lambda address: ec2.connect(**address.where()),
            lambda address: f" in {address.region}" if address.region else "",
        ),
    )
}
"""What can be launched, by the name of its kind."""

USUAL = SESSION_LAUNCH.name
"""What is launched where nobody says."""

KIND: Option = click.argument("kind", metavar="[KIND]", required=False)

TEMPLATE_NAMES = tuple(FIELDS)
TEMPLATE: tuple[Option, ...] = tuple(field.as_click(name) for name, field in FIELDS.items())


def provider_of(name: str) -> LaunchProvider:
    """Return what can be launched by that name.

    Raises:
        click.BadParameter: Nothing can.
    """
    if name in PROVIDERS:
        return PROVIDERS[name]
    close = get_close_matches(name.lower(), PROVIDERS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise click.BadParameter(
        f"{name!r} cannot be launched; {hint}what can is {' and '.join(PROVIDERS)}"
    )


def option_of(name: str) -> str:
    """Return the option that fills in a field."""
    return FIELDS[name].option
