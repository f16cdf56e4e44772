"""The commands about fleets: their arguments, their help, and one call each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenroom._launch._policy import LaunchPolicy
from greenroom.cli import _arguments, _options, _status
from greenroom.cli._help import AsWritten, GroupAsWritten
from greenroom.cli._kinds import Address, check_address, kind_of
from greenroom.cli._options import decorated, endpoint_of
from greenroom.cli.fleet import _run, _work
from greenroom.cli.fleet._server import Server, reaching_temporal, run
from greenroom.cli.launch._options import (
    CANARY,
    CREATE_RATE,
    IN_FLIGHT,
    ON_FAILURE,
    TIMEOUT,
    UNTIL,
    goal_of,
)
from greenroom.cli.launch._providers import KIND, TEMPLATE, USUAL, provider_of
from greenroom.cli.launch._specs import NUMBER, specs_of, template_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.cli._options import Pacing
    from greenroom.temporal import Sessions


@click.command("worker", cls=AsWritten)
@KIND
@reaching_temporal
@click.option(
    "--max-shards",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Shards at once, at most.",
)
@CREATE_RATE
@IN_FLIGHT
@_options.reaching
def worker_command(
    kind: str | None,
    server: Server,
    address: Address,
    pacing: Pacing,
    create_rate: float,
    in_flight: int,
    max_shards: int,
    output: str,  # noqa: ARG001  # a worker tells what it does in its log alone
) -> int:
    """Bring up shards of fleets, until a signal ends it. Run one on every launcher host.

    KIND is nimble-session, unless you say ec2-instance. All shards of a worker are read in the
    same calls, and its rates are its own: where several hosts share a quota, let them share a
    budget as well. A worker that is killed loses nothing: others go on with its shards. Ctrl-C or
    SIGTERM hands them back at once.

    Examples:
      greenroom worker --studio-id us-west-2-abc --address temporal.example:7233
      greenroom worker ec2-instance --region us-west-2 --task-queue desks-us-west-2
    """
    provider = provider_of(kind or USUAL)
    kind_asked = kind_of(provider.name)
    where = Address(
        endpoint_of(kind_asked, address.endpoint_url),
        address.studio_id,
        address.region,
        address.profile,
    )
    check_address(provider.name, where)

    async def work() -> int:
        return await _work.work(
            server,
            provider,
            where,
            pacing,
            create_rate=create_rate,
            in_flight=in_flight,
            max_shards=max_shards,
        )

    return run(work)


@click.group("fleet", cls=GroupAsWritten)
def fleet_command() -> int:
    """Launch tens of thousands, on many hosts, by workers that may come and go.

    A fleet is a launch that Temporal keeps. Its workers are `greenroom worker` on every host.

    Examples:
      greenroom fleet launch monday-2026-11-30 --launch-profile-id LP --count 3000
      greenroom fleet status monday-2026-11-30
      greenroom fleet cancel monday-2026-11-30 --sessions delete-unready
    """
    return _status.OK


FLEET_ID = click.argument("fleet_id", metavar="ID")


def _launching(function: Callable[..., int]) -> Callable[..., int]:
    options = (TIMEOUT, CANARY, ON_FAILURE, UNTIL)
    return decorated(function, *TEMPLATE, *NUMBER, *options)


@fleet_command.command("launch", cls=AsWritten, epilog=_status.HELP)
@FLEET_ID
@KIND
@_launching
@click.option(
    "--shard-size",
    type=click.IntRange(1, 500),
    metavar="N",
    default=100,
    show_default=True,
    help="Workstations that one worker brings up together; 25 to 100 is usual.",
)
@click.option(
    "--heartbeat-timeout",
    type=_arguments.interval,
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="How long a worker may not be heard of before others go on with its shards.",
)
@click.option(
    "--place",
    metavar="NAME",
    help="Only workers there: the studio or region, as a journal names it.",
)
@click.option("--detach", is_flag=True, help="Begin it, and do not wait for it.")
@reaching_temporal
@_options.output
def launch_command(
    fleet_id: str,
    kind: str | None,
    server: Server,
    count: int | None,
    spec: str | None,
    shard_size: int,
    heartbeat_timeout: float,
    place: str | None,
    detach: bool,
    output: str,
    **values: Any,
) -> int:
    """Have the workers bring up many workstations, and wait until each has its line.

    ID names the fleet: to launch it again is to find the one there is, so that this command can be
    repeated until it succeeds. Say the day in it: an id is never free again. Canary and breaker
    are each shard's own. Ctrl-C leaves the fleet to itself.

    Examples:
      greenroom fleet launch monday-2026-11-30 --launch-profile-id LP --count 3000
      greenroom fleet launch desks-17 ec2-instance --spec desks.jsonl --shard-size 50 --detach
    """
    provider = provider_of(kind or USUAL)
    if count is None and spec is None:
        raise click.UsageError("say what to launch: --count N of one kind, or --spec FILE")
    specs = specs_of(count, spec, template_of(provider, values), provider)
    policy = LaunchPolicy(
        timeout=values["timeout"],
        canary=values["canary"],
        on_failure=values["on_failure"],
        until=goal_of(provider, values["until"]),
    )

    async def launch() -> int:
        return await _run.launch(
            server,
            specs,
            fleet_id,
            policy=policy,
            place=place,
            shard_size=shard_size,
            heartbeat_timeout=heartbeat_timeout,
            detach=detach,
            as_json=output == "json",
        )

    return run(launch)


@fleet_command.command("status", cls=AsWritten)
@FLEET_ID
@reaching_temporal
@_options.output
def status_command(fleet_id: str, server: Server, output: str) -> int:
    """Say how a fleet stands: how many are ready, and which are not, by cause.

    No worker has to be there to be asked. With --output json every workstation has a line: an
    outcome, or where it is on its way. The exit status is 0 where the fleet was found.

    Examples:
      greenroom fleet status monday-2026-11-30
      greenroom fleet status monday-2026-11-30 --output json
    """

    async def status() -> int:
        return await _run.status(server, fleet_id, as_json=output == "json")

    return run(status)


@fleet_command.command("cancel", cls=AsWritten)
@FLEET_ID
@click.option(
    "--sessions",
    type=click.Choice(["keep", "delete-unready", "delete"]),
    default="keep",
    show_default=True,
    help="What becomes of them: keep leaves all as they are; delete-unready deletes those that are "
    "not ready; delete deletes those that are ready as well, whoever uses them.",
)
@reaching_temporal
@_options.output
def cancel_command(fleet_id: str, server: Server, sessions: Sessions, output: str) -> int:
    """Launch nothing more of a fleet, and wait until that is done.

    Calls that are under way are seen through first, so that every session is accounted for. To
    cancel again can ask for more to be deleted. The exit status is 0 where all was done, and 1
    where a session that was to be deleted may still be billed.

    Examples:
      greenroom fleet cancel monday-2026-11-30
      greenroom fleet cancel monday-2026-11-30 --sessions delete
    """

    async def cancel() -> int:
        return await _run.cancel(server, fleet_id, sessions, as_json=output == "json")

    return run(cancel)
