"""What is to be launched: one spec a workstation, checked as a whole before the first call.

Each kind of session that can be launched has a spec of its own, a dataclass with `WorkstationSpec`
as its base. Specs come from JSON Lines, from plain dicts or from the class itself, and all of them
pass the same checks. Every problem of every line is found, so that a list of three hundred is
mended once.

Where a spec leaves something open, such as on which of several instance types, it has several
**choices**: what is tried one after the other where there is no capacity.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from greenroom._errors import SpecError

LONGEST_KEY = 256

Choice = Mapping[str, str]
"""What one create takes of what a spec leaves open, by name; empty where it leaves nothing open."""

Check = Callable[[str, Any], Iterator[str]]
"""Yields what is wrong with the value of a field, given its name and the value."""


def label(choice: Choice) -> str:
    """Return a choice in a few words, such as `g5.xlarge in subnet-1`; empty where it is empty."""
    return " in ".join(choice.values())


def is_text(value: object) -> bool:
    """Return whether a value is text that can be an id: not empty, and nothing odd around it."""
    return isinstance(value, str) and value.strip() == value != "" and value.isprintable()


def encodable(text: str) -> bool:
    """Return whether a text can be sent: a lone half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def an_id(name: str, value: Any) -> Iterator[str]:
    """Check that a value may be an id."""
    if not is_text(value):
        yield f"{name}={value!r} must be the text of an id"


def tags(name: str, value: Any) -> Iterator[str]:
    """Check that a value maps text to text."""
    sound = isinstance(value, Mapping) and all(
        isinstance(text, str) and encodable(text) for pair in value.items() for text in pair
    )
    if not sound:
        yield f"{name}={value!r} must be an object of texts, as {{'project': 'orchid'}}"


def several(example: str, each: Callable[[Any], str | None]) -> Check:
    """Return a check of a list whose members differ.

    Args:
        example: A member, for the sentence.
        each: Returns what is wrong with a member, or None.
    """

    def check(name: str, value: Any) -> Iterator[str]:
        if not isinstance(value, list | tuple):
            yield f"{name}={value!r} must be a list, as [{example!r}]"
            return
        yield from filter(None, map(each, value))
        if len(set(map(str, value))) < len(value):
            yield f"{name}={value!r} names one of them twice"

    return check


def hint(name: object, known: Collection[str]) -> str:
    """Return what somebody may have meant, or what there is."""
    close = get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkstationSpec:
    """One workstation that is wanted. The base of each kind's own spec.

    Attributes:
        key: Its name in this launch, and in its account. Unique.
        kind: The kind of session that it asks for.
        other_names: What else a field may be called: the service's own names, and the singular.
        needed: Fields that must be given.
        checks: How each other field is checked.
    """

    kind: ClassVar[str]
    other_names: ClassVar[Mapping[str, str]] = MappingProxyType({})
    needed: ClassVar[tuple[str, ...]] = ()
    checks: ClassVar[Mapping[str, Check]] = MappingProxyType({})

    key: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, which `check_specs` takes back."""
        members = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in members.items()
        }

    def choices(self) -> tuple[Choice, ...]:
        """Return what will do, the most wanted first; at least one."""
        return ({},)

    def likeness(self) -> str:
        """Return a text that is the same for specs that are alike but for their keys."""
        return json.dumps(self.as_dict() | {"key": ""}, sort_keys=True)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with it as a whole, once each field by itself is right.

        Those that are alike have the same problems.
        """
        yield from ()


S = TypeVar("S", bound=WorkstationSpec)

SpecLike = WorkstationSpec | Mapping[str, Any]
"""A spec, or a mapping of its fields."""


def check_specs(specs: Iterable[SpecLike], of: type[S]) -> tuple[S, ...]:
    """Return the specs, checked.

    Args:
        specs: What is wanted.
        of: The kind's spec.

    Raises:
        SpecError: There are none, or some cannot be right: a field that there is not, a bad
            instance type or image id, a key that is missing or given twice. All are named.
    """
    if isinstance(specs, str | bytes | Mapping) or not isinstance(specs, Iterable):
        raise SpecError([f"specs is one {type(specs).__name__}; pass a list of specs"])
    return _checked(((f"spec {number}", each) for number, each in enumerate(specs, start=1)), of)


def read_specs(
    lines: Iterable[str], of: type[S], *, defaults: Mapping[str, Any] | None = None
) -> tuple[S, ...]:
    """Return the specs that JSON Lines tell, checked; blank lines are passed over.

    Args:
        lines: A JSON object each, with the fields of the spec.
        of: The kind's spec.
        defaults: Fields for the lines that do not have them.

    Raises:
        SpecError: As for `check_specs`; also where a line is not a JSON object. Every problem is
            named with its line, counted from 1.
    """
    if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
        raise SpecError(
            [f"lines is one {type(lines).__name__}; pass a list of lines, as text.splitlines()"]
        )
    if not isinstance(defaults, Mapping | None):
        raise SpecError([f"defaults={defaults!r} must be a dict of fields, or None"])
    given = (
        (f"line {number}", _parsed(line, defaults or {}, of.other_names))
        for number, line in enumerate(lines, start=1)
        if not isinstance(line, str) or line.strip()
    )
    return _checked(given, of)


