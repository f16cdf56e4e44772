"""What a launch's journal tells of how long its sessions stood in their states."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

import greenroom
from greenroom import ConfigurationError, JournalError, LaunchPolicy, Spec, Verdict
from greenroom._hazard import bin_of
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._journal import Journal
from greenroom._launch._journal_tables import Header
from greenroom._launch._stays import stays
from greenroom.sources.nimble import SESSION_LAUNCH, TABLES
from greenroom.testing import run

KIND = "nimble-session"
TABLE = TABLES[KIND]
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def began(seconds=0.0, **more):
    return events.LaunchBegan(at=at(seconds), resumed=False, **more)


def made(seconds=0.0, attempt=1):
    """One whose create was asked for half a second before it was answered."""
    yield events.CreateIntended(
        at=at(seconds - 0.5), key="a", attempt=attempt, token=f"t-{attempt}", choice={}
    )
    yield events.Created(at=at(seconds), key="a", attempt=attempt, id=f"s-{attempt}")


def saw(seconds, before, after, told=None, attempt=1):
    return events.Changed(
        at=at(seconds),
        key="a",
        id=f"s-{attempt}",
        before=before,
        after=after,
        changed_at=None if told is None else at(told),
    )


def settled(seconds, verdict=Verdict.TIMEOUT):
    return events.Settled(
        at=at(seconds), key="a", verdict=verdict, id="s-1", state=None, reason=None, message=None,
        elapsed=seconds, reads=1, cause=None,
    )  # fmt: skip


def stood(*told):
    """Return the stays, rounded, that these events of one workstation come to."""
    account = Account("launch-1", [Spec(key="a", launch_profile_id="lp")])
    for event in told:
        account.take(event)
    return {
        state: [(round(seconds, 3), left) for seconds, left in found]
        for state, found in stays(account, SESSION_LAUNCH).items()
    }


MAKING = "CREATE_IN_PROGRESS"
DELETING = "DELETE_IN_PROGRESS"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # The service's word, in preference to when it was seen.
        ((saw(8, None, MAKING, 1), saw(310, MAKING, "READY", 301)), {MAKING: [(300, True)]}),
        # Without it, from the answer to the create until it was seen.
        ((saw(8, None, MAKING), saw(310, MAKING, "READY")), {MAKING: [(310, True)]}),
        # A failure is a departure as well.
        ((saw(8, None, MAKING), saw(90, MAKING, "CREATE_FAILED", 85)), {MAKING: [(85, True)]}),
        # Ready when it was first seen: nobody watched, so that only the service can say when.
        ((saw(8, None, "READY", 5),), {MAKING: [(5, True)]}),
        ((saw(8, None, "READY"),), {}),
        ((saw(8, None, "READY", -3600),), {}),
        # Still standing when the launch was last heard of, or when the wait for it ended.
        ((saw(8, None, MAKING, 1), began(50)), {MAKING: [(49, False)]}),
        ((saw(8, None, MAKING, 1), settled(50), began(70)), {MAKING: [(69, False)]}),
        ((saw(8, None, MAKING, 1), settled(50, Verdict.ERROR)), {MAKING: [(49, False)]}),
        # Never seen: nothing is known.
        ((settled(50),), {}),
        # Gone for one read, and back.
        (
            (
                saw(8, None, MAKING),
                saw(9, MAKING, None),
                saw(10, None, MAKING),
                saw(60, MAKING, "READY"),
            ),
            {MAKING: [(60, True)]},
        ),
        # What the service leads to, and not what a caller did.
        ((saw(8, None, MAKING), saw(60, MAKING, DELETING), settled(60)), {DELETING: [(0, False)]}),
        # A state that the service has grown.
        ((saw(8, None, MAKING), saw(60, MAKING, "CHECK_IN_PROGRESS")), {MAKING: [(60, True)]}),
        # Gone is how the service ends a deletion.
        (
            (
                saw(8, None, MAKING),
                saw(60, MAKING, "CREATE_FAILED"),
                events.DeleteIntended(at=at(61), key="a", id="s-1"),
                saw(62, "CREATE_FAILED", DELETING),
                saw(75, DELETING, None),
            ),
            {MAKING: [(60, True)], DELETING: [(13, True)]},
        ),
        # While somebody minds a deletion, it still stands there; once given up, who knows.
        (
            (
                saw(8, None, DELETING, 2),
                events.DeleteIntended(at=at(9), key="a", id="s-1"),
                began(30),
            ),
            {DELETING: [(28, False)]},
        ),
        (
            (
                saw(8, None, DELETING, 2),
                events.DeleteIntended(at=at(9), key="a", id="s-1"),
                events.DeleteFailed(at=at(20), key="a", id="s-1", message="no"),
                began(30),
            ),
            {},
        ),
        # The second attempt is counted like the first.
        (
            (
                saw(8, None, MAKING),
                saw(60, MAKING, "CREATE_FAILED"),
                *made(100, attempt=2),
                saw(180, MAKING, "READY", attempt=2),
            ),
            {MAKING: [(60, True), (80, True)]},
        ),
        # Taken up again after hours: the time in between is not held against it.
        ((saw(8, None, MAKING, 1), began(9000)), {MAKING: [(7, False)]}),
        (
            (saw(8, None, MAKING, 1), began(9000), saw(9001, None, "READY", 200)),
            {MAKING: [(199, True)]},
        ),
        ((saw(8, None, MAKING, 1), began(9000), saw(9001, None, "READY")), {}),
        (
            (saw(8, None, MAKING, 1), began(9000), saw(9001, None, MAKING, 1), began(9010)),
            {MAKING: [(9009, False)]},
        ),
    ],
)
def test_only_what_is_certain_counts(told, expected):
    assert stood(began(), *made(), *told) == expected


def test_what_was_never_begun_tells_nothing():
    assert stood() == {}
    assert stood(began()) == {}


# From files.


class Punctual:
    """A studio whose word about its changes is of today, as a real one's is."""

    def __init__(self, studio):
        self._studio = studio
        self._wall_time = datetime.now(UTC)

    def __getattr__(self, name):
        return getattr(self._studio, name)

    async def describe(self, ids, /):
        seen = await self._studio.describe(ids)
        return {id_: replace(each, changed_at=self._today(each)) for id_, each in seen.items()}

    def _today(self, each):
        return self._wall_time + timedelta(seconds=each.changed_at.timestamp())


