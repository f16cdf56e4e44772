"""How a READY workstation gets its stream: asked for, waited for, and its secret handed over.

The URL goes from the service's answer into a `StreamAccess` and nowhere else.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from greenroom._errors import AccessDenied, InvalidRequest, JournalError, SourceError
from greenroom._launch import _events as events
from greenroom._launch._asking import Stopped
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._launch._account import Line
    from greenroom._launch._site import Site
    from greenroom._results import WaitResult

ATTEMPTS = 3
"""Streams that are made of one session at most."""

_UNDECIDED = (Verdict.TIMEOUT, Verdict.ERROR, Verdict.CANCELLED)


class Streamed(NamedTuple):
    """What came of it.

    Attributes:
        verdict: The verdict.
        reads: Answers about the stream.
        cause: The code that explains it; None for a success.
        message: The sentence that goes with it.
    """

    verdict: Verdict
    reads: int
    cause: str | None = None
    message: str | None = None


async def make_stream(site: Site, line: Line, session_id: str) -> Streamed:
    """Make a stream, or take up the one that a resumed launch had begun, and wait for it.

    Raises:
        Stopped: A stop sign went up first.
    """
    reads = 0
    while True:
        try:
            stream_id = await _made(site, line, session_id)
        except SourceError as error:
            refused = isinstance(error, AccessDenied | InvalidRequest)
            cause = error.code or type(error).__name__
            verdict = Verdict.ERROR if refused else Verdict.FAILURE
            return Streamed(verdict, reads, cause, f"no stream was made: {error}")
        result = await _wait(site, line, session_id, stream_id)
        reads += result.reads
        if result.verdict is Verdict.SUCCESS:
            return Streamed(result.verdict, reads)
        cause = result.reason or result.verdict.name
        message = f"its stream is not ready: {result.explanation}"
        if result.verdict in _UNDECIDED:
            return Streamed(result.verdict, reads, cause, message)
        site.record(
            events.StreamFailed, key=line.spec.key, id=session_id, stream_id=stream_id, cause=cause
        )
        if line.streams >= ATTEMPTS:
            return Streamed(Verdict.FAILURE, reads, cause, message)


async def _made(site: Site, line: Line, session_id: str) -> str:
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
        except JournalError:
            site.asker.give_back()
            raise Stopped from None
    stream_id = await site.asker.insist(
        lambda: site.studio.create_stream(
            session_id, client_token=token, expires_in=site.policy.stream_expires_in
        ),
        site.asking,
    )
    site.record(events.StreamCreated, key=key, id=session_id, stream_id=stream_id)
    return stream_id


async def _wait(site: Site, line: Line, session_id: str, stream_id: str) -> WaitResult:
    id_ = f"{session_id}/{stream_id}"
    with site.waiting.minded():
        results = await site.streams.wait_all((id_,), until="READY", timeout=site.left())
    result = results[id_]
    if result.verdict is Verdict.SUCCESS:
        expires_at, url = (result.resource.get(name) for name in ("expiresAt", "url"))
        site.record(
            events.StreamReady,
            key=line.spec.key,
            id=session_id,
            stream=events.StreamAccess(
                stream_id,
                expires_at if isinstance(expires_at, datetime) else None,
                url if isinstance(url, str) else None,
            ),
        )
    return result
