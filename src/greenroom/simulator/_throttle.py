"""The server's side of rate limiting: a token bucket.

It shares no code with greenroom's own rate limiter. The simulator is the witness in every
measurement of that limiter, and a witness must be independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.simulator._settings import Limit


class TokenBucket:
    """A bucket that starts full, holds `burst` tokens and gains `rate` of them a second.

    The limit comes with every call, so that it may change between two calls: the tokens already in
    the bucket stay, as far as they fit.
    """

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._filled_at = 0.0

    def take(self, now: float, limit: Limit) -> bool:
        """Take one token at `now` (simulated seconds), if there is one.

        Returns:
            Whether the call that asked may pass. Time that goes backwards adds no tokens.
        """
        tokens = float(limit.burst) if self._tokens is None else self._tokens
        gained = max(0.0, now - self._filled_at) * limit.rate
        tokens = min(float(limit.burst), tokens + gained)
        allowed = tokens >= 1
        self._tokens = tokens - 1 if allowed else tokens
        self._filled_at = max(now, self._filled_at)
        return allowed
