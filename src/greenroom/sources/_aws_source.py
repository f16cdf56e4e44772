"""The source of any kind at AWS: asks for many ids in one call, and makes sense of the answer.

What it takes for an answer: a body that has the member in which the operation lists resources. An
id that is not among them is merely not listed; asked for alone, it does not exist. Where a service
tells per id what went wrong, that id is left out, and asked for alone it is told why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import jmespath
from botocore.exceptions import ClientError

from greenroom._errors import NotFound, SourceError, Unavailable
from greenroom.sources._aws import call, translate
from greenroom.sources._ids import checked_ids

if TYPE_CHECKING:
    from greenroom._states import Observation
    from greenroom.sources._aws_kind import AwsKind, Read


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
        a page token for the second time, and where it cannot be asked for certain ids, after as
        many pages as there are ids: then it is cheaper to ask for each.

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
                error.seen = found
                raise
            token = str(answer.get("NextToken") or "")
            pages += 1
            listed_enough = read.parameter is None and pages >= len(checked)
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
        if not found and read.failed is not None:
            self._raise_failure(read, jmespath.search(read.failed, answer) or (), wanted)
        elif not found and listed and len(wanted) == 1:
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
        self, read: Read, failures: Sequence[Mapping[str, Any]], wanted: Collection[str]
    ) -> None:
        """Raise what went wrong, where nothing went well and it is more than not to be found."""
        for failure in failures:
            details = {"Code": failure.get("code"), "Message": failure.get("message")}
            metadata = {"HTTPStatusCode": 400, "HTTPHeaders": {}}
            error: SourceError = translate(
                ClientError({"Error": details, "ResponseMetadata": metadata}, read.operation),
                operation=read.operation,
                ids=tuple(wanted) if len(wanted) == 1 else (),
            )
            if not isinstance(error, NotFound):
                raise error

    def _garbage(self, read: Read) -> Unavailable:
        return Unavailable(
            f"{read.operation}: {self.client.meta.endpoint_url} answered 200, but with nothing of "
            "what was asked for",
            operation=read.operation,
        )
