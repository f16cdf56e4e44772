"""A transition table to read or to draw: a grid of verdicts, JSON, Mermaid or Graphviz."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom._states import TransitionTable

WIDTH = 36
"""Characters in a line of a cell that lists states or actions."""

_SERVICE = "#1f2937"
_CALLER = "#6b7280"
_FAILURE = "#fca5a5"
_GOAL = "#86efac"


def as_text(table: TransitionTable) -> str:
    """Return the verdict of every state for every goal, as a grid, and what leads on from where."""
    rows = [("state", *(f"until {goal}" for goal in table.goals), "leads by itself to", "actions")]
    for state in table.states:
        verdicts = (table.verdict(state, goal).value for goal in table.goals)
        cells = (
            (state,),
            *((verdict,) for verdict in verdicts),
            _lines(table.moves[state]),
            _lines(table.actions.get(state, ())),
        )
        rows += zip_longest(*cells, fillvalue="")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join((table.kind, "", *lines))


def as_json(table: TransitionTable) -> str:
    """Return the verdicts as one JSON object."""
    goals = {
        goal: {state: table.verdict(state, goal).value for state in table.states}
        for goal in table.goals
    }
    return json.dumps({"kind": table.kind, "states": list(table.states), "goals": goals})


def as_mermaid(table: TransitionTable) -> str:
    """Return a Mermaid state diagram; a caller's action is labelled, the service's move is not.

    Mermaid's state diagrams have no dashed arrows, so the label has to tell them apart.
    """
    names = {state: state.replace("-", "_") for state in table.states}
    lines = ["stateDiagram-v2"]
    for state, name in names.items():
        if name != state:  # a hyphen would end the name
            lines.append(f'    state "{state}" as {name}')
    connected = {each for pair in _moves(table) for each in pair}
    connected |= {state for before, _, after in _actions(table) for state in (before, after)}
    lines += (f"    {names[state]}" for state in table.states if state not in connected)
    for before, after in _moves(table):
        lines.append(f"    {names[before]} --> {names[after]}")
    for before, action, after in _actions(table):
        lines.append(f"    {names[before]} --> {names[after]} : {action} (caller)")
    lines.append(f"    classDef goal fill:{_GOAL}")
    lines.append(f"    classDef failure fill:{_FAILURE}")
    lines.append(f"    class {','.join(names[goal] for goal in table.goals)} goal")
    if table.failures:
        failures = (names[state] for state in table.states if state in table.failures)
        lines.append(f"    class {','.join(failures)} failure")
    return "\n".join(lines)


def as_dot(table: TransitionTable) -> str:
    """Return a Graphviz digraph: the service's moves solid, a caller's actions dashed."""
    lines = [f'digraph "{table.kind}" {{', "    rankdir=LR;"]
    lines.append('    node [shape=box, style="rounded,filled", fillcolor=white];')
    for state in table.states:
        colour = _FAILURE if state in table.failures else _GOAL if state in table.goals else "white"
        lines.append(f'    "{state}" [fillcolor="{colour}"];')
    for before, after in _moves(table):
        lines.append(f'    "{before}" -> "{after}" [color="{_SERVICE}"];')
    for before, action, after in _actions(table):
        style = f'label="{action}", style=dashed, color="{_CALLER}", fontcolor="{_CALLER}"'
        lines.append(f'    "{before}" -> "{after}" [{style}];')
    return "\n".join((*lines, "}"))


FORMATS: Mapping[str, Callable[[TransitionTable], str]] = MappingProxyType(
    {"text": as_text, "json": as_json, "mermaid": as_mermaid, "dot": as_dot}
)


def _lines(words: Iterable[str]) -> Sequence[str]:
    return wrap(", ".join(words), WIDTH, break_on_hyphens=False) or ("-",)


def _moves(table: TransitionTable) -> Iterator[tuple[str, str]]:
    return ((before, after) for before, moves in table.moves.items() for after in moves)


def _actions(table: TransitionTable) -> Iterator[tuple[str, str, str]]:
    for before, actions in table.actions.items():
        for action, after in actions.items():
            yield before, action, after
