"""What a launch has to know of a kind of session, as data.

A launch knows how to make many of something, and nothing of what it makes. This is the rest: what
is asked for (`spec`), when it is ready (`ready`, `checks`), what to do about failures (`remedies`,
`deaths`), how existing sessions are acted on (`deeds`), and what one create may ask for at once
(`together`). A kind is one value of `LaunchKind`; a source that can launch it has it as `launches`.

Kinds are found by name, since a journal says of which kind its launch is, and is read without a
connection to anything. So whoever defines one registers it; greenroom's own are imported when they
are first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._specs import hint

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from greenroom._remedies import Remedies
    from greenroom._specs import WorkstationSpec
    from greenroom._states import TransitionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """How the table of a kind speaks of one of `start`, `stop` and `delete`.

    Attributes:
        action: The name of the action in the table.
        goal: The state that it leads to.
    """

    action: str
    goal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyCheck:
    """What else must be so before a session that is ready counts as such.

    Attributes:
        until: The goal of the check.
        source: From an open source of the kind, the source that is read for it, by the same ids.
    """

    until: str
    source: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """How the streams of a kind's sessions are made.

    Attributes:
        source: From an open source of the kind, that of the streams; an id is `SESSION/STREAM`.
        create: Asks for a stream: source, session, client token, seconds for which it can be opened
            or None. Returns the stream's id.
        ready: The goal of a stream.
        expiry: Returns the fewest and the most of those seconds.
        access: From a stream as the service shows it, until when it can be opened, and its URL.
    """

    source: Callable[[Any], Any]
    create: Callable[[Any, str, str, int | None], Awaitable[str]]
    ready: str
    expiry: Callable[[], tuple[int, int]]
    access: Callable[[Mapping[str, Any]], tuple[datetime | None, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchKind:
    """A kind of session that can be launched.

    Attributes:
        table: Its transition table.
        spec: What is asked for.
        remedies: What to do about failures.
        made: The state of a session from its making until it is seen in another.
        ready: The state in which it is up.
        deeds: `start`, `stop` and `delete`.
        checks: What must be so besides, in the order in which it is looked at.
        deaths: States that end the way to `ready` and count as the failure of an attempt, where
            there is a reason.
        together: Most sessions that one create asks for.
        fewer: The cause of those that did without, where a create made fewer than it asked for.
        streams: How streams are made; None where there are none.

    Raises:
        ConfigurationError: Something names what the table, the remedies or the spec does not have.
    """

    table: TransitionTable
    spec: type[WorkstationSpec]
    remedies: Remedies
    made: str
    ready: str
    deeds: Mapping[str, Deed]
    checks: tuple[ReadyCheck, ...] = ()
    deaths: frozenset[str] = frozenset()
    together: int = 1
    fewer: str = "*"
    streams: Streams | None = None

    def __post_init__(self) -> None:
        kind, states = self.table.kind, self.table.states
        actions = {name for there in self.table.actions.values() for name in there}
        named = [("made", self.made), ("ready", self.ready)]
        named += [("deaths", state) for state in sorted(self.deaths)]
        named += [(f"deeds[{name!r}].goal", deed.goal) for name, deed in self.deeds.items()]
        for where, state in named:
            if state not in states:
                raise ConfigurationError(
                    f"{where}={state!r} is no state of {kind}; {hint(state, states)}"
                )
        for name, deed in self.deeds.items():
            if deed.action not in actions:
                raise ConfigurationError(
                    f"deeds[{name!r}].action={deed.action!r} is no action of the table of {kind}; "
                    f"{hint(deed.action, sorted(actions))}"
                )
        if self.fewer not in self.remedies:
            raise ConfigurationError(
                f"fewer={self.fewer!r} has no row in the remedies: add one, or leave it out"
            )
        _arguments.count("together", self.together)
        if (of := getattr(self.spec, "kind", None)) != kind:
            raise ConfigurationError(
                f"spec={self.spec.__name__} is of kind {of!r}, and the table of {kind!r}: say "
                f"kind = {kind!r} in it"
            )
        for field in fields(self.spec):
            if field.name != "key" and field.name not in self.spec.checks:
                raise ConfigurationError(
                    f"spec={self.spec.__name__} has no check of {field.name}: add one to its "
                    f"checks, as {{{field.name!r}: an_id}}"
                )

    @property
    def name(self) -> str:
        """Its name, such as `nimble-session`."""
        return self.table.kind

    @property
    def goals(self) -> tuple[str, ...]:
        """What can count as ready, each including those before it."""
        return (self.ready, *(check.until for check in self.checks))

    def checks_until(self, until: str | None) -> tuple[ReadyCheck, ...]:
        """Return the checks that count.

        Args:
            until: One of the goals; None for the last of them.

        Raises:
            ConfigurationError: It is none of the goals.
        """
        if until is None:
            return self.checks
        if until not in self.goals:
            known = " or ".join(map(repr, self.goals))
            raise ConfigurationError(f"until={until!r}: a launch of {self.name} is until {known}")
        return self.checks[: self.goals.index(until)]


_OURS = {
    "ec2-instance": "greenroom.sources._ec2_launch",
    "nimble-session": "greenroom.sources._nimble_launch",
}
"""The modules that define greenroom's own kinds."""

_KINDS: dict[str, LaunchKind] = {}


def register(kind: LaunchKind) -> LaunchKind:
    """Make a kind known by its name, in place of any other of that name, and return it."""
    if kind.name in _OURS:
        import_module(_OURS[kind.name])  # now, that ours does not take its place later
    _KINDS[kind.name] = kind
    return kind


def launch_kind(name: str) -> LaunchKind:
    """Return the kind of that name.

    Raises:
        ConfigurationError: Nobody has registered one.
    """
    if name not in _KINDS and name in _OURS:
        import_module(_OURS[name])
    if name not in _KINDS:
        known = ", ".join(sorted(launch_kinds()))
        raise ConfigurationError(
            f"nothing is known of launches of {name!r}: import the module that defines the kind; "
            f"known are {known}"
        )
    return _KINDS[name]


def launch_kinds() -> Mapping[str, LaunchKind]:
    """Return every kind that is known, by name."""
    for module in _OURS.values():
        import_module(module)
    return MappingProxyType(_KINDS)
