"""The lease of a shard: one process at a time may create its sessions, and heartbeats say which.

A worker's own heartbeats are sent when the library sees fit, and nobody learns whether they came
through. Here each is a call whose answer is waited for. So three things are known that have to be:

- What is about to be created is with the server **before** it is asked for; whoever takes the shard
  over finds it there, and asks again under the same token.
- An attempt that the server has given up, because it was not heard of in time, **learns so before
  its next create**: the server no longer knows it, and refuses the heartbeat.
- While the server is away nothing new is created; what was created is still waited for.

The library's own heartbeats are not used beside these: one of them could arrive late, and put what
was known before in the place of what is known now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import anyio
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode

from greenroom import _log
from greenroom._errors import JournalError
from greenroom._launch._events import Settled
from greenroom._schedule import Backoff
from greenroom._states import Verdict

if TYPE_CHECKING:
    from temporalio.client import AsyncActivityHandle

    from greenroom._launch._account import Account
    from greenroom._launch._events import LaunchEvent
    from greenroom.temporal._kept import Kept

CALL_TIMEOUT = 5.0
"""Seconds that one heartbeat may take."""

AGAIN = Backoff(initial=0.5, factor=2.0, ceiling=5.0, floor=0.2)
"""Seconds between a heartbeat that did not come through and the next."""

GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)
"""What the server answers to those that it has given up."""


NO_LONGER = "this worker no longer has the shard"


class LeaseLost(JournalError):
    """The shard is somebody else's by now, or nobody's."""


class Lease:
    """The lease of one attempt of one shard.

    Args:
        handle: The attempt.
        details: Returns what a heartbeat carries.
        interval: Seconds from one heartbeat to the next where there is no news.
        stop: Called when the fleet is cancelled: the shard has to come to its end.

    Attributes:
        lost: Whether it is lost.
    """

    def __init__(
        self,
        handle: AsyncActivityHandle,
        details: Callable[[], str],
        interval: float,
        stop: Callable[[], None],
    ) -> None:
        self.lost = False
        self._handle = handle
        self._details = details
        self._interval = interval
        self._stop = stop
        self._left = False
        self._one_by_one = anyio.Lock()
        self._log = _log.logger()

    async def keep(self) -> None:
        """Renew it until cancelled.

        Raises:
            LeaseLost: It is lost.
        """
        while True:
            await anyio.sleep(self._interval)
            await self.renew()

    async def renew(self) -> None:
        """Tell the server how far things are, and wait until it has heard of it.

        Raises:
            LeaseLost: It is lost, or was left.
        """
        async with self._one_by_one:
            details, tries = self._details(), 0
            while not await self._was_heard(details, first=tries == 0):
                tries += 1
                if self._left:
                    raise LeaseLost(NO_LONGER, "")
                await anyio.sleep(AGAIN.delay(tries))
            if tries:
                self._log.info("fleet.heard")

    async def _was_heard(self, details: str, *, first: bool) -> bool:
        if self.lost:
            raise LeaseLost(NO_LONGER, "")
        try:
            with anyio.CancelScope(shield=True):  # one that nobody waits for could arrive late
                await self._handle.heartbeat(details, rpc_timeout=timedelta(seconds=CALL_TIMEOUT))
        except AsyncActivityCancelledError as error:
            if error.details is not None and not error.details.cancel_requested:
                self._lose(f"it was paused or reset: {error.details}")
            self._stop()
        except RPCError as error:
            if error.status in GONE:
                self._lose(error.message)
            if first:
                self._log.warning("fleet.unheard", error=error.message)
            return False
        return True

    def leave(self) -> None:
        """Try each renewal once: where the server is away, nobody waits for it any more."""
        self._left = True

    def _lose(self, why: str) -> NoReturn:
        self.lost = True
        self._log.warning("fleet.lease_lost", error=why)
        raise LeaseLost(NO_LONGER, "")


class LeasedRecord:
    """The record of a shard: what is kept of it, kept by the server.

    What is about to be created waits for a heartbeat. What was seen and what settled goes with the
    next one, or gathers for a second: a server has a write to do for each.

    That a wait was cancelled with the worker is no outcome: whoever goes on with the shard waits
    again. It is not kept.

    Args:
        account: What was known of the shard.
        kept: What was kept of it.
        lease: The lease.

    Attributes:
        left: Whether such a thing happened.
    """

    pause = 1.0

    def __init__(self, account: Account, kept: Kept, lease: Lease) -> None:
        self.account = account
        self.left = False
        self._kept = kept
        self._lease = lease
        self._unheard = 0

    async def append(self, events: Sequence[LaunchEvent]) -> None:
        """Keep events; those that are given again, for nobody had heard of them, once.

        Raises:
            LeaseLost: The shard is somebody else's, or was left.
        """
        for event in events[self._unheard :]:
            if _is_left(event):
                self.left = True
            else:
                self._kept.take(event)
        self._unheard = len(events)
        await self._lease.renew()
        self._unheard = 0

    async def close(self) -> None:
        """There is nothing to let go of: whoever opened the lease leaves it."""


def _is_left(event: LaunchEvent) -> bool:
    """Return whether a wait was cancelled, and not the launch: its poller was closed."""
    return isinstance(event, Settled) and event.cause == Verdict.CANCELLED.name
