"""Whether what happened is what was promised: the journal of a program against the model.

It is read entry by entry. An answer says what the model believes from then on and whose waits it
decides; the very next entries have to be the settlements that follow from it, no more and no less.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.campaign.hearing import End, Seen, check_delivered, check_raised, check_told
from tests.campaign.journal import (
    Call,
    Callback,
    Entry,
    Failed,
    Shown,
    Waiting,
    Watching,
    promise,
)
from tests.campaign.model import (
    CANCELLED,
    ERROR,
    PENDING,
    TIMEOUT,
    Belief,
    Change,
    Meaning,
)
from tests.campaign.program import TABLES
from tests.campaign.progress import Progress
from tests.campaign.stage import Record

import greenroom

TINY = 1e-6
LAST_LOOK = 2.0


@dataclass
class _Session:
    belief: Belief
    waits: dict[Waiting, tuple[int, int]] = field(default_factory=dict)
    watches: set[Watching] = field(default_factory=set)
    polled: list[tuple[int, int | None]] = field(default_factory=list)


class PollerModel:
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
        seconds = now - call.page_at
        in_time = seconds <= self.world.call_timeout + TINY
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
            if outcome.kind in ("throttled", "other"):
                self.progress.failed(self.number, id_, call.asked_at, now)
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
    pollers = [PollerModel(number, record, progress) for number in range(world.pollers)]
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
        check_told(record, poller)
        check_raised(record, poller)
    check_delivered(record, pollers)
    progress.check()
    promise(not record.leftovers, f"when nobody waits there is left: {record.leftovers}")
    promise(record.tasks_left == 0, f"{record.tasks_left} tasks are left")
    return steps
