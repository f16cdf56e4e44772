"""A service that does everything a service may do to those who read it, and keeps what it did.

It is told the truth by `Move`, and told to hide it by `Trouble` and `Poison`. For each call the
journal has what the answer came to, by the words of the sources' protocol: states, or a failure of
a kind. That is the only evidence on which the model judges the engine.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

import anyio
import sniffio
from tests.campaign.journal import EPOCH, Call, Failed, Journal, Shown
from tests.campaign.program import RETRY_AFTER, TABLES, Poison, Trouble, World

import greenroom
from greenroom import Observation

NOVEL = "NOVEL-STATE"
"""A state that no table knows."""

FAILURES = (
    "throttled",
    "unavailable",
    "conflict",
    "quota",
    "access",
    "invalid",
    "notfound",
    "lost",
    "timeout",
    "value",
    "stop",
    "root",
    "cancelled",
    "group-lost",
    "group-throttled",
    "group-access",
    "group-notfound",
    "hangs",
    "none",
    "list",
    "hostile",
    "item-none",
    "item-text",
    "item-state",
    "item-reason",
    "item-time",
)
DECISIVE = ("access", "invalid", "notfound", "group-access", "group-notfound")
"""The failures that may end a wait."""
LIES = (
    "stale",
    "backwards",
    "unknown",
    "incomplete",
    "empty",
    "foreign",
    "naive",
    "odd-zone",
    "mute-zone",
    "future",
)
NAMED = ("none", "first", "all", "foreign", "mixed")


class _OddZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("nobody knows")


class _MuteZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None


class _Hostile(dict[str, Observation]):
    def __contains__(self, key: object) -> bool:
        raise LookupError("not even that")


class _Fate(NamedTuple):
    """What happens to one call."""

    kind: str
    late: float = 0.0
    named: tuple[str, ...] = ()
    retry_after: object = None


class Service:
    """What is true, and what is said.

    Args:
        world: How it is.
        journal: Where it notes what it said.
    """

    def __init__(self, world: World, journal: Journal) -> None:
        self.world = world
        self.journal = journal
        self.truth: dict[str, list[tuple[float, str | None, str | None]]] = {}
        self._troubles: deque[Trouble] = deque()
        self._poisons: list[tuple[float, Poison]] = []
        self._serials = itertools.count(1)

    def move(self, id_: str, state: str | None, reason: str | None) -> None:
        """Make something true from now on."""
        self.truth.setdefault(id_, []).append((anyio.current_time(), state, reason))

    def trouble(self, trouble: Trouble) -> None:
        """Spoil the next calls."""
        self._troubles.extend(itertools.repeat(replace(trouble, calls=1), trouble.calls))

    def poison(self, poison: Poison, until: float) -> None:
        """Spoil the calls about an id, until then."""
        self._poisons.append((until, poison))

    def heal(self) -> None:
        """Be a good service from now on."""
        self._troubles.clear()
        self._poisons.clear()

    async def page(self, ids: Sequence[str]) -> Mapping[object, object]:
        """Answer one API call."""
        fate = self._fate(ids)
        await anyio.sleep(self.world.latency + fate.late)
        if fate.kind in FAILURES:
            return await self._fail(fate, ids)
        return self._lie(fate.kind, ids)

    def _fate(self, ids: Sequence[str]) -> _Fate:
        now = anyio.current_time()
        for until, poison in self._poisons:
            if poison.id in ids and now < until:
                return _Fate(poison.kind, named=(poison.id,) if poison.named else ())
        if not self._troubles:
            return _Fate("truth")
        one = self._troubles.popleft()
        return _Fate(one.kind, one.late, _named(one.named, ids), RETRY_AFTER[one.retry_after])

    def _seen(self, ids: Sequence[str]) -> dict[object, object]:
        return {
            id_: self._observation(id_, self.truth[id_][-1])
            for id_ in ids
            if self.truth.get(id_) and self.truth[id_][-1][1] is not None
        }

    def _observation(self, id_: str, what: tuple[float, str | None, str | None]) -> Observation:
        at, state, reason = what
        assert state is not None
        changed_at = None
        if self.world.timestamps:
            changed_at = EPOCH + timedelta(seconds=at + self.world.skew)
        serial = next(self._serials)
        return Observation(
            state, reason, f"answer {serial}", changed_at, {"id": id_, "serial": serial}
        )

    def _lie(self, kind: str, ids: Sequence[str]) -> dict[object, object]:
        seen = self._seen(ids)
        if kind == "empty":
            return {}
        if kind == "incomplete":
            seen.pop(ids[0], None)
            return seen
        if kind == "foreign":
            return {**seen, "z": Observation("READY"), 7: None, None: "READY"}
        for id_ in ids:
            past = [one for one in self.truth.get(id_, ()) if one[1] is not None]
            if not past:
                continue
            last = past[-1]
            one = self._observation(id_, last)
            match kind:
                case "stale" if len(past) > 1:
                    one = self._observation(id_, past[-2])
                case "backwards":
                    one = self._observation(id_, (last[0], past[0][1], past[0][2]))
                case "unknown" if id_ == ids[0]:
                    one = replace(one, state=NOVEL)
                case "naive":
                    one = replace(one, changed_at=EPOCH.replace(tzinfo=None))
                case "odd-zone":
                    one = replace(one, changed_at=EPOCH.replace(tzinfo=_OddZone()))
                case "mute-zone":
                    one = replace(one, changed_at=EPOCH.replace(tzinfo=_MuteZone()))
                case "future":
                    one = replace(one, changed_at=EPOCH + timedelta(days=1))
            seen[id_] = one
        return seen

    async def _fail(self, fate: _Fate, ids: Sequence[str]) -> Mapping[object, object]:
        kind = fate.kind
        match kind:
            case "hangs":
                await anyio.sleep(10_000)
            case "none":
                return None  # type: ignore[return-value]
            case "list":
                return [*ids]  # type: ignore[return-value]
            case "hostile":
                return _Hostile()
            case _ if kind.startswith("item-"):
                bad = {
                    "item-none": None,
                    "item-text": "READY",
                    "item-state": Observation(None),  # type: ignore[arg-type]
                    "item-reason": Observation("READY", reason=5),  # type: ignore[arg-type]
                    "item-time": Observation("READY", changed_at="now"),  # type: ignore[arg-type]
                }
                return {**self._seen(ids), ids[-1]: bad[kind]}
        raise _error(kind, fate.named, fate.retry_after)


def _named(how: str, ids: Sequence[str]) -> tuple[str, ...]:
    return {
        "none": (),
        "first": tuple(ids[:1]),
        "all": tuple(ids),
        "foreign": ("z",),
        "mixed": ("z", ids[-1]),
    }[how]


def _error(kind: str, named: tuple[str, ...], retry_after: object) -> BaseException:
    said = {"ids": named, "retry_after": retry_after}
    match kind:
        case "throttled":
            return greenroom.Throttled("slow down", **said)
        case "unavailable":
            return greenroom.Unavailable("away", **said)
        case "conflict":
            return greenroom.Conflict("not now", **said)
        case "quota":
            return greenroom.QuotaExceeded("full", **said)
        case "access":
            return greenroom.AccessDenied("not you", **said)
        case "invalid":
            return greenroom.InvalidRequest("not so", **said)
        case "notfound":
            return greenroom.NotFound("who?", **said)
        case "lost":
            return ConnectionResetError("gone")
        case "timeout":
            return TimeoutError("late")
        case "stop":
            return StopAsyncIteration("enough")
        case "root":
            return greenroom.GreenroomError("something")
        case "cancelled" if sniffio.current_async_library() == "asyncio":
            return asyncio.CancelledError("somebody else's")
        case _ if kind.startswith("group-"):
            inner = _error(kind.removeprefix("group-"), named, retry_after)
            return ExceptionGroup("several", [ValueError("odd"), inner])
    return ValueError("odd")


class Face:
    """The service as one poller reads it.

    Args:
        service: The service.
        poller: Whose face.
        grants: Where in the journal the calls of this poller were granted, oldest first.
    """

    def __init__(self, service: Service, poller: int, grants: deque[int]) -> None:
        self.table = TABLES[service.world.table]
        self.max_batch = service.world.max_batch
        self._service = service
        self._poller = poller
        self._grants = grants

    async def describe(self, ids: Sequence[str], /) -> Mapping[str, Observation]:
        """Answer, and note what the answer was."""
        return await self._describe(ids, None)

    async def _describe(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]] | None
    ) -> Mapping[str, Observation]:
        journal = self._service.journal
        now = anyio.current_time()
        call = Call(self._poller, tuple(ids), self._grants.popleft(), now, now)
        journal.note("asked", self._poller, call)
        size = self._service.world.page or len(ids)
        answer: object = {}
        try:
            for first in range(0, len(ids), size):
                if first:
                    assert pay is not None
                    call.page_at = math.inf
                    await pay()
                    call.page_at = anyio.current_time()
                    self._grants.pop()
                    journal.note("page", self._poller, call)
                page = await self._service.page(ids[first : first + size])
                answer = {**answer, **page} if type(page) is dict and first else page
                if type(page) is not dict:
                    break
        except BaseException as error:
            if isinstance(error, greenroom.SourceError) and answer:
                error.seen = answer
            # What `pay` raises says that nobody wants to know any more.
            given_up = call.page_at == math.inf and isinstance(error, Exception)
            call.outcome = {} if given_up else _failure(error, _said(answer, ids))
            journal.note("answered", self._poller, call)
            raise
        call.outcome = _said(answer, ids)
        journal.note("answered", self._poller, call)
        return answer  # type: ignore[return-value]


class PagedFace(Face):
    """One whose answer takes several calls."""

    async def describe_pages(
        self, ids: Sequence[str], pay: Callable[[], Awaitable[None]], /
    ) -> Mapping[str, Observation]:
        """Answer page by page."""
        return await self._describe(ids, pay)


def _said(answer: object, ids: Sequence[str]) -> dict[str, Shown] | Failed:
    """Return what an answer amounts to by the sources' protocol."""
    if type(answer) is not dict:
        return Failed("other")
    shown = {}
    for id_ in ids:
        if id_ in answer:
            one = answer[id_]
            if (
                not isinstance(one, Observation)
                or type(one.state) is not str
                or type(one.reason) not in (str, type(None))
                or type(one.changed_at) not in (datetime, type(None))
            ):
                return Failed("other")
            changed_at = one.changed_at
            if changed_at is not None and isinstance(changed_at.tzinfo, (_OddZone, _MuteZone)):
                changed_at = None
            shown[id_] = Shown(
                one.state, one.reason, one.message, changed_at, one.resource["serial"]
            )
    return shown


def _failure(error: BaseException, seen: dict[str, Shown] | Failed) -> Failed:
    """Return what an exception amounts to by the sources' protocol."""
    if isinstance(error, ExceptionGroup):
        return _failure(error.exceptions[-1], {})
    kinds = {
        greenroom.Throttled: "throttled",
        greenroom.AccessDenied: "access",
        greenroom.InvalidRequest: "invalid",
        greenroom.NotFound: "notfound",
    }
    kind = kinds.get(type(error), "other")
    if not isinstance(error, greenroom.SourceError):
        return Failed(kind)
    return Failed(kind, error.ids, error.retry_after, seen if isinstance(seen, dict) else {})
