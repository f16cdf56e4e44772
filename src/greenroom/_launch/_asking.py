"""Calls that change something: paid for, few at a time, and made again until they are answered.

A call whose answer got lost may have been carried out. It is made again with the token it had, so
that the service answers as if it had been asked once. What ends this is an answer, or a stop sign.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

from greenroom import _cancellation, _log
from greenroom._errors import (
    ConfigurationError,
    SourceError,
    Throttled,
    Unavailable,
    worded,
)
from greenroom._schedule import Backoff

if TYPE_CHECKING:
    from greenroom._launch._signs import StopSign
    from greenroom._limiter import Limiter
    from greenroom._observing import Observer
    from greenroom._remedies import Remedies

T = TypeVar("T")

RETRY = Backoff(initial=1.0, factor=2.0, ceiling=20.0, floor=0.5)
"""Seconds between a call that was not answered and the next one."""


class Asker:
    """Makes the calls.

    Args:
        limiter: The budget of these calls.
        in_flight: Most of them at the same time.
        remedies: Which errors are no answer.
        call_timeout: Seconds that one call may take.
        observer: Who looks on.

    Attributes:
        calls: Calls made.
        throttled: Those of them that the service throttled.
        trouble: Why the latest call was not answered; None if it was.
    """

    def __init__(
        self,
        limiter: Limiter,
        in_flight: int,
        remedies: Remedies,
        call_timeout: float = 30.0,
        observer: Observer | None = None,
    ) -> None:
        self.calls = self.throttled = 0
        self.trouble: str | None = None
        self._log = _log.logger()
        self._limiter = limiter
        self._remedies = remedies
        self._observer = observer
        self._call_timeout = call_timeout
        self._room = anyio.Semaphore(in_flight)

    async def leave(self, sign: StopSign) -> None:
        """Wait for leave to make one call; it must be used by `use_leave`, or given back.

        Raises:
            Stopped: The sign went up.
        """
        with sign.minded():
            await self._room.acquire()
            try:
                await self._limiter.acquire()
            except BaseException:
                self._room.release()
                raise
        if sign.is_up:
            self.give_back()
            sign.check()

    def give_back(self) -> None:
        """Give back a leave that was not used."""
        self._limiter.refund()
        self._room.release()

    async def use_leave(self, call: Callable[[], Awaitable[T]], operation: str) -> T | SourceError:
        """Make a call, and return its answer, or what went wrong."""
        self.calls += 1
        observed = None if self._observer is None else self._observer.call_began(operation)
        try:
            outcome = await self._called(call)
        except BaseException:
            if observed is not None:
                observed.abandoned()
            raise
        finally:
            self._room.release()
        if observed is not None:
            observed.ended(outcome)
        lost = isinstance(outcome, SourceError) and self._remedies.repeats(outcome)
        self.trouble = str(outcome) if lost and not isinstance(outcome, Throttled) else None
        if isinstance(outcome, SourceError):
            self.throttled += isinstance(outcome, Throttled)
            if isinstance(outcome, Throttled) or outcome.retry_after:
                self._limiter.slow_down(outcome.retry_after)
        return outcome

    async def ask(self, call: Callable[[], Awaitable[T]], sign: StopSign, *, operation: str) -> T:
        """Make a call until it is answered.

        Raises:
            SourceError: The service refuses.
            Stopped: The sign went up first. A call that is under way is seen through.
        """
        await self.leave(sign)
        return await self.insist(call, sign, operation=operation)

    async def insist(
        self,
        call: Callable[[], Awaitable[T]],
        sign: StopSign,
        *,
        operation: str,
        unsure: StopSign | None = None,
    ) -> T:
        """Make a call, for which there is leave, until it is answered.

        Args:
            call: The call.
            sign: What ends it early.
            operation: What the provider calls it.
            unsure: What ends it early once the call may have been carried out without an answer;
                the same if None.

        Raises:
            SourceError, Stopped: As for `ask`.
        """
        tries = 0
        while isinstance(outcome := await self.use_leave(call, operation), SourceError):
            if not self._remedies.repeats(outcome):
                raise outcome
            if not isinstance(outcome, Throttled):
                sign = unsure or sign
            tries += 1
            with sign.minded():
                await anyio.sleep(RETRY.delay(tries))
            await self.leave(sign)
        return outcome

    async def _called(self, call: Callable[[], Awaitable[T]]) -> T | SourceError:
        with anyio.move_on_after(self._call_timeout):
            try:
                return await call()
            except SourceError as error:
                return error
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001  # a provider may raise anything
                self._log.error("provider.raised", exc_info=error)
                return Unavailable(worded(error))
            except anyio.get_cancelled_exc_class():
                if _cancellation.is_ours():
                    raise
                return Unavailable("the provider let a cancellation of its own escape")
        return Unavailable(f"no answer within {self._call_timeout:g} s")
