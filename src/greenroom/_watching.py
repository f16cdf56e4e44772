"""A watch: every change of some sessions, for a consumer that may be slow.

What the consumer has not taken yet is kept, so memory must have a bound that no consumer and no
flapping session can pass. It is a bound per session, so that one that flaps takes nothing from the
others: when more than `BUFFER` changes of a session wait, the two oldest become one, which goes
from where the first began to where the second ended and names what was between as skipped. So
a slow consumer loses detail of the past and never the present: the states it is told still join up,
and the last is the latest. A life from creation to deletion has fewer changes than the buffer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import anyio

from greenroom._errors import AccessDenied, InvalidRequest
from greenroom._results import Transition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom._errors import GreenroomError

BUFFER = 16
"""Changes of one session that a watch keeps apart for its consumer."""


class Watch(AsyncIterator[Transition]):
    """Every transition of some sessions, from the moment of entering until left.

    Where the service refuses an id, iteration raises that error once; iterating again goes on with
    the others, and ends when none is left.

    Attributes:
        conflated: Changes that were told as part of a later one, because the consumer was slow.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.conflated = 0
        self._watched = set(ids)
        self._turns: deque[str | GreenroomError] = deque()
        self._changes: defaultdict[str, deque[Transition]] = defaultdict(deque)
        self._changed = anyio.Event()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Transition:
        while not self._turns:
            if self._closed:
                raise StopAsyncIteration
            if self._changed.is_set():
                self._changed = anyio.Event()
            await self._changed.wait()
        turn = self._turns.popleft()
        if isinstance(turn, str):
            return self._changes[turn].popleft()
        raise turn

    def put(self, change: Transition) -> bool:
        """Hand over a change. The engine calls this.

        Returns:
            Whether this is the first time that the consumer is too slow for it.
        """
        waiting = self._changes[change.id]
        waiting.append(change)
        if len(waiting) <= BUFFER:
            self._turns.append(change.id)
            self._changed.set()
            return False
        waiting.appendleft(_joined(waiting.popleft(), waiting.popleft()))
        self.conflated += 1
        return self.conflated == 1

    def refuse(self, session_id: str, error: GreenroomError) -> None:
        """Hand over that the source will not speak about a session. The engine calls this."""
        kind = AccessDenied if isinstance(error, AccessDenied) else InvalidRequest
        refusal = kind(
            str(error),
            ids=(session_id,),
            code=getattr(error, "code", None),
            operation=getattr(error, "operation", None),
        )
        refusal.__cause__ = error
        self._turns.append(refusal)
        self._changed.set()
        self._watched.discard(session_id)
        if not self._watched:
            self.close()

    def close(self) -> None:
        """End the iteration after the events that are already here."""
        self._closed = True
        self._changed.set()


def _joined(first: Transition, second: Transition) -> Transition:
    between = () if first.after is None else (first.after,)
    skipped = (*first.skipped, *between, *second.skipped)
    return replace(second, before=first.before, skipped=skipped[-BUFFER:])
