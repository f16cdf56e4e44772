"""How the simulated studio behaves: every value that can be set, its meaning and its default.

**Every duration here is in simulated seconds**, the network's latency included. A simulator that
runs sixty times as fast is the same run, watched sixty times as fast.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from greenroom.simulator._checks import (
    Reader,
    Record,
    SettingsError,
    choice,
    flag,
    integer,
    listed,
    number,
    optional,
    table,
)
from greenroom.simulator._facts import (
    ERRORS,
    OPERATIONS,
    RESOURCE_KINDS,
    SESSION_FAULTS,
    STREAM_FAULTS,
    ActionName,
    KindName,
)

ANY = "*"
"""Stands for every operation, where a name of one is asked for."""

DISGUISES = {
    "html": "a page of HTML, as a proxy sends it, 503 unless `status` says another; the request is "
    "not carried out",
    "no_error_header": "an error that no header names, 500 unless `status` says another; the "
    "request is not carried out",
    "skewed": "a 403 that refuses the signature for its date; the request is not carried out",
    "wrong_type": "a 200 page of HTML, as a login portal sends it; the request is not carried out",
    "blank": "a 200 with an empty JSON object, as a stub sends it; the request is not carried out",
    "hang": "the request is taken and never answered, nor carried out",
    "outage": "the connection closes, for every operation; no request is carried out",
    "drop": "the request is carried out, then the connection closes without an answer",
    "cut": "the request is carried out, then the connection closes halfway through the answer",
    "truncated": "the request is carried out; the answer is half the JSON, sent as if it were all",
    "empty": "the request is carried out; the answer is a 200 without a body",
    "mislabelled": "the request is carried out; the answer calls its JSON text/html",
    "slow": "the request is carried out, `delay_s` late",
    "late": "the request is carried out at once; the answer comes `delay_s` late",
}
"""The faults that are not one of the service's own errors."""

FAULT_KINDS = (*ERRORS, *DISGUISES)

_seconds = number("seconds", least=0)
_probability = number(least=0, most=1)
_operation = choice((*OPERATIONS, ANY), "operation")


@dataclass(frozen=True, kw_only=True)
class Law(Record):
    """How long something takes: a lognormal law.

    Attributes:
        median_s: The median, in seconds.
        sigma: The spread: the standard deviation of the logarithm. 0 makes every draw the median.
    """

    median_s: Annotated[float, number("seconds", above=0)]
    sigma: Annotated[float, number(least=0, most=10)] = 0.35


