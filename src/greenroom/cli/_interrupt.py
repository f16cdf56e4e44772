"""Ctrl-C asks the run to end well; a second one ends it at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[anyio.CancelScope]:
    """Cancel the body when the first SIGINT or SIGTERM arrives; the next one acts as ever.

    Yields:
        The scope; its `cancel_called` says afterwards whether a signal came.
    """
    with anyio.CancelScope() as scope:
        if threading.current_thread() is not threading.main_thread():
            yield scope  # only the main thread is told of signals
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the protocol
            restore()
            loop.call_soon_threadsafe(scope.cancel)

        for number in _SIGNALS:
            signal.signal(number, interrupt)
        try:
            yield scope
        finally:
            restore()
