"""The options that say how fast to ask: what they contradict, and what they come to."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import click
import pytest

from greenroom import AdaptiveRateLimiter, Every, History, PayAsYouWait, Poller, RateLimiter, Spec
from greenroom._launch._journal import Journal
from greenroom._launch._journal_tables import Header
from greenroom._specs import count_specs
from greenroom.cli import _arguments, _wait
from greenroom.cli._options import PACED, Pacing
from greenroom.cli.launch import _run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from tests.cli.conftest import Ran

    from greenroom import Transition
    from greenroom.cli.launch._options import Wanted
    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Create = Callable[..., list[str]]
    Run = Callable[..., Ran]

NOWHERE = ("--endpoint-url", "http://127.0.0.1:1", "--studio-id", "us-west-2-abc")
LP = ("--launch-profile-id", "lp-1")


def _wait_for(*args: str) -> tuple[str, ...]:
    return ("wait", "nimble-session", *args, "--until", "READY")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    known = History()
    known.add("nimble-session", "CREATE_IN_PROGRESS", [(300.0, True)])
    file = tmp_path / "history.json"
    file.write_text(known.to_json())
    return file


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What every poller of the run was made with."""
    made: list[dict[str, Any]] = []

    def make(source: Any, **given: Any) -> Poller:
        made.append(given)
        return Poller(source, **given)

    monkeypatch.setattr(_wait, "Poller", make)
    monkeypatch.setattr(_run, "Poller", make)
    return made


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """What every launch of the run wanted; nothing is launched."""
    wanted: list[Wanted] = []

    async def launch(what: Wanted, *others: Any) -> int:
        wanted.append(what)
        return 0

    monkeypatch.setattr(_run, "launch", launch)
    return wanted


@pytest.mark.parametrize("text", ["auto", "AUTO"])
def test_a_rate_may_be_auto(text: str) -> None:
    assert _arguments.rate(text) == "auto"
    assert _arguments.rate("2.5") == 2.5
    with pytest.raises(click.BadParameter, match="a number above 0, as in 10, or auto"):
        _arguments.rate("fast")


def test_a_price_may_be_infinite() -> None:
    assert _arguments.price("inf") == math.inf
    assert _arguments.price("0.5") == 0.5
    for text in ("0", "-inf", "nan", "much"):
        with pytest.raises(click.BadParameter, match="a number above 0, as in 10, or inf"):
            _arguments.price(text)


@pytest.mark.parametrize("text", ["0", "-0.5", "1.1", "nan", "50%", ""])
def test_a_share_is_a_part(text: str) -> None:
    assert _arguments.part("1") == 1
    with pytest.raises(click.BadParameter, match=r"more than 0 and at most 1, as in 0\.5"):
        _arguments.part(text)


def test_limiters() -> None:
    assert repr(Pacing(10.0).limiter()) == repr(RateLimiter(10.0, 20))
    assert repr(Pacing(10.0, 4).limiter()) == repr(RateLimiter(10.0, 4))
    assert repr(Pacing(10.0, 4, share=0.5).limiter()) == repr(RateLimiter(10.0, 4, share=0.5))
    assert repr(Pacing("auto").limiter()) == repr(AdaptiveRateLimiter())
    assert repr(Pacing("auto", 4).limiter()) == repr(AdaptiveRateLimiter(burst=4))


@pytest.mark.parametrize(
    ("pacing", "many", "one"),
    [
        (Pacing(10), None, None),
        (Pacing(10, every=5), Every(5), Every(5)),
        (Pacing(10, price=3), PayAsYouWait(3), PayAsYouWait(3)),
        (Pacing(10, ceiling=30), PayAsYouWait(20, 30), PayAsYouWait(2, 30)),
        (Pacing(10, price=math.inf, ceiling=9), *[PayAsYouWait(math.inf, 9)] * 2),
    ],
)
def test_schedules(pacing: Pacing, many: object, one: object) -> None:
    assert pacing.schedule(100) == many
    assert pacing.schedule(1) == one


