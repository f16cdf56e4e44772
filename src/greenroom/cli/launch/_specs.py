"""What is to be launched, as a command's arguments say it: so many alike, or a file of specs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from greenroom._errors import SpecError
from greenroom._specs import WorkstationSpec, count_specs, read_specs
from greenroom.cli import _arguments
from greenroom.cli.launch._providers import (
    FIELDS,
    PROVIDERS,
    TEMPLATE_NAMES,
    LaunchProvider,
    option_of,
)

NUMBER = (
    click.option(
        "--count",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help='How many, all alike, with the keys "1" to "N".',
    ),
    click.option(
        "--spec",
        metavar="FILE",
        help="What to launch, as JSON Lines; - is standard input. Each line has a key of its own, "
        "and may have the fields of the kind, such as instance_types and tags; what it lacks, the "
        "options above give.",
    ),
)


def template_of(provider: LaunchProvider, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec that options give.

    Raises:
        click.UsageError: An option is for another kind.
    """
    given = {name: values[name] for name in TEMPLATE_NAMES if values[name]}
    for name in given:
        if name not in provider.fields:
            others = " and ".join(each.name for each in PROVIDERS.values() if name in each.fields)
            raise click.UsageError(
                f"{option_of(name)} is for {others}, and not for {provider.name}"
            )
    return {name: FIELDS[name].value(value) for name, value in given.items()}


def specs_of(
    count: int | None, file: str | None, defaults: Mapping[str, Any], provider: LaunchProvider
) -> tuple[WorkstationSpec, ...]:
    """Return the specs.

    Args:
        count: How many, all alike; None where there is a file.
        file: Where they are read from; `-` is standard input.
        defaults: Fields that options give.
        provider: What is launched.

    Raises:
        click.UsageError: Both are given, or something is missing.
        SpecError: Some cannot be right.
    """
    if count is not None and file is not None:
        raise click.UsageError("--count and --spec cannot both be meant")
    spec = provider.launches.spec
    if file is not None:
        lines = _arguments.read_lines(file)
        try:
            return read_specs(lines, spec, defaults=defaults)
        except SpecError as error:
            where = "standard input" if file == "-" else file
            raise SpecError(f"{where}, {problem}" for problem in error.problems) from None
    for name in spec.needed:
        if name not in defaults:
            raise click.UsageError(f"--count needs {option_of(name)} ID, to make them from")
    return count_specs(count or 0, defaults, spec)
