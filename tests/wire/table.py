"""The README's table of what each fault does to each operation."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
HEADING = "## When the wire breaks"


def told() -> dict[str, dict[str, str]]:
    """Return what the README says: by row, by operation."""
    text = README.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    (_, *columns), _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {
        row: {
            operation: words
            for column, words in zip(columns, cells, strict=True)
            for operation in column.split(", ")
        }
        for row, *cells in rows
    }
