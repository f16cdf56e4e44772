from __future__ import annotations

import pytest

from greenroom import Verdict, WaitResult
from greenroom.cli._status import Tally


def _ended(*verdicts: Verdict) -> Tally:
    tally = Tally()
    for verdict in verdicts:
        tally.count(WaitResult("s", verdict, None, None, None, 0.0, 0))
    return tally


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ((), 0),
        ((Verdict.SUCCESS,), 0),
        ((Verdict.SUCCESS, Verdict.FAILURE), 1),
        ((Verdict.UNREACHABLE,), 1),
        ((Verdict.MISSING, Verdict.TIMEOUT), 1),
        ((Verdict.SUCCESS, Verdict.TIMEOUT), 3),
        ((Verdict.ERROR, Verdict.FAILURE, Verdict.TIMEOUT), 4),
    ],
)
def test_exit_status(verdicts: tuple[Verdict, ...], status: int) -> None:
    assert _ended(*verdicts).exit_status == status


def test_an_interruption_goes_before_everything() -> None:
    tally = _ended(Verdict.ERROR, Verdict.FAILURE)
    tally.interrupted = True
    assert tally.exit_status == 130
