"""Takes in what happens: into the account at once, into the journal in groups.

A commit costs a wait for the disk, or for whoever else keeps the record. While one is under way,
whatever else happens is gathered, and the next commit takes all of it: so the disk sets the pace of
commits, and not the pace of creates. `durable` is for those who may go on only when what they
recorded will be found after a crash.

A journal that cannot be written does not lose events: they stay here, and go with the next commit
that succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from greenroom._errors import JournalError

if TYPE_CHECKING:
    from greenroom._launch._account import Account
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._record import Record


class Recorder:
    """Where everything that happens in a launch passes through.

    Args:
        account: Takes in every event.
        journal: Keeps every event; None for none.
        tell: Told of every event, once the account has it.
        failed: Told when the journal cannot be written.

    Attributes:
        error: Why the latest commit failed; None if it did not.
    """

    def __init__(
        self,
        account: Account,
        journal: Record | None,
        tell: Callable[[LaunchEvent], None],
        failed: Callable[[JournalError], None],
    ) -> None:
        self._account = account
        self._journal = journal
        self._tell = tell
        self._failed = failed
        self._waiting: list[LaunchEvent] = []
        self._recorded = 0
        self._durable = 0
        self.error: JournalError | None = None
        self._changed = anyio.Event()
        self._committing = anyio.Lock()

    def record(self, event: LaunchEvent) -> None:
        """Take in an event."""
        self._account.take(event)
        if self._journal is not None:
            self._waiting.append(event)
            self._recorded += 1
            self._changed.set()
        self._tell(event)

    async def durable(self) -> None:
        """Wait until everything recorded so far will be found after a crash.

        Raises:
            JournalError: It cannot be written.
        """
        wanted = self._recorded
        while self._durable < wanted:
            await self.commit()
            if self.error is not None:
                raise self.error

    async def commit(self) -> None:
        """Write what has gathered, in one commit; whoever waits meanwhile goes with the next."""
        async with self._committing:
            group, self._waiting = self._waiting, []
            if self._journal is None or not group:
                return
            try:
                with anyio.CancelScope(shield=True):  # a group is written whole, or is still here
                    await self._journal.append(group)
            except JournalError as error:
                self._waiting[:0] = group
                if self.error is None:
                    self._failed(error)
                self.error = error
            else:
                self.error = None
                self._durable += len(group)

    async def run(self) -> None:
        """Write whatever nobody waits for, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self._journal is not None and self._journal.pause:
                await anyio.sleep(self._journal.pause)
            await self.commit()
            if self.error is not None:
                await anyio.sleep(PATIENCE)
                self._changed.set()


PATIENCE = 5.0
"""Seconds after which a journal that could not be written is tried again."""
