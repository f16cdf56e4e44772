"""The shared budget as a limiter: grants in the order of asking, from Redis or, without it, alone.

One call at a time asks Redis, the head of the queue, so that there is never more than one call in
flight and calls are granted first come, first served. It is told how long to wait, waits, and asks
again. Hosts take turns among each other (`_script.py`).

A throttled call counts at once: this limiter waits for what Retry-After asks, and the rate is cut
in Redis by a thread that nobody waits for (`_line.py`), before the next question of this host.

Without Redis (`_contact.py`) an ordinary bucket grants this host's part. Nothing waits for Redis
then, and while it answers nothing waits for it longer than a second.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._limiter import CUT_INTERVAL, LEAST, RECOVERY, LimiterStatistics, TokenBucket
from greenroom._log import logger
from greenroom._shared._contact import Away, Change, Contact
from greenroom._shared._url import checked_url, shown_url

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from greenroom._shared._line import Line, Outcome

ATTENTION = 0.25
"""Seconds after which a call that waits alone looks whether Redis has answered."""

NAP = 10.0
"""Seconds after which a call that waits asks again, for others may have given calls back."""

_LONGEST_KEY = 200
_SLOWEST = 10**8  # seconds: what takes longer is a slip, and would not fit into Redis
_SHORTEST = 1e-6  # seconds; what is added to a large clock has to be more than nothing


class SharedRateLimiter:
    """A budget of calls that many hosts share, through Redis or Valkey; otherwise as `RateLimiter`.

    Give each process that draws on the quota one of these, with the same key, rate and burst. A
    throttled call that one of them reports slows all of them, and a Retry-After holds all of them.
    Among hosts that have calls waiting, each is granted as many as the others.

    Where Redis does not answer, each host goes on with its part of the budget, by the number of
    hosts there were, and comes back by itself: the events `limiter.alone` and `limiter.together`.
    No call waits longer than a second for Redis.

    It may be used as an async context manager, or closed by `aclose`; one that is not closed lets
    go of its connection when nobody holds it any more. On asyncio and trio, in one event loop.

    Args:
        url: Where Redis is, as `redis://host:6379/0`; `rediss://` for TLS, `unix://` for a socket.
            A user and a password may be in it: they are never shown.
        key: The name of the budget. Limiters with one key share one.
        max_rate: The quota of all hosts together in calls per second, more than 0.
        burst: Calls that the quota allows at once after a pause, at least 1.

    Raises:
        ConfigurationError: An argument cannot be right, or the extra `redis` is not installed.
            Nothing is called here: `acquire` raises it where Redis, when it is reached for the
            first time, refuses in a way that does not pass, such as for a wrong password.

    Attributes:
        key: The name of the budget.
    """

    def __init__(self, url: str, *, key: str, max_rate: float, burst: int = 1) -> None:
        self._url = shown_url(checked_url(url))
        self.key = _checked_key(key)
        self._max_rate = _arguments.rate("max_rate", max_rate)
        self._burst = _arguments.count("burst", burst)
        if self._burst / (LEAST * self._max_rate) > _SLOWEST:
            raise ConfigurationError(f"{max_rate=} would take years for {burst=}")
        self._line = _line(url, self.key, self._max_rate, self._burst)
        self._contact = Contact(RECOVERY, random.random)
        self._alone = TokenBucket(self._max_rate, 1)
        self._probe: Outcome | None = None
        self._queue = anyio.Lock()
        self._trouble: str | None = None
        self._loop: object = None
        self._closed = False
        self._held_until = self._slowed_at = float("-inf")
        self._granted = 0
        self._throttled = 0

    def __repr__(self) -> str:
        rate, burst = self._max_rate, self._burst
        return f"SharedRateLimiter({self._url!r}, key={self.key!r}, max_rate={rate!r}, {burst=})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connection, within two seconds; what still waits here is refused."""
        self._closed = True
        await self._line.close()

    async def acquire(self) -> None:
        """Wait for leave to make one call, in the order of asking.

        Raises:
            ConfigurationError: Redis refuses, and never did otherwise; or this limiter is closed,
                or belongs to another event loop.
        """
        self.bind()
        async with self._queue:
            while (pause := await self._pause()) > 0:  # noqa: ASYNC110  # nobody here would set an event
                await anyio.sleep(max(_SHORTEST, min(pause, NAP)))
            self._granted += 1

    def refund(self) -> None:
        """Give back a grant that was not used."""
        self._granted -= 1
        if self._contact.alone:
            self._alone.put_back()
        else:
            self._line.adjust(Change(refunds=1))

    def slow_down(self, retry_after: float | None = None) -> None:
        """Slow all hosts down: the service throttled a call.

        Args:
            retry_after: Seconds that the service asks for; nothing is granted before they are over.
        """
        now = anyio.current_time()
        pause = min(retry_after or 0.0, _SLOWEST)
        self._throttled += 1
        self._slowed_at = now
        self._held_until = max(self._held_until, now + pause)
        if self._contact.alone:
            self._alone.throttled(now, None)
        else:
            self._line.adjust(Change(cut=True, until=time.monotonic() + pause if pause else 0.0))

    @property
    def trouble(self) -> str | None:
        """Why this host is on its own; None while it shares the budget."""
        return self._trouble

    def statistics(self) -> LimiterStatistics:
        """Return the present figures: the rate of all hosts, or of this one while it is alone.

        What is granted, throttled and waiting is that of this limiter. Only where an event loop
        runs.
        """
        now = anyio.current_time()
        self._hear(now)
        alone = self._contact.alone
        return LimiterStatistics(
            max_rate=self._max_rate,
            rate=self._alone.rate(now) if alone else self._max_rate * self._contact.part(now),
            burst=self._burst,
            granted=self._granted,
            throttled=self._throttled,
            waiting=self._queue.statistics().tasks_waiting,
        )

    async def _pause(self) -> float:
        """Take a call if there is one, or return for how long to wait before asking again."""
        if self._closed:
            raise ConfigurationError(f"{self!r} is closed; make another")
        now = anyio.current_time()
        if self._contact.alone:
            self._look_for_redis(now)
        if now < self._held_until:
            return self._held_until - now
        if not self._contact.alone:
            try:
                pause = await self._line.ask()
            except Away as away:
                self._be_alone(away)
            else:
                self._hear(anyio.current_time())
                return pause
        now = anyio.current_time()
        if (pause := self._alone.ready_in(now)) == 0:
            self._alone.take(now)
        return min(pause, ATTENTION)

    def _hear(self, now: float) -> None:
        news, self._line.news = self._line.news, None
        if news is not None and not self._contact.alone:
            self._contact.told(news, now)

    def _be_alone(self, away: Away) -> None:
        self._check_hope(away)
        now = anyio.current_time()
        slowed = self._was_slowed(now) or self._contact.part(now) < 1
        self._trouble = str(away)
        self._contact.lost(now)
        rate = self._contact.fair_part(self._max_rate)
        self._alone = TokenBucket(rate, 1)
        self._alone.take(now)
        if slowed:
            self._alone.throttled(now, None)
        self._tell("limiter.alone", error=str(away), rate=rate, hosts=self._contact.hosts)

    def _look_for_redis(self, now: float) -> None:
        if self._probe is None:
            if self._contact.probe_due(now):
                until = time.monotonic() + self._held_until - now
                change = Change(cut=self._was_slowed(now), empty=True, until=until)
                self._probe = self._line.probe(change)
            return
        if not self._probe.done():
            return
        probe, self._probe = self._probe, None
        self._contact.probed(now)
        try:
            news = probe.result()
        except Away as away:
            self._check_hope(away)
            return
        self._trouble = None
        self._contact.told(news, now)
        self._tell("limiter.together", rate=self._max_rate, hosts=self._contact.hosts)

    def _was_slowed(self, now: float) -> bool:
        return now < self._slowed_at + CUT_INTERVAL

    def _check_hope(self, away: Away) -> None:
        if not away.heals and not self._contact.known:
            raise ConfigurationError(f"{self!r} cannot be used: {away}")

    def bind(self) -> None:
        """Belong to the event loop that runs.

        Raises:
            ConfigurationError: It belongs to another one.
        """
        here = anyio.lowlevel.current_token()
        if self._loop is None:
            self._loop = here
        elif self._loop != here:
            raise ConfigurationError(f"{self!r} belongs to another event loop; make one in each")

    def _tell(self, event: str, **fields: object) -> None:
        logger(key=self.key, url=self._url).warning(event, **fields)


def _checked_key(key: str) -> str:
    if not isinstance(key, str) or not key.strip() or not key.isprintable():
        raise ConfigurationError(f"key={key!r} is no name of a budget, such as key='studio-reads'")
    if len(key) > _LONGEST_KEY:
        raise ConfigurationError(f"key={key!r} has more than {_LONGEST_KEY} characters")
    return key


def _line(url: str, key: str, max_rate: float, burst: int) -> Line:
    try:
        from greenroom._shared import _line as lines
    except ModuleNotFoundError as error:
        if error.name not in ("redis", "pyrate_limiter"):
            raise
        raise ConfigurationError(
            "SharedRateLimiter needs its extra: pip install 'greenroom[redis]'"
        ) from None
    return lines.Line(url, key, max_rate, burst)
