"""What looks on ends nothing: whatever an SDK's processor or exporter raises stays here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from greenroom.otel._telemetry import Telemetry

P = ParamSpec("P")
R = TypeVar("R")


class Looks(Protocol):
    """Something that looks on."""

    telemetry: Telemetry


L = TypeVar("L", bound=Looks)


def harmless(method: Callable[Concatenate[L, P], R]) -> Callable[Concatenate[L, P], R | None]:
    """Have a method return None where it would raise."""

    @functools.wraps(method)
    def call(self: L, /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # an SDK may be given anything
            self.telemetry.failed(method.__qualname__, error)
            return None

    return call
