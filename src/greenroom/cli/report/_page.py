"""What happened in a launch, as one page that needs nothing else: no network, no server, no file.

The numbers, the causes and the lists are in the page as plain HTML. Only the timeline is drawn by a
script, from data that lie in the page. The page's policy lets run that one script and nothing else,
whatever a key or a service's message may hold.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from greenroom._launch._timeline import CREATING, GONE, WAITING
from greenroom._launch_kind import launch_kind
from greenroom._states import Verdict
from greenroom.cli._printing import CELL, printable, span, timestamp
from greenroom.cli.report import _charts as charts
from greenroom.cli.report import _words as words

if TYPE_CHECKING:
    from greenroom._launch._figures import Figures, Workstation
    from greenroom._launch_kind import LaunchKind


def as_html(figures: Figures, journal: str) -> str:
    """Return the page of a launch.

    Args:
        figures: The launch.
        journal: The name of its journal, for the command that takes it up again.
    """
    style, script = _data("report.css"), _data("report.js")
    return _template().render(
        figures=figures,
        words=words,
        journal=journal,
        style=Markup(style),  # ours, and no input
        script=Markup(script),
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src '{_digest(style)}'",
                f"script-src '{_digest(script)}'",
                "base-uri 'none'",
                "form-action 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        ),
        legend=_legend(figures),
        data=_timeline(figures),
        histogram=charts.histogram(figures.ready) if figures.ready else None,
        traffic=charts.traffic(figures.intervals) if figures.intervals else None,
        chart_height=charts.HEIGHT,
        succeeded=figures.verdicts.get(Verdict.SUCCESS, 0),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_data),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
    }
    environment.filters |= {
        "printable": printable,
        "span": span,
        "timestamp": timestamp,
        "brief": charts.brief,
        "cell": _cell,
    }
    return environment.get_template("report.html.j2")


def _data(name: str) -> str:
    return files("greenroom.cli.report").joinpath("data", name).read_text("utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _cell(text: str) -> str:
    return printable(text, CELL)


def _colours(kind: LaunchKind) -> dict[str, str]:
    """Return the name of each state's colour in the style, in the order of a usual life.

    States that the kind does not know go without.
    """
    table = kind.table
    colours = {CREATING: "asked", kind.made: "coming"}
    ends: dict[str, str] = {}
    for state, moves in table.moves.items():
        onward = set(moves) - table.failures
        if state in table.failures:
            ends[state] = "failed"
        elif state == table.gone:
            ends[state] = "gone"
        elif table.verdict(state, kind.ready) is Verdict.PENDING:
            colours[state] = "coming"
        elif state != kind.ready:
            ends[state] = "deleting" if onward == {table.gone} else "stopping"
    order = ("stopping", "deleting", "failed", "gone")
    others = sorted(ends, key=lambda state: order.index(ends[state]))
    return (
        colours
        | {kind.ready: "ready", WAITING: "waiting"}
        | {state: ends[state] for state in others}
        | {GONE: "gone"}
    )


def _legend(figures: Figures) -> list[tuple[str, str]]:
    """Return the states that were seen, in the order in which they usually come, with colours."""
    seen = {stretch.state for each in figures.workstations for stretch in each.stretches}
    colours = _colours(launch_kind(figures.kind))
    usual = [state for state in colours if state in seen]
    others = sorted(seen - set(usual))
    return [(_cell(state), colours.get(state, "other")) for state in (*usual, *others)]


def _timeline(figures: Figures) -> dict[str, Any]:
    """Return what the script draws, with every name in it only once."""
    legend = _legend(figures)
    states = {state: place for place, (state, _) in enumerate(legend)}
    causes = [_cell(group.cause) for group in figures.causes]
    verdicts = list(words.OUTCOMES)
    return {
        "states": legend,
        "causes": causes,
        "verdicts": [(verdict.value, words.OUTCOMES[verdict]) for verdict in verdicts],
        "silences": [(round(each.start, 1), round(each.end, 1)) for each in figures.silences],
        "end": round(figures.elapsed, 1),
        "rows": [
            (
                _cell(each.key),
                verdicts.index(each.verdict),
                causes.index(_cell(each.cause)) if each.cause else -1,
                None if each.ready is None else round(each.ready, 1),
                [each_id and _cell(each_id) for each_id in each.ids],
                round(each.stretches[0].start, 1) if each.stretches else None,
                _stretches(each, states),
            )
            for each in figures.workstations
        ],
    }


def _stretches(workstation: Workstation, states: dict[str, int]) -> list[float]:
    """Return attempt, state and end of each stretch, one after the other; they have no holes."""
    flat: list[float] = []
    for each in workstation.stretches:
        flat += (each.attempt, states[_cell(each.state)], round(each.end, 1))
    return flat
