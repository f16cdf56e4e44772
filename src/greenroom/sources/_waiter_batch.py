"""Which waiters can ask about many things in one call, found in the service's model.

A batch is right if what each thing is judged by is the answer that it would have got alone. So the
answer to a call about many is cut down for each: to the members of the list that carry its id, and
everything else is the same. That needs three proofs from the model, and where one is missing, ids
are asked for one by one.

- The operation takes a list of texts, such as `InstanceIds`, and the answer has one list whose
  members carry what that list is made of: an `InstanceId`. Instances lie in reservations, so a list
  within the members of a list will do.
- Every path of the acceptors begins at that list, so that nothing else in the answer counts. A list
  of `failures` may, since what is listed has not failed.
- If the answer comes in pages, the model says by which token.

Pure: shapes are those of botocore's model, syntax trees are JMESPath's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST = 100
"""Ids in one call, where the model sets no limit."""

_LIMIT = re.compile(r"(?:up to|[Mm]aximum(?: of)?|no more than) (\d+)")
_SUFFIX = re.compile(r"(ids?|names?|arns?|identifiers?)\Z")

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """How many things are asked for in one call, and found in its answer.

    Attributes:
        parameters: The list parameters that can say what is asked for, each with the fields of a
            member in which its values are found.
        path: Where the members are: a list, or a list and one within its members.
        failures: Lists of what has failed, which say nothing about what is listed.
        limit: Most values in one call.
        token: The parameter and the member that name the next page; None if there is but one.
        singly: Parameters with which an answer may be a part of all there is.
    """

    parameters: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    failures: tuple[str, ...]
    limit: int
    token: tuple[str, str] | None
    singly: frozenset[str]

    @property
    def bare(self) -> str | None:
        """The parameter that a value without a name fills in, if only one can."""
        return next(iter(self.parameters)) if len(self.parameters) == 1 else None

    def asked(self, parameters: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return the list parameter and its one value, if these can share a call with others."""
        given = [name for name in self.parameters if name in parameters]
        if len(given) != 1 or self.singly & parameters.keys():
            return None
        values = parameters[given[0]]
        return (given[0], values[0]) if len(values) == 1 else None

    def is_answer(self, answer: Members) -> bool:
        """Return whether an answer has the list at all."""
        return isinstance(answer.get(self.path[0]), list)

    def joined(self, pages: list[Members]) -> Members:
        """Return the pages of an answer as one answer."""
        root = self.path[0]
        return {**pages[0], root: [member for page in pages for member in page[root]]}

    def parted(
        self, answer: Members, parameter: str, values: Collection[str]
    ) -> tuple[dict[str, Members], bool]:
        """Return the answer that each value would have got alone, if it is listed.

        Args:
            answer: The answer to a call about all of them.
            parameter: The list parameter by which they were asked for.
            values: What was asked for.

        Returns:
            The answers by value, and whether the answer lists anything that is none of them.
        """
        wanted = frozenset(values)
        parts: dict[str, list[Any]] = {}
        odd = False
        for outer, member in self._members(answer):
            names = self._names(member, parameter) & wanted
            odd = odd or not names
            for name in names:
                parts.setdefault(name, []).append((outer, member))
        return {name: self._with(answer, listed) for name, listed in parts.items()}, odd

    def without(self, answer: Members) -> Members:
        """Return the answer that what is not listed would have got alone."""
        return {**answer, self.path[0]: []}

    def _members(self, answer: Members) -> Iterator[tuple[Any, Any]]:
        for outer in answer[self.path[0]]:
            if len(self.path) == 1:
                yield outer, outer
            elif isinstance(outer, dict):
                for member in outer.get(self.path[1]) or ():
                    yield outer, member

    def _names(self, member: Any, parameter: str) -> frozenset[str]:
        """Return what a member may have been asked for as; an ARN also by its last part."""
        found = set()
        for field in self.parameters[parameter]:
            value = member.get(field) if isinstance(member, dict) else None
            if isinstance(value, str):
                found.add(value)
                if value.startswith("arn:"):
                    found.add(value.rpartition("/")[2])
        return frozenset(found)

    def _with(self, answer: Members, listed: list[tuple[Any, Any]]) -> Members:
        part = {**answer, **{name: [] for name in self.failures if name in answer}}
        if len(self.path) == 1:
            return {**part, self.path[0]: [member for _, member in listed]}
        nested: dict[int, dict[str, Any]] = {}
        for outer, member in listed:
            kept = nested.setdefault(id(outer), {**outer, self.path[1]: []})
            kept[self.path[1]].append(member)
        return {**part, self.path[0]: list(nested.values())}


