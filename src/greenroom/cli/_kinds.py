"""From the KIND of the command line to its transition table and to an open source of its states.

Tables are plain data and come at once; AWS's client library is loaded only to connect.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from greenroom._errors import ConfigurationError
from greenroom.sources._nimble_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from greenroom._reader import Source
    from greenroom._states import TransitionTable
    from greenroom.sources.nimble import StreamingSessions

KINDS = tuple(TABLES)


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


def table_of(kind: str) -> TransitionTable:
    """Return the transition table of a kind.

    Raises:
        click.BadParameter: There is no such kind.
    """
    if kind in TABLES:
        return TABLES[kind]
    close = get_close_matches(kind.lower(), KINDS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise click.BadParameter(f"there is no kind {kind!r}; {hint}the kinds are {', '.join(KINDS)}")


def states_of(table: TransitionTable, names: Iterable[str]) -> tuple[str, ...]:
    """Return the states that people named, in any case.

    Raises:
        TableError: The kind has no such state.
    """
    states = tuple(name if name in table.moves else name.upper() for name in names)
    table.goal(states)
    return states


def check_address(kind: str, address: Address) -> None:
    """Make sure that the address is complete.

    Raises:
        click.UsageError: It is not.
    """
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
async def connect(kind: str, address: Address, ids: Iterable[str]) -> AsyncIterator[Source]:
    """Open the source of a kind, to be asked about these ids.

    Raises:
        ConfigurationError: Credentials, the region or something else is missing or wrong, or an
            id cannot be one of this kind.
    """
    from greenroom.sources import nimble

    async with connect_studio(address) as sessions:
        source = nimble.KINDS[kind](sessions)
        if wrong := [problem for id_ in ids if (problem := source.check_id(id_))]:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise ConfigurationError(wrong[0] + more)
        yield source


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
