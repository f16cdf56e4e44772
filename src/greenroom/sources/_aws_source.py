"""The source of any kind at AWS: asks for many ids in one call, and makes sense of the answer.

What it takes for an answer: a body that has the member in which the operation lists resources. An
id that is not among them is merely not listed; asked for alone, it does not exist. Where a service
tells per id what went wrong, that id is left out, and asked for alone it is told why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import jmespath
from botocore.exceptions import ClientError

from greenroom._errors import InvalidRequest, NotFound, SourceError, Throttled, Unavailable
from greenroom.sources._aws import call, translate
from greenroom.sources._ids import checked_ids

if TYPE_CHECKING:
    from greenroom._states import Observation
    from greenroom.sources._aws_kind import AwsKind, Read


EMPTY_PAGES = 10
"""Pages without any of the ids that were asked for, before the others are left out."""


class AwsSource:
    """One kind of session at AWS.

    Args:
        client: An open aiobotocore client of the kind's service.
        kind: The kind.

    Attributes:
        client: The client, for every other call.
        kind: The kind.
        table: Its transition table.
        max_batch: Most ids in one `describe`.
        not_found_grace: Seconds after the start of a wait in which not found may be too early.
        price: Session-seconds of delay that a full call is worth; None for what is usual.
    """

    def __init__(self, client: Any, kind: AwsKind) -> None:
        self.client = client
        self.kind = kind
        self.table = kind.table
        self.max_batch = kind.max_batch
        self.not_found_grace = kind.not_found_grace
        self.price = kind.price

    def of(self, kind: AwsKind) -> AwsSource:
        """Return the source of another kind of the same service, on the same connection."""
        return AwsSource(self.client, kind)

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id that no session of this kind can have, or None."""
        return self.kind.check_id(id_)

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the states of at most `max_batch` sessions.

        Returns:
            What was seen, by id. An id that was asked for alone and is left out does not exist;
            one that several were asked with is merely not listed.

        Raises:
            InvalidRequest: An id cannot be one, or there are more than `max_batch`; nothing was
                called. Or the service says so.
            SourceError: There is no answer.
        """
        return await self.describe_pages(ids, anyio.lowlevel.checkpoint)

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Read the states as `describe` does, awaiting `pay()` before every call but the first.

        The pages end when every id was seen, when the service has no further one, when it hands out
        a page token for the second time, and after as many pages as there are ids: then it is
        cheaper to ask for each. Where it is asked for certain ids, it may have some empty pages.

        Raises:
            SourceError: As for `describe`.
        """
        kind = self.kind
        one_alone = len(ids) == 1 and kind.one is not None
        read = kind.one if one_alone or kind.many is None else kind.many
        assert read is not None
        checked = checked_ids(self, ids, read.operation)
        asked = read.asked([kind.parts_of(id_) for id_ in checked])
        found: dict[str, Observation] = {}
        tokens: set[str] = set()
        pages = 0
        while True:
            try:
                answer = await call(self.client, read.operation, asked, ids=checked)
                found |= self._seen(read, answer, checked)
            except SourceError as error:
                if isinstance(error, NotFound) and len(checked) == 1:
                    return {}
                error.seen = {**found, **error.seen}
                raise
            token = str(answer.get("NextToken") or "")
            pages += 1
            listed_enough = pages >= len(checked) + (EMPTY_PAGES if read.parameter else 0)
            if not token or token in tokens or len(found) == len(checked) or listed_enough:
                return found
            tokens.add(token)
            asked["NextToken"] = token
            await pay()

    def _seen(
        self, read: Read, answer: Mapping[str, Any], wanted: Sequence[str]
    ) -> dict[str, Observation]:
        listed = answer.get(read.root) if read.root else [answer]
        if not isinstance(listed, list):
            raise self._garbage(read)
        resources = jmespath.search(read.listed, answer)
        resources = resources if isinstance(resources, list) else [resources]
        found: dict[str, Observation] = {}
        for resource in resources:
            id_ = self._id_of(read, resource, wanted)
            if id_ is not None and id_ in wanted and (observation := self.kind.observe(resource)):
                found[id_] = observation
        if read.failed is not None:
            self._raise_failure(read, jmespath.search(read.failed, answer) or (), wanted, found)
        if not found and listed and len(wanted) == 1:
            raise self._garbage(read)
        return found

    def _id_of(self, read: Read, resource: Any, wanted: Sequence[str]) -> str | None:
        """Return whose resource it is. What was asked for alone need not repeat where it is."""
        kind = self.kind
        if not isinstance(resource, dict):
            return None
        if read is not kind.one:
            return kind.id_of(resource)
        last, expected = list(kind.parts_of(wanted[0]).items())[-1]
        return wanted[0] if resource.get(last) == expected else None

    def _raise_failure(
        self,
        read: Read,
        failures: Sequence[Mapping[str, Any]],
        wanted: Sequence[str],
        found: Mapping[str, Observation],
    ) -> None:
        """Raise what is told per id, where it is more than not to be found.

        What may pass is raised as it is, and all that was not found is asked for again. Of what
        will not, the ids are named, so that they are asked for apart.
        """
        errors = [(self.kind.id_of(each), self._failure(read, each)) for each in failures]
        told = [pair for pair in errors if not isinstance(pair[1], NotFound)]
        for _, error in told:
            if len(wanted) == 1 or isinstance(error, Throttled | Unavailable):
                error.seen = found
                raise error
        if told:
            ids = [id_ for id_, _ in told]
            raise InvalidRequest(
                str(told[0][1]), ids=ids, code=told[0][1].code, operation=read.operation, seen=found
            )

    def _failure(self, read: Read, failure: Mapping[str, Any]) -> SourceError:
        details = {"Code": failure.get("code"), "Message": failure.get("message")}
        metadata = {"HTTPStatusCode": 400, "HTTPHeaders": {}}
        answer = {"Error": details, "ResponseMetadata": metadata}
        return translate(ClientError(answer, read.operation), operation=read.operation)

    def _garbage(self, read: Read) -> Unavailable:
        return Unavailable(
            f"{read.operation}: {self.client.meta.endpoint_url} answered 200, but with nothing of "
            "what was asked for",
            operation=read.operation,
        )
