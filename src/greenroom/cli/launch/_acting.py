"""Runs `greenroom start`, `stop` and `delete` on sessions that exist, and tells how it went."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel

from greenroom._launch._acting import act
from greenroom._results import WaitResult
from greenroom._states import Verdict
from greenroom.cli._wait import Event, open_run

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from greenroom._launch._acting import ActionName
    from greenroom._launch._provider import Provider
    from greenroom.cli._options import Asked
    from greenroom.cli._printing import Report
    from greenroom.cli._screen import Screen
    from greenroom.cli._wait import Run


async def carry_out(
    asked: Asked, action: ActionName, timeout: float | None, report: Report, screen: Screen
) -> int:
    """Act on all the sessions, and return the exit status.

    What an interruption cuts short has the verdict CANCELLED; the action may have been heard.
    """
    send, receive = anyio.create_memory_object_stream[Event](math.inf)
    async with send, receive, open_run(asked, report, screen) as run, run.poller:
        run.poller.on("*", send.send_nowait)
        run.progress.begin(asked.ids, anyio.current_time())
        settled: set[str] = set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_act, asked, action, timeout, run, send)
            async with run.attended():
                async for event in receive:
                    run.tell(event)
                    if isinstance(event, WaitResult):
                        settled.add(event.id)
            tasks.cancel_scope.cancel()
        for session_id in asked.ids:
            if session_id not in settled:
                run.tell(_cancelled(session_id))
        run.summarise()
    return run.tally.exit_status


async def _act(
    asked: Asked,
    action: ActionName,
    timeout: float | None,
    run: Run,
    send: MemoryObjectSendStream[Event],
) -> None:
    with send:
        studio = cast("Provider", run.source)
        await act(
            studio,
            action,
            asked.ids,
            timeout=timeout,
            poller=run.poller,
            changes=run.poller.limiter,
            tell=send.send_nowait,
        )
        await anyio.lowlevel.checkpoint()  # changes of the last answer may be yet to be heard


def _cancelled(session_id: str) -> WaitResult:
    message = "interrupted; the action may have been heard"
    return WaitResult(
        id=session_id,
        verdict=Verdict.CANCELLED,
        state=None,
        reason=None,
        message=message,
        elapsed=0.0,
        reads=0,
        explanation=f"{session_id}: {message}",
    )
