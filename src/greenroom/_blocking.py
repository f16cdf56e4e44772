"""Who holds the event loop: foreign code is timed between the places where it waits.

A callback that blocks (`time.sleep`, a request without `await`, a query on a slow disk) stops every
wait, every deadline and every other callback, and nothing of it shows but answers that come late.
So each stretch that runs without giving the loop back is measured, of plain functions and of
coroutines alike, and the longest is told by whoever called. What never returns cannot be told of
from inside the loop; `faulthandler.dump_traceback_later` of the standard library finds that.
"""

from __future__ import annotations

import inspect
import time
import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator

LIMIT = 0.1
"""Seconds without giving the loop back that are worth a word; asyncio's debug mode has the same."""


class Holding:
    """Runs foreign code and remembers the longest stretch for which it held the loop.

    Args:
        clock: Seconds that go on while the loop is held: not the loop's own clock, which may be
            virtual.

    Attributes:
        longest: Seconds.
    """

    __slots__ = ("_clock", "longest")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.longest = 0.0

    async def run(self, function: Callable[[Any], object], argument: object) -> None:
        """Call `function` and await what it returns, if that can be awaited.

        Raises whatever it raises.
        """
        with self._timed():
            returned = function(argument)
        if inspect.isawaitable(returned):
            await self._stepwise(_finish(returned))

    @types.coroutine
    def _stepwise(self, coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        resume: Callable[[Any], Any] = coroutine.send
        handed: Any = None
        while True:
            with self._timed():
                try:
                    awaited = resume(handed)
                except StopIteration:
                    return
            try:
                handed = yield awaited
                resume = coroutine.send
            except BaseException as error:  # noqa: BLE001  # all of it is the coroutine's to handle
                handed, resume = error, coroutine.throw

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self.longest = max(self.longest, self._clock() - began)


async def _finish(awaitable: Awaitable[object]) -> None:
    await awaitable
