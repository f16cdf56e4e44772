"""What follows from a workstation's misfortunes: another session, of which choice, or none. Pure.

`next_step` sees what a workstation has been through, and decides without clock or chance: how long
a pause is, its caller draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroom._remedies import Action, Remedies
from greenroom._specs import Choice


@dataclass(frozen=True, slots=True)
class Again:
    """Make another session.

    Attributes:
        choice: Of this choice.
        pause: Which pause in a row comes before it, from 1; 0 for none.
        hold: Whether to hold all creates first.
    """

    choice: Choice
    pause: int = 0
    hold: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no more sessions for this workstation.

    Attributes:
        stop: Whether to create nothing for any other workstation either.
    """

    stop: bool = False


Step = Again | GiveUp


def next_step(
    tried: Sequence[tuple[str, Choice]], choices: Sequence[Choice], remedies: Remedies
) -> Step:
    """Return what to do next for a workstation.

    Args:
        tried: Its attempts that came to nothing, in their order; at least one: the cause of each,
            or the row that it falls under, and its choice.
        choices: What it may have, the most wanted first; at least one.
        remedies: The rows.
    """
    latest = remedies.of(tried[-1][0])
    alike = sum(remedies.of(row) is latest for row, _ in tried)
    shortages = sum(remedies.of(row).action is Action.NEXT_CHOICE for row, _ in tried)
    match latest.action:
        case Action.NEXT_CHOICE:
            spent = [choice for choice in choices if _is_spent(choice, tried, remedies)]
            here = _place(tried[-1][1], choices)
            around = [*range(here + 1, len(choices)), *range(here + 1)]
            left = [place for place in around if choices[place] not in spent]
            if not left:
                return GiveUp()
            rounds = max(1, shortages // (len(choices) - len(spent)))
            return Again(choices[left[0]], pause=0 if left[0] > here else rounds)
        case Action.HOLD:
            return Again(tried[-1][1], hold=True)
        case Action.REPEAT:
            return Again(tried[-1][1], pause=alike)
        case Action.AGAIN if alike < latest.attempts:
            return Again(tried[-1][1], pause=alike if latest.pause else 0)
        case _:
            return GiveUp(stop=latest.action is Action.STOP)


def _is_spent(choice: Choice, tried: Sequence[tuple[str, Choice]], remedies: Remedies) -> bool:
    """Return whether a choice was refused as often as a row lets it be."""
    rows = [remedies.of(row) for row, one in tried if one == choice]
    return any(row.rounds is not None and rows.count(row) >= row.rounds for row in rows)


def _place(choice: Choice, choices: Sequence[Choice]) -> int:
    """Return where a choice stands; before all of them if it is none of them."""
    return next((place for place, one in enumerate(choices) if one == choice), -1)
