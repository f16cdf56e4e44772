"""How a launch begins: what was under way is taken up, and the others follow as the gate lets them.

Those that begin are pulled: where there is leave for a call, as many that are alike go along as the
gate lets pass. (Those that want another session come by themselves, and gather: `_creating`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom._launch._creating import Request
from greenroom._launch._deleting import finish_deleting, intend_to_delete, to_delete
from greenroom._launch._lines import Phase
from greenroom._launch._signs import Stopped
from greenroom._launch._unbegun import Unbegun
from greenroom._launch._workstation import Workstation

if TYPE_CHECKING:
    from greenroom._launch._lines import Line
    from greenroom._launch._site import Site


async def begin(site: Site) -> None:
    """Take up what was begun before, and begin the others as the gate lets them."""
    site.gate.ready_before(site.account.counts[Phase.READY])
    _finish_deletions(site)
    unbegun: list[Line] = []
    unanswered: dict[str, list[Line]] = {}
    for line in site.account.lines.values():
        if line.settled is not None:
            continue
        if not line.attempts:
            unbegun.append(line)
            continue
        site.gate.begun()
        last = line.attempts[-1]
        if last.unanswered:
            unanswered.setdefault(last.token, []).append(line)
        else:
            site.tasks.start_soon(Workstation(site, line).run)
    for lines in unanswered.values():
        request = Request.unanswered(site, lines)
        _start(site, request)
        site.tasks.start_soon(request.make_again)
    try:
        await _begin_others(site, Unbegun(unbegun))
    except Stopped:
        return


async def _begin_others(site: Site, unbegun: Unbegun) -> None:
    """Begin workstations as the gate lets them, those that are alike together.

    Raises:
        Stopped: Creating has stopped.
    """
    most = site.studio.launches.together
    while unbegun:
        await site.leave_to_begin()
        first = unbegun.take()
        request = Request(site, first.spec.choices()[0])
        request.lines.append(first)
        while len(request.lines) < most and unbegun.has_like(first) and site.may_begin():
            request.lines.append(unbegun.take_like(first))
        _start(site, request)
        site.tasks.start_soon(request.make)


def _start(site: Site, request: Request) -> None:
    for line in request.lines:
        site.tasks.start_soon(Workstation(site, line).run, request)


def _finish_deletions(site: Site) -> None:
    """See through what was to be deleted when the launch was last taken up, or is to be now."""
    for key, line in site.account.lines.items():
        for attempt in to_delete(line, site.policy):
            if attempt.deletion is None:
                intend_to_delete(site, key, attempt.id or "")
            site.tasks.start_soon(finish_deleting, site, key, attempt.id or "")
