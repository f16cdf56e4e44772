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


def next_step(rows: Sequence[str], choices: Sequence[Choice], remedies: Remedies) -> Step:
    """Return what to do next for a workstation.

    Args:
        rows: The causes, or the rows they fall under, by which its attempts came to nothing, in
            their order; at least one.
        choices: What it may have, the most wanted first; at least one.
        remedies: The rows.
    """
    latest = remedies.of(rows[-1])
    alike = sum(remedies.of(each) is latest for each in rows)
    shortages = sum(remedies.of(each).action is Action.NEXT_CHOICE for each in rows)
    following = choices[shortages % len(choices)]
    match latest.action:
        case Action.NEXT_CHOICE if latest.rounds and alike >= latest.rounds * len(choices):
            return GiveUp()
        case Action.NEXT_CHOICE:
            rounds, rest = divmod(shortages, len(choices))
            return Again(following, pause=0 if rest else rounds)
        case Action.HOLD:
            return Again(following, hold=True)
        case Action.REPEAT:
            return Again(following, pause=alike)
        case Action.AGAIN if alike < latest.attempts:
            return Again(following, pause=alike if latest.pause else 0)
        case _:
            return GiveUp(stop=latest.action is Action.STOP)
