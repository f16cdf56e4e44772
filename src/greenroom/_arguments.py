"""What an argument must be before anything is called: one place, one wording."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from greenroom._errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

L = TypeVar("L")


MOST = 10**12
"""What no number of seconds, calls or sessions needs to exceed, and floats still count exactly."""


def seconds(name: str, value: float, *, zero: bool = True) -> float:
    """Return `value` as a finite number of seconds, not negative.

    Raises:
        ConfigurationError: It is negative, NaN, infinite, no number, or zero where `zero` is False.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{name}={value!r} is not a number of seconds, such as {name}=30")
    if not _is_sound(value) or value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(
            f"{name}={value!r} must be {least} and at most {MOST:,} seconds, as {name}=30"
        )
    return float(value)


def timeout(value: float | None) -> float:
    """Return the seconds that a wait may last; infinity for None.

    Raises:
        ConfigurationError: It is negative, NaN, infinite or no number.
    """
    if value is None:
        return math.inf
    if value == math.inf:
        raise ConfigurationError("timeout=inf: say timeout=None to wait without a deadline")
    return seconds("timeout", value)


def rate(name: str, value: float) -> float:
    """Return `value` as a finite number of calls per second, above zero.

    Raises:
        ConfigurationError: It is zero, negative, NaN, infinite or no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{name}={value!r} is not a number of calls per second")
    if not _is_sound(value) or value <= 0:
        raise ConfigurationError(
            f"{name}={value!r} must be more than 0 and at most {MOST:,} calls per second"
        )
    return float(value)


def count(name: str, value: int) -> int:
    """Return `value` as a whole number of at least one.

    Raises:
        ConfigurationError: It is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise ConfigurationError(f"{name}={value!r} must be a whole number from 1 to {MOST:,}")
    return value


def text(name: str, value: str) -> str:
    """Return `value` as a text that names something: not empty, and nothing odd in it.

    Raises:
        ConfigurationError: It is anything else.
    """
    if not isinstance(value, str) or not value.isprintable() or value.strip() != value or not value:
        raise ConfigurationError(f"{name}={value!r} must be a text, such as {name}='monday-1'")
    return value


def path(name: str, value: str | os.PathLike[str]) -> Path:
    """Return `value` as a path.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return Path(value)
    except TypeError:
        raise ConfigurationError(f"{name}={value!r} is no path, such as {name}='run.db'") from None


def limiter(name: str, value: L) -> L:
    """Return `value` if it is a budget.

    Raises:
        ConfigurationError: It lacks something that a budget has.
    """
    for each in ("acquire", "refund", "slow_down"):
        if not callable(getattr(value, each, None)):
            raise ConfigurationError(
                f"{name}={value!r} is no limiter, such as RateLimiter(max_rate=5, burst=5): it "
                f"has no {each}()"
            )
    return value


def _is_sound(value: float) -> bool:
    return -MOST <= value <= MOST


def unique_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids in their order, each once.

    Raises:
        ConfigurationError: There are none, one is empty or no string, or `ids` is itself a string.
    """
    if isinstance(ids, str):
        raise ConfigurationError(f"ids={ids!r} is one string; pass a list, as [{ids!r}]")
    try:
        given = tuple(ids)
    except TypeError:
        raise ConfigurationError(f"ids={ids!r} is no list of ids, such as ['s-1']") from None
    if not given:
        raise ConfigurationError("ids is empty: there is nothing to wait for")
    for session_id in given:
        if not isinstance(session_id, str) or not session_id.strip():
            raise ConfigurationError(f"{session_id!r} is not a session id: ids are non-empty text")
    return tuple(dict.fromkeys(given))
