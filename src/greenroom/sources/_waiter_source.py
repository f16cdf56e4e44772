"""The source that a botocore waiter makes: calls its operation, and lets its acceptors judge.

One id is asked for alone, and what its acceptors make of the answer, or of the error, is its state.
Several that differ in one parameter alone share a call where `_waiter_batch` has proven that each
can be judged by its part of the answer. Two things are different then:

- An error is about some of them, and which is not known. It is raised, so that they are asked for
  apart, and the acceptors judge it where it is about one.
- What is not listed is left out. Where the service is seen to answer without an error about one
  that is not there, it means what an empty answer means, if that is to wait on.

A throttle and an outage are no outcome, except where an acceptor names exactly that code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from botocore.exceptions import ClientError
from jmespath.exceptions import JMESPathError

from greenroom._errors import (
    AccessDenied,
    InvalidRequest,
    NotFound,
    SourceError,
    Throttled,
    Unavailable,
)
from greenroom._states import Observation
from greenroom.sources._aws import call
from greenroom.sources._ids import checked_ids
from greenroom.sources._waiter_acceptors import FAILURE, RETRY

if TYPE_CHECKING:
    from greenroom._states import TransitionTable
    from greenroom.sources._waiter_acceptors import Judgement
    from greenroom.sources._waiter_batch import Batch
    from greenroom.sources._waiters import Waiter


@dataclass(slots=True)
class _Call:
    """What one call asks for.

    Attributes:
        parameters: The operation's parameters; of a shared call, without the list.
        named: The list parameter of a call that can be shared, else empty.
        ids: The ids that it is about, by value of the list; else the one id, by itself.
    """

    parameters: Mapping[str, Any]
    named: str = ""
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def all_ids(self) -> tuple[str, ...]:
        return tuple(id_ for ids in self.ids.values() for id_ in ids)


class WaiterSource:
    """What a botocore waiter waits for, as a source.

    Args:
        client: An open aiobotocore client of the waiter's service.
        waiter: The waiter.

    Attributes:
        client: The client, for every other call.
        waiter: The waiter.
        table: Its transition table.
        max_batch: Most ids in one `describe`.
    """

    def __init__(self, client: Any, waiter: Waiter) -> None:
        self.client = client
        self.waiter = waiter
        self.table: TransitionTable = waiter.table
        self.max_batch = waiter.max_batch
        self._omits: bool | None = None  # whether what is not there is no error; None: not seen yet

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id, or None: whether it says parameters that can be."""
        return self.waiter.check_id(id_)

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Read the states of at most `max_batch` things.

        Returns:
            What the acceptors make of each, by id. An id that was asked for alone and is left out
            does not exist; one that several were asked with is merely not listed.

        Raises:
            InvalidRequest: An id says no parameters that can be, or there are more than
                `max_batch`; nothing was called. Or the service says so.
            SourceError: There is no answer.
        """
        try:
            return await self.describe_pages(ids, anyio.lowlevel.checkpoint)
        except SourceError as error:
            if error.seen.keys() >= set(ids):
                return error.seen
            raise

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Read the states as `describe` does, awaiting `pay()` before every call but the first.

        Raises:
            SourceError: As for `describe`. Where an error about an id is an outcome, and the id
                would make a shared call fail, both are told: the error names the id, and what it
                means is the error's `seen`.
        """
        checked = checked_ids(self, ids, self.waiter.operation)
        calls = self._calls(checked)
        found: dict[str, Observation] = {}
        for number, one in enumerate(calls):
            if number:
                await pay()
            try:
                if len(one.all_ids) == 1:
                    found |= await self._alone(one.all_ids[0])
                else:
                    found |= await self._together(one, pay)
            except SourceError as error:
                raise self._about(error, one, checked, found) from error.__cause__
        return found

    def _calls(self, ids: Sequence[str]) -> list[_Call]:
        """Return the calls that ask for these ids."""
        batch = self.waiter.batch
        shared: dict[str, _Call] = {}
        single: list[_Call] = []
        for id_ in ids:
            parameters = self.waiter.parameters(id_)
            asked = batch.asked(parameters) if batch else None
            if asked is None:
                single.append(_Call(parameters, ids={id_: [id_]}))
            else:
                name, value = asked
                others = {key: value for key, value in parameters.items() if key != name}
                one = shared.setdefault(repr((name, others)), _Call(others, name))
                one.ids.setdefault(value, []).append(id_)
        return [*shared.values(), *single]

    async def _alone(self, id_: str) -> dict[str, Observation]:
        waiter, parameters = self.waiter, self.waiter.parameters(id_)
        batch = waiter.batch
        asked = batch.asked(parameters) if batch else None
        try:
            answer = await call(
                self.client, waiter.operation, parameters, ids=asked[1:] if asked else (id_,)
            )
        except SourceError as error:
            spoils = asked is not None and isinstance(error, (NotFound, InvalidRequest))
            if spoils:
                self._omits = False
            if observation := self._of_error(error):
                if not spoils:
                    return {id_: observation}
                raise _told_as(NotFound, error, [id_], {id_: observation}) from error.__cause__
            if isinstance(error, NotFound):
                return {}
            raise
        observation = self._of_answer(answer)
        if batch and asked and not answer.get(batch.path[0]):
            self._omits = True
        return {id_: observation}

    async def _together(
        self, one: _Call, pay: Callable[[], Awaitable[None]]
    ) -> dict[str, Observation]:
        batch = self.waiter.batch
        assert batch is not None
        answer = batch.joined(await self._pages(batch, one, pay))
        parts, odd = batch.parted(answer, one.named, one.ids)
        found = {
            id_: self._of_answer(parts[value])
            for value, ids in one.ids.items()
            if value in parts
            for id_ in ids
        }
        absent = [id_ for value, ids in one.ids.items() if value not in parts for id_ in ids]
        if absent and any(answer.get(name) for name in batch.failures):
            raise InvalidRequest(
                f"{self.waiter.operation} tells of failures",
                ids=absent if found else (),
                seen=found,
            )
        if absent and not odd and not batch.failures:
            nothing = self._of_answer(batch.without(answer))
            if nothing.state == RETRY:
                if self._omits is None:
                    await pay()
                    found |= await self._try(absent[0])
                if self._omits:
                    found |= {id_: nothing for id_ in absent if id_ not in found}
        return found

    async def _try(self, id_: str) -> dict[str, Observation]:
        """Find out whether the service answers without an error about one that is not there."""
        try:
            return await self._alone(id_)
        except (Throttled, Unavailable):
            raise
        except SourceError as error:
            return dict(error.seen)

    async def _pages(
        self, batch: Batch, one: _Call, pay: Callable[[], Awaitable[None]]
    ) -> list[Mapping[str, Any]]:
        parameters = {**one.parameters, one.named: list(one.ids)}
        pages: list[Mapping[str, Any]] = []
        tokens: set[str] = set()
        while True:
            page = await call(self.client, self.waiter.operation, parameters, ids=tuple(one.ids))
            if not batch.is_answer(page):
                raise self._garbage()
            pages.append(page)
            token = str(page.get(batch.token[1]) or "") if batch.token else ""
            if batch.token is None or not token or token in tokens:
                return pages
            tokens.add(token)
            parameters[batch.token[0]] = token
            await pay()

    def _of_answer(self, answer: Mapping[str, Any]) -> Observation:
        try:
            judged = self.waiter.acceptors.judge(answer)
        except JMESPathError as error:
            raise self._garbage() from error
        by_path = judged.acceptor is None or not judged.acceptor.is_of_the_call
        if by_path and self.waiter.has_members and not answer.keys() - {"ResponseMetadata"}:
            raise self._garbage()
        return _observation(judged, answer)

    def _of_error(self, error: SourceError) -> Observation | None:
        """Return what the acceptors make of an error, or None if it is for others to handle."""
        judged = self._judged(error)
        if judged is None or judged.acceptor is None:
            return None
        answer = _answer(error)
        metadata = answer.get("ResponseMetadata", {})
        if isinstance(error, (Throttled, Unavailable)):
            # A status without a code counts where there can be no code, or the service signed it.
            wrote = self.waiter.has_no_body or bool(metadata.get("RequestId"))
            meant = judged.acceptor.names_a_code or (judged.acceptor.matcher == "status" and wrote)
            passing = isinstance(error, Throttled) or metadata.get("HTTPStatusCode", 0) >= 500
            if not meant or (passing and judged.state == RETRY):
                return None
        return _observation(judged, answer)

    def _judged(self, error: SourceError) -> Judgement | None:
        cause = error.__cause__
        # What botocore called on its own, for credentials, is none of the acceptors' business.
        if not isinstance(cause, ClientError) or cause.operation_name != self.waiter.operation:
            return None
        return self.waiter.acceptors.judge(_answer(error))

    def _about(
        self,
        error: SourceError,
        one: _Call,
        checked: Sequence[str],
        found: Mapping[str, Observation],
    ) -> SourceError:
        """Return the error of one call, so that it hits none but those whom it is about.

        InvalidRequest has the engine ask for ids apart: for those that it names, or for halves. So
        an error of a call about several is told as one, where the acceptors may judge it once it
        is about one alone, or where it is about some of those asked about only. NotFound has the
        engine keep those that it names out of shared calls; where the acceptors say *retry* to it,
        that is what they are in meanwhile.

        Args:
            error: The error.
            one: The call.
            checked: Everybody who was asked about, by this call and others.
            found: What the calls before it have shown.
        """
        seen = {**found, **error.seen}
        if isinstance(error, (Throttled, Unavailable)) or error.seen or error.__cause__ is None:
            error.seen = seen
            return error
        named: tuple[str, ...] = one.all_ids if len(one.all_ids) == 1 else ()
        named = named or tuple(
            id_ for value in one.ids if value in error.ids for id_ in one.ids[value]
        )
        judged = self._judged(error)
        decided = judged is not None and judged.state is not None
        known = isinstance(error, NotFound) and (judged is None or judged.state in (None, RETRY))
        if len(checked) == 1:
            apart = False
        elif isinstance(error, AccessDenied):
            named = named or one.all_ids
            apart = decided or len(named) < len(checked)
        else:
            apart = decided and not known
        if apart and len(named) == len(checked):
            named = ()
        if known and judged is not None and decided:
            seen |= dict.fromkeys(named, _observation(judged, _answer(error)))
        return _told_as(InvalidRequest if apart else type(error), error, named, seen)

    def _garbage(self) -> Unavailable:
        operation = self.waiter.operation
        return Unavailable(
            f"{operation}: {self.client.meta.endpoint_url} answered 200, but with nothing of what "
            "was asked for",
            operation=operation,
        )


def _told_as(
    kind: type[SourceError],
    error: SourceError,
    ids: Iterable[str],
    seen: Mapping[str, Observation],
) -> SourceError:
    return kind(
        str(error),
        ids=ids,
        code=error.code,
        operation=error.operation,
        retry_after=error.retry_after,
        seen=seen,
    )


def _answer(error: SourceError) -> Mapping[str, Any]:
    """Return the answer behind an error, as botocore's own waiters are given it."""
    answer: Mapping[str, Any] = error.__cause__.response  # type: ignore[union-attr]  # a ClientError
    return answer


def _observation(judged: Judgement, answer: Mapping[str, Any]) -> Observation:
    if judged.state is not None:
        return Observation(judged.state, judged.reason, judged.message, resource=answer)
    # An answer with a member of the name of an error, which ends botocore's own wait.
    return Observation(FAILURE, str(answer["Error"]["Code"]), resource=answer)
