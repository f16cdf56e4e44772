"""Any waiter of botocore as a source: one budget, shared calls, and the verdicts of its model.

    from greenroom.sources import botocore_waiter

    source = botocore_waiter(client, "db_instance_available")
    await greenroom.wait(source, "DBInstanceIdentifier=db-1", until="success", timeout=3600)

A waiter's model says what an answer has to show. That makes three states: `retry`, from which the
service leads to `success` or to `failure`. What the model says about the pace of asking is not
used: that is for the poller's schedule and its budget.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from aiobotocore.client import AioBaseClient
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader, create_loader
from botocore.model import ServiceModel

from greenroom._errors import ConfigurationError
from greenroom._states import TransitionTable
from greenroom.sources._waiter_acceptors import (
    FAILURE,
    RETRY,
    SUCCESS,
    Acceptors,
    compile_acceptors,
)
from greenroom.sources._waiter_batch import Batch, find_batch
from greenroom.sources._waiter_ids import Parameters
from greenroom.sources._waiter_source import WaiterSource

_PREFIXES = MappingProxyType({"monitoring": "cloudwatch", "cloudcontrolapi": "cloudformation"})
"""What IAM calls the services that sign by another name."""

_ACTIONS = MappingProxyType({"s3:HeadBucket": "s3:ListBucket", "s3:HeadObject": "s3:GetObject"})
"""What IAM calls the operations that have no action of their own name."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiter of botocore, compiled.

    Attributes:
        service: The service, as botocore calls it.
        name: The waiter, such as `db_instance_available`.
        operation: The operation that it calls, such as `DescribeDBInstances`.
        table: Its transition table, of a kind such as `aws:rds:db_instance_available`.
        acceptors: What an answer means.
        batch: How many things share a call; None if each is asked for alone.
        max_batch: Most ids in one `describe`.
        permission: What the caller must be allowed, as IAM writes it.
        delay: Seconds between two calls of botocore's own waiter.
        max_attempts: Calls after which botocore's own waiter gives up.
        has_members: Whether a good answer has anything in it at all.
        has_no_body: Whether an error can say nothing but its status, as that of a HEAD.
        ids: How its ids are read.
    """

    service: str
    name: str
    operation: str
    table: TransitionTable
    acceptors: Acceptors
    batch: Batch | None
    max_batch: int
    permission: str
    delay: float
    max_attempts: int
    has_members: bool
    has_no_body: bool
    ids: Parameters

    @property
    def id_form(self) -> str:
        """How an id is written, such as `DBInstanceIdentifier=VALUE`."""
        return self.ids.form

    def check_id(self, id_: str) -> str | None:
        """Return what is wrong with an id, or None. Nothing is called.

        Args:
            id_: The operation's parameters, as `Name=value[,Name=value...]` or as a JSON object;
                or a value alone, where it is clear which parameter it fills in.
        """
        return self.ids.problem(id_)

    def parameters(self, id_: str) -> Mapping[str, Any]:
        """Return the operation's parameters that an id says.

        Raises:
            ValueError: It says none that can be.
        """
        return self.ids.read(id_)

    def source(self, client: Any) -> WaiterSource:
        """Return the source that waits so.

        Args:
            client: An open aiobotocore client of the waiter's service.

        Raises:
            ConfigurationError: It is something else.
        """
        _check_client(client)
        return WaiterSource(client, self)


def source_of(client: Any, name: str) -> WaiterSource:
    """Return what a waiter waits for, as a source. It is offered as `botocore_waiter`.

    Args:
        client: An open aiobotocore client.
        name: The waiter's name.

    Raises:
        ConfigurationError: The client is not one, or its service has no such waiter.
    """
    _check_client(client)
    model = client.meta.service_model
    # There is no public way to the models that a client was made from.
    loader = getattr(client, "_loader", None) or _loader()
    return WaiterSource(client, _compiled(loader, model, name))


@cache
def waiter_kind(service: str, waiter: str) -> Waiter:
    """Return a waiter of the installed botocore.

    Neither a client nor credentials are needed.

    Args:
        service: The service, as botocore calls it, such as `rds`.
        waiter: The waiter's name, such as `db_instance_available` or `DBInstanceAvailable`.

    Raises:
        ConfigurationError: There is no such service, it has no waiters, or none of this name.
    """
    return _compiled(_loader(), _service_model(service), waiter)


def waiter_names(service: str) -> tuple[str, ...]:
    """Return the names of a service's waiters, such as `db_instance_available`.

    Raises:
        ConfigurationError: There is no such service, or it has no waiters.
    """
    return tuple(_waiters(_loader(), _service_model(service)))


@cache
def services() -> tuple[str, ...]:
    """Return the services of the installed botocore that have waiters."""
    loader = _loader()
    return tuple(
        service
        for service in loader.list_available_services("waiters-2")
        if loader.load_service_model(service, "waiters-2")["waiters"]
    )


def batched_waiters() -> tuple[Waiter, ...]:
    """Return the waiters of the installed botocore that ask about many things in one call."""
    every = (waiter_kind(service, name) for service in services() for name in waiter_names(service))
    return tuple(waiter for waiter in every if waiter.batch is not None)


def _compiled(loader: Loader, model: Any, name: str) -> Waiter:
    service = model.service_name
    waiters = _waiters(loader, model)
    known = xform_name(str(name).strip().replace("-", "_"))
    if known not in waiters:
        hint = _hint(known, waiters) or f"it has {', '.join(waiters)}"
        raise ConfigurationError(f"{service} has no waiter {name!r}; {hint}")
    config = waiters[known]
    kind = f"aws:{service}:{known}"
    operation = model.operation_model(config["operation"])
    acceptors = compile_acceptors(config["acceptors"], kind)
    pagination = _loaded(loader, model, "paginators-1").get("pagination", {})
    batch = find_batch(operation, acceptors.expressions, pagination.get(operation.name))
    members = () if operation.output_shape is None else operation.output_shape.members
    return Waiter(
        service=service,
        name=known,
        operation=operation.name,
        table=_table(kind, acceptors.states | ({FAILURE} if "Error" in members else set())),
        acceptors=acceptors,
        batch=batch,
        max_batch=batch.limit if batch else 1,
        permission=_permission(model, operation.name),
        delay=float(config["delay"]),
        max_attempts=int(config["maxAttempts"]),
        has_members=bool(members),
        has_no_body=operation.http.get("method") == "HEAD",
        ids=Parameters(operation.input_shape, kind, batch.bare if batch else None),
    )


def _table(kind: str, outcomes: Iterable[str]) -> TransitionTable:
    """Return the table of a waiter that knows these outcomes; not every one knows a failure."""
    ends = tuple(state for state in (SUCCESS, FAILURE) if state in outcomes)
    return TransitionTable(
        kind=kind,
        moves={RETRY: ends, **dict.fromkeys(ends, ())},
        failures=frozenset({FAILURE}.intersection(ends)),
        goals=(SUCCESS,),
    )


def _permission(model: Any, operation: str) -> str:
    prefix = model.signing_name
    action = f"{_PREFIXES.get(prefix, prefix)}:{operation}"
    return _ACTIONS.get(action, action)


@cache
def _loader() -> Loader:
    return create_loader(os.environ.get("AWS_DATA_PATH"))


@cache
def _service_model(service: str) -> ServiceModel:
    """Return the model of a service.

    Raises:
        ConfigurationError: There is no such service.
    """
    loader = _loader()
    if service not in loader.list_available_services("service-2"):
        hint = _hint(service, services()) or f"those with waiters are {', '.join(services())}"
        raise ConfigurationError(f"botocore knows no service {service!r}; {hint}")
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


def _waiters(loader: Loader, model: Any) -> dict[str, Mapping[str, Any]]:
    """Return the models of a service's waiters by name.

    Raises:
        ConfigurationError: It has none.
    """
    waiters = _loaded(loader, model, "waiters-2").get("waiters")
    if not waiters:
        raise ConfigurationError(
            f"{model.service_name} has no waiters; those that have are {', '.join(services())}"
        )
    return {xform_name(name): config for name, config in waiters.items()}


def _loaded(loader: Loader, model: Any, what: str) -> Mapping[str, Any]:
    try:
        loaded: Mapping[str, Any] = loader.load_service_model(
            model.service_name, what, model.api_version
        )
    except DataNotFoundError:
        return {}
    return loaded


def _hint(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name.casefold(), names, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _check_client(client: Any) -> None:
    """Raise ConfigurationError unless this is an open aiobotocore client, or as good as one."""
    if isinstance(client, BaseClient) and not isinstance(client, AioBaseClient):
        service = client.meta.service_model.service_name
        raise ConfigurationError(
            "this is a client of boto3 or botocore, whose calls block; pass one of aiobotocore: "
            f"async with aiobotocore.session.get_session().create_client({service!r}) as client"
        )
    if not hasattr(client, "meta"):
        opened = ": open it, as `async with ... as client`" if hasattr(client, "__aenter__") else ""
        raise ConfigurationError(f"{client!r} is no open client of aiobotocore{opened}")
