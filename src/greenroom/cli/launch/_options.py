"""The arguments of `greenroom launch`, and how they meet those that a launch was begun with.

A launch that is resumed goes on as it was begun: where, how fast, how carefully, with streams or
without. An option that is given again counts from then on; what is to be launched stays as it is.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from greenroom._errors import ConfigurationError, JournalError
from greenroom._launch._journal import read_journal
from greenroom._launch._journal_file import journal_exists
from greenroom._launch._journal_tables import Header
from greenroom._launch._policy import LaunchPolicy
from greenroom._specs import WorkstationSpec
from greenroom.cli import _arguments
from greenroom.cli._budget import KEY, SHARING, sharing_of
from greenroom.cli._kinds import Address, check_address, kind_of
from greenroom.cli._options import (
    ADDRESS,
    EVERY_OR,
    PACED,
    PACING,
    Pacing,
    decorated,
    endpoint_of,
    output,
    pacing_of,
)
from greenroom.cli._printing import escaped, shell_word
from greenroom.cli.launch._providers import (
    KIND,
    TEMPLATE,
    USUAL,
    LaunchProvider,
    Option,
    option_of,
    provider_of,
)
from greenroom.cli.launch._specs import NUMBER, specs_of, template_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user wants launched.

    Attributes:
        provider: What is launched.
        specs: The workstations; None for those of the journal.
        address: Where.
        pacing: How fast to ask.
        create_rate: Calls per second that create, stream or delete.
        policy: How to go about it.
        journal: The journal; None for none.
        resume: Whether to take it up.
        retry_failed: Whether to try once more what had failed for good.
        urls: Where to write the URLs of streams; None for nowhere.
        options: What is kept in the journal of all this.
    """

    provider: LaunchProvider
    specs: tuple[WorkstationSpec, ...] | None
    address: Address
    pacing: Pacing
    create_rate: float
    policy: LaunchPolicy
    journal: Path | None
    resume: bool
    retry_failed: bool
    urls: Path | None
    options: Mapping[str, Any]


_RECORD = (
    click.option(
        "--journal",
        metavar="FILE",
        help="Where to record the launch. [default: greenroom-DATE-TIME-....db in this folder]",
    ),
    click.option("--no-journal", is_flag=True, help="Record nothing; nothing can be resumed."),
    click.option(
        "--resume",
        is_flag=True,
        help="Take up the launch in the journal, as it was begun; options that are given again "
        "count from now on. Where there is no such journal yet, the launch is begun.",
    ),
    click.option(
        "--retry-failed",
        is_flag=True,
        help="With --resume: try once more what had failed for good, after somebody mended it.",
    ),
)

TIMEOUT = click.option(
    "--timeout",
    type=_arguments.timeout,
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="How long to go on, all together: 90m, 2h, or none.",
)

CREATE_RATE = click.option(
    "--create-rate",
    type=_arguments.number,
    metavar="N",
    default=5.0,
    show_default=True,
    help="Calls per second that create, stream or delete, at most.",
)

IN_FLIGHT = click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Such calls at the same time, at most.",
)

CANARY = click.option(
    "--canary",
    type=click.IntRange(min=0),
    metavar="K",
    help="Create K, and the others when all of those have settled; 0 to wait for none. Without "
    "it, ten go ahead, and the others follow as soon as one of them is ready.",
)

ON_FAILURE = click.option(
    "--on-failure",
    type=click.Choice(["keep", "delete"]),
    default="keep",
    show_default=True,
    help="What becomes of sessions that did not succeed, or were on their way when the launch "
    "was stopped. Where they are kept, each retry leaves one more.",
)

UNTIL = click.option(
    "--until",
    metavar="STATE",
    help="What counts as ready, where there is a choice: for ec2-instance, running, or ok for "
    "status checks passed.  [default: the last of the kind's goals]",
)

_CARE = (
    TIMEOUT,
    CREATE_RATE,
    IN_FLIGHT,
    CANARY,
    ON_FAILURE,
    UNTIL,
    click.option(
        "--stream/--no-stream",
        default=False,
        help="Make a stream for each workstation, and wait for it.  [default: no-stream]",
    ),
    click.option(
        "--stream-urls",
        "urls",
        metavar="FILE",
        help="Write the secret URLs of the streams to FILE, readable for you alone, as JSON Lines.",
    ),
)

_KEPT = (
    *("endpoint_url", "studio_id", "region", "profile", *PACED, "budget_key"),
    *("timeout", "create_rate", "in_flight", "canary", "on_failure", "until", "stream", "urls"),
)
"""What the journal keeps, for when the launch is resumed; not the URL of a shared budget, in which
there may be a password."""


