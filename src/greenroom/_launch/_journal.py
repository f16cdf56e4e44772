"""The durable record of a launch: one SQLite file, to which rows are only ever added.

What is known of a launch is its events taken in one after the other, so there is nothing in the
file that could contradict anything else. Its tables are laid out and read in `_journal_tables`;
names, the lock and the faults of a disk are in `_journal_file`.

SQLite's write-ahead log makes each `append` one commit: either all of its events will be found
after a crash, or none. Readers, such as a report on a launch that is running, are never in the way.

**A journal belongs to one process at a time.** The owner holds an exclusive lock on a second,
empty database beside the first, named `...-lock`. It is SQLite's own lock, so it works wherever
SQLite does, and the operating system lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from greenroom._errors import JournalError
from greenroom._launch._account import Account
from greenroom._launch._journal_file import (
    Lock,
    be_durable,
    check_alone,
    connect,
    explained,
    journal_exists,
    resolved,
    resolved_to_write,
    result_of,
)
from greenroom._launch._journal_tables import UPGRADES, VERSION, Header, lay_out, read, version_of
from greenroom._launch._rows import as_row
from greenroom._specs import WorkstationSpec

if TYPE_CHECKING:
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._report import LaunchReport


class Journal:
    """The journal of one launch, owned by this process until closed. Made by `create` or `resume`.

    Every method blocks while the disk works, and may be called from any thread, by one at a time.

    Attributes:
        path: The file.
        header: What the launch is.
        account: What was known of it when the journal was opened.
    """

    def __init__(
        self, path: Path, header: Header, account: Account, db: sqlite3.Connection, lock: Lock
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
        file = resolved_to_write(path)
        lock = Lock(file)
        try:
            if journal_exists(file):
                raise JournalError(
                    f"{file} exists already: resume that launch (--resume, or resume=True), or "
                    "name another file",
                    str(file),
                )
            check_alone(file)
            with explained(file, "cannot be written"):
                lay_out(file, header, specs)
                db = connect(file, "rw")
                be_durable(db)
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
        file = resolved_to_write(path)
        if not journal_exists(file):
            raise JournalError(f"{file} does not exist: there is nothing to resume", str(file))
        lock = Lock(file)
        try:
            with explained(file, "cannot be written"):
                db = connect(file, "rw")
                try:
                    header, account = read(db, file)
                    be_durable(db)
                    db.execute("BEGIN IMMEDIATE")  # finds out now whether it can be written
                    for version in range(version_of(db), VERSION):
                        db.execute(UPGRADES[version])
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
        with explained(self.path, "cannot be written"):
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
    file = resolved(path)
    if not journal_exists(file):
        raise JournalError(f"{file} does not exist", str(file))
    with explained(file, "cannot be read"):
        try:
            with closing(connect(file, "ro")) as db:
                return read(db, file)
        except sqlite3.OperationalError as error:
            if result_of(error) != sqlite3.SQLITE_READONLY:
                raise
        with closing(connect(file, "rw")) as db:
            return read(db, file)


def read_report(path: str | os.PathLike[str]) -> LaunchReport:
    """Return the account in the journal of a launch, whether it is over, runs, or was killed.

    Raises:
        JournalError: As for `read_journal`.
    """
    return read_journal(path)[1].report()
