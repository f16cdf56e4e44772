"""A launch in figures: what became of it, how long it took, what it cost, and what to do now.

Everything that a report shows is worked out here, once, from the account; a text and a page are two
ways to write it down. The secret URL of a stream is not among the figures.

Pure: every event brings its own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from greenroom._launch._lines import Deletion
from greenroom._launch._timeline import Silence, Stretch, moment_of, silences, stretches
from greenroom._launch_kind import launch_kind
from greenroom._specs import label
from greenroom._states import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from greenroom._launch._account import Account, Meter
    from greenroom._launch._journal_tables import Header
    from greenroom._launch._lines import Attempt, Line

NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Widths, in seconds, that an interval of a picture may have."""

FEWEST_BINS, MOST_BINS = 10, 40
MOST_INTERVALS = 60


class Course(StrEnum):
    """How far a launch is."""

    UNBEGUN = "unbegun"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


class Fate(StrEnum):
    """Why a session that was made may still cost something, though it is not of use."""

    KEPT = "kept"
    DELETING = "being deleted"
    NOT_DELETED = "could not be deleted"
    UNDECIDED = "on its way"


@dataclass(frozen=True, slots=True)
class Left:
    """A session that may still be billed, and is no ready workstation.

    Attributes:
        key: The workstation that it was made for.
        id: The session.
        state: Its last state seen.
        fate: Why it is still there.
    """

    key: str
    id: str
    state: str | None
    fate: Fate


@dataclass(frozen=True, slots=True)
class Bin:
    """How many times to ready are of about one length.

    Attributes:
        start: Seconds.
        end: Seconds, exclusive; None for the rest, however long.
        count: How many.
    """

    start: float
    end: float | None
    count: int


@dataclass(frozen=True, slots=True)
class ReadyTimes:
    """How long the ready workstations took, each from its first create.

    Attributes:
        count: How many are ready.
        median: Seconds.
        p90: Seconds within which nine in ten were ready.
        p99: Seconds within which 99 in a hundred were.
        longest: Seconds.
        bins: All of them, in intervals of the same width.
    """

    count: int
    median: float
    p90: float
    p99: float
    longest: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """The workstations that did not succeed for one cause.

    Attributes:
        cause: The cause.
        keys: The workstations, in the order of the specs.
        advice: What to do about it.
    """

    cause: str
    keys: tuple[str, ...]
    advice: str


