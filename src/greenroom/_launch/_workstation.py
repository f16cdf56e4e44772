"""How one workstation comes up: created, waited for, remedied, streamed, and settled by one line.

The story is a loop over attempts. An attempt is one session: it is intended, made, and waited for.
Where it fails, the remedies say whether there is another. Whatever interrupts the loop, there is
exactly one ending, and what did not succeed is deleted first where the policy says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from greenroom._errors import JournalError, SourceError
from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._deleting import finish_deleting, intend_to_delete
from greenroom._launch._ending import Ending, cause_of, ending_of
from greenroom._launch._lines import Deletion
from greenroom._launch._remedies import (
    UNKNOWN,
    Action,
    Again,
    GiveUp,
    next_step,
    remedy_for,
    row_of,
)
from greenroom._launch._signs import Stopped
from greenroom._launch._streaming import make_stream
from greenroom._states import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._lines import Attempt, Line
    from greenroom._launch._site import Site
    from greenroom._results import WaitResult

READY = "READY"


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
        site = self._site
        try:
            ending = await self._come_up(has_leave=has_leave)
        except Stopped as stopped:
            ending = self._cut_short(stopped)
        elapsed = self._elapsed()
        if ending.verdict is not Verdict.SUCCESS and site.policy.on_failure == "delete":
            last = self._line.attempts[-1] if self._line.attempts else None
            gone = last is None or last.state == site.studio.table.gone
            if last is not None and last.id is not None and last.deletion is None and not gone:
                intend_to_delete(site, self._key, last.id)
                await finish_deleting(site, self._key, last.id)
        self._settle(ending, elapsed)

    def settle_unbegun(self) -> None:
        """Write the line of one that was never begun."""
        sign = self._site.creating
        self._settle(self._cut_short(Stopped(sign.cause or "", sign.message)), 0.0)

    def _settle(self, ending: Ending, elapsed: float) -> None:
        self._site.record(
            events.Settled,
            key=self._key,
            verdict=ending.verdict,
            id=self._line.session_id,
            state=ending.state,
            reason=ending.reason,
            message=ending.message,
            elapsed=elapsed,
            reads=self._reads,
            cause=ending.cause,
            row=ending.row,
        )
        self._site.settled(ending.verdict, ending.cause, ending.row)

    def _elapsed(self) -> float:
        now, attempts = self._site.clock.now(), self._line.attempts
        return max(0.0, (now - attempts[0].asked_at).total_seconds()) if attempts else 0.0

    async def _come_up(self, *, has_leave: bool) -> Ending:
        attempt = await self._first_attempt(has_leave=has_leave)
        while True:
            if attempt.refusal is None and attempt.failure is None:
                assert attempt.id is not None
                result = await self._wait(attempt.id)
                if result.verdict is Verdict.SUCCESS and self._site.policy.stream:
                    ending = await make_stream(self._site, self._line, attempt.id, result)
                    self._reads += ending.reads
                    return ending
                if result.verdict is not Verdict.FAILURE:
                    return ending_of(result)
                self._tell(
                    events.AttemptFailed,
                    attempt,
                    id=attempt.id,
                    cause=cause_of(result),
                    message=result.message,
                )
                attempt = self._line.attempts[-1]
            step = self._next_step()
            if isinstance(step, GiveUp):
                return self._give_up(attempt, step)
            self._replace(attempt)
            attempt = await self._another_attempt(step)

    def _replace(self, attempt: Attempt) -> None:
        """Let go of an attempt that failed and is followed by another."""
        site = self._site
        unwanted = site.policy.on_failure == "delete" and attempt.deletion is None
        if unwanted and attempt.id is not None:
            intend_to_delete(site, self._key, attempt.id)
            site.tasks.start_soon(finish_deleting, site, self._key, attempt.id)

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
        ended = last.refusal is not None or last.failure is not None
        reopened = self._line.begun_anew == len(attempts)
        if last.refusal is not None or (ended and reopened):
            return await self._another_attempt(Again(last.instance_type))
        if not ended and last.deletion in (Deletion.ASKED, Deletion.DONE):
            return await self._another_attempt(Again(last.instance_type))
        return last

    def _next_step(self) -> Again | GiveUp:
        attempts = self._line.attempts
        counted = attempts[self._line.begun_anew :] or attempts[-1:]
        rows = [each.row for each in counted if each.row is not None]
        return next_step(rows, self._spec.instance_types, self._site.policy.remedies)

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
        except (JournalError, Stopped) as error:
            site.asker.give_back()
            cause = error.cause if isinstance(error, Stopped) else _site.JOURNAL
            self._tell(
                events.CreateDeferred,
                self._line.attempts[-1],
                cause=cause,
                message=f"not created: {error}",
            )
            raise Stopped(cause, str(error)) from None
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
                row = row_of(error, site.policy.remedies)
                told = {"cause": error.code or type(error).__name__, "message": str(error)}
                if remedy_for(row, site.policy.remedies).action is Action.HOLD:
                    tries += 1
                    if tries == 1:
                        self._tell(events.CreateDeferred, attempt, **told)
                    site.hold(told["cause"], told["message"])
                    await site.worth_another_try(tries)
                    await site.asker.leave(site.creating)
                    continue
                self._tell(events.CreateRefused, attempt, row=row, **told)
                site.pass_on()  # if this was let pass by a hold, another may
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
            results = await site.poller.wait_all(
                (session_id,), until=READY, timeout=site.deadline.left()
            )
        result = results[session_id]
        self._reads += result.reads
        for change in result.history:
            site.saw(change)
        return result

    def _give_up(self, attempt: Attempt, step: GiveUp) -> Ending:
        ending = attempt.refusal or attempt.failure
        assert ending is not None
        if step.stop:
            advice = remedy_for(attempt.row, self._site.policy.remedies).advice
            said = (ending.message or ending.cause).rstrip(".")
            self._site.stop(ending.cause, f"{said}. {advice}")
        return Ending(
            Verdict.ERROR if attempt.refusal is not None else Verdict.FAILURE,
            attempt.state,
            ending.cause,
            ending.message,
            ending.cause,
            attempt.row,
        )

    def _cut_short(self, stopped: Stopped) -> Ending:
        """Return how it ends for one that was interrupted on its way, or not begun at all."""
        late = stopped.cause == _site.TIMEOUT
        verdict = Verdict.TIMEOUT if late else Verdict.CANCELLED
        last = self._line.attempts[-1] if self._line.attempts else None
        if last is None:
            return Ending(verdict, message=f"not created: {stopped.message}", cause=stopped.cause)
        if last.deferral is not None:
            why = last.deferral
            return Ending(verdict, None, why.cause, why.message, why.cause)
        if last.answered_at is None:
            trouble = self._site.asker.trouble
            heard = f" ({trouble})" if trouble else ""
            message = f"whether it was created is not known{heard}; a resumed launch finds out"
            return Ending(verdict, message=message, cause=stopped.cause)
        cause = last.cause or stopped.cause
        reason = last.cause or last.reason
        return Ending(verdict, last.state, reason, stopped.message, cause, last.row)
