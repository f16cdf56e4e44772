"""How one workstation comes up: created, waited for, remedied, streamed, and settled by one line.

The story is a loop over attempts. An attempt is one session: it is intended, made, and waited for.
Where it fails, the remedies say whether there is another. Whatever interrupts the loop, there is
exactly one ending, and what did not succeed is deleted first where the policy says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._asking import RETRY
from greenroom._launch._creating import create
from greenroom._launch._deleting import finish_deleting, intend_to_delete
from greenroom._launch._ending import Ending, cause_of, ending_of
from greenroom._launch._lines import Deletion
from greenroom._launch._signs import Stopped
from greenroom._launch._steps import Again, GiveUp, next_step
from greenroom._launch._streaming import make_stream
from greenroom._remedies import UNKNOWN
from greenroom._states import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._launch._creating import Request
    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._lines import Attempt, Line
    from greenroom._launch._site import Site
    from greenroom._poller import Poller
    from greenroom._results import WaitResult


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
        self._ready = site.studio.launches.ready

    async def run(self, request: Request | None = None) -> None:
        """Bring it up, and settle it.

        Args:
            request: What asks for its session already, if anything does.
        """
        site = self._site
        try:
            ending = await self._come_up(request)
        except Stopped as stopped:
            ending = self._cut_short(stopped)
        elapsed = self._elapsed()
        # Where somebody closed the poller, nothing was decided about the session: it may be ready.
        undecided = ending.cause == Verdict.CANCELLED.name
        unwanted = ending.verdict is not Verdict.SUCCESS and not undecided
        if unwanted and site.policy.on_failure == "delete":
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
        cause, remedies = ending.cause, self._site.remedies
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
            cause=cause,
            row=ending.row,
            advice=None if cause is None else remedies.advice(cause, ending.row),
        )
        self._site.settled(ending.verdict, cause, ending.row)

    def _elapsed(self) -> float:
        now, attempts = self._site.clock.now(), self._line.attempts
        return max(0.0, (now - attempts[0].asked_at).total_seconds()) if attempts else 0.0

    async def _come_up(self, request: Request | None) -> Ending:
        if request is not None:
            await request.answered()
            attempt = self._line.attempts[-1]
        else:
            attempt = await self._attempt_to_go_on_with()
        while True:
            if attempt.refusal is None and attempt.failure is None:
                assert attempt.id is not None
                result = await self._wait(attempt.id)
                if result.verdict is Verdict.SUCCESS and self._site.policy.stream:
                    ending = await make_stream(self._site, self._line, attempt.id, result)
                    self._reads += ending.reads
                    return ending
                if not self._is_failed_attempt(result):
                    return ending_of(result, self._site.remedies)
                self._tell(
                    events.AttemptFailed,
                    attempt,
                    id=attempt.id,
                    cause=result.reason or cause_of(result),
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

    def _is_failed_attempt(self, result: WaitResult) -> bool:
        """Return whether a session failed, rather than was taken away by somebody."""
        deaths = self._site.studio.launches.deaths
        died = result.state in deaths and bool(result.reason)
        return result.verdict is Verdict.FAILURE or (result.verdict is Verdict.UNREACHABLE and died)

    async def _attempt_to_go_on_with(self) -> Attempt:
        """Return the attempt that was begun before the launch was taken up, or another one."""
        last = self._line.attempts[-1]
        ended = last.refusal is not None or last.failure is not None
        reopened = self._line.begun_anew == len(self._line.attempts)
        if last.refusal is not None or (ended and reopened):
            return await self._another_attempt(Again(last.choice))
        if not ended and last.deletion in (Deletion.ASKED, Deletion.DONE):
            return await self._another_attempt(Again(last.choice))
        return last

    def _next_step(self) -> Again | GiveUp:
        attempts = self._line.attempts
        counted = attempts[self._line.begun_anew :] or attempts[-1:]
        tried = [(each.row, each.choice) for each in counted if each.row is not None]
        return next_step(tried, self._spec.choices(), self._site.remedies)

    async def _another_attempt(self, step: Again) -> Attempt:
        site = self._site
        if step.pause:
            with site.creating.minded():
                await anyio.sleep(site.policy.backoff.delay(step.pause))
        if step.hold:
            site.hold(self._line.attempts[-1].cause or UNKNOWN, "held until a session ends")
            await site.worth_another_try(1)
        else:
            await site.room_for_one()
        return await create(site, self._line, step.choice)

    def _tell(self, make: Callable[..., LaunchEvent], attempt: Attempt, **members: object) -> None:
        self._site.record(make, key=self._key, attempt=attempt.number, **members)

    async def _wait(self, session_id: str) -> WaitResult:
        """Wait until a session is ready and has passed the checks, or something else is certain."""
        result = await self._wait_with(self._site.poller, session_id, self._ready)
        for change in result.history:
            self._site.saw(change)
        for until, poller in self._site.checks.items():
            if result.verdict is not Verdict.SUCCESS:
                break
            checked = await self._wait_with(poller, session_id, until)
            if checked.verdict is Verdict.SUCCESS:
                self._site.record(events.CheckPassed, key=self._key, id=session_id, until=until)
            elif checked.verdict in (Verdict.UNREACHABLE, Verdict.MISSING):
                result = await self._reread(session_id)
                return checked if result.verdict is Verdict.SUCCESS else result
            else:
                return checked
        return result

    async def _reread(self, session_id: str) -> WaitResult:
        """Read a session again, which the checks say is no longer ready: it knows why.

        For a while it may still be shown as it was before.
        """
        poller, since, looks = self._site.poller, anyio.current_time(), 0
        while True:
            result = await self._wait_with(poller, session_id, self._ready)
            for change in result.history:
                self._site.saw(change)
            seen_long_enough = anyio.current_time() - since >= poller.settle
            if result.verdict is not Verdict.SUCCESS or seen_long_enough:
                return result
            looks += 1
            with self._site.waiting.minded():
                await anyio.sleep(RETRY.delay(looks))

    async def _wait_with(self, poller: Poller, session_id: str, until: str) -> WaitResult:
        site = self._site
        site.keys[session_id] = self._key
        with site.waiting.minded():
            results = await poller.wait_all(
                (session_id,), until=until, timeout=site.deadline.left()
            )
        self._reads += results[session_id].reads
        return results[session_id]

    def _give_up(self, attempt: Attempt, step: GiveUp) -> Ending:
        ending = attempt.refusal or attempt.failure
        assert ending is not None
        if step.stop:
            advice = self._site.remedies.of(attempt.row).advice
            said = (ending.message or ending.cause).rstrip(".")
            self._site.stop(ending.cause, f"{said}. {advice}")
        return Ending(
            Verdict.ERROR if attempt.refusal is not None else Verdict.FAILURE,
            attempt.failed_in,
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
        state = last.failed_in or last.state
        return Ending(verdict, state, reason, stopped.message, cause, last.row)
