"""How an action on a session that exists is carried out: asked for, and waited for to its end.

An action that does not fit the session's state is not the end of it. The session may be there
already, or on its way; or it is on its way elsewhere, and the action fits as soon as it arrives.
Nor is one on a session that is not found: it may be so new that the service does not know it yet.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio

from greenroom import _arguments
from greenroom._errors import ConfigurationError, Conflict, NotFound, SourceError
from greenroom._launch._asking import RETRY, Asker
from greenroom._launch._clock import Deadline
from greenroom._launch._groups import ungrouped
from greenroom._launch._provider import kind_of
from greenroom._launch._signs import Stopped, StopSign
from greenroom._limiter import Limiter, RateLimiter
from greenroom._poller import Poller
from greenroom._results import WaitResult, WaitResults
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._errors import GreenroomError
    from greenroom._launch._provider import Provider

ActionName = Literal["start", "stop", "delete"]

_ENDED = (Verdict.SUCCESS, Verdict.MISSING)
_UNDECIDED = (Verdict.TIMEOUT, Verdict.ERROR, Verdict.CANCELLED)


@dataclass(frozen=True, slots=True)
class Hands:
    """What it takes to act on a studio's sessions.

    Attributes:
        studio: The studio.
        poller: Waits for its sessions.
        asker: Makes the calls.
        sign: What ends it early.
        deadline: The end of all waits.
        patience: Seconds from the moment at which an action was accepted to the end of its wait, if
            that is sooner. Then the deadline is this action's alone.
    """

    studio: Provider
    poller: Poller
    asker: Asker
    sign: StopSign
    deadline: Deadline
    patience: float = math.inf

    async def carry_out(self, action: str, session_id: str) -> WaitResult:
        """Ask for an action until it is answered, and wait until it is done.

        The result's verdict is ERROR where the service refuses.
        """
        kind = self.studio.launches
        deed, table = kind.deeds[action], kind.table
        goal = deed.goal
        fits = {state for state, actions in table.actions.items() if deed.action in actions}
        # A session that the action does not fit exists: not to find it proves nothing.
        arrived = fits if goal == table.gone else fits | {goal}
        operation = f"{action}_session"
        call = partial(
            getattr(self.studio, operation), session_id, client_token=secrets.token_hex(16)
        )
        since, tries = anyio.current_time(), 0
        absent_since: float | None = None
        while True:
            try:
                await self.asker.ask(call, self.sign, operation=operation)
                self.deadline.move_up(self.patience)
                return await self._done(session_id, goal, fits)
            except (NotFound, Conflict) as error:
                not_found = isinstance(error, NotFound)
                if not_found and goal == table.gone:
                    absent_since = absent_since or anyio.current_time()
                    result = await self._wait(session_id, {goal})
                    absent_for = anyio.current_time() - absent_since
                    certain = result.state == goal or absent_for >= self.poller.not_found_grace
                    if result.verdict in _UNDECIDED or (certain and result.verdict in _ENDED):
                        return result
                    if result.verdict not in _ENDED:
                        absent_since = None  # it stands
                else:
                    result = await self._wait(session_id, arrived)
                    if result.state == goal and result.verdict is Verdict.UNREACHABLE:
                        return await self._wait(session_id, {goal})
                    missing = not_found and result.verdict is Verdict.MISSING
                    if missing or result.state == goal or result.verdict not in _ENDED:
                        return result
            except Stopped:
                return await self._wait(session_id, {goal})
            except SourceError as error:
                return _result(session_id, Verdict.ERROR, str(error), since, error)
            tries += 1
            with anyio.move_on_after(self.deadline.left()):
                await anyio.sleep(RETRY.delay(tries))

    async def _done(self, session_id: str, goal: str, fits: Collection[str]) -> WaitResult:
        """Wait until an action that was accepted is done.

        For a while reads may still tell of the time before it, when it looks as if nothing led to
        the goal.
        """
        accepted_at, looks = anyio.current_time(), 0
        while True:
            result = await self._wait(session_id, {goal})
            doubtful = result.verdict is Verdict.UNREACHABLE or (
                result.verdict is Verdict.FAILURE and result.state in fits
            )
            if not doubtful or anyio.current_time() - accepted_at >= self.poller.settle:
                return result
            if self.deadline.left() == 0:
                late = f"{session_id} is {result.state}, which may be old news, at the deadline"
                return replace(result, verdict=Verdict.TIMEOUT, explanation=late)
            looks += 1
            with anyio.move_on_after(self.deadline.left()):
                await anyio.sleep(RETRY.delay(looks))

    async def _wait(self, session_id: str, until: Iterable[str]) -> WaitResult:
        results = await self.poller.wait_all(
            (session_id,), until=until, timeout=self.deadline.left()
        )
        return results[session_id]


async def act(
    studio: Provider,
    action: ActionName,
    ids: Iterable[str],
    /,
    *,
    timeout: float | None,
    poller: Poller | None = None,
    changes: Limiter | None = None,
    in_flight: int = 10,
    tell: Callable[[WaitResult], object] | None = None,
) -> WaitResults:
    """Start, stop or delete sessions that exist, and wait until that is done.

    A session that is there already, or on its way, is a success in the end; one that is on its way
    elsewhere is acted on when it arrives. Deleting what does not exist is a success.

    Args:
        studio: Where the sessions are, as `nimble.connect` or `ec2.connect` yields it.
        action: `start`, `stop` or `delete`.
        ids: The sessions.
        timeout: Seconds from now to the deadline of all of them together; None for none.
        poller: An open poller of `studio` to wait with; None for one of its own.
        changes: The budget of the actions; None for one of its own of 5 calls per second.
        in_flight: Most of these calls at the same time.
        tell: Called with each result as it comes.

    Returns:
        Every session's result, in the order of `ids`. None of them raises; the verdict is ERROR
        where the service refuses the action.

    Raises:
        ConfigurationError: An argument cannot be right. Nothing was called.
        PollerClosed: The poller is not open.
    """
    kind = kind_of(studio)
    if not isinstance(action, str) or action not in kind.deeds:
        raise ConfigurationError(f"action={action!r} must be one of {', '.join(kind.deeds)}")
    unique = _arguments.unique_ids(ids)
    limit = _arguments.timeout(timeout)
    budget = (
        RateLimiter(max_rate=5, burst=5)
        if changes is None
        else _arguments.limiter("changes", changes)
    )
    if poller is None:
        async with Poller(studio) as own:
            return await act(
                studio,
                action,
                unique,
                timeout=timeout,
                poller=own,
                changes=budget,
                in_flight=in_flight,
                tell=tell,
            )
    if not isinstance(poller, Poller):
        raise ConfigurationError(f"poller={poller!r} must be a Poller(studio), or None")
    poller.check_open()
    room = _arguments.count("in_flight", in_flight)
    asker = Asker(budget, room, kind.remedies, observer=poller.observer)
    sign, deadline = StopSign(), Deadline(limit)
    hands = Hands(studio, poller, asker, sign, deadline)
    results: dict[str, WaitResult] = {}

    async def one(session_id: str) -> None:
        results[session_id] = await hands.carry_out(action, session_id)
        if tell is not None:
            tell(results[session_id])

    async def stop_at_deadline() -> None:
        await deadline.reached()
        sign.put_up("TIMEOUT", "the deadline was reached")

    with ungrouped():
        async with anyio.create_task_group() as beside:
            beside.start_soon(stop_at_deadline)
            async with anyio.create_task_group() as tasks:
                for session_id in unique:
                    tasks.start_soon(one, session_id)
            beside.cancel_scope.cancel()
    return WaitResults({session_id: results[session_id] for session_id in unique})


def _result(
    session_id: str,
    verdict: Verdict,
    message: str,
    since: float,
    error: GreenroomError | None = None,
) -> WaitResult:
    return WaitResult(
        id=session_id,
        verdict=verdict,
        state=None,
        reason=getattr(error, "code", None),
        message=message,
        elapsed=anyio.current_time() - since,
        reads=0,
        explanation=message,
        error=error,
    )
