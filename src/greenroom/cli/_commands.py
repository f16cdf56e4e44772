"""The commands: their arguments, their help, and one call each into what does the work."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from greenroom._states import ANY_STATE
from greenroom.cli import _arguments, _listing, _options, _status
from greenroom.cli._help import GroupAsWritten
from greenroom.cli._kinds import KINDS, kinds_of, states_of
from greenroom.cli._printing import JsonReport, ResourceReport, TextReport, WatchReport
from greenroom.cli._screen import Notices, Screen
from greenroom.cli._tables import FORMATS
from greenroom.cli._wait import Goal, settle, watch
from greenroom.cli.fleet._commands import fleet_command, worker_command
from greenroom.cli.launch._commands import (
    delete_command,
    launch_command,
    start_command,
    stop_command,
)
from greenroom.cli.plan._command import plan_command
from greenroom.cli.report._command import report_command

if TYPE_CHECKING:
    from greenroom.cli._kinds import Kind
    from greenroom.cli._options import Asked


@click.group(
    cls=GroupAsWritten,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(package_name="greenroom", message="%(prog)s %(version)s")
@click.pass_context
def greenroom(context: click.Context) -> int:
    """Wait for hundreds of remote sessions at once, at a fraction of the API calls.

    Try it; this needs no account, no server and no configuration:
      greenroom demo

    Launch 300 workstations, and account for every one:
      greenroom launch --studio-id STUDIO --launch-profile-id PROFILE --count 300

    Wait until sessions that exist are ready, at no more than ten calls a second:
      greenroom wait nimble-session --ids-from ids.txt --until READY --rate 10

    Results go to standard output, progress to standard error. Credentials and region come from
    where AWS tools usually find them: the environment, a profile, or the instance's role.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return _status.BAD_USAGE
    return _status.OK


@greenroom.command("wait", epilog=_status.HELP)
@click.option(
    "--until",
    metavar="STATE",
    multiple=True,
    help="The state to wait for. Given several times, any of them will do.",
)
@click.option(
    "--timeout",
    type=_arguments.timeout,
    metavar="DURATION",
    default="30m",
    show_default=True,
    help="How long to wait, all together: 30m, 1h30m, 90 (seconds), 500ms, or none.",
)
@_options.polling
@click.option("-v", "--verbose", is_flag=True, help="Tell every change, on standard error.")
@_options.no_live
def wait_command(
    asked: Asked,
    until: tuple[str, ...],
    timeout: float | None,
    output: str,
    verbose: bool,
    no_live: bool,
) -> int:
    """Wait until sessions are in a state, or can never get there.

    KIND says what they are: `greenroom kinds` lists them, `greenroom table KIND` shows the states
    they can be in. The goal of a waiter of botocore, aws:SERVICE:WAITER, need not be said.
    A service that throttles or does not answer never ends a wait: it is tried until the timeout.
    Right after an action reads can be old news, so that a session found at rest, or not found,
    counts as unreachable or missing only after 30 seconds; a workspace not found, after 5 minutes.

    Examples:
      greenroom wait nimble-session SESSION_ID --until READY
      greenroom wait nimble-session --ids-from ids.txt --until READY --timeout 1h --rate 5
      greenroom wait nimble-session SESSION_ID --until STOPPED --until DELETED --output json
      greenroom wait ec2-instance --ids-from ids.txt --until running --rate 2
      greenroom wait aws:rds:db_instance_available DBInstanceIdentifier=NAME
    """
    goal = Goal(states_of(asked.kind, until), timeout)
    as_json = output == "json"
    live = not (as_json or verbose or no_live) and _options.on_a_terminal()
    report = JsonReport() if as_json else TextReport(verbose=verbose, hold_back=live)
    screen: Screen = Notices(lines=not as_json)
    if live:
        from greenroom.cli._live import LiveView

        screen = LiveView(f"{asked.table.kind} until {' or '.join(goal.until)}", timeout)
    return anyio.run(settle, asked, goal, report, screen)


@greenroom.command("get", epilog=_status.HELP)
@_options.polling
@click.option(
    "--timeout",
    type=_arguments.timeout,
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="How long to try, where the service does not answer.",
)
def get_command(asked: Asked, timeout: float | None, output: str) -> int:
    """Show the state that each session is in, after one look.

    KIND says what they are; `greenroom table KIND` shows the states they can be in.
    With --output json, the whole resource is shown as the service answers it.

    Examples:
      greenroom get nimble-session SESSION_ID ANOTHER_ID
      greenroom get nimble-session --ids-from ids.txt --output json > sessions.jsonl
    """
    goal = Goal(ANY_STATE, timeout, not_found_grace=0.0)
    report = ResourceReport(asked.ids, as_json=output == "json")
    return anyio.run(settle, asked, goal, report, Notices(lines=False))


