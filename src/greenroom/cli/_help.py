"""Help texts printed the way they are written, so that examples keep their lines."""

from __future__ import annotations

import inspect

import click


class AsWritten(click.Command):
    """A command whose help text and epilog are not refilled."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's protocol
        """Write the help text as it is."""
        _write(formatter, self.help)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's protocol
        """Write the epilog as it is."""
        _write(formatter, self.epilog)


class GroupAsWritten(AsWritten, click.Group):
    """A group of such commands."""

    command_class = AsWritten


def _write(formatter: click.HelpFormatter, text: str | None) -> None:
    if not text:
        return
    formatter.write_paragraph()
    for line in inspect.cleandoc(text).splitlines():
        formatter.write(f"  {line}".rstrip() + "\n")
