"""Whether the account of a launch that is over is true, by what happened at the studio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.campaign.judge import promise

from greenroom import LaunchReport, Verdict

ATTEMPTS = {"INSUFFICIENT_CAPACITY": 2, "INITIALIZATION_SCRIPT_ERROR": 1}
"""Sessions after which a failure is for good, where two types may be tried; else `USUALLY`."""
USUALLY = 3


def judge(
    report: LaunchReport, truth: Mapping[str, Sequence[Any]], keys: Sequence[str], *, deleted: bool
) -> Counter[str]:
    """Hold an account against the true changes of every session; return the verdicts.

    Args:
        report: The account.
        truth: The changes of every session that was ever made.
        keys: The workstations that were wanted.
        deleted: Whether what failed was to be deleted.

    Raises:
        Broken: Something is lost, doubled or wrong.
    """
    promise([*report] == [*keys], f"lines of {[*report]}")
    made = [attempt for result in report.values() for attempt in result.attempts]
    named = Counter(str(attempt.id) for attempt in made)
    promise(named.keys() == truth.keys(), f"lost, or made up: {named.keys() ^ truth.keys()}")
    promise(named.total() == len(truth), f"named twice: {named - Counter(truth.keys())}")
    promise(len({attempt.token for attempt in made}) == len(made), "a token names two attempts")
    for key, result in report.items():
        ids = [str(attempt.id) for attempt in result.attempts]
        states = {id_: [change.state for change in truth[id_]] for id_ in ids}
        alive = [id_ for id_ in ids if states[id_][-1] not in ("CREATE_FAILED", "DELETED")]
        said = f"{key} is {result.verdict} ({result.state}, {result.message}), truly {states}"
        if result.verdict is Verdict.SUCCESS:
            promise(alive == [ids[-1]] and states[ids[-1]][-1] == result.state == "READY", said)
        else:
            promise(result.verdict is Verdict.FAILURE and not alive, said)
            promise(result.state == "CREATE_FAILED", said)
            changes = [change for id_ in ids for change in truth[id_]]
            causes = Counter(each.status_code for each in changes if each.state == "CREATE_FAILED")
            promise(any(n >= ATTEMPTS.get(cause, USUALLY) for cause, n in causes.items()), said)
        if deleted:
            promise(all(states[id_][-1] == "DELETED" for id_ in ids if id_ not in alive), said)
    return Counter(result.verdict.value for result in report.values())
