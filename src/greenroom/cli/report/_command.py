"""`greenroom report`: what happened in a launch, read from its journal."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from greenroom import _private
from greenroom._launch._figures import figures
from greenroom._launch._journal import read_journal
from greenroom.cli import _status
from greenroom.cli._help import AsWritten
from greenroom.cli._printing import escaped
from greenroom.cli.report._text import as_text


@click.command("report", cls=AsWritten)
@click.argument("journal", metavar="JOURNAL")
@click.option("--html", metavar="FILE", help="Write one self-contained page to FILE instead.")
def report_command(journal: str, html: str | None) -> int:
    """Tell what happened in a launch: who is ready, what failed and why, and what it took.

    JOURNAL is the file that `greenroom launch --journal` wrote. It is only read, so that a launch
    may be looked at while it runs. The page needs no network, no server and no other file; it has
    the course of every workstation. The exit status is 0 when the report was made, whatever it
    says, and 2 where the journal cannot be read or FILE cannot be written.

    Examples:
      greenroom report run.db
      greenroom report run.db --html run.html
    """
    header, account = read_journal(journal)
    found = figures(header, account)
    if html is None:
        click.echo(as_text(found, journal))
        return _status.OK
    from greenroom.cli.report._page import as_html

    target = Path(html)
    if target.exists() and target.samefile(journal):
        raise click.UsageError(f"--html {html} is the journal itself; name another file")
    page = as_html(found, journal)
    try:
        _write(target, page)
    except OSError as error:
        raise click.UsageError(f"cannot write {html}: {error.strerror}") from None
    except ValueError as error:  # of a path that no file can have
        raise click.UsageError(f"cannot write {html}: {error}; name a file") from None
    click.echo(f"greenroom: the report is in {escaped(html)}", err=True)
    return _status.OK


def _write(target: Path, page: str) -> None:
    """Write the page under another name first: whoever opens it finds all of it."""
    if target.exists() and not target.is_file():  # a device or a pipe, which has to stay one
        target.write_text(page, encoding="utf-8")
        return
    target = _private.resolved(target)
    descriptor, name = tempfile.mkstemp("-new", "greenroom-", target.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _private.restrict(descriptor)
            file.write(page)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
