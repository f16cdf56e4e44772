"""Where Temporal is, and how a command reaches it.

What is not said on the command line comes from where Temporal's own tools take it: the TEMPORAL_
variables and the profile in its configuration file. So keys and certificates are given there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

import anyio
import click

from greenroom._errors import ConfigurationError
from greenroom._schedule import Backoff
from greenroom.cli._options import decorated
from greenroom.cli._printing import printable

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime

USUAL_ADDRESS = "localhost:7233"

AGAIN = Backoff(initial=0.5, factor=2.0, ceiling=10.0, floor=0.2)
"""Seconds between two tries of a worker to reach it."""

STILL = 60.0
"""Seconds after which a worker says again that it cannot reach it."""

LETS_GO = 0.1
"""Seconds that Temporal's library is given to let go of the interpreter."""


class Unreached(ConfigurationError):
    """No server answers at the address."""


@dataclass(frozen=True, slots=True)
class Server:
    """Temporal's server, as far as the command line says it.

    Attributes:
        address: Host and port; None for what the environment says.
        namespace: The namespace; None for what the environment says.
        task_queue: The task queue of fleets and workers.
    """

    address: str | None
    namespace: str | None
    task_queue: str

    async def reached(self) -> Client:
        """Return a connected client, however long that takes; says so where it takes long.

        Raises:
            ConfigurationError: The configuration cannot be read.
        """
        tries, told = 0, -STILL
        while True:
            try:
                return await self.connect()
            except Unreached as error:
                tries, now = tries + 1, anyio.current_time()
                if now - told >= STILL:
                    click.echo(f"greenroom: trying on: {printable(str(error))}", err=True)
                    told = now
                await anyio.sleep(AGAIN.delay(tries))

    async def connect(self) -> Client:
        """Return a connected client.

        Raises:
            ConfigurationError: The configuration cannot be read.
            Unreached: Nothing answers there.
        """
        from temporalio.client import Client
        from temporalio.envconfig import ClientConfig

        try:
            config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
        except (ValueError, RuntimeError, OSError) as error:
            raise ConfigurationError(f"Temporal's configuration cannot be read: {error}") from error
        config["target_host"] = self.address or config.get("target_host") or USUAL_ADDRESS
        config["namespace"] = self.namespace or config.get("namespace") or "default"
        config["runtime"] = _quiet()
        try:
            return await Client.connect(**config)
        except (RuntimeError, ValueError) as error:
            raise Unreached(
                f"no Temporal server answers at {config['target_host']}: {_essence(str(error))}; "
                "name it by --address or TEMPORAL_ADDRESS"
            ) from error


@cache
def _quiet() -> Runtime:
    """Return what runs Temporal's library, where it does not comment on an outage: we do."""
    from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(only_errors)))


def _essence(said: str) -> str:
    """Return what is at the core of an error of Temporal's library: what Rust quotes last."""
    quoted = re.findall(r'"((?:[^"\\]|\\.)+)"', said) if "Error(" in said else []
    return str(quoted[-1]) if quoted else said.partition("\n")[0]


def run(command: Callable[[], Awaitable[int]]) -> int:
    """Run what a command does on an event loop, and return its exit status.

    Temporal's library answers from threads of its own, which still hold on to the interpreter for
    a moment after the answer is here. An interpreter that ends in that moment aborts ("Fatal Python
    error: PyGILState_Release"), and there is nothing to join: so the loop idles before it is over.
    """

    async def to_its_end() -> int:
        try:
            return await command()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(LETS_GO)

    return anyio.run(to_its_end)


def reaching_temporal(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the arguments that say where Temporal is, as `server`."""

    @wraps(function)
    def command(
        *, address: str | None, namespace: str | None, task_queue: str, **others: Any
    ) -> int:
        try:
            import greenroom.temporal  # noqa: F401  # finds out now whether it is there
        except ImportError as error:
            raise ConfigurationError(str(error)) from error
        return function(server=Server(address, namespace, task_queue), **others)

    return decorated(
        command,
        click.option(
            "--address",
            metavar="HOST:PORT",
            help=f"Temporal's server.  [default: $TEMPORAL_ADDRESS, or {USUAL_ADDRESS}]",
        ),
        click.option(
            "--namespace",
            metavar="NAME",
            help="Its namespace.  [default: $TEMPORAL_NAMESPACE, or default]",
        ),
        click.option(
            "--task-queue",
            metavar="NAME",
            default="greenroom",
            show_default=True,
            help="The task queue that fleets and their workers share: one for each studio or "
            "region.",
        ),
    )
