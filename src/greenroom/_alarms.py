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


FEW = 64
"""Alarms that are kept whatever has become of their objects."""


class Alarms:
    """Calls plain methods when their time has come.

    An alarm does not keep its object alive: where nobody else holds it any more, it stays silent,
    and is dropped long before its time. Waits mostly end well before their deadline, and who gives
    them a day would else fill the memory with a day's alarms.
    """

    def __init__(self) -> None:
        self._tidy_at = FEW
        self._heap: list[tuple[float, int, weakref.WeakMethod[Callable[[], None]]]] = []
        self._soon: deque[Callable[[], None]] = deque()
        self._serials = itertools.count()
        self._wake = anyio.Event()

    def set(self, at: float, method: Callable[[], None]) -> None:
        """Have the bound `method` called at `at`, on the loop's clock; never at infinity."""
        if at < math.inf:
            if len(self._heap) >= self._tidy_at:
                self._tidy()
            heapq.heappush(self._heap, (at, next(self._serials), weakref.WeakMethod(method)))
            self._wake.set()

    def _tidy(self) -> None:
        """Drop the alarms of objects that are gone, each time that there are twice as many."""
        self._heap = [alarm for alarm in self._heap if alarm[2]() is not None]
        heapq.heapify(self._heap)
        self._tidy_at = max(FEW, 2 * len(self._heap))

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
