"""The figures, the notices and the picture, without a poller."""

from __future__ import annotations

import io
import signal
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest
from rich.console import Console

from greenroom import (
    PollerStatistics,
    RateLimiter,
    Shortfall,
    Transition,
    Verdict,
    WaitResult,
)
from greenroom.cli._interrupt import interruptible
from greenroom.cli._live import LiveView
from greenroom.cli._outage import QUIET, Outage
from greenroom.cli._printing import printable, span, timestamp
from greenroom.cli._progress import Progress

FINE = PollerStatistics(
    calls=4,
    throttled=0,
    failed=0,
    reads=40,
    reads_per_call=10.0,
    transitions=0,
    stale=0,
    sessions=4,
    waiting=4,
    in_flight=0,
    outcomes={},
    callback_errors=0,
    lag=0.0,
    last_error=None,
)
DOWN = replace(FINE, calls=5, failed=1, last_error="nobody there")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _change(session_id: str, state: str) -> Transition:
    return Transition(session_id, None, state, NOON, 0.0)


def _ready(session_id: str) -> WaitResult:
    return WaitResult(session_id, Verdict.SUCCESS, "READY", None, None, 1.0, 1)


def test_progress_counts_states_and_finds_the_slowest() -> None:
    progress = Progress(3, now=0.0)
    progress.begin(["a"], now=0.0)
    progress.begin(["b", "c"], now=10.0)
    progress.transition(_change("a", "CREATE_IN_PROGRESS"))
    progress.transition(_change("b", "READY"))
    progress.outcome(_ready("b"), now=12.0)
    assert dict(progress.states()) == {"CREATE_IN_PROGRESS": 1, "not seen yet": 1, "READY": 1}
    assert [(each.id, each.waited) for each in progress.slowest(5, now=20.0)] == [
        ("a", 20.0),
        ("c", 10.0),
    ]
    assert progress.line(FINE, now=20.0).startswith("1 of 3 settled after 20.0 s: ")


def test_the_time_left_is_unknown_until_enough_have_settled() -> None:
    progress = Progress(10, now=0.0)
    ids = [str(number) for number in range(10)]
    progress.begin(ids, now=0.0)
    for moment, session_id in enumerate(ids[:5], start=6):
        assert progress.pace.left(progress.total - progress.settled, float(moment)) is None
        progress.outcome(_ready(session_id), float(moment))
    assert progress.pace.left(progress.total - progress.settled, 12.0) == pytest.approx(5 * 3.0 / 2)
    assert progress.pace.left(progress.total - progress.settled, 100.0) is None


def test_a_demo_shows_simulated_time() -> None:
    progress = Progress(1, now=0.0, speed=60.0)
    progress.begin(["a"], now=0.0)
    assert progress.elapsed(1.0) == 60.0
    assert progress.slowest(1, now=1.0)[0].waited == 60.0
    assert progress.pace.call_rate(0, now=0.0) == 0.0
    assert progress.pace.call_rate(60, now=1.0) == 1.0


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    outage = Outage()
    assert outage.news(FINE, 0.0) is None
    assert outage.news(DOWN, 1.0) == "no answer, trying on: nobody there"
    assert outage.since() == 1.0
    assert outage.news(DOWN, 2.0) is None
    assert outage.news(replace(DOWN, last_error=None), 4.5) == (
        "the service answers again, after 3.5 s"
    )
    again = replace(DOWN, failed=2)
    assert outage.news(again, 5.0) is None
    assert outage.news(again, 4.5 + QUIET) is not None


def test_throttling_is_no_outage() -> None:
    assert Outage().news(replace(DOWN, throttled=1), 1.0) is None


def test_the_live_view_shows_what_matters_and_nothing_that_bites() -> None:
    paper = io.StringIO()
    console = Console(file=paper, width=100, height=30, force_terminal=True, color_system=None)

    async def draw() -> None:
        progress = Progress(2, now=0.0)
        progress.begin(["[bold]a[/bold]", "b\x1b[2J"], now=0.0)
        progress.transition(_change("b\x1b[2J", "ODD\nSTATE"))
        with LiveView("nimble-session until READY", 60.0, console=console) as view:
            late = replace(DOWN, overload=Shortfall(9.0, 3.0, 6.84, 228), throttled=3, failed=4)
            view.tick(progress, late, RateLimiter(10, 20).statistics(), 12.0)

    anyio.run(draw)
    picture = paper.getvalue()
    assert "0 of 2 settled" in picture
    assert "time left: unknown, deadline in 48.0 s" in picture
    assert "3 throttled" in picture
    assert "no answer for 0.0 s, trying on: nobody there" in picture
    assert "calls come 9.0 s late: --rate 6.9 would do" in picture
    assert "[bold]a[/bold]" in picture
    assert "b [2J" in picture
    assert "ODD STATE" in picture
    assert "\x1b[2J" not in picture


def test_text_and_times_for_people() -> None:
    assert printable("a\x1b]0;title\x07b\u202ec") == "a ]0;title b c"
    assert span(4.21) == "4.2 s"
    assert span(59.99) == "1 min 00 s"
    assert span(3725) == "1 h 02 min"
    assert timestamp(NOON.replace(microsecond=1234)) == "2026-01-01T12:00:00.001Z"


def test_the_first_signal_ends_the_body_and_the_second_is_no_longer_caught() -> None:
    async def main() -> bool:
        before = signal.getsignal(signal.SIGINT)
        with interruptible() as scope:
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is before
            await anyio.sleep_forever()
        return scope.cancel_called

    assert anyio.run(main)
