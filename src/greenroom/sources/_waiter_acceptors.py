"""What an answer means for a botocore waiter: its acceptors, compiled, and asked in order.

A waiter's model is a list of acceptors. Each says what an answer has to show, and which outcome
that is: success, failure, or retry. The first that matches decides. Five kinds of matcher:

=========  =====================================================================================
path       a JMESPath expression over the answer equals the expected value
pathAll    it is a list, not empty, and every member equals it
pathAny    it is a list, and at least one member equals it
status     the HTTP status is the expected one, whether that of an answer or of an error
error      the error has the expected code; or there is any error (true), or none (false)
=========  =====================================================================================

Where none matches, an answer means *retry*, and an error nothing: it goes on as an error. Paths are
not looked for in errors. All of this is as botocore has it, which a test holds against botocore.

Pure: it takes the answer as a dictionary, in which an error is the member `Error`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath

from greenroom._errors import ConfigurationError

SUCCESS = "success"
FAILURE = "failure"
RETRY = "retry"

PATHS = ("path", "pathAll", "pathAny")


@dataclass(frozen=True, slots=True)
class Acceptor:
    """One line of a waiter's model.

    Attributes:
        state: The outcome that it decides: `success`, `failure` or `retry`.
        matcher: How it looks at an answer.
        expected: What it has to find there.
        argument: The JMESPath expression of a path matcher, else empty.
    """

    state: str
    matcher: str
    expected: Any
    argument: str = ""
    expression: Any = field(default=None, repr=False, compare=False)

    def matches(self, answer: Mapping[str, Any]) -> bool:
        """Return whether the answer shows what this acceptor expects.

        Raises:
            jmespath.exceptions.JMESPathError: The expression cannot be applied to this answer.
        """
        if self.matcher == "status":
            return bool(_status(answer) == self.expected)
        if self.matcher == "error":
            if self.expected is True:
                return is_error(answer)
            if self.expected is False:
                return "Error" not in answer
            return bool(_error(answer).get("Code", "") == self.expected)
        if is_error(answer):
            return False
        found = self.expression.search(answer)
        if self.matcher == "path":
            return bool(found == self.expected)
        if not isinstance(found, list) or not found:
            return False
        every = all if self.matcher == "pathAll" else any
        return every(member == self.expected for member in found)

    @property
    def is_of_the_call(self) -> bool:
        """Whether it is about how the call went, and not about what the answer shows."""
        return self.matcher not in PATHS

    @property
    def names_a_code(self) -> bool:
        """Whether it expects one error code and no other."""
        return self.matcher == "error" and not isinstance(self.expected, bool)

    def value(self, answer: Mapping[str, Any]) -> str | None:
        """Return the plain value by which it decided, where there is one."""
        if self.matcher == "status":
            return str(_status(answer))
        if self.matcher == "error":
            return None if self.expected is False else str(_error(answer).get("Code", ""))
        return _plain(self.expected)

    def explain(self, answer: Mapping[str, Any]) -> str:
        """Return in a sentence why it matched."""
        expected, path = self.expected, self.argument
        if self.matcher == "status":
            return f"the answer has the HTTP status {expected}"
        if self.matcher == "error":
            if expected is False:
                return "the service answers without an error"
            details = _error(answer)
            code, message = details.get("Code", ""), details.get("Message")
            return f"the service answers {code}: {message}" if message else f"it answers {code}"
        if isinstance(expected, bool):
            return f"`{path}` {'holds' if expected else 'does not hold'}"
        quantity = {"pathAll": "every ", "pathAny": "at least one "}.get(self.matcher, "")
        return f"{quantity}{path} is {expected}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an answer means.

    Attributes:
        state: `success`, `failure` or `retry`; None where it is an error that no acceptor expects.
        acceptor: The acceptor that decided, or None if none matched.
        reason: The plain value that decided; else what the first path shows, if that is plain.
        message: Why, in a sentence.
    """

    state: str | None
    acceptor: Acceptor | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptors:
    """A waiter's acceptors, in the order of the model."""

    all: tuple[Acceptor, ...]

    @property
    def states(self) -> frozenset[str]:
        """The outcomes that they can decide, and `retry`."""
        return frozenset({RETRY, *(acceptor.state for acceptor in self.all)})

    @property
    def expressions(self) -> tuple[Any, ...]:
        """The syntax trees of their JMESPath expressions."""
        return tuple(each.expression.parsed for each in self.all if each.matcher in PATHS)

    def judge(self, answer: Mapping[str, Any]) -> Judgement:
        """Return what an answer means.

        Args:
            answer: The answer as botocore parses it; that of an error has a member `Error`.

        Raises:
            jmespath.exceptions.JMESPathError: An expression cannot be applied to this answer, as
                the length of a list that is not there.
        """
        for acceptor in self.all:
            if acceptor.matches(answer):
                reason = acceptor.value(answer)
                if reason is None and acceptor.state == RETRY:
                    reason = self._shown(answer)
                return Judgement(acceptor.state, acceptor, reason, acceptor.explain(answer))
        if is_error(answer):
            return Judgement(None)
        shown = self._shown(answer)
        message = None if shown is None else f"{self._first_path} is {shown}, which decides nothing"
        return Judgement(RETRY, None, shown, message)

    @property
    def _first_path(self) -> str:
        return next((each.argument for each in self.all if each.matcher in PATHS), "")

    def _shown(self, answer: Mapping[str, Any]) -> str | None:
        """Return what the first path shows, if it is one plain value, or a list of one."""
        first = next((each for each in self.all if each.matcher in PATHS), None)
        if first is None or is_error(answer):
            return None
        found = first.expression.search(answer)
        if isinstance(found, list):
            if not found or any(member != found[0] for member in found):
                return None
            found = found[0]
        return _plain(found)


def compile_acceptors(model: Iterable[Mapping[str, Any]], what: str = "waiter") -> Acceptors:
    """Return the acceptors of a waiter's model.

    Args:
        model: Its `acceptors`.
        what: What an error calls the waiter.

    Raises:
        ConfigurationError: There is a matcher or an outcome that is none, or a path that cannot be
            read.
    """
    return Acceptors(tuple(_acceptor(line, what) for line in model))


def is_error(answer: Mapping[str, Any]) -> bool:
    """Return whether an answer is an error, by botocore's rule: it has one, with a code."""
    return "Code" in _error(answer)


def _acceptor(line: Mapping[str, Any], what: str) -> Acceptor:
    try:
        state, matcher, expected = line["state"], line["matcher"], line["expected"]
        argument = line["argument"] if matcher in PATHS else ""
        expression = jmespath.compile(argument) if matcher in PATHS else None
    except (KeyError, jmespath.exceptions.JMESPathError) as error:
        raise ConfigurationError(
            f"{what}: cannot read the acceptor {dict(line)}: {error}"
        ) from error
    if state not in (SUCCESS, FAILURE, RETRY):
        raise ConfigurationError(f"{what}: {state!r} is no outcome: success, failure or retry")
    if matcher not in (*PATHS, "status", "error"):
        raise ConfigurationError(
            f"{what}: {matcher!r} is no matcher: {', '.join(PATHS)}, status or error"
        )
    return Acceptor(state, matcher, expected, argument, expression)


def _error(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    error = answer.get("Error")
    return error if isinstance(error, dict) else {}


def _status(answer: Mapping[str, Any]) -> Any:
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _plain(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        return None
    return str(value)
