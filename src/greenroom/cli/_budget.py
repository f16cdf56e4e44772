"""What pays for the calls of a command: a budget of its own, or one that many hosts share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import click

from greenroom._errors import ConfigurationError
from greenroom._limiter import AdaptiveRateLimiter, RateLimiter
from greenroom._shared._shared_limiter import SharedRateLimiter
from greenroom._shared._url import checked_url
from greenroom.cli._printing import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Budget = RateLimiter | AdaptiveRateLimiter | SharedRateLimiter
"""What pays for the calls of a command."""

KEY = "greenroom"
"""The name of a shared budget to which nobody gave one."""

LOOK = 0.25
"""Seconds after which it is noticed that a shared budget is out of reach."""


@dataclass(frozen=True, slots=True)
class SharedBudget:
    """Where the hosts that share a budget meet.

    Attributes:
        url: The Redis; a password may be in it.
        key: The name of the budget there.
    """

    url: str = field(repr=False)
    key: str = KEY

    def limiter(self, rate: float, burst: int, purpose: str = "") -> SharedRateLimiter:
        """Return the budget of all hosts for calls of one purpose."""
        return SharedRateLimiter(self.url, key=self.key + purpose, max_rate=rate, burst=burst)


def _checked(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001  # click's protocol
    try:
        return None if value is None else checked_url(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


SHARING = (
    click.option(
        "--shared-budget",
        metavar="URL",
        envvar="GREENROOM_REDIS_URL",
        show_envvar=True,
        callback=_checked,
        help="Share --rate and --burst with all hosts that are given this Redis, as in "
        "redis://host:6379/0. A URL with a password belongs into the variable.",
    ),
    click.option(
        "--budget-key",
        metavar="NAME",
        show_default=KEY,
        help="Which budget of that Redis: hosts share one if they name the same.",
    ),
)

SHARED = ("shared_budget", "budget_key")
"""The options of sharing, by name."""


def sharing_of(options: Mapping[str, Any]) -> SharedBudget | None:
    """Return where a budget is shared, if it is.

    Raises:
        click.UsageError: The budget is named, and its Redis is not.
    """
    url, key = (options[name] for name in SHARED)
    if url is not None:
        return SharedBudget(url, KEY if key is None else key)
    if key is not None:
        raise click.UsageError(
            f"--budget-key {key} needs --shared-budget URL, or GREENROOM_REDIS_URL: where it is"
        )
    return None


@asynccontextmanager
async def held(limiter: Budget) -> AsyncIterator[None]:
    """Say when a shared budget is out of reach and when it is back, and let go of it at the end."""
    if not isinstance(limiter, SharedRateLimiter):
        yield
        return
    notice = _Notice(limiter)
    async with limiter, anyio.create_task_group() as tasks:
        tasks.start_soon(notice.keep_up)
        try:
            yield
        finally:
            notice.give()
        tasks.cancel_scope.cancel()


class _Notice:
    """Says whether a budget is shared, when that changes."""

    def __init__(self, limiter: SharedRateLimiter) -> None:
        self._limiter = limiter
        self._told = False

    async def keep_up(self) -> None:
        while True:
            self.give()
            await anyio.sleep(LOOK)

    def give(self) -> None:
        key, trouble = self._limiter.key, self._limiter.trouble
        if trouble is not None and not self._told:
            rate = self._limiter.statistics().rate
            click.echo(
                f"greenroom: the budget {key} is out of reach, going on alone at {rate:.3g} calls "
                f"a second: {printable(trouble)}",
                err=True,
            )
        elif trouble is None and self._told:
            click.echo(f"greenroom: the budget {key} is shared again", err=True)
        self._told = trouble is not None
