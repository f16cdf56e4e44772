"""Every way in which the wire breaks: what strikes, for how long, and who mends it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore import auth
from tests.wire.service import DOMAIN, Service

from greenroom.sources import _aws

BRIEF = 1.0
"""Seconds for which clients wait for an answer that never comes."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what the table in the README says of it.

    Attributes:
        row: Its row.
        case: What tells it from others of this row; of a refusal, its code.
        strike: Begins it, given the service and the calls that an operation makes.
        mend: Ends it, once two calls have failed; None where it ends by itself, or never.
        connected: Whether a connection stands when it strikes.
        around: What it takes on the clients' side.
        tls: Whether the line speaks TLS.
        patience: Seconds for which clients wait for an answer.
    """

    row: str
    case: str
    strike: Callable[[Service, tuple[str, ...]], object]
    mend: Callable[[Service], object] | None = None
    connected: bool = True
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    tls: bool = False
    patience: float = _aws.READ_TIMEOUT


def _requests(*kinds: dict[str, Any]) -> Callable[..., None]:
    """Let requests go wrong at the simulator: each call in each of the ways."""

    def strike(service: Service, calls: tuple[str, ...]) -> None:
        service.fail([{"operation": call} | kind for kind in kinds for call in calls])

    return strike


def _every(kind: str) -> Callable[..., None]:
    return _requests({"kind": kind})


def _some(kind: str, times: int = 2, **more: Any) -> Callable[..., None]:
    return _requests({"kind": kind, "times": times, **more})


def _each(kind: str, *statuses: int) -> Callable[..., None]:
    return _requests(*({"kind": kind, "status": status, "times": 1} for status in statuses))


def _outage(service: Service, calls: tuple[str, ...]) -> None:
    service.fail([{"kind": "outage"}])


def _gone_for_a_minute_more(service: Service) -> None:
    """Let the outage last for 60 seconds more, of simulated time."""
    now = service.elapsed()
    service.fail([{"kind": "outage", "from_s": now, "until_s": now + 60}])


def _not_found(service: Service, calls: tuple[str, ...]) -> None:
    # Of a list, not found is the studio; of a create, it is what the session is to be made from.
    times = {each: 2 for each in calls if each != "ListStreamingSessions"}
    if "CreateStreamingSession" in times:
        times["CreateStreamingSession"] = 100
    kind = "ResourceNotFoundException"
    service.fail([{"kind": kind, "operation": call, "times": times[call]} for call in times])


def _lose(*ways: str) -> Callable[..., object]:
    return lambda service, calls: service.portal.call(partial(service.line.lose, *ways))


def _down(service: Service, calls: tuple[str, ...]) -> None:
    service.portal.call(service.line.down)


def _up(service: Service) -> None:
    service.portal.call(service.line.up)


_forgotten: set[str] = set()


@contextmanager
def resolved() -> Iterator[None]:
    """Resolve the services' names, unless they are forgotten."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if not name.endswith(DOMAIN):
            return resolve(host, *args, **options)
        if name in _forgotten:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


def _forget(service: Service, calls: tuple[str, ...]) -> None:
    _forgotten.add(service.host)


def _know(service: Service) -> None:
    _forgotten.discard(service.host)


def _refuse_tls(service: Service, calls: tuple[str, ...]) -> None:
    def refuse() -> None:
        service.line.refuses_tls = True
        service.line.break_off()

    service.portal.call(refuse)


@dataclass
class _WallClock:
    """The wall clock of this machine, which somebody sets; the service has a clock of its own."""

    ahead: float
    leapt: bool = False
    read: int = 0

    @contextmanager
    def around(self) -> Iterator[None]:
        """Put it in the place of the machine's."""
        self.leapt, self.read = False, 0
        now, today = time.time, auth.get_current_datetime

        def get_current_datetime(*args: Any, **options: Any) -> Any:
            self.read += self.leapt
            return today(*args, **options) + timedelta(seconds=self.ahead * self.leapt)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: now() + self.ahead * self.leapt)
            patch.setattr(auth, "get_current_datetime", get_current_datetime)
            yield
        assert self.read, "nothing was signed after the leap"

    def leap(self, service: Service, calls: tuple[str, ...]) -> None:
        """Set it."""
        self.leapt = True


def _leap(case: str, ahead: float) -> Fault:
    clock = _WallClock(ahead)
    return Fault(_LEAP, case, clock.leap, around=clock.around)


_REFUSED = (
    "400 `ValidationException`, 403 `AccessDeniedException`, a signature refused for its date"
)
_ERROR = "408, 500, 502, 503 of the service, the error's header there or missing"
_THROTTLED = "429, with Retry-After or without"
_PAGE = "400 to 504 as a page of HTML"
_GARBAGE = "200 with a page of HTML, or with `{}`"
_SPOILT = "200, body empty or truncated"
_DROPPED = "connection dropped, before the answer or within it"
_LEAP = "wall clock leaps an hour, ahead or back"

FAULTS = (
    Fault(_REFUSED, "ValidationException", _every("ValidationException")),
    Fault(_REFUSED, "AccessDeniedException", _every("AccessDeniedException")),
    Fault(_REFUSED, "InvalidSignatureException", _every("skewed")),
    Fault(
        "402 `ServiceQuotaExceededException`, for a while",
        "ServiceQuotaExceededException",
        _some("ServiceQuotaExceededException"),
    ),
    Fault("404 `ResourceNotFoundException`, at first", "ResourceNotFoundException", _not_found),
    Fault("409 `ConflictException`, for a while", "ConflictException", _some("ConflictException")),
    Fault(_THROTTLED, "without", _some("ThrottlingException")),
    Fault(_THROTTLED, "with", _some("ThrottlingException", times=1, retry_after=40)),
    Fault(_ERROR, "header", _some("InternalServerErrorException")),
    Fault(_ERROR, "no header", _each("no_error_header", 408, 500, 502, 503)),
    Fault(_PAGE, "4xx", _each("html", 400, 403, 404, 408, 429)),
    Fault(_PAGE, "5xx", _each("html", 500, 502, 503, 504)),
    Fault(_GARBAGE, "page", _some("wrong_type")),
    Fault(_GARBAGE, "object", _some("blank")),
    Fault(_SPOILT, "empty", _some("empty")),
    Fault(_SPOILT, "truncated", _some("truncated")),
    Fault("200, wrong content type", "", _some("mislabelled")),
    Fault(_DROPPED, "before", _some("drop")),
    Fault(_DROPPED, "within", _some("cut")),
    Fault("server hangs", "", _some("hang", times=1), patience=BRIEF),
    Fault("server slow", "", _some("slow", delay_s=10)),
    Fault("answer too late", "", _some("late", times=1, delay_s=150), patience=BRIEF),
    Fault("60 s outage", "", _outage, _gone_for_a_minute_more),
    Fault(
        "half-open socket: nothing arrives",
        "",
        _lose("requests", "answers"),
        _up,
        patience=BRIEF,
    ),
    Fault("half-open socket: answers are lost", "", _lose("answers"), _up, patience=BRIEF),
    Fault("server restart", "", _down, _up),
    Fault("DNS gone", "", _forget, _know, connected=False),
    Fault("TLS refused", "", _refuse_tls, _up, tls=True),
    _leap("ahead", 3600.0),
    _leap("back", -3600.0),
)
