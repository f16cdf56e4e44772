"""A program: a world, and what happens in it at which second. Plain data that prints as code.

Whatever breaks an invariant is such a program, so what the machine finds can be pasted into a test.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType

from greenroom import TransitionTable
from greenroom.sources.nimble import TABLES as NIMBLE

IDS = ("a", "b", "c", "d", "e", "f")

LOOPING = TransitionTable(
    kind="looping",
    moves={
        "WARM": ("HOT",),
        "HOT": ("COLD", "BURNT", "DONE"),
        "COLD": ("WARM", "FROZEN"),
        "DONE": (),
        "BURNT": (),
        "FROZEN": (),
        "PAUSED": (),
    },
    actions={"PAUSED": {"resume": "WARM"}, "DONE": {"again": "COLD"}, "FROZEN": {"thaw": "PAUSED"}},
    failures=frozenset({"BURNT", "FROZEN"}),
    goals=("DONE", "HOT"),
)

HYPHENATED = TransitionTable(
    kind="hyphenated",
    moves={
        "starting-up": ("up-and-running", "shutting-down"),
        "up-and-running": (),
        "shutting-down": ("shut-down",),
        "shut-down": (),
        "taking-apart": ("no-more",),
        "no-more": (),
    },
    actions={
        "shut-down": {"start": "starting-up", "terminate": "taking-apart"},
        "up-and-running": {"stop": "shutting-down", "terminate": "taking-apart"},
    },
    failures=frozenset(),
    goals=("up-and-running", "shut-down", "no-more"),
    gone="no-more",
)

TABLES = MappingProxyType(
    {"nimble": NIMBLE["nimble-session"], "looping": LOOPING, "hyphenated": HYPHENATED}
)

RETRY_AFTER = MappingProxyType(
    {
        "unsaid": None,
        "short": 0.5,
        "long": 6.0,
        "nan": math.nan,
        "negative": -3.0,
        "endless": math.inf,
        "text": "soon",
    }
)
"""What a service says of when to come back; some of it cannot be waited for."""


DEEDS = ("note", "raise", "cancel", "hang", "stumble", "notify", "wait", "forget", "register")
"""What a callback may do: note what it hears and no more; raise at once; raise a cancellation of
its own; take long; take long and raise; hint; wait for the session that it hears of; take its own
registration back; and register another."""

TAKES = MappingProxyType({"hang": 40.0, "stumble": 9.0})
"""Seconds that those take which take long, but for waits."""


class _Data:
    """Shows of itself what is not as usual."""

    def __repr__(self) -> str:
        shown = [
            f"{one.name}={getattr(self, one.name)!r}"
            for one in fields(self)
            if one.default is MISSING or getattr(self, one.name) != one.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class World(_Data):
    """A service, the pollers that read it, and the budget that they share.

    Attributes:
        table: One of `TABLES`.
        max_batch: Most ids in one call.
        page: Ids a page, where an answer takes several calls; 0 where it takes one.
        latency: Seconds from question to answer.
        timestamps: Whether the service tells when a state began.
        skew: Seconds by which the service's clock is ahead of the poller's.
        schedule: `("every", s)`, `("backoff", initial, ceiling)` or `("pay", price, ceiling)`.
        past: Whether one who pays as he waits has a history of other sessions.
        rate, burst: The budget.
        adaptive: Whether the budget feels for its rate, from a quarter of `rate` on.
        raises: Whether closing raises what callbacks raised.
        pollers: How many share it.
        settle, grace, call_timeout, strict: As the poller has them.
    """

    table: str = "nimble"
    max_batch: int = 50
    page: int = 0
    latency: float = 0.0078125
    timestamps: bool = False
    skew: float = 0.0
    schedule: tuple[str | float | None, ...] = ("every", 5.0)
    past: bool = False
    rate: float = 20.0
    burst: int = 10
    adaptive: bool = False
    pollers: int = 1
    settle: float = 15.0
    grace: float = 12.0
    call_timeout: float = 4.0
    strict: bool = False
    raises: bool = False


@dataclass(frozen=True, repr=False)
class Move(_Data):
    """The service leads a session to a state; None where it forgets it."""

    at: float
    id: str
    state: str | None
    reason: str | None = None


@dataclass(frozen=True, repr=False)
class Wait(_Data):
    """Somebody waits.

    Attributes:
        how: `one`, `all`, `each` as they settle, `first` to settle and no more, `lazy` who does not
            listen for half a minute, or `again` and again, three times.
        cancel_after: Seconds after which whoever waits is cancelled; None for never.
    """

    at: float
    ids: tuple[str, ...]
    goal: tuple[str, ...]
    timeout: float | None
    how: str = "all"
    cancel_after: float | None = None
    poller: int = 0


@dataclass(frozen=True, repr=False)
class Watch(_Data):
    """Somebody watches, and leaves after so many seconds; `pause` is taken over each change."""

    at: float
    ids: tuple[str, ...]
    leave_after: float | None = None
    pause: float = 0.0
    poller: int = 0


@dataclass(frozen=True, repr=False)
class Notify(_Data):
    """Something outside hints that a session changed."""

    at: float
    id: str
    poller: int = 0


@dataclass(frozen=True, repr=False)
class On(_Data):
    """Somebody registers a callback, and takes it back after so many seconds.

    Attributes:
        trigger: As for `Poller.on`; a verdict by its word.
        deed: What it does: one of `DEEDS`.
    """

    at: float
    trigger: str | tuple[str | None, str | None]
    deed: str = "note"
    off_after: float | None = None
    poller: int = 0


@dataclass(frozen=True, repr=False)
class SlowDown(_Data):
    """Another holder of the budget was throttled."""

    at: float
    retry_after: str = "unsaid"


@dataclass(frozen=True, repr=False)
class Spend(_Data):
    """Another holder of the budget makes so many calls."""

    at: float
    calls: int


@dataclass(frozen=True, repr=False)
class Trouble(_Data):
    """The next calls go wrong.

    Attributes:
        calls: How many.
        kind: How; `service` knows them.
        late: Seconds by which the answer is later than usual.
        named: Whom an error names: `none`, `first`, `all`, `foreign` or `mixed`.
        retry_after: One of `RETRY_AFTER`.
    """

    at: float
    calls: int
    kind: str
    late: float = 0.0
    named: str = "none"
    retry_after: str = "unsaid"


@dataclass(frozen=True, repr=False)
class Poison(_Data):
    """For so many seconds every call about `id` goes wrong, whoever else is in it.

    Attributes:
        kind: How, as for `Trouble`.
        lasts: Seconds.
        named: Whether the error names it.
    """

    at: float
    id: str
    kind: str
    lasts: float
    named: bool = False


@dataclass(frozen=True, repr=False)
class Statistics(_Data):
    """Somebody asks for the figures."""

    at: float
    poller: int = 0


@dataclass(frozen=True, repr=False)
class Close(_Data):
    """A poller is left, `normally`, by an `exception` or by being `cancelled`."""

    at: float
    how: str = "normally"
    poller: int = 0


Step = Move | Wait | Watch | Notify | On | SlowDown | Spend | Trouble | Poison | Statistics | Close


@dataclass(frozen=True, repr=False)
class Program(_Data):
    """A world and what happens in it, in order of time."""

    world: World
    steps: tuple[Step, ...] = ()

    def shown(self) -> str:
        """Return the program as code, a step a line."""
        steps = "".join(f"        {step!r},\n" for step in self.steps)
        return f"Program(\n    world={self.world!r},\n    steps=(\n{steps}    ),\n)"