@greenroom.command("watch", epilog=_status.HELP)
@_options.polling
def watch_command(asked: Asked, output: str) -> int:
    """Print every change of the sessions, until you press Ctrl-C.

    KIND says what they are; `greenroom table KIND` shows the states they can be in.

    Examples:
      greenroom watch nimble-session SESSION_ID
      greenroom watch nimble-session --ids-from ids.txt --output json
    """
    return anyio.run(watch, asked, WatchReport(as_json=output == "json"), Notices(lines=False))


@greenroom.command("table")
@_options.kind
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="mermaid and dot are diagrams, to be drawn by Mermaid and Graphviz.",
)
def table_command(kind: Kind, format_name: str) -> int:
    """Show what each state of a kind means to someone who waits.

    pending      worth waiting on: the service can get there by itself
    success      there
    failure      the service tried to get there, and failed
    unreachable  the service never gets there by itself

    Examples:
      greenroom table nimble-session
      greenroom table nimble-session --format dot | dot -Tsvg > session.svg
    """
    click.echo(FORMATS[format_name](kind.table))
    return _status.OK


@greenroom.command("kinds")
@click.argument("which", metavar="[KIND|aws:SERVICE]", required=False)
@_options.output
def kinds_command(which: str | None, output: str) -> int:
    """List what can be waited for.

    For each KIND: how its ids are written, the states it can be in, the states that people wait
    for, how many of them one call reads, and the IAM permissions that reading takes.
    With aws:SERVICE, the waiters that botocore has for that service; each of them is a kind.

    Examples:
      greenroom kinds
      greenroom kinds workspace
      greenroom kinds aws:rds
      greenroom kinds --output json | jq -r .kind
    """
    listed = KINDS.values() if which is None else kinds_of(which)
    for line in map(_listing.as_json, listed) if output == "json" else _listing.as_text(listed):
        click.echo(line)
    if which is None and output == "text":
        click.echo(_listing.WAITERS)
    return _status.OK


@greenroom.command("simulator")
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=0,
    show_default=True,
    help="The port to listen on; 0 is any that is free.",
)
@click.option(
    "--speed",
    type=_arguments.speed,
    metavar="N",
    default=1.0,
    show_default=True,
    help="Simulated seconds per second.",
)
@click.option("--config", metavar="FILE", help="Settings, as TOML or JSON: times, faults, limits.")
@click.option("--seed", type=int, metavar="N", help="The same seed and requests, the same run.")
@click.option("--print-config", is_flag=True, help="Print the settings as JSON, and end.")
def simulator_command(
    host: str, port: int, speed: float, config: str | None, seed: int | None, print_config: bool
) -> int:
    """Serve a simulated studio over HTTP, until you press Ctrl-C.

    Its URL is the first line on standard output; how to use it follows on standard error.
    The exit status is 130 after Ctrl-C, and 2 where the simulator cannot start.

    Examples:
      greenroom simulator
      greenroom simulator --port 8000 --speed 10 --config studio.toml
      greenroom simulator --print-config > studio.json
    """
    from greenroom.cli import _simulate

    settings = _simulate.read_settings(config, seed)
    if print_config:
        click.echo(json.dumps(settings.as_table(), indent=2))
        return _status.OK
    return anyio.run(partial(_simulate.serve, settings, host=host, port=port, speed=speed))


@greenroom.command("demo")
@click.option(
    "--sessions",
    type=click.IntRange(1, 5000),
    metavar="N",
    default=300,
    show_default=True,
    help="How many sessions to create and wait for.",
)
@click.option(
    "--speed",
    type=_arguments.speed,
    metavar="N",
    default=60.0,
    show_default=True,
    help="Simulated seconds per second.",
)
@click.option(
    "--seed", type=int, metavar="N", default=0, show_default=True, help="Another seed, another run."
)
@_options.output
@_options.no_live
def demo_command(sessions: int, speed: float, seed: int, output: str, no_live: bool) -> int:
    """Launch sessions in a simulated studio and wait for them.

    The studio is part of greenroom and served over HTTP on this machine: no account, no network
    and no configuration is needed, and nothing is left behind. All times shown are simulated.
    The exit status is 0 when all sessions are ready.

    Examples:
      greenroom demo
      greenroom demo --sessions 1000 --speed 30
    """
    from greenroom.cli import _demo

    as_json = output == "json"
    live = not (as_json or no_live) and _options.on_a_terminal()
    return anyio.run(
        partial(_demo.run, sessions, speed=speed, seed=seed, as_json=as_json, live=live)
    )


for command in (
    launch_command,
    fleet_command,
    worker_command,
    plan_command,
    report_command,
    start_command,
    stop_command,
    delete_command,
):
    greenroom.add_command(command)
