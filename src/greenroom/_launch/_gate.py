"""Who may be created now: the canary, the breaker, and the hold. Pure.

A launch of hundreds can be wrong as a whole, and then the service makes hundreds of failures as
readily as one. Three things stand between a workstation and its first create:

- The **canary**. The first few go ahead, and the others wait to see what becomes of them. Asked for
  by a number, all of those must have settled. Otherwise the first `CAUTION` go, and the others
  follow as soon as one of them is ready: then not everything fails alike.
- The **breaker**. Where the first `several` to settle were all taken by one and the same cause, and
  it is one that only a person can remove, nothing more is created.
- The **hold**. The account holds as many sessions as it may. Each session that ends, and each pause
  that is over, is a pass for one create to try again; one that succeeds is a pass for the next, and
  `PROBES` of them in a row end the hold.

None of them touches what exists already: that is waited for, and stands in the account.
"""

from __future__ import annotations

CAUTION = 10
"""Workstations that go ahead where no canary is asked for."""

PROBES = 3
"""Creates in a row that have to succeed to end a hold."""


class Gate:
    """Decides whether one more workstation may begin, and whether one more create may be made.

    Args:
        canary: How many go ahead and must settle; 0 for none; None for `CAUTION` of them, until one
            is ready.
        several: How many must settle alike for the breaker to open.

    Attributes:
        held: Whether the hold is on.
    """

    def __init__(self, canary: int | None, several: int) -> None:
        self._canary = canary
        self._several = min(several, canary) if canary else several
        self._begun = 0
        self._settled: list[str | None] = []
        self._succeeded = False
        self.held = False
        self._passes = 0
        self._probes = 0

    @property
    def waits_for_canary(self) -> bool:
        """Whether the next one has to wait for what becomes of the first."""
        if self._canary is None:
            all_settled = len(self._settled) >= self._begun
            return self._begun >= CAUTION and not (self._succeeded or all_settled)
        return self._begun >= self._canary > len(self._settled)

    def begun(self) -> None:
        """Take in that a workstation began."""
        self._begun += 1

    def ready_before(self, count: int) -> None:
        """Take in that so many were ready before this process took the launch up."""
        self._succeeded = self._succeeded or count > 0

    def settled(self, final_cause: str | None, *, success: bool) -> str | None:
        """Take in what became of one, and return the cause that opens the breaker, if one does.

        Args:
            final_cause: The cause that took it, where only a person can remove that; else None.
            success: Whether it is ready.
        """
        self._settled.append(final_cause)
        self._succeeded = self._succeeded or success
        first = self._settled[: self._several]
        if len(self._settled) != self._several or final_cause is None:
            return None
        return final_cause if set(first) == {final_cause} else None

    def hold(self) -> None:
        """Take in that a create found no room."""
        self.held = True
        self._passes = self._probes = 0

    def made(self) -> None:
        """Take in that a create found room."""
        if self.held:
            self._probes += 1
            self._passes += 1
            self.held = self._probes < PROBES

    def room_for_one(self) -> None:
        """Take in that a session ended, or that a create did without the room it had."""
        self._passes += 1

    def take_pass(self) -> bool:
        """Return whether a create may be made; during a hold, this uses up a pass."""
        if not self.held:
            return True
        if self._passes:
            self._passes -= 1
            return True
        return False
