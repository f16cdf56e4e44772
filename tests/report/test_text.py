from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from greenroom._launch import _events as events
from greenroom._launch._figures import figures
from greenroom._launch._journal import Journal
from greenroom._states import Verdict
from greenroom.cli import main
from greenroom.cli.report._text import LISTED, as_text

if TYPE_CHECKING:
    from collections.abc import Callable


def text_of(launch: Any) -> str:
    return as_text(figures(launch.header, launch.account()), "run.db")


def test_the_report_of_a_journal(
    journal: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(count=300)
    assert main(["report", str(path)]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    assert printed.out.startswith("Launch launch-1 in studio us-west-2-abc, of 2024-03-01T09:30:00")
    assert "\n  finished after 10 min " in printed.out
    assert "291 succeeded, 9 failed of 300" in printed.out
    assert "time to ready  median 4 min 01 s, 90 % within 6 min 11 s" in printed.out
    assert "352 made, 38 deleted or gone, 23 not ready may still be billed" in printed.out
    assert "Mend the initialization scripts of the launch profile's components." in printed.out
    assert "INSUFFICIENT_CAPACITY    43 attempts of 37 workstations" in printed.out
    assert "ws-041  failed  ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR  CREATE_FAILED" in printed.out
    assert "--resume" not in printed.out
    assert "stream.example" not in printed.out


def test_every_line_is_short_of_trailing_blanks(imagine: Callable[..., Any]) -> None:
    assert all(line == line.rstrip() for line in text_of(imagine()).splitlines())


def test_a_killed_launch_says_how_to_go_on(imagine: Callable[..., Any]) -> None:
    told = text_of(imagine(count=120, break_at=200, ends=False))
    assert "still running, or killed: the latest that it wrote is of 2024-03-01T09:33:" in told
    assert "104 still open of 120" in told
    assert "104 workstations can be taken up again, if no process is at it any more:" in told
    assert told.endswith("\n  greenroom launch --journal run.db --resume")


def test_an_interrupted_launch_has_advice_of_its_own(imagine: Callable[..., Any]) -> None:
    told = text_of(imagine(count=120, break_at=150))
    assert "\n  interrupted after 2 min 30 s" in told
    assert "INTERRUPTED: 117 workstations" in told
    assert "The launch was interrupted before they were ready. Resume it." in told
    assert "and 97 more\n" in told


def test_long_lists_say_where_the_rest_is(imagine: Callable[..., Any]) -> None:
    told = text_of(imagine(count=200, break_at=60))
    assert told.count("  not settled  ") == LISTED
    assert "more: `greenroom report run.db --html FILE` lists all of them" in told


def test_a_launch_that_never_began(
    imagine: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = imagine(count=3)
    Journal.create(tmp_path / "my run.db", launch.header, launch.specs).close()
    assert main(["report", str(tmp_path / "my run.db")]) == 0
    told = capsys.readouterr().out
    assert "written down, and never begun" in told
    assert "3 still open of 3" in told
    assert f"greenroom launch --journal '{tmp_path / 'my run.db'}' --resume" in told


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        (None, "greenroom does not know this cause: read the message."),
        ("do\x1b]8;;https://evil.example\x07 this", "do ]8;;https://evil.example  this"),
    ],
)
def test_notices_and_hostile_texts(
    imagine: Callable[..., Any], advice: str | None, said: str
) -> None:
    launch = imagine(count=3)
    account = launch.account()
    at = account.last_at
    key = next(iter(account.lines))
    account.take(events.LaunchBegan(at=at, resumed=True))
    account.take(events.CreatesHeld(at=at, cause="CANARY", message="the first\x1b[2J ones"))
    account.take(events.CreatesStopped(at=at, cause="JOURNAL", message="the disk is full"))
    account.take(events.CreateIntended(at=at, key=key, attempt=2, token="t", choice={}))
    account.take(
        events.Settled(
            at=at,
            key=key,
            verdict=Verdict.ERROR,
            id=None,
            state="\x1b[31mRED",
            reason=None,
            message="two\nlines \ud800 \u202e",
            elapsed=1.0,
            reads=1,
            cause="NEW\tCAUSE",
            advice=advice,
        )
    )
    told = as_text(figures(launch.header, account), "run\n.db")
    assert all(line.isprintable() for line in told.splitlines())
    assert "Creating was stopped: the disk is full." in told
    assert "Creating is held: the first [2J ones." in told
    assert "1 create never got an answer" in told
    assert said in told
    assert "two lines" in told


def test_a_journal_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nothing.db")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--help"]) == 0
    assert "\n    greenroom report run.db --html run.html" in capsys.readouterr().out
