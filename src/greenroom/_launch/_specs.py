"""What is to be launched: one spec a workstation, checked as a whole before the first call.

Specs come from JSON Lines, from plain dicts or from `Spec` itself, and all of them pass the same
checks. Every problem of every line is found, so that a list of three hundred is mended once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from greenroom._errors import SpecError
from greenroom.sources import _nimble_model as model

LONGEST_KEY = 256

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "launchProfileId": "launch_profile_id",
        "streamingImageId": "streaming_image_id",
        "instance_type": "instance_types",
        "instanceType": "instance_types",
        "instanceTypes": "instance_types",
        "ec2InstanceType": "instance_types",
        "ownedBy": "owner",
        "owned_by": "owner",
    }
)
"""What else a field may be called: the service's own names, and the singular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One workstation that is wanted.

    Attributes:
        key: Its name in this launch, and in its account. Unique.
        launch_profile_id: The launch profile that it is made from.
        streaming_image_id: The image that it streams; None for the profile's own.
        instance_types: The types of machine that will do, the most wanted first; empty for the
            profile's own.
        owner: Who is to own it; None for whoever asks.
        tags: Its tags.
    """

    key: str
    launch_profile_id: str
    streaming_image_id: str | None = None
    instance_types: tuple[str, ...] = ()
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, which `check_specs` takes back."""
        members = {each.name: getattr(self, each.name) for each in fields(self)}
        tags = members["tags"]
        return members | {"tags": dict(tags) if isinstance(tags, Mapping) else tags}


SpecLike = Spec | Mapping[str, Any]
"""A `Spec`, or a mapping of its fields."""

_FIELDS = tuple(each.name for each in fields(Spec))


def check_specs(specs: Iterable[SpecLike]) -> tuple[Spec, ...]:
    """Return the specs, checked.

    Raises:
        SpecError: There are none, or some cannot be right: a field that there is not, a bad
            instance type or image id, a key that is missing or given twice. All are named.
    """
    if isinstance(specs, str | Mapping) or not isinstance(specs, Iterable):
        raise SpecError([f"specs is one {type(specs).__name__}; pass a list of specs"])
    return _checked((f"spec {number}", each) for number, each in enumerate(specs, start=1))


def read_specs(
    lines: Iterable[str], *, defaults: Mapping[str, Any] | None = None
) -> tuple[Spec, ...]:
    """Return the specs that JSON Lines tell, checked; blank lines are passed over.

    Args:
        lines: A JSON object each, with the fields of `Spec`.
        defaults: Fields for the lines that do not have them.

    Raises:
        SpecError: As for `check_specs`; also where a line is not a JSON object. Every problem is
            named with its line, counted from 1.
    """
    if isinstance(lines, str):
        raise SpecError(["lines is one text; pass its lines, as text.splitlines()"])
    return _checked(
        (f"line {number}", _parsed(line, defaults or {}))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )


def count_specs(count: int, template: Mapping[str, Any]) -> tuple[Spec, ...]:
    """Return `count` specs of one template, with the keys "1" to `count`.

    Raises:
        SpecError: The template cannot be right.
    """
    first = _Spec({**template, "key": "1"}, "the template")
    if first.problems:
        raise SpecError(first.problems)
    one = first.made
    return tuple(Spec(**one.as_dict() | {"key": str(key)}) for key in range(1, count + 1))


def _checked(given: Iterable[tuple[str, SpecLike | _Unreadable]]) -> tuple[Spec, ...]:
    problems: list[str] = []
    specs: list[Spec] = []
    first_at: dict[str, str] = {}
    for place, each in given:
        if isinstance(each, _Unreadable):
            problems.append(f"{place}: {each.problem}")
            continue
        spec = _Spec(each.as_dict() if isinstance(each, Spec) else each, place)
        problems += spec.problems
        key = spec.values.get("key")
        if isinstance(key, str):
            if key in first_at:
                problems.append(f"{place}: the key {key!r} is that of {first_at[key]}; keys differ")
            first_at.setdefault(key, place)
        if not spec.problems:
            specs.append(spec.made)
    if not problems and not specs:
        problems.append('there is nothing to launch: give specs, such as {"key": "ws-1", ...}')
    if problems:
        raise SpecError(problems)
    return tuple(specs)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    problem: str


