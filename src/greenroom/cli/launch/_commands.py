"""The commands that make and end sessions: their arguments, their help, and one call each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import click

from greenroom.cli import _arguments, _options, _status
from greenroom.cli._help import AsWritten
from greenroom.cli._printing import JsonReport, TextReport
from greenroom.cli._screen import Notices, Screen
from greenroom.cli.launch import _acting, _run
from greenroom.cli.launch._options import launching
from greenroom.cli.launch._providers import PROVIDERS
from greenroom.cli.launch._screen import LaunchNotices, LaunchScreen
from greenroom.cli.launch._told import JsonLaunch, TextLaunch

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom._launch._acting import ActionName
    from greenroom.cli._options import Asked
    from greenroom.cli.launch._options import Wanted

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Tell every change, on standard error."
)


@click.command("launch", cls=AsWritten, epilog=_status.HELP)
@launching
@verbose_option
@_options.no_live
def launch_command(wanted: Wanted, output: str, verbose: bool, no_live: bool) -> int:
    """Create many workstations, wait for all of them, and account for every one.

    KIND is nimble-session, unless you say ec2-instance. A resumed launch knows its kind.
    Everything is recorded in a journal before it is done. A launch that was killed, stopped or cut
    off is taken up by --resume: nothing is lost, and nothing is made twice.
    What can be retried is: another instance type or subnet where there is no capacity, the same
    again where the service failed. Where the first all fail alike, and only a person can help,
    nothing more is created. `greenroom report` tells afterwards what happened.
    The first Ctrl-C stops the launch and sees through what is under way; the second leaves at once.

    Examples:
      greenroom launch --studio-id us-west-2-abc --launch-profile-id LP --count 300
      greenroom launch --studio-id us-west-2-abc --spec desks.jsonl --journal run.db --canary 5
      greenroom launch ec2-instance --image-id AMI --instance-type g5.xlarge --count 300
      greenroom launch --journal run.db --resume
    """
    as_json = output == "json"
    live = not (as_json or verbose or no_live) and _options.on_a_terminal()
    screen: LaunchScreen = LaunchNotices(lines=not as_json)
    if live:
        from greenroom.cli.launch._view import LaunchView

        what = "the rest" if wanted.specs is None else f"{len(wanted.specs)} workstations"
        title = f"launching {what}{wanted.provider.place(wanted.address)}"
        screen = LaunchView(title, wanted.policy.timeout)
    told = JsonLaunch() if as_json else TextLaunch(verbose=verbose)
    return anyio.run(_run.launch, wanted, told, screen)


def _acting_command(action: ActionName, help_text: str) -> click.Command:
    @click.option(
        "--timeout",
        type=_arguments.timeout,
        metavar="DURATION",
        default="30m",
        show_default=True,
        help="How long to go on, all together: 30m, 1h30m, 90 (seconds), 500ms, or none.",
    )
    @_options.polling
    @verbose_option
    @_options.no_live
    def command(
        asked: Asked, timeout: float | None, output: str, verbose: bool, no_live: bool
    ) -> int:
        if asked.kind.name not in PROVIDERS:
            known = " and ".join(PROVIDERS)
            raise click.UsageError(f"{action} is for {known}, and not for {asked.kind.name}")
        connect = PROVIDERS[asked.kind.name].connect
        asked = replace(asked, kind=replace(asked.kind, connect=connect))
        as_json = output == "json"
        live = not (as_json or verbose or no_live) and _options.on_a_terminal()
        report = JsonReport() if as_json else TextReport(verbose=verbose, hold_back=live)
        screen: Screen = Notices(lines=not as_json)
        if live:
            from greenroom.cli._live import LiveView

            screen = LiveView(f"{action} {asked.table.kind}", timeout)
        return anyio.run(_acting.carry_out, asked, action, timeout, report, screen)

    made: Callable[[Callable[..., int]], click.Command] = click.command(
        action, cls=AsWritten, epilog=_status.HELP, help=help_text
    )
    return made(command)


start_command = _acting_command(
    "start",
    """Start stopped sessions, and wait until they are ready.

    KIND is nimble-session or ec2-instance. A session that is ready already is a success; one that
    is still being stopped is started as soon as it is.

    Examples:
      greenroom start nimble-session SESSION_ID ANOTHER_ID
      greenroom start nimble-session --ids-from ids.txt --timeout 1h
    """,
)

stop_command = _acting_command(
    "stop",
    """Stop ready sessions, and wait until they are stopped.

    KIND is nimble-session or ec2-instance. A session that is stopped already is a success; one that
    is not ready yet is stopped as soon as it is.

    Examples:
      greenroom stop nimble-session SESSION_ID ANOTHER_ID
      greenroom stop nimble-session --ids-from ids.txt --output json
    """,
)

delete_command = _acting_command(
    "delete",
    """Delete sessions, and wait until they are gone.

    KIND is nimble-session or ec2-instance. A session that does not exist is a success; one that is
    on its way somewhere is deleted as soon as it has arrived.

    Examples:
      greenroom delete nimble-session SESSION_ID ANOTHER_ID
      greenroom delete ec2-instance --ids-from ids.txt
    """,
)
