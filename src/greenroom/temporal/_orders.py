"""What travels between the client, the workflow and the activities of a fleet. Pure.

Temporal keeps every message, and limits each to 2 MB. So what is long, specs and records, travels
as JSON that was compressed: a hundred specs that are alike take less room than three that are not.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from greenroom._errors import ConfigurationError
from greenroom._launch._policy import LaunchPolicy
from greenroom._specs import WorkstationSpec

WORKFLOW = "greenroom.fleet"
"""The name of the workflow. It stands in histories, as those below: they are not changed."""

LAUNCH = "greenroom.launch_shard"
END = "greenroom.end_shard"
PENDING = "greenroom.pending_records"
CANCEL = "cancel"
STATUS = "status"

LARGEST = 1_900_000
"""Bytes that a message may have, as all packed specs of a fleet; Temporal refuses one of 2 MB."""

MOST_SHARDS = 5000
"""Shards that one fleet may have: a server ends a workflow whose history has 51,200 events, and a
shard takes up to six, or more where it is cancelled and ended."""

LARGEST_MESSAGE = 900_000
"""Bytes of a shard's specs, of its record, or of the records that are sent together. Specs and
record have to fit into one message of 2 MB, and so have many records."""

OPEN_SHARDS = 200
"""Shards of one fleet that are under way at once, at most."""

OPEN_WORKSTATIONS = 10_000
"""Workstations of one fleet that are under way at once, if one shard has no more than that."""

OPEN_BYTES = 6_000_000
"""Bytes of the heartbeats of all shards that are under way. A server keeps them in one place, and
ends a workflow that has more than 8 MB there. A workstation takes 0.2 KB for each of its attempts,
so that all of those under way may have three."""

Sessions = Literal["keep", "delete-unready", "delete"]

SESSIONS: tuple[Sessions, ...] = ("keep", "delete-unready", "delete")
"""What can become of a cancelled fleet's sessions, from the mildest to the most thorough."""


def more_thorough(one: str, other: str | None) -> str:
    """Return which of two of `SESSIONS` deletes more."""
    return max((one, other or one), key=lambda each: [str(known) for known in SESSIONS].index(each))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A fleet, but for its specs.

    Attributes:
        kind: The kind of its sessions.
        place: Where they are to be, as the provider says it; None for wherever a worker is at work.
        policy: How each shard goes about it, as `packed_policy` returns it.
        heartbeat_timeout: Seconds after which a worker that was not heard of has lost its shards.
        open_shards: Most shards under way at once, and no more than there are.
    """

    kind: str
    place: str | None
    policy: dict[str, Any]
    heartbeat_timeout: float
    open_shards: int = OPEN_SHARDS

    @property
    def timeout(self) -> float | None:
        """Seconds from the start of the fleet to its deadline; None for none."""
        timeout: float | None = self.policy["timeout"]
        return timeout

    @property
    def largest_record(self) -> int:
        """Bytes of a shard's record with which it makes no further sessions."""
        return min(LARGEST_MESSAGE, OPEN_BYTES // self.open_shards)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOrder:
    """One shard, as an activity is given it.

    Attributes:
        fleet_id: The fleet. Client tokens derive from it.
        number: Which of its shards, from 0.
        specs: Its workstations, packed.
        plan: The fleet.
        deadline: When it has to be ready, in epoch seconds; None for whenever.
    """

    fleet_id: str
    number: int
    specs: str
    plan: Plan
    deadline: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """How far a shard has come.

    Attributes:
        record: What is kept of its events, packed.
        counts: Its workstations by verdict.
        made: Whether it may have sessions.
    """

    record: str
    counts: dict[str, int] = field(default_factory=dict)
    made: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetProgress:
    """What the workflow knows of a fleet, as its query answers and as its result says.

    Attributes:
        shards: All of them.
        settled: Those that are over.
        counts: Workstations of those by verdict.
        cancelled: What is to become of the sessions, where the fleet was cancelled.
        lost: Why some shards came to no end, by number.
    """

    shards: int
    settled: int
    counts: dict[str, int]
    cancelled: str | None = None
    lost: dict[int, str] = field(default_factory=dict)


_POLICY = ("timeout", "canary", "breaker", "until", "on_failure", "delete_timeout")

_WORKERS = ("remedies", "backoff", "in_flight")


def packed_policy(policy: LaunchPolicy) -> dict[str, Any]:
    """Return what of a policy travels: plain values.

    Raises:
        ConfigurationError: It says what is for the workers to say, or what a fleet cannot do.
    """
    usual = LaunchPolicy()
    for name in _WORKERS:
        if getattr(policy, name) != getattr(usual, name):
            raise ConfigurationError(
                f"{name}={getattr(policy, name)!r} is for those who do the work: pass it to "
                f"fleet_worker(..., {name}=...)"
            )
    if policy.stream:
        raise ConfigurationError(
            "stream=True: a fleet makes no streams, for their URLs are secrets, which Temporal "
            "would keep; make them with launch(..., resume=True) or when the workstation is used"
        )
    return {name: getattr(policy, name) for name in _POLICY}


def unpacked_policy(packed: Mapping[str, Any], **others: Any) -> LaunchPolicy:
    """Return the policy, with what the worker and the moment say of it.

    Raises:
        ConfigurationError: It says what this greenroom does not know.
    """
    if unknown := packed.keys() - {each.name for each in fields(LaunchPolicy)}:
        raise ConfigurationError(
            f"the fleet's policy says {', '.join(sorted(unknown))}, which this greenroom does not "
            "know: upgrade the workers before those who launch"
        )
    return LaunchPolicy(**dict(packed) | others)


def packed(value: object) -> str:
    """Return what JSON has, in few bytes."""
    return compressed(json.dumps(value, separators=(",", ":")))


def compressed(text: str) -> str:
    """Return JSON in few bytes, as `packed` does."""
    return base64.b64encode(zlib.compress(text.encode())).decode()


def unpacked(text: str) -> Any:
    """Return what was packed.

    Raises:
        ValueError: It is not what `packed` returned.
    """
    try:
        return json.loads(_uncompressed(text))
    except (zlib.error, ValueError) as error:
        raise ValueError(f"this is no packed text: {error}") from error


def _uncompressed(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text, validate=True))


