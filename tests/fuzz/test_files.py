"""Files of specs, of ids and of settings: what is in them, and what stands where they should."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import hostile
from tests.fuzz.effort import fuzzed
from tests.fuzz.invariants import assert_refused, hold
from tests.fuzz.runner import Ran, run

from greenroom.simulator import Settings

STUDIO = ("--endpoint-url", "http://127.0.0.1:1", "--studio-id", "us-west-2-abc")

SPECS: dict[str, list[Any]] = {
    "nimble-session": [
        {"key": "a", "launch_profile_id": "lp-1", "instance_types": ["g5.xlarge", "g5.2xlarge"]},
        {"key": "b", "launchProfileId": "lp-1", "tags": {"project": "orchid"}, "owner": "me"},
        {"key": "c", "launch_profile_id": "lp-1", "streaming_image_id": "image-1"},
    ],
    "ec2-instance": [
        {
            "key": "a",
            "image_id": "ami-1",
            "instance_types": ["g5.xlarge"],
            "subnet_ids": ["subnet-1"],
        },
        {
            "key": "b",
            "launch_template": "desks:3",
            "user_data": "#!",
            "spot": True,
            "tags": {"a": ""},
        },
        {"key": "c", "launch_template": "desks", "request": {"Monitoring": {"Enabled": True}}},
    ],
}

SETTINGS = Settings.from_table(
    {
        "latency": [0.05, 0.2],
        "retry_after": 1,
        "throttle": {"*": {"rate": 1, "burst": 2}},
        "faults": [{"kind": "slow", "delay_s": 2, "times": 1, "until_s": 5}],
        "create": {"failures": {"INTERNAL_ERROR": 0.5}},
        "launch_profiles": {"lp-1": "READY"},
    }
).as_table()

TOML = b"""seed = 7
latency = [0.05, 0.2]
[create]
median_s = 150
failures = { INTERNAL_ERROR = 0.01 }
[throttle.ListStreamingSessions]
rate = 10
burst = 20
[[faults]]
kind = "outage"
from_s = 60
"""

IDS = b"s-1\n# the second\n  s-2  \r\n\n\xc3\xbc\n"


def launched(kind: str, content: bytes, *, piped: bool = False) -> Ran:
    """Launch what a file says, or standard input."""
    where = STUDIO if kind == "nimble-session" else ()
    args = ("launch", kind, *where, "--journal", "run.db", "--spec")
    if piped:
        return run(*args, "-", stdin=content)
    return run(*args, "specs.jsonl", prepare=lambda at: (at / "specs.jsonl").write_bytes(content))


def lines_of(values: list[Any]) -> bytes:
    return b"\n".join(map(hostile.as_json, values))


def hold_launch(ran: Ran) -> None:
    hold(ran)
    assert ran.changed <= {"run.db"}


@pytest.mark.parametrize("kind", SPECS)
def test_specs_that_are_right_are_taken(kind: str) -> None:
    ran = launched(kind, lines_of(SPECS[kind]))
    assert (ran.status, ran.changed) == (None, {"run.db"}), ran.err


@pytest.mark.parametrize("kind", SPECS)
@given(content=hostile.soup, piped=st.booleans())
@fuzzed(35)
def test_a_file_of_specs_that_is_something_else(kind: str, content: bytes, piped: bool) -> None:
    assert_refused(launched(kind, content, piped=piped))


@pytest.mark.parametrize("kind", SPECS)
@given(data=st.data())
@fuzzed(25)
def test_a_file_of_specs_that_is_damaged(kind: str, data: st.DataObject) -> None:
    hold_launch(launched(kind, data.draw(hostile.mangled(lines_of(SPECS[kind])))))


@pytest.mark.parametrize("kind", SPECS)
@given(data=st.data())
@fuzzed(35)
def test_specs_with_a_member_that_is_wrong(kind: str, data: st.DataObject) -> None:
    specs = data.draw(hostile.altered(SPECS[kind]))
    hold_launch(launched(kind, lines_of(specs if isinstance(specs, list) else [specs])))


@pytest.mark.parametrize("kind", SPECS)
@given(each=hostile.values.filter(lambda value: not isinstance(value, dict)))
@fuzzed(20)
def test_a_line_that_is_no_object(kind: str, each: Any) -> None:
    ran = launched(kind, lines_of([*SPECS[kind], each]))
    assert_refused(ran)
    assert "line 4: it is not" in ran.err


@given(content=hostile.soup | hostile.mangled(IDS), piped=st.booleans())
@fuzzed(35)
def test_a_file_of_ids(content: bytes, piped: bool) -> None:
    args = ("get", "nimble-session", *STUDIO, "--ids-from")
    if piped:
        hold(run(*args, "-", stdin=content))
    else:
        hold(run(*args, "ids", prepare=lambda at: (at / "ids").write_bytes(content)))


@given(content=hostile.soup | hostile.mangled(TOML) | hostile.mangled(hostile.as_json(SETTINGS)))
@pytest.mark.parametrize("name", ["studio.toml", "studio.json"])
@fuzzed(25)
def test_a_file_of_settings(name: str, content: bytes) -> None:
    hold(configured(name, content))


@given(settings=hostile.altered(SETTINGS))
@fuzzed(50)
def test_settings_with_a_member_that_is_wrong(settings: Any) -> None:
    ran = configured("studio.json", hostile.as_json(settings))
    hold(ran)
    if ran.status == 0:
        assert Settings.from_table(json.loads(ran.out)) == Settings.from_table(settings)


def configured(name: str, content: bytes) -> Ran:
    args = ("simulator", "--config", name, "--print-config")
    return run(*args, prepare=lambda at: (at / name).write_bytes(content))


def _a_folder(path: Path) -> None:
    path.mkdir()


def _a_circle(path: Path) -> None:
    path.symlink_to(path.name)


def _empty(path: Path) -> None:
    path.touch()


def _nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _a_device(path: Path) -> None:
    path.symlink_to(os.devnull)


def _closed(path: Path) -> None:
    path.touch(mode=0)


@pytest.mark.parametrize("make", [_a_folder, _a_circle, _empty, _nowhere, _a_device, _closed])
@pytest.mark.parametrize(
    "args",
    [
        ("get", "nimble-session", *STUDIO, "--ids-from", "file"),
        ("get", "nimble-session", "s-1", *STUDIO, "--history", "file"),
        ("launch", *STUDIO, "--launch-profile-id", "lp-1", "--no-journal", "--spec", "file"),
        ("plan", "--count", "2", "--history", "file"),
        ("report", "file"),
    ],
)
def test_what_is_no_file_with_anything_in_it(
    make: Callable[[Path], None], args: tuple[str, ...]
) -> None:
    assert_refused(run(*args, prepare=lambda at: make(at / "file")))


@pytest.mark.parametrize("make", [_a_folder, _a_circle, _nowhere])
@pytest.mark.parametrize(
    "args",
    [
        ("simulator", "--config", "file"),
        ("launch", *STUDIO, "--journal", "file", "--resume"),
    ],
)
def test_what_is_no_file(make: Callable[[Path], None], args: tuple[str, ...]) -> None:
    assert_refused(run(*args, prepare=lambda at: make(at / "file")))


@pytest.mark.parametrize("make", [_a_circle, _nowhere, _empty])
def test_a_journal_in_what_is_no_folder(make: Callable[[Path], None]) -> None:
    one = (*STUDIO, "--launch-profile-id", "lp-1", "--count", "1")
    ran = run("launch", *one, "--journal", "file/run.db", prepare=lambda at: make(at / "file"))
    assert_refused(ran)
