"""What `import greenroom` brings in, what it leaves for later, and what it costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import greenroom

OTHERS = frozenset(
    {
        "aiobotocore",
        "aiohttp",
        "airflow",
        "boto3",
        "botocore",
        "click",
        "jinja2",
        "opentelemetry",
        "pyrate_limiter",
        "redis",
        "rich",
        "structlog",
        "temporalio",
        "trio",
    }
)
"""What only those pay for who use it."""

LATER = frozenset({"asyncio", "backoff", "greenroom._launch", "greenroom.sources", "sqlite3"})
"""What who waits needs later, or never."""

MOST = 0.150
"""Seconds of CPU that the import may cost."""


def printed(code: str) -> str:
    """Return what a fresh process prints; no setting of Python's reaches it."""
    return subprocess.run(
        [sys.executable, "-E", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def imported_by(code: str) -> frozenset[str]:
    return frozenset(printed(f"{code}\nimport sys\nprint(*sys.modules)").split())


def test_the_import_brings_in_nothing_that_only_some_need() -> None:
    assert not imported_by("import greenroom") & (OTHERS | LATER)


def test_not_even_all_names_together_bring_in_what_an_extra_or_a_source_needs() -> None:
    everything = imported_by("from greenroom import *")
    assert not everything & OTHERS
    assert everything >= {"greenroom._launch", "greenroom.sources", "sqlite3"}


def test_the_import_costs_at_most_150_ms_of_cpu() -> None:
    code = """
import time
began = time.process_time()
import greenroom
print(time.process_time() - began)
"""
    assert any(float(printed(code)) <= MOST for _ in range(7))


def test_checkers_are_told_of_the_same_names_as_are_imported_later() -> None:
    tree = ast.parse(Path(greenroom.__file__).read_text("utf-8"))
    (told,) = (
        each
        for each in tree.body
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING"
    )
    names = {
        name.asname or name.name: each.module
        if name.asname in (None, name.name)
        else f"{each.module}:{name.name}"
        for each in told.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }
    assert names == greenroom._LAZY | greenroom._EXTRAS
    assert [*greenroom._LAZY] == [name for name in greenroom.__all__ if name in names]


def test_every_name_comes_with_a_star_and_shows_before_it_is_there() -> None:
    assert printed("import greenroom; print(set(greenroom.__all__) - set(dir(greenroom)))") == (
        "set()\n"
    )
    star = "from greenroom import *; import greenroom"
    assert printed(f"{star}; print(set(greenroom.__all__) - globals().keys())") == "set()\n"


def test_a_name_is_looked_for_once() -> None:
    assert printed("import greenroom; greenroom.launch; print('launch' in vars(greenroom))") == (
        "True\n"
    )


def test_a_name_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(AttributeError, match="module 'greenroom' has no attribute 'lunch'"):
        importlib.import_module("greenroom").lunch  # noqa: B018


@pytest.mark.parametrize("name", ["ec2-instance", "nimble-session"])
def test_a_kind_of_greenroom_s_own_is_found_before_anybody_has_imported_it(name: str) -> None:
    code = f"import greenroom; print(greenroom.launch_kind({name!r}).name)"
    assert printed(code) == f"{name}\n"


def test_all_kinds_are_listed_before_anybody_has_imported_one() -> None:
    assert printed("import greenroom; print(*sorted(greenroom.launch_kinds()))") == (
        "ec2-instance nimble-session\n"
    )


def test_a_kind_that_takes_the_place_of_ours_keeps_it() -> None:
    code = """
import greenroom
class Theirs:
    name = "ec2-instance"
greenroom.register(Theirs)
import greenroom.sources.ec2
print(greenroom.launch_kind("ec2-instance") is Theirs)
"""
    assert printed(code) == "True\n"
