"""A launch rehearsed before it is made: figures that agree with each other, and plain words."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import anyio
import anyio.to_thread
import pytest

import greenroom
from greenroom import ConfigurationError, History, RateLimiter
from greenroom._schedule import Every, PayAsYouWait
from greenroom.cli.plan._figures import MANY, MOST, Effort, Outcome, effort, row
from greenroom.cli.plan._lives import KIND, STATE, Lognormal, Shown, lives
from greenroom.cli.plan._text import as_members, as_text
from greenroom.sources._nimble_launch import SessionLaunches
from greenroom.sources.nimble import TABLES
from greenroom.testing import ScriptedSource
from greenroom.testing import run as run_virtually

Run = Callable[..., Any]
PLAN = ("plan", "--count", "40", "--rate", "2")


def plans(ran: Any) -> list[dict[str, Any]]:
    law, *rows = ran.events
    assert law["event"] == "law"
    assert {each["event"] for each in rows} == {"plan"}
    return rows


def asked(ran: Any) -> dict[str, Any]:
    (one,) = [each for each in plans(ran) if each["asked"]]
    return one


def rates(ran: Any) -> list[dict[str, Any]]:
    """What is expected at each rate, as the user would have calls paced."""
    paced = ("price", "ceiling", "every")
    one = asked(ran)
    return [each for each in plans(ran) if all(each[name] == one[name] for name in paced)]


def prices(ran: Any, name: str = "price") -> list[dict[str, Any]]:
    """What is expected at the rate that was asked about, by what decides there."""
    one = asked(ran)
    there = [each for each in plans(ran) if each["rate"] == one["rate"]]
    return sorted(there, key=lambda each: each[name])


def tables(ran: Any) -> list[list[str]]:
    """The lines of each table, its head first."""
    parts = [part.splitlines() for part in ran.out.split("\n\n")]
    found = [[line for line in part if not line.startswith("With ")] for part in parts]
    return [part for part in found if part[0].endswith("overloaded")]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearse only the rate that is asked about, and only once."""
    once = Effort(MOST, rates=(1.0,), prices=(1.0,), rehearsals=1)
    monkeypatch.setattr("greenroom.cli.plan._rehearsal.effort", lambda count: once)


# The figures.


def test_the_answer_comes_first_and_the_table_says_the_same_as_json(run: Run) -> None:
    text = run(*PLAN, "--failures", "0.1")
    assert (text.status, text.err) == (0, "")
    told = run(*PLAN, "--failures", "0.1", "--output", "json")
    assert told.status == 0
    one = asked(told)
    first, second, *_ = text.out.splitlines()
    assert re.fullmatch(r"40 workstations, at 2 calls/s: all ready after .*, \d+ calls\.", first)
    assert f" {one['calls']:.0f} calls." in first
    assert f"Noticed {one['mean_delay']:.1f} s late on average" in second
    assert f"{one['reads']:.0f} reads, {one['creates']:.0f} creates." in second
    table, other = tables(text)
    assert table[0].split()[:4] == ["rate", "reads", "creates", "delay"]
    assert [line.lstrip("> ").split()[:3] for line in table[1:]] == [
        [f"{each['rate']:.3g}", f"{each['reads']:.0f}", f"{each['creates']:.0f}"]
        for each in rates(told)
    ]
    assert [line.startswith("> ") for line in table[1:]] == [each["asked"] for each in rates(told)]
    assert other[0].split()[:3] == ["price", "reads", "delay"]
    assert [line.lstrip("> ").split()[:4] for line in other[1:]] == [
        [f"{each['price']:g}", f"{each['reads']:.0f}", f"{each['mean_delay']:.1f}", "s"]
        for each in prices(told)
    ]
    assert [line.startswith("> ") for line in other[1:]] == [each["asked"] for each in prices(told)]
    assert len(rates(told)) + len(prices(told)) == len(plans(told)) + 1
    assert max(map(len, text.out.splitlines())) <= 80


def test_the_table_is_about_parts_of_one_quota(run: Run) -> None:
    rows = rates(run(*PLAN, "--burst", "8", "--output", "json"))
    assert [each["rate"] for each in rows] == [0.125, 0.25, 0.5, 1, 2, 4]
    assert [each["burst"] for each in rows] == [1, 1, 2, 4, 8, 16]
    assert {each["rehearsals"] for each in rows} == {3}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("burst", "share"), [(100, 0.29), (50, 0.58), (100, 0.57), (100, 0.58), (1, 0.1)]
)
def test_the_budget_shown_is_the_one_rehearsed(run: Run, burst: int, share: float) -> None:
    args = ("--count", "1", "--rate", "4", "--burst", f"{burst}", "--share", f"{share}")
    one = asked(run("plan", *args, "--output", "json"))

    async def used() -> tuple[float, int]:
        statistics = RateLimiter(4, burst, share).statistics()
        return statistics.max_rate, statistics.burst

    assert (one["rate"], one["burst"]) == run_virtually(used)


