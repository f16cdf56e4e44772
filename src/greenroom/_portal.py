"""The event loop of those who have none: one for the process, in a thread of its own.

It runs while anybody uses it: whoever comes first starts it, and whoever leaves last ends it and
joins its thread. There is one, and not one for each, so that all who come share what belongs to one
loop: connections, pollers, and above all a budget.

A thread that waits is woken by its result, by an exception or by Ctrl-C. In the last case what it
waited for is cancelled, and has come to its end before KeyboardInterrupt goes on.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
from anyio.from_thread import BlockingPortal

from greenroom._errors import ConfigurationError, PollerClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class _Loop:
    """The loop, and how many are using it. Whoever enters it has it run until they leave."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._process = os.getpid()

    def __enter__(self) -> BlockingPortal:
        with self._lock:
            if not self._users:
                self._start()
            self._users += 1
            return self._portal

    def __exit__(self, *_: object) -> None:
        if self._process != os.getpid():
            return
        with self._lock:  # no other begins while this one ends: a limiter is in one at a time
            self._users -= 1
            if not self._users:
                self._portal.call(self._portal.stop)
                self._thread.join()

    def _start(self) -> None:
        started: Future[BlockingPortal] = Future()

        async def serve() -> None:
            async with BlockingPortal() as portal:
                started.set_result(portal)
                await portal.sleep_until_stopped()

        # It does not keep alive a program that ends without leaving.
        self._thread = threading.Thread(
            target=anyio.run, args=(serve,), name="greenroom.sync", daemon=True
        )
        self._thread.start()
        self._portal = started.result()


_loop = _Loop()


def _forget_the_parents() -> None:
    global _loop
    _loop = _Loop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)  # whose thread has not come along


class _Errand(Generic[T]):
    """Something asynchronous that one thread waits for.

    Attributes:
        result: What it returned or raised.
    """

    def __init__(self, portal: BlockingPortal, function: Callable[[], Awaitable[T]]) -> None:
        self.result: Future[T] = Future()
        self._portal = portal
        self._function = function
        self._scope: anyio.CancelScope | None = None

    def begin_and_wait(self, news: Future[V]) -> V:
        """Begin it, and wait for news of it."""
        try:
            self._portal.start_task_soon(self._run)
            return news.result()
        except BaseException:
            self._end()
            raise

    def wait(self) -> T:
        """Wait for its end."""
        try:
            return self.result.result()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        """Cancel it and wait for its end, where whoever waited was interrupted before that."""
        if not self.result.done() and self._portal.call(self._cancel):
            self.result.exception()

    def _cancel(self) -> bool:
        """Cancel it, and return whether it had begun. It is in the loop, as its beginning is."""
        if self._scope is not None:
            self._scope.cancel()
        return self._scope is not None

    async def _run(self) -> None:
        """Do it. Whatever is raised is for the thread, and nothing of it for the loop of all."""
        try:
            with anyio.CancelScope() as self._scope:
                self.result.set_result(await self._function())
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  # a callback may raise SystemExit
            self.result.set_exception(error)
        finally:
            if not self.result.done():
                self.result.set_exception(PollerClosed("the event loop of greenroom.sync ended"))


class _LeftByError(Exception):
    """Tells an asynchronous context manager that it is left by an exception."""


class Hosted(Generic[T]):
    """Enters and leaves an asynchronous context manager, both in one task in the loop.

    It is told that it is left by an exception, but not by which, and cannot suppress it.

    Args:
        manager: What is entered.
        instead: What to use where an event loop runs.

    Raises:
        ConfigurationError: On entering: an event loop runs in this thread.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T], instead: str) -> None:
        self._manager = manager
        self._instead = instead
        self._opened: Future[T] = Future()
        self._leave = anyio.Event()
        self._broken = False

    def __enter__(self) -> T:
        _refuse_in_a_loop(self._instead)
        self._loop = _loop
        with ExitStack() as stack:
            self._portal = stack.enter_context(self._loop)
            self._errand = _Errand(self._portal, self._host)
            value = self._errand.begin_and_wait(self._opened)
            stack.pop_all()
        return value

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._loop is not _loop:
            return  # it is in the process from which this one was forked
        try:
            self._broken = exc_type is not None
            self._portal.call(self._leave.set)
            self._errand.wait()
        finally:
            self._loop.__exit__()

    async def _host(self) -> None:
        try:
            async with self._manager as value:
                self._opened.set_result(value)
                await self._leave.wait()
                if self._broken:
                    raise _LeftByError
        except _LeftByError:
            pass
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            raise


def run(
    instead: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run an async function in the loop, and return what it returns.

    Args:
        instead: What to use where an event loop runs.
        function: The function.
        args: Its arguments.
        kwargs: And those by name.

    Raises:
        ConfigurationError: An event loop runs in this thread.
    """
    _refuse_in_a_loop(instead)
    with _loop as portal:
        errand = _Errand(portal, partial(function, *args, **kwargs))
        return errand.begin_and_wait(errand.result)


def _refuse_in_a_loop(instead: str) -> None:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:  # anyio.NoEventLoopError
        return
    raise ConfigurationError(
        "greenroom.sync would block the event loop that runs in this thread; what it does is "
        f"there {instead}"
    )
