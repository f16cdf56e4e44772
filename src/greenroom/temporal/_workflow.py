"""The workflow of a fleet: which shards are under way, what came of them, and how it is cancelled.

It decides little, and knows no session. Each shard is one activity, which is given to another
worker when it is not heard of; what a shard knows travels with its heartbeats. A cancelled fleet
waits until its shards have seen their calls through, and only then are sessions deleted, by
activities of their own: so a deletion is as durable as a launch.

What it asks for, and in which order, has to agree with what fleets that are under way have behind
them: `tests/temporal/test_replay.py` replays such pasts.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TimedOut

from greenroom.temporal._orders import (
    CANCEL,
    END,
    LAUNCH,
    PENDING,
    SESSIONS,
    STATUS,
    WORKFLOW,
    FleetProgress,
    Plan,
    ShardOrder,
    ShardResult,
    more_thorough,
)

GRACE = 600.0
"""Seconds past the deadline in which a shard has to say what became of it."""

FOR_EVER = timedelta(days=365)
"""How long one attempt of a shard may take: heartbeats say whether it is at work."""

LEARNS_IN = timedelta(minutes=2)
"""How long a cancelled fleet may take to learn what its shards told; then it goes on without."""

MOST_AT_ONCE = 1_000_000
"""Bytes of the activities that one message to the server starts. It takes no message of 4 MB, and a
workflow that would send one is ended."""

LONGEST_HISTORY = 40_000_000
"""Bytes of history beyond which no activity is started. A server ends a workflow of 50 MB, wherever
it is; what is under way then still has to say what became of it."""

NO_ROOM = "the fleet's history is full: launch what is left, or delete it by its ids, by itself"

RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
)


@workflow.defn(name=WORKFLOW)
class FleetWorkflow:
    """One fleet."""

    def __init__(self) -> None:
        self._running: dict[int, workflow.ActivityHandle[ShardResult]] = {}
        self._results: dict[int, ShardResult] = {}
        self._lost: dict[int, str] = {}
        self._shards = 0
        self._cancelled: str | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._heard: dict[int, str] = {}
        self._starting = asyncio.Lock()
        self._started = 0

    @workflow.run
    async def run(self, plan: Plan, shards: list[str]) -> FleetProgress:
        """Launch every shard, and return when each has come to an end."""
        self._shards = len(shards)
        began_at = workflow.now().timestamp()
        deadline = None if plan.timeout is None else began_at + plan.timeout
        orders = [
            ShardOrder(
                fleet_id=workflow.info().workflow_id,
                number=number,
                specs=specs,
                plan=plan,
                deadline=deadline,
            )
            for number, specs in enumerate(shards)
        ]
        room = asyncio.Semaphore(plan.open_shards)
        launches = [asyncio.create_task(self._launch(order, room)) for order in orders]
        await self._finished(launches)
        deleted: str | None = None
        while self._cancelled not in (None, "keep", deleted):
            deleted = self._cancelled
            endings = [self._end(order, room, deleted or "") for order in orders]
            await self._finished([asyncio.create_task(ending) for ending in endings])
        return self.status()

    @workflow.signal(name=CANCEL)
    def cancel(self, sessions: str = "keep") -> None:
        """Launch nothing more.

        Args:
            sessions: What becomes of the sessions, one of `SESSIONS`. What was asked for before is
                not taken back by something milder.
        """
        if sessions not in SESSIONS:
            return
        if self._cancelled is None and self._running:
            self._cancelling = asyncio.create_task(self._cancel_running())
        self._cancelled = more_thorough(sessions, self._cancelled)

    @workflow.query(name=STATUS)
    def status(self) -> FleetProgress:
        """Return what is known here: of shards that are over. The others tell in heartbeats."""
        counts: dict[str, int] = {}
        for result in self._results.values():
            for verdict, count in result.counts.items():
                counts[verdict] = counts.get(verdict, 0) + count
        return FleetProgress(
            shards=self._shards,
            settled=len(self._results.keys() | self._lost.keys()),
            counts=counts,
            cancelled=self._cancelled,
            lost=self._lost,
        )

    async def _finished(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for all of them. To cancel the workflow cancels the fleet, and keeps sessions."""
        while True:
            try:
                await workflow.wait_condition(
                    lambda: all(task.done() for task in (*tasks, self._cancelling) if task)
                )
            except asyncio.CancelledError:
                self.cancel()
            else:
                break
        for task in tasks:
            if not task.cancelled():  # before its activity was asked for
                task.result()

    async def _cancel_running(self) -> None:
        """Cancel the shards that are under way, once it is known what their heartbeats told.

        A server forgets those of shards that no worker has, or whose worker is dead and not yet
        missed. That is asked for by a local activity, which waits for no place beside shards.
        """
        try:
            while told := await workflow.execute_local_activity(
                PENDING,
                [*self._heard],
                result_type=dict[int, str],
                schedule_to_close_timeout=LEARNS_IN,
                retry_policy=RETRY,
            ):
                self._heard.update(told)
        except ActivityError as error:
            workflow.logger.warning("fleet.unheard: %s", error.cause or error)
        for running in self._running.values():
            running.cancel()

    async def _launch(self, order: ShardOrder, room: asyncio.Semaphore) -> None:
        number = order.number
        async with room:
            has_room = await self._turn(len(order.specs))
            if self._cancelled is not None:
                return
            if not has_room:
                self._lost[number] = NO_ROOM
                return
            running = workflow.start_activity(
                LAUNCH,
                order,
                result_type=ShardResult,
                activity_id=f"launch-{number}",
                heartbeat_timeout=timedelta(seconds=order.plan.heartbeat_timeout),
                retry_policy=RETRY,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                schedule_to_close_timeout=_longest(order.plan),
                start_to_close_timeout=FOR_EVER,
            )
            self._running[number] = running
            try:
                self._results[number] = await running
            except ActivityError as error:
                self._take_loss(order, error)
            finally:
                del self._running[number]

    async def _turn(self, size: int) -> bool:
        """Wait until an activity of so many bytes fits into a message; it may be the next one.

        Returns:
            Whether it fits into the history, too.
        """
        async with self._starting:
            self._started += size
            if self._started > MOST_AT_ONCE:
                self._started = size
                await asyncio.sleep(0.001)  # a timer: what was started so far is sent with it
        return workflow.info().get_current_history_size() < LONGEST_HISTORY

    def _take_loss(self, order: ShardOrder, error: ActivityError) -> None:
        """Take in that a shard came to no end of its own."""
        cause = error.cause
        known = self._heard.get(order.number)
        if isinstance(cause, TimedOut) and cause.last_heartbeat_details:
            known = cause.last_heartbeat_details[0]
        elif isinstance(cause, ApplicationError) and cause.details:
            known = cause.details[0]
        if known is not None:
            self._results[order.number] = ShardResult(record=known)
        if self._cancelled is None:
            self._lost[order.number] = str(cause or error)

    async def _end(self, order: ShardOrder, room: asyncio.Semaphore, sessions: str) -> None:
        """Have a shard's sessions deleted, however long there is no worker to do it."""
        before = self._results.get(order.number)
        if before is None or not before.made:
            return
        async with room:
            if not await self._turn(len(order.specs) + len(before.record)):
                self._lost[order.number] = NO_ROOM
                return
            try:
                self._results[order.number] = await workflow.execute_activity(
                    END,
                    args=[order, before.record, sessions],
                    result_type=ShardResult,
                    activity_id=f"end-{order.number}-{sessions}",
                    heartbeat_timeout=timedelta(seconds=order.plan.heartbeat_timeout),
                    retry_policy=RETRY,
                    start_to_close_timeout=FOR_EVER,
                )
            except ActivityError as error:
                self._lost[order.number] = str(error.cause or error)


def _longest(plan: Plan) -> timedelta | None:
    """Return how long a shard may take, by whichever workers; None for however long."""
    if plan.timeout is None:
        return None
    return timedelta(seconds=plan.timeout + float(plan.policy["delete_timeout"]) + GRACE)
