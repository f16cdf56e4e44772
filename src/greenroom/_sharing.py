"""One of a kind for all who ask for it at the same time, within one event loop of asyncio.

Those who share are tasks that somebody else begins and cancels, such as the triggers of an Airflow
process, and whoever came first may leave first. A task group cannot outlive the task that opened
it. So what is shared belongs to a task of its own: the first who asks begins it, and the last who
leaves ends it and waits for its end.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from greenroom._errors import PollerClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")

_hosts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Host[Any]]] = (
    WeakKeyDictionary()
)


class _Host(Generic[T]):
    """Holds something open, in a task of its own, for those who are its guests.

    Args:
        opening: Opens it.
        retire: Called when nobody is to find it any more: it ended.
    """

    def __init__(
        self,
        opening: Callable[[], AbstractAsyncContextManager[T]],
        retire: Callable[[_Host[T]], None],
    ) -> None:
        self.guests = 0
        self._opening = opening
        self._retire = retire
        self._opened = asyncio.Event()
        self._leave = asyncio.Event()
        # What it logs belongs to no guest, so it has nothing of the first one's context.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._task.add_done_callback(self._ended)

    async def opened(self) -> T:
        """Wait until it is open, or raise why it cannot be."""
        await self._opened.wait()
        if self._task.done():
            self._task.result()
        return self._value

    async def end(self) -> None:
        """End it, and raise what it broke by. Whoever is cancelled meanwhile does not stop that."""
        self._retire(self)
        self._leave.set()
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        async with self._opening() as self._value:
            self._opened.set()
            await self._leave.wait()

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._retire(self)
        self._opened.set()


@asynccontextmanager
async def shared(
    key: Hashable, opening: Callable[[], AbstractAsyncContextManager[T]]
) -> AsyncIterator[T]:
    """Open something, or share what another task has open under the same key.

    Args:
        key: Tells which are the same.
        opening: Opens it. It is closed when the last has left.

    Raises:
        BaseException: What opening it raised, or what it broke by, where using it raised
            `PollerClosed`. Whoever asks next has it opened anew.
    """
    hosts = _hosts.setdefault(asyncio.get_running_loop(), {})

    def retire(host: _Host[T]) -> None:
        if hosts.get(key) is host:
            del hosts[key]

    if key not in hosts:
        hosts[key] = _Host(opening, retire)
    host: _Host[T] = hosts[key]
    host.guests += 1
    try:
        yield await host.opened()
    except PollerClosed:
        await host.end()
        raise
    finally:
        host.guests -= 1
        if not host.guests:
            await host.end()