@pytest.mark.usefixtures("alone")
def test_the_figures_can_be_true(run: Run) -> None:
    one = asked(run(*PLAN, "--canary", "0", "--output", "json"))
    assert one["calls"] == pytest.approx(one["reads"] + one["creates"])
    assert one["creates"] == one["ready"] == 40
    assert 0 < one["mean_delay"] < one["p99_delay"] < 120
    assert 500 < one["all_ready"] < 1200  # the longest of forty, at a median of 300 s
    assert not one["overloaded"]
    assert one["rate_needed"] is None


@pytest.mark.usefixtures("alone")
def test_the_same_seed_is_the_same_plan(run: Run) -> None:
    args = (*PLAN, "--failures", "0.2")
    first, again, other = run(*args), run(*args), run(*args, "--seed", "7")
    assert first.out == again.out
    assert other.status == 0
    assert other.out != first.out


def test_a_rate_that_is_too_small_is_overloaded(run: Run) -> None:
    text = run("plan", "--count", "60", "--rate", "0.005", "--burst", "1")
    assert text.status == 0
    assert "which is too few" in text.out.splitlines()[0]
    assert "The lowest rate here that keeps up" not in text.out
    assert "All of these rates are too low" in text.out
    more = r"It takes (a higher rate|about [\d.]+ calls/s), or a larger batch\."
    assert re.search(more, " ".join(text.out.split()))
    rows = rates(run("plan", "--count", "120", "--rate", "0.2", "--burst", "1", "--output", "json"))
    lowest, highest = rows[0], rows[-1]
    assert lowest["overloaded"]
    assert lowest["overloaded_for"] > 30
    assert lowest["mean_delay"] > 3 * highest["mean_delay"]
    assert not highest["overloaded"]
    assert highest["reads"] > lowest["reads"]


@pytest.mark.usefixtures("alone")
def test_a_rate_at_which_a_launch_never_ends_is_said_to_be_one(run: Run) -> None:
    told = run("plan", "--count", "12", "--rate", "0.0001", "--burst", "1", "--output", "json")
    assert asked(told)["overloaded"]
    assert asked(told)["all_ready"] is None
    text = run("plan", "--count", "12", "--rate", "0.0001", "--burst", "1")
    assert text.out.startswith("12 workstations, at 0.0001 calls/s, which is too few: none ready, ")


def test_more_than_is_ever_used_changes_nothing_and_the_plan_says_from_where(run: Run) -> None:
    told = rates(run(*PLAN, "--rate", "16", "--output", "json"))
    same = ("reads", "mean_delay", "p99_delay", "all_ready")
    assert len({tuple(each[name] for name in same) for each in told[-3:]}) == 1
    text = " ".join(run(*PLAN, "--rate", "16").out.split())
    assert "changes nothing, because a call is made when it is worth its price" in text
    text = " ".join(run(*PLAN, "--rate", "16", "--every", "30").out.split())
    assert "changes nothing, because each session is looked at so often" in text


def falls(rows: list[dict[str, Any]], name: str) -> bool:
    return all(one[name] > other[name] for one, other in pairwise(rows))


def test_a_lower_price_buys_less_delay_for_more_calls(run: Run) -> None:
    told = prices(run(*PLAN, "--price", "8", "--output", "json"))
    assert [each["price"] for each in told] == [2, 4, 8, 16]
    assert [each["asked"] for each in told] == [False, False, True, False]
    assert {each["every"] for each in told} == {None}
    assert falls(told, "reads")
    assert falls(told[::-1], "mean_delay")
    assert told[0]["mean_delay"] < told[2]["mean_delay"] / 1.3
    assert told[0]["reads"] > 1.3 * told[2]["reads"]
    text = run(*PLAN, "--price", "8").out
    assert "\nWith another price, at 2 calls/s:\n" in text
    assert "\nA lower --price buys less delay for more calls." in text


