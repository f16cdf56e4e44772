"""What the caller of a launch may set about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from greenroom import _arguments
from greenroom._errors import ConfigurationError
from greenroom._remedies import Remedy
from greenroom._schedule import Backoff, Schedule

if TYPE_CHECKING:
    from greenroom._launch_kind import LaunchKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPolicy:
    """How a launch goes about its work. Durations are seconds.

    Attributes:
        timeout: From the start to the deadline of all workstations together; None for no deadline.
            It begins anew when a launch is resumed. Deletions may run past it.
        canary: Workstations that must settle before the others are created; 0 for none. None lets
            the first ten go ahead, and the others follow as soon as one of them is ready.
        breaker: How many must fail alike, before any other ends otherwise, for creating to stop.
        until: What counts as ready, where a kind has several such goals, as `running` and `ok` for
            `ec2-instance`; None for the one that asks most.
        in_flight: Most calls at the same time that create, stream or delete.
        on_failure: What becomes of sessions that did not succeed: `keep` leaves them as they are,
            `delete` deletes them and waits for that. Sessions that an interruption finds on their
            way count among them. Where it keeps them, each retry leaves one more.
        stream: Whether to make a stream for each READY workstation. Not every kind has streams.
        stream_expires_in: For how long a stream can be opened, 60 to 3600; None for the service's
            own choice.
        delete_timeout: How long a deletion may take before it is given up.
        backoff: How long to pause before a create that failed for want of something is tried again.
        remedies: Rows that take the place of those of the kind, or are added, by cause.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    timeout: float | None = 3600.0
    canary: int | None = None
    breaker: int = 5
    until: str | None = None
    in_flight: int = 10
    on_failure: Literal["keep", "delete"] = "keep"
    stream: bool = False
    stream_expires_in: int | None = None
    delete_timeout: float = 600.0
    backoff: Schedule = field(default=Backoff(initial=10, factor=2, ceiling=300, floor=5))
    remedies: Mapping[str, Remedy] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _arguments.timeout(self.timeout)
        if self.canary:
            _arguments.count("canary", self.canary)
        elif self.canary not in (None, 0) or isinstance(self.canary, bool):
            raise ConfigurationError(f"canary={self.canary!r} must be a whole number, as canary=5")
        _arguments.count("breaker", self.breaker)
        _arguments.count("in_flight", self.in_flight)
        _arguments.seconds("delete_timeout", self.delete_timeout)
        if self.on_failure not in ("keep", "delete"):
            raise ConfigurationError(
                f"on_failure={self.on_failure!r} must be 'keep' or 'delete': what becomes of "
                "sessions that did not succeed"
            )
        if self.stream_expires_in is not None:
            _arguments.count("stream_expires_in", self.stream_expires_in)
        if not callable(getattr(self.backoff, "delay", None)):
            raise ConfigurationError(f"backoff={self.backoff!r} is no schedule, such as Backoff()")
        if not isinstance(self.remedies, Mapping):
            raise ConfigurationError(f"remedies={self.remedies!r} must be a dict of Remedy(...)")
        for cause, remedy in self.remedies.items():
            if not isinstance(remedy, Remedy):
                raise ConfigurationError(f"remedies[{cause!r}]={remedy!r} must be a Remedy(...)")
        object.__setattr__(self, "remedies", MappingProxyType(dict(self.remedies)))

    def check_for(self, kind: LaunchKind) -> None:
        """Make sure that it can be carried out with a kind.

        Raises:
            ConfigurationError: The kind has no such goal, no streams, or none that last so long.
        """
        kind.checks_until(self.until)
        if self.stream and kind.streams is None:
            raise ConfigurationError(f"stream=True: a {kind.name} has no streams")
        if self.stream_expires_in is not None and kind.streams is not None:
            least, most = kind.streams.expiry()
            if not least <= self.stream_expires_in <= most:
                asked = f"stream_expires_in={self.stream_expires_in!r}"
                raise ConfigurationError(f"{asked} must be {least} to {most} seconds")
