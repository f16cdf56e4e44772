"""Serves the simulator for a user: its URL first, then how to use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import click

from greenroom import simulator
from greenroom.cli._interrupt import interruptible
from greenroom.cli._status import INTERRUPTED

if TYPE_CHECKING:
    from greenroom.simulator import Settings, Simulator

HINTS = """\
A simulated studio is listening. To use it, in another terminal:

  export GREENROOM_ENDPOINT_URL={url} GREENROOM_STUDIO_ID={studio_id}
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-west-2

  curl -X POST {url}/2020-08-01/studios/{studio_id}/streaming-sessions \\
    -d '{{"launchProfileId": "any"}}'                       # answers with a sessionId
  greenroom wait nimble-session SESSION_ID --until READY

Ctrl-C ends it."""


def read_settings(path: str | None, seed: int | None) -> Settings:
    """Return the settings in a file, or the usual ones, with the seed put in.

    Raises:
        click.BadParameter: The file cannot be read, or is wrong.
    """
    try:
        settings = simulator.Settings() if path is None else simulator.Settings.from_file(path)
    except simulator.SettingsError as error:
        raise click.UsageError(str(error)) from None
    return settings if seed is None else settings.merged({"seed": seed})


async def serve(settings: Settings, *, host: str, port: int, speed: float) -> int:
    """Serve until interrupted, and return the exit status.

    Raises:
        click.UsageError: It cannot listen there.
    """
    server = simulator.serve(settings, host, port, speed=speed)
    try:
        async with server as serving:
            with interruptible():
                _introduce(serving)
                await anyio.sleep_forever()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.UsageError(error.strerror or str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"--host {host!r} is no host name: {error}") from None
    return INTERRUPTED


def _introduce(serving: Simulator) -> None:
    click.echo(serving.url)
    click.echo(HINTS.format(url=serving.url, studio_id=serving.studio_id), err=True)
