"""How a run is judged: what became of the waits, and the exit status that says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._launch._lines import WorkstationResult
    from greenroom._results import WaitResult

OK = 0
FAILED = 1
BAD_USAGE = 2
TIMED_OUT = 3
REFUSED = 4
INTERRUPTED = 130
OUTPUT_CLOSED = 141

ENDINGS = (
    Verdict.SUCCESS,
    Verdict.FAILURE,
    Verdict.UNREACHABLE,
    Verdict.MISSING,
    Verdict.TIMEOUT,
    Verdict.ERROR,
    Verdict.CANCELLED,
)
"""The verdicts that a wait can end with, in the order in which summaries count them."""

WORDS = {
    Verdict.SUCCESS: "succeeded",
    Verdict.FAILURE: "failed",
    Verdict.UNREACHABLE: "unreachable",
    Verdict.MISSING: "missing",
    Verdict.TIMEOUT: "timed out",
    Verdict.ERROR: "refused",
    Verdict.CANCELLED: "not settled",
}
"""What people are told of each."""

HELP = """
Exit status:
  0    all succeeded
  1    at least one failed, is unreachable or is missing
  2    bad usage or configuration; nothing was waited for
  3    none failed, but at least one timed out
  4    the source refused: access denied, or an invalid request
  130  interrupted
Where several apply, 130 goes before 4, 4 before 1, and 1 before 3.
"""
"""The end of every polling command's help text."""


class Tally:
    """What became of the waits so far.

    Attributes:
        counts: Waits that ended, by verdict.
        interrupted: Whether the user ended the run.
    """

    def __init__(self) -> None:
        self.counts: Counter[Verdict] = Counter()
        self.interrupted = False

    def count(self, result: WaitResult | WorkstationResult) -> None:
        """Take in an outcome."""
        self.counts[result.verdict] += 1

    @property
    def exit_status(self) -> int:
        """The exit status of the run."""
        if self.interrupted:
            return INTERRUPTED
        if self.counts[Verdict.ERROR]:
            return REFUSED
        if any(self.counts[verdict] for verdict in _FAILURES):
            return FAILED
        return TIMED_OUT if self.counts[Verdict.TIMEOUT] else OK


_FAILURES = (Verdict.FAILURE, Verdict.UNREACHABLE, Verdict.MISSING, Verdict.CANCELLED)
