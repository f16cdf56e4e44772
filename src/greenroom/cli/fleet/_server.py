"""Where Temporal is, and how a command reaches it.

What is not said on the command line comes from where Temporal's own tools take it: the TEMPORAL_
variables and the profile in its configuration file. So keys and certificates are given there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import anyio
import click

from greenroom._errors import ConfigurationError
from greenroom._schedule import Backoff
from greenroom.cli._options import decorated
from greenroom.cli._printing import printable

if TYPE_CHECKING:
    from temporalio.client import Client

USUAL_ADDRESS = "localhost:7233"

AGAIN = Backoff(initial=0.5, factor=2.0, ceiling=10.0, floor=0.2)
"""Seconds between two tries of a worker to reach it."""


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
        tries = 0
        while True:
            try:
                return await self.connect()
            except Unreached as error:
                tries += 1
                if tries == 1:
                    click.echo(f"greenroom: trying on: {printable(str(error))}", err=True)
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
        try:
            return await Client.connect(**config)
        except (RuntimeError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise Unreached(
                f"no Temporal server answers at {config['target_host']}: {said}; name it by "
                "--address or TEMPORAL_ADDRESS"
            ) from error


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
