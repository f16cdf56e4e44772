"""Whether what happened is what was promised: the journal of a program against the model.

It is read entry by entry. An answer says what the model believes from then on and whose waits it
decides; the very next entries have to be the settlements that follow from it, no more and no less.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tests.campaign.journal import (
    Broken,
    Call,
    Callback,
    Entry,
    Failed,
    Shown,
    Waiting,
    Watching,
    wall,
)
from tests.campaign.model import (
    CANCELLED,
    ERROR,
    PENDING,
    SUCCESS,
    TIMEOUT,
    Belief,
    Change,
    Meaning,
)
from tests.campaign.program import TABLES
from tests.campaign.progress import Progress
from tests.campaign.stage import Record

import greenroom
from greenroom import Transition, Verdict, WaitResult

TINY = 1e-6
LAST_LOOK = 2.0
BUFFER = 16
"""Changes of a session that a watch keeps apart."""
MAX_CALLBACK_ERRORS = 100

ERRORS = {
    "failure": greenroom.WaitFailed,
    "unreachable": greenroom.GoalUnreachable,
    "missing": greenroom.SessionMissing,
    "timeout": greenroom.WaitTimeout,
}


def promise(kept: bool, broken: str) -> None:
    """Raise unless it was kept."""
    if not kept:
        raise Broken(broken)


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


@dataclass
class _Session:
    belief: Belief
    waits: dict[Waiting, tuple[int, int]] = field(default_factory=dict)
    watches: set[Watching] = field(default_factory=set)
    polled: list[tuple[int, int | None]] = field(default_factory=list)


class _Poller:
    """The model of one poller."""

    def __init__(self, number: int, record: Record, progress: Progress) -> None:
        self.number = number
        self.world = record.program.world
        self.meaning = Meaning(TABLES[self.world.table])
        self.sessions: dict[str, _Session] = {}
        self.ends: dict[Waiting, End] = {}
        self.left: set[Waiting] = set()
        self.seen: dict[Watching, Seen] = {}
        self.told: list[tuple[int, str, Change]] = []
        self.registered: dict[Callback, list[int | None]] = {}
        self.closed_at = self.left_at = math.inf
        self.counts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.granted = 0
        self.due: dict[Waiting, str] = {}
        self.may: dict[Waiting, set[str]] = defaultdict(set)
        self.slow: list[float | None] = []
        self.progress = progress

    def take(self, place: int, entry: Entry) -> None:
        getattr(self, f"_{entry.what}")(place, entry)

    def moves_on(self) -> None:
        """Check that what the latest answer had to bring about has happened."""
        lost = [f"{one.id} ({verdict})" for one, verdict in self.due.items()]
        promise(not lost, f"not settled by the answer that decides them: {lost}")
        promise(not self.slow, "the limiter did not hear of a throttled call")
        self.may.clear()

    def session(self, id_: str) -> _Session:
        if id_ not in self.sessions:
            belief = Belief(self.meaning, self.world.settle, self.world.grace)
            self.sessions[id_] = _Session(belief)
        return self.sessions[id_]

    # Who is interested.

    def _joins(self, place: int, entry: Entry, id_: str) -> _Session:
        session = self.session(id_)
        if not session.waits and not session.watches:
            session.polled.append((place, None))
        self.progress.joined(self.number, id_, entry.at)
        return session

    def _parts(self, place: int, at: float, id_: str) -> None:
        session = self.session(id_)
        if not session.waits and not session.watches and session.polled[-1][1] is None:
            session.polled[-1] = (session.polled[-1][0], place)
            session.belief.whole = False
            self.progress.parted(self.number, id_, at)

    def _joined(self, place: int, entry: Entry) -> None:
        one = entry.of
        assert isinstance(one, Waiting)
        session = self._joins(place, entry, one.id)
        session.waits[one] = session.belief.reads, max(0, len(session.belief.changes) - 1)
        self.progress.waits(self.number, one)

    def _left(self, place: int, entry: Entry) -> None:
        one = entry.of
        assert isinstance(one, Waiting)
        session = self.session(one.id)
        if one in session.waits:
            del session.waits[one]
            self.left.add(one)
            self.progress.ended(one, entry.at)
            self._parts(place, entry.at, one.id)

    def _watched(self, place: int, entry: Entry) -> None:
        watching = entry.of
        assert isinstance(watching, Watching)
        seen = self.seen[watching] = Seen()
        for id_ in watching.ids:
            session = self._joins(place, entry, id_)
            session.watches.add(watching)
            if session.belief.changes:
                seen.events.append((entry.at, id_, session.belief.changes[-1]))

    def _unwatched(self, place: int, entry: Entry) -> None:
        watching = entry.of
        assert isinstance(watching, Watching)
        self.seen[watching].left_at = entry.at
        for id_ in watching.ids:
            if watching in self.session(id_).watches:
                self.session(id_).watches.discard(watching)
                self._parts(place, entry.at, id_)

    # What is asked and answered.

    def _granted(self, place: int, entry: Entry) -> None:
        self.granted += 1

    def _refunded(self, place: int, entry: Entry) -> None:
        self.granted -= 1

    def _page(self, place: int, entry: Entry) -> None:
        self.granted -= 1
        self.counts["calls"] += 1

    def _asked(self, place: int, entry: Entry) -> None:
        call = entry.of
        assert isinstance(call, Call)
        promise(entry.at <= self.left_at, f"a call about {call.ids} after the poller was left")
        promise(len(call.ids) <= self.world.max_batch, f"{len(call.ids)} ids in one call")
        promise(len(set(call.ids)) == len(call.ids) > 0, f"a call about {call.ids}")
        for id_ in call.ids:
            polled = self._polled(id_, call.taken)
            promise(polled is not None, f"{id_} is asked for though nobody waits for it")
        self.counts["calls"] += 1
        self.progress.asked(self.number, call)

    def _polled(self, id_: str, place: int) -> tuple[int, int | None] | None:
        for began, ended in reversed(self.session(id_).polled):
            if began <= place:
                return (began, ended) if ended is None or ended > place else None
        return None

    def _answered(self, place: int, entry: Entry) -> None:
        call, now = entry.of, entry.at
        assert isinstance(call, Call)
        self.granted -= 1
        if place > self.closed_at:
            return
        seconds = now - call.asked_at
        in_time = self.world.page > 0 or seconds <= self.world.call_timeout + TINY
        promise(in_time, f"a call about {call.ids} took {seconds} s")
        self.progress.answered(self.number, call, now)
        present = [
            id_
            for id_ in call.ids
            if (polled := self._polled(id_, call.taken)) is not None and polled[1] is None
        ]
        outcome = call.outcome
        assert outcome is not None
        if isinstance(outcome, Failed) and not (outcome.kind == "notfound" and len(call.ids) == 1):
            self._failed(place, now, call, present, outcome)
            return
        shown = {} if isinstance(outcome, Failed) else outcome
        for id_ in present:
            session = self.session(id_)
            if id_ in shown:
                self._shown(place, now, id_, shown[id_], call.asked_at)
                continue
            if len(call.ids) == 1:
                before = len(session.belief.changes)
                session.belief.miss(call.asked_at, now)
                self._tell(place, id_, before)
                self._judge(session, call.asked_at, now, firm=True)
            else:
                self._unlisted(id_, call, now)
            self.counts["reads"] += 1

    def _shown(self, place: int, now: float, id_: str, shown: Shown, asked_at: float) -> None:
        session = self.session(id_)
        before = len(session.belief.changes)
        believed = session.belief.see(shown, asked_at, now)
        self.counts["reads"] += 1
        self._tell(place, id_, before)
        self._judge(session, asked_at, now, firm=believed)

    def _perhaps_unlisted(self, session: _Session, call: Call, now: float) -> None:
        """Take in that all were named as not found: that may be said of a call, or of each."""
        session.belief.perhaps += 1
        self.counts["perhaps read"] += 1
        self._judge(session, call.asked_at, now, firm=False)

    def _unlisted(self, id_: str, call: Call, now: float) -> None:
        session = self.session(id_)
        belief = session.belief
        belief.reads += 1
        self._judge(session, call.asked_at, now, firm=False)
        vanished = session.watches and belief.state is not None and not belief.absences
        if vanished or any(
            self.meaning.gone in one.goal or now - one.since >= self.world.grace
            for one in session.waits
        ):
            self.progress.demanded(self.number, id_, now, "its absence from a page")

    def _failed(
        self, place: int, now: float, call: Call, present: list[str], outcome: Failed
    ) -> None:
        self.counts["failed"] += 1
        self.counts["throttled"] += outcome.kind == "throttled"
        if outcome.kind == "throttled" or outcome.retry_after:
            self.slow.append(outcome.retry_after)
        for id_ in present:
            if id_ in outcome.seen:
                self._shown(place, now, id_, outcome.seen[id_], call.asked_at)
        rest = [id_ for id_ in present if id_ not in outcome.seen]
        named = set(outcome.named) & set(call.ids)
        everybody = named == set(call.ids)
        if (outcome.kind == "access" and (everybody or not named)) or (
            outcome.kind == "invalid" and (len(call.ids) == 1 or everybody)
        ):
            for id_ in rest:
                self._refused(place, now, id_, call.asked_at)
            return
        for id_ in rest:
            session = self.session(id_)
            if outcome.kind == "notfound" and everybody:
                self._perhaps_unlisted(session, call, now)
            elif outcome.kind == "notfound" and id_ in named:
                self._unlisted(id_, call, now)
                self.counts["reads"] += 1
            for one in session.waits:
                if one.until is not None and one.until <= call.asked_at + TINY:
                    self.may[one].add(TIMEOUT)

    def _refused(self, place: int, now: float, id_: str, asked_at: float) -> None:
        session = self.session(id_)
        for watching in session.watches:
            self.seen[watching].events.append((now, id_, "refused"))
            self.seen[watching].refused.add(id_)
        session.watches.clear()
        for one in session.waits:
            if one.since <= asked_at:
                self.due[one] = ERROR
        self._parts(place, now, id_)

    def _tell(self, place: int, id_: str, before: int) -> None:
        for change in self.session(id_).belief.changes[before:]:
            self.told.append((place, id_, change))
            for watching in self.session(id_).watches:
                self.seen[watching].events.append((change.at, id_, change))

    def _judge(self, session: _Session, asked_at: float, now: float, *, firm: bool) -> None:
        belief = session.belief
        unknown = (
            self.world.strict
            and not belief.absences
            and belief.state is not None
            and not self.meaning.knows(belief.state)
        )
        for one in session.waits:
            verdict = belief.verdict(one.goal, one.since, now)
            if unknown and one.since <= belief.asked_at:
                verdict = ERROR
            if verdict != PENDING:
                if firm:
                    self.due[one] = verdict
                else:
                    self.may[one].add(verdict)
            if one.until is None or (verdict != PENDING and firm):
                continue
            if one.until < asked_at - TINY and firm:
                self.due[one] = TIMEOUT
            elif one.until <= asked_at + TINY:
                self.may[one].add(TIMEOUT)

    # What ends.

    def _settled(self, place: int, entry: Entry) -> None:
        one, verdict = entry.of, str(entry.detail)
        assert isinstance(one, Waiting)
        promise(one not in self.ends, f"{one.id} is settled twice")
        session = self.session(one.id)
        promise(one in session.waits, f"{one.id} is settled though whoever waited has left")
        late = -math.inf if one.until is None else entry.at - one.until
        promise(late <= LAST_LOOK + TINY, f"{one.id} is settled {late} s after its deadline")
        expected = self.due.pop(one, None)
        if expected is not None:
            promise(verdict == expected, f"{one.id} is {verdict}; what was shown says {expected}")
        elif verdict not in self.may[one]:
            in_time = verdict == TIMEOUT and late >= LAST_LOOK - TINY
            promise(in_time, f"{one.id} is {verdict}, and nothing that was shown says so")
        belief = session.belief
        last = belief.last
        reads, history = session.waits.pop(one)
        self.ends[one] = End(
            verdict,
            entry.at,
            place,
            belief,
            belief.state,
            last and last.message,
            last and last.reason,
            last.serial if last is not None and belief.whole else None,
            belief.reads - reads,
            belief.perhaps,
            belief.changes[history:],
        )
        self.outcomes[verdict] += 1
        self.progress.ended(one, entry.at)
        self._parts(place, entry.at, one.id)

    def _slowed(self, place: int, entry: Entry) -> None:
        promise(bool(self.slow), "the limiter is slowed down and no call was throttled")
        promise(self.slow.pop() == entry.of, "not for as long as the service said")

    def _closed(self, place: int, entry: Entry) -> None:
        self.closed_at, self.left_at = place, entry.at
        self.progress.closed(self.number, entry.at)
        for session in self.sessions.values():
            self.due.update(dict.fromkeys(session.waits, CANCELLED))

    # What is told.

    def _registered(self, place: int, entry: Entry) -> None:
        assert isinstance(entry.of, Callback)
        self.registered[entry.of] = [place, None]

    def _forgotten(self, place: int, entry: Entry) -> None:
        assert isinstance(entry.of, Callback)
        if self.registered[entry.of][1] is None:
            self.registered[entry.of][1] = place

    def _raised(self, place: int, entry: Entry) -> None:
        self.counts["callback_errors"] += 1

    def _notified(self, place: int, entry: Entry) -> None:
        session = self.session(str(entry.of))
        if session.waits or session.watches:
            self.progress.demanded(self.number, str(entry.of), entry.at, "a hint")

    def _figures(self, place: int, entry: Entry) -> None:
        shown = entry.of
        assert isinstance(shown, greenroom.PollerStatistics)
        polled = [one for one in self.sessions.values() if one.waits or one.watches]
        expected = {
            "calls": self.counts["calls"],
            "throttled": self.counts["throttled"],
            "failed": self.counts["failed"],
            "transitions": len(self.told),
            "stale": sum(one.belief.stale for one in self.sessions.values()),
            "sessions": len(polled),
            "waiting": sum(len(one.waits) for one in polled),
            "in_flight": self.granted,
            "outcomes": dict(self.outcomes),
            "callback_errors": self.counts["callback_errors"],
        }
        for name, value in expected.items():
            said = getattr(shown, name)
            promise(said == value, f"statistics say {name}={said!r}; it was {value!r}")
        most = self.counts["reads"] + self.counts["perhaps read"]
        said = self.counts["reads"] <= shown.reads <= most
        promise(said, f"statistics say reads={shown.reads}; it was {self.counts['reads']}")
        per_call = shown.reads / shown.calls if shown.calls else 0.0
        promise(abs(shown.reads_per_call - per_call) < TINY, "reads_per_call is no such thing")
        promise(shown.lag >= 0, f"lag={shown.lag}")

    def patience_is_over(self, one: Waiting, at: float) -> None:
        """Take in that a doubt has lasted for long enough."""
        session = self.session(one.id)
        if one in session.waits and session.belief.doubtful(one.goal):
            self.progress.demanded(self.number, one.id, at, "the end of its doubt", by=one)


def judge(record: Record) -> Counter[str]:
    """Return how much was done; raise where a promise is broken.

    Raises:
        Broken: Which, and how.
    """
    world = record.program.world
    progress = Progress(record)
    pollers = [_Poller(number, record, progress) for number in range(world.pollers)]
    steps: Counter[str] = Counter(operations=len(record.program.steps))
    ends_of_doubt: list[tuple[float, Waiting]] = []
    for place, entry in enumerate(record.journal.entries):
        for poller in pollers:
            if entry.poller != poller.number or entry.what not in ("settled", "slowed"):
                poller.moves_on()
        while ends_of_doubt and ends_of_doubt[0][0] < entry.at - TINY:
            at, one = ends_of_doubt.pop(0)
            pollers[one.poller].patience_is_over(one, at)
        if entry.what == "joined":
            assert isinstance(entry.of, Waiting)
            patience = (world.settle, world.grace)
            ends_of_doubt += [(entry.at + seconds, entry.of) for seconds in patience]
            ends_of_doubt.sort(key=lambda one: one[0])
        if entry.what == "slowed":
            progress.slowed(entry.at, entry.of)
        if entry.poller >= 0:
            steps["calls answered"] += entry.what == "answered"
            pollers[entry.poller].take(place, entry)
    for poller in pollers:
        poller.moves_on()
        steps["transitions told"] += len(poller.told)
        _check_told(record, poller)
        _check_raised(record, poller)
    _check_delivered(record, pollers)
    progress.check()
    promise(not record.leftovers, f"when nobody waits there is left: {record.leftovers}")
    promise(record.tasks_left == 0, f"{record.tasks_left} tasks are left")
    return steps


def _check_told(record: Record, poller: _Poller) -> None:
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
        heard: dict[str, list[object]] = defaultdict(list)
        for event in callback.heard:
            heard[event.id].append(event)  # type: ignore[attr-defined]
        for id_ in {*expected, *heard}:
            what = f"the callback for {trigger} of {id_}"
            _compare(what, id_, heard[id_], expected[id_], complete=not cut_short)
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


def _check_raised(record: Record, poller: _Poller) -> None:
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


def _check_delivered(record: Record, pollers: list[_Poller]) -> None:
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
            kinds = (greenroom.SourceError, greenroom.TableError, greenroom.PollerClosed)
            promise(isinstance(given, kinds), f"{id_} is {end.verdict}: {given!r}")
            return
    assert isinstance(result, WaitResult)
    _check_result(result, id_, end)
    promise(result.goal == one.goal, f"{id_}: {result.goal} is not the goal")
    elapsed = end.at - one.since
    promise(abs(result.elapsed - elapsed) < TINY, f"{id_}: {result.elapsed} s, not {elapsed}")
