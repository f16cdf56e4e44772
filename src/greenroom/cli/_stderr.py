"""Standard error, where progress goes: that it cannot be told there ends nothing.

A log of the progress may well be on the very disk that is full. What cannot be written to it is
dropped, and the results go to standard output all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class Unfailing:
    """A stream that drops what cannot be written to it.

    Args:
        stream: Where it is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, or drop it."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, if that can be done."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def unfailing_stderr() -> Iterator[None]:
    """Have nothing fail for want of standard error, where there is one."""
    before = sys.stderr
    sys.stderr = before and cast("TextIO", Unfailing(before))
    try:
        yield
    finally:
        sys.stderr = before
        if before is not None:
            try:
                before.flush()
            except OSError:  # the interpreter must not find that out again as it exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), before.fileno())
