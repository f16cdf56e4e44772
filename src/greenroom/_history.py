"""What earlier runs have shown of how long sessions stay in their states, kept for the next run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._hazard import BINS, EDGES, Evidence, bin_of

WORTH = 30
"""Sessions that the history of one state is worth at most."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading something else than a history can raise."""

_NO_EVIDENCE: Mapping[str, Evidence] = {}


class History:
    """Departures and exposure by age, per kind of session and state.

    Args:
        kinds: For each kind, what is known of each of its states.
    """

    def __init__(self, kinds: Mapping[str, Mapping[str, Evidence]] | None = None) -> None:
        self._kinds = {
            kind: {state: Evidence(each.events, each.exposure) for state, each in states.items()}
            for kind, states in (kinds or {}).items()
        }

    def __repr__(self) -> str:
        known = (
            f"{kind}: {departures:g} departures"
            for kind, departures in ((kind, self.departures(kind)) for kind in self._kinds)
        )
        return f"<History of {', '.join(known) or 'nothing'}>"

    def __add__(self, other: History) -> History:
        """Return what both know."""
        if not isinstance(other, History):
            return NotImplemented
        nothing = Evidence()
        return History(
            {
                kind: {
                    state: self.of(kind).get(state, nothing) + other.of(kind).get(state, nothing)
                    for state in self.of(kind).keys() | other.of(kind).keys()
                }
                for kind in self._kinds.keys() | other._kinds.keys()
            }
        )

    def departures(self, kind: str) -> float:
        """Return how many departures from a state are known, over all states of a kind."""
        return sum(sum(each.events) for each in self.of(kind).values())

    def of(self, kind: str) -> Mapping[str, Evidence]:
        """Return what is known of each state of a kind."""
        return self._kinds.get(kind, _NO_EVIDENCE)

    def weak(self, kind: str) -> Mapping[str, Evidence]:
        """Return the same as evidence that counts as much as a few sessions do."""
        return {state: known.scaled(WORTH) for state, known in self.of(kind).items()}

    def add(self, kind: str, state: str, stays: Iterable[tuple[float, bool]]) -> None:
        """Take in how long sessions stood in a state.

        Args:
            kind: The kind of session.
            state: The state.
            stays: For each, seconds from entering it, and whether it was left then: if not, more is
                not known.

        Raises:
            ConfigurationError: They are no pairs, or a time is negative or not finite. Nothing was
                taken in.
        """
        try:
            pairs = [(seconds, left) for seconds, left in stays]
        except (TypeError, ValueError):
            raise ConfigurationError(f"stays={stays!r} must be pairs, as [(240.0, True)]") from None
        checked = [(_arguments.seconds("stays", seconds), left) for seconds, left in pairs]
        evidence = self._kinds.setdefault(kind, {}).setdefault(state, Evidence())
        for seconds, left in checked:
            evidence.stay(0.0, seconds)
            if left:
                evidence.leave(seconds)

    def to_json(self) -> str:
        """Return a JSON object: for each kind, state and bin [age, departures, seconds]."""
        kinds = {
            kind: {
                state: [
                    [round(age, 3), round(events, 3), round(exposure, 3)]
                    for age, events, exposure in zip(
                        EDGES, known.events, known.exposure, strict=True
                    )
                    if events or exposure
                ]
                for state, known in states.items()
            }
            for kind, states in self._kinds.items()
        }
        return json.dumps({"greenroom_history": 1, "kinds": kinds})

    @classmethod
    def from_json(cls, text: str | bytes) -> History:
        """Return the history that `to_json` wrote.

        Raises:
            ConfigurationError: It is no such thing.
        """
        if not isinstance(text, str | bytes):
            raise ConfigurationError(
                f"this is no history: text={text!r} is of {type(text).__name__}, and not text, as "
                "History.to_json() returns it"
            )
        try:
            told = json.loads(text)
            if not isinstance(told, dict) or "greenroom_history" not in told:
                raise ValueError("it is JSON, but of something else")
            if told["greenroom_history"] != 1:
                raise ValueError(f"version {told['greenroom_history']!r} is not known here")
            kinds = {
                str(kind): {str(state): _evidence(rows) for state, rows in states.items()}
                for kind, states in told["kinds"].items()
            }
        except UnicodeDecodeError:
            raise ConfigurationError("this is no history: it is no text") from None
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"this is no history: it is no JSON: {error}") from error
        except _UNREADABLE as error:
            raise ConfigurationError(
                f"this is no history as History.to_json writes it: {error}"
            ) from error
        return cls(kinds)


def _evidence(rows: Any) -> Evidence:
    events, exposure = [0.0] * BINS, [0.0] * BINS
    for age, departures, seconds in rows:
        for value in (age, departures, seconds):
            if not isinstance(value, (int, float)) or not 0 <= value <= _arguments.MOST:
                raise ValueError(f"{value!r} is no age, number or time")
        place = bin_of(age + 1e-3)
        events[place] += departures
        exposure[place] += seconds
    return Evidence(events, exposure)
