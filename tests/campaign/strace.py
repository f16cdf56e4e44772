"""System calls of a process, as strace wrote them down, read into a history of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.campaign.disk import (
    Event,
    Made,
    Removed,
    Renamed,
    Resized,
    Sent,
    Synced,
    Written,
)

CALLS = (
    *("open", "openat", "creat", "close", "dup", "dup2", "dup3", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "write", "pwrite64", "writev", "pwritev"),
    *("ftruncate", "truncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "msync"),
    *("sendto", "sendmsg"),
)
"""Whatever changes a file, makes a change last, or sends."""


def tracing(out: Path, *more: str) -> list[str]:
    """Return the command that runs another one and writes its calls down."""
    traced = f"trace={','.join(CALLS)}"
    options = ["-f", "-ttt", "-xx", "-s", "10000000", "-o", str(out)]
    return ["strace", *options, "-e", traced, *more]


_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_TOKEN = re.compile(rb"x-amz-client-token: *([0-9a-f]+)", re.IGNORECASE)


class Reader:
    """Reads what some processes did, one after the other, in one folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._names: dict[str, int] = {}
        self._made = 0
        self._open: dict[int, int | None] = {}

    def read(self, out: Path) -> list[tuple[float, Event]]:
        """Return what one more process did, and when."""
        self._open.clear()
        return [
            (at, event)
            for at, name, arguments, result in _calls(out.read_text().splitlines())
            for event in self._events(name, arguments, result)
        ]

    def _events(self, call: str, arguments: str, result: int) -> Iterator[Event]:
        texts = [bytes.fromhex(each.replace("\\x", "")) for each in _TEXT.findall(arguments)]
        numbers = [
            int(each) for each in re.findall(r"(?<![\w\\])-?\d+(?!\w)", _TEXT.sub("", arguments))
        ]
        if call in ("sendto", "sendmsg"):
            yield from (Sent(token.decode()) for token in _TOKEN.findall(texts[0]))
        elif call in ("open", "openat", "creat"):
            yield from self._opened(texts[0].decode(), arguments, result)
        elif call == "close":
            self._open.pop(numbers[0], None)
        elif call in ("rename", "renameat", "renameat2", "unlink", "unlinkat"):
            names = [self._name(each.decode()) for each in texts]
            if names[0] is not None:
                assert result == 0, "a call that fails is not told"
                yield from self._renamed(*(str(each) for each in names))
        elif numbers and numbers[0] in self._open:
            yield self._changed(call, numbers, texts)

    def _name(self, path: str) -> str | None:
        parent, _, name = path.rpartition("/")
        return name if parent == self._folder else None

    def _opened(self, path: str, arguments: str, descriptor: int) -> Iterator[Event]:
        self._open.pop(descriptor, None)
        if path == self._folder:
            self._open[descriptor] = None
        elif (name := self._name(path)) is not None:
            if name not in self._names:
                assert "O_CREAT" in arguments, f"{name} came from elsewhere"
                self._made += 1
                self._names[name] = self._made
                yield Made(name, self._made)
            self._open[descriptor] = self._names[name]
            if "O_TRUNC" in arguments:
                yield Resized(self._names[name], 0)

    def _renamed(self, before: str, after: str | None = None) -> Iterator[Event]:
        file = self._names.pop(before)
        if after is None:
            yield Removed(before)
        else:
            self._names[after] = file
            yield Renamed(before, after)

    def _changed(self, call: str, numbers: Sequence[int], texts: Sequence[bytes]) -> Event:
        file = self._open[numbers[0]]
        if call in ("fsync", "fdatasync"):
            return Synced(file)
        assert file is not None
        if call == "ftruncate":
            return Resized(file, numbers[-1])
        assert call == "pwrite64", f"{call} on a file of the folder is not understood"
        return Written(file, numbers[-1], texts[0])


def _calls(lines: Sequence[str]) -> Iterator[tuple[float, str, str, int]]:
    """Yield the calls that succeeded: a send as soon as it began, others once they were over."""
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, at, told = found.groups()
        if told.endswith(" <unfinished ...>"):
            begun[thread] = (at, told.removesuffix(" <unfinished ...>"))
            if told.startswith("send"):
                yield float(at), "sendto", told, 0
            continue
        if told.startswith("<... "):
            at, before = begun.pop(thread)
            if before.startswith("send"):
                continue
            told = before + told.partition(" resumed>")[2]
        call = _CALL.match(told)
        if call is not None and call[3] != "?" and int(call[3]) >= 0:
            yield float(at), call[1], call[2], int(call[3])
    for at, told in begun.values():  # cut off by a signal: it may have been carried out
        if told.startswith("pwrite64"):
            yield float(at), "pwrite64", told.partition("(")[2], 0
