"""Deadlines: any number of them, minded by one task, whoever else is busy or gone."""

from __future__ import annotations

import heapq
import itertools
import math
import weakref
from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarms:
    """Calls plain methods when their time has come.

    An alarm does not keep its object alive: where nobody else holds it any more, it stays silent.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, weakref.WeakMethod[Callable[[], None]]]] = []
        self._soon: deque[Callable[[], None]] = deque()
        self._serials = itertools.count()
        self._wake = anyio.Event()

    def set(self, at: float, method: Callable[[], None]) -> None:
        """Have the bound `method` called at `at`, on the loop's clock; never at infinity."""
        if at < math.inf:
            heapq.heappush(self._heap, (at, next(self._serials), weakref.WeakMethod(method)))
            self._wake.set()

    def soon(self, function: Callable[[], None]) -> None:
        """Have `function` called by the task that minds the alarms."""
        self._soon.append(function)
        self._wake.set()

    async def run(self) -> None:
        """Call whatever is due, until cancelled."""
        while True:
            self._wake = anyio.Event()
            while self._soon:
                self._soon.popleft()()
            while self._heap and self._heap[0][0] <= anyio.current_time():
                method = heapq.heappop(self._heap)[2]()
                if method is not None:
                    method()
            with anyio.CancelScope(deadline=self._heap[0][0] if self._heap else math.inf):
                await self._wake.wait()
