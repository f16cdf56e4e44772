"""When a session is worth another look: pure policies, no clock.

One call reads up to B sessions, and there are R calls a second for everybody. The question of every
moment is whether to spend a call now, and on whom.

**Pay as you wait** answers it where one call reads many. For a session that was last read tau
seconds ago, let H be the cumulative hazard of leaving its state, by age (`_hazard` learns it), and

    x = H(age) - H(age - tau)               the chance-mass that it changed since it was read
    D = tau * (1 - (1 - exp(-x)) / x)       the expected seconds it has been done unseen

D is the expected time since the change, nothing if there was none, where the hazard within the
interval is even: tau * x / 2 for small x, and nearly tau where x is so large that it must have
changed right after it was read. Then

- *whom*: the at most B sessions with the largest D;
- *when*: as soon as these add up to the price c, in session-seconds per call;
- *nobody starves*: who is unread for longer than the ceiling counts c alone.

`_worth` carries this out.

Why it is right. Take one session of hazard h, read every tau seconds, so often that x = h * tau is
small: a reading costs c / B, and the delay it ends is h * tau**2 / 2. The sum per second, which is
c / (B * tau) + h * tau / 2, is least at tau = sqrt(2 * c / (B * h)): the square-root law of optimal
inspection (Keller, "Optimum Checking Schedules for Systems Subject to Random Failure", Management
Science 21(3), 1974). At that interval D is c / B for every session, whatever its hazard: so a
common threshold on D keeps all of them at their optimum at once, and B of them at the threshold add
up to c. To first order in x that makes D an index in the sense of Whittle ("Restless Bandits",
Journal of Applied Probability 25A, 1988); at x = 1 the exact one is twice as large, which the
ceiling makes harmless. To make a call when the
delay that it ends has grown to what it costs is the online rule for the problem of acknowledgements
in TCP. There it never costs more than twice the optimum of one who knows the future (Dooly, Goldman
and Scott, "On-line analysis of the TCP acknowledgment delay problem", Journal of the ACM 48(2),
2001); here delay is only expected, and a call ends that of B, so it is a guide and no promise.

It can be audited: while the price triggers the calls, each is expected to end delay worth c, so
where H is right

    total delay = c * calls,   and   mean delay = c * calls per session.

The price is therefore the knob between calls and mean delay. The ceiling is the knob for the tail:
it bounds how long the last of them can go unseen, at the cost of calls. An infinite price with a
ceiling of s seconds is a fixed interval of s.

c is the price of a full call. Until a full call of sessions have been polled at once, a call is
worth that part of it: who waits alone is not kept waiting for the sake of a crowd that never comes,
and the last of three hundred is read as the others were.

**Every** is that fixed interval, with its calls spread evenly. Half of it is the mean delay.

**Backoff** suits sources that read one session a call, and failed reads. It is exponential backoff
with *full jitter*: the n-th wait is drawn evenly from 0 to initial * factor**n, which spreads
clients that started together better than any narrower jitter (M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015), and then held between a floor, so that a lucky draw does not
hammer, and a ceiling. The wait generator and the jitter are the `backoff` package's; this is the
one file that knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Protocol

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._history import History

PRICE = 20.0
"""Session-seconds of delay that a call that reads many is worth, unless a price is given."""

PRICE_ALONE = 2.0
"""The same of a call that reads one session."""

CEILING = 60.0
"""Seconds for which a young session may go unread."""

CEILING_SHARE = 0.1
"""The part of its age for which an older session may go unread."""

MOST_CEILING = 600.0
"""Seconds for which none may, however old."""

_SMALL = 1e-3


def full_jitter(bound: float) -> float:
    """Draw a wait evenly from 0 to its bound."""
    import backoff  # late, here and below, for it brings in the whole of asyncio

    return backoff.full_jitter(bound)


@lru_cache
def _bounds(initial: float, factor: float, ceiling: float) -> tuple[float, ...]:
    """Return what bounds the waits: each the one before times the factor, the ceiling last."""
    import backoff

    waits = backoff.expo(base=factor, factor=initial)
    next(waits)  # the package's generators begin with an empty yield
    return (*takewhile(lambda bound: bound < ceiling, waits), ceiling)


class Schedule(Protocol):
    """Anything that says how long a session waits for the next look."""

    def delay(self, looks: int) -> float:
        """Return the seconds until the next look, 0 or more and finite.

        Args:
            looks: Looks in a row, 1 or more, that showed the present state.
        """
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval.

    Attributes:
        interval: Seconds from one look to the next, more than 0.

    Raises:
        ConfigurationError: The interval is not a finite number above 0.
    """

    interval: float

    def __post_init__(self) -> None:
        _arguments.seconds("interval", self.interval, zero=False)

    def delay(self, looks: int) -> float:  # noqa: ARG002  # a fixed interval is deaf to history
        """Return the interval."""
        return self.interval


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, a floor and a ceiling.

    Attributes:
        initial: Seconds that bound the first wait.
        factor: What the bound is multiplied by with each look at an unchanged state; at least 1.1.
        ceiling: Seconds that no wait exceeds as it is drawn. A poller whose calls cannot read all
            sessions at once spreads them, by which one may go unread for longer.
        floor: Seconds that no wait falls below.
        jitter: Draws a wait from its bound; with full jitter unless given.

    Raises:
        ConfigurationError: A number is out of range, or floor <= initial <= ceiling does not hold.
    """

    initial: float = 2.0
    factor: float = 2.0
    ceiling: float = 20.0
    floor: float = 1.0
    jitter: Callable[[float], float] = full_jitter

    def __post_init__(self) -> None:
        for name in ("initial", "ceiling"):
            _arguments.seconds(name, getattr(self, name), zero=False)
        _arguments.seconds("floor", self.floor)
        if not isinstance(self.factor, (int, float)) or not 1.1 <= self.factor <= _arguments.MOST:
            raise ConfigurationError(
                f"factor={self.factor!r} must be at least 1.1 and at most {_arguments.MOST:,}, as "
                "factor=2"
            )
        if not self.floor <= self.initial <= self.ceiling:
            raise ConfigurationError(
                f"floor={self.floor!r}, initial={self.initial!r}, ceiling={self.ceiling!r} must "
                "not decrease, as floor=1, initial=2, ceiling=20"
            )

    def delay(self, looks: int) -> float:
        """Return a jittered wait, bounded by `initial * factor ** (looks - 1)` and the ceiling."""
        bounds = _bounds(self.initial, self.factor, self.ceiling)
        return max(self.floor, self.jitter(bounds[min(looks, len(bounds)) - 1]))


@dataclass(frozen=True, slots=True)
class PayAsYouWait:
    """A call as soon as it is worth its price, for those whom it is worth most to read.

    Learns while it waits how long sessions stay in each state, and needs to be told nothing.

    Attributes:
        price: Session-seconds of delay that a full call is worth, more than 0; infinity where only
            the ceiling is to trigger calls. Until a full call of sessions have been polled at once,
            a call is worth that part of it. Where a call reads one session, 2 is a good price.
        ceiling: Seconds after which a session is read whatever that is worth; None for a tenth of
            its age, but at least 60 s and at most 600 s.
        history: What earlier runs have shown of how long sessions stay in their states; counts as
            much as 30 sessions, so that a wrong one cannot hurt.

    Raises:
        ConfigurationError: The price or the ceiling is out of range, or `history` is none.
    """

    price: float = PRICE
    ceiling: float | None = None
    history: History | None = None

    def __post_init__(self) -> None:
        if self.price != math.inf:
            _arguments.seconds("price", self.price, zero=False)
        if self.ceiling is not None:
            _arguments.seconds("ceiling", self.ceiling, zero=False)
        if not isinstance(self.history, History | None):
            raise ConfigurationError(
                f"history={self.history!r} is no History, such as greenroom.read_history(path)"
            )

    def ceiling_at(self, age: float) -> float:
        """Return for how many seconds a session that was read at `age` may then go unread.

        Without a ceiling of one's own that is a tenth of the age at which the time is over.
        """
        if self.ceiling is not None:
            return self.ceiling
        return min(MOST_CEILING, max(CEILING, age * CEILING_SHARE / (1 - CEILING_SHARE)))


def default_schedule(
    batch: int,
    jitter: Callable[[float], float] = full_jitter,
    price: float | None = None,
) -> Schedule | PayAsYouWait:
    """Return the schedule of a source that reads so many in one call, where none is given.

    Args:
        batch: Most sessions in one call.
        jitter: Draws a wait from its bound.
        price: What the source says that a full call of it is worth, if it says anything.
    """
    return PayAsYouWait(price or PRICE) if batch > 1 else Backoff(jitter=jitter)


def unseen(tau: float, x: float) -> float:
    """Return D: the expected seconds that a session has been done without anybody knowing.

    Args:
        tau: Seconds since it was read.
        x: The cumulative hazard of these seconds.
    """
    if x < _SMALL:
        return tau * x * (0.5 - x / 6)
    return tau * (1 + math.expm1(-x) / x)
