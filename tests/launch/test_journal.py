"""The journal on a real disk: all of an append or none, one owner, and clear words for the rest."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

import greenroom
from greenroom import JournalError, Spec, SpecError, Verdict
from greenroom._launch import _events as events
from greenroom._launch import _journal
from greenroom._launch._journal import Journal, read_journal
from greenroom._launch._journal_tables import APPLICATION, VERSION, Header
from greenroom._launch._lines import Phase
from greenroom._specs import check_specs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = Header("launch-1", NOW, {"rate": 5, "stream": True})
SPECS = tuple(
    Spec(key=key, launch_profile_id="lp", instance_types=("g5.xlarge",), tags={"ä": "ö"})
    for key in ("b", "a", "ключ")
)


G5 = {"instance_type": "g5.xlarge"}


def intended(key="a", attempt=1):
    return events.CreateIntended(
        at=NOW,
        key=key,
        attempt=attempt,
        token=f"{key}-{attempt}",
        choice=G5,
    )


def made(key="a", attempt=1):
    return events.Created(at=NOW, key=key, attempt=attempt, id=f"s-{key}-{attempt}")


def settled(key="a"):
    return events.Settled(
        at=NOW,
        key=key,
        verdict=Verdict.SUCCESS,
        id=f"s-{key}-1",
        state="READY",
        reason=None,
        message="Es ist bereit.",
        elapsed=3.5,
        reads=2,
        cause=None,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


@pytest.fixture
def begun(path):
    """Return the path of a journal that tells of one workstation, and is closed."""
    journal = Journal.create(path, HEADER, SPECS)
    journal.append([events.LaunchBegan(at=NOW, resumed=False), intended(), made(), settled()])
    journal.close()
    return path


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def files(path):
    return sorted(each.name for each in path.parent.iterdir())


# From beginning to end.


def test_what_was_appended_is_there_when_it_is_taken_up(begun):
    journal = Journal.resume(begun)
    try:
        assert journal.header == HEADER
        assert journal.path == begun
        assert tuple(line.spec for line in journal.account.lines.values()) == SPECS
        result = journal.account.report()["a"]
        assert (result.verdict, result.id, result.message) == (
            Verdict.SUCCESS,
            "s-a-1",
            "Es ist bereit.",
        )
        assert result.attempts[0].token == "a-1"
        journal.append([intended("b"), made("b")])
    finally:
        journal.close()
    assert greenroom.read_report(begun)["b"].id == "s-b-1"


def test_a_journal_that_is_begun_knows_its_launch(path):
    with closing(Journal.create(path, HEADER, SPECS)) as journal:
        assert journal.header == HEADER
        assert journal.account.launch_id == "launch-1"
        assert tuple(line.spec for line in journal.account.lines.values()) == SPECS


def test_a_journal_may_be_written_by_one_thread_and_let_go_of_by_another(path):
    with ThreadPoolExecutor(1) as thread:
        journal = thread.submit(Journal.create, path, HEADER, SPECS).result()
        journal.append([intended()])
        thread.submit(journal.close).result()
    assert len(greenroom.read_report(path)["a"].attempts) == 1


def test_a_journal_is_one_file_when_nobody_has_it(begun):
    assert files(begun) == ["run.db"]


def test_reading_leaves_nothing_behind_and_changes_nothing(begun):
    before = begun.read_bytes()
    read_journal(begun)
    greenroom.read_report(begun)
    assert begun.read_bytes() == before
    assert files(begun) == ["run.db"]


def test_taking_up_and_closing_leaves_nothing_behind(begun):
    Journal.resume(begun).close()
    assert files(begun) == ["run.db"]


def test_it_says_what_it_is(begun):
    with closing(sqlite3.connect(begun)) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_it_can_be_read_while_it_is_owned(path):
    journal = Journal.create(path, HEADER, SPECS)
    try:
        assert {result.verdict for result in greenroom.read_report(path).values()} == {
            Verdict.PENDING
        }
        for number in range(1, 4):
            journal.append([intended(attempt=number), made(attempt=number)])
            assert len(greenroom.read_report(path)["a"].attempts) == number
    finally:
        journal.close()
    assert files(path) == ["run.db"]


def test_a_journal_without_any_event_is_a_launch_that_never_began(path):
    Journal.create(path, HEADER, SPECS).close()
    header, account = read_journal(path)
    assert header == HEADER
    assert account.counts[Phase.PLANNED] == 3
    assert account.report().began_at is None


@pytest.mark.parametrize("name", ["run #1?.db", "100%.db", "ä ö", "file:x?mode=memory", "-rf"])
def test_any_name_will_do(tmp_path, name):
    Journal.create(tmp_path / name, HEADER, SPECS).close()
    Journal.resume(tmp_path / name).close()
    assert files(tmp_path / name) == [name]


def test_a_path_may_be_relative_and_the_directory_may_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal.create("run.db", HEADER, SPECS)
    monkeypatch.chdir("/")
    journal.append([intended()])
    journal.close()
    assert files(tmp_path / "run.db") == ["run.db"]
    assert greenroom.read_report(tmp_path / "run.db")["a"].attempts


def test_an_empty_file_is_no_journal_yet(path):
    path.touch()
    Journal.create(path, HEADER, SPECS).close()
    assert read_journal(path)[0] == HEADER


def test_many_thousands_of_workstations_fit(path):
    specs = [Spec(key=str(number), launch_profile_id="lp") for number in range(20_000)]
    Journal.create(path, HEADER, specs).close()
    assert len(read_journal(path)[1].lines) == 20_000


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\U0001f600", "'; DROP TABLE events; --"])
def test_whatever_a_service_says_can_be_kept(path, odd):
    journal = Journal.create(path, HEADER, SPECS)
    try:
        journal.append(
            [
                intended(),
                events.CreateRefused(at=NOW, key="a", attempt=1, cause="X", message=odd),
            ]
        )
    finally:
        journal.close()
    assert greenroom.read_report(path)["a"].attempts[0].refusal.message == odd


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\n"])
def test_whatever_spec_passes_the_checks_can_be_kept(path, odd):
    given = {"key": "a", "launch_profile_id": "lp", "tags": {odd: odd}}
    try:
        specs = check_specs([given], Spec)
    except SpecError:
        return
    Journal.create(path, HEADER, specs).close()
    assert read_journal(path)[1].lines["a"].spec == specs[0]


def test_the_name_of_a_journal_lasts_before_anything_is_built_on_it(path, monkeypatch):
    fsync, synced = os.fsync, []

    def noting(descriptor):
        fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), path.parent.stat()):
            synced.append(files(path))

    monkeypatch.setattr(os, "fsync", noting)
    Journal.create(path, HEADER, SPECS).close()
    (there,) = synced
    assert "run.db" in there
    assert not {"run.db-journal", "run.db-wal", "run.db-new"} & set(there)


# One owner.


def test_a_second_owner_is_refused_until_the_first_lets_go(path):
    journal = Journal.create(path, HEADER, SPECS)
    for again in (lambda: Journal.resume(path), lambda: Journal.create(path, HEADER, SPECS)):
        with pytest.raises(JournalError, match="in use by another process") as caught:
            again()
        assert caught.value.path == str(path)
    journal.append([intended()])
    journal.close()
    Journal.resume(path).close()
    assert files(path) == ["run.db"]


def test_a_refused_owner_does_not_break_the_lock_of_the_first(path):
    journal = Journal.create(path, HEADER, SPECS)
    for _ in range(3):
        with pytest.raises(JournalError, match="in use"):
            Journal.resume(path)
    journal.close()


def test_a_failed_beginning_lets_go_of_the_lock(begun):
    for _ in range(2):
        with pytest.raises(JournalError, match="exists already"):
            Journal.create(begun, HEADER, SPECS)
    Journal.resume(begun).close()
    assert files(begun) == ["run.db"]


OWN = """
import sys, time
from greenroom._launch._journal import Journal
journal = Journal.resume(sys.argv[1])
print("owned", flush=True)
{then}
"""


def another_process(path, then):
    return subprocess.Popen(
        [sys.executable, "-c", OWN.format(then=then), str(path)], stdout=subprocess.PIPE, text=True
    )


def test_another_process_is_refused_and_says_why(path):
    journal = Journal.create(path, HEADER, SPECS)
    try:
        done = subprocess.run(
            [sys.executable, "-c", OWN.format(then=""), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        journal.close()
    assert done.stdout == ""
    assert "JournalError" in done.stderr
    assert "in use by another process" in done.stderr


def test_the_lock_of_a_process_goes_with_it_even_when_it_is_killed(begun):
    with another_process(begun, "sys.stdin.read(); time.sleep(600)") as owner:
        assert owner.stdout.readline() == "owned\n"
        with pytest.raises(JournalError, match="in use by another process"):
            Journal.resume(begun)
        assert greenroom.read_report(begun)["a"].verdict is Verdict.SUCCESS
        owner.kill()
        owner.wait()
    Journal.resume(begun).close()
    assert files(begun) == ["run.db"]


APPENDING = """
from datetime import UTC, datetime
from greenroom._launch import _events as events
from greenroom._launch import _journal
now = datetime.now(UTC)
for number in range(1, 100_000):
    journal.append([
        events.CreateIntended(
            at=now, key="b", attempt=number, token=str(number), choice={}),
        events.Created(at=now, key="b", attempt=number, id=str(number)),
        events.CreatesHeld(at=now, cause=str(number), message="x" * 20_000),
    ])
    print(number, flush=True)
