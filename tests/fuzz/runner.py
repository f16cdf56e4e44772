"""Runs the command line in this process, where nothing outside can be reached.

Each run has an empty folder of its own, and ends where the work would begin: at the first request,
at the first rehearsal, or when it would serve. What was refused has to end before.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiobotocore.httpsession import AIOHTTPSession
from temporalio.client import Client

from greenroom.cli import _demo, main
from greenroom.cli.plan import _rehearsal

PATIENCE = 60.0
"""Seconds after which a run hangs."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
    "PATH": os.environ["PATH"],
    "TERM": "dumb",
}


class Accepted(BaseException):
    """The input was taken: the work would begin now."""


class Hung(BaseException):
    """It goes on and on."""


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Attributes:
        args: What was given.
        status: The exit status; None where the work would have begun.
        out: What was printed for programs.
        err: What was printed for people.
        changed: Files that were made, removed or written to.
    """

    args: tuple[str, ...]
    status: int | None
    out: str
    err: str
    changed: frozenset[str]


def run(
    *args: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[Path], object] = lambda folder: None,
    working: bool = False,
) -> Ran:
    """Run a command line.

    Args:
        args: The arguments.
        stdin: What it finds on standard input.
        environment: Further variables.
        prepare: Puts files into the folder in which it runs.
        working: Whether it may go on to what needs nothing outside: a rehearsal.
    """
    out, err = _Terminal(), _Terminal(errors="backslashreplace")
    with tempfile.TemporaryDirectory(prefix="fuzz") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        prepare(folder)
        patch.chdir(folder)
        patch.setattr(os, "environ", {**ENVIRONMENT, "HOME": name, **(environment or {})})
        for stream, value in (
            ("stdin", io.TextIOWrapper(io.BytesIO(stdin))),
            ("stdout", out),
            ("stderr", err),
        ):
            patch.setattr(sys, stream, value)
        before = _files(folder)
        with _walled_in(patch, working=working), _patience():
            status = _status(args)
        after = _files(folder)
    changed = frozenset(
        path
        for path in before.keys() | after.keys()
        if _told(before.get(path)) != _told(after.get(path))
    )
    return Ran(args, status, out.text(), err.text(), changed)


def _status(args: tuple[str, ...]) -> int | None:
    try:
        return main(args)
    except BaseException as error:
        if _is_accepted(error):
            return None
        raise


def _is_accepted(error: BaseException) -> bool:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return isinstance(error, Accepted)


@contextmanager
def _walled_in(patch: pytest.MonkeyPatch, *, working: bool) -> Iterator[None]:
    async def begin(*_: Any, **__: Any) -> None:
        raise Accepted

    def rehearse(*_: Any) -> None:
        raise Accepted

    def connect(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"a connection to {address}")

    async def look_up(loop: Any, host: Any, port: Any, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"nobody looks up {host!r}")

    patch.setattr(AIOHTTPSession, "send", begin)
    patch.setattr(Client, "connect", staticmethod(begin))
    patch.setattr(anyio, "sleep_forever", begin)
    patch.setattr(_demo, "run", begin)
    if not working:
        patch.setattr(_rehearsal, "rehearse_all", rehearse)
    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    yield


@contextmanager
def _patience() -> Iterator[None]:
    """Let the body hang for so long, and no more, whatever becomes of the exception in it."""
    hung: list[Hung] = []

    def hang(*_: object) -> None:
        hung.append(Hung(f"it takes more than {PATIENCE:g} s"))
        raise hung[0]

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if hung:
            raise hung[0]


File = tuple[int, int, bytes]
"""The mode of a file, its number and its content."""


def _told(file: File | None) -> Any:
    """Return what a file says. A database that was opened says the same in other bytes."""
    if file is None or not file[2].startswith(b"SQLite format 3"):
        return file
    with closing(sqlite3.connect(":memory:")) as db, suppress(sqlite3.Error, UnicodeError):
        db.deserialize(file[2][:18] + b"\1\1" + file[2][20:])  # with its log taken in
        return file[:2], list(db.iterdump()), db.execute("PRAGMA user_version").fetchone()
    return file


def _files(folder: Path) -> dict[str, File]:
    files = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        files[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, content)
    return files


class _Terminal(io.TextIOWrapper):
    """A terminal: what is written to it is not cleaned on the way, as in a pipe."""

    def __init__(self, errors: str = "strict") -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding="utf-8", errors=errors)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.flush()
        return self.written.getvalue().decode()
