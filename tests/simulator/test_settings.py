import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.simulator import Fault, Settings, SettingsError, Work

EXAMPLE = """
seed = 7
latency = [0.02, 0.2]
read_lag = 5
max_sessions = 500

[create]
median_s = 120
failures = { INSUFFICIENT_CAPACITY = 0.05, INTERNAL_ERROR = 0.01 }

[throttle.ListStreamingSessions]
rate = 5
burst = 10

[[faults]]
kind = "outage"
from_s = 60
until_s = 90
"""


def test_a_toml_file_is_read_and_what_it_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    file = tmp_path / "studio.toml"
    file.write_text(EXAMPLE)

    settings = Settings.from_file(file)

    assert settings.create == Work(
        median_s=120, failures={"INSUFFICIENT_CAPACITY": 0.05, "INTERNAL_ERROR": 0.01}
    )
    assert settings.latency == (0.02, 0.2)
    assert settings.limit("ListStreamingSessions").rate == 5
    assert settings.limit("GetStreamingSession").rate == 10
    assert settings.limit("CreateStreamingSession").burst == 500
    assert settings.faults == (Fault(kind="outage", from_s=60, until_s=90),)
    assert settings.start == Settings().start


def test_what_is_shown_as_json_can_be_read_back(tmp_path: Path) -> None:
    toml, as_json = tmp_path / "studio.toml", tmp_path / "studio.json"
    toml.write_text(EXAMPLE)
    settings = Settings.from_file(toml)

    as_json.write_text(json.dumps(settings.as_table(), allow_nan=False))

    assert Settings.from_file(as_json) == settings


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"create": {"median_s": -3}}, "create.median_s: -3 must be greater than 0 seconds"),
        ({"create": {"median_s": True}}, "create.median_s: True must be a number, greater than 0"),
        ({"create": {"sigma": float("nan")}}, "create.sigma: nan must be between 0 and 10"),
        ({"create_lag": float("inf")}, "create_lag: inf must be at least 0 seconds"),
        ({"create_lag": 10**400}, "create_lag: 1000"),
        ({"create": 5}, "create: 5 must be a table"),
        ({"creat": {}}, "creat: no such setting; did you mean create?"),
        (
            {"create": {"failures": {"INTERNAL_EROR": 1}}},
            "create.failures.INTERNAL_EROR: no such status code; did you mean INTERNAL_ERROR?",
        ),
        (
            {"create": {"failures": {"INTERNAL_ERROR": 0.6, "AMI_VALIDATION_ERROR": 0.6}}},
            "create.failures: add up to 1.2, and must not exceed 1",
        ),
        (
            {"stream": {"failures": {"AMI_VALIDATION_ERROR": 0.1}}},
            "stream.failures.AMI_VALIDATION_ERROR: no such status code; choose from "
            "INTERNAL_ERROR, NETWORK_CONNECTION_ERROR",
        ),
        (
            {"throttle": {"GetSession": {"rate": 1, "burst": 1}}},
            "throttle.GetSession: no such operation; did you mean GetStreamingSession?",
        ),
        ({"throttle": {"*": {"rate": 1}}}, "throttle.*.burst: is required"),
        ({"throttle": []}, "throttle: [] must be a table"),
        ({"latency": [2, 1]}, "latency: [2.0, 1.0] must be seconds, or [lowest, highest]"),
        ({"latency": "fast"}, "latency: 'fast' must be a number, at least 0 seconds"),
        ({"page_size": 0}, "page_size: 0 must be a whole number of at least 1"),
        ({"page_size": 1.5}, "page_size: 1.5 must be a whole number of at least 1"),
        ({"seed": "x"}, "seed: 'x' must be a whole number"),
        ({"ignore_filter": 1}, "ignore_filter: 1 must be true or false"),
        ({"studios": {"s-1": "REDY"}}, "studios.s-1: 'REDY': no such state; did you mean READY?"),
        ({"faults": "drop"}, "faults: 'drop' must be a list"),
        ({"faults": [{}]}, "faults[0].kind: is required"),
        ({"faults": ["drop"]}, "faults[0]: 'drop' must be a table"),
        ({"faults": [{"kind": "htm"}]}, "faults[0].kind: 'htm': no such kind of fault; did you"),
        (
            {"faults": [{"kind": "drop", "probability": 7}]},
            "faults[0].probability: 7 must be between 0 and 1",
        ),
        (
            {"faults": [{"kind": "drop"}, {"kind": "outage", "operation": "GetStudio"}]},
            'faults[1].operation: an outage takes every operation down; write "*"',
        ),
        ({"faults": [{"kind": "slow"}]}, "faults[0].delay_s: 0 must be greater than 0 seconds"),
        ({"faults": [{"kind": "late"}]}, "faults[0].delay_s: 0 must be greater than 0 seconds"),
        (
            {"faults": [{"kind": "html", "status": 200}]},
            "faults[0].status: 200 must be a whole number of at least 400",
        ),
        (
            {"faults": [{"kind": "html", "status": 600}]},
            "faults[0].status: 600 must be a whole number of at least 400",
        ),
        ({"faults": [{"kind": "drop", "status": 500}]}, "faults[0].status: drop has a status of"),
        (
            {"faults": [{"kind": "drop", "from_s": 9, "until_s": 3}]},
            "faults[0].until_s: 3 must be later than from_s",
        ),
        ([], "[] must be a table of settings"),
    ],
)
def test_a_wrong_value_is_named_with_the_remedy(table: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_table(table)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_is_refused_in_python_too() -> None:
    with pytest.raises(SettingsError, match="median_s: 0 must be greater than 0 seconds"):
        Work(median_s=0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "seed = [", "a.toml: cannot be understood"),
        ("a.json", "{", "a.json: cannot be understood"),
        ("a.toml", "page_size = 0", "a.toml: page_size: 0 must be"),
    ],
)
def test_the_message_about_a_bad_file_begins_with_its_path(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        Settings.from_file(file)

    assert str(caught.value).startswith(str(tmp_path / message))


def test_a_file_that_is_not_there_is_an_error_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings.from_file(tmp_path / "none.toml")


def test_merging_keeps_what_is_not_named_and_replaces_lists() -> None:
    before = Settings.from_table({"create": {"sigma": 0}, "faults": [{"kind": "drop"}]})

    after = before.merged({"create": {"median_s": 1}, "faults": [], "max_sessions": 3})

    assert after.create == Work(median_s=1, sigma=0)
    assert after.faults == ()
    assert after.max_sessions == 3
    assert before.max_sessions is None
