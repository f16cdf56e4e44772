"""What the polling commands have in common: which sessions, where they are, and how fast to ask."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, wraps
from typing import TYPE_CHECKING, Any

import click

from greenroom._limiter import RateLimiter
from greenroom._schedule import Every
from greenroom.cli import _arguments
from greenroom.cli._kinds import Address, check_address, table_of

if TYPE_CHECKING:
    from greenroom._schedule import Schedule
    from greenroom._states import TransitionTable


def on_a_terminal() -> bool:
    """Return whether standard error is a terminal on which a live view can be drawn."""
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    return sys.stderr is not None and sys.stderr.isatty() and not dumb


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast to ask.

    Attributes:
        rate: Calls per second.
        burst: Calls at once after a pause.
        every: Seconds from one look at a session to the next; None for the poller's own choice.
    """

    rate: float
    burst: int
    every: float | None = None

    def limiter(self) -> RateLimiter:
        """Return the budget."""
        return RateLimiter(self.rate, self.burst)

    def schedule(self) -> Schedule | None:
        """Return when a session is worth another look."""
        return None if self.every is None else Every(self.every)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks about.

    Attributes:
        table: The kind's transition table.
        ids: The sessions, each once.
        address: Where they are.
        pacing: How fast to ask.
    """

    table: TransitionTable
    ids: tuple[str, ...]
    address: Address
    pacing: Pacing


def _table(context: click.Context, parameter: click.Parameter, value: str) -> TransitionTable:  # noqa: ARG001  # click's protocol
    return table_of(value)


kind = click.argument("table", metavar="KIND", callback=_table)

output = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text is for people; json is one JSON object a line.",
)

no_live = click.option("--no-live", is_flag=True, help="No live view, even on a terminal.")

_IDS = (
    kind,
    click.argument("ids", metavar="[ID]...", nargs=-1),
    click.option(
        "--ids-from",
        "ids_file",
        metavar="FILE",
        help="Read more ids from FILE, one a line; - is standard input. Blank lines and lines "
        "that begin with # are skipped.",
    ),
)

PACING = (
    click.option(
        "--rate",
        type=_arguments.number,
        metavar="N",
        default=10.0,
        show_default=True,
        help="API calls per second, at most.",
    ),
    click.option(
        "--burst",
        type=click.IntRange(min=1),
        metavar="N",
        default=20,
        show_default=True,
        help="API calls that may be made at once after a pause.",
    ),
    click.option(
        "--every",
        type=_arguments.interval,
        metavar="DURATION",
        help="Look at each session this often, instead of at the pace that suits its kind.",
    ),
)

ADDRESS = (
    click.option(
        "--endpoint-url",
        metavar="URL",
        envvar="GREENROOM_ENDPOINT_URL",
        show_envvar=True,
        help="Where the service is.",
    ),
    click.option(
        "--studio-id",
        metavar="ID",
        envvar="GREENROOM_STUDIO_ID",
        show_envvar=True,
        help="The Nimble studio.",
    ),
    click.option("--region", metavar="NAME", help="The AWS region, if not the usual one."),
    click.option("--profile", metavar="NAME", help="The AWS profile, if not the usual one."),
)


def polling(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the common arguments, and its function an `Asked` that holds them."""

    @wraps(function)
    def command(
        *,
        table: TransitionTable,
        ids: tuple[str, ...],
        ids_file: str | None,
        address: Address,
        pacing: Pacing,
        **others: Any,
    ) -> int:
        asked = Asked(table, _all_ids(ids, ids_file), address, pacing)
        check_address(table.kind, address)
        return function(asked, **others)

    return decorated(reaching(command), *_IDS)


def reaching(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the arguments of place and pace, as `address` and `pacing`."""

    @wraps(function)
    def command(
        *,
        rate: float,
        burst: int,
        every: float | None,
        endpoint_url: str | None,
        studio_id: str | None,
        region: str | None,
        profile: str | None,
        **others: Any,
    ) -> int:
        address = Address(endpoint_url, studio_id, region, profile)
        return function(address=address, pacing=Pacing(rate, burst, every), **others)

    return decorated(command, *PACING, *ADDRESS, output)


def decorated(
    function: Callable[..., int], *options: Callable[[Callable[..., int]], Callable[..., int]]
) -> Callable[..., int]:
    """Return a command with these options, which its help shows in this order."""
    return reduce(lambda command, option: option(command), reversed(options), function)


def _all_ids(given: tuple[str, ...], ids_file: str | None) -> tuple[str, ...]:
    more = () if ids_file is None else _arguments.read_ids(ids_file)
    unique = tuple(dict.fromkeys((*given, *more)))
    if not unique:
        raise click.UsageError("there are no ids; name some, or a file by --ids-from FILE")
    if blank := [each for each in unique if not each.strip()]:
        raise click.UsageError(f"{blank[0]!r} is no id")
    return unique
