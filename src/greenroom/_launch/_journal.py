"""The durable record of a launch: one SQLite file, to which rows are only ever added.

Three tables: `launch` has one row, the launch's id and what it was asked for; `specs` has the
workstations in their order; `events` has everything that happened (`_events`). What is known of a
launch is its events taken in one after the other, so there is nothing in the file that could
contradict anything else.

SQLite's write-ahead log makes each `append` one commit: either all of its events will be found
after a crash, or none. Readers, such as a report on a launch that is running, are never in the way.

**A journal belongs to one process at a time.** The owner holds an exclusive lock on a second,
empty database beside the first, named `...-lock`. It is SQLite's own lock, so it works wherever
SQLite does, and the operating system lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from greenroom import _arguments, _private
from greenroom._errors import ConfigurationError, JournalError, SpecError
from greenroom._launch._account import Account
from greenroom._launch._rows import ODD, Row, as_row, from_row
from greenroom._launch_kind import launch_kind
from greenroom._specs import WorkstationSpec, stored_specs

if TYPE_CHECKING:
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._report import LaunchReport

VERSION = 3
"""The version of the tables; `PRAGMA user_version` of every journal."""

FIRST_KIND = "nimble-session"
"""The kind of every launch in journals of version 1, which do not say it."""

_UPGRADES = {
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


class Journal:
    """The journal of one launch, owned by this process until closed. Made by `create` or `resume`.

    Every method blocks while the disk works, and may be called from any thread, by one at a time.

    Attributes:
        path: The file.
        header: What the launch is.
        account: What was known of it when the journal was opened.
    """

    def __init__(
        self, path: Path, header: Header, account: Account, db: sqlite3.Connection, lock: _Lock
    ) -> None:
        self.path = path
        self.header = header
        self.account = account
        self._db = db
        self._lock = lock
        self._inode = path.stat().st_ino

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], header: Header, specs: Sequence[WorkstationSpec]
    ) -> Self:
        """Begin the journal of a new launch.

        Raises:
            JournalError: There is such a file already, or what is left of one; it cannot be
                written, or another process has the journal.
        """
        file = _resolved_to_write(path)
        lock = _Lock(file)
        try:
            if journal_exists(file):
                raise JournalError(
                    f"{file} exists already: resume that launch (--resume), or name another file",
                    str(file),
                )
            _check_alone(file)
            with _explained(file, "cannot be written"):
                _lay_out(file, header, specs)
                db = _connect(file, "rw")
                _be_durable(db)
        except BaseException:
            lock.release()
            raise
        return cls(file, header, Account(header.launch_id, specs), db, lock)

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Self:
        """Take up the journal of a launch that was begun before.

        Raises:
            JournalError: There is none, it is damaged or of another version, or another process
                has it.
        """
        file = _resolved_to_write(path)
        if not journal_exists(file):
            raise JournalError(f"{file} does not exist: there is nothing to resume", str(file))
        lock = _Lock(file)
        try:
            with _explained(file, "cannot be written"):
                db = _connect(file, "rw")
                try:
                    header, account = _read(db, file)
                    _be_durable(db)
                    db.execute("BEGIN IMMEDIATE")  # finds out now whether it can be written
                    for version in range(_version(db), VERSION):
                        db.execute(_UPGRADES[version])
                    db.execute(f"PRAGMA user_version = {VERSION}")
                    db.execute("COMMIT")
                except BaseException:
                    db.close()
                    raise
        except BaseException:
            lock.release()
            raise
        return cls(file, header, account, db, lock)

    def append(self, events: Sequence[LaunchEvent]) -> None:
        """Add events, all or none. They are on the disk when this returns.

        Raises:
            JournalError: They cannot be written.
        """
        with _explained(self.path, "cannot be written"):
            if not self._is_in_place():
                raise JournalError(f"the journal {self.path} is not there any more", str(self.path))
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT INTO events (at, kind, key, attempt, data) VALUES (?, ?, ?, ?, ?)",
                    map(as_row, events),
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise

    def _is_in_place(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the journal. What was appended stays, in one file by itself."""
        try:
            with suppress(sqlite3.Error):  # somebody reads it at the moment
                self._db.execute("PRAGMA busy_timeout = 0")
                self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.close()
        finally:
            self._lock.release()


def read_journal(path: str | os.PathLike[str]) -> tuple[Header, Account]:
    """Return what a journal tells, whoever owns it.

    The file is not written to, unless a process was killed while it wrote: what it had begun can
    only be undone by a writer, and is.

    Raises:
        JournalError: There is none, or it is damaged or of another version.
    """
    file = _resolved(path)
    if not journal_exists(file):
        raise JournalError(f"{file} does not exist", str(file))
    with _explained(file, "cannot be read"):
        try:
            with closing(_connect(file, "ro")) as db:
                return _read(db, file)
        except sqlite3.OperationalError as error:
            if _result(error) != sqlite3.SQLITE_READONLY:
                raise
        with closing(_connect(file, "rw")) as db:
            return _read(db, file)


def read_report(path: str | os.PathLike[str]) -> LaunchReport:
    """Return the account in the journal of a launch, whether it is over, runs, or was killed.

    Raises:
        JournalError: As for `read_journal`.
    """
    return read_journal(path)[1].report()


