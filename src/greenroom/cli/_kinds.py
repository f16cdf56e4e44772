"""From the KIND of the command line to its transition table and to an open source of its states.

Tables are plain data and come at once; AWS's client library is loaded only to connect.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

import click

from greenroom._errors import ConfigurationError
from greenroom._source import Source
from greenroom.sources import appstream, deadline, ec2, workspaces, workspaces_instances
from greenroom.sources._nimble_reads import READS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from greenroom._states import TransitionTable
    from greenroom.sources._aws_kind import AwsKind, Where
    from greenroom.sources._nimble_reads import Reads
    from greenroom.sources._waiters import Waiter
    from greenroom.sources.nimble import StreamingSessions


@dataclass(frozen=True, slots=True)
class Address:
    """Where a source is, as far as the command line says it.

    Attributes:
        endpoint_url: The service's URL.
        studio_id: The Nimble studio.
        region: The AWS region.
        profile: The profile of the AWS configuration files.
    """

    endpoint_url: str | None
    studio_id: str | None
    region: str | None
    profile: str | None

    def where(self) -> Where:
        """Return it as a service at AWS takes it."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "profile": self.profile,
        }


class Checking(Source, Protocol):
    """A source that knows its ids."""

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What the command line knows of a kind of session.

    Attributes:
        table: Its transition table.
        max_batch: Most ids in one call.
        id_form: How an id is written.
        permissions: What the caller must be allowed, as IAM writes it.
        connect: Opens its source.
        in_a_studio: Whether it takes a studio, at a URL, to be one.
        implied: What is waited for where nobody says; None where it has to be said.
    """

    table: TransitionTable
    max_batch: int
    id_form: str
    permissions: tuple[str, ...]
    connect: Callable[[Address], AbstractAsyncContextManager[Checking]]
    in_a_studio: bool = False
    implied: str | None = None

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.table.kind


def _in_a_studio(reads: Reads) -> Kind:
    @asynccontextmanager
    async def connect(address: Address) -> AsyncIterator[Checking]:
        from greenroom.sources import nimble

        async with connect_studio(address) as sessions:
            yield nimble.KINDS[reads.table.kind](sessions)

    return Kind(
        reads.table,
        reads.max_batch,
        reads.id_form,
        reads.permissions,
        connect,
        in_a_studio=True,
    )


def _at_aws(kind: AwsKind) -> Kind:
    def connect(address: Address) -> AbstractAsyncContextManager[Checking]:
        return kind.connect(**address.where())

    return Kind(kind.table, kind.max_batch, kind.id_form, kind.permissions, connect)


_SERVICES = (ec2, workspaces, workspaces_instances, appstream, deadline)

WAITERS = "aws"
"""What the kinds that are waiters of botocore begin with."""


def _waiting_as_botocore(waiter: Waiter) -> Kind:
    @asynccontextmanager
    async def connect(address: Address) -> AsyncIterator[Checking]:
        from greenroom.sources._aws import open_client

        async with open_client(waiter.service, **address.where()) as client:
            yield waiter.source(client)

    return Kind(
        waiter.table,
        waiter.max_batch,
        waiter.id_form,
        (waiter.permission,),
        connect,
        implied=waiter.table.goals[0],
    )


KINDS = {
    kind.name: kind
    for kind in (
        *map(_in_a_studio, READS.values()),
        *(_at_aws(kind) for service in _SERVICES for kind in service.KINDS),
    )
}
"""Every kind that has a name of its own."""


def kind_of(name: str) -> Kind:
    """Return a kind.

    Raises:
        click.BadParameter: There is no such kind.
        ConfigurationError: It is a waiter of botocore, which has none of that name.
    """
    if name in KINDS:
        return KINDS[name]
    first, *rest = name.split(":")
    if first == WAITERS and rest:
        if len(rest) != 2 or not all(rest):
            raise click.BadParameter(
                f"{name!r} is no waiter, which reads aws:SERVICE:WAITER, as "
                "aws:rds:db_instance_available; `greenroom kinds aws:rds` lists those of a service"
            )
        from greenroom.sources._waiters import waiter_kind

        return _waiting_as_botocore(waiter_kind(*rest))
    begun = [kind for kind in KINDS if name and kind.startswith(name.lower())]
    close = begun[:1] or get_close_matches(name.lower(), KINDS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    known = f"{', '.join(KINDS)} and aws:SERVICE:WAITER"
    raise click.BadParameter(f"there is no kind {name!r}; {hint}the kinds are {known}")


def kinds_of(name: str) -> Iterable[Kind]:
    """Return the one kind of that name; where it is `aws:SERVICE`, all waiters of the service.

    Raises:
        click.BadParameter: There is no such kind.
        ConfigurationError: There is no such service or waiter, or it has no waiters.
    """
    first, *rest = name.split(":")
    if first != WAITERS or len(rest) != 1 or not rest[0]:
        return (kind_of(name),)
    from greenroom.sources._waiters import waiter_kind, waiter_names

    service = rest[0]
    return (_waiting_as_botocore(waiter_kind(service, each)) for each in waiter_names(service))


def states_of(kind: Kind, names: Iterable[str]) -> tuple[str, ...]:
    """Return the states that people named, in any case; what is implied if they named none.

    Raises:
        TableError: The kind has no such state.
        click.UsageError: They named none, and none is implied.
    """
    table = kind.table
    alike = {state.casefold(): state for state in table.moves}
    states = tuple(alike.get(name.casefold(), name) for name in names)
    if not states and kind.implied is None:
        raise click.UsageError(f"Missing option '--until', such as --until {table.goals[0]}")
    states = states or (kind.implied or "",)
    table.goal(states)
    return states


def check_address(kind: str, address: Address) -> None:
    """Make sure that the address is complete.

    Raises:
        click.UsageError: It is not.
    """
    if not kind_of(kind).in_a_studio:
        return
    needed = {
        ("--endpoint-url URL", "GREENROOM_ENDPOINT_URL"): address.endpoint_url,
        ("--studio-id ID", "GREENROOM_STUDIO_ID"): address.studio_id,
    }
    for (option, variable), value in needed.items():
        if not value:
            raise click.UsageError(
                f"{kind} needs {option} or {variable}; `greenroom simulator` starts a studio to "
                "try things on, and prints both"
            )


@asynccontextmanager
async def connect(kind: Kind, address: Address, ids: Iterable[str]) -> AsyncIterator[Source]:
    """Open the source of a kind, to be asked about these ids.

    Raises:
        ConfigurationError: Credentials, the region or something else is missing or wrong, or an
            id cannot be one of this kind.
    """
    async with kind.connect(address) as source:
        if wrong := [problem for id_ in ids if (problem := source.check_id(id_))]:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise ConfigurationError(wrong[0] + more)
        yield source


def place_of(source: object) -> str:
    """Return where a source looks: the region, or the studio; empty where that is not known."""
    if studio_id := getattr(source, "studio_id", None):
        return str(studio_id)
    meta = getattr(getattr(source, "client", None), "meta", None)
    return str(getattr(meta, "region_name", None) or "")


@asynccontextmanager
async def connect_studio(address: Address) -> AsyncIterator[StreamingSessions]:
    """Open a studio, in which sessions can also be made.

    Raises:
        ConfigurationError: Credentials, the region or something else is missing or wrong.
    """
    from greenroom.sources import nimble

    async with nimble.connect(
        studio_id=address.studio_id or "",
        endpoint_url=address.endpoint_url,
        region_name=address.region,
        profile=address.profile,
    ) as sessions:
        yield sessions
