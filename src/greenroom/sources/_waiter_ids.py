"""Ids of a waiter: the parameters of its operation, in words.

A botocore waiter is told what to wait for by parameters, so these are what an id says, in the
shorthand of the AWS CLI or as JSON:

    DBInstanceIdentifier=db-1
    cluster=prod,services=web
    {"Filters": [{"Name": "endpoint-arn", "Values": ["arn:aws:dms:..."]}]}

In shorthand, what has no name of its own belongs to the list before it, and a value is read as what
the service's model says the parameter is. Where nothing else can be meant, the value alone will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from botocore.validate import ParamValidator

from greenroom._specs import encodable

REMEMBERED = 10_000
"""Ids whose parameters are remembered, since each is read time and again."""

_NAMED = re.compile(r"\s*([A-Za-z][\w.-]*)\s*=(.*)", re.DOTALL)
_ASIDE = re.compile(r"token|marker|dryrun|max(results|records)", re.IGNORECASE)
_WORDS = {"true": True, "false": False}


class Parameters:
    """How the ids of one operation are read.

    Args:
        shape: The operation's input shape; None if it takes nothing.
        kind: What an error calls the kind.
        bare: The parameter that a value without a name fills in; None for the only one that is
            required, if there is one.

    Attributes:
        bare: The parameter that a value without a name fills in; None if there has to be a name.
        read: Returns the parameters that an id says. It raises ValueError, whose text shows the
            fix, if the id does not say any that the operation takes.
    """

    def __init__(self, shape: Any, kind: str, bare: str | None = None) -> None:
        self._shape = shape
        self._kind = kind
        self._members: Mapping[str, Any] = {} if shape is None else shape.members
        self._required: tuple[str, ...] = () if shape is None else tuple(shape.required_members)
        named = {*self._required, bare} - {None}
        only = bare or next(iter(self._required), None)
        fits = only is not None and len(named) == 1 and _is_shorthand(self._members[only])
        self.bare = only if fits else None
        self.read: Callable[[str], Mapping[str, Any]] = lru_cache(REMEMBERED)(self._read)

    @property
    def form(self) -> str:
        """How an id is written, such as `Bucket=VALUE,Key=VALUE`."""
        names = self._required or ((self.bare,) if self.bare else ()) or self._likely()
        if all(_is_shorthand(self._members[name]) for name in names):
            return ",".join(f"{name}=VALUE" for name in names) or "{}"
        return "{" + ", ".join(f'"{name}": ...' for name in names) + "}"

    def _read(self, id_: str) -> Mapping[str, Any]:
        text = id_.strip()
        if text.startswith("{"):
            parameters = self._from_json(text)
        elif _NAMED.fullmatch(text):
            parameters = self._from_shorthand(text)
        else:
            parameters = self._from_value(text)
        self._validate(parameters)
        return parameters

    def problem(self, id_: object) -> str | None:
        """Return what is wrong with an id, or None."""
        if not isinstance(id_, str):
            return f"{id_!r} is no id of {self._kind}: ids are text, such as {self.form}"
        try:
            self.read(id_)
        except ValueError as error:
            return f"{id_!r} is no id of {self._kind}: {error}"
        return None

    def _from_json(self, text: str) -> dict[str, Any]:
        try:
            parameters = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is no JSON object: {error}") from None
        for name in parameters:
            self._member(name)
        return dict(parameters)

    def _from_value(self, text: str) -> dict[str, Any]:
        if self.bare is None or not text:
            raise ValueError(f"name the parameter, as {self.form}")
        if "," in text:
            raise ValueError(
                f"a value with a comma has to be named, as {self.bare}=VALUE, or written as JSON"
            )
        shape = self._members[self.bare]
        one = shape.member if shape.type_name == "list" else shape
        value = _coerced(text, one, self.bare)
        return {self.bare: [value] if one is not shape else value}

    def _from_shorthand(self, text: str) -> dict[str, Any]:
        pieces: dict[str, list[str]] = {}
        name = ""
        for piece in text.split(","):
            named = _NAMED.fullmatch(piece)
            if named is None:
                pieces[name].append(piece)
                continue
            name, value = named.groups()
            self._member(name)
            if name in pieces:
                raise ValueError(f"{name} is given twice; a list is written {name}=VALUE,VALUE")
            pieces[name] = [value]
        return {name: self._value(name, values) for name, values in pieces.items()}

    def _value(self, name: str, values: list[str]) -> Any:
        shape = self._members[name]
        if not _is_shorthand(shape):
            raise ValueError(f"{name} is a {shape.type_name}; write JSON, as '{{\"{name}\": ...}}'")
        if "" in values:
            raise ValueError(f"{name} has an empty value; write {name}=VALUE")
        if shape.type_name == "list":
            return [_coerced(value, shape.member, name) for value in values]
        if len(values) > 1:
            raise ValueError(
                f"what is {values[1]!r}? {name} takes one value; write NAME={values[1]}, or, if "
                f'the comma belongs to the value, JSON: \'{{"{name}": "{",".join(values)}"}}\''
            )
        return _coerced(values[0], shape, name)

    def _member(self, name: str) -> None:
        if name in self._members:
            return
        close = _closest(name, self._members)
        hint = f"did you mean {close}?" if close else f"there are {', '.join(self._members)}"
        raise ValueError(f"there is no parameter {name}; {hint}")

    def _validate(self, parameters: Mapping[str, Any]) -> None:
        missing = [name for name in self._required if name not in parameters]
        if missing:
            raise ValueError(f"{' and '.join(missing)} is missing; write {self.form}")
        if self._shape is not None:
            if not encodable(json.dumps(parameters, ensure_ascii=False)):
                raise ValueError("it has half a surrogate pair, which cannot be sent")
            report = ParamValidator().validate(parameters, self._shape)
            if report.has_errors():
                raise ValueError("; ".join(report.generate_report().splitlines()))

    def _likely(self) -> tuple[str, ...]:
        """Return the first parameter that a text can fill in and that is not about pages."""
        names = [name for name in self._members if not _ASIDE.search(name)]
        texts = [name for name in names if self._members[name].type_name == "string"]
        return tuple((texts or names)[:1])


def _closest(name: str, names: Iterable[str]) -> str | None:
    alike = {known.casefold(): known for known in names}
    close = get_close_matches(name.casefold(), alike, n=1)
    return alike[close[0]] if close else None


def _is_shorthand(shape: Any) -> bool:
    """Return whether a value can be written in shorthand: a plain one, or a list of such."""
    inner = shape.member if shape.type_name == "list" else shape
    return inner.type_name not in ("list", "structure", "map")


def _coerced(text: str, shape: Any, name: str) -> Any:
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return _WORDS[text.lower()]
    except (KeyError, ValueError):
        raise ValueError(f"{name}={text} is no {kind}") from None
    return text
