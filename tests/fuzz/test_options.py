"""Every option and argument of every command, found in the commands themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.effort import fuzzed
from tests.fuzz.hostile import harmless
from tests.fuzz.invariants import assert_named, assert_refused, hold
from tests.fuzz.runner import run

from greenroom.cli._commands import greenroom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STUDIO = {"--endpoint-url": "http://127.0.0.1:1", "--studio-id": "us-west-2-abc"}


@dataclass(frozen=True)
class Line:
    """The arguments of a command, which are right."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def args(self) -> tuple[str, ...]:
        options = (part for option in self.options.items() for part in option)
        return (*options, "--", *self.arguments.values())

    def without(self, parameter: click.Parameter) -> Line:
        return Line(
            {name: each for name, each in self.arguments.items() if name != parameter.name},
            {name: each for name, each in self.options.items() if name not in parameter.opts},
        )


ASKED = Line({"kind": "nimble-session", "ids": "s-1"}, STUDIO)

LINES = {
    "delete": ASKED,
    "fleet cancel": Line({"fleet_id": "monday"}),
    "fleet launch": Line(
        {"fleet_id": "monday", "kind": "nimble-session"},
        {"--launch-profile-id": "lp-1", "--count": "2"},
    ),
    "fleet status": Line({"fleet_id": "monday"}),
    "demo": Line(),
    "get": ASKED,
    "kinds": Line(),
    "launch": Line(
        {"kind": "nimble-session"},
        {**STUDIO, "--launch-profile-id": "lp-1", "--count": "2", "--journal": "run.db"},
    ),
    "plan": Line(options={"--count": "2"}),
    "report": Line({"journal": "run.db"}),
    "simulator": Line(),
    "start": ASKED,
    "stop": ASKED,
    "table": Line({"kind": "nimble-session"}),
    "wait": Line(ASKED.arguments, {**STUDIO, "--until": "READY"}),
    "watch": ASKED,
    "worker": Line({"kind": "nimble-session"}, STUDIO),
}


def _commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *above, name)
        else:
            yield " ".join((*above, name)), command


COMMANDS = dict(_commands(greenroom))

PARAMETERS = [
    pytest.param(name, parameter, id=f"{name}-{parameter.name}")
    for name, command in sorted(COMMANDS.items())
    for parameter in command.params
]

OPTIONS = [
    each
    for each in PARAMETERS
    if isinstance(each.values[1], click.Option) and not each.values[1].is_flag
]

NO_DIGIT = ("none", "auto", "inf")
"""Words that an option of numbers may take."""


def test_every_command_is_fuzzed() -> None:
    assert LINES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", sorted(LINES.keys() - {"report"}))
def test_what_is_right_is_accepted(command: str) -> None:
    ran = run(*command.split(), *LINES[command].args())
    hold(ran)
    assert ran.status in (None, 0), ran.err


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
@given(value=harmless, apart=st.booleans())
@fuzzed(5)
def test_whatever_is_given_is_taken_or_refused(
    command: str, parameter: click.Parameter, value: str, apart: bool
) -> None:
    others = LINES[command].without(parameter)
    if isinstance(parameter, click.Argument):
        order = [each.name or "" for each in COMMANDS[command].params]
        arguments = {**others.arguments, parameter.name or "": value}
        line = Line(dict(sorted(arguments.items(), key=lambda each: order.index(each[0]))))
        args = Line(line.arguments, others.options).args()
    elif apart:
        args = (parameter.opts[0], value, *others.args())
    else:
        args = (f"{parameter.opts[0]}={value}", *others.args())
    ran = run(*command.split(), *args)
    hold(ran)
    if not apart and _cannot_be_right(parameter, value):
        assert_refused(ran)
        if not getattr(parameter, "is_flag", False):
            assert_named(ran, value, *parameter.opts)


@pytest.mark.parametrize(("command", "parameter"), OPTIONS)
def test_an_option_without_its_value_is_refused(command: str, parameter: click.Option) -> None:
    others = LINES[command].without(parameter)
    ran = run(*command.split(), *others.arguments.values(), parameter.opts[0])
    assert_refused(ran)
    assert parameter.opts[0] in ran.err


@pytest.mark.parametrize(("command", "parameter"), OPTIONS)
@given(values=st.lists(harmless, min_size=2, max_size=3))
@fuzzed(2)
def test_an_option_may_be_repeated(
    command: str, parameter: click.Option, values: list[str]
) -> None:
    repeated = (f"{parameter.opts[0]}={value}" for value in values)
    hold(run(*command.split(), *repeated, *LINES[command].without(parameter).args()))


@pytest.mark.parametrize("command", sorted(LINES))
@given(args=st.lists(harmless, max_size=4))
@fuzzed(5)
def test_any_arguments_at_all(command: str, args: list[str]) -> None:
    hold(run(*command.split(), *args))


@pytest.mark.parametrize("option", sorted(STUDIO))
@given(value=harmless.filter(lambda text: "\0" not in text))
@fuzzed(5)
def test_whatever_the_environment_says(option: str, value: str) -> None:
    told = {**STUDIO, option: value}
    environment = {
        "GREENROOM_ENDPOINT_URL": told["--endpoint-url"],
        "GREENROOM_STUDIO_ID": told["--studio-id"],
    }
    hold(run("get", "nimble-session", "s-1", environment=environment))


def _cannot_be_right(parameter: click.Parameter, value: str) -> bool:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return True
    if isinstance(parameter.type, click.Choice):
        return value not in parameter.type.choices
    is_number = isinstance(parameter.type, click.types.FuncParamType | click.types.IntParamType)
    return is_number and not any(map(str.isdigit, value)) and value.lower() not in NO_DIGIT
