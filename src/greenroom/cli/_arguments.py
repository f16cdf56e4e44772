"""What people may write for a duration, a number and a list of ids; each error shows the fix."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Literal

import click

from greenroom._arguments import MOST

SLOWEST, FASTEST = 0.001, 1_000_000
"""Simulated seconds per second: a second that takes a quarter of an hour, and days in no time."""

_DURATION = re.compile(
    r"(?:(?P<hours>[\d.]+)h)?(?:(?P<minutes>[\d.]+)m)?(?:(?P<seconds>[\d.]+)s)?"
    r"(?:(?P<milliseconds>[\d.]+)ms)?"
)

_SECONDS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}


def duration(text: str) -> float:
    """Return the seconds that `text` means: `30m`, `1h30m`, `2.5s`, `500ms`, or `90` for 90 s.

    Raises:
        click.BadParameter: It means none.
    """
    parts = {"seconds": text} if _is_number(text) else _parts(text)
    seconds = sum(float(amount) * _SECONDS[unit] for unit, amount in parts.items())
    if not parts or seconds > MOST:
        raise click.BadParameter(f"{text!r} is no duration; write it as in 30m, 1h30m, 90 or 500ms")
    return seconds


def timeout(text: str) -> float | None:
    """Return a `duration`, or None for `none`: no deadline.

    Raises:
        click.BadParameter: It is neither.
    """
    return None if text.lower() == "none" else duration(text)


def interval(text: str) -> float:
    """Return a `duration` of more than nothing.

    Raises:
        click.BadParameter: It is none.
    """
    seconds = duration(text)
    if seconds == 0:
        raise click.BadParameter(f"{text!r} must be more than 0, as in 5s")
    return seconds


def number(text: str | float) -> float:
    """Return a number above 0 that is not beyond all use.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{text!r} must be a number above 0, as in 10")
    if value > MOST:
        raise click.BadParameter(f"{text!r} must be at most {MOST:,}, as in 10")
    return value


def speed(text: str | float) -> float:
    """Return a number of simulated seconds per second at which something can be seen.

    Raises:
        click.BadParameter: It is none.
    """
    value = number(text)
    if not SLOWEST <= value <= FASTEST:
        raise click.BadParameter(f"{text!r} must be from {SLOWEST} to {FASTEST:,}, as in 60")
    return value


def rate(text: str | float) -> float | Literal["auto"]:
    """Return a finite number above 0, or `auto`.

    Raises:
        click.BadParameter: It is neither.
    """
    try:
        return "auto" if str(text).lower() == "auto" else number(text)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}, or auto") from None


def price(text: str | float) -> float:
    """Return a number above 0, which may be `inf`.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        return math.inf if str(text).lower() == "inf" else number(text)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}, or inf") from None


def part(text: str | float) -> float:
    """Return a number above 0 and at most 1.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise click.BadParameter(f"{text!r} must be more than 0 and at most 1, as in 0.5")
    return value


def read_ids(path: str) -> tuple[str, ...]:
    """Return the ids in a file, or on standard input for `-`.

    One id a line; blank lines and lines that begin with `#` are skipped.

    Raises:
        click.BadParameter: It cannot be read, or a line of it is no id.
    """
    name = "standard input" if path == "-" else path
    ids = []
    for number_, line in enumerate(read_lines(path), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if len(text.split()) > 1:
            raise click.BadParameter(f"{name}, line {number_}: {text!r} is more than one id")
        ids.append(text)
    return tuple(ids)


def read_lines(path: str) -> list[str]:
    """Return the lines of a text file, or of standard input for `-`.

    Raises:
        click.BadParameter: It cannot be read, or is not UTF-8.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-" and sys.stdin is None:
            raise click.BadParameter("standard input is closed")
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {name}: {error.strerror}") from None
    except ValueError as error:  # of a path that no file can have
        raise click.BadParameter(f"cannot read {name!r}: {error}; name a file, or -") from None
    try:
        return content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise click.BadParameter(f"{name}, line {line} is not UTF-8 text") from None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d*)?|\.\d+", text, re.ASCII) is not None


def _parts(text: str) -> dict[str, str]:
    match = _DURATION.fullmatch(text.lower())
    parts = {unit: amount for unit, amount in match.groupdict().items() if amount} if match else {}
    return parts if all(_is_number(amount) for amount in parts.values()) else {}
