"""How a session that did not succeed is deleted: recorded, asked for, waited for, accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from greenroom._errors import JournalError
from greenroom._launch import _events as events
from greenroom._launch._acting import Hands
from greenroom._launch._clock import Deadline
from greenroom._launch._lines import Deletion
from greenroom._launch._signs import StopSign
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._launch._lines import Attempt, Line
    from greenroom._launch._policy import LaunchPolicy
    from greenroom._launch._site import Site


def to_delete(line: Line, policy: LaunchPolicy) -> list[Attempt]:
    """Return the attempts of a line whose sessions are still to be deleted when it is taken up."""
    failed = [each for each in line.attempts if each.failure is not None and each.id is not None]
    unwanted = failed if policy.on_failure == "delete" else []
    return [
        each
        for each in line.attempts
        if each.deletion is Deletion.ASKED or (each in unwanted and each.deletion is None)
    ]


def intend_to_delete(site: Site, key: str, session_id: str) -> None:
    """Record that a session is to be deleted, so that a resumed launch sees it through."""
    site.record(events.DeleteIntended, key=key, id=session_id)


async def finish_deleting(site: Site, key: str, session_id: str) -> None:
    """Delete a session and wait until it is gone, or record why it is not.

    Nothing but cancellation interrupts this: who asked for a session to be deleted does not want to
    pay for it because the launch was stopped. Where the journal cannot be written it is left, for a
    resumed launch to delete: one that did not know whose doing it was would find it taken away.
    """
    site.keys[session_id] = key
    try:
        await site.recorder.durable()
    except JournalError:
        return
    problem = f"it was not gone after {site.policy.delete_timeout:g} s"
    with anyio.move_on_after(site.policy.delete_timeout):
        hands = Hands(site.studio, site.poller, site.asker, StopSign(), Deadline())
        result = await hands.carry_out("delete", session_id)
        for change in result.history:
            site.saw(change)
        problem = "" if result.verdict is Verdict.SUCCESS else result.explanation
    if problem:
        site.record(events.DeleteFailed, key=key, id=session_id, message=problem)
    else:
        site.record(events.Deleted, key=key, id=session_id)
        site.ended(session_id)
