"""Airflow: a deferrable operator that waits for sessions, and its trigger.

    from greenroom.airflow import WaitForSessionsOperator

    up = WaitForSessionsOperator(
        task_id="up",
        source="greenroom.sources.ec2.connect",
        source_kwargs={"region_name": "us-west-2"},
        ids=create.output,
        until="running",
        timeout=1800,
    )

While it waits it holds no worker. All triggers of one triggerer that read from the same place with
the same credentials and the same budget share one poller, so that hundreds of deferred tasks are
read by a few calls.

The task returns, through XCom, what became of each session: a dict from id to plain data.
"""

from __future__ import annotations

import json
import pkgutil
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._limiter import RateLimiter
from greenroom._poller import Poller
from greenroom._sharing import shared
from greenroom._states import Verdict

try:
    from airflow.exceptions import AirflowException
    from airflow.triggers.base import BaseTrigger, TriggerEvent
    from asgiref.sync import sync_to_async
except ModuleNotFoundError as error:
    message = "greenroom.airflow needs Airflow, its extra: pip install 'greenroom[airflow]'"
    raise ModuleNotFoundError(message, name=error.name) from error
try:
    from airflow.sdk import BaseHook, BaseOperator
except ModuleNotFoundError:  # Airflow 2
    from airflow.hooks.base import BaseHook
    from airflow.models import BaseOperator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from greenroom._results import WaitResult

__all__ = ["SessionsTrigger", "WaitForSessionsOperator"]

_CREDENTIALS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