def _check_alone(file: Path) -> None:
    """Make sure that nothing is left of an earlier journal of that name, which is gone.

    SQLite would take it for the end of the new one. It may also be all that is known of sessions
    that exist: so it is not ours to remove.

    Raises:
        JournalError: There is something.
    """
    for left in (file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-journal")):
        if journal_exists(left):
            raise JournalError(
                f"{left} is left of a launch whose {file.name} is gone: put that back and resume "
                f"it (--resume), or remove {left.name}, or name another file",
                str(file),
            )
        left.unlink(missing_ok=True)


def _lay_out(file: Path, header: Header, specs: Sequence[WorkstationSpec]) -> None:
    """Make the file under another name first: there is all of it, or there is none."""
    draft = file.with_name(f"{file.name}-new")
    draft.unlink(missing_ok=True)
    try:
        _private.create(draft)  # and what SQLite puts beside it has the same mode
        with closing(_connect(draft, "rw")) as db:
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
        _sync_folder(file.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a name that a file was given last, before anything is built on it.

    Where a system cannot do it, SQLite's first commit is what makes it last.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _be_durable(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")


def _read(db: sqlite3.Connection, file: Path) -> tuple[Header, Account]:
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = _version(db)
    except sqlite3.DatabaseError as error:
        if _result(error) in _NOT_ITS_OWN:
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
        if isinstance(error, sqlite3.Error) and _result(error) in _NOT_ITS_OWN:
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


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _damaged(file: Path, how: str) -> JournalError:
    return JournalError(
        f"{file} is damaged ({how}): nothing was done. `sqlite3 {file.name} .recover` may bring "
        "back what can be read",
        str(file),
    )


class _Lock:
    """The right to write one journal, held until released or until the process ends.

    The file that is locked goes away with the lock. So whoever gets hold of it makes sure that it
    is still the one that others will find.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.with_name(f"{file.name}-lock")
        with _explained(file, "cannot be written"):
            while not self._acquired(file):
                pass

    def _acquired(self, file: Path) -> bool:
        """Return whether the lock is held now, on the very file that others will find."""
        with suppress(FileExistsError):
            _private.create(self._file)
        try:
            status = self._file.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise FileExistsError(f"{self._file} is in the way, and no lock")
            before = status.st_ino
            self._db = _connect(self._file, "rw")
        except (FileNotFoundError, sqlite3.OperationalError):
            if self._file.exists():
                raise
            return False
        try:
            self._db.execute("PRAGMA busy_timeout = 0")
            self._db.execute("BEGIN EXCLUSIVE")
            if self._file.stat().st_ino == before:
                return True
        except FileNotFoundError:
            pass
        except sqlite3.OperationalError as error:
            self._db.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise JournalError(
                f"{file} is in use by another process: a journal belongs to one launch at a time. "
                "Wait for that process, or end it",
                str(file),
            ) from error
        self._db.close()
        return False

    def release(self) -> None:
        with suppress(OSError):  # where a file in use cannot be removed, it stays
            self._file.unlink()
        self._db.close()


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _resolved_to_write(path: str | os.PathLike[str]) -> Path:
    try:
        return _private.resolved(_arguments.path("journal", path))
    except ConfigurationError:
        raise
    except OSError as error:
        raise JournalError(f"{path} cannot be written: {error.strerror}", str(path)) from error
    except ValueError as error:  # a path with a NUL
        raise JournalError(f"{path} cannot be written: {error}", str(path)) from error


def _resolved(path: str | os.PathLike[str]) -> Path:
    try:
        return _arguments.path("journal", path).resolve()
    except ConfigurationError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a path with a NUL
        raise JournalError(f"{path} cannot be found: {error}", str(path)) from error


def journal_exists(file: Path) -> bool:
    """Return whether there is a journal of that name; an empty file is none.

    Raises:
        JournalError: It cannot be found out.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise JournalError(f"{file} is not a file: name one for the journal", str(file))
        return status.st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise JournalError(f"{file} cannot be read: {error.strerror}", str(file)) from error
    except ValueError as error:  # of a path that no file can have
        raise JournalError(f"{file} can be no journal: {error}; name a file", str(file)) from error


_NOT_ITS_OWN = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""What keeps a journal from being read, and is no damage to it."""


def _result(error: sqlite3.Error) -> int:
    """Return SQLite's primary code; 0 where Python itself complains."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


@contextmanager
def _explained(file: Path, problem: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        said = f"the journal {file} {problem}: {error}"
        if mend := _mend(error):
            said = f"{said}. {mend}"
        raise JournalError(said, str(file)) from error


_ROOM = "Make room on its disk"
_LEAVE = "Make sure that it, and the folder it is in, can be written to"
_LOOK = "Look at its disk, which may be full, over a quota, read-only or failing"

_BY_RESULT = {
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_READONLY: _LEAVE,
    sqlite3.SQLITE_CANTOPEN: _LEAVE,
    sqlite3.SQLITE_IOERR: _LOOK,
}
_BY_NUMBER = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _LEAVE,
    errno.EACCES: _LEAVE,
    errno.EPERM: _LEAVE,
    errno.EIO: _LOOK,
}


def _mend(error: sqlite3.Error | OSError) -> str | None:
    """Return what to do about an error, if anybody can do anything."""
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0)
    return _BY_RESULT.get(_result(error))
