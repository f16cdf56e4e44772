"""What the fuzzer has found, each in its smallest case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.fuzz.invariants import assert_named, assert_refused
from tests.fuzz.journals import edit, used
from tests.fuzz.runner import run
from tests.launch.conftest import Studio

import greenroom
from greenroom.sources import nimble
from greenroom.testing import run as run_in_virtual_time

STUDIO = ("--endpoint-url", "http://127.0.0.1:1", "--studio-id", "us-west-2-abc")
ONE = ("nimble-session", "s-1", *STUDIO)
LAUNCH = ("launch", *STUDIO, "--launch-profile-id", "lp-1", "--count", "1")

NO_PATH = ["\0", "\ud800"]
"""What no file can be called: a NUL, and half a pair of surrogates."""


@pytest.mark.parametrize(
    "args",
    [
        ("get", *ONE, "--profile"),
        ("get", *ONE, "--ids-from"),
        ("get", *ONE, "--history"),
        ("report",),
        ("simulator", "--config"),
        ("kinds", "--\x1b[2J"),
    ],
)
def test_a_complaint_writes_out_what_a_terminal_would_obey(args: tuple[str, ...]) -> None:
    ran = run(*args, "\x1b[2J")
    assert_refused(ran)
    assert r"\x1b[2J" in ran.err


def test_a_complaint_about_something_long_keeps_its_beginning_and_its_end() -> None:
    ran = run("table", "x" * 100_000)
    assert_refused(ran)
    assert "there is no kind 'xxx" in ran.err
    assert ran.err.endswith("aws:SERVICE:WAITER\n")


@pytest.mark.parametrize(
    ("journal", "word"), [("a b.db", "'a b.db'"), ("a\n'.db", r"$'a\x0a\x27.db'")]
)
def test_the_command_that_resumes_names_the_very_file(journal: str, word: str) -> None:
    ran = run(*LAUNCH, "--journal", journal)
    assert ran.status is None
    assert f"greenroom launch --journal {word} --resume\n" in ran.err
    assert f"greenroom report {word}\n" in ran.err


@pytest.mark.parametrize("path", NO_PATH)
@pytest.mark.parametrize(
    "args",
    [
        ("get", *ONE, "--ids-from"),
        ("get", *ONE, "--history"),
        ("report",),
        (*LAUNCH, "--journal"),
        (*LAUNCH, "--resume", "--journal"),
        (*LAUNCH, "--no-journal", "--stream", "--stream-urls"),
        ("simulator", "--config"),
        ("simulator", "--host"),
    ],
)
def test_what_cannot_be_a_path_is_refused(args: tuple[str, ...], path: str) -> None:
    ran = run(*args, path)
    assert_refused(ran)
    assert_named(ran, path)


@pytest.mark.parametrize(
    "args",
    [
        ("get", "nimble-session", "\ud800", *STUDIO),
        ("get", "nimble-session", "s-1", *STUDIO[:3], "\ud800"),
        ("get", "nimble-session", "s-1", *STUDIO[2:], "--endpoint-url", "http://h/\ud800"),
        ("get", "workspace", "ws-\ud800"),
        ("get", "aws:rds:db_instance_available", "DBInstanceIdentifier=\ud800"),
        ("get", "aws:rds:db_instance_available", '{"DBInstanceIdentifier": "\\ud800"}'),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is_tried_for_half_a_minute(
    args: tuple[str, ...],
) -> None:
    ran = run(*args)
    assert_refused(ran)
    assert "ud800" in ran.err


@pytest.mark.parametrize("region", ["us-west-2\n", "\n", "a b", "\x1b[2J", "ü"])
def test_a_region_is_the_name_of_one(region: str) -> None:
    ran = run("get", "ec2-instance", "i-1", "--region", region)
    assert_refused(ran)
    assert "us-west-2" in ran.err


@pytest.mark.parametrize("url", ["http://a b", "http://\0", "http://ü", "http://h\n"])
def test_an_endpoint_that_cannot_be_is_shown_one_that_can(url: str) -> None:
    ran = run("get", "nimble-session", "s-1", *STUDIO[2:], "--endpoint-url", url)
    assert_refused(ran)
    assert "http://127.0.0.1:8000" in ran.err


@pytest.mark.parametrize("use", ["report", "page", "resume", "plan"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE launch SET id = x'00'",
        "UPDATE launch SET place = x''",
        "UPDATE launch SET created = 1e300",
        f"UPDATE launch SET options = '{'[' * 3000}'",
        f"UPDATE specs SET spec = '{'[' * 3000}' WHERE number = 1",
    ],
)
def test_a_launch_that_is_garbage_is_a_damaged_journal(use: str, statement: str) -> None:
    ran = used(use, edit((statement, ())))
    assert_refused(ran)
    assert "is damaged" in ran.err


def test_the_calls_of_a_launch_that_was_resumed_after_a_century_are_told_at_once() -> None:
    ran = used("page", edit(("UPDATE events SET at = 3e9 + at WHERE number > 150", ())))
    assert ran.status == 0


@pytest.mark.parametrize("value", [b"a", object(), [1], 1])
@pytest.mark.parametrize("argument", ["poller", "creates", "journal", "options"])
def test_a_launch_is_not_begun_with_what_is_none(argument: str, value: object) -> None:
    specs = [{"key": "a", "launch_profile_id": "lp"}]
    with pytest.raises(greenroom.ConfigurationError, match=f"^{argument}="):
        greenroom.Launch(Studio(), specs, **{argument: value})


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"action": set()}, "action=set"),
        ({"changes": b""}, "changes=b''"),
        ({"poller": b""}, "poller=b''"),
    ],
)
def test_an_action_is_not_begun_with_what_is_none(given: dict[str, Any], complaint: str) -> None:
    studio = Studio()
    action, others = given.get("action", "stop"), {**given, "timeout": 1}
    others.pop("action", None)
    with pytest.raises(greenroom.ConfigurationError, match=complaint):
        run_in_virtual_time(lambda: greenroom.act(studio, action, ["s-1"], **others))
    assert not studio.counts


@pytest.mark.parametrize("argument", ["studio_id", "region_name", "profile", "endpoint_url"])
@pytest.mark.parametrize("value", [b"a", [1], object()])
def test_a_place_is_text(argument: str, value: object) -> None:
    where = {"studio_id": "s", "region_name": "us-west-2", "endpoint_url": "http://127.0.0.1:1"}
    with pytest.raises(greenroom.ConfigurationError, match=f"^{argument}="):
        run_in_virtual_time(nimble.connect(**{**where, argument: value}).__aenter__)


@pytest.mark.parametrize(
    "argument", ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]
)
def test_a_credential_of_the_wrong_kind_is_not_shown(argument: str) -> None:
    where = {"studio_id": "s", "region_name": "us-west-2", "endpoint_url": "http://127.0.0.1:1"}
    with pytest.raises(greenroom.ConfigurationError) as caught:
        run_in_virtual_time(nimble.connect(**{**where, argument: b"hidden"}).__aenter__)
    assert str(caught.value) == f"{argument} must be text, and is bytes"


@pytest.mark.parametrize("read", [greenroom.read_history, greenroom.read_report])
@pytest.mark.parametrize("path", [b"run.db", None, 1])
def test_a_path_is_text(read: Callable[[Any], object], path: object) -> None:
    with pytest.raises(greenroom.ConfigurationError, match="is no path, such as"):
        read(path)


@pytest.mark.parametrize(
    ("lines", "defaults", "complaint"),
    [
        (None, None, "lines is one NoneType"),
        (b"{}", None, "lines is one bytes"),
        ([0], None, "line 1: 0 is no line of text"),
        (['{"key": "a"}'], b"\0", "defaults=b'.x00' must be a dict"),
    ],
)
def test_specs_are_lines_of_text(lines: Any, defaults: Any, complaint: str) -> None:
    with pytest.raises(greenroom.SpecError, match=complaint):
        greenroom.read_specs(lines, defaults=defaults)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--rate", "1e13"), ("--price", "1e300"), ("--every", "9" * 13), ("--timeout", "1e13")),
        *(("--ceiling", "9" * 13), ("--rate", "1.7e308")),
    ],
)
def test_a_number_beyond_all_use_is_refused_by_its_option(option: str, value: str) -> None:
    ran = run("wait", *ONE, "--until", "READY", option, value)
    assert_refused(ran)
    assert option in ran.err


@pytest.mark.parametrize("speed", ["1e-300", "0.0009", "1000001", "1e300"])
@pytest.mark.parametrize("command", ["demo", "simulator"])
def test_a_speed_at_which_nothing_can_be_seen_is_refused(command: str, speed: str) -> None:
    ran = run(command, "--speed", speed)
    assert_refused(ran)
    assert f"'--speed': '{speed}' must be " in ran.err


def test_options_that_a_journal_cannot_keep_are_refused() -> None:
    specs = [{"key": "a", "launch_profile_id": "lp"}]
    with pytest.raises(greenroom.ConfigurationError, match="must be what JSON has"):
        greenroom.Launch(Studio(), specs, options={"studio": object()})


@pytest.mark.parametrize("stays", [None, 1, [1], ["s"], [(1.0,)]])
def test_stays_are_pairs(stays: Any) -> None:
    with pytest.raises(greenroom.ConfigurationError, match="must be pairs, as"):
        greenroom.History().add("kind", "state", stays)


def test_a_median_that_no_rehearsal_comes_to_the_end_of_is_refused() -> None:
    ran = run("plan", "--count", "2", "--median", "99999h", "--timeout", "none", working=True)
    assert_refused(ran)
    assert "'99999h' is more than a day; write it as in 8m" in ran.err
