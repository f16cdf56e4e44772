"""From arguments to an exit status: runs a command, and says in one line what went wrong.

An error that a user can cause never shows as a traceback; one that is a bug always does.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    GreenroomError,
    InvalidRequest,
    JournalError,
    SpecError,
    TableError,
)
from greenroom.cli._commands import greenroom
from greenroom.cli._printing import escaped
from greenroom.cli._status import BAD_USAGE, FAILED, INTERRUPTED, OUTPUT_CLOSED, REFUSED
from greenroom.cli._stderr import unfailing_stderr

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_PROBLEMS = 50
"""Problems of one list of specs that are printed, a line each."""

LONGEST = 2000
"""Characters of one message that are printed."""


def run(args: Sequence[str]) -> int:
    """Run the command that `args` name, and return its exit status."""
    with unfailing_stderr():
        return _run(args)


def _run(args: Sequence[str]) -> int:
    try:
        with greenroom.make_context("greenroom", list(args)) as context:
            return int(greenroom.invoke(context) or 0)
    except click.exceptions.Exit as asked:  # after --help and --version
        return asked.exit_code
    except BaseException as error:
        status = _explain(_cause(error))
        if status is None:
            raise
        return status


def _cause(error: BaseException) -> BaseException:
    """Return what a task group wrapped."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _explain(error: BaseException) -> int | None:
    """Say what went wrong and return the exit status for it, or None for a bug."""
    match error:
        case KeyboardInterrupt():
            click.echo("greenroom: interrupted", err=True)
            return INTERRUPTED
        case BrokenPipeError():
            # Nobody reads any more; the interpreter must not find that out again as it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OUTPUT_CLOSED
        case click.ClickException():
            return _complain(error.format_message(), BAD_USAGE)
        case SpecError():
            return _complain_of_all(error.problems)
        case ConfigurationError() | TableError() | JournalError():
            return _complain(str(error), BAD_USAGE)
        case AccessDenied() | InvalidRequest():
            return _complain(str(error), REFUSED)
        case GreenroomError():
            return _complain(str(error), FAILED)
        case OSError(filename=None, strerror=str(why)):  # a full disk behind it, say
            return _complain(f"standard output cannot be written: {why}", BAD_USAGE)
        case OSError():
            return _complain(str(error), BAD_USAGE)
    return None


def _complain(message: str, status: int) -> int:
    click.echo(f"greenroom: error: {_shown(' '.join(message.split()))}", err=True)
    return status


def _complain_of_all(problems: Sequence[str]) -> int:
    for problem in problems[:MOST_PROBLEMS]:
        click.echo(f"greenroom: error: {_shown(problem)}", err=True)
    if len(problems) > MOST_PROBLEMS:
        click.echo(f"greenroom: error: and {len(problems) - MOST_PROBLEMS} more", err=True)
    return BAD_USAGE


def _shown(message: str) -> str:
    """Return a message fit for a terminal; one that is too long loses its middle."""
    text = escaped(message)
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