def find_batch(
    operation: Any, trees: Collection[Any], pagination: Mapping[str, Any] | None
) -> Batch | None:
    """Return how a waiter's operation asks about many things, or None if that is not proven.

    Args:
        operation: The operation's model.
        trees: The syntax trees of the acceptors' paths.
        pagination: What the service's model says about the pages of the answer, if anything.
    """
    if operation.input_shape is None or operation.output_shape is None:
        return None
    inputs, outputs = operation.input_shape.members, operation.output_shape.members
    roots = [_roots(tree) for tree in trees]
    if any(root is None for root in roots):
        return None
    looked_at = frozenset[str]().union(*(root for root in roots if root))
    failures = tuple(
        name for name in looked_at if name.casefold() == "failures" and _is_table(outputs.get(name))
    )
    lists = looked_at.difference(failures) or frozenset(outputs) - set(failures)
    found = [where for name in lists if (where := _where(inputs, name, outputs.get(name)))]
    token, pages = _token(inputs, outputs, pagination)
    if len(found) != 1 or not pages or (looked_at and len(lists) != 1):
        return None
    path, parameters = found[0]
    return Batch(
        parameters=parameters,
        path=path,
        failures=failures,
        limit=min(_limit(inputs[name]) for name in parameters),
        token=token,
        singly=frozenset(
            name
            for key in ("input_token", "limit_key")
            if isinstance(name := (pagination or {}).get(key), str)
        ),
    )


def _roots(tree: Any) -> frozenset[str] | None:
    """Return the members of the answer that an expression looks at; None if it may be any."""
    children = tree["children"]
    match tree["type"]:
        case "field":
            return frozenset((tree["value"],))
        case "literal":
            return frozenset()
        case (
            "subexpression"
            | "index_expression"
            | "projection"
            | "value_projection"
            | "filter_projection"
            | "flatten"
            | "pipe"
        ):
            return _roots(children[0])
        case "comparator" | "and_expression" | "or_expression" | "not_expression":
            inner = [_roots(child) for child in children]
        case "function_expression":
            inner = [_roots(child) for child in children]
        case _:
            return None
    known = [root for root in inner if root is not None]
    return frozenset[str]().union(*known) if len(known) == len(inner) else None


def _is_table(shape: Any) -> bool:
    return shape is not None and shape.type_name == "list" and shape.member.type_name == "structure"


def _where(
    inputs: Members, name: str, shape: Any
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]] | None:
    """Return where below this list the members are, and the parameters that ask for them."""
    if not _is_table(shape):
        return None
    if parameters := _parameters(inputs, name, shape.member):
        return (name,), parameters
    within = [
        ((name, inner), parameters)
        for inner, member in shape.member.members.items()
        if _is_table(member) and (parameters := _parameters(inputs, inner, member.member))
    ]
    return within[0] if len(within) == 1 else None


def _parameters(inputs: Members, name: str, element: Any) -> dict[str, tuple[str, ...]]:
    """Return the list parameters whose values are found in the elements of a list, with where."""
    found = {
        parameter: fields
        for parameter, shape in inputs.items()
        if shape.type_name == "list"
        and _is_text(shape.member)
        and (fields := _fields(parameter, name, element))
    }
    noun = _one(name)
    after_it = {
        parameter: fields
        for parameter, fields in found.items()
        if noun.startswith(kind := _SUFFIX.sub("", _one(parameter))) or noun.endswith(kind)
    }
    return after_it or (found if len(found) == 1 else {})


def _fields(parameter: str, name: str, element: Any) -> tuple[str, ...]:
    """Return the fields of an element that hold what a list parameter is made of."""
    one, noun = _one(parameter), _one(name)
    if parameter.casefold() == name.casefold():
        likely = [one + "arn", one + "name", one + "id"]
    elif one in ("name", "id", "arn"):
        likely = [noun + one, one]
    else:
        likely = [one]
    texts = {field.casefold(): field for field, shape in element.members.items() if _is_text(shape)}
    fields = [texts[field] for field in likely if field in texts]
    return tuple(fields if parameter.casefold() == name.casefold() else fields[:1])


def _is_text(shape: Any) -> bool:
    return shape.type_name == "string" and not shape.enum


def _one(plural: str) -> str:
    return plural.casefold().removesuffix("s")


def _limit(shape: Any) -> int:
    """Return the most values that a list takes: what the model or its text says, or 100."""
    said = map(int, _LIMIT.findall(shape.documentation))
    return max(1, min(MOST, int(shape.metadata.get("max", MOST)), *said))


def _token(
    inputs: Members, outputs: Members, pagination: Mapping[str, Any] | None
) -> tuple[tuple[str, str] | None, bool]:
    """Return the parameter and the member that name the next page, and whether that is certain."""
    if pagination is None:
        return None, not any("token" in name.casefold() for name in outputs)
    asked, told = pagination.get("input_token"), pagination.get("output_token")
    if isinstance(asked, str) and isinstance(told, str) and asked in inputs and told in outputs:
        return (asked, told), True
    return None, False