def launching(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the arguments of a launch, and its function a `Wanted` that holds them."""

    @wraps(function)
    def command(
        *,
        kind: str | None,
        journal: str | None,
        no_journal: bool,
        resume: bool,
        retry_failed: bool,
        count: int | None,
        spec: str | None,
        output: str,
        verbose: bool,
        no_live: bool,
        **values: Any,
    ) -> int:
        if retry_failed and not resume:
            raise click.UsageError("--retry-failed goes with --resume")
        file = _journal_file(journal, none=no_journal, resume=resume)
        begun = file is not None and resume and journal_exists(file)
        header = read_journal(file)[0] if begun and file is not None else None
        provider = _provider(kind, header)
        template = template_of(provider, values)
        specs = _specs(count, spec, template, provider, begun=begun)
        given = set(filter(_is_given, _KEPT))
        asked = {name: values[name] for name in _KEPT}
        kind_asked = kind_of(provider.name)
        asked["endpoint_url"] = endpoint_of(kind_asked, asked["endpoint_url"])
        if not kind_asked.in_a_studio:
            asked["studio_id"] = None
        url = values["shared_budget"]
        if url is not None and asked["budget_key"] is None:
            asked["budget_key"] = KEY
        options = asked if header is None else _merged(asked, given, header.options)
        wanted = _wanted(
            {**options, "shared_budget": url},
            provider=provider,
            specs=specs,
            journal=file,
            resume=resume,
            retry_failed=retry_failed,
        )
        return function(wanted, output=output, verbose=verbose, no_live=no_live)

    groups: tuple[Option, ...] = (
        KIND,
        *TEMPLATE,
        *NUMBER,
        *_RECORD,
        *_CARE,
        *PACING,
        *SHARING,
        *ADDRESS,
        output,
    )
    return decorated(command, *groups)


def _wanted(options: Mapping[str, Any], provider: LaunchProvider, **others: Any) -> Wanted:
    address = Address(
        *(options[name] for name in ("endpoint_url", "studio_id", "region", "profile"))
    )
    check_address(provider.name, address)
    if options["urls"] is not None and not options["stream"]:
        raise click.UsageError("--stream-urls needs --stream: without streams there are no URLs")
    if options["stream"] and provider.launches.streams is None:
        raise click.UsageError(f"--stream: a session of {provider.name} has no streams")
    policy = LaunchPolicy(
        timeout=options["timeout"],
        canary=options["canary"],
        until=goal_of(provider, options["until"]),
        in_flight=options["in_flight"],
        on_failure=options["on_failure"],
        stream=options["stream"],
    )
    policy.check_for(provider.launches)
    return Wanted(
        provider=provider,
        address=address,
        pacing=_pacing(options),
        create_rate=options["create_rate"],
        policy=policy,
        urls=None if options["urls"] is None else Path(options["urls"]),
        options={name: options[name] for name in _KEPT} | {"price": _as_json(options["price"])},
        **others,
    )


def goal_of(provider: LaunchProvider, until: str | None) -> str | None:
    """Return the goal that people named, in any case."""
    alike = {goal.casefold(): goal for goal in provider.launches.goals}
    return until and alike.get(until.casefold(), until)


def _pacing(options: Mapping[str, Any]) -> Pacing:
    shared = sharing_of(options)
    try:
        return pacing_of(options, shared)
    except (ConfigurationError, JournalError) as error:
        if _is_given("history"):
            raise
        click.echo(f"greenroom: going on without a history: {escaped(str(error))}", err=True)
        return pacing_of({**options, "history": None}, shared)


def _as_json(number: float | None) -> float | str | None:
    return str(number) if number == math.inf else number


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _journal_file(journal: str | None, *, none: bool, resume: bool) -> Path | None:
    if resume and journal is None:
        raise click.UsageError("--resume needs the journal to resume: --journal FILE")
    if none and journal is not None:
        raise click.UsageError("--no-journal and --journal cannot both be meant")
    if none:
        return None
    if journal is not None:
        return Path(journal)
    now = datetime.now().astimezone()
    return Path(f"greenroom-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.db")


def _provider(kind: str | None, header: Header | None) -> LaunchProvider:
    """Return what is launched: what the journal says, else what the user says, else the usual.

    Raises:
        click.UsageError: The user says something else than the journal.
        click.BadParameter: That is nothing that can be launched.
    """
    if header is None:
        return provider_of(kind or USUAL)
    if kind not in (None, header.kind):
        raise click.UsageError(f"this is a launch of {header.kind}, and not of {kind}")
    return provider_of(header.kind)


def _specs(
    count: int | None,
    file: str | None,
    defaults: Mapping[str, Any],
    provider: LaunchProvider,
    *,
    begun: bool,
) -> tuple[WorkstationSpec, ...] | None:
    """Return what is to be launched; None for what stands in the journal.

    Raises:
        click.UsageError, SpecError: That is not said, or cannot be right.
    """
    if count is not None or file is not None:
        return specs_of(count, file, defaults, provider)
    if not begun:
        raise click.UsageError(
            "there is no journal to resume; say what to launch: --count N of one kind, or "
            "--spec FILE"
        )
    if defaults:
        raise click.UsageError(
            f"{option_of(next(iter(defaults)))} says what to launch, and what this launch is "
            "of stands in its journal: leave it out, or begin another launch"
        )
    return None


def _merged(asked: Mapping[str, Any], given: set[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that count: those given, else those the launch was begun with."""
    counts = given | _ruled_out(asked, given)
    merged = {
        name: value if name in counts else before.get(name, value) for name, value in asked.items()
    }
    if merged["price"] is not None:
        merged["price"] = float(merged["price"])  # JSON has no infinity
    return merged


def _ruled_out(asked: Mapping[str, Any], given: set[str]) -> set[str]:
    """Return the options that those given leave no room for: they are as if never given."""
    ruled_out: set[str] = set()
    if "every" in given:
        ruled_out.update(EVERY_OR)
    elif not given.isdisjoint(EVERY_OR):
        ruled_out.add("every")
    if asked["rate"] == "auto" and "rate" in given:
        ruled_out.add("share")
    return ruled_out


def resume_line(journal: Path) -> str:
    """Return the command that resumes a launch."""
    return f"greenroom launch --journal {shell_word(str(journal))} --resume"
