"""A journal on a disk: its name, its lock, and what to do where the disk does not do its part."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greenroom import _arguments, _private
from greenroom._errors import ConfigurationError, JournalError

NOT_ITS_OWN = frozenset(
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


def result_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary code; 0 where Python itself complains."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def resolved_to_write(path: str | os.PathLike[str]) -> Path:
    try:
        return _private.resolved(_arguments.path("journal", path))
    except ConfigurationError:
        raise
    except OSError as error:
        raise JournalError(f"{path} cannot be written: {error.strerror}", str(path)) from error
    except ValueError as error:  # a path with a NUL
        raise JournalError(f"{path} cannot be written: {error}", str(path)) from error


def resolved(path: str | os.PathLike[str]) -> Path:
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


def check_alone(file: Path) -> None:
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


def connect(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def be_durable(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")


def sync_folder(folder: Path) -> None:
    """Make a name that a file was given last, before anything is built on it.

    Where a system cannot do it, SQLite's first commit is what makes it last.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Lock:
    """The right to write one journal, held until released or until the process ends.

    The file that is locked goes away with the lock. So whoever gets hold of it makes sure that it
    is still the one that others will find.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.with_name(f"{file.name}-lock")
        with explained(file, "cannot be written"):
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
            self._db = connect(self._file, "rw")
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


@contextmanager
def explained(file: Path, problem: str) -> Iterator[None]:
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
    return _BY_RESULT.get(result_of(error))
