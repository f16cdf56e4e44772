from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

WAIT = ("wait", "nimble-session", "s-1", "--until", "READY")
WHERE = ("--endpoint-url", "http://127.0.0.1:1", "--studio-id", "us-west-2-abc")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("wat",), "Did you mean"),
        (
            ("wait", "nimble-session", "s-1", *WHERE),
            "Missing option '--until', such as --until READY",
        ),
        (("wait", "nimble-session", "--until", "READY", *WHERE), "there are no ids"),
        (("wait", "nimble-session", " ", "--until", "READY", *WHERE), "' ' is no id"),
        (("wait", "ec3", "s-1", "--until", "READY"), "there is no kind 'ec3'"),
        (("wait", "nimble-session", "s", "--until", "REDY", *WHERE), "did you mean 'READY'?"),
        ((*WAIT, "--timeout", "-5m"), "is no duration"),
        ((*WAIT, "--timeout", "nan"), "is no duration"),
        ((*WAIT, "--rate", "0"), "a number above 0"),
        ((*WAIT, "--burst", "0"), "0 is not in the range"),
        ((*WAIT, "--every", "0"), "more than 0"),
        ((*WAIT, "--ids-from", "/nowhere/ids"), "cannot read /nowhere/ids"),
        (WAIT, "GREENROOM_ENDPOINT_URL"),
        ((*WAIT, *WHERE[:2]), "GREENROOM_STUDIO_ID"),
        ((*WAIT, "--endpoint-url", "nonsense", "--studio-id", "s"), "not an http or https URL"),
        (("simulator", "--config", "/nowhere/studio.toml"), "/nowhere/studio.toml: cannot be read"),
        (("simulator", "--speed", "0"), "a number above 0"),
        (("demo", "--sessions", "0"), "0 is not in the range"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_bad_usage_is_one_line_and_2(
    run: Callable[..., Ran], args: tuple[str, ...], complaint: str
) -> None:
    ran = run(*args)
    assert ran.status == 2
    assert not ran.out
    assert ran.err.startswith("greenroom: error: ")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


def test_no_credentials(run: Callable[..., Ran]) -> None:
    ran = run(*WAIT, *WHERE, "--region", "us-west-2")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "AWS_ACCESS_KEY_ID" in ran.err


def test_a_wrong_configuration_of_the_simulator(run: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "studio.toml"
    file.write_text("[create]\nmedian_s = -1\n")
    ran = run("simulator", "--config", str(file))
    assert ran.status == 2
    assert "create.median_s" in ran.err


def test_without_a_command_help_is_shown(run: Callable[..., Ran]) -> None:
    ran = run()
    assert ran.status == 2
    assert "greenroom demo" in ran.err


@pytest.mark.parametrize(
    "command",
    [
        *(
            "delete",
            "demo",
            "get",
            "kinds",
            "launch",
            "report",
            "simulator",
            "start",
            "stop",
            "table",
        ),
        *("wait", "watch"),
    ],
)
def test_help_has_examples(run: Callable[..., Ran], command: str) -> None:
    ran = run(command, "--help")
    assert ran.status == 0
    assert f"\n    greenroom {command}" in ran.out


def test_every_polling_command_tells_its_exit_status(run: Callable[..., Ran]) -> None:
    for command in ("wait", "get", "watch"):
        assert "3    none failed, but at least one timed out" in run(command, "-h").out


@pytest.mark.parametrize(
    ("missing", "args", "advice"),
    [
        ("click", ["table", "nimble-session"], "command line needs its extra: pip install 'green"),
        ("aiohttp", ["simulator"], "simulator needs its extra: pip install 'greenroom[cli,sim"),
    ],
)
def test_a_missing_extra_is_named(missing: str, args: list[str], advice: str) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None; "
        f"from greenroom.cli import main; sys.exit(main({args!r}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 2
    assert advice in ran.stderr
    assert ran.stderr.count("\n") == 1