@pytest.mark.usefixtures("alone")
def test_the_usual_price_is_named(run: Run) -> None:
    assert asked(run(*PLAN, "--output", "json"))["price"] == 20
    assert asked(run(*PLAN, "--batch", "1", "--ceiling", "9", "--output", "json"))["price"] == 2


def test_a_shorter_interval_does_so_too(run: Run) -> None:
    told = prices(run(*PLAN, "--every", "20", "--output", "json"), "every")
    assert [each["every"] for each in told] == [5, 10, 20, 40]
    assert {each["price"] for each in told} == {None}
    assert falls(told, "reads")
    assert falls(told[::-1], "mean_delay")
    text = run(*PLAN, "--every", "20")
    assert [line.lstrip("> ").split()[0] for line in tables(text)[1]] == [
        "every", "5", "10", "20", "40",
    ]  # fmt: skip
    assert "\nA shorter --every buys less delay for more calls.\n" in text.out


def test_without_a_price_the_ceiling_decides(run: Run) -> None:
    ran = run(*PLAN, "--price", "inf", "--ceiling", "20", "--output", "json")
    told = prices(ran, "ceiling")
    assert [each["ceiling"] for each in told] == [5, 10, 20, 40]
    assert {each["price"] for each in told} == {None}
    text = " ".join(run(*PLAN, "--price", "inf", "--ceiling", "20").out.split())
    assert "changes nothing, because only the ceiling has calls made." in text
    assert "A shorter --ceiling buys less delay for more calls." in text


def test_where_neither_decides_there_is_no_second_table(run: Run) -> None:
    args = ("plan", "--count", "10", "--batch", "1", "--rate", "200")
    told = run(*args, "--output", "json")
    assert len(plans(told)) == 6
    assert {(each["price"], each["every"]) for each in plans(told)} == {(None, None)}
    text = run(*args)
    assert len(tables(text)) == 1
    reason = "because each session is looked at after random pauses of at most 20 s; --every or"
    assert reason in " ".join(text.out.split())


def test_where_the_rate_decides_the_price_does_not(run: Run) -> None:
    text = " ".join(run(*PLAN, "--rate", "0.005", "--burst", "1").out.split())
    assert "The price hardly matters here, because the rate is too low for any of them." in text


@pytest.mark.usefixtures("alone")
def test_a_fixed_interval_is_late_by_half_of_it(run: Run) -> None:
    one = asked(run(*PLAN, "--every", "20", "--output", "json"))
    assert one["mean_delay"] == pytest.approx(10, rel=0.25)


@pytest.mark.usefixtures("alone")
def test_a_share_is_a_part_of_every_budget(run: Run) -> None:
    whole = run(*PLAN, "--create-rate", "4", "--burst", "4", "--output", "json")
    half = ("--rate", "4", "--create-rate", "8", "--burst", "8", "--share", "0.5")
    part = run(*PLAN, *half, "--output", "json")
    assert asked(part) == asked(whole)


@pytest.mark.usefixtures("alone")
def test_a_ceiling_bounds_the_tail(run: Run) -> None:
    one = asked(run(*PLAN, "--ceiling", "8", "--output", "json"))
    assert one["p99_delay"] < 8.5


@pytest.mark.usefixtures("alone")
def test_a_source_that_reads_one_a_call_needs_more(run: Run) -> None:
    first = run(*PLAN, "--batch", "1", "--output", "json")
    assert asked(first)["reads"] > 3 * asked(run(*PLAN, "--output", "json"))["reads"]
    assert first.out == run(*PLAN, "--batch", "1", "--output", "json").out
    told = run(*PLAN, "--batch", "1").out
    assert "its price" not in told
    assert "a shorter --every" not in told


@pytest.mark.usefixtures("alone")
def test_failures_are_made_again(run: Run) -> None:
    one = asked(run(*PLAN, "--failures", "0.3", "--output", "json"))
    assert one["creates"] > 45
    none = run(*PLAN, "--count", "3", "--failures", "1")
    assert none.status == 0
    assert "3 workstations, at 2 calls/s: none ready" in none.out


@pytest.mark.usefixtures("alone")
def test_a_deadline_leaves_some_behind(run: Run) -> None:
    args = (*PLAN, "--canary", "0", "--timeout", "5m")
    one = asked(run(*args, "--output", "json"))
    assert 5 < one["ready"] < 35
    assert one["all_ready"] is None
    assert f"{one['ready']:.0f} ready, the last after" in run(*args).out


# The law.


