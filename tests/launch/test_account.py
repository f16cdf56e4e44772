"""The account: every key exactly one line, whatever happens, and counts that always add up."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from greenroom import Deletion, Spec, StreamAccess, Verdict, WaitsFailed
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._lines import REOPENED, Phase
from greenroom._launch._rows import as_row, from_row

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("a", "b", "c")
TYPE_X = {"instance_type": "x"}
SECRET = "https://stream.invalid/secret?key=opensesame"


def at(seconds):
    return START + timedelta(seconds=seconds)


def account(keys=KEYS):
    return Account("launch-1", [Spec(key=key, launch_profile_id="lp") for key in keys])


def settled(key, verdict, *, id=None, cause=None, elapsed=1.0):  # noqa: A002  # the event's word
    return events.Settled(
        at=at(0),
        key=key,
        verdict=verdict,
        id=id,
        state=None,
        reason=None,
        message=None,
        elapsed=elapsed,
        reads=1,
        cause=cause,
    )


def changed(key, id, before, after, reason=None):  # noqa: A002  # the event's word
    return events.Changed(at=at(0), key=key, id=id, before=before, after=after, reason=reason)


def created(book, key, attempt, id):  # noqa: A002  # the event's word
    token = f"token-{id}"
    take = book.take
    take(events.CreateIntended(at=at(1), key=key, attempt=attempt, token=token, choice=TYPE_X))
    take(events.Created(at=at(2), key=key, attempt=attempt, id=id))


def check(book):
    assert sum(book.counts.values()) == len(book.lines)
    phases = Counter(line.phase for line in book.lines.values())
    assert +book.counts == phases
    causes = Counter(
        line.settled.cause
        for line in book.lines.values()
        if line.settled is not None and line.settled.cause is not None
    )
    assert +book.causes == causes
    assert min(book.causes.values(), default=0) >= 0
    report = book.report()
    assert list(report) == list(book.lines)
    for key, result in report.items():
        assert result.key == key
        assert result.spec.key == key
        assert (result.verdict is Verdict.PENDING) == (book.lines[key].settled is None)
        assert [each.number for each in result.attempts] == [*range(1, len(result.attempts) + 1)]
    sorts = (report.succeeded, report.failed, report.timed_out)
    assert sum(map(len, sorts)) == len(report)
    assert sum(map(len, report.by_cause.values())) == sum(causes.values())
    assert [len(group) for group in report.by_cause.values()] == sorted(causes.values())[::-1]


# One line each.


def test_there_is_a_line_for_every_key_from_the_start():
    report = account().report()
    assert list(report) == list(KEYS)
    assert {result.verdict for result in report.values()} == {Verdict.PENDING}
    assert report.began_at is None
    assert report.elapsed == 0.0
    assert (report.calls, report.throttled) == (0, 0)
    assert not report.running


def test_the_phases_of_a_workstation_from_its_plan_to_its_screen():
    book = account()
    seen = []

    def take(event):
        book.take(event)
        check(book)
        seen.append(book.lines["a"].phase)

    seen.append(book.lines["a"].phase)
    take(events.CreateIntended(at=at(0), key="a", attempt=1, token="t1", choice={}))
    take(events.Created(at=at(1), key="a", attempt=1, id="s-1"))
    take(changed("a", "s-1", None, "CREATE_FAILED", "INTERNAL_ERROR"))
    failed = events.AttemptFailed(
        at=at(3), key="a", attempt=1, id="s-1", cause="INTERNAL_ERROR", message=None
    )
    take(failed)
    take(events.DeleteIntended(at=at(4), key="a", id="s-1"))
    take(events.CreateIntended(at=at(5), key="a", attempt=2, token="t2", choice=TYPE_X))
    take(events.Deleted(at=at(6), key="a", id="s-1"))
    take(events.Created(at=at(7), key="a", attempt=2, id="s-2"))
    take(events.StreamIntended(at=at(8), key="a", id="s-2", token="t3"))
    take(events.StreamCreated(at=at(8), key="a", id="s-2", stream_id="st-1"))
    take(events.StreamReady(at=at(9), key="a", id="s-2", stream=StreamAccess("st-1", None, SECRET)))
    take(settled("a", Verdict.SUCCESS, id="s-2"))
    assert seen == [
        Phase.PLANNED,
        Phase.CREATING,
        Phase.WAITING,
        Phase.WAITING,
        Phase.RETRYING,
        Phase.DELETING,
        Phase.CREATING,
        Phase.CREATING,
        Phase.WAITING,
        Phase.STREAMING,
        Phase.STREAMING,
        Phase.STREAMING,
        Phase.READY,
    ]
    one, two = book.report()["a"].attempts
    assert (one.id, one.cause, one.deletion, one.deleted_at) == (
        "s-1",
        "INTERNAL_ERROR",
        Deletion.DONE,
        at(6),
    )
    assert (one.state, one.reason) == ("CREATE_FAILED", "INTERNAL_ERROR")
    assert (two.id, two.cause, two.deletion, two.answered_at) == ("s-2", None, None, at(7))
    assert book.report()["a"].id == "s-2"


def test_a_refused_create_is_an_attempt_without_a_session():
    book = account()
    book.take(events.CreateIntended(at=at(0), key="a", attempt=1, token="t", choice={}))
    book.take(events.CreateRefused(at=at(1), key="a", attempt=1, cause="No", message="no"))
    (attempt,) = book.lines["a"].attempts
    assert (attempt.id, attempt.cause, attempt.answered_at) == (None, "No", at(1))
    assert book.lines["a"].phase is Phase.RETRYING
    check(book)


def test_the_id_is_that_of_the_last_session_that_was_made():
    book = account()
    created(book, "a", 1, "s-1")
    book.take(events.CreateIntended(at=at(3), key="a", attempt=2, token="t", choice={}))
    assert book.report()["a"].id == "s-1"


def test_a_new_attempt_begins_its_streams_anew():
    book = account()
    created(book, "a", 1, "s-1")
    book.take(events.StreamIntended(at=at(3), key="a", id="s-1", token="t"))
    book.take(events.StreamCreated(at=at(3), key="a", id="s-1", stream_id="st"))
    created(book, "a", 2, "s-2")
    line = book.lines["a"]
    assert (line.stream, line.stream_token, line.streams) == (None, None, 0)


@pytest.mark.parametrize(
    "event",
    [
        settled("nobody", Verdict.SUCCESS),
        changed("nobody", "s-1", None, "READY"),
        changed("a", "s-1", None, "READY"),
        events.Created(at=at(0), key="a", attempt=1, id="s-1"),
        events.Created(at=at(0), key="a", attempt=0, id="s-1"),
        events.CreateRefused(at=at(0), key="a", attempt=-1, cause="x", message="x"),
        events.AttemptFailed(at=at(0), key="a", attempt=1, id="s", cause="x", message=None),
        events.DeleteIntended(at=at(0), key="a", id="s-1"),
        events.Deleted(at=at(0), key="a", id="s-1"),
        events.DeleteFailed(at=at(0), key="a", id="s-1", message="x"),
    ],
)
def test_what_was_never_told_of_cannot_go_on(event):
    with pytest.raises((KeyError, ValueError)):
        account().take(event)


# Taken up again.


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PENDING])
def test_taking_a_launch_up_again_opens_what_was_not_decided(verdict):
    book = account()
    book.take(events.LaunchBegan(at=at(0), resumed=False))
    cause = None if verdict is Verdict.SUCCESS else verdict.name
    book.take(settled("a", verdict, cause=cause))
    book.take(events.LaunchEnded(at=at(1), interrupted=False))
    book.take(events.LaunchBegan(at=at(2), resumed=True))
    check(book)
    assert (book.lines["a"].settled is None) == (verdict in REOPENED)
    assert book.lines["a"].open == (verdict in REOPENED)


def test_what_ended_a_launch_is_over_when_it_is_taken_up_again():
    book = account()
    book.take(events.LaunchBegan(at=at(0), resumed=False))
    book.take(events.CreatesHeld(at=at(1), cause="Q", message="full"))
    assert book.held.cause == "Q"
    book.take(events.CreatesStopped(at=at(1), cause="INTERRUPTED", message="stopped"))
    book.take(events.LaunchEnded(at=at(2), interrupted=True))
    report = book.report()
    assert (report.interrupted, report.running, report.stopped.cause) == (
        True,
        False,
        "INTERRUPTED",
    )
    book.take(events.LaunchBegan(at=at(9), resumed=True))
    assert (book.held, book.stopped, book.interrupted, book.running) == (None, None, False, True)
    assert book.began_at == at(0)


def test_meters_add_up_over_the_times_a_launch_was_taken_up():
    book = account()
    for begun, meters in ((0, [(1, 1, 0), (5, 2, 1)]), (100, [(3, 1, 1)]), (200, []), (300, [])):
        book.take(events.LaunchBegan(at=at(begun), resumed=begun > 0))
        for number, (calls, changes, throttled) in enumerate(meters):
            book.take(
                events.Metered(
                    at=at(begun + number), calls=calls, changes=changes, throttled=throttled
                )
            )
    report = book.report()
    assert [tuple(meter) for meter in report.meters] == [
        (at(0), 1, 1, 0),
        (at(1), 5, 2, 1),
        (at(100), 8, 3, 2),
    ]
    assert (report.calls, report.throttled) == (8, 2)
    assert report.elapsed == 300


# The report.


def test_a_report_sorts_its_lines_by_verdict_and_by_cause():
    book = account("abcdef")
    for key, verdict, cause in (
        ("a", Verdict.SUCCESS, None),
        ("b", Verdict.FAILURE, "X"),
        ("c", Verdict.ERROR, "Y"),
        ("d", Verdict.TIMEOUT, "TIMEOUT"),
        ("e", Verdict.FAILURE, "Y"),
    ):
        book.take(settled(key, verdict, cause=cause))
    report = book.report()
    assert [result.key for result in report.succeeded] == ["a"]
    assert [result.key for result in report.failed] == ["b", "c", "e", "f"]
    assert [result.key for result in report.timed_out] == ["d"]
    assert {cause: [each.key for each in group] for cause, group in report.by_cause.items()} == {
        "Y": ["c", "e"],
        "X": ["b"],
        "TIMEOUT": ["d"],
    }
    assert next(iter(report.by_cause)) == "Y"
    check(book)


def test_a_report_does_not_change_with_its_account():
    book = account()
    before = book.report()
    book.take(settled("a", Verdict.SUCCESS))
    created(book, "b", 1, "s-1")
    assert before["a"].verdict is Verdict.PENDING
    assert before["b"].attempts == ()
    with pytest.raises(TypeError):
        before["a"] = None


def test_failures_are_raised_by_key():
    book = account()
    book.take(settled("a", Verdict.SUCCESS))
    book.take(settled("b", Verdict.FAILURE, cause="X"))
    with pytest.raises(WaitsFailed, match="2 of 3 workstations are not ready: 1 X") as caught:
        book.report().raise_for_failures()
    assert list(caught.value.results) == ["b", "c"]
    assert caught.value.results["b"].verdict is Verdict.FAILURE


def test_nothing_is_raised_where_all_are_ready():
    book = account(["a"])
    book.take(settled("a", Verdict.SUCCESS))
    book.report().raise_for_failures()


def test_no_repr_shows_the_way_to_a_screen():
    book = account(["a"])
    created(book, "a", 1, "s-1")
    book.take(events.StreamIntended(at=at(0), key="a", id="s-1", token="t"))
    book.take(events.StreamCreated(at=at(0), key="a", id="s-1", stream_id="st-1"))
    access = StreamAccess("st-1", at(60), SECRET)
    book.take(events.StreamReady(at=at(0), key="a", id="s-1", stream=access))
    book.take(settled("a", Verdict.SUCCESS, id="s-1"))
    report = book.report()
    assert report["a"].stream.url == SECRET
    shown = "".join(
        map(repr, (report, report["a"], dict(report), report["a"].attempts, book.lines["a"].stream))
    )
    assert "opensesame" not in shown
    assert "st-1" in shown
    book.take(settled("a", Verdict.FAILURE, id="s-1", cause="X"))
    with pytest.raises(WaitsFailed) as caught:
        book.report().raise_for_failures()
    assert "opensesame" not in repr(caught.value.results)


# Whatever happens.


class Life:
    """Draws what may happen next to a launch, one legal event at a time."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.book = account()
        self.ids = 0
        self.now = 0

    def step(self):
        self.now += self.draw.random()
        if not self.book.running:
            return events.LaunchBegan(at=at(self.now), resumed=self.book.began_at is not None)
        chosen = self.draw.random()
        if chosen < 0.04:
            return events.LaunchEnded(at=at(self.now), interrupted=self.draw.random() < 0.5)
        if chosen < 0.06:  # killed, and taken up again
            return events.LaunchBegan(at=at(self.now), resumed=True)
        if chosen < 0.1:
            return self.draw.choice(
                [
                    events.Metered(at=at(self.now), calls=3, changes=1, throttled=0),
                    events.CreatesHeld(at=at(self.now), cause="Q", message="q"),
                    events.CreatesReleased(at=at(self.now)),
                    events.CreatesStopped(at=at(self.now), cause="S", message="s"),
                ]
            )
        return self._about(self.draw.choice(KEYS))

    def _about(self, key):
        line, draw, now = self.book.lines[key], self.draw, at(self.now)
        if line.settled is not None:
            return events.CreatesReleased(at=now)
        last = line.attempts[-1] if line.attempts else None
        end = settled(key, draw.choice([Verdict.TIMEOUT, Verdict.CANCELLED]), cause="END")
        if last is None or (last.answered_at and last.cause and draw.random() < 0.5):
            if draw.random() < 0.2:
                return end
            number = len(line.attempts) + 1
            token = f"{key}-{number}"
            return events.CreateIntended(at=now, key=key, attempt=number, token=token, choice={})
        if last.answered_at is None:
            self.ids += 1
            made = events.Created(at=now, key=key, attempt=last.number, id=f"s-{self.ids}")
            no = events.CreateRefused(
                at=now, key=key, attempt=last.number, cause="NO", message="no"
            )
            return draw.choice([made, made, no, end])
        if last.id is None:
            return settled(key, Verdict.ERROR, cause="NO")
        common = {"at": now, "key": key, "id": last.id}
        access = StreamAccess("t-1", now, SECRET)
        failed = events.AttemptFailed(**common, attempt=last.number, cause="BAD", message=None)
        return draw.choice(
            [
                end,
                settled(key, Verdict.SUCCESS, id=last.id),
                settled(key, Verdict.FAILURE, id=last.id, cause="BAD"),
                failed,
                changed(key, last.id, last.state, draw.choice(["READY", "STOPPED", None])),
                events.StreamIntended(**common, token="t"),
                events.StreamCreated(**common, stream_id="t-1"),
                events.StreamReady(**common, stream=access),
                events.StreamFailed(**common, stream_id="t-1", cause="BAD"),
                events.DeleteIntended(**common),
                events.Deleted(**common),
                events.DeleteFailed(**common, message="no"),
            ]
        )


def without_urls(book):
    return {
        key: (result.verdict, result.id, result.attempts, result.stream, result.cause)
        for key, result in book.report().items()
    }


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_whatever_happens_every_key_has_one_line_and_the_counts_add_up(seed, length):
    life = Life(random.Random(seed))
    told = []
    for _ in range(length):
        event = life.step()
        told.append(event)
        life.book.take(event)
        check(life.book)
    read = account()
    for event in told:
        read.take(from_row(as_row(event)))
    assert without_urls(read) == without_urls(life.book)
    assert read.counts == life.book.counts
    assert read.causes == life.book.causes
    assert read.report().meters == life.book.report().meters
