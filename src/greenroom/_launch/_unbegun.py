"""The workstations that wait to begin: in their order, and those that are alike at hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom._launch._lines import Line


class Unbegun:
    """Lines that nothing was asked for yet.

    Args:
        lines: All of them, in their order.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = {line.spec.key: line for line in lines}
        self._alike: dict[str, dict[str, Line]] = {}
        for key, line in self._lines.items():
            self._alike.setdefault(line.spec.likeness(), {})[key] = line

    def __len__(self) -> int:
        return len(self._lines)

    def take(self) -> Line:
        """Return the first, which is then no longer here."""
        return self._taken(next(iter(self._lines.values())))

    def has_like(self, line: Line) -> bool:
        """Return whether there is one like it but for the key."""
        return bool(self._alike.get(line.spec.likeness()))

    def take_like(self, line: Line) -> Line:
        """Return the first of those that are like it, which is then no longer here."""
        return self._taken(next(iter(self._alike[line.spec.likeness()].values())))

    def _taken(self, line: Line) -> Line:
        del self._lines[line.spec.key]
        del self._alike[line.spec.likeness()][line.spec.key]
        return line
