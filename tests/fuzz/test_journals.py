"""Journals and histories that are something else, or damaged, or of launches that never were."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import hostile
from tests.fuzz.effort import fuzzed
from tests.fuzz.invariants import assert_refused, hold
from tests.fuzz.journals import USES, edit, event_rows, journal, used
from tests.fuzz.runner import run
from tests.report.conftest import Imagined

import greenroom
from greenroom._launch._journal_tables import VERSION
from greenroom.testing import ScriptedSource
from greenroom.testing import run as in_virtual_time

uses = st.sampled_from(sorted(USES))


@pytest.mark.parametrize("use", USES)
def test_a_journal_that_is_right_is_taken(use: str) -> None:
    ran = used(use, lambda path: path.write_bytes(journal()))
    assert ran.status in (None, 0), ran.err


@given(use=uses, content=hostile.soup.map(lambda soup: soup or b"\0"), begins=st.booleans())
@fuzzed(30)
def test_a_file_that_is_no_journal(use: str, content: bytes, begins: bool) -> None:
    content = b"SQLite format 3\0" + content if begins else content
    assert_refused(used(use, lambda path: path.write_bytes(content)))


@given(use=uses, data=st.data())
@fuzzed(80)
def test_a_journal_of_which_a_piece_is_lost_or_written_over(use: str, data: st.DataObject) -> None:
    content = data.draw(hostile.mangled(journal()))
    used(use, lambda path: path.write_bytes(content))


@given(use=uses, end=st.integers(1, 100_000))
@fuzzed(30)
def test_a_journal_that_was_cut_off(use: str, end: int) -> None:
    used(use, lambda path: path.write_bytes(journal()[:end]))


@given(use=uses, at=st.integers(0, 100), value=st.integers(0, 255))
@fuzzed(30)
def test_a_journal_with_a_wrong_byte_in_its_header(use: str, at: int, value: int) -> None:
    content = bytearray(journal())
    content[at] = value
    used(use, lambda path: path.write_bytes(content))


@given(use=uses, data=st.data())
@fuzzed(80)
def test_an_event_with_a_member_that_is_wrong(use: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted({kind for _, kind, _ in event_rows()})))
    number, _, told = data.draw(st.sampled_from([row for row in event_rows() if row[1] == kind]))
    text = json.dumps(data.draw(hostile.altered(told)))
    used(use, edit(("UPDATE events SET data = ? WHERE number = ?", (text, number))))


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from((0, 1, 2, -1, 253402300800)),
    st.floats(),
    hostile.texts.map(lambda text: text.encode("utf-8", "surrogatepass").decode(errors="replace")),
    st.binary(max_size=8),
    hostile.values.map(json.dumps),
)
"""Whatever SQLite keeps."""

COLUMNS = {
    "events": ("at", "kind", "key", "attempt", "data"),
    "launch": ("id", "created", "options", "kind", "place"),
    "specs": ("key", "spec"),
}


@given(use=uses, table=st.sampled_from(sorted(COLUMNS)), value=cells, data=st.data())
@fuzzed(80)
def test_a_cell_that_is_wrong(use: str, table: str, value: Any, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(COLUMNS[table]))
    row = data.draw(st.integers(1, {"launch": 1, "specs": 12}.get(table, len(event_rows()))))
    statement = f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?"
    relaxed = ("PRAGMA ignore_check_constraints = ON", ())
    spoil = edit(relaxed, (statement, (value, row)))

    def prepare(path: Path) -> None:
        with suppress(sqlite3.IntegrityError):  # SQLite itself refuses it
            spoil(path)

    used(use, prepare)


@given(use=uses, options=hostile.altered(Imagined().header.options))
@fuzzed(30)
def test_a_launch_with_an_option_that_is_wrong(use: str, options: Any) -> None:
    used(use, edit(("UPDATE launch SET options = ?", (json.dumps(options),))))


@given(use=uses, spec=hostile.altered({"key": "ws-01", "launch_profile_id": "lp-1", "tags": {}}))
@fuzzed(30)
def test_a_spec_with_a_member_that_is_wrong(use: str, spec: Any) -> None:
    used(use, edit(("UPDATE specs SET spec = ? WHERE number = 1", (json.dumps(spec),))))


@given(use=uses, numbers=st.sets(st.integers(1, 400), min_size=1))
@fuzzed(30)
def test_a_journal_that_lacks_events(use: str, numbers: set[int]) -> None:
    gone = (("DELETE FROM events WHERE number = ?", (number,)) for number in numbers)
    used(use, edit(*gone))


@given(use=uses, one=st.integers(1, 150), other=st.integers(1, 150))
@fuzzed(30)
def test_a_journal_whose_events_are_out_of_order(use: str, one: int, other: int) -> None:
    swapped = (
        ("UPDATE events SET number = -1 WHERE number = ?", (one,)),
        ("UPDATE events SET number = ? WHERE number = ?", (one, other)),
        ("UPDATE events SET number = ? WHERE number = -1", (other,)),
    )
    used(use, edit(*swapped))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE events",
        "DROP TABLE specs",
        "DELETE FROM launch",
        "DELETE FROM specs",
        "ALTER TABLE launch ADD COLUMN more TEXT",
        "ALTER TABLE events RENAME COLUMN data TO other",
        f"PRAGMA user_version = {VERSION + 1}",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 0",
    ],
)
def test_another_database(use: str, statement: str) -> None:
    assert_refused(used(use, edit((statement, ()))))


def history() -> Any:
    """Return a history as `to_json` writes it."""
    known = greenroom.History()
    known.add("nimble-session", "CREATE_IN_PROGRESS", [(100.0, True), (250.0, True), (9.0, False)])
    return json.loads(known.to_json())


@given(content=hostile.soup | hostile.mangled(json.dumps(history()).encode()))
@fuzzed(30)
def test_a_file_that_is_no_history(content: bytes) -> None:
    hold(run(*USES["plan"], prepare=lambda folder: (folder / "run.db").write_bytes(content)))


@given(told=hostile.altered(history()))
@fuzzed(80)
def test_a_history_with_a_member_that_is_wrong_is_refused_or_of_use(told: Any) -> None:
    text = json.dumps(told)
    try:
        known = greenroom.History.from_json(text)
    except greenroom.ConfigurationError:
        return
    assert greenroom.History.from_json((known + known).to_json())
    in_virtual_time(_wait_with, known)


async def _wait_with(known: greenroom.History) -> None:
    scripts = {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (100 + n, "READY")] for n in range(3)}
    schedule = greenroom.PayAsYouWait(history=known)
    async with greenroom.Poller(ScriptedSource(scripts), schedule=schedule) as poller:
        results = await poller.wait_all(scripts, until="READY", timeout=1800)
    assert len(results.succeeded) == 3