"""


@pytest.mark.parametrize("appended", [1, 7, 30])
def test_a_process_killed_while_it_appends_leaves_all_or_none(begun, appended):
    with another_process(begun, APPENDING) as owner:
        assert owner.stdout.readline() == "owned\n"
        last = 0
        while last < appended:
            last = int(owner.stdout.readline())
        os.kill(owner.pid, signal.SIGKILL)
        told = [int(line) for line in owner.stdout.read().split()]
    last = max([last, *told])
    account = read_journal(begun)[1]
    attempts = account.lines["b"].attempts
    assert last <= len(attempts) <= last + 1
    assert all(each.id == str(each.number) for each in attempts)
    assert account.held.cause == str(len(attempts))
    Journal.resume(begun).close()
    assert files(begun) == ["run.db"]


# All of an append, or none.


def test_an_append_that_fails_in_the_middle_leaves_none_of_it(path):
    journal = Journal.create(path, HEADER, SPECS)
    try:
        journal.append([intended()])
        with pytest.raises(JournalError, match="UNIQUE"):
            journal.append([made(), intended("b"), intended()])
        assert len(greenroom.read_report(path)["b"].attempts) == 0
        assert greenroom.read_report(path)["a"].id is None
        journal.append([made(), intended("b")])
    finally:
        journal.close()
    report = greenroom.read_report(path)
    assert (report["a"].id, len(report["b"].attempts)) == ("s-a-1", 1)


def test_two_tokens_for_one_attempt_cannot_be_told(path):
    journal = Journal.create(path, HEADER, SPECS)
    with pytest.raises(JournalError), closing(journal):
        journal.append([intended(), intended()])
    assert greenroom.read_report(path)["a"].attempts == ()


def test_a_full_disk_is_told_and_leaves_what_was_there(path):
    journal = Journal.create(path, HEADER, SPECS)
    journal.append([intended()])
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    large = [events.CreatesHeld(at=NOW, cause="x", message="x" * 100_000), made()]
    for _ in range(2):
        with pytest.raises(JournalError, match=r"disk is full\. Make room on its disk"):
            journal.append(large)
    assert greenroom.read_report(path)["a"].id is None
    journal._db.execute("PRAGMA max_page_count = 100000")
    journal.append(large)
    journal.close()
    assert greenroom.read_report(path)["a"].id == "s-a-1"


@pytest.mark.parametrize(
    ("use", "problem"), [(Journal.resume, "cannot be written"), (read_journal, "cannot be read")]
)
def test_a_disk_that_fails_is_told_by_name(begun, monkeypatch, use, problem):
    def fails(file, mode):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(_journal, "connect", fails)
    with pytest.raises(JournalError) as caught:
        use(begun)
    assert str(caught.value) == (
        f"the journal {begun} {problem}: [Errno 5] Input/output error. Look at its disk, which may "
        "be full, over a quota, read-only or failing"
    )
    assert caught.value.path == str(begun)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_journal_that_was_taken_away_is_told(path, replaced):
    with closing(Journal.create(path, HEADER, SPECS)) as journal:
        path.rename(path.with_name("elsewhere.db"))
        if replaced:
            path.touch()
        with pytest.raises(JournalError) as caught:
            journal.append([intended()])
    assert str(caught.value) == f"the journal {path} is not there any more"
    assert caught.value.path == str(path)


AS_ANYBODY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""Takes from root the right to write where nobody may."""


