"""Stop signs: how a launch interrupts what should not go on, and says why.

A sign goes up once. Whoever minds it at that moment is cancelled, and finds `Stopped` raised in its
place, with the reason. Whoever comes later is not let in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Stopped(Exception):
    """A stop sign went up: no error, somebody asked for it.

    Attributes:
        cause: Why, in a word.
        message: Why, in a sentence.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


class StopSign:
    """Goes up once, with a reason, and interrupts whoever minds it.

    Attributes:
        cause: Why it is up, in a word; None while it is not.
        message: Why, in a sentence.
    """

    def __init__(self) -> None:
        self.cause: str | None = None
        self.message = ""
        self._minding: set[anyio.CancelScope] = set()

    @property
    def is_up(self) -> bool:
        """Whether it has gone up."""
        return self.cause is not None

    def put_up(self, cause: str, message: str) -> None:
        """Interrupt everybody who minds it; the first reason stays."""
        if self.cause is None:
            self.cause, self.message = cause, message
            for scope in tuple(self._minding):
                scope.cancel()

    def check(self) -> None:
        """Return if it is not up.

        Raises:
            Stopped: It is.
        """
        if self.cause is not None:
            raise Stopped(self.cause, self.message)

    @contextmanager
    def minded(self) -> Iterator[None]:
        """Mind the sign during the body.

        Raises:
            Stopped: It went up before the body was done, and the body was cancelled.
        """
        self.check()
        with anyio.CancelScope() as scope:
            self._minding.add(scope)
            try:
                yield
            finally:
                self._minding.discard(scope)
        if scope.cancelled_caught:
            self.check()
