"""What a person is told to do is what was decided by: the caller's own rows too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

import greenroom
from greenroom import REMEDIES, Action, InvalidRequest, Launch, LaunchPolicy, Remedy
from greenroom._launch import _events as events
from greenroom._launch._figures import figures
from greenroom._launch._journal import read_journal
from greenroom._launch._rows import as_row, from_row
from greenroom._remedies import OTHER_ADVICE
from greenroom.cli.report._text import as_text

pytestmark = pytest.mark.usefixtures("inline_threads")

OWN = "Call the desk of the show."
SCRIPT = "INITIALIZATION_SCRIPT_ERROR"
POLICY = LaunchPolicy(remedies={SCRIPT: Remedy(Action.NEVER, OWN)})


async def failed(studio, wanted, path=None, policy=POLICY):
    service = studio(create={"failures": {SCRIPT: 1.0}})
    async with Launch(service, wanted(3), policy=policy, journal=path) as launch:
        pass
    assert {each.cause for each in launch.report().values()} == {SCRIPT}
    return launch


def test_the_sentence_of_a_row_of_ones_own_is_told_everywhere(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        launch = await failed(studio, wanted, path)
        header, account = read_journal(path)
        for known in (launch.account, account):
            assert known.advice(SCRIPT) == OWN
            assert known.report().advice(SCRIPT) == OWN
            assert {each.advice for each in known.report().values()} == {OWN}
        told = figures(header, account)
        assert [group.advice for group in told.causes] == [OWN]
        assert OWN in as_text(told, "run.db")
        resumed = await greenroom.launch(studio(), journal=path, resume=True)
        assert resumed.advice(SCRIPT) == OWN

    run(main)


def test_the_row_of_an_error_without_one_is_ones_own_too(run, studio, wanted):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            InvalidRequest("no", code="Odd") if name == "create_session" else None
        )
        rows = {"ValidationException": Remedy(Action.STOP, OWN)}
        report = await greenroom.launch(service, wanted(2), policy=LaunchPolicy(remedies=rows))
        assert report.advice("Odd") == OWN

    run(main)


def test_a_success_has_none(run, studio, wanted):
    async def main():
        report = await greenroom.launch(studio(), wanted(1))
        assert [each.advice for each in report.values()] == [None]

    run(main)


def test_a_journal_that_does_not_tell_it_has_that_of_the_kind(run, studio, wanted, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        await failed(studio, wanted, path)
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE events SET data = json_remove(data, '$.advice')")
            db.commit()
        header, account = read_journal(path)
        usual = REMEDIES[SCRIPT].advice
        assert account.advice(SCRIPT) == account.report().advice(SCRIPT) == usual
        assert [group.advice for group in figures(header, account).causes] == [usual]

    run(main)


def test_a_row_of_ones_own_comes_before_a_word_of_the_launch():
    rows = REMEDIES | {"UNREACHABLE": Remedy(Action.NEVER, OWN)}
    assert rows.advice("UNREACHABLE") == OWN
    assert REMEDIES.advice("UNREACHABLE") == OTHER_ADVICE["UNREACHABLE"]


def test_the_journal_keeps_it():
    settled = events.Settled(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        key="a",
        verdict=greenroom.Verdict.FAILURE,
        id="s-1",
        state="CREATE_FAILED",
        reason=SCRIPT,
        message=None,
        elapsed=1.0,
        reads=1,
        cause=SCRIPT,
        advice=OWN,
    )
    assert from_row(as_row(settled)) == settled
