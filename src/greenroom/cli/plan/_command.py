"""`greenroom plan`: what a launch will cost and how long it will take, rehearsed beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from greenroom._errors import ConfigurationError
from greenroom._launch._past import read_history
from greenroom._launch._policy import LaunchPolicy
from greenroom.cli import _arguments, _status
from greenroom.cli._help import AsWritten
from greenroom.cli._options import BURST, PACED, PACING, decorated, output, pacing_of
from greenroom.cli._printing import print_json
from greenroom.cli.plan._figures import MANY, MOST, effort, knob
from greenroom.cli.plan._lives import MEDIAN, SIGMA, Lognormal, Shown
from greenroom.cli.plan._text import as_members, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._history import History
    from greenroom.cli.plan._lives import Law
    from greenroom.cli.plan._rehearsal import Plan


def _up_to(most: float, example: str) -> Callable[[str | float], float]:
    """Return what reads a number from 0 to `most`."""

    def read(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise click.BadParameter(f"{text!r} must be a number from 0 to {most:g}, as {example}")
        return value

    return read


LONGEST_MEDIAN = 86_400.0
"""Seconds of the longest median that is rehearsed: each takes calls, and so the rehearsal time."""


def _median(text: str) -> float:
    """Return a duration that can be rehearsed.

    Raises:
        click.BadParameter: It is none.
    """
    seconds = _arguments.interval(text)
    if seconds > LONGEST_MEDIAN:
        raise click.BadParameter(f"{text!r} is more than a day; write it as in 8m, at most 24h")
    return seconds


_LAUNCH = (
    click.option(
        "--count",
        type=click.IntRange(1, MOST),
        metavar="N",
        required=True,
        help="How many workstations.",
    ),
    click.option(
        "--batch",
        type=click.IntRange(1, 10_000),
        metavar="N",
        default=100,
        show_default=True,
        help="Sessions that one call can read.",
    ),
    click.option(
        "--create-rate",
        type=_arguments.number,
        metavar="N",
        default=5.0,
        show_default=True,
        help="Calls per second that create, at most.",
    ),
    click.option(
        "--canary",
        type=click.IntRange(min=0),
        metavar="K",
        help="Create K, and the others when all of those have settled; 0 to wait for none. Without "
        "it, ten go ahead, and the others follow as soon as one of them is ready.",
    ),
    click.option(
        "--timeout",
        type=_arguments.timeout,
        metavar="DURATION",
        default="1h",
        show_default=True,
        help="How long the launch goes on, all together: 90m, 2h, or none.",
    ),
)

_LAW = (
    click.option(
        "--median",
        type=_median,
        metavar="DURATION",
        show_default=f"{MEDIAN / 60:g}m",
        help="Without a history: the time within which half of them are ready.",
    ),
    click.option(
        "--sigma",
        type=_up_to(3, "0.35"),
        metavar="N",
        show_default=f"{SIGMA:g}",
        help="Without a history: how widely the times spread (lognormal).",
    ),
    click.option(
        "--failures",
        type=_up_to(1, "0.05"),
        metavar="PART",
        default=0.0,
        show_default=True,
        help="The part of the sessions that fails, and is made again as a launch does.",
    ),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help="Another seed, another run.",
    ),
)


def _planning(function: Callable[..., int]) -> Callable[..., int]:
    return decorated(function, *_LAUNCH, *PACING, *_LAW, output)


@click.command("plan", cls=AsWritten)
@_planning
def plan_command(
    count: int,
    batch: int,
    create_rate: float,
    canary: int | None,
    timeout: float | None,
    median: float | None,
    sigma: float | None,
    failures: float,
    seed: int,
    output: str,
    **paced: Any,
) -> int:
    """Rehearse a launch before it is made: what it will cost, and how late you will know.

    The launch runs in virtual time, by the same engine and against sessions that are drawn: nothing
    is called and nothing is made. It is rehearsed at several rates, each with its part of the
    burst, and at several prices, or intervals with --every, so that you can choose both. What
    matters most is how long a session takes: give an earlier launch's journal as --history, from
    which the poller learns as well, or say what you believe.

    Up to 100 workstations three rehearsals are averaged, and up to 300 two, which takes seconds;
    for more there is one. Above 1,000 it is made at fewer rates and prices, and ten thousand may
    take a minute. The exit status is 0 when the plan was made, whatever it says, and 2 for bad
    usage.

    Examples:
      greenroom plan --count 300 --rate 2
      greenroom plan --count 300 --rate 2 --history run.db
      greenroom plan --count 5000 --rate 10 --burst 20 --median 8m --failures 0.05 --price 5
    """
    from greenroom.cli.plan._rehearsal import Plan, rehearse_all

    options = {name: paced[name] for name in PACED}
    known, law = _law(options["history"], median, sigma)
    pacing = pacing_of(options | {"history": None})  # beside --every it is the law all the same
    if pacing.every is None:
        pacing = replace(pacing, history=known)
    if isinstance(pacing.rate, str):
        raise click.UsageError("a rehearsal cannot find out a quota: give a number, as --rate 2")
    plan = Plan(
        count=count,
        rate=pacing.rate,
        burst=pacing.burst or BURST,
        share=pacing.share or 1.0,
        batch=batch,
        schedule=pacing.schedule(batch),
        create_rate=create_rate,
        policy=LaunchPolicy(timeout=timeout, canary=canary),
        law=law,
        failures=failures,
        seed=seed,
    )
    file = options["history"]
    if output == "json":
        for members in as_members(count, rehearse_all(plan), law, file):
            print_json(members)
        return _status.OK
    if count > MANY:
        click.echo(f"greenroom: {_announced(plan)}; this takes a while", err=True)
    click.echo(as_text(count, tuple(rehearse_all(plan)), law, file))
    return _status.OK


def _announced(plan: Plan) -> str:
    _, rates, prices, _ = effort(plan.count)
    found = knob(plan.paced)
    others = f" and {len(prices)} {found.name}s" if found else ""
    return f"rehearsing {plan.count:,} workstations at {len(rates)} rates{others}"


def _law(
    history: str | None, median: float | None, sigma: float | None
) -> tuple[History | None, Law]:
    """Return what is known of earlier runs, and the law that this or the user's belief comes to."""
    if history is None:
        return None, Lognormal(
            MEDIAN if median is None else median, SIGMA if sigma is None else sigma
        )
    if median is not None or sigma is not None:
        option = "--median" if median is not None else "--sigma"
        raise click.UsageError(f"--history and {option} cannot both be meant")
    known = read_history(history)
    try:
        return known, Shown(known)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{history} is of no use: {error}; leave --history out, and say with --median how long "
            "they take"
        ) from error