def count_specs(count: int, template: Mapping[str, Any], of: type[S]) -> tuple[S, ...]:
    """Return `count` specs of one template, with the keys "1" to `count`.

    Raises:
        SpecError: The template cannot be right.
    """
    first = _Draft({**template, "key": "1"}, "the template", of)
    problems = first.problems or [f"the template: {each}" for each in first.made.problems()]
    if problems:
        raise SpecError(problems)
    one = first.made.as_dict()
    return tuple(of(**one | {"key": str(key)}) for key in range(1, count + 1))


def stored_specs(stored: Iterable[Mapping[str, Any]], of: type[S]) -> tuple[S, ...]:
    """Return specs that were checked as a whole when they were written down.

    Raises:
        SpecError: As for `check_specs`, for what each field by itself shows.
    """
    places = ((f"spec {number}", each) for number, each in enumerate(stored, start=1))
    return _checked(places, of, whole=False)


def _checked(
    given: Iterable[tuple[str, SpecLike | _Unreadable]], of: type[S], *, whole: bool = True
) -> tuple[S, ...]:
    problems: list[str] = []
    specs: list[S] = []
    first_at: dict[str, str] = {}
    alike: dict[str, list[str]] = {}
    for place, each in given:
        if isinstance(each, _Unreadable):
            problems.append(f"{place}: {each.problem}")
            continue
        draft = _Draft(each, place, of)
        problems += draft.problems
        key = draft.values.get("key")
        if isinstance(key, str):
            if key in first_at:
                problems.append(f"{place}: the key {key!r} is that of {first_at[key]}; keys differ")
            first_at.setdefault(key, place)
        if draft.problems:
            continue
        spec = draft.made
        specs.append(spec)
        if whole and of.problems is not WorkstationSpec.problems:
            likeness = spec.likeness()
            if likeness not in alike:
                alike[likeness] = list(spec.problems())
            problems += (f"{place}: {problem}" for problem in alike[likeness])
    if not problems and not specs:
        problems.append('there is nothing to launch: give specs, such as {"key": "ws-1", ...}')
    if problems:
        raise SpecError(problems)
    return tuple(specs)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    problem: str


def _parsed(
    line: str, defaults: Mapping[str, Any], other_names: Mapping[str, str]
) -> Mapping[str, Any] | _Unreadable:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} is given twice")
        return members

    if not isinstance(line, str):
        return _Unreadable(f"{line!r} is no line of text")
    try:
        value = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return _Unreadable(f"it is not JSON ({error.msg} at column {error.colno})")
    except (ValueError, RecursionError) as error:
        return _Unreadable(str(error) or "it is nested too deeply")
    if not isinstance(value, dict):
        return _Unreadable('it is not a JSON object, such as {"key": "ws-1", ...}')
    known = {other_names.get(name, name) for name in value}
    lacking = {
        name: each for name, each in defaults.items() if other_names.get(name, name) not in known
    }
    return lacking | value


class _Draft:
    """One spec on its way: the values given, and what is wrong with them."""

    def __init__(self, given: SpecLike, place: str, of: type[Any]) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self._place = place
        self._of = of
        self._fields = {each.name: each for each in fields(of)}
        if isinstance(given, of):
            given = given.as_dict()
        if not isinstance(given, Mapping):
            self._wrong(f"{given!r} is no spec; pass a {of.__name__} or a dict of its fields")
            return
        for name, value in given.items():
            self._take(name, value)
        for name in ("key", *of.needed):
            if self.values.get(name) is None:
                self._wrong(f"{name} is missing")
        for name, value in self.values.items():
            if value is not None:
                for problem in _key(value) if name == "key" else of.checks[name](name, value):
                    self._wrong(problem)
                if isinstance(value, list):
                    self.values[name] = tuple(value)

    @property
    def made(self) -> Any:
        return self._of(**{name: value for name, value in self.values.items() if value is not None})

    def _take(self, given: str, value: Any) -> None:
        name = self._of.other_names.get(given, given)
        if name not in self._fields:
            known = (*self._fields, *self._of.other_names)
            close = get_close_matches(str(given), known, n=1)
            said = (
                f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._fields)}"
            )
            self._wrong(f"there is no field {given!r}; {said}")
        elif name in self.values:
            self._wrong(f"{given!r} says {name} a second time")
        else:
            one = self._fields[name].default == () and isinstance(value, str)
            self.values[name] = (value,) if one else value

    def _wrong(self, problem: str) -> None:
        self.problems.append(f"{self._place}: {problem}")


def _key(value: Any) -> Iterator[str]:
    if not is_text(value) or len(value) > LONGEST_KEY:
        yield f"key={value!r} must be text of at most {LONGEST_KEY} characters"
