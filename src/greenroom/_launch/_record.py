"""Where what happens in a launch is kept, so that whoever takes it up knows all of it.

For a launch of one process that is a file, the journal. An orchestrator that gives a launch to one
process after another keeps it with itself: anything will do that is a `Record`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio.to_thread

if TYPE_CHECKING:
    from greenroom._launch._account import Account
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._journal import Journal


@runtime_checkable
class Record(Protocol):
    """Keeps the events of one launch.

    Attributes:
        account: What was known of the launch when this process was given it. The launch goes on
            from there, and leaves alone whatever had settled.
        pause: Seconds for which what nobody waits for may gather before it is kept.
    """

    @property
    def account(self) -> Account:
        """What was known of the launch."""
        ...

    @property
    def pause(self) -> float:
        """Seconds for which what nobody waits for may gather."""
        ...

    async def append(self, events: Sequence[LaunchEvent]) -> None:
        """Add events, all or none. They will be found after a crash when this returns.

        It is called by one task at a time, and not cancelled: it must end by itself.

        Raises:
            JournalError: They cannot be kept. They are given again, before any others.
        """
        ...

    async def close(self) -> None:
        """Let go of it; what was appended stays."""
        ...


class FileRecord:
    """A journal, whose disk nobody waits for but the launch."""

    pause = 0.0

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def account(self) -> Account:
        """What was known of the launch when the journal was opened."""
        return self._journal.account

    async def append(self, events: Sequence[LaunchEvent]) -> None:
        """Add events to the file, all or none.

        Raises:
            JournalError: They cannot be written.
        """
        await anyio.to_thread.run_sync(self._journal.append, events)

    async def close(self) -> None:
        """Let go of the file."""
        await anyio.to_thread.run_sync(self._journal.close)