@dataclass(frozen=True, kw_only=True)
class Work(Law):
    """How long an operation takes, and how it may fail.

    Attributes:
        failures: The probability of each status code that the operation may fail with. What is
            left up to 1 is the probability that it succeeds.
    """

    failures: Annotated[dict[str, float], table(_probability, SESSION_FAULTS, "status code")] = (
        field(default_factory=dict)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (total := sum(self.failures.values())) > 1:
            raise SettingsError(f"add up to {total:g}, and must not exceed 1", "failures")


@dataclass(frozen=True, kw_only=True)
class StreamWork(Work):
    """How long a stream takes to be ready; streams fail for fewer reasons than sessions."""

    failures: Annotated[dict[str, float], table(_probability, STREAM_FAULTS, "status code")] = (
        field(default_factory=dict)
    )


@dataclass(frozen=True, kw_only=True)
class Limit(Record):
    """What the service's own throttle lets pass.

    Attributes:
        rate: Calls per second.
        burst: Calls that may come at once, after a pause.
    """

    rate: Annotated[float, number("calls per second", above=0)]
    burst: Annotated[float, number("calls", least=1)]


READS = Limit(rate=10, burst=20)
WRITES = Limit(rate=50, burst=500)


@dataclass(frozen=True, kw_only=True)
class Fault(Record):
    """A rule by which some requests go wrong.

    Attributes:
        kind: One of the service's seven errors by name, or one of `DISGUISES`.
        operation: The operation that it strikes; "*" for all of them.
        probability: How often it strikes, from 0 to 1.
        times: After how many strikes it is over; None for never.
        from_s: When it begins, in seconds from the simulator's start.
        until_s: When it is over, in seconds from the simulator's start; None for never.
        retry_after: What the answer's Retry-After header asks for, in seconds; None for no header.
            For errors and `html`.
        delay_s: How late a `slow` or `late` answer is, in seconds.
        status: The HTTP status of `html` and `no_error_header`, 400 to 599; None for their usual.
    """

    kind: Annotated[str, choice(FAULT_KINDS, "kind of fault")]
    operation: Annotated[str, _operation] = ANY
    probability: Annotated[float, _probability] = 1.0
    times: Annotated[int | None, optional(integer(least=1))] = None
    from_s: Annotated[float, _seconds] = 0.0
    until_s: Annotated[float | None, optional(_seconds)] = None
    retry_after: Annotated[float | None, optional(_seconds)] = None
    delay_s: Annotated[float, _seconds] = 0.0
    status: Annotated[int | None, optional(integer(least=400, most=599))] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "outage" and self.operation != ANY:
            raise SettingsError('an outage takes every operation down; write "*"', "operation")
        if self.kind in ("slow", "late") and self.delay_s == 0:
            problem = f"0 must be greater than 0 seconds for a {self.kind} answer"
            raise SettingsError(problem, "delay_s")
        if self.status is not None and self.kind not in ("html", "no_error_header"):
            raise SettingsError(f"{self.kind} has a status of its own; leave it out", "status")
        if self.until_s is not None and self.until_s <= self.from_s:
            raise SettingsError(f"{self.until_s:g} must be later than from_s", "until_s")


def _latency(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple):
        return (_seconds(value), _seconds(value))
    bounds = listed(_seconds)(value)
    if len(bounds) != 2 or bounds[0] > bounds[1]:
        raise SettingsError(f"{list(bounds)} must be seconds, or [lowest, highest] in seconds")
    return (bounds[0], bounds[1])


def _seeds(kind: KindName) -> Reader[dict[str, str] | None]:
    return optional(table(choice(RESOURCE_KINDS[kind].states, "state")))


@dataclass(frozen=True, kw_only=True)
class Settings(Record):
    """Everything that can be set about a simulated studio. Durations are simulated seconds.

    Attributes:
        seed: The same seed and the same requests give the same run.
        create: How long a session takes from CREATE_IN_PROGRESS to READY.
        start: How long a session takes from START_IN_PROGRESS to READY.
        stop: How long a session takes from STOP_IN_PROGRESS to STOPPED.
        delete: How long a session takes from DELETE_IN_PROGRESS to DELETED.
        stream: How long a stream takes from CREATE_IN_PROGRESS to READY.
        failure: How long any of these takes when it fails.
        throttle: By operation, what the throttle lets pass; "*" for every one not named. Without
            either, reads pass 10 a second (burst 20), each operation for itself, and writes 50
            (burst 500).
        retry_after: What the Retry-After header of a throttled call asks for; None for no header.
        latency: How late every answer is: a number, or the lowest and highest of an even spread.
        faults: The rules by which requests go wrong; of several that apply, the first strikes.
        create_lag: For how long after its creation a session is not found by reads.
        read_lag: How old the state that a read shows may be, drawn anew for every session of
            every read: two reads in a row may go backwards.
        page_size: How many sessions a page of a list holds.
        ignore_filter: Whether lists ignore the ids that they are asked for.
        forget_after: For how long a session in DELETED is still shown.
        max_sessions: How many sessions may exist at once, DELETED ones aside; None for any number.
        session_length: After how long in READY a session is stopped by itself; None for never.
        stopped_length: After how long in STOPPED a session is deleted by itself; None for never.
        launch_profiles: The launch profiles that exist, with their states; None if every id
            exists and is READY.
        streaming_images: The same, of streaming images.
        studio_components: The same, of studio components.
        studios: The same, of studios. There is one set of sessions, whatever the studio's id.
    """

    seed: Annotated[int, integer()] = 0
    create: Work = Work(median_s=150, sigma=0.35)
    start: Work = Work(median_s=90, sigma=0.3)
    stop: Work = Work(median_s=45, sigma=0.3)
    delete: Work = Work(median_s=30, sigma=0.3)
    stream: StreamWork = StreamWork(median_s=8, sigma=0.3)
    failure: Law = Law(median_s=60, sigma=0.35)
    throttle: Annotated[dict[str, Limit], table(Limit.read, (*OPERATIONS, ANY), "operation")] = (
        field(default_factory=dict)
    )
    retry_after: Annotated[float | None, optional(_seconds)] = None
    latency: Annotated[tuple[float, float], _latency] = (0.0, 0.0)
    faults: Annotated[tuple[Fault, ...], listed(Fault.read)] = ()
    create_lag: Annotated[float, _seconds] = 0.0
    read_lag: Annotated[float, _seconds] = 0.0
    page_size: Annotated[int, integer(least=1)] = 100
    ignore_filter: Annotated[bool, flag] = False
    forget_after: Annotated[float, _seconds] = 3600.0
    max_sessions: Annotated[int | None, optional(integer(least=0))] = None
    session_length: Annotated[float | None, optional(number("seconds", above=0))] = 43_200.0
    stopped_length: Annotated[float | None, optional(number("seconds", above=0))] = 432_000.0
    launch_profiles: Annotated[dict[str, str] | None, _seeds("launch_profiles")] = None
    streaming_images: Annotated[dict[str, str] | None, _seeds("streaming_images")] = None
    studio_components: Annotated[dict[str, str] | None, _seeds("studio_components")] = None
    studios: Annotated[dict[str, str] | None, _seeds("studios")] = None

    @classmethod
    def from_table(cls, table: object) -> Self:
        """Read the settings from a table of plain values; what it leaves out keeps its default.

        Raises:
            SettingsError: A value is not valid, or a key is not known.
        """
        return cls().merged(table)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read the settings from a TOML file, or from a JSON file if its name ends in `.json`.

        Raises:
            SettingsError: The file cannot be read, is not TOML or JSON, or holds a value that is
                not valid. The message begins with the path.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
            value = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
            return cls.from_table(value)
        except OSError as error:
            raise SettingsError(f"cannot be read: {error.strerror}", file=str(file)) from error
        except SettingsError as error:
            raise SettingsError(error.problem, error.where, str(file)) from None
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"cannot be understood: {error}", file=str(file)) from error

    def merged(self, changes: object) -> Self:
        """Return these settings with some of them changed.

        Args:
            changes: A table of plain values. Tables are merged key by key, everything else,
                lists included, is replaced.

        Raises:
            SettingsError: A value is not valid, or a key is not known.
        """
        if not isinstance(changes, Mapping):
            raise SettingsError(f"{changes!r} must be a table of settings")
        return self.read(_merge(self.as_table(), changes))

    def as_table(self) -> dict[str, Any]:
        """Return the settings as plain values, which `from_table` takes back."""
        return asdict(self)

    def limit(self, operation: str) -> Limit:
        """Return what the throttle lets pass of an operation."""
        by_default = READS if OPERATIONS[operation].reads else WRITES
        return self.throttle.get(operation) or self.throttle.get(ANY) or by_default

    def work(self, action: ActionName) -> Work:
        """Return how long an action on a session takes, and how it may fail."""
        return {
            "create": self.create,
            "start": self.start,
            "stop": self.stop,
            "delete": self.delete,
        }[action]

    def states(self, kind: KindName) -> dict[str, str] | None:
        """Return the resources of a kind, by id, with their states; None if every id is READY."""
        return {
            "launch_profiles": self.launch_profiles,
            "streaming_images": self.streaming_images,
            "studio_components": self.studio_components,
            "studios": self.studios,
        }[kind]


def _merge(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    def chosen(key: str, value: Any) -> Any:
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            return _merge(before, value)
        return value

    return {**old, **{key: chosen(key, value) for key, value in new.items()}}
