"""`greenroom launch`, `start`, `stop` and `delete` against a simulated studio on 127.0.0.1."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from greenroom import JournalError, Poller, read_report
from greenroom._launch._events import StreamAccess, StreamReady
from greenroom._launch._journal import Journal, read_journal
from greenroom.cli import _wait
from greenroom.cli.launch._run import url_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Create = Callable[..., list[str]]
    Run = Callable[..., Ran]
    Spawn = Callable[..., subprocess.Popen[str]]

OUTCOME = ["event", "id", "verdict", "state", "reason", "message", "elapsed", "reads"]
FAST = ("--every", "50ms", "--rate", "100", "--create-rate", "200")
LP = ("--launch-profile-id", "lp-1")
BROKEN = {"failures": {"INITIALIZATION_SCRIPT_ERROR": 1.0}}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
def launch(run: Run, journal: Path) -> Run:
    def launch(*args: str) -> Ran:
        return run("launch", *args, *FAST, "--journal", str(journal))

    return launch


def _outcomes(ran: Ran) -> list[dict[str, Any]]:
    return [event for event in ran.events if event["event"] == "outcome"]


def test_every_key_has_one_outcome_line(studio: Start, launch: Run) -> None:
    simulator = studio()
    ran = launch(*LP, "--count", "30", "--output", "json")
    assert ran.status == 0
    outcomes = _outcomes(ran)
    assert list(outcomes[0]) == [*OUTCOME, "key", "attempts"]
    assert {each["key"] for each in outcomes} == {str(number) for number in range(1, 31)}
    assert {each["id"] for each in outcomes} == set(simulator.truth())
    assert ran.events[-1]["total"] == ran.events[-1]["success"] == len(outcomes) == 30
    assert ran.events[-1]["calls"] == sum(simulator.statistics().calls.values())


def test_text_ends_with_the_counts_and_where_the_account_is(
    studio: Start, launch: Run, journal: Path
) -> None:
    studio()
    ran = launch(*LP, "--count", "3")
    assert ran.status == 0
    assert ran.out.startswith("3 ready of 3; 3 sessions made, ")
    assert ran.err.splitlines() == [
        f"greenroom: recorded in {journal}",
        f"greenroom: the account: greenroom report {journal}",
    ]


def test_specs_of_a_file_are_made_as_they_say(studio: Start, launch: Run, tmp_path: Path) -> None:
    simulator = studio()
    file = tmp_path / "desks.jsonl"
    file.write_text(
        '{"key": "anna", "instance_types": ["g5.2xlarge"], "owner": "a-1", "tags": {"show": "x"}}\n'
        "\n"
        '{"key": "ben", "launchProfileId": "lp-2", "streaming_image_id": "img-1"}\n'
    )
    ran = launch("--spec", str(file), *LP, "--tag", "wing=east", "--output", "json")
    assert ran.status == 0
    by_key = {each["key"]: each["id"] for each in _outcomes(ran)}
    now = simulator.clock()
    anna, ben = (simulator.studio.get_session(now, by_key[key]) for key in ("anna", "ben"))
    assert (anna["ec2InstanceType"], anna["ownedBy"]) == ("g5.2xlarge", "a-1")
    assert (anna["launchProfileId"], anna["tags"]) == ("lp-1", {"show": "x"})
    assert (ben["launchProfileId"], ben["streamingImageId"]) == ("lp-2", "img-1")
    assert ben["tags"] == {"wing": "east"}


def test_bad_specs_are_all_told_and_nothing_is_created(
    studio: Start, launch: Run, journal: Path, tmp_path: Path
) -> None:
    simulator = studio()
    file = tmp_path / "desks.jsonl"
    file.write_text('{"key": "a"}\n{"key": "a", "instance_type": "g4.huge"}\n{"colour": "red"}\n')
    ran = launch("--spec", str(file), *LP)
    assert ran.status == 2
    lines = ran.err.splitlines()
    places = [line.removeprefix("greenroom: error: ").partition(":")[0] for line in lines]
    assert places == [f"{file}, line {number}" for number in (2, 2, 3, 3)]
    assert "'g4.huge' is no instance type" in ran.err
    assert not simulator.truth()
    assert not journal.exists()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ((*LP,), "say what to launch"),
        (("--count", "3"), "--launch-profile-id"),
        ((*LP, "--count", "3", "--spec", "f"), "cannot both be meant"),
        ((*LP, "--count", "0"), "0 is not in the range"),
        ((*LP, "--count", "2", "--instance-type", "g4dn.huge"), "'g4dn.huge' is no instance type"),
        ((*LP, "--count", "2", "--streaming-image-id", "a b"), "is no image id"),
        ((*LP, "--count", "2", "--tag", "east"), "'east' is no tag"),
        ((*LP, "--count", "2", "--stream-urls", "f"), "needs --stream"),
        ((*LP, "--count", "2", "--no-journal"), "cannot both be meant"),
        ((*LP, "--spec", "/nowhere/desks"), "cannot read /nowhere/desks"),
        (("--resume",), "say what to launch"),
    ],
)
def test_bad_usage_creates_nothing(
    studio: Start, launch: Run, journal: Path, args: tuple[str, ...], complaint: str
) -> None:
    simulator = studio()
    ran = launch(*args)
    assert ran.status == 2
    assert ran.err.startswith("greenroom: error: ")
    assert complaint in ran.err
    assert not simulator.truth()
    assert not journal.exists()


def test_resuming_needs_a_journal(studio: Start, run: Run) -> None:
    studio()
    ran = run("launch", "--resume")
    assert ran.status == 2
    assert "--journal FILE" in ran.err


def test_a_journal_is_made_where_none_is_named(
    studio: Start, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio()
    monkeypatch.chdir(tmp_path)
    assert run("launch", *LP, "--count", "1", *FAST).status == 0
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("greenroom-")
    assert run("report", made.name).status == 0
    assert run("launch", *LP, "--count", "1", *FAST, "--no-journal").status == 0
    assert [*tmp_path.iterdir()] == [made]


def test_a_cause_that_only_a_person_removes_is_named(studio: Start, launch: Run) -> None:
    simulator = studio(create=BROKEN, failure={"median_s": 1})
    ran = launch(*LP, "--count", "40", "--in-flight", "4")
    assert ran.status == 1
    assert "nothing more is created (INITIALIZATION_SCRIPT_ERROR)" in ran.err
    assert ran.out.startswith("40 x INITIALIZATION_SCRIPT_ERROR: Mend the initialization scripts")
    assert len(simulator.truth()) <= 10 + 4


def test_a_refusal_is_4_and_is_asked_again_when_resumed(studio: Start, launch: Run) -> None:
    denied = {"kind": "AccessDeniedException", "operation": "CreateStreamingSession"}
    simulator = studio(faults=[denied])
    ran = launch(*LP, "--count", "5", "--output", "json")
    assert ran.status == 4
    assert Counter(each["verdict"] for each in _outcomes(ran))["error"] >= 1
    assert all(each["id"] is None for each in _outcomes(ran))
    simulator.configure({"faults": []})
    ran = launch("--resume", "--output", "json")
    assert ran.status == 0
    assert len(_outcomes(ran)) == len(simulator.truth()) == 5


def test_a_timeout_is_3(studio: Start, launch: Run) -> None:
    studio(speed=1.0)
    ran = launch(*LP, "--count", "2", "--timeout", "300ms")
    assert ran.status == 3
    assert "2 timed out of 2" in ran.out
    assert "--resume" in ran.err


def test_a_resumed_launch_tells_of_every_key_and_creates_nothing_twice(
    studio: Start, launch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = studio()
    first = launch(*LP, "--count", "6", "--output", "json")
    creates = simulator.statistics().calls["CreateStreamingSession"]
    monkeypatch.delenv("GREENROOM_ENDPOINT_URL")
    monkeypatch.delenv("GREENROOM_STUDIO_ID")
    again = launch("--resume", "--output", "json")
    assert again.status == 0
    assert _outcomes(again) == sorted(_outcomes(first), key=lambda each: each["key"])
    assert again.events[-1]["success"] == 6
    assert simulator.statistics().calls["CreateStreamingSession"] == creates == 6


def test_a_resumed_launch_goes_on_as_it_was_begun(
    studio: Start, run: Run, journal: Path, tmp_path: Path
) -> None:
    simulator = studio(speed=1.0)
    urls = tmp_path / "urls.jsonl"
    begun = ("launch", *LP, "--count", "2", "--journal", str(journal), "--timeout", "300ms")
    ran = run(*begun, *FAST, "--stream", "--stream-urls", str(urls), "--in-flight", "7")
    assert ran.status == 3
    header, _ = read_journal(journal)
    kept = {"timeout": 0.3, "rate": 100, "every": 0.05, "create_rate": 200, "in_flight": 7}
    assert kept.items() <= header.options.items()
    simulator.clock.advance(3600)
    again = ("launch", "--journal", str(journal), "--resume", "--timeout", "1m")
    ran = run(*again, "--output", "json")
    assert ran.status == 0
    assert len(urls.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (LP, "--launch-profile-id says what to launch"),
        (("--instance-type", "g5.xlarge"), "--instance-type says what to launch"),
        (("--count", "3", *LP), "'3' is not what this journal's launch"),
        (("--count", "1", *LP), "has 2 workstations, and not 1"),
        (("--count", "2", "--launch-profile-id", "lp-2"), "is not what this journal's launch"),
    ],
)
def test_what_a_launch_is_of_does_not_change(
    studio: Start, launch: Run, args: tuple[str, ...], complaint: str
) -> None:
    studio()
    launch(*LP, "--count", "2")
    ran = launch("--resume", *args)
    assert ran.status == 2
    assert complaint in ran.err


def test_what_failed_for_good_is_tried_again_on_request(studio: Start, launch: Run) -> None:
    simulator = studio(create=BROKEN)
    assert launch(*LP, "--count", "3").status == 1
    simulator.configure({"create": {"failures": {"INITIALIZATION_SCRIPT_ERROR": 0}}})
    assert launch("--resume").status == 1
    assert len(simulator.truth()) == 3
    ran = launch("--resume", "--retry-failed", "--output", "json")
    assert ran.status == 0
    assert [each["attempts"] for each in _outcomes(ran)] == [2, 2, 2]
    assert launch("--retry-failed", *LP, "--count", "3").status == 2


def test_a_journal_of_another_studio_is_refused(studio: Start, launch: Run) -> None:
    simulator = studio()
    launch(*LP, "--count", "1")
    ran = launch("--resume", "--studio-id", "us-west-2-xyz")
    assert ran.status == 2
    assert "and this is a source of us-west-2-xyz: connect to us-west-2-simulated" in ran.err
    assert len(simulator.truth()) == 1


def test_a_journal_that_is_there_is_not_overwritten(
    studio: Start, launch: Run, journal: Path
) -> None:
    simulator = studio()
    journal.write_text("my diary")
    ran = launch(*LP, "--count", "1")
    assert ran.status == 2
    assert "exists already" in ran.err
    ran = launch("--resume")
    assert ran.status == 2
    assert "is not a journal" in ran.err
    assert journal.read_text() == "my diary"
    assert not simulator.truth()


def test_a_journal_of_another_version_is_refused(studio: Start, launch: Run, journal: Path) -> None:
    studio()
    launch(*LP, "--count", "1")
    with sqlite3.connect(journal) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    ran = launch("--resume")
    assert ran.status == 2
    assert "version 99" in ran.err


def test_a_journal_that_cannot_be_written_any_more_stops_creating(
    studio: Start, launch: Run, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = studio()
    append, written = Journal.append, []

    def full(self: Journal, events: Any) -> None:
        if len(written) > 20:
            raise JournalError("the disk is full", str(journal))
        append(self, events)
        written.extend(events)

    monkeypatch.setattr(Journal, "append", full)
    ran = launch(*LP, "--count", "100", "--canary", "0", "--output", "json")
    assert ran.status == 1
    assert "nothing more is created (JOURNAL): the disk is full" in ran.err
    outcomes = _outcomes(ran)
    assert len(outcomes) == 100
    assert {each["id"] for each in outcomes if each["id"]} == set(simulator.truth())
    intents = {event.token for event in written if type(event).__name__ == "CreateIntended"}
    assert len(simulator.truth()) <= len(intents) < 100


def test_a_journal_that_lacks_how_it_ended_is_to_be_resumed(
    studio: Start, launch: Run, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio()
    append = Journal.append

    def full(self: Journal, events: Any) -> None:
        if any(type(event).__name__ == "Settled" for event in events):
            raise JournalError("the disk is full", str(journal))
        append(self, events)

    monkeypatch.setattr(Journal, "append", full)
    ran = launch(*LP, "--count", "3")
    assert ran.status == 0
    assert "error: the disk is full" in ran.err
    assert f"to resume: greenroom launch --journal {journal} --resume" in ran.err


def test_streams_are_written_to_a_file_for_the_user_alone(
    studio: Start, launch: Run, journal: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    studio()
    caplog.set_level(logging.DEBUG)
    urls = tmp_path / "urls.jsonl"
    ran = launch(*LP, "--count", "3", "--stream", "--stream-urls", str(urls), "--output", "json")
    assert ran.status == 0
    told = [json.loads(line) for line in urls.read_text().splitlines()]
    assert {each["key"] for each in told} == {"1", "2", "3"}
    assert all(each["url"].startswith("https://") for each in told)
    assert all(each["expires_at"].endswith("Z") for each in told)
    assert stat.S_IMODE(urls.stat().st_mode) == 0o600
    for secret in (each["url"].split("?key=")[1] for each in told):
        for place in (ran.out, ran.err, caplog.text):
            assert secret not in place
        assert secret.encode() not in journal.read_bytes()
    again = launch(*LP, "--count", "3", "--stream", "--stream-urls", str(urls), "--resume")
    assert again.status == 0
    refused = launch(*LP, "--count", "3", "--stream", "--stream-urls", str(urls))
    assert refused.status == 2
    assert "File exists" in refused.err


def test_a_url_for_which_there_is_no_room_is_told_and_leaves_no_part_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls, room = tmp_path / "urls.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    ready = [
        StreamReady(
            at=datetime.now(UTC),
            key=key,
            id=f"s-{key}",
            stream=StreamAccess("st", url=f"https://stream.example/{'x' * length}"),
        )
        for key, length in (("a", 300), ("b", 300), ("c", 10))
    ]
    with url_file(urls, append=False) as write:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, room[1]))
        try:
            for event in ready:
                write(event)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, room)
    assert [json.loads(line)["key"] for line in urls.read_text().splitlines()] == ["a", "c"]
    assert "the URL of b's stream cannot be written: File too large" in capsys.readouterr().err


def test_what_fails_is_deleted_where_that_is_asked_for(studio: Start, launch: Run) -> None:
    simulator = studio(create=BROKEN)
    ran = launch(*LP, "--count", "3", "--on-failure", "delete", "--output", "json")
    assert ran.status == 1
    assert [each["state"] for each in _outcomes(ran)] == ["CREATE_FAILED"] * 3
    assert {changes[-1].state for changes in simulator.truth().values()} == {"DELETED"}


def _begin(spawn: Spawn, journal: Path, *args: str) -> subprocess.Popen[str]:
    """Start a launch of 20, and return when all of them are on their way."""
    process = spawn(
        *("launch", *LP, "--count", "20", "--canary", "0", "--journal", str(journal)),
        *("--output", "json", *FAST, *args),
    )
    assert process.stdout
    for _ in range(20):
        assert json.loads(process.stdout.readline())["event"] == "transition"
    return process


@pytest.mark.parametrize("fate", ["keep", "delete"])
def test_ctrl_c_stops_a_launch_and_says_how_to_go_on(
    studio: Start, spawn: Spawn, launch: Run, journal: Path, fate: str
) -> None:
    simulator = studio(speed=50.0, create={"median_s": 1e6, "sigma": 0})
    process = _begin(spawn, journal, "--on-failure", fate)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert "recorded in" in process.stderr.readline()
    assert "Ctrl-C again leaves at once" in process.stderr.readline()
    if fate == "delete":  # which takes sessions that are made
        simulator.clock.advance(1e6)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["cancelled"] == 20
    assert f"greenroom launch --journal {journal} --resume" in err
    states = Counter(changes[-1].state for changes in simulator.truth().values())
    assert states == {"CREATE_IN_PROGRESS" if fate == "keep" else "DELETED": 20}
    simulator.configure({"create": {"median_s": 10}})
    simulator.clock.advance(1e6)
    ran = launch("--resume", "--output", "json")
    assert ran.status == 0
    assert len(_outcomes(ran)) == 20
    assert len(simulator.truth()) == (20 if fate == "keep" else 40)


def test_a_second_ctrl_c_leaves_at_once(studio: Start, spawn: Spawn, journal: Path) -> None:
    studio(speed=1.0, create={"median_s": 1e6, "sigma": 0}, delete={"median_s": 1e6, "sigma": 0})
    process = _begin(spawn, journal, "--on-failure", "delete")
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert "recorded in" in process.stderr.readline()
    assert "stopping" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["cancelled"] == 20
    assert f"--journal {journal} --resume" in err


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_full_disk_behind_standard_output_is_told_and_nothing_is_lost(
    studio: Start, launch: Run, journal: Path, output: str
) -> None:
    simulator = studio()
    command = ("launch", *LP, "--count", "5", "--journal", str(journal), *FAST)
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a Path is imported for types alone
        done = subprocess.run(
            [sys.executable, "-m", "greenroom", *command, "--output", output],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    said = "greenroom: error: standard output cannot be written: No space left on device"
    assert done.stderr.splitlines()[-1] == said
    assert {result.id for result in read_report(journal).values()} - {None} == {*simulator.truth()}
    ran = launch("--resume", "--output", "json")
    assert ran.status == 0
    assert {each["id"] for each in _outcomes(ran)} == set(simulator.truth())


def test_a_full_disk_behind_standard_error_ends_nothing(
    studio: Start, launch: Run, journal: Path
) -> None:
    simulator = studio()
    command = ("launch", *LP, "--count", "5", "--journal", str(journal), *FAST)
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a Path is imported for types alone
        done = subprocess.run(
            [sys.executable, "-m", "greenroom", *command, "--output", "json", "--verbose"],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["id"] for each in told if each["event"] == "outcome"} == set(simulator.truth())
    assert told[-1]["success"] == 5


def test_a_launch_that_nobody_reads_any_more_stops(
    studio: Start, spawn: Spawn, journal: Path
) -> None:
    simulator = studio(speed=20.0)
    process = _begin(spawn, journal)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=30) == 141
    assert f"--journal {journal} --resume" in err
    read = read_report(journal)
    assert {result.id for result in read.values()} == set(simulator.truth())
    assert not read.running


def test_a_live_view_keeps_what_must_not_be_missed(
    studio: Start, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio(speed=1.0)
    monkeypatch.setenv("TERM", "xterm")
    terminal, end = os.openpty()
    command = ("launch", *LP, "--count", "3", "--journal", str(journal), *FAST)
    process = subprocess.Popen([sys.executable, "-m", "greenroom", *command], stderr=end)
    os.close(end)
    shown, asked = b"", False
    hung_up = suppress(OSError)  # how a terminal says that nobody is at its other end
    with process, os.fdopen(terminal, "rb", buffering=0) as screen, hung_up:
        while more := screen.read(4096):
            shown += more
            if b"waiting" in shown and not asked:
                asked = True
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert b"stopping: nothing more is created" in shown
    assert f"--journal {journal} --resume".encode() in shown


def test_a_journal_in_use_is_refused(
    studio: Start, spawn: Spawn, launch: Run, run: Run, journal: Path
) -> None:
    simulator = studio(speed=1.0)
    _begin(spawn, journal)
    ran = launch("--resume")
    assert ran.status == 2
    assert "in use by another process" in ran.err
    assert len(simulator.truth()) == 20
    assert run("report", str(journal)).status == 0


def test_sessions_are_stopped_started_and_deleted(studio: Start, create: Create, run: Run) -> None:
    simulator = studio()
    ids = create(simulator, 5)
    for action, state in (("stop", "STOPPED"), ("start", "READY"), ("delete", "DELETED")):
        ran = run(action, "nimble-session", *ids, *FAST[:4], "--output", "json")
        assert ran.status == 0, (action, ran.err)
        assert {each["id"] for each in _outcomes(ran)} == set(ids)
        assert {changes[-1].state for changes in simulator.truth().values()} == {state}
        assert ran.events[-1]["success"] == 5
    assert ran.events[-1]["calls"] >= 5


def test_what_cannot_be_started_is_told(
    studio: Start, create: Create, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = {"settle": 0.5, "not_found_grace": 0.5}
    monkeypatch.setattr(_wait, "Poller", lambda source, **given: Poller(source, **given | brief))
    (session_id,) = create(studio(create=BROKEN))
    ran = run("start", "nimble-session", session_id, *FAST[:4])
    assert ran.status == 1
    assert f"{session_id} is CREATE_FAILED" in ran.out
    ran = run("start", "nimble-session", "nobody", *FAST[:4])
    assert ran.status == 1
    assert "nobody does not exist" in ran.out


def test_another_kind_cannot_be_acted_on(studio: Start, run: Run) -> None:
    studio()
    ran = run("stop", "nimble-image", "img-1")
    assert ran.status == 2
    assert "stop is for nimble-session" in ran.err


def test_an_interrupted_action_accounts_for_everyone(
    studio: Start, create: Create, spawn: Spawn
) -> None:
    ids = create(studio(speed=1.0), 3)
    process = spawn("delete", "nimble-session", *ids, "--output", "json")
    assert process.stdout
    for _ in ids:
        assert json.loads(process.stdout.readline())["event"] == "transition"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["cancelled"] == 3
