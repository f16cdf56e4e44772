"""The kinds that there are, to read or as JSON."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from greenroom.cli._kinds import Kind

WIDTH = 96

WAITERS = """aws:SERVICE:WAITER  PARAMETER=VALUE[,PARAMETER=VALUE]...
    any waiter of botocore, such as aws:rds:db_instance_available; its states are retry, success
    and failure; `greenroom kinds aws:rds` lists those of a service"""


def as_text(kinds: Iterable[Kind]) -> Iterator[str]:
    """Return the lines that tell people of the kinds."""
    for kind in kinds:
        many = f"{kind.max_batch} in a call" if kind.max_batch > 1 else "one a call"
        yield f"{kind.name}  {kind.id_form}"
        yield f"    reads    {many}, by {' and '.join(kind.permissions)}"
        for name, states in (("states", kind.table.states), ("goals", kind.table.goals)):
            lines = wrap(", ".join(states), WIDTH - 13, break_on_hyphens=False)
            yield f"    {name:<8} {lines[0]}"
            yield from (f"{'':<13}{line}" for line in lines[1:])


def as_json(kind: Kind) -> str:
    """Return a kind as one JSON object."""
    return json.dumps(
        {
            "kind": kind.name,
            "id": kind.id_form,
            "states": kind.table.states,
            "goals": kind.table.goals,
            "batch": kind.max_batch,
            "permissions": kind.permissions,
        }
    )
