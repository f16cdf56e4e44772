from __future__ import annotations

import io
from typing import TYPE_CHECKING

import click
import pytest

from greenroom.cli import _arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("2.5", 2.5),
        (".5", 0.5),
        ("0", 0),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1H30M", 5400),
        ("2.5s", 2.5),
        ("500ms", 0.5),
        ("1m500ms", 60.5),
        ("1h2m3s4ms", 3723.004),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert _arguments.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "-5", "-5m", "nan", "inf", "5x", "m", "1m2h", "1..5s", "1 m", "٣m", "9" * 400]
)
def test_what_is_no_duration_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30m, 1h30m, 90 or 500ms"):
        _arguments.duration(text)


def test_a_timeout_may_be_none_and_an_interval_not_zero() -> None:
    assert _arguments.timeout("none") is None
    assert _arguments.timeout("0") == 0
    with pytest.raises(click.BadParameter, match="more than 0, as in 5s"):
        _arguments.interval("0s")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "ten", ""])
def test_what_is_no_rate_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(click.BadParameter, match="a number above 0, as in 10"):
        _arguments.number(text)


def test_ids_of_a_file_from_windows(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes(b"\xef\xbb\xbfs-1\r\n\r\n# the second\r\n  s-2  \r\n")
    assert _arguments.read_ids(str(file)) == ("s-1", "s-2")


def test_ids_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"s-1\ns-2")))
    assert _arguments.read_ids("-") == ("s-1", "s-2")


def _missing(directory: Path) -> Path:
    return directory / "missing"


def _directory(directory: Path) -> Path:
    return directory


def _two_columns(directory: Path) -> Path:
    file = directory / "columns"
    file.write_text("s-1\ns-2 READY\n")
    return file


def _binary(directory: Path) -> Path:
    file = directory / "binary"
    file.write_bytes(b"s-1\ns-2\n\xff\xfe\n")
    return file


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_missing, "cannot read .*missing: No such file"),
        (_directory, "cannot read .*: Is a directory"),
        (_two_columns, "columns, line 2: 's-2 READY' is more than one id"),
        (_binary, "binary, line 3 is not UTF-8"),
    ],
)
def test_a_bad_file_of_ids_is_named(
    tmp_path: Path, make: Callable[[Path], Path], complaint: str
) -> None:
    with pytest.raises(click.BadParameter, match=complaint):
        _arguments.read_ids(str(make(tmp_path)))