def launched(studio, specs, path, *, seconds=None):
    """Launch in virtual time, for so long at most, and write the journal."""

    async def main():
        with anyio.move_on_after(seconds):
            await greenroom.launch(
                Punctual(studio), specs, journal=path, policy=LaunchPolicy(canary=0)
            )
        return studio.sessions()

    return run(main)


def true_stays(truth):
    """Return the seconds from made to ready or failed, or None."""
    for first, *others in truth.values():
        yield others[0].at - first.at if others else None


@pytest.mark.usefixtures("inline_threads")
def test_the_history_of_a_launch_is_the_truth(studio, wanted, tmp_path):
    path = tmp_path / "run.db"
    service = studio(seed=3, create={"median_s": 150, "failures": {"INTERNAL_ERROR": 0.1}})
    truth = launched(service, wanted(60), path)
    history = greenroom.read_history(path)
    assert history.departures(KIND) == len(truth) > 60
    known = history.of(KIND)[MAKING]
    expected = [0.0] * len(known.events)
    for seconds in true_stays(truth):
        expected[bin_of(seconds)] += 1
    off = sum(abs(one - other) for one, other in zip(known.events, expected, strict=True))
    assert off <= 4  # milliseconds can lie on either side of an edge
    assert sum(known.exposure) == pytest.approx(sum(true_stays(truth)), rel=0.01)
    assert repr(history) == f"<History of nimble-session: {len(truth)} departures>"


@pytest.mark.usefixtures("inline_threads")
def test_a_launch_that_was_killed_has_a_history_too(studio, wanted, tmp_path):
    path = tmp_path / "run.db"
    truth = launched(studio(seed=3), wanted(60), path, seconds=150)
    gone = [each for each in true_stays(truth) if each is not None]
    history = greenroom.read_history(path)
    assert 0 < history.departures(KIND) <= len(gone) < 60
    stood_for = sum(history.of(KIND)[MAKING].exposure)
    assert sum(gone) < stood_for < 60 * 150


@pytest.mark.usefixtures("inline_threads")
def test_a_history_survives_being_written_down(studio, wanted, tmp_path):
    launched(studio(), wanted(5), tmp_path / "run.db")
    history = greenroom.read_history(tmp_path / "run.db")
    file = tmp_path / "history.json"
    file.write_text(history.to_json())
    again = greenroom.read_history(str(file))
    assert again.to_json() == history.to_json()
    assert again.departures(KIND) == 5
    greenroom.PayAsYouWait(history=again)


def test_a_journal_is_read_while_its_launch_runs(tmp_path):
    path = tmp_path / "run.db"
    specs = [Spec(key="a", launch_profile_id="lp")]
    journal = Journal.create(path, Header("launch-1", T0), specs)
    try:
        assert repr(greenroom.read_history(path)) == "<History of nothing>"
        journal.append([began(), *made(), saw(9, None, MAKING), saw(99, MAKING, "READY")])
        assert greenroom.read_history(path).departures(KIND) == 1
    finally:
        journal.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        b'{"greenroom_history": 2, "kinds": {}}',
        b'{"greenroom_history": 1, "kinds": {"k": {"S": [[1, -2, 3]]}}}',
        b"SQLite format 4\0",
    ],
)
def test_neither_a_journal_nor_a_history(tmp_path, content):
    file = tmp_path / "what.json"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"what\.json is no history: give the journal"):
        greenroom.read_history(file)


@pytest.mark.parametrize("name", ["nothing.db", "", "nul\0.db"])
def test_no_such_file(tmp_path, name):
    with pytest.raises(ConfigurationError, match=r"cannot read the history .*; give the journal"):
        greenroom.read_history(tmp_path / name)


def test_a_database_that_is_no_journal(tmp_path):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE t (n)")
    with pytest.raises(JournalError, match=r"other\.db is not a journal.*give the journal"):
        greenroom.read_history(file)


def test_a_damaged_journal(tmp_path):
    file = tmp_path / "run.db"
    Journal.create(file, Header("launch-1", T0), [Spec(key="a", launch_profile_id="lp")]).close()
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(JournalError, match=r"run\.db .*give the journal") as caught:
        greenroom.read_history(file)
    assert caught.value.path == str(file)
