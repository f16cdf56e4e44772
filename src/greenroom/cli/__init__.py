"""The command line: `greenroom ...` in a shell, `main([...])` in a program.

A thin skin over the library: it reads arguments, prints what comes, and turns the outcome into an
exit status. This file only makes sure that what it needs is installed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_EXTRAS = {
    "click": ("command line", "cli"),
    "rich": ("command line", "cli"),
    "jinja2": ("report", "cli"),
    "aiohttp": ("simulator", "cli,simulator"),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        args: The arguments, without the program's name; those of the process if None.
    """
    try:
        from greenroom.cli import _main

        return _main.run(sys.argv[1:] if args is None else args)
    except KeyboardInterrupt:  # while importing; later ones are answered with a summary
        return 130
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        part, extra = _EXTRAS[error.name]
        sys.stderr.write(f"greenroom's {part} needs its extra: pip install 'greenroom[{extra}]'\n")
        return 2
