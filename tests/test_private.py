"""What greenroom writes is for its owner alone, and no planted link leads it anywhere else."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

import greenroom
from greenroom import JournalError, Spec
from greenroom._launch import _events as events
from greenroom._launch._journal import Journal
from greenroom._launch._journal_tables import Header
from greenroom.cli import main
from greenroom.cli.launch._run import url_file

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = Header("launch-1", NOW)
SPECS = (Spec(key="a", launch_profile_id="lp"),)
STREAM = events.StreamReady(
    at=NOW, key="a", id="s-1", stream=events.StreamAccess("t-1", None, "https://x.invalid/")
)

WRITERS = {
    "_launch/_journal_file.py": {"sqlite3.connect", "os.open"},  # the latter of a folder, to sync
    "_private.py": {"os.open"},
    "cli/_main.py": {"os.open"},  # the null device
    "cli/_stderr.py": {"os.open"},  # likewise
    "cli/launch/_run.py": {"os.open"},
    "cli/report/_command.py": {"mkstemp", "fdopen", "write_text"},  # the last into a device
}
"""Every place that can make a file. What is added here needs a test of its mode below."""

MAKERS = {"open", "write_text", "write_bytes", "touch", "mkdir", "mkstemp", "mkdtemp", "fdopen"}


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a file, or a link, somebody else's; who is not root can only be somebody else."""

    def give_away(file: Path) -> None:
        if os.geteuid() == 0:
            os.lchown(file, 65534, 65534)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 65534)

    return give_away


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def write_urls(file: Path, *, append: bool) -> None:
    with url_file(file, append=append) as write:
        write(STREAM)


@pytest.mark.usefixtures("_umask")
def test_a_journal_and_all_that_lies_beside_it_are_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "run.db"
    for make in (lambda: Journal.create(file, HEADER, SPECS), lambda: Journal.resume(file)):
        journal = make()
        journal.append([events.LaunchBegan(at=NOW, resumed=False)])
        names = {each.name: mode(each) for each in tmp_path.iterdir()}
        assert set(names.values()) == {0o600}
        assert names.keys() >= {f"run.db{suffix}" for suffix in ("", "-lock", "-shm", "-wal")}
        journal.close()
        assert {each.name: mode(each) for each in tmp_path.iterdir()} == {"run.db": 0o600}


@pytest.mark.usefixtures("_umask")
def test_a_page_and_the_urls_of_streams_are_for_the_owner_alone(tmp_path: Path) -> None:
    journal, page, urls = (tmp_path / name for name in ("run.db", "run.html", "urls.jsonl"))
    Journal.create(journal, HEADER, SPECS).close()
    page.write_text("an old one")
    page.chmod(0o644)
    assert main(["report", str(journal), "--html", str(page)]) == 0
    write_urls(urls, append=False)
    urls.chmod(0o644)
    write_urls(urls, append=True)
    assert {each.name: mode(each) for each in tmp_path.iterdir()} == {
        "run.db": 0o600,
        "run.html": 0o600,
        "urls.jsonl": 0o600,
    }


@pytest.mark.parametrize("suffix", ["-lock", "-new", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("there", [True, False], ids=["to-a-file", "to-nothing"])
def test_a_link_planted_beside_a_journal_is_not_followed(
    tmp_path: Path, suffix: str, there: bool
) -> None:
    file, target = tmp_path / "run.db", tmp_path / "precious"
    if there:
        target.write_text("precious")
    Path(f"{file}{suffix}").symlink_to(target)
    with suppress(JournalError):  # or it is taken away
        Journal.create(file, HEADER, SPECS).close()
    assert target.exists() is there
    if there:
        assert target.read_text() == "precious"


def test_a_journal_is_not_written_where_a_foreign_link_leads(
    tmp_path: Path, foreign: Callable[[Path], None]
) -> None:
    link, target = tmp_path / "run.db", tmp_path / "elsewhere.db"
    link.symlink_to(target)
    Journal.create(link, HEADER, SPECS).close()
    assert target.exists()
    foreign(link)
    for use in (
        lambda: Journal.create(link, HEADER, SPECS),
        lambda: Journal.resume(link),
    ):
        with pytest.raises(JournalError, match="a link that another user has put there"):
            use()
    assert list(greenroom.read_report(link)) == ["a"]  # which writes nothing


def test_links_that_lead_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "run.db"
    link.symlink_to(link)
    with pytest.raises(JournalError, match="cannot be"):
        Journal.create(link, HEADER, SPECS)


def test_a_page_is_not_written_where_a_foreign_link_leads(
    tmp_path: Path, foreign: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    journal, link, target = (tmp_path / name for name in ("run.db", "run.html", "precious"))
    Journal.create(journal, HEADER, SPECS).close()
    target.write_text("precious")
    link.symlink_to(target)
    for draft in ("run.html-new", "greenroom-new"):
        (tmp_path / draft).symlink_to(target)
    foreign(link)
    assert main(["report", str(journal), "--html", str(link)]) == 2
    assert "a link that another user has put there" in capsys.readouterr().err
    link.unlink()
    assert main(["report", str(journal), "--html", str(link)]) == 0
    assert target.read_text() == "precious"


def test_urls_are_not_written_into_what_is_somebody_elses(
    tmp_path: Path, foreign: Callable[[Path], None]
) -> None:
    urls, target = tmp_path / "urls.jsonl", tmp_path / "theirs"
    target.touch()
    urls.symlink_to(target)
    foreign(urls)
    for append in (True, False):
        with pytest.raises(click.UsageError, match="cannot write"):
            write_urls(urls, append=append)
    urls.unlink()
    urls.touch()
    foreign(urls)
    with pytest.raises(click.UsageError, match="belongs to another user"):
        write_urls(urls, append=True)
    assert target.read_text() == urls.read_text() == ""


def test_no_other_place_makes_files() -> None:
    root = Path(greenroom.__file__).parent
    found: dict[str, set[str]] = {}
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and (made := _makes_a_file(node)):
                found.setdefault(file.relative_to(root).as_posix(), set()).add(made)
    assert found == WRITERS


def _makes_a_file(call: ast.Call) -> str | None:
    """Return the name of what is called, where that can make a file."""
    match call.func:
        case ast.Name(id="open"):
            return "open"
        case ast.Attribute(value=ast.Name(id="os"), attr="open"):
            return "os.open"
        case ast.Attribute(value=ast.Name(id="sqlite3"), attr="connect"):
            return "sqlite3.connect"
        case ast.Attribute(attr="open"):
            given = (*call.args, *(each.value for each in call.keywords if each.arg == "mode"))
            literal = [each.value for each in given if isinstance(each, ast.Constant)]
            return "open" if any(set(str(each)) & set("wax+") for each in literal) else None
        case ast.Attribute(attr=attr) if attr in MAKERS:
            return attr
    return None
