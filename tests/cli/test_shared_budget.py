"""Commands on several hosts that are given one Redis share one budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.shared_budget.server import Server

from greenroom.cli._budget import _Notice

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Run = Callable[..., Ran]
    Create = Callable[..., list[str]]

LAUNCH = ("launch", "--launch-profile-id", "lp-1", "--every", "50ms")
WAIT = ("--until", "READY", "--timeout", "30s", "--every", "50ms")
PASSWORD = "planted-password"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def budgets(server: Server) -> set[str]:
    return {key.removeprefix("greenroom:budget:") for key in server.client.scan_iter()}


def test_a_wait_is_paid_for_by_the_shared_budget(
    studio: Start, create: Create, run: Run, server: Server
) -> None:
    ids = create(studio(), 2)
    ran = run("wait", "nimble-session", *ids, *WAIT, "--shared-budget", server.url)
    assert (ran.status, budgets(server)) == (0, {"greenroom"})
    assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] > 0


def test_a_launch_shares_one_budget_for_reads_and_one_for_creates(
    studio: Start, run: Run, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    studio()
    monkeypatch.setenv("GREENROOM_REDIS_URL", server.url)
    journal = ("--journal", str(tmp_path / "run.db"))
    assert run(*LAUNCH, "--count", "2", *journal, "--budget-key", "quota").status == 0
    assert budgets(server) == {"quota", "quota/creates"}


def test_a_resumed_launch_shares_the_same_budget_and_has_to_be_told_where(
    studio: Start, run: Run, server: Server, tmp_path: Path
) -> None:
    studio()
    journal = tmp_path / "run.db"
    url = server.url.replace("://", f"://:{PASSWORD}@")
    server.client.config_set("requirepass", PASSWORD)
    server.client.execute_command("AUTH", PASSWORD)
    shared = ("--shared-budget", url, "--budget-key", "quota")
    assert run(*LAUNCH, "--count", "2", "--journal", str(journal), *shared).status == 0
    assert PASSWORD.encode() not in journal.read_bytes()
    server.client.flushall()
    resume = ("launch", "--journal", str(journal), "--resume", "--retry-failed")
    ran = run(*resume)
    assert ran.status == 2
    assert "--budget-key quota needs --shared-budget URL" in ran.err
    assert run(*resume, "--shared-budget", url).status == 0


def test_a_redis_that_is_away_is_said_once_and_ends_nothing(
    studio: Start, create: Create, run: Run, server: Server
) -> None:
    ids = create(studio(), 2)
    server.kill()
    ran = run("wait", "nimble-session", *ids, *WAIT, "--shared-budget", server.url)
    assert ran.status == 0
    assert ran.err.count("the budget greenroom is out of reach, going on alone at 10 calls") == 1


def test_a_wrong_password_is_bad_usage_and_is_not_shown(
    studio: Start, create: Create, run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = create(studio())
    server.client.config_set("requirepass", "other")
    monkeypatch.setenv("GREENROOM_REDIS_URL", server.url.replace("://", f"://:{PASSWORD}@"))
    ran = run("wait", "nimble-session", *ids, *WAIT)
    assert ran.status == 2
    assert "AuthenticationError" in ran.err
    assert PASSWORD not in ran.err + ran.out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--shared-budget", f"http://:{PASSWORD}@h"), ("--shared-budget", "redis://")),
        (("--shared-budget", f"redis://:{PASSWORD}@h?x=1"), ("url='redis://h'",)),
        (("--shared-budget", "redis://h", "--rate", "auto"), ("--rate auto", "--rate 10")),
        (("--shared-budget", "redis://h", "--share", "0.5"), ("--share", "--rate 10")),
        (("--shared-budget", "redis://h", "--budget-key", ""), ("key=''",)),
        (("--budget-key", "quota"), ("--shared-budget", "GREENROOM_REDIS_URL")),
    ],
)
@pytest.mark.parametrize("command", ["get", "launch"])
def test_what_cannot_be_meant_is_bad_usage(
    studio: Start, run: Run, command: str, options: tuple[str, ...], named: tuple[str, ...]
) -> None:
    studio()
    asked = (*LAUNCH, "--count", "1", "--no-journal") if command == "launch" else ("get",)
    ids = () if command == "launch" else ("nimble-session", "s-1")
    ran = run(*asked, *ids, *options)
    assert ran.status == 2
    assert all(each in ran.err for each in named), ran.err
    assert PASSWORD not in ran.err


def test_each_change_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Limiter:
        key, trouble = "quota", None

        def statistics(self) -> SimpleNamespace:
            return SimpleNamespace(rate=2.5)

    limiter = Limiter()
    notice = _Notice(limiter)
    for limiter.trouble in (None, "gone", "gone", None, None, "gone again"):
        notice.give()
    assert capsys.readouterr().err.splitlines() == [
        "greenroom: the budget quota is out of reach, going on alone at 2.5 calls a second: gone",
        "greenroom: the budget quota is shared again",
        "greenroom: the budget quota is out of reach, going on alone at 2.5 calls a second: "
        "gone again",
    ]
