"""The tables of a journal: laid out once, and read into an account.

`launch` has one row, the launch's id and what it was asked for; `specs` has the workstations in
their order; `events` has everything that happened (`_events`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from greenroom import _private
from greenroom._errors import ConfigurationError, JournalError, SpecError
from greenroom._launch._account import Account
from greenroom._launch._journal_file import NOT_ITS_OWN, connect, result_of, sync_folder
from greenroom._launch._rows import ODD, Row, from_row
from greenroom._launch_kind import launch_kind
from greenroom._specs import WorkstationSpec, stored_specs

VERSION = 3
"""The version of the tables; `PRAGMA user_version` of every journal."""

FIRST_KIND = "nimble-session"
"""The kind of every launch in journals of version 1, which do not say it."""

UPGRADES = {
    1: f"ALTER TABLE launch ADD COLUMN kind TEXT NOT NULL DEFAULT '{FIRST_KIND}'",
    2: "ALTER TABLE launch ADD COLUMN place TEXT",
}
"""What makes the tables of one version those of the next."""

APPLICATION = 0x67726E72
"""`PRAGMA application_id` of every journal: "grnr"."""

_TABLES = """
CREATE TABLE launch (
    id TEXT NOT NULL, created REAL NOT NULL, options TEXT NOT NULL, kind TEXT NOT NULL, place TEXT
);
CREATE TABLE specs (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL,
    key TEXT REFERENCES specs (key), attempt INTEGER, data TEXT NOT NULL
);
CREATE UNIQUE INDEX one_intent ON events (key, attempt) WHERE kind = 'CreateIntended';
"""


@dataclass(frozen=True, slots=True)
class Header:
    """What a launch is.

    Attributes:
        launch_id: Its name, which every client token is derived from.
        created_at: When it was asked for (aware).
        options: How it was asked for: plain values, by the name of the option.
        kind: The kind of its sessions.
        place: Where they are, as the provider says it; None where it does not.
    """

    launch_id: str
    created_at: datetime
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kind: str = FIRST_KIND
    place: str | None = None


def lay_out(file: Path, header: Header, specs: Sequence[WorkstationSpec]) -> None:
    """Make the file under another name first: there is all of it, or there is none."""
    draft = file.with_name(f"{file.name}-new")
    draft.unlink(missing_ok=True)
    try:
        _private.create(draft)  # and what SQLite puts beside it has the same mode
        with closing(connect(draft, "rw")) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(
                "INSERT INTO launch VALUES (?, ?, ?, ?, ?)",
                (
                    header.launch_id,
                    header.created_at.timestamp(),
                    json.dumps(dict(header.options)),
                    header.kind,
                    header.place,
                ),
            )
            db.executemany(
                "INSERT INTO specs (key, spec) VALUES (?, ?)",
                ((spec.key, json.dumps(spec.as_dict())) for spec in specs),
            )
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        draft.replace(file)
        sync_folder(file.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read(db: sqlite3.Connection, file: Path) -> tuple[Header, Account]:
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(db)
    except sqlite3.DatabaseError as error:
        if result_of(error) in NOT_ITS_OWN:
            raise
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise JournalError(
                f"{file} is not a journal, or a badly damaged one", str(file)
            ) from None
        raise _damaged(file, str(error)) from error
    if application != APPLICATION:
        raise JournalError(f"{file} is not a journal of greenroom", str(file))
    if not 1 <= version <= VERSION:
        raise JournalError(
            f"{file} is a journal of version {version}, and this greenroom knows versions "
            f"1 to {VERSION}: use the greenroom that wrote it",
            str(file),
        )
    try:
        if (health := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise _damaged(file, health)
        header = _header(*db.execute("SELECT * FROM launch").fetchone())
        spec = launch_kind(header.kind).spec
        stored = (
            json.loads(row[0]) for row in db.execute("SELECT spec FROM specs ORDER BY number")
        )
        account = Account(header.launch_id, stored_specs(stored, spec))
        rows = db.execute("SELECT at, kind, key, attempt, data FROM events ORDER BY number")
        for row in rows:
            account.take(from_row(Row(*row)))
    except SpecError as error:
        raise _damaged(file, str(error)) from error
    except ConfigurationError as error:
        raise JournalError(f"{file}: {error}", str(file)) from error
    except (sqlite3.DatabaseError, *ODD) as error:
        if isinstance(error, sqlite3.Error) and result_of(error) in NOT_ITS_OWN:
            raise
        raise _damaged(file, str(error)) from error
    return header, account


def _header(
    launch_id: str, created: float, options: str, kind: str = FIRST_KIND, place: str | None = None
) -> Header:
    """Return the header that a row tells, of whichever version.

    Before version 3 only the command line kept where the sessions are: a studio, as an option.
    """
    for name, value in (("id", launch_id), ("kind", kind), ("place", place)):
        if not isinstance(value, str) and (name, value) != ("place", None):
            raise TypeError(f"its {name} is {value!r}")
    told = json.loads(options)
    if not isinstance(told, dict):
        raise TypeError(f"its options are {told!r}")
    created_at = datetime.fromtimestamp(created, UTC)
    return Header(launch_id, created_at, told, kind, place or told.get("studio_id"))


def version_of(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _damaged(file: Path, how: str) -> JournalError:
    return JournalError(
        f"{file} is damaged ({how}): nothing was done. `sqlite3 {file.name} .recover` may bring "
        "back what can be read",
        str(file),
    )
