"""The account of a launch as it is handed to people: key to result, and what all of it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from greenroom._errors import WaitsFailed
from greenroom._launch._lines import WorkstationResult
from greenroom._results import WaitResult
from greenroom._states import Verdict

if TYPE_CHECKING:
    from greenroom._launch._account import Account


class LaunchReport(Mapping[str, WorkstationResult]):
    """The account of a launch: key to `WorkstationResult`, in the order of the specs.

    Attributes:
        launch_id: The launch.
        began_at: When it was first taken up (aware); None if it never was.
        ended_at: When the latest thing happened.
        running: Whether no end was told: the process still runs, or was killed.
        interrupted: Whether it was last asked to stop before its end.
        stopped: Why nothing more was created, where that is so.
        meters: What it had cost, in the order of time.
    """

    def __init__(self, account: Account) -> None:
        self.launch_id = account.launch_id
        self.began_at = account.began_at
        self.ended_at = account.last_at
        self.running = account.running
        self.interrupted = account.interrupted
        self.stopped = account.stopped
        self.meters = tuple(account.meters)
        self._results = {key: line.result() for key, line in account.lines.items()}

    def __getitem__(self, key: str) -> WorkstationResult:
        return self._results[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        counts = Counter(result.verdict.value for result in self._results.values())
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        return f"<LaunchReport {self.launch_id}: {said}>"

    @property
    def succeeded(self) -> tuple[WorkstationResult, ...]:
        """The workstations that are ready."""
        return self._with(Verdict.SUCCESS)

    @property
    def failed(self) -> tuple[WorkstationResult, ...]:
        """The workstations that are neither ready nor merely late, whatever their verdict."""
        return self._with(*set(Verdict) - {Verdict.SUCCESS, Verdict.TIMEOUT})

    @property
    def timed_out(self) -> tuple[WorkstationResult, ...]:
        """The workstations that were still on their way at the deadline."""
        return self._with(Verdict.TIMEOUT)

    @property
    def by_cause(self) -> Mapping[str, tuple[WorkstationResult, ...]]:
        """The workstations that did not succeed, by cause, the most frequent first."""
        groups: dict[str, list[WorkstationResult]] = {}
        for result in self._results.values():
            if result.cause is not None:
                groups.setdefault(result.cause, []).append(result)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        return {cause: tuple(results) for cause, results in ordered}

    def advice(self, cause: str) -> str:
        """Return what a person can do about one of the causes in `by_cause`.

        Raises:
            KeyError: No workstation has it.
        """
        return self.by_cause[cause][0].advice or ""

    @property
    def calls(self) -> int:
        """API calls of every kind."""
        return self.meters[-1].calls if self.meters else 0

    @property
    def throttled(self) -> int:
        """Those of them that the service throttled."""
        return self.meters[-1].throttled if self.meters else 0

    @property
    def elapsed(self) -> float:
        """Seconds from the first event to the last one."""
        if self.began_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.began_at).total_seconds()

    def raise_for_failures(self) -> None:
        """Return if every workstation is ready.

        Raises:
            WaitsFailed: At least one is not. Its `results` are by key.
        """
        bad = {
            key: result
            for key, result in self._results.items()
            if result.verdict is not Verdict.SUCCESS
        }
        if bad:
            causes = Counter(result.cause or result.verdict.name for result in bad.values())
            told = "; ".join(f"{count} {cause}" for cause, count in causes.most_common())
            message = f"{len(bad)} of {len(self)} workstations are not ready: {told}"
            raise WaitsFailed(message, {key: _as_wait(result) for key, result in bad.items()})

    def _with(self, *verdicts: Verdict) -> tuple[WorkstationResult, ...]:
        return tuple(result for result in self._results.values() if result.verdict in verdicts)


def _as_wait(result: WorkstationResult) -> WaitResult:
    return WaitResult(
        id=result.id or result.key,
        verdict=result.verdict,
        state=result.state,
        reason=result.reason,
        message=result.message,
        elapsed=result.elapsed,
        reads=result.reads,
        explanation=f"{result.key}: {result.message or result.reason or result.verdict.value}",
    )