def into_shards(specs: Sequence[WorkstationSpec], size: int) -> list[str]:
    """Return the specs in their order, packed by shards of `size`.

    Raises:
        ConfigurationError: They are too many for one fleet or for one of its shards, or parted too
            finely.
    """
    dicts = [spec.as_dict() for spec in specs]
    if len(dicts) > size * MOST_SHARDS:
        raise ConfigurationError(
            f"{len(dicts)} specs are more than {MOST_SHARDS:,} shards of {size}: give larger "
            "shards, 25 to 100 is usual, or several fleets"
        )
    shards = [packed(dicts[first : first + size]) for first in range(0, len(dicts), size)]
    if (total := sum(map(len, shards))) > LARGEST:
        raise ConfigurationError(
            f"{len(specs)} specs take {total:,} bytes, and one fleet may have {LARGEST:,}: launch "
            "them as several fleets, each with an id of its own"
        )
    if (largest := max(map(len, shards), default=0)) > LARGEST_MESSAGE:
        raise ConfigurationError(
            f"{size} specs take {largest:,} bytes, and one shard may have {LARGEST_MESSAGE:,}: "
            "make shard_size smaller"
        )
    return shards


def open_shards(size: int) -> int:
    """Return how many shards of so many workstations may be under way at once."""
    return max(1, min(OPEN_SHARDS, OPEN_WORKSTATIONS // size))


def by_size(records: Mapping[int, str], most: int = LARGEST_MESSAGE) -> Iterator[dict[int, str]]:
    """Yield the records in groups of at most so many bytes, or of one."""
    group: dict[int, str] = {}
    for number, record in records.items():
        if group and sum(map(len, group.values())) + len(record) > most:
            yield group
            group = {}
        group[number] = record
    if group:
        yield group


def fingerprint(plan: Plan, shards: Sequence[str]) -> str:
    """Return what tells two fleets apart: what is launched, and in which shards.

    It is the same on every host, whichever library compresses there.
    """
    named = (plan.kind.encode(), (plan.place or "").encode(), *map(_uncompressed, shards))
    return hashlib.sha256(b"\0".join(named)).hexdigest()
