from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.cli import _tables
from greenroom.cli._kinds import KINDS, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran


def test_json_is_the_contract(run: Callable[..., Ran]) -> None:
    ran = run("table", "nimble-session", "--format", "json")
    table = json.loads(ran.out)
    assert ran.status == 0
    assert list(table) == ["kind", "states", "goals"]
    assert table["kind"] == "nimble-session"
    assert len(table["states"]) == 11
    assert table["goals"]["READY"]["CREATE_IN_PROGRESS"] == "pending"
    assert table["goals"]["READY"]["CREATE_FAILED"] == "failure"
    assert table["goals"]["READY"]["DELETED"] == "unreachable"
    assert table["goals"]["STOPPED"]["STOPPED"] == "success"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", _tables.FORMATS)
def test_every_kind_in_every_format_names_every_state(
    run: Callable[..., Ran], kind: str, name: str
) -> None:
    ran = run("table", kind, "--format", name)
    assert ran.status == 0
    assert not ran.err
    assert all(state in ran.out for state in table_of(kind).states)


def test_diagrams_tell_the_service_from_the_caller() -> None:
    table = table_of("nimble-session")
    dot, mermaid = _tables.as_dot(table), _tables.as_mermaid(table)
    assert '"CREATE_IN_PROGRESS" -> "READY" [color="#1f2937"];' in dot
    assert '"STOPPED" -> "START_IN_PROGRESS" [label="start", style=dashed' in dot
    assert "CREATE_IN_PROGRESS --> READY\n" in mermaid
    assert "STOPPED --> START_IN_PROGRESS : start (caller)\n" in mermaid


def test_a_kind_that_is_not_there(run: Callable[..., Ran]) -> None:
    ran = run("table", "nimble-sesion")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "did you mean nimble-session?" in ran.err
    assert "nimble-stream" in ran.err


def test_a_table_needs_neither_aws_nor_rich() -> None:
    script = (
        "import sys; from greenroom.cli import main; assert main(['table', 'nimble-stream']) == 0;"
        "assert not {'botocore', 'aiobotocore', 'aiohttp', 'rich.live'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=30, stdout=subprocess.DEVNULL
    )
