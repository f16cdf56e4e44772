"""What the commands about fleets do: begin one and wait for it, look at one, cancel one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import click

from greenroom._errors import Unavailable
from greenroom._launch._lines import Deletion
from greenroom._states import Verdict
from greenroom.cli._interrupt import interruptible
from greenroom.cli._printing import Summary, print_json, printable, shell_word
from greenroom.cli._status import FAILED, INTERRUPTED, OK, Tally
from greenroom.cli.launch._told import JsonLaunch, TextLaunch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom._launch._policy import LaunchPolicy
    from greenroom._launch._report import LaunchReport
    from greenroom._specs import WorkstationSpec
    from greenroom.cli.fleet._server import Server
    from greenroom.temporal import Fleet, FleetStatus, Sessions

LOOK = 3.0
"""Seconds from one look at a fleet to the next."""

LINE = 10.0
"""Seconds from one progress line to the next, where nothing changed."""


async def launch(
    server: Server,
    specs: Sequence[WorkstationSpec],
    fleet_id: str,
    *,
    policy: LaunchPolicy,
    place: str | None,
    shard_size: int,
    heartbeat_timeout: float,
    detach: bool,
    as_json: bool,
) -> int:
    """Begin a fleet, or find it begun; wait for it unless told not to. Returns the exit status."""
    from greenroom.temporal import launch_fleet

    client = await server.connect()
    fleet = await launch_fleet(
        client,
        specs,
        id=fleet_id,
        shard_size=shard_size,
        policy=policy,
        place=place,
        task_queue=server.task_queue,
        heartbeat_timeout=heartbeat_timeout,
    )
    click.echo(f"greenroom: the fleet: greenroom fleet status {shell_word(fleet.id)}", err=True)
    if detach:
        return OK
    return await _to_the_end(fleet, as_json=as_json)


async def status(server: Server, fleet_id: str, *, as_json: bool) -> int:
    """Say how a fleet stands."""
    from greenroom.temporal import get_fleet

    found = await get_fleet(await server.connect(), fleet_id).status()
    if as_json:
        for key, result in found.report.items():
            if result.verdict is not Verdict.PENDING:
                JsonLaunch().outcome(result)
            else:
                print_json(
                    {
                        "event": "pending",
                        "id": result.id,
                        "key": key,
                        "state": result.state,
                        "reason": result.reason,
                        "attempts": len(result.attempts),
                    }
                )
        print_json({"event": "fleet", **_members(found)})
        JsonLaunch().summary(found.report, _summary(found.report))
        return OK
    click.echo(_in_words(found))
    for number, why in found.trouble.items():
        click.echo(_given_back(number, why))
    TextLaunch(verbose=False).summary(found.report, _summary(found.report))
    return OK


async def cancel(server: Server, fleet_id: str, sessions: Sessions, *, as_json: bool) -> int:
    """Cancel a fleet, and wait until that is done."""
    from greenroom.temporal import get_fleet

    fleet = get_fleet(await server.connect(), fleet_id)
    await fleet.cancel(sessions)
    click.echo("greenroom: cancelled; calls that are under way are seen through", err=True)
    ended = await _to_the_end(fleet, as_json=as_json)
    if ended == INTERRUPTED:
        return ended
    left = _left(await fleet.status())
    for session_id in left:
        said = f"{session_id} was not deleted, and may still be billed"
        click.echo(f"greenroom: {printable(said)}", err=True)
    return FAILED if left else OK


def _left(found: FleetStatus) -> list[str]:
    """Return the sessions that were to be deleted, and are not known to be."""
    deleting, ready_too = found.cancelled not in (None, "keep"), found.cancelled == "delete"
    return [
        attempt.id
        for result in found.report.values()
        for attempt in result.attempts
        if attempt.id is not None
        and (
            attempt.deletion is Deletion.FAILED
            or (
                deleting
                and attempt.deletion is not Deletion.DONE
                and (ready_too or result.verdict is not Verdict.SUCCESS)
            )
        )
    ]


async def _to_the_end(fleet: Fleet, *, as_json: bool) -> int:
    """Wait for a fleet, telling what settles; a signal leaves it to itself."""
    told = JsonLaunch() if as_json else TextLaunch(verbose=False)
    tally, outcomes = Tally(), set[str]()

    def tell(report: LaunchReport) -> None:
        for key, result in report.items():
            if result.verdict is not Verdict.PENDING and key not in outcomes:
                outcomes.add(key)
                tally.count(result)
                told.outcome(result)

    with interruptible() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_show, fleet, as_json)
            report = await fleet.result()
            tasks.cancel_scope.cancel()
        tell(report)
        told.summary(report, _summary(report))
    if scope.cancel_called:
        name = shell_word(fleet.id)
        click.echo(
            f"greenroom: the fleet goes on; to look at it: greenroom fleet status {name}; "
            f"to end it: greenroom fleet cancel {name}",
            err=True,
        )
        return INTERRUPTED
    return tally.exit_status


async def _show(fleet: Fleet, quiet: bool) -> None:
    """Say on standard error how far it is, when that changes, and now and then."""
    said, since, away, troubles = "", -LINE, False, set[str]()
    while True:
        try:
            found = await fleet.status()
        except Unavailable as error:
            if not away:
                click.echo(f"greenroom: trying on: {printable(str(error))}", err=True)
            away = True
            await anyio.sleep(LOOK)
            continue
        away, line = False, _in_words(found)
        for number, why in found.trouble.items():
            if why not in troubles:
                troubles.add(why)
                click.echo(f"greenroom: {_given_back(number, why)}", err=True)
        now = anyio.current_time()
        if not quiet and line != said and now - since >= LINE / 2:
            click.echo(f"greenroom: {line}", err=True)
            said, since = line, now
        await anyio.sleep(LOOK)


def _in_words(found: FleetStatus) -> str:
    counts = Counter(result.verdict for result in found.report.values())
    ready, pending = counts[Verdict.SUCCESS], counts[Verdict.PENDING]
    others = len(found.report) - ready - pending
    parts = [f"{ready} of {len(found.report)} ready"]
    if pending:
        parts.append(f"{pending} on their way")
    if others:
        parts.append(f"{others} not")
    waiting = found.shards - found.settled - found.running
    shards = f"{found.settled} of {found.shards} shards over, {found.running} with workers"
    if waiting and not found.over:
        shards += f", {waiting} waiting for one"
    if found.cancelled is not None:
        shards += f"; cancelled, sessions: {found.cancelled}"
    return printable(f"{found.id}: {', '.join(parts)} ({shards})")


def _given_back(number: int, why: str) -> str:
    return printable(f"shard {number} was given back: {why}")


def _members(found: FleetStatus) -> dict[str, Any]:
    return {
        "id": found.id,
        "over": found.over,
        "cancelled": found.cancelled,
        "shards": found.shards,
        "settled": found.settled,
        "running": found.running,
        "trouble": {str(number): why for number, why in found.trouble.items()},
    }


def _summary(report: LaunchReport) -> Summary:
    tally = Tally()
    for result in report.values():
        tally.count(result)
    return Summary(len(report), tally, report.calls, report.throttled, report.elapsed)