@dataclass(frozen=True, slots=True)
class Overcome:
    """A cause that another attempt overcame.

    Attributes:
        cause: The cause.
        attempts: Attempts that it took.
        keys: The workstations that are ready in spite of it, in the order of the specs.
    """

    cause: str
    attempts: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """What was called in some seconds.

    Attributes:
        start: Seconds from the start of the launch.
        end: Likewise.
        calls: API calls of every kind.
        throttled: Those of them that the service throttled.
    """

    start: float
    end: float
    calls: int
    throttled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workstation:
    """One workstation, as a report shows it.

    Attributes:
        key: Its name in the launch.
        verdict: What became of it; PENDING where that is open.
        cause: Why it did not succeed.
        state: The last state of its last session.
        message: The sentence that goes with it.
        ids: The session of each attempt; None where none was made, or nobody knows.
        ready: Seconds from its first create until it was ready.
        stretches: What it went through.
    """

    key: str
    verdict: Verdict
    cause: str | None
    state: str | None
    message: str | None
    ids: tuple[str | None, ...]
    ready: float | None
    stretches: tuple[Stretch, ...]

    @property
    def id(self) -> str | None:
        """The last session made for it."""
        return next((each for each in reversed(self.ids) if each is not None), None)

    @property
    def took(self) -> float:
        """Seconds from its first create until it was settled, or until the last that is known."""
        return self.stretches[-1].end - self.stretches[0].start if self.stretches else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A launch in figures.

    Attributes:
        launch_id: The launch.
        kind: The kind of its sessions.
        studio_id: The studio, where it was written down.
        course: How far it is.
        began_at: When it was first taken up, or written down if it never was (aware).
        last_at: When the latest thing happened.
        elapsed: Seconds from the one to the other.
        held: Why no create is made for now, in words.
        stopped: Why no create is made any more, in words.
        workstations: All of them, in the order of the specs.
        verdicts: How many of them have which verdict.
        open: How many a resumed launch would take up.
        made: Sessions that the service made.
        deleted: Those of them that are known to be gone.
        left: Those of them that may still be billed and are no ready workstation.
        unanswered: Workstations with a create that was never answered: there may be a session.
        ready: How long the ready ones took; None where none is.
        causes: Those that did not succeed, by cause, the most frequent first.
        overcome: What other attempts overcame, the most frequent first.
        choices: How many ready workstations are of which choice, the most frequent first; nothing
            where there was none to choose from.
        calls: API calls of every kind.
        throttled: Those of them that the service throttled.
        intervals: What was called when; times of silence are left out.
        silences: Long times in which nothing was noted.
    """

    launch_id: str
    kind: str
    studio_id: str | None
    course: Course
    began_at: datetime
    last_at: datetime
    elapsed: float
    held: str | None
    stopped: str | None
    workstations: tuple[Workstation, ...]
    verdicts: Mapping[Verdict, int]
    open: int
    made: int
    deleted: int
    left: tuple[Left, ...]
    unanswered: tuple[str, ...]
    ready: ReadyTimes | None
    causes: tuple[CauseGroup, ...]
    overcome: tuple[Overcome, ...]
    choices: Mapping[str, int]
    calls: int
    throttled: int
    intervals: tuple[Interval, ...]
    silences: tuple[Silence, ...]

    @property
    def unready(self) -> tuple[Workstation, ...]:
        """The workstations that did not succeed; those of the most frequent cause first."""
        rank = {group.cause: place for place, group in enumerate(self.causes)}
        unready = (each for each in self.workstations if each.verdict is not Verdict.SUCCESS)
        return tuple(sorted(unready, key=lambda each: rank.get(each.cause or "", len(rank))))


def figures(header: Header, account: Account) -> Figures:
    """Return a launch in figures, however far it is."""
    began_at = account.began_at or header.created_at
    last_at = max(account.last_at or began_at, began_at)
    lines = account.lines.values()
    workstations = tuple(_workstation(line, began_at, last_at) for line in lines)
    quiet = silences(account, began_at)
    studio_id = header.options.get("studio_id")
    return Figures(
        launch_id=account.launch_id,
        kind=header.kind,
        studio_id=None if studio_id is None else str(studio_id),
        course=_course(account),
        began_at=began_at,
        last_at=last_at,
        elapsed=(last_at - began_at).total_seconds(),
        held=account.held.message if account.held and account.running else None,
        stopped=account.stopped.message if account.stopped else None,
        workstations=workstations,
        verdicts=MappingProxyType(Counter(each.verdict for each in workstations)),
        open=sum(line.open for line in lines),
        made=sum(attempt.id is not None for line in lines for attempt in line.attempts),
        deleted=sum(_is_gone(line, attempt) for line in lines for attempt in line.attempts),
        left=tuple(left for line in lines for left in _left(line)),
        unanswered=tuple(
            line.spec.key
            for line in lines
            if any(each.answered_at is None and each.deferral is None for each in line.attempts)
        ),
        ready=_ready_times([each.ready for each in workstations if each.ready is not None]),
        causes=_by_cause(workstations, account),
        overcome=_overcome(account),
        choices=_choices(account),
        calls=account.meters[-1].calls if account.meters else 0,
        throttled=account.meters[-1].throttled if account.meters else 0,
        intervals=_intervals(account.meters, began_at, quiet),
        silences=quiet,
    )


def _course(account: Account) -> Course:
    if account.began_at is None:
        return Course.UNBEGUN
    if account.running:
        return Course.RUNNING
    return Course.INTERRUPTED if account.interrupted else Course.FINISHED


def _workstation(line: Line, began_at: datetime, last_at: datetime) -> Workstation:
    result = line.result()
    decided = result.verdict not in (Verdict.SUCCESS, Verdict.PENDING)
    return Workstation(
        key=result.key,
        verdict=result.verdict,
        cause=(result.cause or result.verdict.name) if decided else None,
        state=result.state,
        message=result.message,
        ids=tuple(attempt.id for attempt in result.attempts),
        ready=_time_to_ready(line) if result.verdict is Verdict.SUCCESS else None,
        stretches=stretches(line, began_at, last_at),
    )


def _time_to_ready(line: Line) -> float | None:
    ready = launch_kind(line.spec.kind).ready
    for attempt in reversed(line.attempts):
        up = (moment_of(each, attempt) for each in attempt.changes if each.after == ready)
        moment = attempt.passed_at or next(up, None)
        if moment is not None:
            return max((moment - line.attempts[0].asked_at).total_seconds(), 0.0)
    return None


def _is_gone(line: Line, attempt: Attempt) -> bool:
    if attempt.id is None:
        return False
    gone = launch_kind(line.spec.kind).table.gone
    lost = attempt.changes and attempt.state in (None, gone)
    return bool(lost) or attempt.deletion is Deletion.DONE


def _left(line: Line) -> list[Left]:
    return [
        Left(line.spec.key, attempt.id, attempt.state, _fate(line, attempt))
        for attempt in line.attempts
        if attempt.id is not None
        and not _is_gone(line, attempt)
        and not (_has(line, Verdict.SUCCESS) and attempt.id == line.session_id)
    ]


def _fate(line: Line, attempt: Attempt) -> Fate:
    if attempt.deletion is not None:
        return Fate.NOT_DELETED if attempt.deletion is Deletion.FAILED else Fate.DELETING
    undecided = line.settled is None and attempt.failure is None
    return Fate.UNDECIDED if undecided else Fate.KEPT


def _has(line: Line, verdict: Verdict) -> bool:
    return line.settled is not None and line.settled.verdict is verdict


def _by_cause(workstations: Sequence[Workstation], account: Account) -> tuple[CauseGroup, ...]:
    keys: dict[str, list[str]] = {}
    for each in workstations:
        if each.cause is not None:
            keys.setdefault(each.cause, []).append(each.key)
    ordered = sorted(keys.items(), key=lambda group: -len(group[1]))
    return tuple(CauseGroup(cause, tuple(group), account.advice(cause)) for cause, group in ordered)


def _overcome(account: Account) -> tuple[Overcome, ...]:
    attempts: Counter[str] = Counter()
    keys: dict[str, dict[str, None]] = {}
    for key, line in account.lines.items():
        if _has(line, Verdict.SUCCESS):
            for cause in (attempt.cause for attempt in line.attempts):
                if cause is not None:
                    attempts[cause] += 1
                    keys.setdefault(cause, {})[key] = None
    return tuple(
        Overcome(cause, count, tuple(keys[cause])) for cause, count in attempts.most_common()
    )


def _choices(account: Account) -> Mapping[str, int]:
    labels = {label(choice) for line in account.lines.values() for choice in line.spec.choices()}
    if len(labels) < 2:
        return MappingProxyType({})
    ready = (line for line in account.lines.values() if _has(line, Verdict.SUCCESS))
    counts = Counter(line.attempts[-1].label for line in ready)
    return MappingProxyType(dict(counts.most_common()))


def _ready_times(seconds: Sequence[float]) -> ReadyTimes | None:
    if not seconds:
        return None
    ordered = sorted(seconds)

    def within(share: float) -> float:
        return ordered[ceil(share * len(ordered)) - 1]

    return ReadyTimes(
        count=len(ordered),
        median=median(ordered),
        p90=within(0.9),
        p99=within(0.99),
        longest=ordered[-1],
        bins=_bins(ordered, reach=min(ordered[-1], 3 * within(0.95))),
    )


def _bins(ordered: Sequence[float], reach: float) -> tuple[Bin, ...]:
    """Return how many of the values are where, from 0; those beyond `reach` are the last bin."""
    fair = 2 * len(ordered) ** 0.5
    width = _nice(reach / min(max(fair, FEWEST_BINS), MOST_BINS))
    number = int(reach // width) + 1
    counts = Counter(min(int(value // width), number) for value in ordered)
    bins = [Bin(place * width, (place + 1) * width, counts[place]) for place in range(number)]
    if counts[number]:
        bins.append(Bin(number * width, None, counts[number]))
    return tuple(bins)


def _intervals(
    meters: Sequence[Meter], began_at: datetime, quiet: Sequence[Silence]
) -> tuple[Interval, ...]:
    """Return what was called when. What a meter adds counts for the interval it was read in."""
    if not meters:
        return ()
    moments = [max((meter.at - began_at).total_seconds(), 0.0) for meter in meters]
    silent = sum(max(min(each.end, moments[-1]) - each.start, 0.0) for each in quiet)
    usual = median(later - sooner for sooner, later in zip((0.0, *moments), moments, strict=False))
    width = _nice(max((moments[-1] - silent) / MOST_INTERVALS, usual))
    calls: Counter[int] = Counter()
    throttled: Counter[int] = Counter()
    before = (0, 0)
    for moment, meter in zip(moments, meters, strict=True):
        calls[int(moment // width)] += meter.calls - before[0]
        throttled[int(moment // width)] += meter.throttled - before[1]
        before = (meter.calls, meter.throttled)
    awake = _awake(quiet, width, int(moments[-1] // width) + 1)
    return tuple(
        Interval(place * width, (place + 1) * width, calls[place], throttled[place])
        for place in sorted({*awake, *(place for place, count in calls.items() if count)})
    )


def _awake(quiet: Sequence[Silence], width: float, end: int) -> Iterator[int]:
    """Yield the intervals before `end` that no silence covers; it may have lasted for years."""
    place = 0
    for each in quiet:
        first, beyond = ceil(each.start / width), min(int(each.end // width), end)
        if first < beyond:
            yield from range(place, first)
            place = beyond
    yield from range(place, end)


def _nice(seconds: float) -> float:
    """Return the least width that people count in, and is not below `seconds`."""
    days = ceil(seconds / NICE[-1]) * NICE[-1]
    return float(next((each for each in NICE if each >= seconds), days))
