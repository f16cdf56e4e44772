"""What a shard leaves to whoever takes it over: enough to go on with nothing lost or doubled. Pure.

A heartbeat carries the whole of it each time, so of everything that happens only this is kept: what
was asked for and under which token, which session came of it, how that failed, what was settled and
what was deleted; and of what was seen of a session, the latest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom._launch import _events as events
from greenroom._launch._rows import ODD, Row, as_row, from_row
from greenroom.temporal._orders import compressed, unpacked

if TYPE_CHECKING:
    from greenroom._launch._events import LaunchEvent

_PASSING = (
    events.LaunchBegan,
    events.LaunchEnded,
    events.Metered,
    events.CreatesHeld,
    events.CreatesReleased,
    events.CreatesStopped,
)
"""What the next process finds out for itself."""


class Reads(NamedTuple):
    """What a worker's poller had counted when a shard began there, and when it was last heard of.

    All shards of a worker share its poller. So what a fleet cost there is from the first of its
    shards that began to the last that ended; what other fleets read meanwhile is in it.
    """

    calls_before: int
    throttled_before: int
    calls: int
    throttled: int

    def joined(self, other: Reads | None) -> Reads:
        """Return the same for both of two shards of the same worker."""
        if other is None:
            return self
        return Reads(
            min(self.calls_before, other.calls_before),
            min(self.throttled_before, other.throttled_before),
            max(self.calls, other.calls),
            max(self.throttled, other.throttled),
        )


class Kept:
    """What is kept of one shard.

    Attributes:
        changes: Calls that made or ended something, by whichever process.
        reads: What each worker's poller had counted, by the worker.
        place: Where its sessions are; None where nobody said it.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.reads: dict[str, Reads] = {}
        self.place: str | None = None
        self._rows: dict[tuple[object, ...], str] = {}  # as JSON: each is packed many times
        self._count = 0

    @classmethod
    def unpacked(cls, text: str | None) -> Kept:
        """Return what another process had kept; nothing where there was none.

        Raises:
            ValueError: It is not what `packed` returned.
        """
        kept = cls()
        if text is not None:
            content: Any = unpacked(text)
            try:
                kept.changes = content["changes"]
                kept.place = content.get("place")
                kept.reads = {worker: Reads(*each) for worker, each in content["reads"].items()}
                for row in content["rows"]:
                    kept.take(from_row(Row(*row)))
            except ODD as error:
                raise ValueError(f"this is no record of a shard: {error!r}") from error
        return kept

    def take(self, event: LaunchEvent) -> None:
        """Take in an event."""
        if isinstance(event, _PASSING):
            return
        slot: tuple[object, ...] = (self._next(),)
        match event:
            case events.Changed():
                slot = ("latest of", event.id)
            case events.CreateDeferred():
                slot = ("deferral of", event.key, event.attempt)
            case events.Created() | events.CreateRefused():
                self._rows.pop(("deferral of", event.key, event.attempt), None)
            case events.AttemptFailed() if ("latest of", event.id) in self._rows:
                # How it failed is told by the state that it was seen in then.
                self._rows[(self._next(),)] = self._rows.pop(("latest of", event.id))
                slot = (self._next(),)
        self._rows.pop(slot, None)
        self._rows[slot] = json.dumps(as_row(event))

    def events(self) -> Sequence[LaunchEvent]:
        """Return what is kept, in its order."""
        return [from_row(Row(*json.loads(row))) for row in self._rows.values()]

    def packed(self) -> str:
        """Return it as a text."""
        others = {"changes": self.changes, "reads": self.reads, "place": self.place}
        rows = ",".join(self._rows.values())
        return compressed(f'{{"rows":[{rows}],{json.dumps(others)[1:]}')

    def _next(self) -> int:
        self._count += 1
        return self._count


def joined_reads(shards: Iterable[Kept]) -> Mapping[str, Reads]:
    """Return what each worker's poller counted from the first of some shards to the last."""
    reads: dict[str, Reads] = {}
    for shard in shards:
        for worker, each in shard.reads.items():
            reads[worker] = each.joined(reads.get(worker))
    return reads
