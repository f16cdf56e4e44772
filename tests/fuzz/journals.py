"""A journal to be spoilt, and everything that reads one."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.invariants import hold
from tests.fuzz.runner import Ran, run
from tests.report.conftest import Imagined

USES = {
    "report": ("report", "run.db"),
    "page": ("report", "run.db", "--html", "run.html"),
    "resume": ("launch", "--endpoint-url", "http://127.0.0.1:1", "--journal", "run.db", "--resume"),
    "plan": ("plan", "--count", "2", "--history", "run.db"),
}
"""Everything that reads a journal."""


@cache
def journal() -> bytes:
    """Return a journal that has nearly every event, of a launch that was stopped."""
    with tempfile.TemporaryDirectory() as folder:
        launch = Imagined(count=12, seed=12, break_at=200, resumes_after=60, timeout=400)
        return launch.write(Path(folder) / "run.db").read_bytes()


@cache
def event_rows() -> list[tuple[int, str, Any]]:
    """Return its events: number, kind and data."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(journal())
        with closing(sqlite3.connect(file.name)) as db:
            rows = db.execute("SELECT number, kind, data FROM events").fetchall()
    return [(number, kind, json.loads(data)) for number, kind, data in rows]


def used(use: str, prepare: Callable[[Path], object]) -> Ran:
    """Use a journal, and assert what holds for whoever reads one."""
    ran = run(*USES[use], prepare=lambda folder: prepare(folder / "run.db"))
    hold(ran)
    assert ran.changed <= {"page": {"run.html"}, "resume": {"run.db"}}.get(use, set())
    return ran


def edit(*statements: tuple[str, tuple[Any, ...]]) -> Callable[[Path], None]:
    """Return what writes the journal with something in it changed."""

    def prepare(path: Path) -> None:
        path.write_bytes(journal())
        with closing(sqlite3.connect(path)) as db, db:
            for statement, values in statements:
                db.execute(statement, values)

    return prepare