def test_a_history_reaches_the_schedule() -> None:
    known = History()
    assert Pacing(10, history=known).schedule(100) == PayAsYouWait(history=known)
    assert Pacing(10, price=5, history=known).schedule(1) == PayAsYouWait(5, history=known)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("--every", "5s", "--price", "3"), ("--every", "--price")),
        (("--every", "5s", "--ceiling", "30s"), ("--every", "--ceiling")),
        (("--every", "5s", "--history", "any"), ("--every", "--history")),
        (("--rate", "auto", "--share", "0.5"), ("--rate auto", "--share")),
        (("--price", "inf"), ("--price inf", "--ceiling")),
        (("--price", "0"), ("--price", "or inf")),
        (("--ceiling", "inf"), ("--ceiling", "no duration")),
        (("--share", "2"), ("--share", "at most 1")),
        (("--rate", "fast"), ("--rate", "or auto")),
        (("--history", "/nowhere/run.db"), ("/nowhere/run.db",)),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        _wait_for("s-1"),
        ("watch", "nimble-session", "s-1"),
        ("delete", "nimble-session", "s-1"),
        ("launch", *LP, "--count", "2", "--no-journal"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_contradictions_end_it_before_anything_is_opened(
    run: Run, made: list[Any], args: tuple[str, ...], named: tuple[str, ...], command: tuple[str]
) -> None:
    ran = run(*command, *args, *NOWHERE)
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert all(each in ran.err for each in named), ran.err
    assert not ran.out
    assert not made


def test_what_is_no_history_is_refused(run: Run, made: list[Any], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    for file in (wrong, other, tmp_path):
        ran = run(*_wait_for("s-1"), "--history", str(file), *NOWHERE)
        assert ran.status == 2
        assert str(file) in ran.err
    assert not made


@pytest.mark.parametrize(
    ("args", "schedule"),
    [
        ((), None),
        (("--price", "0.1", "--ceiling", "500ms"), PayAsYouWait(0.1, 0.5)),
        (("--price", "inf", "--ceiling", "50ms"), PayAsYouWait(math.inf, 0.05)),
    ],
)
def test_waiting_at_a_price(
    studio: Start, create: Create, run: Run, made: list[dict[str, Any]], args: tuple[str, ...],
    schedule: object,
) -> None:  # fmt: skip
    ids = create(studio(), 5)
    ran = run(*_wait_for(*ids), *args, "--output", "json")
    assert ran.status == 0
    assert ran.events[-1]["success"] == 5
    assert [each["schedule"] for each in made] == [schedule]


def test_an_endless_price_is_a_fixed_interval(studio: Start, create: Create, run: Run) -> None:
    ids = create(studio(speed=1.0, create={"median_s": 4, "sigma": 0}), 5)
    ran = run(*_wait_for(*ids), "--price", "inf", "--ceiling", "500ms", "--output", "json")
    assert ran.status == 0
    summary = ran.events[-1]
    assert summary["calls"] == pytest.approx(summary["elapsed"] / 0.5, abs=2)
    assert summary["calls"] >= 3


def test_a_kind_read_one_by_one_has_a_price_where_one_is_given(
    studio: Start, run: Run, made: list[dict[str, Any]]
) -> None:
    studio()
    profile = ("nimble-launch-profile", "lp-1", "--until", "READY")
    for args in ((), ("--price", "5"), ("--ceiling", "1m")):
        assert run("wait", *profile, *args).status == 0
    asked = [each["schedule"] for each in made]
    assert asked == [None, PayAsYouWait(5), PayAsYouWait(2, 60)]


def test_a_share_leaves_the_rest_to_others(studio: Start, create: Create, run: Run) -> None:
    ids = create(studio(speed=1.0, create={"median_s": 2, "sigma": 0}), 2)
    quota = ("--rate", "20", "--burst", "4")
    ran = run(*_wait_for(*ids), "--every", "20ms", *quota, "--share", "0.5", "--output", "json")
    assert ran.status == 0
    assert 5 <= ran.events[-1]["calls"] <= 10 * ran.events[-1]["elapsed"] + 2


def test_a_quota_is_found_out(
    studio: Start, create: Create, run: Run, monkeypatch: pytest.MonkeyPatch,
    made: list[dict[str, Any]],
) -> None:  # fmt: skip
    simulator = studio(speed=1.0, create={"median_s": 1e6, "sigma": 0})

    def ready_in_two_seconds() -> None:
        asyncio.get_running_loop().call_later(2, simulator.clock.advance, 1e6)

    _once_seen(monkeypatch, _wait, 2, ready_in_two_seconds)
    ids = create(simulator, 2)
    ran = run(*_wait_for(*ids), "--every", "20ms", "--rate", "auto", "--output", "json")
    assert ran.status == 0
    assert ran.events[-1]["success"] == 2
    assert 3 <= ran.events[-1]["calls"] <= 12
    assert isinstance(made[0]["limiter"], AdaptiveRateLimiter)


def test_actions_share_the_budget_that_is_found_out(
    studio: Start, create: Create, run: Run, made: list[dict[str, Any]]
) -> None:
    ids = create(studio(), 2)
    ran = run("delete", "nimble-session", *ids, "--rate", "auto", "--ceiling", "1s")
    assert ran.status == 0
    assert isinstance(made[0]["limiter"], AdaptiveRateLimiter)
    assert made[0]["schedule"] == PayAsYouWait(ceiling=1)


def test_a_history_is_used(
    studio: Start, create: Create, run: Run, monkeypatch: pytest.MonkeyPatch,
    made: list[dict[str, Any]], history: Path, tmp_path: Path,
) -> None:  # fmt: skip
    simulator = studio(create={"median_s": 1e6, "sigma": 0})
    _once_seen(monkeypatch, _run, 3, lambda: simulator.clock.advance(1e6))
    journal = tmp_path / "run.db"
    launched = ("launch", *LP, "--count", "3", "--journal", str(journal), "--ceiling", "100ms")
    assert run(*launched, "--history", str(history)).status == 0
    ids = create(simulator, 2)
    simulator.clock.advance(1e6)
    ran = run(*_wait_for(*ids), "--ceiling", "100ms", "--history", str(journal))
    assert ran.status == 0
    first, second = (each["schedule"].history for each in made)
    assert first.departures("nimble-session") == 1
    assert second.departures("nimble-session") == 3


def test_a_launch_creates_within_its_share(run: Run, wanted: list[Wanted]) -> None:
    assert run("launch", *LP, "--count", "2", "--share", "0.5", *NOWHERE).status == 0
    creates = wanted[0].pacing.limiter_of(wanted[0].create_rate, 5)
    assert repr(creates) == repr(RateLimiter(5.0, 5, share=0.5))


@pytest.mark.parametrize(
    ("begun", "again", "paced"),
    [
        ({}, (), {}),
        ({"price": 5, "ceiling": 30.0}, (), {"price": 5, "ceiling": 30}),
        ({"price": 5}, ("--ceiling", "30s"), {"price": 5, "ceiling": 30}),
        ({"price": 5, "ceiling": 30, "history": "h"}, ("--every", "5s"), {"every": 5}),
        ({"every": 5}, ("--price", "7"), {"price": 7}),
        ({"every": 5}, ("--ceiling", "30s"), {"ceiling": 30}),
        ({"every": 5}, ("--rate", "3"), {"rate": 3, "every": 5}),
        ({"price": "inf", "ceiling": 9}, (), {"price": math.inf, "ceiling": 9}),
        ({"ceiling": 9}, ("--price", "inf"), {"price": math.inf, "ceiling": 9}),
        ({"rate": "auto"}, (), {"rate": "auto"}),
        ({"rate": "auto"}, ("--rate", "3", "--share", "0.5"), {"rate": 3, "share": 0.5}),
        ({"rate": 4, "share": 0.5}, ("--rate", "auto"), {"rate": "auto"}),
        ({"rate": 4, "share": 0.5}, ("--rate", "8"), {"rate": 8, "share": 0.5}),
    ],
)
def test_a_resumed_launch_keeps_its_pace(
    run: Run, wanted: list[Wanted], tmp_path: Path, begun: dict[str, Any], again: tuple[str, ...],
    paced: dict[str, Any],
) -> None:  # fmt: skip
    journal = _journal(tmp_path, begun)
    ran = run("launch", "--journal", str(journal), "--resume", *again, *NOWHERE)
    assert (ran.status, ran.err) == (0, "")
    assert wanted[0].pacing == Pacing(**{"rate": 10.0, **paced})
    json.dumps(dict(wanted[0].options), allow_nan=False)


@pytest.mark.parametrize(
    ("begun", "again", "named"),
    [
        ({"rate": "auto"}, ("--share", "0.5"), ("--rate auto", "--share", "--rate 10")),
        ({"every": 5}, ("--price", "inf"), ("--price inf", "--ceiling")),
        ({"every": 5}, ("--every", "6", "--price", "3"), ("--every", "--price")),
        ({}, ("--history", "/nowhere/h"), ("/nowhere/h",)),
    ],
)
def test_a_resumed_launch_is_checked_as_well(
    run: Run, wanted: list[Wanted], tmp_path: Path, begun: dict[str, Any], again: tuple[str, ...],
    named: tuple[str, ...],
) -> None:  # fmt: skip
    journal = _journal(tmp_path, begun)
    ran = run("launch", "--journal", str(journal), "--resume", *again, *NOWHERE)
    assert ran.status == 2
    assert all(each in ran.err for each in named), ran.err
    assert not wanted


def test_a_resumed_launch_does_without_a_history_that_is_gone(
    run: Run, wanted: list[Wanted], tmp_path: Path, history: Path
) -> None:
    journal = _journal(tmp_path, {"price": 5, "history": str(history)})
    again = ("launch", "--journal", str(journal), "--resume", *NOWHERE)
    assert run(*again).status == 0
    history.unlink()
    ran = run(*again)
    assert ran.status == 0
    assert ran.err.startswith("greenroom: going on without a history: ")
    assert str(history) in ran.err
    with_it, without = (each.pacing for each in wanted)
    assert with_it.history is not None
    assert without == Pacing(10, price=5)


def test_what_a_launch_keeps_of_its_pace_is_json(studio: Start, run: Run, tmp_path: Path) -> None:
    studio()
    journal = tmp_path / "run.db"
    pace = ("--price", "inf", "--ceiling", "50ms", "--rate", "auto", "--burst", "50")
    assert run("launch", *LP, "--count", "2", "--journal", str(journal), *pace).status == 0
    with closing(sqlite3.connect(journal)) as db:
        (text,) = db.execute("SELECT options FROM launch").fetchone()
    kept = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    assert {name: kept[name] for name in PACED} == {
        "rate": "auto", "burst": 50, "share": None, "every": None, "price": "inf", "ceiling": 0.05,
        "history": None,
    }  # fmt: skip


def test_budgets_tell_their_figures() -> None:
    async def figures() -> None:
        assert Pacing("auto").limiter().statistics().rate == 2
        assert Pacing(10, 20, share=0.5).limiter().statistics().burst == 10

    anyio.run(figures)


def _once_seen(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, count: int, do: Callable[[], object]
) -> None:
    """Do something when so many sessions were seen on their way."""
    seen: set[str] = set()
    make = module.Poller

    def look(change: Transition) -> None:
        seen.add(change.id)
        if len(seen) == count:
            do()

    def watched(source: Any, **given: Any) -> Poller:
        poller: Poller = make(source, **given)
        poller.on("CREATE_IN_PROGRESS", look)
        return poller

    monkeypatch.setattr(module, "Poller", watched)


def _journal(directory: Path, options: dict[str, Any]) -> Path:
    """Make the journal of a launch that was begun with these options."""
    file = directory / "run.db"
    specs = count_specs(2, {"launch_profile_id": "lp-1"}, Spec)
    Journal.create(file, Header("launch-1", datetime.now(UTC), options), specs).close()
    return file
