"""How this host speaks with Redis: on threads, one call at a time, and never for long.

redis-py's asynchronous client knows asyncio alone, and its connections have had to be thrown away
when a call on them was cancelled. Its synchronous one in a thread runs under asyncio and trio
alike, and no cancellation reaches it. That costs some 0.1 ms a call.

- What a caller waits for (`ask`) runs on a thread of anyio, bounded by `PATIENCE` however long the
  thread hangs, as in a look-up of a name. Who was cancelled or gave up leaves a note, and a grant
  that comes all the same is given back.
- What nobody waits for (`adjust`, `probe`) runs on one thread of this line's own, for the protocol
  of a limiter lets `slow_down` and `refund` neither wait nor start a task, and the other hosts
  should hear of a throttled call now, not when this host happens to ask again. The thread is no
  stray one: it does what it was given, bounded by the same timeouts, and ends when the line is
  closed, when nobody holds it any more, or with the program.

Both go through one lock and one connection: never more than one call in flight.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import anyio
import anyio.to_thread
import redis
from pyrate_limiter import RedisStateStore
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

from greenroom._errors import ConfigurationError
from greenroom._shared._contact import Away, Change, News
from greenroom._shared._script import ADJUST, SharedBucket, lifetime, rate_of
from greenroom._shared._url import shown_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrate_limiter import Decision

TIMEOUT = 0.5
"""Seconds that Redis may take for a connection, and for each answer."""

PATIENCE = 1.0
"""Seconds after which an answer is not waited for any longer, whatever it is that takes so long."""

NEWS_INTERVAL = 1.0
"""Seconds between two questions for what the other hosts have changed."""

T = TypeVar("T")

_PASSING = ("BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE")
_LASTING = (
    redis.exceptions.InvalidResponse,
    redis.AuthenticationError,
    redis.exceptions.AuthorizationError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.MovedError,
)


class Outcome(Protocol):
    """What will have come of an attempt, once it is done."""

    def done(self) -> bool:
        """Return whether there is a result."""
        ...

    def result(self) -> News:
        """Return what Redis told, or raise `Away`."""
        ...


class Line:
    """One limiter's line to its bucket.

    Args:
        url: Where Redis is.
        key: The name of the bucket.
        max_rate: Calls per second.
        burst: Calls at once.

    Attributes:
        news: What Redis told last, until somebody takes it.

    Raises:
        ConfigurationError: The URL is none.
    """

    def __init__(self, url: str, key: str, max_rate: float, burst: int) -> None:
        self.news: News | None = None
        self._key = f"greenroom:budget:{key}"
        client = redis.Redis(connection_pool=_pool(url))
        self._lifetime = lifetime(max_rate, burst)
        self._bucket = SharedBucket(secrets.randbits(48))
        self._rates = [rate_of(max_rate, burst)]
        self._store = RedisStateStore(client, self._key, self._lifetime)
        self._adjust = client.register_script(ADJUST)
        self._client = client
        self._busy = threading.Lock()
        self._changes: deque[Change] = deque()
        self._asking = anyio.CapacityLimiter(1)
        self._news_at = -NEWS_INTERVAL
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="greenroom-budget")
        self._end = weakref.finalize(self, _end, self._thread, client)

    async def ask(self) -> float:
        """Ask for leave to make one call, and return for how many seconds to wait; 0 if granted.

        Raises:
            Away: Redis did not answer.
        """
        asked = _Asked(self)
        try:
            with anyio.fail_after(PATIENCE):
                return await anyio.to_thread.run_sync(
                    asked.run, abandon_on_cancel=True, limiter=self._asking
                )
        except TimeoutError:
            asked.leave()
            raise Away(f"no answer within {PATIENCE:g} s") from None
        except anyio.get_cancelled_exc_class():
            asked.leave()
            raise

    def adjust(self, change: Change) -> None:
        """Change the bucket soon; where Redis does not answer, not at all."""
        self._changes.append(change)
        with contextlib.suppress(RuntimeError):  # closed, or the program ends: nobody is to be told
            self._thread.submit(self._quietly, self._deliver)

    def probe(self, change: Change) -> Outcome:
        """Try whether Redis answers again, and change the bucket if it does."""
        return self._thread.submit(self._talk, self._change, change)

    async def close(self) -> None:
        """Say goodbye and let go of the connection, within bounded time."""
        if self._end.detach():
            self._thread.submit(self._quietly, self._leave)
            with anyio.move_on_after(2 * PATIENCE, shield=True):
                await anyio.to_thread.run_sync(
                    _end, self._thread, self._client, True, abandon_on_cancel=True
                )

    def take(self) -> float:
        """Ask as `ask` does, but from a thread."""
        return self._talk(self._take)

    def _take(self) -> float:
        self._deliver()
        check = cast("Callable[..., Decision]", self._store.check)
        decision = check(self._bucket, self._rates, 0, 1)
        if time.monotonic() >= self._news_at + NEWS_INTERVAL:
            self._change(Change())
        return 0.0 if decision.allowed else max(1, decision.retry_after_ms or 0) / 1000

    def _deliver(self) -> None:
        while self._changes:
            self._change(self._changes.popleft())

    def _change(self, change: Change) -> News:
        pause = max(0.0, change.until - time.monotonic())
        what = (int(change.cut), int(change.empty), pause, change.refunds)
        arguments = self._bucket.adjust_args(self._rates, self._lifetime, *what)
        part, hosts = cast("list[int]", self._adjust(keys=[self._key], args=arguments))
        self._news_at = time.monotonic()
        self.news = News(part / 1e6, hosts)
        return self.news

    def _leave(self) -> None:
        self._client.hdel(self._key, f"host:{self._bucket.host}")

    def _quietly(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(Away):  # who asks next will find out
            self._talk(function, *arguments)

    def _talk(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function that speaks with Redis, when nobody else does.

        Raises:
            Away: Redis did not answer as it should.
        """
        try:
            with self._busy:
                return function(*arguments)
        except (redis.RedisError, OSError) as error:
            raise Away(f"{type(error).__name__}: {error}", heals=_heals(error)) from None


