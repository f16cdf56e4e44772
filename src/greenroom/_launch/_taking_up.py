"""The journal that a launch goes on with: begun, or taken up where it is of the same launch."""

from __future__ import annotations

from pathlib import Path

from greenroom._errors import ConfigurationError, SpecError
from greenroom._launch._account import Account
from greenroom._launch._journal import Journal
from greenroom._launch._journal_file import journal_exists
from greenroom._launch._journal_tables import Header
from greenroom._specs import WorkstationSpec


def open_journal(
    path: Path, header: Header, specs: tuple[WorkstationSpec, ...] | None, *, resume: bool
) -> Journal:
    """Open the journal of a launch.

    Args:
        path: The file.
        header: What the launch is if it is begun; what it has to be if it is taken up, but for its
            id and its options.
        specs: Its workstations; None for whatever the journal has.
        resume: Whether one that is there is taken up.

    Raises:
        JournalError: The journal cannot be used.
        ConfigurationError, SpecError: It is another launch's.
    """
    if not resume or (specs is not None and not journal_exists(path)):
        return Journal.create(path, header, specs or ())
    journal = Journal.resume(path)
    try:
        _check_kind(journal, header.kind)
        _check_place(journal, header.place)
        _check_same(journal.account, specs)
    except BaseException:
        journal.close()
        raise
    return journal


def _check_kind(journal: Journal, kind: str) -> None:
    """Make sure that a launch is resumed with a source of its kind.

    Raises:
        ConfigurationError: It is not.
    """
    if journal.header.kind != kind:
        raise ConfigurationError(
            f"{journal.path} is a launch of {journal.header.kind}, and this is a source of {kind}"
        )


def _check_place(journal: Journal, place: str | None) -> None:
    """Make sure that a launch is resumed where its sessions are, as far as that is known.

    Elsewhere its client tokens name nothing, and what is there already would be made once more.

    Raises:
        ConfigurationError: It is not.
    """
    began = journal.header.place
    if began is not None and place is not None and place != began:
        raise ConfigurationError(
            f"{journal.path} is a launch in {began}, and this is a source of {place}: connect to "
            f"{began} to resume it, or begin another launch with a journal of its own"
        )


def _check_same(account: Account, specs: tuple[WorkstationSpec, ...] | None) -> None:
    """Make sure that a launch that is resumed is the one that is asked for.

    Raises:
        SpecError: It is not.
    """
    if specs is None:
        return
    before = {key: line.spec for key, line in account.lines.items()}
    problems = [
        f"{spec.key!r} is not what this journal's launch was begun with: leave the specs out to "
        "resume it, or begin a new launch with a journal of its own"
        for spec in specs
        if before.get(spec.key) != spec
    ]
    if not problems and len(specs) != len(before):
        problems = [f"the journal's launch has {len(before)} workstations, and not {len(specs)}"]
    if problems:
        raise SpecError(problems)
