"""What is said of a fleet, in lines and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from greenroom._launch._lines import Deletion
from greenroom._states import Verdict
from greenroom.cli._printing import Summary, print_json, printable, shell_word, timestamp
from greenroom.cli._status import Tally
from greenroom.cli.launch._told import JsonLaunch, TextLaunch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom._launch._lines import Attempt, WorkstationResult
    from greenroom._launch._report import LaunchReport
    from greenroom.temporal import FleetStatus


def in_words(found: FleetStatus) -> str:
    """Return how a fleet stands, as a line."""
    pending = [each for each in found.report.values() if each.verdict is Verdict.PENDING]
    begun = sum(bool(each.attempts) for each in pending)
    ready = len(found.report.succeeded)
    others = len(found.report) - ready - len(pending)
    parts = [f"{ready} of {len(found.report)} ready"]
    if begun:
        parts.append(f"{begun} on their way")
    if len(pending) > begun:
        parts.append(f"{len(pending) - begun} to begin")
    if others:
        parts.append(f"{others} not")
    shards = f"{found.settled} of {found.shards} shards over, {found.running} with workers"
    waiting = found.shards - found.settled - found.running
    if waiting and not found.over:
        shards += f", {waiting} waiting for one"
    if found.deleting:
        shards += f", {found.deleting} deleting"
    if found.cancelled is not None:
        shards += f"; cancelled, sessions: {found.cancelled}"
    return printable(f"{found.id}: {', '.join(parts)} ({shards})")


def troubles(found: FleetStatus) -> dict[str, str]:
    """Return a line for each reason for which shards were given back."""
    counts = Counter(found.trouble.values())
    return {
        why: printable(f"{count} shard{'s' if count > 1 else ''}: {why}")
        for why, count in counts.most_common()
    }


def unattended(found: FleetStatus) -> str | None:
    """Return what to do where nobody works for a fleet; None where somebody does."""
    if found.over or found.running or found.workers != 0:
        return None
    queue = shell_word(found.task_queue)
    return f"no worker polls the task queue {queue}: greenroom worker --task-queue {queue}"


def members(found: FleetStatus) -> dict[str, Any]:
    """Return how a fleet stands, as JSON has it."""
    return {
        "id": found.id,
        "over": found.over,
        "cancelled": found.cancelled,
        "deadline": None if found.deadline is None else timestamp(found.deadline),
        "task_queue": found.task_queue,
        "workers": found.workers,
        "shards": found.shards,
        "settled": found.settled,
        "running": found.running,
        "deleting": found.deleting,
        "trouble": {str(number): why for number, why in found.trouble.items()},
    }


def print_pending(report: LaunchReport) -> None:
    """Print a JSON line for each workstation that is on its way, or to begin."""
    for key, result in report.items():
        if result.verdict is Verdict.PENDING:
            print_json(
                {
                    "event": "pending",
                    "id": result.id,
                    "key": key,
                    "state": result.state,
                    "reason": result.reason,
                    "attempts": len(result.attempts),
                }
            )


def summary_of(report: LaunchReport) -> Summary:
    """Return the figures of an account."""
    tally = Tally()
    for result in report.values():
        tally.count(result)
    return Summary(len(report), tally, report.calls, report.throttled, report.elapsed)


def teller(fleet_id: str, *, as_json: bool) -> JsonLaunch | TextLaunch:
    """Return who is told what becomes of a fleet's workstations."""
    if as_json:
        return JsonLaunch()
    return TextLaunch(
        verbose=False,
        listing=f"`greenroom fleet status {shell_word(fleet_id)} --output json`",
        advised=for_a_fleet,
    )


def for_a_fleet(advice: str) -> str:
    """Return advice for single launches as it is for a fleet, which is never resumed."""
    return re.sub(
        r"\b([Rr])esume\b( it| the launch)?",
        lambda found: f"{'L' if found[1] == 'R' else 'l'}aunch what is missing as another fleet",
        advice,
    )


def became_of_sessions(found: FleetStatus) -> str:
    """Return how many sessions of a cancelled fleet were deleted, and how many were kept."""
    every = [*_sessions(found)]
    kept = [result for result, attempt in every if attempt.deletion is not Deletion.DONE]
    unready = sum(result.verdict is not Verdict.SUCCESS for result in kept)
    said = f"sessions: {len(every) - len(kept)} deleted, {len(kept)} kept"
    if kept:
        said += f", {unready} of them not ready; what was kept may still be billed"
    return said


def left(found: FleetStatus) -> list[str]:
    """Return the sessions that were to be deleted, and are not known to be."""
    deleting, ready_too = found.cancelled not in (None, "keep"), found.cancelled == "delete"
    return [
        attempt.id
        for result, attempt in _sessions(found)
        if attempt.id is not None
        and (
            attempt.deletion is Deletion.FAILED
            or (
                deleting
                and attempt.deletion is not Deletion.DONE
                and (ready_too or result.verdict is not Verdict.SUCCESS)
            )
        )
    ]


def _sessions(found: FleetStatus) -> Iterator[tuple[WorkstationResult, Attempt]]:
    for result in found.report.values():
        for attempt in result.attempts:
            if attempt.id is not None:
                yield result, attempt
