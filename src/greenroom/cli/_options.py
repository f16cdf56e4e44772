"""What the polling commands have in common: which sessions, where they are, and how fast to ask."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce, wraps
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from greenroom._launch._past import read_history
from greenroom._limiter import AdaptiveRateLimiter, RateLimiter
from greenroom._schedule import PRICE, PRICE_ALONE, Every, PayAsYouWait
from greenroom.cli import _arguments
from greenroom.cli._budget import SHARED, SHARING, sharing_of
from greenroom.cli._kinds import Address, Kind, check_address, kind_of

if TYPE_CHECKING:
    from greenroom._history import History
    from greenroom._schedule import Schedule
    from greenroom._states import TransitionTable
    from greenroom.cli._budget import Budget, SharedBudget

BURST = 20
"""Calls at once after a pause, where the quota is known."""

CAUTIOUS_BURST = 1
"""The same where it is not."""


def on_a_terminal() -> bool:
    """Return whether standard error is a terminal on which a live view can be drawn."""
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    return sys.stderr is not None and sys.stderr.isatty() and not dumb


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast to ask. Where all that concerns the schedule is None, the poller chooses it.

    Attributes:
        rate: Calls per second; `auto` to find out how many the service allows.
        burst: Calls at once after a pause; None for what is usual.
        share: The part of the quota that may be used.
        every: Seconds from one look at a session to the next.
        price: Session-seconds of delay that a full call is worth.
        ceiling: Seconds after which a session is read in any case.
        history: What earlier runs have shown.
        shared: Where the budget is that many hosts share; None for one of this run's own.
    """

    rate: float | Literal["auto"]
    burst: int | None = None
    share: float | None = None
    every: float | None = None
    price: float | None = None
    ceiling: float | None = None
    history: History | None = None
    shared: SharedBudget | None = None

    def limiter(self) -> Budget:
        """Return the budget of the calls that read."""
        if isinstance(self.rate, str):
            return AdaptiveRateLimiter(burst=self.burst or CAUTIOUS_BURST)
        return self.limiter_of(self.rate, self.burst or BURST)

    def limiter_of(self, rate: float, burst: int, purpose: str = "") -> Budget:
        """Return the budget that the share of a quota comes to.

        Args:
            rate: The quota's calls per second.
            burst: Calls at once.
            purpose: What tells it from other shared budgets of the same name.
        """
        if self.shared is not None:
            return self.shared.limiter(rate, burst, purpose)
        return RateLimiter(rate, burst, share=self.share or 1.0)

    def schedule(self, batch: int, own: float | None = None) -> Schedule | PayAsYouWait | None:
        """Return when a session is worth another look.

        Args:
            batch: Most sessions in one call.
            own: What the source says that a full call of it is worth, if it says anything.
        """
        if self.every is not None:
            return Every(self.every)
        if self.price is None and self.ceiling is None and self.history is None:
            return None
        usual = own or (PRICE if batch > 1 else PRICE_ALONE)
        return PayAsYouWait(self.price or usual, self.ceiling, self.history)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks about.

    Attributes:
        kind: What they are.
        ids: The sessions, each once.
        address: Where they are.
        pacing: How fast to ask.
    """

    kind: Kind
    ids: tuple[str, ...]
    address: Address
    pacing: Pacing

    @property
    def table(self) -> TransitionTable:
        """The kind's transition table."""
        return self.kind.table


def _kind(context: click.Context, parameter: click.Parameter, value: str) -> Kind:  # noqa: ARG001  # click's protocol
    return kind_of(value)


