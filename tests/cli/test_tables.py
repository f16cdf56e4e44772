from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.cli import _tables
from greenroom.cli._kinds import KINDS, kind_of

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
    assert all(state in ran.out for state in KINDS[kind].table.states)


def test_diagrams_tell_the_service_from_the_caller() -> None:
    table = KINDS["nimble-session"].table
    dot, mermaid = _tables.as_dot(table), _tables.as_mermaid(table)
    assert '"CREATE_IN_PROGRESS" -> "READY" [color="#1f2937"];' in dot
    assert '"STOPPED" -> "START_IN_PROGRESS" [label="start", style=dashed' in dot
    assert "CREATE_IN_PROGRESS --> READY\n" in mermaid
    assert "STOPPED --> START_IN_PROGRESS : start (caller)\n" in mermaid


MERMAID = re.compile(
    r"stateDiagram-v2|    (?:"
    r"state \"[\w-]+\" as \w+|\w+|\w+ --> \w+(?: : [\w -]+ \(caller\))?"
    r"|classDef \w+ fill:#\w{6}|class \w+(?:,\w+)* \w+)"
)
QUOTED = r'"[^"\\\n]*"'
SET = rf"\w+=(?:\w+|{QUOTED})"
DOT = re.compile(
    rf"digraph {QUOTED} \{{|\}}|    (?:rankdir=LR|"
    rf"(?:node|{QUOTED}|{QUOTED} -> {QUOTED}) \[{SET}(?:, {SET})*\]);"
)


@pytest.mark.parametrize(
    "name", [*KINDS, "aws:rds:db_instance_available", "aws:cloudformation:stack_create_complete"]
)
def test_diagrams_are_well_formed(name: str) -> None:
    table = kind_of(name).table
    for form, grammar in (("mermaid", MERMAID), ("dot", DOT)):
        for line in _tables.FORMATS[form](table).split("\n"):
            assert grammar.fullmatch(line), line


def test_a_name_that_mermaid_cannot_take_has_another_beside_it() -> None:
    mermaid = _tables.as_mermaid(KINDS["ec2-instance"].table)
    assert 'state "shutting-down" as shutting_down\n' in mermaid
    assert "pending --> shutting_down\n" in mermaid
    assert "shutting-down -->" not in mermaid


def test_all_kinds_are_listed_with_what_reading_takes(run: Callable[..., Ran]) -> None:
    ran = run("kinds", "--output", "json")
    listed = {line["kind"]: line for line in map(json.loads, ran.out.splitlines())}
    assert list(listed) == list(KINDS)
    assert listed["workspace"] == {
        "kind": "workspace",
        "id": "WORKSPACE_ID",
        "states": list(KINDS["workspace"].table.states),
        "goals": ["AVAILABLE", "STOPPED", "TERMINATED"],
        "batch": 25,
        "permissions": ["workspaces:DescribeWorkspaces"],
    }
    text = run("kinds").out
    for line in listed.values():
        assert line["kind"] in text
        assert all(permission in text for permission in line["permissions"])
        assert all(state in text for state in line["states"])


def test_a_kind_that_is_not_there(run: Callable[..., Ran]) -> None:
    ran = run("table", "nimble-sesion")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "did you mean nimble-session?" in ran.err
    assert "nimble-stream" in ran.err


def test_a_table_needs_neither_aws_nor_rich() -> None:
    script = (
        "import sys; from greenroom.cli import main; assert main(['table', 'ec2-instance']) == 0;"
        "assert main(['kinds']) == 0;"
        "assert not {'botocore', 'aiobotocore', 'aiohttp', 'rich.live'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=30, stdout=subprocess.DEVNULL
    )