@pytest.mark.parametrize("barred", ["folder", "file"])
def test_what_may_not_be_written_to_is_told_and_left_as_it_was(begun, barred):
    where = {"folder": begun.parent, "file": begun}[barred]
    where.chmod(0o500 if barred == "folder" else 0o400)
    before = begun.read_bytes()
    try:
        done = subprocess.run(
            [*AS_ANYBODY, sys.executable, "-c", OWN.format(then=""), str(begun)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        where.chmod(0o700)
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert f"JournalError: the journal {begun} cannot be written" in last
    assert last.endswith("Make sure that it, and the folder it is in, can be written to")
    assert begun.read_bytes() == before
    assert files(begun) == ["run.db"]


def test_a_journal_that_cannot_be_read_where_it_is_is_not_called_damaged(begun):
    with another_process(begun, APPENDING) as owner:
        while owner.stdout.readline() != "3\n":
            pass
        owner.kill()
    begun.with_name("run.db-shm").unlink()
    begun.parent.chmod(0o500)
    read = "import sys, greenroom; greenroom.read_report(sys.argv[1])"
    try:
        done = subprocess.run(
            [*AS_ANYBODY, sys.executable, "-c", read, str(begun)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        begun.parent.chmod(0o700)
    last = done.stderr.splitlines()[-1]
    assert f"JournalError: the journal {begun} cannot be read" in last
    assert last.endswith("Make sure that it, and the folder it is in, can be written to")
    assert len(read_journal(begun)[1].lines["b"].attempts) >= 3


def test_a_journal_that_was_closed_cannot_be_appended_to(path):
    journal = Journal.create(path, HEADER, SPECS)
    journal.close()
    with pytest.raises(JournalError):
        journal.append([intended()])


# What cannot be used.


def refused(path, words):
    """Every way to open it says so, and none of them changes or leaves anything."""
    before = path.read_bytes() if path.is_file() else None
    for use in (Journal.resume, read_journal, greenroom.read_report):
        with pytest.raises(JournalError, match=words) as caught:
            use(path)
        assert str(path) in str(caught.value)
        assert caught.value.path == str(path)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [name for name in files(path) if name != path.name] == []


def test_an_existing_file_is_not_begun_anew(begun):
    before = begun.read_bytes()
    with pytest.raises(JournalError, match="exists already: resume that launch") as caught:
        Journal.create(begun, HEADER, SPECS)
    assert caught.value.path == str(begun)
    assert begun.read_bytes() == before
    assert files(begun) == ["run.db"]


def test_a_file_of_somebody_else_is_not_written_over(path):
    path.write_text("my thesis")
    with pytest.raises(JournalError, match="exists already"):
        Journal.create(path, HEADER, SPECS)
    assert path.read_text() == "my thesis"


def test_a_missing_file_is_missing(path):
    refused(path, "does not exist")


def test_an_empty_file_has_nothing_to_resume(path):
    path.touch()
    refused(path, "does not exist")


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_what_is_left_of_a_journal_that_is_gone_is_not_taken_for_the_end_of_a_new_one(
    begun, suffix
):
    with another_process(begun, APPENDING) as owner:
        while owner.stdout.readline() != "3\n":
            pass
        owner.kill()
    left = begun.with_name(f"run.db{suffix}")
    begun.with_name("run.db-wal").rename(left)
    begun.unlink()
    before = left.read_bytes()
    with pytest.raises(JournalError, match=f"run.db{suffix} is left of a launch") as caught:
        Journal.create(begun, HEADER, SPECS)
    assert caught.value.path == str(begun)
    assert left.read_bytes() == before
    left.unlink()
    Journal.create(begun, HEADER, SPECS).close()
    assert {len(line.attempts) for line in read_journal(begun)[1].lines.values()} == {0}


def test_an_empty_log_is_in_nobodys_way(path):
    path.with_name("run.db-wal").touch()
    path.with_name("run.db-journal").touch()
    Journal.create(path, HEADER, SPECS).close()
    assert files(path) == ["run.db"]


@pytest.mark.parametrize("text", [b"my thesis", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_database_is_told(path, text):
    path.write_bytes(text)
    refused(path, "is not a journal, or a badly damaged one")


def test_another_applications_database_is_told(path):
    sql(path, "CREATE TABLE launch (id)", "PRAGMA application_id = 7", f"PRAGMA user_version = {1}")
    refused(path, "is not a journal of greenroom")


def as_of_version_1(path):
    sql(
        path,
        "ALTER TABLE launch DROP COLUMN place",
        "ALTER TABLE launch DROP COLUMN kind",
        """UPDATE events SET data = '{"token": "t", "instance_type": "g5.xlarge"}'
        WHERE kind = 'CreateIntended' AND key = 'a'""",
        """UPDATE events SET data = '{"token": "u", "instance_type": null}'
        WHERE kind = 'CreateIntended' AND key = 'b'""",
        "PRAGMA user_version = 1",
    )


def test_a_journal_of_version_1_is_read_and_gone_on_with(begun):
    journal = Journal.resume(begun)
    journal.append([intended("b")])
    journal.close()
    as_of_version_1(begun)
    header, account = read_journal(begun)
    assert header.kind == "nimble-session"
    asked = {key: [each.choice for each in account.lines[key].attempts] for key in "ab"}
    assert asked == {"a": [{"instance_type": "g5.xlarge"}], "b": [{}]}
    assert (account.lines["a"].attempts[0].place, account.lines["a"].attempts[0].together) == (0, 1)
    journal = Journal.resume(begun)
    journal.append([intended("a", 2)])
    journal.close()
    header, account = read_journal(begun)
    assert (header.launch_id, header.kind) == ("launch-1", "nimble-session")
    assert len(account.lines["a"].attempts) == 2
    with closing(sqlite3.connect(begun)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_where_a_launch_is_was_an_option_before_it_had_a_place(begun):
    options = """UPDATE launch SET options = '{"studio_id": "us-west-2-abc"}'"""
    sql(begun, options)
    as_of_version_1(begun)
    header, account = read_journal(begun)
    assert (header.place, account.launch_id) == ("us-west-2-abc", "launch-1")
    Journal.resume(begun).close()
    sql(begun, "UPDATE launch SET place = 'elsewhere'")
    assert read_journal(begun)[0].place == "elsewhere"


@pytest.mark.parametrize(
    ("change", "how"),
    [
        ("id = X'FF'", r"its id is b'\xff'"),
        ("kind = 7.5", "its kind is '7.5'|nothing is known of launches of '7.5'"),
        ("place = X'00'", r"its place is b'\x00'"),
        ("options = '[5]'", r"its options are [5]"),
    ],
)
def test_a_row_of_the_launch_that_is_garbage_is_told_by_its_column(begun, change, how):
    sql(begun, f"UPDATE launch SET {change}")
    with pytest.raises(JournalError) as caught:
        read_journal(begun)
    said = str(caught.value)
    assert any(each in said for each in how.split("|")), said
    assert caught.value.path == str(begun)


def test_what_is_damaged_is_told_with_what_may_bring_it_back(begun):
    sql(begun, "UPDATE specs SET spec = '{' WHERE number = 1")
    with pytest.raises(JournalError) as caught:
        read_journal(begun)
    before, _, after = str(caught.value).partition(": nothing was done. ")
    assert before.startswith(f"{begun} is damaged (")
    assert "Expecting property name" in before
    assert after == "`sqlite3 run.db .recover` may bring back what can be read"


def test_pages_that_contradict_each_other_are_damage(begun):
    with closing(sqlite3.connect(begun)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'one_intent'"
        ).fetchone()
    text = bytearray(begun.read_bytes())
    text[(root - 1) * size + 20 : root * size] = bytes(size - 20)
    begun.write_bytes(text)
    with pytest.raises(JournalError, match="is damaged") as caught:
        read_journal(begun)
    assert str(caught.value).startswith(f"{begun} is damaged (")
    assert "None" not in str(caught.value)


def test_what_cannot_be_appended_is_told_by_name(path):
    journal = Journal.create(path, HEADER, SPECS)
    with closing(journal), pytest.raises(JournalError) as caught:
        journal.append([intended(), intended()])
    said = "UNIQUE constraint failed: events.key, events.attempt"
    assert str(caught.value) == f"the journal {path} cannot be written: {said}"


def test_a_path_that_no_file_can_have_cannot_be_found():
    with pytest.raises(JournalError) as caught:
        read_journal("a\0b")
    assert str(caught.value) == "a\0b cannot be found: embedded null byte"
    assert caught.value.path == "a\0b"
    with pytest.raises(greenroom.ConfigurationError, match="journal=5"):
        read_journal(5)


def test_a_journal_of_a_kind_that_nobody_knows_is_told(begun):
    sql(begun, "UPDATE launch SET kind = 'sandcastle'")
    refused(begun, "nothing is known of launches of 'sandcastle'")


@pytest.mark.parametrize("version", [0, VERSION + 1, 99])
def test_a_journal_of_another_version_is_told(begun, version):
    sql(begun, f"PRAGMA user_version = {version}")
    refused(begun, f"journal of version {version}, and this greenroom knows versions 1 to 3")


@pytest.mark.parametrize("left", [100, 4096, 5000, 8192])
def test_a_truncated_file_is_told(begun, left):
    text = begun.read_bytes()
    assert left < len(text)
    begun.write_bytes(text[:left])
    refused(begun, "damaged|not a journal")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET kind = 'Nonsense' WHERE number = 2",
        "UPDATE events SET data = '{' WHERE number = 2",
        "UPDATE events SET data = '[]' WHERE number = 2",
        "UPDATE events SET data = X'FF' WHERE number = 2",
        "UPDATE events SET data = CAST(X'FF' AS TEXT) WHERE number = 2",
        "UPDATE events SET at = 'noon' WHERE number = 2",
        "UPDATE events SET at = -1e18 WHERE number = 2",
        "UPDATE events SET attempt = 9 WHERE number = 3",
        "UPDATE events SET attempt = 'x' WHERE number = 3",
        "UPDATE events SET attempt = NULL WHERE number = 3",
        "UPDATE events SET key = 'nobody' WHERE number = 3",
        "UPDATE events SET key = NULL WHERE number = 3",
        "DELETE FROM events WHERE number = 2",
        "UPDATE specs SET spec = '{}' WHERE number = 1",
        "UPDATE specs SET spec = 'null' WHERE number = 1",
        "UPDATE specs SET spec = '{' WHERE number = 1",
        "DELETE FROM specs",
        "DELETE FROM launch",
        "UPDATE launch SET created = 'noon'",
        "UPDATE launch SET options = '{'",
        "DROP TABLE events",
        "DROP TABLE specs",
        "ALTER TABLE launch ADD COLUMN more",
    ],
)
def test_a_damaged_row_is_told_and_nothing_is_done(begun, change):
    sql(begun, change)
    refused(begun, "is damaged")


def test_a_place_under_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run.db"
    for use in (lambda: Journal.create(path, HEADER, SPECS), lambda: Journal.resume(path)):
        with pytest.raises(JournalError, match="cannot be"):
            use()
    with pytest.raises(JournalError, match="cannot be read"):
        read_journal(path)


def test_a_place_that_does_not_exist_cannot_be_written(tmp_path):
    path = tmp_path / "nowhere" / "run.db"
    with pytest.raises(JournalError, match="cannot be written"):
        Journal.create(path, HEADER, SPECS)
    assert files(tmp_path / "x") == []


def test_a_directory_is_no_journal(path):
    path.mkdir()
    for use in (lambda: Journal.create(path, HEADER, SPECS), lambda: Journal.resume(path)):
        with pytest.raises(JournalError):
            use()
    assert files(path) == ["run.db"]


@pytest.mark.parametrize(
    ("name", "how"),
    [("run.db-lock", "{0}-lock is in the way, and no lock"), ("run.db-new", "[Errno ")],
)
def test_what_stands_in_the_way_is_told(path, name, how):
    (path.parent / name).mkdir()
    with pytest.raises(JournalError) as caught:
        Journal.create(path, HEADER, SPECS)
    assert str(caught.value).startswith(f"the journal {path} cannot be written: {how.format(path)}")
    assert caught.value.path == str(path)
    assert files(path) == [name]


def test_leftovers_of_a_killed_process_are_cleared_away(path):
    (path.parent / "run.db-lock").touch()
    (path.parent / "run.db-new").write_text("half")
    Journal.create(path, HEADER, SPECS).close()
    assert files(path) == ["run.db"]


def test_a_copy_of_a_journal_in_use_is_a_journal(path, tmp_path):
    journal = Journal.create(path, HEADER, SPECS)
    journal.append([intended(), made()])
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    journal.close()
    resumed = Journal.resume(copy)
    assert resumed.account.lines["a"].session_id == "s-a-1"
    resumed.close()
    assert files(path) == ["copy.db", "run.db"]


def test_what_was_killed_while_it_wrote_can_be_read(path, tmp_path):
    with closing(Journal.create(path, HEADER, SPECS)) as journal:
        journal.append([intended(), made()])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN IMMEDIATE")
        for number in range(500):
            db.execute("INSERT INTO specs (key, spec) VALUES (?, ?)", (f"{number}", "x" * 2000))
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("run.db", "run.db-journal"):
            shutil.copy(path.with_name(name), killed / name)
    account = read_journal(killed / "run.db")[1]
    assert [*account.lines] == ["b", "a", "ключ"]
