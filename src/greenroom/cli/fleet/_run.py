"""What the commands about fleets do: begin one and wait for it, look at one, cancel one."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import click

from greenroom._errors import Unavailable
from greenroom._states import Verdict
from greenroom.cli._interrupt import interruptible
from greenroom.cli._printing import print_json, printable, shell_word, span
from greenroom.cli._status import FAILED, INTERRUPTED, OK, TIMED_OUT
from greenroom.cli.fleet import _words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom._launch._policy import LaunchPolicy
    from greenroom._specs import WorkstationSpec
    from greenroom.cli.fleet._server import Server
    from greenroom.temporal import Fleet, Sessions

LOOK = 3.0
"""Seconds from one look at a fleet to the next."""

LINE = 10.0
"""Seconds from one progress line to the next, where nothing changed."""

PATIENCE = 60.0
"""Seconds past its deadline in which a fleet may say what became of it, while somebody waits."""


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
    name = shell_word(fleet.id)
    goes_on = (
        f"the fleet goes on; to look at it: greenroom fleet status {name}; "
        f"to end it: greenroom fleet cancel {name}"
    )
    return await _to_the_end(fleet, as_json=as_json, goes_on=goes_on, patience=PATIENCE)


async def status(server: Server, fleet_id: str, *, as_json: bool) -> int:
    """Say how a fleet stands."""
    from greenroom.temporal import get_fleet

    found = await get_fleet(await server.connect(), fleet_id).status()
    told = _words.teller(fleet_id, as_json=as_json)
    for result in found.report.values():
        if result.verdict is not Verdict.PENDING:
            told.outcome(result)
    if as_json:
        _words.print_pending(found.report)
        print_json({"event": "fleet", **_words.members(found)})
    else:
        click.echo(_words.in_words(found))
        for line in (_words.unattended(found), *_words.troubles(found).values()):
            if line is not None:
                click.echo(line)
    told.summary(found.report, _words.summary_of(found.report))
    return OK


async def cancel(server: Server, fleet_id: str, sessions: Sessions, *, as_json: bool) -> int:
    """Cancel a fleet, and wait until that is done."""
    from greenroom.temporal import get_fleet

    fleet = get_fleet(await server.connect(), fleet_id)
    await fleet.cancel(sessions)
    click.echo("greenroom: cancelled; calls that are under way are seen through", err=True)
    goes_on = (
        f"its cancelling goes on; to look at it: greenroom fleet status {shell_word(fleet.id)}"
    )
    ended = await _to_the_end(fleet, as_json=as_json, goes_on=goes_on)
    if ended == INTERRUPTED:
        return ended
    found = await fleet.status()
    click.echo(f"greenroom: {_words.became_of_sessions(found)}", err=True)
    left = _words.left(found)
    for session_id in left:
        said = f"{session_id} was not deleted, and may still be billed"
        click.echo(f"greenroom: {printable(said)}", err=True)
    return FAILED if left else OK


async def _to_the_end(
    fleet: Fleet, *, as_json: bool, goes_on: str, patience: float = math.inf
) -> int:
    """Wait for a fleet, and tell what became of it; a signal leaves it to itself.

    Args:
        fleet: The fleet.
        as_json: Whether to tell it as JSON.
        goes_on: What is said where it is left to itself.
        patience: Seconds past its deadline after which it is.
    """
    overdue = anyio.CancelScope()
    with interruptible() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_show, fleet, as_json, patience, overdue)
            with overdue:
                report = await fleet.result()
            tasks.cancel_scope.cancel()
        if overdue.cancel_called:
            late = f"not over {span(patience)} after its deadline"
            click.echo(f"greenroom: {late}; {goes_on}", err=True)
            report = (await fleet.status()).report
        told, summary = _words.teller(fleet.id, as_json=as_json), _words.summary_of(report)
        for result in report.values():
            if result.verdict is not Verdict.PENDING:
                told.outcome(result)
        if as_json:
            _words.print_pending(report)
        told.summary(report, summary)
    if scope.cancel_called:
        click.echo(f"greenroom: {goes_on}", err=True)
        return INTERRUPTED
    return summary.tally.exit_status or (TIMED_OUT if overdue.cancel_called else OK)


async def _show(fleet: Fleet, quiet: bool, patience: float, overdue: anyio.CancelScope) -> None:
    """Say on standard error how far it is, when that changes, and now and then.

    Cancels `overdue` where it is not over so many seconds after its deadline.
    """
    said, since, looks, away, told = "", -LINE, 0, False, set[str]()
    deadline = math.inf
    while datetime.now(UTC).timestamp() < deadline + patience:
        try:
            found = await fleet.status()
        except Unavailable as error:
            if not away:
                click.echo(f"greenroom: trying on: {printable(str(error))}", err=True)
            away = True
            await anyio.sleep(LOOK)
            continue
        away, line, looks = False, _words.in_words(found), looks + 1
        if found.deadline is not None and not found.over:
            deadline = found.deadline.timestamp()
        notes = _words.troubles(found)
        if looks > 1 and (nobody := _words.unattended(found)):  # workers may come with the fleet
            notes[nobody] = nobody
        for what, note in notes.items():
            if what not in told:
                told.add(what)
                click.echo(f"greenroom: {note}", err=True)
        now = anyio.current_time()
        if not quiet and now - since >= (LINE if line == said else LINE / 2):
            click.echo(f"greenroom: {line}", err=True)
            said, since = line, now
        await anyio.sleep(LOOK)
    overdue.cancel()