class _Asked:
    """One question, whose asker may have left before there is an answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._left = self._granted = False

    def run(self) -> float:
        """Ask, on a thread."""
        if self._left:
            return 0.0
        pause = self._line.take()
        with self._lock:
            self._granted = pause == 0
            self._give_back_if_left()
        return pause

    def leave(self) -> None:
        """Give the grant back, whether it is there already or comes later."""
        with self._lock:
            self._left = True
            self._give_back_if_left()

    def _give_back_if_left(self) -> None:
        if self._left and self._granted:
            self._line.adjust(Change(refunds=1))


def _pool(url: str) -> ConnectionPool:
    """Return where connections come from; none is made yet.

    Raises:
        ConfigurationError: The URL is none.
    """
    try:
        options = parse_url(url)  # type: ignore[no-untyped-call]
        pool = ConnectionPool(
            **{
                **options,
                "protocol": 2,
                "socket_connect_timeout": TIMEOUT,
                "socket_timeout": TIMEOUT,
                "retry": Retry(NoBackoff(), 0),  # who is away is asked again when nobody waits
            }
        )
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.RedisError):
        raise ConfigurationError(
            f"url={shown_url(url)!r} with these options is no place of Redis; "
            "leave out what follows the '?'"
        ) from None
    return pool


def _heals(error: Exception) -> bool:
    if isinstance(error, _LASTING):
        return False
    said = str(error)
    refused = type(error) is redis.ResponseError and not said.startswith(_PASSING)
    return not refused and "[SSL" not in said


def _end(thread: ThreadPoolExecutor, client: redis.Redis, wait: bool = False) -> None:
    thread.shutdown(wait=wait)
    client.close()
    client.connection_pool.disconnect()
