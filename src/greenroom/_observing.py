"""Who looks on: told of every wait and every call of a poller, and deciding nothing.

This is all that the engine knows of telemetry; `greenroom.otel` is who looks on. An observer is
called at once and in the task that it is told about, so that it finds the caller's context there,
and it must neither raise nor wait. Where there is none, all of this costs a look at None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._engine import Engine
    from greenroom._launch._events import LaunchEvent
    from greenroom._limiter import Limiter
    from greenroom._results import WaitResult
    from greenroom._waiting import Wait


class Observer(Protocol):
    """Looks on at one poller."""

    def opened(self, engine: Engine, limiter: Limiter) -> None:
        """Take in that the poller takes waits from now on."""
        ...

    def closed(self) -> None:
        """Take in that it has done the last that it does."""
        ...

    def wait_began(self, wait: Wait) -> None:
        """Take in that somebody waits: told in the task of who does."""
        ...

    def wait_ended(self, wait: Wait, result: WaitResult | None) -> None:
        """Take in how a wait ended; with None, whoever waited has left."""
        ...

    def call_began(self, operation: str, sessions: int | None = None) -> CallObserver | None:
        """Take in that this task makes an API call, about so many sessions if that is known."""
        ...

    def launch_began(self, kind: str, launch_id: str) -> Callable[[LaunchEvent], object]:
        """Take in that a launch waits with this poller, and return who is told of its events."""
        ...

    def beside(self) -> Observer:
        """Return who looks on at another poller of the same launch."""
        ...


class CallObserver(Protocol):
    """Looks on at one question, which may take several API calls."""

    def page_ended(self) -> None:
        """Take in that a call was answered, and that another one is to be paid for."""
        ...

    def page_began(self) -> None:
        """Take in that this other one is made."""
        ...

    def ended(self, outcome: object) -> None:
        """Take in the answer, or the `SourceError` that there is instead."""
        ...

    def abandoned(self) -> None:
        """Take in that it was cancelled."""
        ...


_make: Callable[[], Observer] | None = None


def observe(make: Callable[[], Observer] | None) -> None:
    """Have what `make` returns look on at every poller made from now on; None for nobody."""
    global _make
    _make = make


def observer() -> Observer | None:
    """Return who looks on at a poller that is made now."""
    return None if _make is None else _make()
