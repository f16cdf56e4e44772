"""A kind of session at AWS, as data: what its states mean, and which operation reads them.

A service's file says what is special about the service, in terms of this one: the transition table,
the operation that takes many ids, where its answer has the states and the reasons. Everything else
is the same for all of them, and lies in `_aws_source`, which is loaded to connect and not before.

    async with workspaces.WORKSPACE.connect(region_name="us-west-2") as source:
        await greenroom.wait(source, "ws-0123abcd9", until="AVAILABLE", timeout=3600)
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import jmespath

from greenroom._states import Observation, TransitionTable

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from greenroom.sources._aws_source import AwsSource

MOST_CHARACTERS = 256
"""Characters in one part of an id, at most."""

_UNFIT = re.compile(r"[\s,\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Where(TypedDict, total=False):
    """Where a service is, and as whom it is called; the usual AWS chain gives what is left out.

    Attributes:
        region_name: The region.
        endpoint_url: The service's URL, if not the usual one.
        profile: The profile of the AWS configuration files.
        aws_access_key_id: The access key, first half.
        aws_secret_access_key: The access key, second half.
        aws_session_token: The token that goes with a temporary access key.
        session: An aiobotocore session to use instead of one of our own.
    """

    region_name: str | None
    endpoint_url: str | None
    profile: str | None
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    session: AioSession | None


Observe = Callable[[Mapping[str, Any]], Observation | None]
"""From a resource, as the service answers it, to its state; None if it tells none."""


def at(state: str, *, reason: str = "", message: str = "", changed_at: str = "") -> Observe:
    """Return what reads an observation at these places of a resource, which are JMESPaths.

    Args:
        state: The state.
        reason: The code that explains it.
        message: The sentence for people.
        changed_at: When it last changed.
    """
    places = [jmespath.compile(path or "null") for path in (state, reason, message, changed_at)]

    def observe(resource: Mapping[str, Any]) -> Observation | None:
        seen, why, said, when = (place.search(resource) for place in places)
        if not isinstance(seen, str):
            return None
        return Observation(
            seen,
            why if isinstance(why, str) and why else None,
            said if isinstance(said, str) and said else None,
            when if isinstance(when, datetime) else None,
            resource,
        )

    return observe


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An operation that reads states.

    Attributes:
        operation: Its name, such as `DescribeInstances`.
        listed: Where its answer has the resources, as a JMESPath; `@` where it is one itself.
        parameter: The parameter that takes a list of ids; None where the parts of one id are
            parameters themselves, or where it lists everything there is.
        others: Further parameters.
        failed: Where its answer has the ids that failed, each with a code and a message.
    """

    operation: str
    listed: str
    parameter: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)
    failed: str | None = None

    def asked(self, ids: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Return the parameters that ask for these ids.

        Args:
            ids: The parts of each by name.
        """
        if self.parameter is not None:
            alone = len(ids[0]) == 1
            wanted = [next(iter(parts.values())) if alone else dict(parts) for parts in ids]
            return {**self.others, self.parameter: wanted}
        return {**self.others, **(ids[0] if len(ids) == 1 else {})}

    @property
    def root(self) -> str:
        """The member without which an answer is garbage."""
        return re.split(r"\W", self.listed)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKind:
    """A kind of session at AWS.

    Attributes:
        table: Its transition table.
        service: The service, as botocore calls it.
        parts: What an id is made of, joined by `/`: names of parameters that are also members of
            the resource, each with the letters that it begins with.
        many: What reads several at once; None if nothing does.
        one: What reads one alone; None where `many` does that too.
        max_batch: Most ids in one call.
        observe: What reads the state of a resource.
        not_found_grace: Seconds after the start of a wait in which not found may be too early.
        price: Session-seconds of delay that a full call is worth; None for what is usual.
    """

    table: TransitionTable
    service: str
    parts: Mapping[str, str]
    observe: Observe
    many: Read | None = None
    one: Read | None = None
    max_batch: int = 1
    not_found_grace: float = 30.0
    price: float | None = None

    @property
    def permissions(self) -> tuple[str, ...]:
        """What the caller must be allowed, as IAM writes it."""
        reads = (read.operation for read in (self.many, self.one) if read is not None)
        return tuple(f"{self.service}:{operation}" for operation in reads)

    @property
    def id_form(self) -> str:
        """How an id is written, such as `FARM_ID/FLEET_ID/WORKER_ID`."""
        words = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part).upper() for part in self.parts)
        return "/".join(words)

    def parts_of(self, id_: str) -> dict[str, str]:
        """Return the parts of an id that was checked, by name."""
        return dict(zip(self.parts, id_.split("/"), strict=True))

    def id_of(self, resource: Mapping[str, Any]) -> str:
        """Return the id of a resource."""
        return "/".join(str(resource.get(part, "")) for part in self.parts)

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id that no session of this kind can have, or None."""
        given = id_.split("/") if isinstance(id_, str) else ()
        fits = len(given) == len(self.parts) and all(
            len(prefix) < len(part) <= MOST_CHARACTERS
            and part.startswith(prefix)
            and not _UNFIT.search(part)
            for part, prefix in zip(given, self.parts.values(), strict=True)
        )
        if fits:
            return None
        begins = [f"{prefix}..." for prefix in self.parts.values() if prefix]
        like = f", as {'/'.join(begins)}" if begins else ""
        return f"{id_!r} is no id of {self.table.kind}, which reads {self.id_form}{like}"

    @asynccontextmanager
    async def connect(self, **where: Unpack[Where]) -> AsyncIterator[AwsSource]:
        """Open a source of this kind, on asyncio or on trio.

        Args:
            where: Members of `Where`; the usual AWS chain gives what is left out.

        Yields:
            The source. Others of the same service are had by its `of(kind)`.

        Raises:
            ConfigurationError: There is no region, there are no credentials, or something given
                cannot be right. Nothing has been called yet.
        """
        from greenroom.sources._aws import open_client
        from greenroom.sources._aws_source import AwsSource

        async with open_client(self.service, **where) as client:
            yield AwsSource(client, self)
