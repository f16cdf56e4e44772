"""Wait for hundreds of remote sessions at once, at a fraction of the API calls.

One poller reads many sessions in few calls under one shared rate limit, and a transition table says
for each state what it means for each who waits: success, failure, not yet, or never.

    async with greenroom.Poller(source, limiter=greenroom.RateLimiter(10, burst=20)) as poller:
        results = await poller.wait_all(ids, until="READY", timeout=1800)

The promises: one shared budget, never exceeded; a wait ends by a verdict, a refusal or its
deadline, never by a throttled call or an outage; each transition is told once and in order;
cancelling a wait leaves nothing behind.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from greenroom._callbacks import Callback, Trigger
from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    GoalUnreachable,
    GreenroomError,
    InvalidRequest,
    JournalError,
    NotFound,
    PollerClosed,
    QuotaExceeded,
    SessionMissing,
    SourceError,
    SpecError,
    TableError,
    Throttled,
    Unavailable,
    WaitError,
    WaitFailed,
    WaitsFailed,
    WaitTimeout,
)
from greenroom._history import History
from greenroom._limiter import AdaptiveRateLimiter, Limiter, LimiterStatistics, RateLimiter
from greenroom._overload import Shortfall
from greenroom._poller import Poller, PollerStatistics, wait
from greenroom._results import Transition, WaitResult, WaitResults
from greenroom._schedule import Backoff, Every, PayAsYouWait, Schedule
from greenroom._shared._shared_limiter import SharedRateLimiter
from greenroom._source import PagedSource, Source
from greenroom._states import ANY_STATE, Goal, Observation, TransitionTable, Verdict
from greenroom._waiting import AsCompleted
from greenroom._watching import Watch

if TYPE_CHECKING:
    from greenroom._launch._account import Account, Meter
    from greenroom._launch._acting import act
    from greenroom._launch._events import LaunchEvent, StreamAccess
    from greenroom._launch._journal import read_report
    from greenroom._launch._launch import Launch, launch
    from greenroom._launch._lines import Attempt, Deletion, Phase, WorkstationResult
    from greenroom._launch._past import read_history
    from greenroom._launch._policy import LaunchPolicy
    from greenroom._launch._provider import Provider
    from greenroom._launch._provider import Provider as Studio  # its former name
    from greenroom._launch._record import Record
    from greenroom._launch._report import LaunchReport
    from greenroom._launch._site import Cost
    from greenroom._launch_kind import (
        Deed,
        LaunchKind,
        ReadyCheck,
        Streams,
        launch_kind,
        launch_kinds,
        register,
    )
    from greenroom._remedies import Action, Remedies, Remedy
    from greenroom._specs import Choice, WorkstationSpec
    from greenroom.sources._nimble_launch import REMEDIES, read_specs
    from greenroom.sources._nimble_launch import SessionSpec as Spec
    from greenroom.temporal import fleet_worker as fleet_worker
    from greenroom.temporal import launch_fleet as launch_fleet

_LAZY = {
    "REMEDIES": "greenroom.sources._nimble_launch",
    "Account": "greenroom._launch._account",
    "Action": "greenroom._remedies",
    "Attempt": "greenroom._launch._lines",
    "Choice": "greenroom._specs",
    "Cost": "greenroom._launch._site",
    "Deed": "greenroom._launch_kind",
    "Deletion": "greenroom._launch._lines",
    "Launch": "greenroom._launch._launch",
    "LaunchEvent": "greenroom._launch._events",
    "LaunchKind": "greenroom._launch_kind",
    "LaunchPolicy": "greenroom._launch._policy",
    "LaunchReport": "greenroom._launch._report",
    "Meter": "greenroom._launch._account",
    "Phase": "greenroom._launch._lines",
    "Provider": "greenroom._launch._provider",
    "ReadyCheck": "greenroom._launch_kind",
    "Record": "greenroom._launch._record",
    "Remedies": "greenroom._remedies",
    "Remedy": "greenroom._remedies",
    "Spec": "greenroom.sources._nimble_launch:SessionSpec",
    "StreamAccess": "greenroom._launch._events",
    "Streams": "greenroom._launch_kind",
    "Studio": "greenroom._launch._provider:Provider",
    "WorkstationResult": "greenroom._launch._lines",
    "WorkstationSpec": "greenroom._specs",
    "act": "greenroom._launch._acting",
    "launch": "greenroom._launch._launch",
    "launch_kind": "greenroom._launch_kind",
    "launch_kinds": "greenroom._launch_kind",
    "read_history": "greenroom._launch._past",
    "read_report": "greenroom._launch._journal",
    "read_specs": "greenroom.sources._nimble_launch",
    "register": "greenroom._launch_kind",
}
"""What is imported when it is first asked for: its module, and its name there if that differs.

Who only waits pays for no launch. The imports above tell type checkers the same.
"""

_EXTRAS = {
    "fleet_worker": "greenroom.temporal",
    "launch_fleet": "greenroom.temporal",
}
"""The same, for what needs an extra to be installed: not in `__all__`, which has to be there."""


if not TYPE_CHECKING:  # with it, no checker would miss a name that is not there

    def __getattr__(name: str) -> Any:
        place = _LAZY.get(name) or _EXTRAS.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, attribute = place.partition(":")
        globals()[name] = found = getattr(import_module(module), attribute or name)
        return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LAZY.keys() | _EXTRAS.keys())


__all__ = [
    "ANY_STATE",
    "REMEDIES",
    "AccessDenied",
    "Account",
    "Action",
    "AdaptiveRateLimiter",
    "AsCompleted",
    "Attempt",
    "Backoff",
    "Callback",
    "Choice",
    "ConfigurationError",
    "Conflict",
    "Cost",
    "Deed",
    "Deletion",
    "Every",
    "Goal",
    "GoalUnreachable",
    "GreenroomError",
    "History",
    "InvalidRequest",
    "JournalError",
    "Launch",
    "LaunchEvent",
    "LaunchKind",
    "LaunchPolicy",
    "LaunchReport",
    "Limiter",
    "LimiterStatistics",
    "Meter",
    "NotFound",
    "Observation",
    "PagedSource",
    "PayAsYouWait",
    "Phase",
    "Poller",
    "PollerClosed",
    "PollerStatistics",
    "Provider",
    "QuotaExceeded",
    "RateLimiter",
    "ReadyCheck",
    "Record",
    "Remedies",
    "Remedy",
    "Schedule",
    "SessionMissing",
    "SharedRateLimiter",
    "Shortfall",
    "Source",
    "SourceError",
    "Spec",
    "SpecError",
    "StreamAccess",
    "Streams",
    "Studio",
    "TableError",
    "Throttled",
    "Transition",
    "TransitionTable",
    "Trigger",
    "Unavailable",
    "Verdict",
    "WaitError",
    "WaitFailed",
    "WaitResult",
    "WaitResults",
    "WaitTimeout",
    "WaitsFailed",
    "Watch",
    "WorkstationResult",
    "WorkstationSpec",
    "act",
    "launch",
    "launch_kind",
    "launch_kinds",
    "read_history",
    "read_report",
    "read_specs",
    "register",
    "wait",
]
