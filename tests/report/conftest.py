"""Launches that never were: journals of any size, written the way a launch writes its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenroom import Spec
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._journal import Journal
from greenroom._launch._journal_tables import Header
from greenroom._states import Verdict

T0 = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)

URL = "https://stream.example/secret"

FATAL = {
    "INITIALIZATION_SCRIPT_ERROR": 0.016,
    "DECRYPT_STREAMING_IMAGE_ERROR": 0.006,
    "ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR": 0.003,
}
PASSING = {"INSUFFICIENT_CAPACITY": 0.12, "INTERNAL_ERROR": 0.02, "NETWORK_INTERFACE_ERROR": 0.01}


@dataclass(frozen=True)
class Imagined:
    """A launch that could have been.

    Attributes:
        count: Workstations.
        seed: Which of all such launches.
        rate: Creates a second.
        break_at: Second in which it is interrupted; None for never.
        resumes_after: Seconds until it is taken up again after that; None for never.
        timeout: Second of the deadline.
        ends: Whether its end is told; if not, the process is killed where it is interrupted.
    """

    count: int = 300
    seed: int = 1
    rate: float = 5.0
    break_at: float | None = None
    resumes_after: float | None = None
    timeout: float = 3600.0
    ends: bool = True

    @property
    def header(self) -> Header:
        return Header(f"launch-{self.seed}", T0, {"studio_id": "us-west-2-abc", "stream": True})

    @property
    def specs(self) -> list[Spec]:
        width = len(str(self.count))
        return [
            Spec(key=f"ws-{number:0{width}}", launch_profile_id="lp-1")
            for number in range(1, self.count + 1)
        ]

    def events(self) -> list[events.LaunchEvent]:
        rng = random.Random(self.seed)
        begun = events.LaunchBegan(at=T0, resumed=False)
        told: list[events.LaunchEvent] = [begun]
        for number, spec in enumerate(self.specs):
            told += _workstation(spec.key, number / self.rate, rng, self.timeout)
        told.sort(key=lambda event: event.at)
        told = self._broken(told)
        if self.ends and not isinstance(told[-1], events.LaunchEnded):
            told.append(events.LaunchEnded(at=told[-1].at, interrupted=False))
        return sorted([*told, *_meters(told, rng)], key=lambda event: event.at)

    def account(self) -> Account:
        account = Account(self.header.launch_id, self.specs)
        for event in self.events():
            account.take(event)
        return account

    def write(self, path: Path) -> Path:
        sessions = self.events()
        half = len(sessions) // 2
        journal = Journal.create(path, self.header, self.specs)
        journal.append(sessions[:half])
        journal.close()
        journal = Journal.resume(path)
        journal.append(sessions[half:])
        journal.close()
        return path

    def _broken(self, told: Sequence[events.LaunchEvent]) -> list[events.LaunchEvent]:
        """Return it interrupted, and taken up again later."""
        if self.break_at is None:
            return list(told)
        at = T0 + timedelta(seconds=self.break_at)
        first = [event for event in told if event.at <= at]
        account = Account(self.header.launch_id, self.specs)
        for event in first:
            account.take(event)
        if not self.ends:
            return first
        first += [_cancelled(key, at, account) for key, line in account.lines.items() if line.open]
        first.append(events.LaunchEnded(at=at, interrupted=True))
        if self.resumes_after is None:
            return first
        later = timedelta(seconds=self.resumes_after)
        again: list[events.LaunchEvent] = [events.LaunchBegan(at=at + later, resumed=True)]
        for line in account.lines.values():
            last = line.attempts[-1] if line.attempts else None
            if line.open and last is not None and last.changes:
                seen = last.changes[-1]
                again.append(replace(seen, at=at + later + timedelta(seconds=1), before=None))
        for event in told[len([each for each in told if each.at <= at]) :]:
            moved = replace(event, at=event.at + later)
            if isinstance(moved, events.Changed) and moved.changed_at is not None:
                moved = replace(moved, changed_at=moved.changed_at + later)
            again.append(moved)
        return first + again


def _workstation(
    key: str, begins: float, rng: random.Random, timeout: float
) -> Iterator[events.LaunchEvent]:
    """Tell what one workstation goes through, cut off at the deadline."""
    story = list(_story(key, begins, rng))
    deadline = T0 + timedelta(seconds=timeout)
    if story[-1].at <= deadline:
        yield from story
        return
    kept = [event for event in story if event.at <= deadline]
    yield from kept
    session = next((each.id for each in reversed(kept) if isinstance(each, events.Created)), None)
    yield events.Settled(
        at=deadline,
        key=key,
        verdict=Verdict.TIMEOUT,
        id=session,
        state="CREATE_IN_PROGRESS",
        reason=None,
        message="still CREATE_IN_PROGRESS at the deadline",
        elapsed=timeout - begins,
        reads=60,
        cause="TIMEOUT",
    )


def _story(key: str, begins: float, rng: random.Random) -> Iterator[events.LaunchEvent]:
    clock = begins
    attempt = 0

    def at(second: float) -> datetime:
        return T0 + timedelta(seconds=second)

    while True:
        attempt += 1
        session = f"s-{rng.randrange(16**16):016x}"
        token = f"{key}-{attempt}"
        choice = {} if attempt == 1 else {"instance_type": "g5.2xlarge"}
        yield events.CreateIntended(
            at=at(clock), key=key, attempt=attempt, token=token, choice=choice
        )
        clock += 0.2 + rng.random()
        if rng.random() < 0.004:
            sentence = "launchProfileId: there is no such profile"
            code = "ValidationException"
            yield events.CreateRefused(
                at=at(clock), key=key, attempt=attempt, cause=code, message=sentence
            )
            yield _settled(key, at(clock), Verdict.ERROR, None, None, code, sentence, begins)
            return
        yield events.Created(at=at(clock), key=key, attempt=attempt, id=session)
        made = clock
        yield _changed(key, session, None, "CREATE_IN_PROGRESS", at(clock + 4), at(clock))
        cause = _drawn(rng, FATAL) or (_drawn(rng, PASSING) if attempt < 4 else None)
        if cause is None:
            clock += max(90.0, rng.lognormvariate(5.45, 0.22))
            yield _changed(
                key, session, "CREATE_IN_PROGRESS", "READY", at(clock + 3), at(clock + 0.5)
            )
            yield events.StreamIntended(at=at(clock + 3.1), key=key, id=session, token=token)
            stream = events.StreamAccess(f"stream-{session}", None, URL)
            yield events.StreamCreated(
                at=at(clock + 3.4), key=key, id=session, stream_id=stream.stream_id
            )
            yield events.StreamReady(at=at(clock + 9), key=key, id=session, stream=stream)
            yield _settled(
                key, at(clock + 9), Verdict.SUCCESS, session, "READY", None, None, begins
            )
            return
        clock += rng.uniform(40, 160)
        sentence = f"{cause.replace('_', ' ').capitalize()} <b>while</b> it was made."
        failed = _changed(
            key, session, "CREATE_IN_PROGRESS", "CREATE_FAILED", at(clock + 3), at(clock)
        )
        yield replace(failed, reason=cause, message=sentence)
        clock += 3
        yield events.AttemptFailed(
            at=at(clock), key=key, attempt=attempt, id=session, cause=cause, message=sentence
        )
        if rng.random() < 0.7:
            yield events.DeleteIntended(at=at(clock + 0.1), key=key, id=session)
            deleting = at(clock + 2)
            yield _changed(key, session, "CREATE_FAILED", "DELETE_IN_PROGRESS", deleting, deleting)
            clock += rng.uniform(8, 25)
            if rng.random() < 0.9:
                gone = at(clock)
                yield _changed(key, session, "DELETE_IN_PROGRESS", "DELETED", gone, gone)
                yield events.Deleted(at=at(clock), key=key, id=session)
            else:
                yield events.DeleteFailed(
                    at=at(clock), key=key, id=session, message="it was still there after 600 s"
                )
        if cause in FATAL:
            state = "CREATE_FAILED"
            yield _settled(key, at(clock), Verdict.FAILURE, session, state, cause, sentence, begins)
            return
        clock = max(clock, made + 60) + rng.uniform(5, 40)


def _drawn(rng: random.Random, shares: dict[str, float]) -> str | None:
    draw = rng.random()
    for cause, share in shares.items():
        draw -= share
        if draw < 0:
            return cause
    return None


def _changed(
    key: str, session: str, before: str | None, after: str, at: datetime, changed_at: datetime
) -> events.Changed:
    return events.Changed(
        at=at, key=key, id=session, before=before, after=after, changed_at=changed_at
    )


def _settled(
    key: str,
    at: datetime,
    verdict: Verdict,
    session: str | None,
    state: str | None,
    cause: str | None,
    message: str | None,
    begins: float,
) -> events.Settled:
    return events.Settled(
        at=at,
        key=key,
        verdict=verdict,
        id=session,
        state=state,
        reason=cause,
        message=message,
        elapsed=(at - T0).total_seconds() - begins,
        reads=9,
        cause=cause,
    )


def _cancelled(key: str, at: datetime, account: Account) -> events.Settled:
    line = account.lines[key]
    state = line.attempts[-1].state if line.attempts else None
    return replace(
        _settled(key, at, Verdict.CANCELLED, line.session_id, state, None, None, 0.0),
        cause="INTERRUPTED",
    )


def _meters(told: Sequence[events.LaunchEvent], rng: random.Random) -> Iterator[events.Metered]:
    """Tell every five seconds what the launch has cost since it was last taken up."""
    calls = creates = throttled = 0
    began = None
    due = T0
    for event in told:
        if isinstance(event, events.LaunchBegan):
            began, due = event.at, event.at
            calls = creates = throttled = 0
        while due <= event.at and began is not None:
            yield events.Metered(at=due, calls=calls, changes=creates, throttled=throttled)
            due += timedelta(seconds=5)
            calls += rng.randrange(4, 14)
            throttled += max(rng.randrange(-4, 5), 0) if (due - began).seconds < 240 else 0
        if isinstance(event, events.LaunchEnded):
            began = None
        creates += isinstance(event, events.CreateIntended)
        calls += isinstance(event, events.CreateIntended)


@pytest.fixture
def imagine() -> Callable[..., Imagined]:
    """Imagines a launch."""
    return Imagined


@pytest.fixture
def journal(tmp_path: Path) -> Callable[..., Path]:
    """Writes the journal of an imagined launch."""

    def write(**options: object) -> Path:
        return Imagined(**options).write(tmp_path / "run.db")  # type: ignore[arg-type]

    return write
