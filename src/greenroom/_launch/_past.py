"""What earlier runs have shown, from a file: a launch's journal, or a history that was written."""

from __future__ import annotations

import os

from greenroom import _arguments
from greenroom._errors import ConfigurationError, JournalError
from greenroom._history import History
from greenroom._launch._journal import read_journal
from greenroom._launch._stays import stays
from greenroom._launch_kind import launch_kind

SQLITE = b"SQLite format 3\0"
"""The first bytes of every journal."""

WHAT = "give the journal of a launch, or a file with what History.to_json() returned"


def read_history(path: str | os.PathLike[str]) -> History:
    """Return how long sessions stood in their states in earlier runs.

    Args:
        path: The journal of a launch, whether it is over, runs, or was killed; or a file with what
            `History.to_json` returned. Which of them it is shows in its first bytes.

    Returns:
        The history. That of a journal is about the sessions of that launch, and in particular about
        how long they took from being made to being ready, or to failing.

    Raises:
        ConfigurationError: There is no such file, it cannot be read, or it is neither.
        JournalError: It is a database, and no journal or a damaged one.
    """
    source = _arguments.path("path", path)
    try:
        with source.open("rb") as file:
            content = file.read(len(SQLITE))
            is_journal = content == SQLITE
            if not is_journal:
                content += file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot read the history {path}: {reason}; {WHAT}") from error
    if is_journal:
        return _from_journal(path)
    try:
        return History.from_json(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path} is no history: {WHAT} ({error.__cause__})") from error


def _from_journal(path: str | os.PathLike[str]) -> History:
    try:
        header, account = read_journal(path)
    except JournalError as error:
        raise JournalError(f"{error}; for a history, {WHAT}", error.path) from error
    history = History()
    for state, stood in stays(account, launch_kind(header.kind)).items():
        history.add(header.kind, state, stood)
    return history