class SessionsTrigger(BaseTrigger):
    """Fires once, when every session has settled or the deadline has come.

    The event's payload is `{"outcomes": {id: {...}}}`, each with `verdict`, `state`, `reason`,
    `message`, `elapsed` and `explanation`. What it is made of is kept in Airflow's database, so
    there are no credentials in it: they are in the connection, which is looked up where it runs.

    Args:
        ids: The sessions.
        until: The goal: a state, or several of which any will do.
        deadline: When to stop waiting, in seconds since the epoch; None for never. A trigger that
            moves to another triggerer keeps it.
        source: Where the states are read: the full name of what opens a source.
        source_kwargs: The arguments of that, such as `region_name`.
        aws_conn_id: The Airflow connection that has the credentials: access key as login and
            password; `aws_session_token`, `region_name`, `endpoint_url` and `profile_name` as
            extras. None for the usual AWS chain of the triggerer.
        max_rate: The quota in calls per second of all triggers that share this place.
        burst: Calls that the quota allows at once.
    """

    def __init__(
        self,
        *,
        ids: Iterable[str],
        until: str | Iterable[str],
        deadline: float | None,
        source: str,
        source_kwargs: Mapping[str, Any] | None = None,
        aws_conn_id: str | None = None,
        max_rate: float = 10.0,
        burst: int = 20,
    ) -> None:
        super().__init__()
        self.ids = list(_arguments.unique_ids(ids))
        self.until = until if isinstance(until, str) else sorted(until)
        self.deadline = deadline
        self.source = source
        self.source_kwargs = _without_credentials(source_kwargs or {})
        self.aws_conn_id = aws_conn_id
        self.max_rate = max_rate
        self.burst = burst
        RateLimiter(max_rate, burst)  # which refuses what is no budget

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what it takes to make another like this."""
        names = ("ids", "until", "deadline", "source", "source_kwargs", "aws_conn_id")
        kwargs = {name: getattr(self, name) for name in (*names, "max_rate", "burst")}
        return f"{type(self).__module__}.{type(self).__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        where = self.source_kwargs
        if self.aws_conn_id is not None:
            where = _where(await _connection(self.aws_conn_id)) | where

        @asynccontextmanager
        async def opening() -> AsyncIterator[Poller]:
            connect = pkgutil.resolve_name(self.source)
            limiter = RateLimiter(self.max_rate, self.burst)
            async with connect(**where) as source, Poller(source, limiter=limiter) as poller:
                yield poller

        key = (self.source, json.dumps(where, sort_keys=True), self.max_rate, self.burst)
        async with shared(key, opening) as poller:
            left = None if self.deadline is None else max(0.0, self.deadline - time.time())
            results = await poller.wait_all(self.ids, until=self.until, timeout=left)
            poller.check_open()  # where it was closed, that is no outcome of the sessions
        yield TriggerEvent({"outcomes": {id_: _plain(each) for id_, each in results.items()}})


class WaitForSessionsOperator(BaseOperator):
    """Waits for sessions without holding a worker, and returns what became of each.

    Args:
        ids: The sessions; templated, so that it may be the output of another task.
        until: The goal: a state, or several of which any will do; templated.
        timeout: Seconds from now to the deadline; None for none. Those that have not settled by
            then have the verdict `timeout`.
        source: Where the states are read: the full name of what opens a source, such as
            `greenroom.sources.ec2.connect` or `greenroom.sources.workspaces.WORKSPACE.connect`, or
            one of your own.
        source_kwargs: The arguments of that, such as `region_name`; templated. No credentials.
        aws_conn_id: The connection that has the credentials, as for `SessionsTrigger`.
        max_rate: The quota in calls per second of all tasks that share this place.
        burst: Calls that the quota allows at once.
        raise_on_failure: Whether the task fails where a session did not reach the goal.
        kwargs: As for every operator.

    Raises:
        ConfigurationError: When it runs: an argument cannot be right.
        AirflowException: When it has waited: some sessions did not reach the goal.
    """

    template_fields = ("ids", "until", "source_kwargs", "aws_conn_id")

    def __init__(
        self,
        *,
        ids: Iterable[str],
        until: str | Iterable[str],
        timeout: float | None,
        source: str,
        source_kwargs: Mapping[str, Any] | None = None,
        aws_conn_id: str | None = None,
        max_rate: float = 10.0,
        burst: int = 20,
        raise_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids = ids
        self.until = until
        self.timeout = timeout
        self.source = source
        self.source_kwargs = source_kwargs
        self.aws_conn_id = aws_conn_id
        self.max_rate = max_rate
        self.burst = burst
        self.raise_on_failure = raise_on_failure

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Defer to the trigger."""
        timeout = None if self.timeout is None else _arguments.seconds("timeout", self.timeout)
        self.defer(
            trigger=SessionsTrigger(
                ids=self.ids,
                until=self.until,
                deadline=None if timeout is None else time.time() + timeout,
                source=self.source,
                source_kwargs=self.source_kwargs,
                aws_conn_id=self.aws_conn_id,
                max_rate=self.max_rate,
                burst=self.burst,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the outcomes, or fail."""
        outcomes: dict[str, Any] = event["outcomes"]
        bad = [each for each in outcomes.values() if each["verdict"] != Verdict.SUCCESS.value]
        if bad and self.raise_on_failure:
            shown = "; ".join(each["explanation"] for each in bad[:3])
            more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
            raise AirflowException(f"{len(bad)} of {len(outcomes)} failed: {shown}{more}")
        return outcomes


def _plain(result: WaitResult) -> dict[str, Any]:
    names = ("state", "reason", "message", "elapsed", "explanation")
    return {"verdict": result.verdict.value} | {name: getattr(result, name) for name in names}


def _without_credentials(source_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if given := [name for name in _CREDENTIALS if name in source_kwargs]:
        raise ConfigurationError(
            f"source_kwargs has {' and '.join(given)}, which Airflow would store for all to read: "
            'keep credentials in a connection, and name it: aws_conn_id="aws_default"'
        )
    return dict(source_kwargs)


async def _connection(conn_id: str) -> Any:
    if hasattr(BaseHook, "aget_connection"):
        return await BaseHook.aget_connection(conn_id)
    return await sync_to_async(BaseHook.get_connection)(conn_id)  # before Airflow 3.1


def _where(connection: Any) -> dict[str, Any]:
    """Return what a connection of Airflow's says to whoever connects to AWS."""
    extra = connection.extra_dejson
    if unknown := [name for name in extra if name.startswith(("role", "assume_role"))]:
        raise ConfigurationError(
            f"the connection {connection.conn_id!r} has {' and '.join(unknown)}, which greenroom "
            "does not take: give the triggerer a profile that assumes the role, as profile_name"
        )
    where = {
        "aws_access_key_id": connection.login,
        "aws_secret_access_key": connection.password,
        "aws_session_token": extra.get("aws_session_token"),
        "region_name": extra.get("region_name"),
        "endpoint_url": extra.get("endpoint_url"),
        "profile": extra.get("profile_name"),
    }
    return {name: value for name, value in where.items() if value}
