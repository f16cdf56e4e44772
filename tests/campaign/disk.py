"""What a disk may hold after the power is lost: what was synced, and any part of what was not.

A history is the system calls of one or more processes on the files of one folder, in their order,
and the requests that went out between them. `Disk` plays a beginning of it, as POSIX has it:

- what was written to a file is sure to be there once that file was synced. Of later writes any may
  be there, in any order, each in sectors of 512 bytes that are there or not;
- that a file was made, renamed or removed is sure once its folder was synced, and otherwise each
  of these may have happened or not;
- the index of a write-ahead log (`-shm`) is memory: nothing, or anything, may be left of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECTOR = 512
KEPT = (0.0, 0.3, 0.7, 1.0)
"""How much is left of what was not synced: of each sector, and of each change of the folder."""


@dataclass(frozen=True)
class Made:
    """A file was made."""

    name: str
    file: int


@dataclass(frozen=True)
class Renamed:
    """A file got another name, and took its place."""

    before: str
    after: str


@dataclass(frozen=True)
class Removed:
    """A name was removed."""

    name: str


@dataclass(frozen=True)
class Written:
    """Bytes were written to a file."""

    file: int
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Resized:
    """A file was cut, or made longer."""

    file: int
    size: int


@dataclass(frozen=True)
class Synced:
    """A file was synced; the folder where it is None."""

    file: int | None


@dataclass(frozen=True)
class Sent:
    """A request went out that changes something at the service."""

    token: str


Naming = Made | Renamed | Removed
Event = Naming | Written | Resized | Synced | Sent


class Disk:
    """A folder, as it is sure to be, and what may be there besides.

    Args:
        events: What happened, in its order.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._files: dict[int, bytearray] = {}
        self._writes: dict[int, list[Written | Resized]] = {}
        self._names: dict[str, int] = {}
        self._namings: list[Naming] = []
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Made() | Renamed() | Removed():
                self._namings.append(event)
            case Written() | Resized():
                self._writes.setdefault(event.file, []).append(event)
            case Synced(None):
                for naming in self._namings:
                    _name(self._names, naming)
                self._namings.clear()
            case Synced(file):
                content = self._files.setdefault(file, bytearray())
                for write in self._writes.pop(file, ()):
                    _write(content, write)

    def lose_power(self, folder: Path, draw: Random) -> None:
        """Leave in a folder what the disk may hold."""
        names, kept = dict(self._names), draw.choice(KEPT)
        for naming in self._namings:
            if draw.random() < kept:
                _name(names, naming)
        for name, file in names.items():
            content = bytearray(self._files.get(file, b""))
            kept = draw.choice(KEPT)
            for write in self._writes.get(file, ()):
                for part in _sectors(write):
                    if draw.random() < kept:
                        _write(content, part)
            if name.endswith("-shm"):
                content = bytearray(draw.choice((b"", bytes(32768), draw.randbytes(32768))))
            (folder / name).write_bytes(content)


def _name(names: dict[str, int], naming: Naming) -> None:
    match naming:
        case Made(name, file):
            names[name] = file
        case Renamed(before, after):
            if before in names:
                names[after] = names.pop(before)
        case Removed(name):
            names.pop(name, None)


def _write(content: bytearray, write: Written | Resized) -> None:
    end = write.size if isinstance(write, Resized) else write.offset + len(write.data)
    content.extend(bytes(max(0, end - len(content))))
    if isinstance(write, Resized):
        del content[end:]
    else:
        content[write.offset : end] = write.data


def _sectors(write: Written | Resized) -> Iterable[Written | Resized]:
    if isinstance(write, Resized):
        yield write
        return
    begin, end = write.offset, write.offset + len(write.data)
    while begin < end:
        next_ = min(end, (begin // SECTOR + 1) * SECTOR)
        yield Written(write.file, begin, write.data[begin - write.offset : next_ - write.offset])
        begin = next_
