"""Whether those who wait, watch and call back were told what there was to tell, once and in order.

The judge finds out from the journal what has to have been told; here it is compared with what the
people in the program say that they heard.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.campaign.journal import Broken, Waiting, promise, wall
from tests.campaign.model import CANCELLED, ERROR, SUCCESS, Belief, Change
from tests.campaign.program import TAKES
from tests.campaign.stage import Record

import greenroom
from greenroom import Transition, Verdict, WaitResult

if TYPE_CHECKING:
    from tests.campaign.judge import PollerModel

TINY = 1e-6
BUFFER = 16
"""Changes of a session that a watch keeps apart."""
MAX_CALLBACK_ERRORS = 100

ERRORS = {
    "failure": greenroom.WaitFailed,
    "unreachable": greenroom.GoalUnreachable,
    "missing": greenroom.SessionMissing,
    "timeout": greenroom.WaitTimeout,
}


@dataclass
class End:
    """How a wait has to have ended."""

    verdict: str
    at: float
    place: int
    belief: Belief
    state: str | None
    message: str | None
    reason: str | None
    serial: int | None
    reads: int
    perhaps: int
    history: list[Change]


@dataclass
class Seen:
    """What a watch has to have been told, and when."""

    events: list[tuple[float, str, Change | str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    left_at: float = math.inf


def check_told(record: Record, poller: PollerModel) -> None:
    """Check that callbacks and watches were told what there was to tell, once and in order."""
    cut_short = poller.number in record.cut_short
    settled = sorted(poller.ends.items(), key=lambda item: item[1].place)
    for callback, (began, ended) in poller.registered.items():
        assert began is not None
        until = math.inf if ended is None else ended
        trigger = callback.trigger
        expected: dict[str, list[Change | End]] = defaultdict(list)
        if isinstance(trigger, Verdict):
            for one, end in settled:
                if began <= end.place < until and end.verdict == trigger:
                    expected[one.id].append(end)
        else:
            for place, id_, change in poller.told:
                if began <= place < until and _concerns(trigger, change):
                    expected[id_].append(change)
        heard: dict[str, list[tuple[float, object]]] = defaultdict(list)
        for at, event in callback.heard:
            heard[_id_of(event)].append((at, event))
        for id_ in {*expected, *heard}:
            what = f"the callback for {trigger} of {id_}"
            events = [event for _, event in heard[id_]]
            _compare(what, id_, events, expected[id_], complete=not cut_short)
            if callback.deed != "wait":
                takes = TAKES.get(callback.deed, 0.0)
                _check_prompt(what, [at for at, _ in heard[id_]], expected[id_], takes)
    for watching, seen in poller.seen.items():
        for id_ in watching.ids:
            mine = [(at, event) for at, of, event in seen.events if of == id_]
            told = [event for event in watching.told if _id_of(event) == id_]
            if watching.conflated:
                told = _apart(id_, told, [event for _, event in mine])
            early = sum(at < seen.left_at - TINY for at, _ in mine)
            promise(
                not watching.drained or len(told) >= early,
                f"a watch on {id_} was told {told}; there was {mine}",
            )
            _compare(f"a watch on {id_}", id_, told, [event for _, event in mine], complete=False)
        changes = sum(isinstance(event, Change) for _, _, event in seen.events)
        told_apart = sum(isinstance(event, Transition) for event in watching.told)
        kept = changes - told_apart - watching.conflated
        promise(kept <= BUFFER * len(watching.ids), f"a watch keeps {kept} changes")


def _check_prompt(
    what: str, times: list[float], expected: Iterable[Change | End], takes: float
) -> None:
    """Check that nothing but the callback itself, on this session, made it late."""
    free = -math.inf
    for heard_at, event in zip(times, expected, strict=False):
        due = max(event.at, free)
        promise(abs(heard_at - due) < TINY, f"{what} is called at {heard_at}, not at {due}")
        free = heard_at + takes


def _apart(id_: str, told: list[object], mine: list[object]) -> list[object]:
    """Return what a slow consumer was told, with what was told together taken apart again."""
    if len(mine) <= BUFFER:
        return told
    apart: list[object] = []
    for event in told:
        begin = len(apart)
        if not isinstance(event, Transition):
            apart.append(event)
            continue
        for last in mine[begin:]:
            assert isinstance(last, Change)
            parts = [
                part for part in mine[begin : mine.index(last) + 1] if isinstance(part, Change)
            ]
            between = [
                state
                for number, part in enumerate(parts)
                for state in ((parts[number - 1].after,) if number else ()) + part.skipped
                if state is not None
            ]
            skipped = tuple(between[-BUFFER:])
            if _is(event, id_, replace(last, before=parts[0].before, skipped=skipped)):
                apart += [_told_alone(event, part) for part in parts]
                break
        else:
            raise Broken(f"{event} is none of {mine[begin:]}, nor several")
    return apart


def _told_alone(event: Transition, change: Change) -> Transition:
    """Return a transition that tells a change, as it would have been told to a quick consumer."""
    shown = change.shown
    return replace(
        event,
        before=change.before,
        after=change.after,
        at=wall(change.at),
        elapsed=change.elapsed,
        reason=shown and shown.reason,
        message=shown and shown.message,
        changed_at=shown and shown.changed_at,
        skipped=change.skipped,
    )


def check_raised(record: Record, poller: PollerModel) -> None:
    """Check that leaving raised what callbacks raised, if that was asked for."""
    asked = record.program.world.raises and poller.number not in record.cut_short
    most = min(poller.counts["callback_errors"], MAX_CALLBACK_ERRORS) if asked else 0
    said = record.raised.get(poller.number, 0)
    promise(said == most, f"leaving raised {said} errors of callbacks; there were {most}")


def _id_of(event: object) -> str:
    if isinstance(event, greenroom.SourceError):
        return event.ids[0]
    return event.id  # type: ignore[attr-defined,no-any-return]


def _concerns(trigger: object, change: Change) -> bool:
    if isinstance(trigger, tuple):
        return trigger == (change.before, change.after)
    return trigger in ("*", change.after)


def _compare(
    what: str, id_: str, told: list[object], expected: Iterable[object], *, complete: bool
) -> None:
    expected = list(expected)
    promise(len(told) <= len(expected), f"{what} was told {told}; there was {expected}")
    promise(
        not complete or len(told) == len(expected), f"{what} was told {told}; there was {expected}"
    )
    for one, other in zip(told, expected, strict=False):
        if isinstance(other, Change):
            promise(
                isinstance(one, Transition) and _is(one, id_, other),
                f"{what} was told {one}; it was {other}",
            )
        elif isinstance(other, End):
            _check_result(one, id_, other)
        else:
            promise(isinstance(one, greenroom.SourceError), f"{what}: {one} is no refusal")


def _is(told: Transition, id_: str, change: Change) -> bool:
    shown = change.shown
    return (
        (told.id, told.before, told.after) == (id_, change.before, change.after)
        and abs((told.at - wall(change.at)).total_seconds()) < 1e-3
        and abs(told.elapsed - change.elapsed) < TINY
        and told.reason == (shown and shown.reason)
        and told.message == (shown and shown.message)
        and told.changed_at == (shown and shown.changed_at)
        and told.skipped == change.skipped
    )


def _check_result(result: object, id_: str, end: End) -> None:
    assert isinstance(result, WaitResult)
    promise(result.verdict == end.verdict, f"{id_} was told {result.verdict}, not {end.verdict}")
    promise(
        (result.id, result.state, result.reason) == (id_, end.state, end.reason),
        f"{result} does not show {end}",
    )
    if end.verdict != ERROR:
        promise(result.message == end.message, f"{id_}: {result.message!r}, not {end.message!r}")
        promise((result.error is not None) == (end.verdict == CANCELLED), f"{id_}: {result.error}")
    else:
        promise(result.message == str(result.error), f"{id_}: {result.message!r}")
    serial = result.resource.get("serial")
    promise(serial == end.serial, f"{id_}: the resource is answer {serial}, not {end.serial}")
    said = end.reads <= result.reads <= end.reads + end.perhaps
    promise(said, f"{id_}: {result.reads} reads, not {end.reads}")
    promise(bool(result.explanation), f"{id_}: nothing is explained")
    promise(
        len(result.history) == len(end.history)
        and all(map(_is, result.history, [id_] * len(end.history), end.history)),
        f"{id_}: the history is {result.history}, not {end.history}",
    )


def check_delivered(record: Record, pollers: list[PollerModel]) -> None:
    """Check that each who waits was given its one outcome."""
    for asking in record.askings:
        for id_, one in asking.waits.items():
            poller = pollers[one.poller]
            end = poller.ends.get(one)
            given = one.delivered
            promise(len(given) <= 1, f"{id_} has {len(given)} outcomes: {given}")
            promise(end is not None or not given, f"{id_} was given {given} though never settled")
            promise(end is None or one not in poller.left, f"{id_} was both settled and left")
            if asking.complete and asking.how != "first":
                promise(len(given) == 1, f"{id_} has no outcome")
            settled = end is not None and end.at <= asking.over_at + TINY
            promise(not asking.complete or settled or one in poller.left, f"{id_} is not left")
            if given and end is not None:
                _check_given(asking.how, id_, one, given[0], end)
        if asking.complete and asking.waits:
            promise(bool(asking.order), "the first to settle was not handed over")
        if asking.how in ("each", "first", "lazy"):
            places = [pollers[one.poller].ends[one].place for one in asking.order]
            promise(places == sorted(places), "results came out of the order of settling")


def _check_given(how: str, id_: str, one: Waiting, given: object, end: End) -> None:
    result = given
    if how == "one":
        if end.verdict == SUCCESS:
            promise(isinstance(given, WaitResult), f"{id_} succeeded, and {given!r} was raised")
        elif end.verdict in ERRORS:
            promise(type(given) is ERRORS[end.verdict], f"{id_} is {end.verdict}: {given!r}")
            result = given.result  # type: ignore[attr-defined]
        else:
            closed = isinstance(given, greenroom.PollerClosed)
            refused = isinstance(given, (greenroom.SourceError, greenroom.TableError))
            right = closed if end.verdict == CANCELLED else refused
            promise(right, f"{id_} is {end.verdict}: {given!r}")
            return
    assert isinstance(result, WaitResult)
    _check_result(result, id_, end)
    promise(result.goal == one.goal, f"{id_}: {result.goal} is not the goal")
    elapsed = end.at - one.since
    promise(abs(result.elapsed - elapsed) < TINY, f"{id_}: {result.elapsed} s, not {elapsed}")
