"""greenroom for code that has no event loop: the same names, results and errors, without `await`.

    from greenroom import RateLimiter, sync
    from greenroom.sources import nimble

    sessions = nimble.connect(studio_id="us-west-2-abc", region_name="us-west-2", endpoint_url=url)
    with sync.Poller(sessions, limiter=RateLimiter(10, burst=20)) as poller:
        result = poller.wait("s-1", until="READY", timeout=1800)

It is a thin layer: all of it runs in one event loop of asyncio in a thread of its own, which lasts
for as long as anybody in the process uses it. So everything here may share one limiter; and any
number of threads may share one poller, which is the point of it: they share its calls.

Ctrl-C ends a wait and leaves nothing behind. A process that is forked has none of this: open what
it needs in it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, overload

import anyio
import anyio.to_thread

from greenroom import _arguments
from greenroom._callbacks import name_of
from greenroom._errors import ConfigurationError, PollerClosed
from greenroom._launch import _launch
from greenroom._poller import Poller as AsyncPoller
from greenroom._portal import Hosted, run
from greenroom._results import Transition, WaitResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from greenroom._callbacks import Callback, Trigger
    from greenroom._history import History
    from greenroom._launch._policy import LaunchPolicy
    from greenroom._launch._provider import Provider
    from greenroom._launch._report import LaunchReport
    from greenroom._limiter import Limiter
    from greenroom._poller import PollerStatistics
    from greenroom._results import WaitResults
    from greenroom._schedule import PayAsYouWait, Schedule
    from greenroom._source import Source
    from greenroom._specs import SpecLike
    from greenroom._states import Verdict
    from greenroom._waiting import AsCompleted as AsyncAsCompleted
    from greenroom._watching import Watch as AsyncWatch

__all__ = ["AsCompleted", "Poller", "Watch", "call", "connect", "launch", "wait"]

P = ParamSpec("P")
T = TypeVar("T")

CALLBACK_THREADS = 16
"""Callbacks of one poller that run at the same time."""


class Poller:
    """`greenroom.Poller` as a plain context manager, for any number of threads at once.

    Leaving it does what leaving `greenroom.Poller` does, and joins the thread of the event loop
    where nobody else in the process uses it.

    Args:
        source: What reads the states; or what opens it, such as `nimble.connect(...)`, which is
            then opened and closed with the poller.
        limiter, schedule, settle, not_found_grace, call_timeout, strict, raise_callback_errors: As
            for `greenroom.Poller`.

    Raises:
        ConfigurationError: On entering: what `greenroom.Poller` refuses, or an event loop runs in
            this thread, which would be blocked.
        PollerClosed: On entering: it has been entered before.
    """

    def __init__(
        self,
        source: Source | AbstractAsyncContextManager[Source],
        *,
        limiter: Limiter | None = None,
        schedule: Schedule | PayAsYouWait | None = None,
        settle: float = 30.0,
        not_found_grace: float | None = None,
        call_timeout: float = 30.0,
        strict: bool = False,
        raise_callback_errors: bool = False,
    ) -> None:
        make = partial(
            AsyncPoller,
            limiter=limiter,
            schedule=schedule,
            settle=settle,
            not_found_grace=not_found_grace,
            call_timeout=call_timeout,
            strict=strict,
            raise_callback_errors=raise_callback_errors,
        )
        self._opening = _polled(source, make)
        self._hosted: Hosted[AsyncPoller] | None = None
        self._poller: AsyncPoller | None = None
        self._process = 0
        self._threads = anyio.CapacityLimiter(CALLBACK_THREADS)

    def __enter__(self) -> Self:
        if self._hosted is not None:
            raise PollerClosed("this poller has been entered before; make a new Poller(...)")
        self._hosted = Hosted(self._opening, "`async with greenroom.Poller(...)`")
        self._process = os.getpid()
        self._poller = self._hosted.__enter__()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        assert self._hosted is not None
        self._hosted.__exit__(exc_type)

    @property
    def limiter(self) -> Limiter:
        """The budget, to be shared with whatever else here draws on the quota."""
        return self.asynchronous.limiter

    def wait(
        self, session_id: str, /, *, until: str | Iterable[str], timeout: float | None
    ) -> WaitResult:
        """Wait for one session to reach `until`, as `greenroom.Poller.wait` does."""
        return self._run("wait", self.asynchronous.wait, session_id, until=until, timeout=timeout)

    def wait_all(
        self, ids: Iterable[str], /, *, until: str | Iterable[str], timeout: float | None
    ) -> WaitResults:
        """Wait for each of many sessions, as `greenroom.Poller.wait_all` does."""
        unique = _arguments.unique_ids(ids)
        return self._run(
            "wait_all", self.asynchronous.wait_all, unique, until=until, timeout=timeout
        )

    def as_completed(
        self, ids: Iterable[str], /, *, until: str | Iterable[str], timeout: float | None
    ) -> AsCompleted:
        """Iterate over results as they settle, as `greenroom.Poller.as_completed` does."""
        begin, unique = self.asynchronous.as_completed, _arguments.unique_ids(ids)

        async def begun() -> tuple[AsyncAsCompleted, asyncio.AbstractEventLoop]:
            return begin(unique, until=until, timeout=timeout), asyncio.get_running_loop()

        return AsCompleted(*self._run("as_completed", begun), partial(self._run, "as_completed"))

    def watch(self, ids: Iterable[str], /, *, timeout: float | None = None) -> Watch:
        """Watch sessions inside `with`, as `greenroom.Poller.watch` does.

        Args:
            ids: The sessions.
            timeout: Seconds from now after which the iteration ends; None for when it is left.
        """
        watching = self.asynchronous.watch(_arguments.unique_ids(ids))
        deadline = time.monotonic() + _arguments.timeout(timeout)
        return Watch(watching, deadline, partial(self._run, "watch"))

    @overload
    def on(
        self, trigger: Verdict, callback: Callable[[WaitResult], object], /
    ) -> Callable[[], None]: ...

    @overload
    def on(
        self,
        trigger: str | tuple[str | None, str | None],
        callback: Callable[[Transition], object],
        /,
    ) -> Callable[[], None]: ...

    def on(self, trigger: Trigger, callback: Callback, /) -> Callable[[], None]:
        """Call `callback` whenever `trigger` happens, as `greenroom.Poller.on` does.

        A plain function is called in a thread that is neither yours nor the event loop's, where it
        may block and may use this poller; up to 16 at a time, of one session one after the other.
        An async function runs on the event loop.
        """
        register: Callable[[Trigger, Callback], Callable[[], None]] = self.asynchronous.on

        async def registered() -> Callable[[], None]:
            register(trigger, callback)()  # which refuses what is no callback
            return register(trigger, self._in_a_thread(callback))

        forget = self._run("on", registered)
        return lambda: self._at_once("on", forget)

    def check_open(self) -> None:
        """Return if waits are taken.

        Raises:
            PollerClosed: The poller was not entered, or was left.
        """
        self._at_once("check_open", self.asynchronous.check_open)

    def notify(self, session_id: str) -> None:
        """Look at a session now, as `greenroom.Poller.notify` does."""
        self._at_once("notify", self.asynchronous.notify, session_id)

    def history(self) -> History:
        """Return what this poller has learned, as `greenroom.Poller.history` does."""
        return self._at_once("history", self.asynchronous.history)

    def statistics(self) -> PollerStatistics:
        """Return the present figures."""
        return self._at_once("statistics", self.asynchronous.statistics)

    @property
    def asynchronous(self) -> AsyncPoller:
        """The poller in the loop, for `sync.call` and for async callbacks.

        Raises:
            PollerClosed: This was not entered.
            ConfigurationError: It was entered in another process.
        """
        if self._poller is None:
            raise PollerClosed("the poller is not open: use it inside `with sync.Poller(...)`")
        self._check_process()
        return self._poller

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise ConfigurationError(
                "the poller is in the process from which this one was forked: open one in each, "
                "after the fork, as Celery's worker_process_init does"
            )

    def _run(
        self, name: str, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_process()
        return run(f"`greenroom.Poller.{name}`", function, *args, **kwargs)

    def _at_once(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async def in_the_loop() -> T:
            return function(*args, **kwargs)

        return self._run(name, in_the_loop)

    def _in_a_thread(self, callback: Callback) -> Callback:
        asynchronous = inspect.iscoroutinefunction(callback)

        async def call(event: Transition | WaitResult) -> None:
            try:
                if asynchronous:
                    returned = callback(event)
                else:
                    returned = await anyio.to_thread.run_sync(
                        callback, event, limiter=self._threads
                    )
                if inspect.isawaitable(returned):
                    await returned
            except (KeyboardInterrupt, SystemExit) as error:  # which would end the loop of all
                raise RuntimeError(f"a callback ends no program: {error!r}") from error

        call.__module__, call.__qualname__ = "", name_of(callback)
        return call


class AsCompleted(Iterator[WaitResult]):
    """Results in the order in which they settle.

    The remaining waits are left as soon as it is closed, interrupted, or dropped, as by an early
    exit from `for`.
    """

    def __init__(
        self, results: AsyncAsCompleted, loop: asyncio.AbstractEventLoop, run: Callable[..., Any]
    ) -> None:
        self._results = results
        self._loop = loop
        self._run = run

    def __next__(self) -> WaitResult:
        result: WaitResult | None = self._run(self._next)
        if result is None:
            raise StopIteration
        return result

    def close(self) -> None:
        """Leave what is still pending."""
        self._run(self._results.aclose)

    async def _next(self) -> WaitResult | None:
        return await anext(self._results, None)

    def __del__(self) -> None:
        # What drops it may be any thread, at any time: nothing here may wait for the loop.
        with suppress(RuntimeError):  # there is no loop any more
            self._loop.call_soon_threadsafe(id, self._results)


class Watch(Iterator[Transition]):
    """Every transition of some sessions, until left or until its time is over.

    Where the service refuses an id, iteration raises that error once; iterating again goes on with
    the others.
    """

    def __init__(
        self,
        watching: AbstractAsyncContextManager[AsyncWatch],
        deadline: float,
        run: Callable[..., Any],
    ) -> None:
        self._hosted = Hosted(watching, "`async with greenroom.Poller.watch(...)`")
        self._deadline = deadline
        self._run = run

    def __enter__(self) -> Self:
        self._watch = self._hosted.__enter__()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self._hosted.__exit__(exc_type)

    @property
    def conflated(self) -> int:
        """Changes that were told as part of a later one, because the consumer was slow."""
        return self._watch.conflated

    def __next__(self) -> Transition:
        change: Transition | None = self._run(self._next)
        if change is None:
            raise StopIteration
        return change

    async def _next(self) -> Transition | None:
        with anyio.move_on_after(self._deadline - time.monotonic()):
            return await anext(self._watch, None)
        return None


def wait(
    source: Source | AbstractAsyncContextManager[Source],
    session_id: str,
    /,
    *,
    until: str | Iterable[str],
    timeout: float | None,
    limiter: Limiter | None = None,
) -> WaitResult:
    """Wait for one session, as `greenroom.wait` does.

    Args and errors are those of `Poller` and `Poller.wait`.
    """
    with Poller(source, limiter=limiter) as poller:
        return poller.wait(session_id, until=until, timeout=timeout)


def launch(
    studio: Provider | AbstractAsyncContextManager[Provider],
    specs: Iterable[SpecLike] | None = None,
    *,
    poller: Poller | None = None,
    creates: Limiter | None = None,
    policy: LaunchPolicy | None = None,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
) -> LaunchReport:
    """Create many workstations, wait for all of them, and return the account.

    Args and errors are those of `greenroom.launch`; `studio` may also be what opens it. Ctrl-C ends
    it at once: what exists then goes on existing, and a journal takes it up again.
    """
    waits = None if poller is None else poller.asynchronous

    async def launched() -> LaunchReport:
        async with _opened(studio) as there:
            return await _launch.launch(
                there,
                specs,
                poller=waits,
                creates=creates,
                policy=policy,
                journal=journal,
                resume=resume,
                retry_failed=retry_failed,
            )

    return run("`greenroom.launch`", launched)


def connect(opening: AbstractAsyncContextManager[T], /) -> AbstractContextManager[T]:
    """Open a connection that several share: `with sync.connect(ec2.connect(...)) as instances:`.

    What it yields is for `Poller`, `launch` and `call`.
    """
    return Hosted(opening, "`async with`")


def call(function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an async function where the connections are, and return what it returns.

    `sync.call(greenroom.act, studio, "stop", ids, timeout=600)`.
    """
    return run("`await`", function, *args, **kwargs)


@asynccontextmanager
async def _polled(
    source: Source | AbstractAsyncContextManager[Source], make: Callable[[Source], AsyncPoller]
) -> AsyncIterator[AsyncPoller]:
    async with _opened(source) as there, make(there) as poller:
        yield poller


def _opened(thing: T | AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
    """Return what opens it; what can be read already is left as it is, as `Poller` does."""
    if isinstance(thing, AbstractAsyncContextManager) and not hasattr(thing, "describe"):
        return thing
    return nullcontext(cast("T", thing))
