"""How sessions are asked for: workstations that are alike in one call, as safely as one by one.

A **request** is one call. What it asks for is on record before it is made: which workstations, in
which order, under which token. The session of a workstation is the one at its place in the answer.
So the call can be repeated by whoever takes the launch up after a crash: the same token asks for
the same sessions in the same places, and the service answers as if it had been asked once.

Workstations of a kind that takes one session a call have a request each. Where a call may ask for
many, those that want a session now, and are alike but for their keys, **gather** while they wait
for leave to make the call: leave for one call is leave for all who are there when it comes.

A refusal is an answer: nothing was made. With one exception, since who may not ask is sent away
before the token is looked at: where an earlier call under it may have been carried out, a denial
leaves open whether it was. A launch that is taken up with other credentials finds out.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import anyio

from greenroom._errors import AccessDenied, JournalError, SourceError, Throttled
from greenroom._launch import _events as events
from greenroom._launch import _site
from greenroom._launch._signs import Stopped
from greenroom._remedies import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from greenroom._launch._events import LaunchEvent
    from greenroom._launch._lines import Attempt, Line
    from greenroom._launch._site import Site
    from greenroom._specs import Choice


class Request:
    """One call that creates.

    Args:
        site: The launch.
        choice: What it takes of what the specs leave open.

    Attributes:
        choice: The same.
        lines: The workstations that it asks for.
    """

    def __init__(self, site: Site, choice: Choice) -> None:
        self.choice = choice
        self.lines: list[Line] = []
        self._site = site
        self._token = ""
        self._together = 0
        self._unheard = False
        self._over = anyio.Event()
        self._stopped: Stopped | None = None

    @classmethod
    def unanswered(cls, site: Site, lines: Iterable[Line]) -> Self:
        """Return the request that some lines were left with by a launch that is taken up.

        Args:
            site: The launch.
            lines: Those whose last attempts have one token, and were not answered.
        """
        known = sorted(lines, key=lambda line: line.attempts[-1].place)
        last = known[0].attempts[-1]
        request = cls(site, last.choice)
        request.lines = known
        request._token, request._together = last.token, last.together
        request._unheard = True
        return request

    async def answered(self) -> None:
        """Wait until every line's last attempt has its session, or a refusal.

        Raises:
            Stopped: A stop sign went up first.
        """
        await self._over.wait()
        if self._stopped is not None:
            raise Stopped(self._stopped.cause, self._stopped.message)

    async def make(self) -> None:
        """Record what is to be asked for, and ask for it; there is leave for the call."""
        with self._seen_through():
            await self._intend()
            await self._insist()

    async def make_again(self) -> None:
        """Ask for what an earlier process may have asked for."""
        with self._seen_through():
            await self._site.asker.leave(self._site.asking)
            await self._insist()

    def stop(self, stopped: Stopped) -> None:
        """Send everybody away."""
        self._stopped = stopped
        self._over.set()

    @contextmanager
    def _seen_through(self) -> Iterator[None]:
        """Tell everybody who waits how it went."""
        try:
            yield
        except Stopped as stopped:
            self.stop(stopped)
        else:
            self._over.set()

    async def _intend(self) -> None:
        site = self._site
        first = self.lines[0]
        self._token = site.token(first.spec.key, len(first.attempts) + 1)
        self._together = len(self.lines)
        for place, line in enumerate(self.lines):
            site.record(
                events.CreateIntended,
                key=line.spec.key,
                attempt=len(line.attempts) + 1,
                token=self._token,
                choice=self.choice,
                place=place,
                together=self._together,
            )
        try:
            await site.recorder.durable()
            site.creating.check()
        except (JournalError, Stopped) as error:
            site.asker.give_back()
            cause = error.cause if isinstance(error, Stopped) else _site.JOURNAL
            self._tell_all(events.CreateDeferred, cause=cause, message=f"not created: {error}")
            raise Stopped(cause, str(error)) from None

    async def _insist(self) -> None:
        """Make the call, for which there is leave, until there is an answer."""
        site, remedies = self._site, self._site.remedies
        sign, tries = site.asking if self._unheard else site.creating, 0
        while True:
            try:
                made = await site.asker.insist(
                    self._call, sign, operation="create_sessions", unsure=site.asking
                )
            except SourceError as error:
                row = remedies.row_of(error)
                remedy = remedies.of(row)
                told = {"cause": error.code or type(error).__name__, "message": str(error)}
                if remedy.action is Action.HOLD:
                    tries += 1
                    if tries == 1:
                        self._tell_all(events.CreateDeferred, **told)
                    site.hold(told["cause"], told["message"])
                    await site.worth_another_try(tries)
                    await site.asker.leave(site.creating)
                    continue
                denied = isinstance(error, AccessDenied) and remedy.action is Action.STOP
                if denied and self._unheard:
                    site.stop(told["cause"], f"{told['message'].rstrip('.')}. {remedy.advice}")
                    raise Stopped(told["cause"], told["message"]) from None
                self._tell_all(events.CreateRefused, row=row, **told)
                for _ in self.lines:
                    site.pass_on()  # if these were let pass by a hold, others may
            else:
                self._take(made)
            return

    async def _call(self) -> Mapping[int, str]:
        before, self._unheard = self._unheard, True
        try:
            return await self._site.studio.create_sessions(
                self.lines[0].spec, self.choice, count=self._together, client_token=self._token
            )
        except SourceError as error:
            if isinstance(error, Throttled) or not self._site.remedies.repeats(error):
                self._unheard = before
            raise

    def _take(self, made: Mapping[int, str]) -> None:
        """Give everybody the session at its place, or none."""
        site = self._site
        missed = [line for line in self.lines if line.attempts[-1].place not in made]
        for line in self.lines:
            session_id = made.get(line.attempts[-1].place)
            if session_id is not None:
                _tell(site, line, events.Created, id=session_id)
                site.keys[session_id] = line.spec.key
                site.made()
        said = f"{len(made)} of the {self._together} sessions that were asked for were made"
        for line in missed:
            _tell(
                site,
                line,
                events.CreateRefused,
                cause=site.studio.launches.fewer,
                row=site.studio.launches.fewer,
                message=said,
            )
            site.pass_on()

    def _tell_all(self, make: Callable[..., LaunchEvent], **members: object) -> None:
        for line in self.lines:
            _tell(self._site, line, make, **members)


async def create(site: Site, line: Line, choice: Choice) -> Attempt:
    """Make one more attempt of a workstation that may pass any hold, and return it answered.

    Raises:
        Stopped: A stop sign went up first.
    """
    alike = (line.spec.likeness(), *choice.items())
    request = site.gathering.get(alike)
    if request is None:
        request = site.gathering[alike] = Request(site, choice)
        site.tasks.start_soon(_make_with_leave, site, alike, request)
    request.lines.append(line)
    if len(request.lines) == site.studio.launches.together:
        del site.gathering[alike]
    await request.answered()
    return line.attempts[-1]


async def _make_with_leave(site: Site, alike: tuple[object, ...], request: Request) -> None:
    try:
        await site.asker.leave(site.creating)
    except Stopped as stopped:
        request.stop(stopped)
        return
    finally:
        if site.gathering.get(alike) is request:
            del site.gathering[alike]
    await request.make()


def _tell(site: Site, line: Line, make: Callable[..., LaunchEvent], **members: object) -> None:
    site.record(make, key=line.spec.key, attempt=line.attempts[-1].number, **members)