def _parsed(line: str, defaults: Mapping[str, Any]) -> SpecLike | _Unreadable:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} is given twice")
        return members

    try:
        value = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return _Unreadable(f"it is not JSON ({error.msg} at column {error.colno})")
    except (ValueError, RecursionError) as error:
        return _Unreadable(str(error) or "it is nested too deeply")
    if not isinstance(value, dict):
        return _Unreadable('it is not a JSON object, such as {"key": "ws-1", ...}')
    known = {OTHER_NAMES.get(name, name) for name in value}
    lacking = {
        name: each for name, each in defaults.items() if OTHER_NAMES.get(name, name) not in known
    }
    return lacking | value


class _Spec:
    """One spec on its way: the values given, and what is wrong with them."""

    def __init__(self, given: Mapping[str, Any], place: str) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self._place = place
        if not isinstance(given, Mapping):
            self._wrong(f"{given!r} is no spec; pass a Spec or a dict of its fields")
            return
        for name, value in given.items():
            self._take(name, value)
        for name in ("key", "launch_profile_id"):
            if self.values.get(name) is None:
                self._wrong(f"{name} is missing")
        for name, value in self.values.items():
            if value is not None:
                getattr(self, f"_check_{name}")(value)

    @property
    def made(self) -> Spec:
        return Spec(**{name: value for name, value in self.values.items() if value is not None})

    def _take(self, given: str, value: Any) -> None:
        name = OTHER_NAMES.get(given, given)
        if name not in _FIELDS:
            close = get_close_matches(str(given), (*_FIELDS, *OTHER_NAMES), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_FIELDS)}"
            self._wrong(f"there is no field {given!r}; {hint}")
        elif name in self.values:
            self._wrong(f"{given!r} says {name} a second time")
        else:
            one = name == "instance_types" and isinstance(value, str)
            self.values[name] = (value,) if one else value

    def _check_key(self, value: Any) -> None:
        if not _is_text(value) or len(value) > LONGEST_KEY:
            self._wrong(f"key={value!r} must be text of at most {LONGEST_KEY} characters")

    def _check_launch_profile_id(self, value: Any) -> None:
        if not _is_text(value):
            self._wrong(f"launch_profile_id={value!r} must be the text of an id")

    def _check_streaming_image_id(self, value: Any) -> None:
        if not isinstance(value, str) or not model.image_id().fullmatch(value):
            self._wrong(
                f"streaming_image_id={value!r} is no image id, which has 1 to 22 letters, digits, "
                "hyphens and underscores"
            )

    def _check_instance_types(self, value: Any) -> None:
        if not isinstance(value, list | tuple):
            self._wrong(f"instance_types={value!r} must be a list, as ['g4dn.xlarge']")
            return
        known = model.instance_types()
        for each in value:
            if each not in known:
                close = get_close_matches(str(each), known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
                self._wrong(f"{each!r} is no instance type; {hint}")
        if len(set(map(str, value))) < len(value):
            self._wrong(f"instance_types={value!r} names one of them twice")
        self.values["instance_types"] = tuple(value)

    def _check_owner(self, value: Any) -> None:
        if not _is_text(value):
            self._wrong(f"owner={value!r} must be the text of an id")

    def _check_tags(self, value: Any) -> None:
        sound = isinstance(value, Mapping) and all(
            isinstance(text, str) for pair in value.items() for text in pair
        )
        if not sound:
            self._wrong(f"tags={value!r} must be an object of texts, as {{'project': 'orchid'}}")

    def _wrong(self, problem: str) -> None:
        self.problems.append(f"{self._place}: {problem}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != "" and value.isprintable()
