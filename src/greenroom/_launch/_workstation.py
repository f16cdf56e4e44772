"""How one workstation comes up: created, waited for, remedied, streamed, and settled by one line.

The story is a loop over attempts. An attempt is one session: it is intended, made, and waited for.
Where it fails, the remedies say whether there is another. Whatever interrupts the loop, there is
exactly one ending, and what did not succeed is deleted first where the policy says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from greenroom._errors import JournalError, SourceError
from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._account import Attempt, Deletion
from greenroom._launch._asking import Stopped
from greenroom._launch._deleting import delete
from greenroom._launch._remedies import (
    UNKNOWN,
    Action,
    Again,
    GiveUp,
    next_step,
    remedy_for,
)
from greenroom._launch._streaming import make_stream
from greenroom._states import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._launch._account import Line
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._site import Site
    from greenroom._results import WaitResult

READY = "READY"


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a workstation.

    Attributes:
        verdict: The verdict.
        state: The last state seen of its session.
        reason: The code that explains it.
        message: The sentence that goes with it.
        cause: What the report groups it by; None for a success.
    """

    verdict: Verdict
    state: str | None = None
    reason: str | None = None
    message: str | None = None
    cause: str | None = None


class Workstation:
    """One workstation on its way.

    Args:
        site: The launch.
        line: Its line of the account.
    """

    def __init__(self, site: Site, line: Line) -> None:
        self._site = site
        self._line = line
        self._spec = line.spec
        self._key = line.spec.key
        self._reads = 0

    async def run(self, *, has_leave: bool) -> None:
        """Bring it up, and settle it.

        Args:
            has_leave: Whether there is leave for its first create already.
        """
        try:
            ending = await self._come_up(has_leave=has_leave)
        except Stopped:
            ending = self._cut_short()
        if ending.verdict is not Verdict.SUCCESS and self._site.policy.on_failure == "delete":
            await self._delete_what_is_left()
        self.settle(ending)

    def settle(self, ending: Ending | None = None) -> None:
        """Write its line; that of one that was never begun where there is no ending."""
        site, line = self._site, self._line
        ending = ending or self._cut_short()
        now = site.clock.now()
        began = line.attempts[0].asked_at if line.attempts else now
        site.recorder.record(
            events.Settled(
                at=now,
                key=self._key,
                verdict=ending.verdict,
                id=line.session_id,
                state=ending.state,
                reason=ending.reason,
                message=ending.message,
                elapsed=max(0.0, (now - began).total_seconds()),
                reads=self._reads,
                cause=ending.cause,
            )
        )
        site.settled(ending.verdict, ending.cause)

    async def _come_up(self, *, has_leave: bool) -> Ending:
        attempt = await self._first_attempt(has_leave=has_leave)
        while True:
            if attempt.refusal is None and attempt.failure is None:
                assert attempt.id is not None
                result = await self._wait(attempt.id)
                if result.verdict is Verdict.SUCCESS and self._site.policy.stream:
                    return await self._stream(attempt.id, result)
                if result.verdict is not Verdict.FAILURE:
                    return _ending(result)
                self._tell(
                    events.AttemptFailed,
                    attempt,
                    id=attempt.id,
                    cause=result.reason or result.state or result.verdict.value,
                    message=result.message,
                )
                attempt = self._line.attempts[-1]
            step = self._next_step()
            if isinstance(step, GiveUp):
                return self._give_up(attempt, step)
            if attempt.id is not None and self._site.policy.on_failure == "delete":
                self._site.tasks.start_soon(delete, self._site, self._key, attempt.id)
            attempt = await self._another_attempt(step)

    async def _first_attempt(self, *, has_leave: bool) -> Attempt:
        """Return the attempt to go on with, which a resumed launch may have begun already."""
        attempts = self._line.attempts
        if not attempts:
            types = self._spec.instance_types
            return await self._attempt(types[0] if types else None, has_leave=has_leave)
        last = attempts[-1]
        if last.answered_at is None:
            await self._site.asker.leave(self._site.asking)
            return await self._ask_for_session(last, heard=True)
        if last.deletion is Deletion.ASKED and last.id is not None:
            await delete(self._site, self._key, last.id)
            last = attempts[-1]
        if last.refusal is not None or last.deletion is Deletion.DONE:
            step = self._next_step() if last.cause else None
            again = step if isinstance(step, Again) else Again(last.instance_type)
            return await self._another_attempt(again)
        return last

    def _next_step(self) -> Again | GiveUp:
        causes = [each.cause for each in self._line.attempts if each.cause is not None]
        return next_step(causes, self._spec.instance_types, self._site.policy.remedies)

    async def _another_attempt(self, step: Again) -> Attempt:
        site = self._site
        if step.pause:
            with site.creating.minded():
                await anyio.sleep(site.policy.backoff.delay(step.pause))
        if not step.hold:
            return await self._attempt(step.instance_type)
        site.hold(self._line.attempts[-1].cause or UNKNOWN, "held until a session ends")
        await site.worth_another_try(1)
        await site.asker.leave(site.creating)
        return await self._attempt(step.instance_type, has_leave=True)

    async def _attempt(self, instance_type: str | None, *, has_leave: bool = False) -> Attempt:
        """Intend one more session, then ask for it."""
        site = self._site
        if not has_leave:
            await site.leave_to_create()
        number = len(self._line.attempts) + 1
        site.record(
            events.CreateIntended,
            key=self._key,
            attempt=number,
            token=site.token(self._key, number),
            instance_type=instance_type,
        )
        try:
            await site.recorder.durable()
            site.creating.check()
        except (JournalError, Stopped):
            site.asker.give_back()
            raise Stopped from None
        return await self._ask_for_session(self._line.attempts[-1])

    async def _ask_for_session(self, attempt: Attempt, *, heard: bool = False) -> Attempt:
        """Ask for the session of an attempt, for which there is leave, until there is an answer.

        Args:
            attempt: The attempt.
            heard: Whether an earlier call may have been carried out.
        """
        site, spec = self._site, self._spec

        async def call() -> str:
            return await site.studio.create_session(
                launch_profile_id=spec.launch_profile_id,
                streaming_image_id=spec.streaming_image_id,
                instance_type=attempt.instance_type,
                owner=spec.owner,
                tags=spec.tags or None,
                client_token=attempt.token,
            )

        sign, tries = site.asking if heard else site.creating, 0
        while True:
            try:
                session_id = await site.asker.insist(call, sign, unsure=site.asking)
            except SourceError as error:
                cause = error.code or type(error).__name__
                if remedy_for(cause, site.policy.remedies).action is Action.HOLD:
                    tries += 1
                    site.hold(cause, str(error))
                    await site.worth_another_try(tries)
                    await site.asker.leave(site.creating)
                    continue
                self._tell(events.CreateRefused, attempt, cause=cause, message=str(error))
                site.room_for_one()  # if this was let pass by a hold, another may
            else:
                self._tell(events.Created, attempt, id=session_id)
                site.keys[session_id] = self._key
                site.made()
            return self._line.attempts[-1]

    def _tell(self, make: Callable[..., LaunchEvent], attempt: Attempt, **members: object) -> None:
        self._site.record(make, key=self._key, attempt=attempt.number, **members)

    async def _wait(self, session_id: str) -> WaitResult:
        site = self._site
        site.keys[session_id] = self._key
        with site.waiting.minded():
            results = await site.poller.wait_all((session_id,), until=READY, timeout=site.left())
        result = results[session_id]
        self._reads += result.reads
        for change in result.history:
            site.saw(change)
        return result

    async def _stream(self, session_id: str, ready: WaitResult) -> Ending:
        outcome = await make_stream(self._site, self._line, session_id)
        self._reads += outcome.reads
        if outcome.verdict is Verdict.SUCCESS:
            return _ending(ready)
        return Ending(outcome.verdict, ready.state, outcome.cause, outcome.message, outcome.cause)

    def _give_up(self, attempt: Attempt, step: GiveUp) -> Ending:
        ending = attempt.refusal or attempt.failure
        assert ending is not None
        if step.stop:
            advice = remedy_for(ending.cause, self._site.policy.remedies).advice
            said = (ending.message or ending.cause).rstrip(".")
            self._site.stop(ending.cause, f"{said}. {advice}")
        verdict = Verdict.ERROR if attempt.refusal is not None else Verdict.FAILURE
        return Ending(verdict, attempt.state, ending.cause, ending.message, ending.cause)

    def _cut_short(self) -> Ending:
        """Return how it ends for one that a stop sign found on its way, or not begun at all."""
        sign = self._site.creating
        late = sign.cause == _site.TIMEOUT
        verdict = Verdict.TIMEOUT if late else Verdict.CANCELLED
        last = self._line.attempts[-1] if self._line.attempts else None
        if last is None:
            return Ending(verdict, None, None, f"not created: {sign.message}", sign.cause)
        cause = last.cause or sign.cause
        if last.answered_at is None:
            message = "whether it was created is not known; a resumed launch finds out"
            return Ending(verdict, None, None, message, cause)
        return Ending(verdict, last.state, last.cause or last.reason, sign.message, cause)

    async def _delete_what_is_left(self) -> None:
        last = self._line.attempts[-1] if self._line.attempts else None
        if last is None or last.id is None or last.deletion is not None:
            return
        if last.state is None or last.state != self._site.studio.table.gone:
            await delete(self._site, self._key, last.id)


def _ending(result: WaitResult) -> Ending:
    """Return how it ends for a session that was waited for."""
    if result.verdict is Verdict.SUCCESS:
        return Ending(result.verdict, result.state, result.reason, result.message)
    code = getattr(result.error, "code", None)
    cause = code or result.verdict.name
    message = result.message if result.verdict is Verdict.ERROR else result.explanation
    return Ending(result.verdict, result.state, result.reason, message, cause)
