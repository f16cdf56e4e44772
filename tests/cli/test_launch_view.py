"""What is shown while a launch goes on: the live view and the notices, without a launch."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from greenroom import PollerStatistics, Spec, Verdict
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._site import Cost
from greenroom._specs import count_specs
from greenroom.cli.launch._screen import Glance, LaunchNotices
from greenroom.cli.launch._view import LaunchView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUIET = PollerStatistics(
    calls=0,
    throttled=0,
    failed=0,
    reads=0,
    reads_per_call=0.0,
    transitions=0,
    stale=0,
    sessions=0,
    waiting=0,
    in_flight=0,
    outcomes={},
    callback_errors=0,
    lag=0.0,
    last_error=None,
)
HELD = "creates are held (ServiceQuotaExceededException): no\x1b[2J room"


def _intended(key: str) -> events.CreateIntended:
    return events.CreateIntended(at=NOON, key=key, attempt=1, token="t", choice={})


def _settled(key: str, verdict: Verdict, cause: str | None) -> events.Settled:
    return events.Settled(
        at=NOON + timedelta(seconds=60),
        key=key,
        verdict=verdict,
        id=f"s-{key}",
        state=None,
        reason=cause,
        message=None,
        elapsed=60.0,
        reads=1,
        cause=cause,
    )


@pytest.fixture
def account() -> Account:
    """Six workstations, one in each place where one can be."""
    account = Account("launch", count_specs(6, {"launch_profile_id": "lp"}, Spec))
    for key in "12345":
        account.take(_intended(key))
    for key in "2345":
        account.take(events.Created(at=NOON, key=key, attempt=1, id=f"s-{key}"))
    account.take(events.StreamIntended(at=NOON, key="3", id="s-3", token="t"))
    account.take(_settled("4", Verdict.SUCCESS, None))
    account.take(_settled("5", Verdict.FAILURE, "INITIALIZATION_SCRIPT_ERROR"))
    return account


def _glance(account: Account, now: float = 60.0) -> Glance:
    cost = Cost(calls=9, changes=5, throttled=1)
    return Glance(
        account=account, cost=cost, polled=QUIET, rate=2.5, elapsed=now, left=None, now=now
    )


def _drawn(account: Account, *told: tuple[str, bool]) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    with LaunchView("launching 6 workstations", 600.0, console=console) as view:
        for text, over in told:
            view.notice(text, over=over)
        view.tick(_glance(account))
    return out.getvalue()


def test_the_view_shows_where_everybody_is(account: Account) -> None:
    drawn = _drawn(account)
    for shown in ("1 planned", "1 creating", "1 waiting", "1 streaming", "1 ready", "1 failed"):
        assert shown in drawn
    assert "1 of 6 ready" in drawn
    assert "9 calls, 2.5/s: 4 to read, 5 to create, stream or delete   1 throttled" in drawn
    assert "INITIALIZATION_SCRIPT_ERROR" in drawn
    assert "Mend the initialization scripts" in drawn
    assert "deadline in 9 min 00 s" in drawn


def test_the_view_keeps_a_hold_in_sight_until_it_is_over(account: Account) -> None:
    held = (HELD, False)
    assert "creates are held (ServiceQuotaExceededException): no [2J room" in _drawn(account, held)
    assert "creates are held" not in _drawn(account, held, ("creates go on", True))


def test_notices_are_lines(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    notices = LaunchNotices(lines=True)
    with notices:
        notices.notice(HELD)
        notices.notice("creates go on", over=True)
        for now in (0.0, 5.0, 11.0):
            notices.tick(_glance(account, now))
    assert capsys.readouterr().err.splitlines() == [
        "greenroom: creates are held (ServiceQuotaExceededException): no [2J room",
        "greenroom: creates go on",
        "greenroom: 6 workstations after 11.0 s: 1 planned, 1 creating, 1 waiting, 1 streaming, "
        "1 ready, 1 failed; 9 calls",
    ]
