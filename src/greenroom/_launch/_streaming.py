"""How a READY workstation gets its stream: asked for, waited for, and its secret handed over.

The URL goes from the service's answer into a `StreamAccess` and nowhere else. What goes wrong is
treated by the same remedies as sessions are; only that another choice does not help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from greenroom._errors import AccessDenied, InvalidRequest, JournalError, SourceError
from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._ending import Ending, cause_of, ending_of
from greenroom._launch._signs import Stopped
from greenroom._launch._steps import GiveUp, next_step
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._launch._lines import Line
    from greenroom._launch._site import Site
    from greenroom._launch_kind import Streams
    from greenroom._results import WaitResult

_UNDECIDED = (Verdict.TIMEOUT, Verdict.ERROR, Verdict.CANCELLED)


async def make_stream(site: Site, line: Line, session_id: str, ready: WaitResult) -> Ending:
    """Make a stream, or take up the one that a resumed launch had begun, and wait for it.

    Args:
        site: The launch.
        line: The workstation's line.
        session_id: Its session.
        ready: What was seen of the session.

    Raises:
        Stopped: A stop sign went up first.
    """
    streams = site.studio.launches.streams
    assert streams is not None
    remedies = site.remedies
    rows: list[str] = []
    reads = 0
    while True:
        stream_id = None
        try:
            stream_id = await _made(site, streams, line, session_id)
            result = await _wait(site, streams, line, session_id, stream_id)
        except SourceError as error:
            refused = isinstance(error, AccessDenied | InvalidRequest)
            verdict = Verdict.ERROR if refused else Verdict.FAILURE
            cause = error.code or type(error).__name__
            rows.append(remedies.row_of(error))
            message = f"no stream was made: {error}"
        else:
            reads += result.reads
            if result.verdict is Verdict.SUCCESS:
                return ending_of(ready, remedies)._replace(reads=reads)
            verdict, cause = Verdict.FAILURE, result.reason or result.verdict.name
            message = f"its stream is not ready: {result.explanation}"
            if result.verdict in _UNDECIDED:
                cause = cause_of(result)
                return Ending(result.verdict, ready.state, cause, message, cause, reads=reads)
            rows.append(cause)
        site.record(
            events.StreamFailed, key=line.spec.key, id=session_id, stream_id=stream_id, cause=cause
        )
        step = next_step([(row, {}) for row in rows], ({},), remedies)
        if isinstance(step, GiveUp):
            if step.stop:
                site.stop(cause, f"{message.rstrip('.')}. {remedies.of(rows[-1]).advice}")
            return Ending(verdict, ready.state, cause, message, cause, rows[-1], reads)
        if step.pause or step.hold:
            with site.asking.minded():
                await anyio.sleep(site.policy.backoff.delay(step.pause or len(rows)))


async def _made(site: Site, streams: Streams, line: Line, session_id: str) -> str:
    """Return the id of the stream to wait for."""
    if line.stream is not None:
        return line.stream.stream_id
    key, token = line.spec.key, line.stream_token
    await site.asker.leave(site.asking)
    if token is None:
        token = site.token(key, len(line.attempts), "stream", line.streams + 1)
        site.record(events.StreamIntended, key=key, id=session_id, token=token)
        try:
            await site.recorder.durable()
        except JournalError as error:
            site.asker.give_back()
            raise Stopped(_site.JOURNAL, str(error)) from None
    stream_id = await site.asker.insist(
        lambda: streams.create(site.studio, session_id, token, site.policy.stream_expires_in),
        site.asking,
        operation="create_stream",
    )
    site.record(events.StreamCreated, key=key, id=session_id, stream_id=stream_id)
    return stream_id


async def _wait(
    site: Site, streams: Streams, line: Line, session_id: str, stream_id: str
) -> WaitResult:
    assert site.streams is not None
    id_ = f"{session_id}/{stream_id}"
    with site.waiting.minded():
        results = await site.streams.wait_all(
            (id_,), until=streams.ready, timeout=site.deadline.left()
        )
    result = results[id_]
    if result.verdict is Verdict.SUCCESS:
        site.record(
            events.StreamReady,
            key=line.spec.key,
            id=session_id,
            stream=events.StreamAccess(stream_id, *streams.access(result.resource)),
        )
    return result
