"""Ctrl-C asks the run to end well; the one after that ends it at once."""

from __future__ import annotations

import signal
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(*gently: Callable[[], None]) -> Iterator[anyio.CancelScope]:
    """Cancel the body when a SIGINT or SIGTERM arrives; the next one acts as ever.

    Args:
        gently: Called before it comes to that, one at each signal.

    Yields:
        The scope; its `cancel_called` says afterwards whether a signal came.
    """
    with anyio.CancelScope() as scope:
        if threading.current_thread() is not threading.main_thread():
            yield scope  # only the main thread is told of signals
            return
        import asyncio  # which commands that run no loop do without

        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        steps = deque((*gently, scope.cancel))

        def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the protocol
            step = steps.popleft()
            if not steps:
                restore()
            loop.call_soon_threadsafe(step)

        for number in _SIGNALS:
            signal.signal(number, interrupt)
        try:
            yield scope
        finally:
            restore()