class Studio(SessionLaunches, ScriptedSource):
    """Sessions that come up as they were told to, one after the other."""

    def __init__(self, times: list[float]) -> None:
        super().__init__({}, latency=0.1)
        self.streams = ScriptedSource({}, table=TABLES["nimble-stream"], max_batch=1)
        self._times = iter(times)

    async def create_session(self, **wanted: Any) -> str:
        await anyio.sleep(0.1)
        session_id = f"s-{wanted['client_token'][:12]}"
        ready_at = self.elapsed() + next(self._times)
        self.script(session_id, [(0, "CREATE_IN_PROGRESS"), (ready_at, "READY")])
        return session_id


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Launches in virtual time, and returns the journal."""

    async def run_sync(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()  # virtual time does not wait for threads
        return function(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync)

    def launch(times: list[float], timeout: float = 3600.0) -> str:
        path = tmp_path / "run.db"

        async def main() -> None:
            await greenroom.launch(
                Studio(times),  # type: ignore[arg-type]  # nothing else is asked of it
                [{"key": str(n), "launch_profile_id": "lp"} for n in range(len(times))],
                policy=greenroom.LaunchPolicy(canary=0, timeout=timeout),
                journal=path,
            )

        run_virtually(main)
        return str(path)

    return launch


@pytest.mark.usefixtures("alone")
def test_the_law_that_is_assumed_is_named(run: Run) -> None:
    text = " ".join(run(*PLAN, "--median", "8m", "--sigma", "0.5").out.split())
    assert "Assumed, not measured: half of the sessions are ready within 480 s" in text
    assert "sigma 0.5" in text
    told = run(*PLAN, "--output", "json").events[0]
    assert told == {"event": "law", "law": "lognormal", "median": 300.0, "sigma": 0.35}


@pytest.mark.usefixtures("alone")
def test_the_journal_of_a_launch_is_the_law(run: Run, journal: Callable[..., str]) -> None:
    chance = random.Random(1)
    path = journal([chance.uniform(50, 70) for _ in range(60)])
    told = run(*PLAN, "--canary", "0", "--history", path, "--output", "json")
    law = told.events[0]
    assert law == {
        "event": "law",
        "law": "history",
        "file": path,
        "departures": 60.0,
        "too_few": False,
        "guessed": 0.0,
    }
    assert 55 < asked(told)["all_ready"] < 130
    every = asked(
        run(*PLAN, "--canary", "0", "--history", path, "--every", "9", "--output", "json")
    )
    assert 55 < every["all_ready"] < 130
    text = " ".join(run(*PLAN, "--history", path).out.split())
    assert "60 sessions that left CREATE_IN_PROGRESS, to be ready or to fail." in text
    assert "too few" not in text.partition("Times from")[2]
    assert "Assumed" not in text


@pytest.mark.usefixtures("alone")
def test_a_history_that_was_written_is_the_same_law(
    run: Run, journal: Callable[..., str], tmp_path: Path
) -> None:
    path = journal([60.0] * 40)
    file = tmp_path / "history.json"
    file.write_text(greenroom.read_history(path).to_json())
    one, other = (
        plans(run(*PLAN, "--history", each, "--output", "json")) for each in (path, str(file))
    )
    for row_, again in zip(one, other, strict=True):
        assert row_["all_ready"] == pytest.approx(again["all_ready"], rel=0.1)


@pytest.mark.usefixtures("alone")
def test_a_history_of_few_says_so(run: Run, journal: Callable[..., str]) -> None:
    ran = run(*PLAN, "--history", journal([60.0] * 5))
    assert ran.status == 0
    text = " ".join(ran.out.split())  # where lines end depends on the journal's path
    assert "5 sessions that left" in text
    assert "too few to go by" in text


@pytest.mark.usefixtures("alone")
def test_what_a_history_does_not_show_is_said_to_be_a_guess(
    run: Run, journal: Callable[..., str]
) -> None:
    path = journal([60.0] * 30 + [2000.0] * 30, timeout=300)
    law = run(*PLAN, "--history", path, "--output", "json").events[0]
    assert law["departures"] == 30
    assert law["guessed"] == pytest.approx(0.5, abs=0.1)
    text = " ".join(run(*PLAN, "--history", path).out.split())
    assert re.search(r"the times of \d\d %, more than 1 min \d\d s, are a guess", text)


def history(stays: list[tuple[float, bool]]) -> History:
    made = History()
    made.add(KIND, STATE, stays)
    return made


def drawn(law: Any, number: int = 4000) -> list[float]:
    chance = random.Random(5)
    return [law.draw(chance) for _ in range(number)]


def test_times_are_drawn_as_they_were_seen() -> None:
    chance = random.Random(2)
    fast = [(chance.lognormvariate(math.log(45), 0.2), True) for _ in range(1000)]
    slow = [(chance.lognormvariate(math.log(420), 0.15), True) for _ in range(1000)]
    times = drawn(Shown(history(fast + slow)))
    seen = [seconds for seconds, _ in fast + slow]
    for one, other in zip(quantiles(times, n=20), quantiles(seen, n=20), strict=True):
        assert one == pytest.approx(other, rel=0.09) or 60 < one < 250  # between the two
    assert max(times) < 1.3 * max(seen)
    assert sum(each < 150 for each in times) == pytest.approx(2000, rel=0.1)


def test_who_was_cut_off_counts_for_as_long_as_he_stood_there() -> None:
    chance = random.Random(3)
    whole = [chance.lognormvariate(math.log(300), 0.35) for _ in range(4000)]
    cuts = [chance.uniform(100, 700) for _ in whole]
    stays = [(min(each, cut), each < cut) for each, cut in zip(whole, cuts, strict=True)]
    assert median(drawn(Shown(history(stays)))) == pytest.approx(300, rel=0.06)


def test_one_session_is_a_law_of_a_kind() -> None:
    times = drawn(Shown(history([(100.0, True)])), 200)
    assert min(times) > 90
    assert all(math.isfinite(each) for each in times)
    assert Shown(history([(0.0, True)])).draw(random.Random(1)) >= 0
    assert Shown(history([(1e7, True)])).draw(random.Random(1)) > 1e5


@pytest.mark.parametrize("known", [History(), history([(50.0, False)])])
def test_a_history_of_nothing_is_no_law(known: History) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no nimble-session that left CREATE_IN"):
        Shown(known)


@pytest.mark.parametrize(
    "stays",
    [[(100.0, True)], [(100.0, True), (900.0, True)], [(100.0, True), (900.0, False)]],
)
def test_a_curve_of_what_was_shown_is_a_curve(stays: list[tuple[float, bool]]) -> None:
    assert min(Shown(history(stays))._curve.rates) > 0


def test_nobody_leaves_where_nobody_was_seen_to_leave() -> None:
    times = drawn(Shown(history([(100.0, True)] * 50 + [(900.0, True)] * 50)))
    assert not any(150 < each < 800 for each in times)
    assert 0.3 < sum(each < 150 for each in times) / len(times) < 0.7


def test_lives_are_drawn_with_their_failures() -> None:
    some = list(islice(lives(Lognormal(300, 0), 0.2, random.Random(1)), 1000))
    assert {round(each.takes, 6) for each in some} == {300.0}
    assert sum(each.fails for each in some) == pytest.approx(200, rel=0.2)


# Figures and words by themselves.


def outcome(**more: Any) -> Outcome:
    usual: dict[str, Any] = {
        "reads": 10, "creates": 2, "delays": (1.0, 3.0), "ready_at": 100.0, "held": 0.0,
        "overloaded": 0.0, "rate_needed": 0.0,
    }  # fmt: skip
    return Outcome(**(usual | more))


def test_a_row_is_a_mean() -> None:
    one = row(
        [outcome(), outcome(reads=13, delays=(5.0,), ready_at=50.0, rate_needed=4.0)],
        count=2,
        rate=2.0,
        burst=20,
        schedule=PayAsYouWait(),
        asked=True,
    )
    assert (one.reads, one.creates, one.calls) == (11.5, 2, 13.5)
    assert (one.mean_delay, one.p99_delay, one.ready_at) == (3.5, 4.0, 75.0)
    assert (one.ready, one.all_ready, one.rate_needed, one.rehearsals) == (1.5, False, 4.0, 2)


def test_more_workstations_are_rehearsed_at_fewer_rates_and_less_often() -> None:
    efforts = [effort(count) for count in (1, 100, 101, 300, 301, 1000, 1001, 5000, MOST)]
    work = [(len(each.rates) + len(each.prices)) * each.rehearsals for each in efforts]
    assert all(one >= other for one, other in pairwise(work))
    assert efforts[0] == efforts[1]
    assert all(1.0 in each.rates and 1.0 in each.prices for each in efforts)


def test_the_help_says_how_much_is_rehearsed(run: Run) -> None:
    told = " ".join(run("plan", "--help").out.split())
    assert "Up to 100 workstations three rehearsals are averaged, and up to 300 two" in told
    assert [effort(count).rehearsals for count in (100, 101, 300, 301)] == [3, 2, 2, 1]
    assert "Above 1,000 it is made at fewer rates and prices" in told
    assert MANY == 1000
    assert effort(MANY).rates == effort(1).rates
    assert effort(MANY).prices == effort(1).prices
    assert len(effort(MANY + 1).rates) < len(effort(1).rates)
    assert len(effort(MANY + 1).prices) < len(effort(1).prices)


@pytest.mark.parametrize("schedule", [PayAsYouWait(12_345.6), Every(3599.0)])
def test_the_widest_plan_fits_a_terminal(schedule: Any) -> None:
    longest = {
        "reads": 9_999_999, "creates": 60_000, "delays": (3599.0,), "ready_at": 86_399.0,
        "held": 9.0, "overloaded": 3_599.0, "rate_needed": 123.456,
    }  # fmt: skip

    def made(rate: float, paced: Any) -> Any:
        own = rate == 12.5 and paced is schedule
        return row([outcome(**longest)], count=1, rate=rate, burst=1, schedule=paced, asked=own)

    rows = [made(rate, schedule) for rate in (0.78125, 12.5, 100.0)]
    rows.append(made(12.5, replace(schedule, **{fields(schedule)[0].name: 24_691.2})))
    law = Shown(history([(100.0, True)]))
    file = "/var/lib/launches/a\x1b[31mname/" + "long-" * 6 + "db"
    text = as_text(20_000, rows, law, file)
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii()
    assert "\x1b" not in text
    assert "about 120 calls/s" in text
    for members in as_members(20_000, rows, law, file):
        json.dumps(members, allow_nan=False)


# Usage.


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ((), "Missing option '--count'"),
        (("--count", "0"), "0 is not in the range"),
        (("--count", "20001"), "20001 is not in the range"),
        (("--count", "3", "--rate", "0"), "a number above 0"),
        (("--count", "3", "--rate", "auto"), "a rehearsal cannot find out a quota"),
        (("--count", "3", "--batch", "0"), "0 is not in the range"),
        (("--count", "3", "--burst", "0"), "0 is not in the range"),
        (("--count", "3", "--median", "0"), "more than 0"),
        (("--count", "3", "--median", "soon"), "is no duration"),
        (("--count", "3", "--sigma", "nan"), "from 0 to 3, as 0.35"),
        (("--count", "3", "--sigma", "wide"), "from 0 to 3, as 0.35"),
        (("--count", "3", "--failures", "5"), "from 0 to 1, as 0.05"),
        (("--count", "3", "--price", "-1"), "a number above 0"),
        (("--count", "3", "--every", "5", "--price", "1"), "--every and --price cannot both"),
        (("--count", "3", "--every", "5", "--ceiling", "9"), "--every and --ceiling cannot both"),
        (("--count", "3", "--history", "x", "--median", "9"), "--history and --median cannot both"),
        (("--count", "3", "--history", "x", "--sigma", "0"), "--history and --sigma cannot both"),
        (("--count", "3", "--history", "/nowhere/run.db"), "cannot read the history /nowhere/run"),
        (("--count", "3", "--history", __file__), "test_plan.py is no history: give the journal"),
    ],
)
def test_bad_usage_is_one_line_and_2(run: Run, args: tuple[str, ...], complaint: str) -> None:
    ran = run("plan", *args)
    assert ran.status == 2
    assert not ran.out
    assert ran.err.startswith("greenroom: error: ")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


def test_an_empty_history_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_text(History().to_json())
    ran = run(*PLAN, "--history", str(file))
    assert ran.status == 2
    assert f"{file} is of no use: there is no nimble-session that left" in ran.err
    assert "leave --history out, and say with --median" in ran.err


def test_help_has_examples(run: Run) -> None:
    ran = run("plan", "--help")
    assert ran.status == 0
    assert "\n    greenroom plan --count 300 --rate 2 --history run.db" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert "\n  plan " in run("--help").out


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("more", "others"),
    [
        ((), " and 4 prices"),
        (("--every", "30"), " and 4 intervals"),
        (("--batch", "1"), ""),
    ],
)
def test_many_are_announced(
    run: Run, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], others: str
) -> None:
    monkeypatch.setattr("greenroom.cli.plan._command.MANY", 30)
    ran = run(*PLAN, *more)
    told = f"rehearsing 40 workstations at 6 rates{others}; this takes a while"
    assert ran.err == f"greenroom: {told}\n"
    assert not run(*PLAN, *more, "--output", "json").err
