"""Deadline Cloud: workers, sessions and jobs, a hundred in one call, and fleets one by one.

    async with deadline.connect(region_name="us-west-2") as workers:
        await greenroom.wait(workers, "farm-1/fleet-2/worker-3", until="IDLE", timeout=1800)
        jobs = workers.of(deadline.JOB)
        await greenroom.wait(jobs, "farm-1/queue-4/job-5", until="SUCCEEDED", timeout=None)

An id says where a thing is: its farm first, then its fleet or queue. Facts: API version 2023-10-12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom._states import Observation, TransitionTable
from greenroom.sources._aws_kind import AwsKind, Read, at

__all__ = ["FLEET", "JOB", "KINDS", "SESSION", "WORKER", "connect"]

MAX_BATCH = 100
"""Most identifiers in one call of any of the three."""


def _batch(operation: str, listed: str) -> Read:
    return Read(operation=operation, parameter="identifiers", listed=listed, failed="errors[]")


WORKER = AwsKind(
    table=TransitionTable(
        kind="deadline-worker",
        moves={
            "CREATED": ("STARTED", "NOT_RESPONDING", "NOT_COMPATIBLE"),
            "STARTED": ("IDLE", "RUNNING", "STOPPING", "NOT_RESPONDING", "NOT_COMPATIBLE"),
            "IDLE": ("RUNNING", "STOPPING", "STOPPED", "NOT_RESPONDING"),
            "RUNNING": ("IDLE", "STOPPING", "STOPPED", "NOT_RESPONDING"),
            "STOPPING": ("STOPPED", "NOT_RESPONDING"),
            "STOPPED": (),
            "NOT_RESPONDING": ("STARTED", "IDLE", "RUNNING", "STOPPING", "STOPPED"),
            "NOT_COMPATIBLE": (),
        },
        actions={"STOPPED": {"start its agent": "STARTED"}},
        failures=frozenset({"NOT_COMPATIBLE"}),
        goals=("IDLE", "RUNNING", "STARTED", "STOPPED"),
        gone="STOPPED",
    ),
    service="deadline",
    parts={"farmId": "farm-", "fleetId": "fleet-", "workerId": "worker-"},
    many=_batch("BatchGetWorker", "workers[]"),
    max_batch=MAX_BATCH,
    observe=at("status", changed_at="updatedAt || createdAt"),
)

SESSION = AwsKind(
    table=TransitionTable(
        kind="deadline-session",
        moves={
            "STARTED": ("UPDATE_IN_PROGRESS", "ENDED"),
            "UPDATE_IN_PROGRESS": ("UPDATE_SUCCEEDED", "UPDATE_FAILED", "ENDED"),
            "UPDATE_SUCCEEDED": ("UPDATE_IN_PROGRESS", "ENDED"),
            "UPDATE_FAILED": ("UPDATE_IN_PROGRESS", "ENDED"),
            "ENDED": (),
        },
        failures=frozenset({"UPDATE_FAILED"}),
        goals=("ENDED", "UPDATE_SUCCEEDED"),
        gone="ENDED",
    ),
    service="deadline",
    parts={"farmId": "farm-", "queueId": "queue-", "jobId": "job-", "sessionId": "session-"},
    many=_batch("BatchGetSession", "sessions[]"),
    max_batch=MAX_BATCH,
    observe=at("lifecycleStatus", changed_at="endedAt || updatedAt || startedAt"),
)

_BEING_MADE = ("UPLOAD_IN_PROGRESS", "UPLOAD_FAILED", "CREATE_IN_PROGRESS", "CREATE_FAILED")
_job_made = at("lifecycleStatus", message="lifecycleStatusMessage", changed_at="updatedAt")
_job_run = at("taskRunStatus", message="lifecycleStatusMessage", changed_at="updatedAt")


def _observe_job(resource: Mapping[str, Any]) -> Observation | None:
    """Return how far a job is: until it is made, how far that is; then, how its tasks run."""
    made = _job_made(resource)
    return made if made and made.state in _BEING_MADE else _job_run(resource) or made


_ACTIVE = ("PENDING", "READY", "ASSIGNED", "STARTING", "SCHEDULED", "RUNNING", "INTERRUPTING")
_OVER = ("SUCCEEDED", "FAILED", "CANCELED", "SUSPENDED", "NOT_COMPATIBLE")
_REQUEUE = {"requeue": "READY"}

JOB = AwsKind(
    table=TransitionTable(
        kind="deadline-job",
        moves={
            "UPLOAD_IN_PROGRESS": ("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPLOAD_FAILED"),
            "UPLOAD_FAILED": (),
            "CREATE_IN_PROGRESS": ("CREATE_COMPLETE", "CREATE_FAILED", *_ACTIVE, *_OVER),
            "CREATE_FAILED": (),
            "CREATE_COMPLETE": (*_ACTIVE, *_OVER),
            "UPDATE_IN_PROGRESS": ("UPDATE_SUCCEEDED", "UPDATE_FAILED", *_ACTIVE, *_OVER),
            "UPDATE_SUCCEEDED": (*_ACTIVE, *_OVER),
            "UPDATE_FAILED": (*_ACTIVE, *_OVER),
            **{
                state: (*(other for other in _ACTIVE if other != state), *_OVER)
                for state in _ACTIVE
            },
            "SUCCEEDED": (),
            "FAILED": (),
            "CANCELED": (),
            "SUSPENDED": (),
            "NOT_COMPATIBLE": (),
            "ARCHIVED": (),
        },
        actions={
            "SUCCEEDED": _REQUEUE,
            "FAILED": _REQUEUE,
            "CANCELED": _REQUEUE,
            "SUSPENDED": {"resume": "READY"},
            "NOT_COMPATIBLE": {"give it a fleet that fits": "READY"},
        },
        failures=frozenset(
            {"UPLOAD_FAILED", "CREATE_FAILED", "UPDATE_FAILED", "FAILED", "NOT_COMPATIBLE"}
        ),
        goals=("SUCCEEDED", "RUNNING", "READY"),
    ),
    service="deadline",
    parts={"farmId": "farm-", "queueId": "queue-", "jobId": "job-"},
    many=_batch("BatchGetJob", "jobs[]"),
    one=Read(operation="GetJob", listed="@"),
    max_batch=MAX_BATCH,
    observe=_observe_job,
)

FLEET = AwsKind(
    table=TransitionTable(
        kind="deadline-fleet",
        moves={
            "CREATE_IN_PROGRESS": ("ACTIVE", "CREATE_FAILED"),
            "ACTIVE": (),
            "UPDATE_IN_PROGRESS": ("ACTIVE", "UPDATE_FAILED"),
            "CREATE_FAILED": (),
            "UPDATE_FAILED": (),
            "SUSPENDED": (),
        },
        actions={"ACTIVE": {"update": "UPDATE_IN_PROGRESS"}},
        failures=frozenset({"CREATE_FAILED", "UPDATE_FAILED"}),
        goals=("ACTIVE",),
    ),
    service="deadline",
    parts={"farmId": "farm-", "fleetId": "fleet-"},
    one=Read(operation="GetFleet", listed="@"),
    observe=at("status", message="statusMessage", changed_at="updatedAt || createdAt"),
)

KINDS = (WORKER, SESSION, JOB, FLEET)

connect = WORKER.connect
"""Open a source of workers; see `AwsKind.connect`."""
