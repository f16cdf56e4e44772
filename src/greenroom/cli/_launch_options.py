"""The arguments of `greenroom launch`: what to launch, how, and how it was begun if it is resumed.

A launch that is resumed is what its journal says. An option that is given then counts for the rest
of it; one that is left out stays what it was.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from greenroom._launch._journal import read_journal
from greenroom._launch._policy import LaunchPolicy
from greenroom._launch._specs import Spec, count_specs, read_specs
from greenroom.cli import _arguments
from greenroom.cli._kinds import Address, check_address
from greenroom.cli._options import Pacing, decorated, reaching

KIND = "nimble-session"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user wants launched.

    Attributes:
        specs: The workstations; None for those of the journal.
        address: Where.
        pacing: How fast to ask.
        create_rate: Creates per second.
        policy: How to go about it.
        journal: The journal; None for none.
        resume: Whether to take it up.
        urls: Where to write the URLs of streams; None for nowhere.
        options: What is kept in the journal of all this.
    """

    specs: tuple[Spec, ...] | None
    address: Address
    pacing: Pacing
    create_rate: float
    policy: LaunchPolicy
    journal: Path | None
    resume: bool
    urls: Path | None
    options: Mapping[str, Any]


_TEMPLATE = (
    click.option("--launch-profile-id", metavar="ID", help="The launch profile."),
    click.option("--streaming-image-id", metavar="ID", help="The image, if not the profile's own."),
    click.option(
        "--instance-type",
        "instance_types",
        metavar="TYPE",
        multiple=True,
        help="The type of machine, if not the profile's own. Given several times: where there is "
        "no capacity for one, the next is tried.",
    ),
    click.option("--owner", metavar="ID", help="Who is to own them, if not the caller."),
    click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True, help="A tag. Repeatable."),
    click.option(
        "--count",
        type=click.IntRange(min=1),
        metavar="N",
        help='How many, all alike, with the keys "1" to "N".',
    ),
    click.option(
        "--spec",
        metavar="FILE",
        help="What to launch, as JSON Lines; - is standard input. Each line has a key of its own, "
        "and may have launch_profile_id, streaming_image_id, instance_types, owner and tags; what "
        "it lacks, the options above give.",
    ),
)

_CARE = (
    click.option(
        "--journal",
        metavar="FILE",
        help="Where to record the launch. [default: greenroom-DATE-TIME-....db in this folder]",
    ),
    click.option("--no-journal", is_flag=True, help="Record nothing; nothing can be resumed."),
    click.option(
        "--resume",
        is_flag=True,
        help="Take up the launch in the journal. Where there is none yet, it is begun.",
    ),
    click.option(
        "--timeout",
        type=_arguments.timeout,
        metavar="DURATION",
        default="1h",
        show_default=True,
        help="How long to go on, all together: 90m, 2h, or none.",
    ),
    click.option(
        "--create-rate",
        type=_arguments.number,
        metavar="N",
        default=5.0,
        show_default=True,
        help="Calls per second that create, stream or delete, at most.",
    ),
    click.option(
        "--in-flight",
        type=click.IntRange(min=1),
        metavar="N",
        default=10,
        show_default=True,
        help="Such calls at the same time, at most.",
    ),
    click.option(
        "--canary",
        type=click.IntRange(min=0),
        metavar="K",
        help="Create K, and the others when all of those have settled; 0 to wait for none. Without "
        "it, ten go ahead, and the others follow as soon as one of them is ready.",
    ),
    click.option(
        "--on-failure",
        type=click.Choice(["keep", "delete"]),
        help="What becomes of sessions that did not succeed, or were on their way when the launch "
        "was stopped. [default: keep]",
    ),
    click.option(
        "--stream/--no-stream",
        default=None,
        help="Make a stream for each workstation, and wait for it. [default: no-stream]",
    ),
    click.option(
        "--stream-urls",
        "urls",
        metavar="FILE",
        help="Write the secret URLs of the streams to FILE, readable for you alone, as JSON Lines.",
    ),
)


def launching(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the arguments of a launch, and its function a `Wanted` that holds them."""

    @wraps(function)
    def command(
        *,
        address: Address,
        pacing: Pacing,
        count: int | None,
        spec: str | None,
        journal: str | None,
        no_journal: bool,
        resume: bool,
        timeout: float | None,
        create_rate: float,
        in_flight: int,
        canary: int | None,
        on_failure: str | None,
        stream: bool | None,
        urls: str | None,
        output: str,
        verbose: bool,
        no_live: bool,
        **template: Any,
    ) -> int:
        file = _journal_file(journal, none=no_journal, resume=resume)
        begun = file is not None and resume and file.exists()
        specs = _specs(count, spec, template, begun=begun)
        given = {
            **asdict(address),
            "on_failure": on_failure,
            "stream": stream,
        }
        options = _merged(given, file if begun else None)
        place = Address(*(options[name] for name in asdict(address)))
        check_address(KIND, place)
        if urls is not None and not options["stream"]:
            raise click.UsageError(
                "--stream-urls needs --stream: there are no URLs without streams"
            )
        wanted = Wanted(
            specs=specs,
            address=place,
            pacing=pacing,
            create_rate=create_rate,
            policy=LaunchPolicy(
                timeout=timeout,
                canary=canary,
                in_flight=in_flight,
                on_failure=options["on_failure"] or "keep",
                stream=bool(options["stream"]),
            ),
            journal=file,
            resume=resume,
            urls=None if urls is None else Path(urls),
            options=options,
        )
        return function(wanted, output=output, verbose=verbose, no_live=no_live)

    return decorated(reaching(command), *_TEMPLATE, *_CARE)


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


def _specs(
    count: int | None, file: str | None, template: Mapping[str, Any], *, begun: bool
) -> tuple[Spec, ...] | None:
    if count is not None and file is not None:
        raise click.UsageError("--count and --spec cannot both be meant")
    if count is None and file is None:
        if begun:
            return None
        raise click.UsageError("say what to launch: --count N of one kind, or --spec FILE")
    values = dict(template) | {"tags": _tags(template["tags"])}
    defaults = {name: value for name, value in values.items() if value}
    if file is not None:
        return read_specs(_arguments.read_lines(file), defaults=defaults)
    if "launch_profile_id" not in defaults:
        raise click.UsageError("--count needs --launch-profile-id ID, to make them from")
    return count_specs(count or 0, defaults)


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is no tag; write it as in --tag project=orchid")
        tags[name] = value
    return tags


def _merged(given: Mapping[str, Any], journal: Path | None) -> dict[str, Any]:
    """Return the options that count: those given, else those the launch was begun with.

    Raises:
        click.UsageError: The launch is another studio's.
        JournalError: The journal cannot be read.
    """
    before: Mapping[str, Any] = {}
    if journal is not None:
        before = read_journal(journal)[0].options
    studio, asked = before.get("studio_id"), given["studio_id"]
    if studio and asked and studio != asked:
        raise click.UsageError(f"{journal} is a launch in studio {studio}, and not in {asked}")
    return {name: before.get(name) if value is None else value for name, value in given.items()}


def resume_line(journal: Path) -> str:
    """Return the command that resumes a launch."""
    return f"greenroom launch --journal {shlex.quote(str(journal))} --resume"
