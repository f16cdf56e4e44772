"""Files that are for their owner alone, in a directory that others may write to as well.

What greenroom writes has names, ids and sometimes secrets in it, so that nobody else may read it,
whatever the umask says. And whoever may write to a directory could have put a link there that leads
to a file of ours: a new file never follows one, and an old one only where we, or root, have put it
there. That is the rule of sticky directories (`fs.protected_symlinks`), which resolving a path by
hand would go around.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def create(file: Path) -> None:
    """Make an empty file that its owner alone can read and write.

    Raises:
        OSError: It cannot be made, or there is something of that name, be it a link.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        restrict(descriptor)
    finally:
        os.close(descriptor)


def restrict(descriptor: int) -> None:
    """Let the owner of an open file read and write it, and nobody else."""
    if hasattr(os, "fchmod"):  # where files have modes
        os.fchmod(descriptor, 0o600)


def resolved(path: str | os.PathLike[str]) -> Path:
    """Return where a path that is to be written leads.

    Raises:
        OSError: It is a link that somebody else has put there, or it leads in a circle.
    """
    file = Path(path)
    if file.is_symlink() and _is_foreign(file.lstat()):
        raise PermissionError(errno.EPERM, "it is a link that another user has put there", file)
    try:
        return file.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), file) from error


def check_ours(descriptor: int) -> None:
    """Make sure that what others cannot read is not written into a file of theirs.

    Raises:
        PermissionError: The open file belongs to somebody else.
    """
    if _is_foreign(os.fstat(descriptor)):
        raise PermissionError(errno.EPERM, "it belongs to another user")


def _is_foreign(status: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0)