kind = click.argument("kind", metavar="KIND", callback=_kind)


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
        type=_arguments.rate,
        metavar="N",
        default=10.0,
        show_default=True,
        help="API calls per second, at most; auto finds out how many the service allows.",
    ),
    click.option(
        "--burst",
        type=click.IntRange(min=1),
        metavar="N",
        show_default=f"{BURST}, or {CAUTIOUS_BURST} with --rate auto",
        help="API calls that may be made at once after a pause.",
    ),
    click.option(
        "--share",
        type=_arguments.part,
        metavar="P",
        help="The part of the quota that this may use, as in 0.5; the rest is left to others.",
    ),
    click.option(
        "--every",
        type=_arguments.interval,
        metavar="DURATION",
        help="Look at each session this often, instead of at the pace that suits its kind.",
    ),
    click.option(
        "--price",
        type=_arguments.price,
        metavar="C",
        show_default=f"{PRICE:g} where a call reads many",
        help="How many seconds of waiting, added up over all, a call is worth: lower is sooner, "
        "for more calls.",
    ),
    click.option(
        "--ceiling",
        type=_arguments.interval,
        metavar="DURATION",
        show_default="a tenth of its age, 60s to 10m",
        help="The knob for the slowest: look at each session at least this often.",
    ),
    click.option(
        "--history",
        metavar="FILE",
        help="What an earlier run has shown of how long things take: its journal, or JSON.",
    ),
)

PACED = ("rate", "burst", "share", "every", "price", "ceiling", "history")
"""The options of pacing, by name."""

EVERY_OR = ("price", "ceiling", "history")
"""Those that say when to look, as --every does, and cannot be meant beside it."""

ADDRESS = (
    click.option(
        "--endpoint-url",
        metavar="URL",
        envvar="GREENROOM_ENDPOINT_URL",
        show_envvar=True,
        help="Where the service is. The variable is for a studio; for services at AWS it is "
        "AWS_ENDPOINT_URL.",
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
        kind: Kind,
        ids: tuple[str, ...],
        ids_file: str | None,
        address: Address,
        pacing: Pacing,
        **others: Any,
    ) -> int:
        address = replace(address, endpoint_url=endpoint_of(kind, address.endpoint_url))
        asked = Asked(kind, _all_ids(ids, ids_file), address, pacing)
        check_address(kind.name, address)
        return function(asked, **others)

    return decorated(reaching(command), *_IDS)


def endpoint_of(kind: Kind, given: str | None) -> str | None:
    """Return the URL that is meant for a kind: that in GREENROOM_ENDPOINT_URL is a studio's."""
    source = click.get_current_context().get_parameter_source("endpoint_url")
    return None if source is ParameterSource.ENVIRONMENT and not kind.in_a_studio else given


def reaching(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the arguments of place and pace, as `address` and `pacing`."""

    @wraps(function)
    def command(
        *,
        endpoint_url: str | None,
        studio_id: str | None,
        region: str | None,
        profile: str | None,
        **others: Any,
    ) -> int:
        address = Address(endpoint_url, studio_id, region, profile)
        shared = sharing_of({name: others.pop(name) for name in SHARED})
        pacing = pacing_of({name: others.pop(name) for name in PACED}, shared)
        return function(address=address, pacing=pacing, **others)

    return decorated(command, *PACING, *SHARING, *ADDRESS, output)


def pacing_of(options: Mapping[str, Any], shared: SharedBudget | None = None) -> Pacing:
    """Return what the options of pacing come to, where the budget is shared with others or is not.

    Raises:
        click.UsageError: They contradict each other.
        ConfigurationError, JournalError: The history cannot be read, or is none.
    """
    for name in EVERY_OR:
        if options["every"] is not None and options[name] is not None:
            raise click.UsageError(f"--every and --{name} cannot both be meant")
    if options["rate"] == "auto" and options["share"] is not None:
        raise click.UsageError(
            "--rate auto and --share cannot both be meant: a share is a part of a quota that is "
            "known, as by --rate 10"
        )
    for option, alone in (
        ("--rate auto", options["rate"] == "auto"),
        ("--share", options["share"]),
    ):
        if shared is not None and alone:
            raise click.UsageError(
                f"{option} and --shared-budget cannot both be meant: all hosts are to name one "
                "rate, as by --rate 10"
            )
    if options["price"] == math.inf and options["ceiling"] is None:
        raise click.UsageError(
            "--price inf needs --ceiling DURATION: without a price only the ceiling makes calls"
        )
    history = None if options["history"] is None else read_history(options["history"])
    paced = {**{name: options[name] for name in PACED}, "history": history}
    return Pacing(**paced, shared=shared)


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
