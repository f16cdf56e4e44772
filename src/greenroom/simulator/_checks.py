"""How a configured value is read: one small reader for each shape that a value may have.

A reader takes a plain value, as TOML or JSON gives it, and returns it in the form that the
simulator works with, or raises `SettingsError` with what is wrong and what would be right. Readers
are put together from readers, and each knows only its own value; where that value stands in the
file is added on the way out, one step at a time. So `faults[2].probability: 7 must be ...` is said
by a number that has never heard of faults.

A `Record` is a frozen dataclass whose fields carry their readers in their annotations. It runs them
whenever it is made, so that one that exists is valid, whether it came from a file or from a line of
Python.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self

T = TypeVar("T")

Reader = Callable[[object], T]

_LARGEST = sys.float_info.max


class SettingsError(ValueError):
    """A value that the simulator cannot be configured with; one line, with the remedy.

    Attributes:
        where: Where the value stands, such as `create.median_s`; empty for all of the settings.
        problem: What is wrong with it.
        file: The path of the file that it was read from; empty if there was none.
    """

    def __init__(self, problem: str, where: str = "", file: str = "") -> None:
        super().__init__(": ".join(part for part in (file, where, problem) if part))
        self.problem = problem
        self.where = where
        self.file = file

    def under(self, place: str) -> SettingsError:
        """Return the same error, seen from one level further up."""
        joint = "." if self.where and not self.where.startswith("[") else ""
        return SettingsError(self.problem, f"{place}{joint}{self.where}", self.file)


def unknown(name: object, known: Collection[str], what: str) -> SettingsError:
    """Return the error for a name that is not one of the known ones, with the likeliest meant."""
    close = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(sorted(known))}"
    return SettingsError(f"no such {what}; {hint}", str(name))


def number(
    unit: str = "", *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> Reader[float]:
    """Read a finite number within bounds; `unit` only makes the message clearer."""
    said = f" {unit}" if unit else ""
    if most < math.inf:
        rule = f"between {least:g} and {most:g}{said}"
    elif above > -math.inf:
        rule = f"greater than {above:g}{said}"
    else:
        rule = f"at least {least:g}{said}"

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingsError(f"{value!r} must be a number, {rule}")
        if not (abs(value) <= _LARGEST and above < value and least <= value <= most):
            raise SettingsError(f"{value} must be {rule}")
        return float(value)

    return read


def integer(*, least: int | None = None, most: int | None = None) -> Reader[int]:
    """Read a whole number, of at least `least` and at most `most` where these are given."""
    rule = "a whole number" if least is None else f"a whole number of at least {least}"
    if most is not None:
        rule = f"{rule} and at most {most}"

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingsError(f"{value!r} must be {rule}")
        if (least is not None and value < least) or (most is not None and value > most):
            raise SettingsError(f"{value} must be {rule}")
        return value

    return read


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise SettingsError(f"{value!r} must be true or false")
    return value


def choice(known: Collection[str], what: str) -> Reader[str]:
    """Read one of the known names."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            error = unknown(value, known, what)
            raise SettingsError(f"{value!r}: {error.problem}")
        return value

    return read


def optional(reader: Reader[T]) -> Reader[T | None]:
    """Read what `reader` reads, or nothing at all."""
    return lambda value: None if value is None else reader(value)


def listed(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Read a list, each of its members with `reader`."""

    def read(value: object) -> tuple[T, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SettingsError(f"{value!r} must be a list")
        return tuple(_at(f"[{index}]", reader, member) for index, member in enumerate(value))

    return read


def table(
    reader: Reader[T], keys: Collection[str] = (), what: str = "name"
) -> Reader[dict[str, T]]:
    """Read a table, each of its values with `reader`; `keys` are the names it may have, if any."""

    def read(value: object) -> dict[str, T]:
        if not isinstance(value, Mapping):
            raise SettingsError(f"{value!r} must be a table")
        for key in value:
            if keys and key not in keys:
                raise unknown(key, keys, what)
        return {str(key): _at(str(key), reader, member) for key, member in value.items()}

    return read


@dataclass(frozen=True, kw_only=True)
class Record:
    """Several named values that belong together, each valid.

    A field is annotated with a record, or with `Annotated[type, reader]`.
    """

    def __post_init__(self) -> None:
        for name, reader in _readers(type(self)).items():
            object.__setattr__(self, name, _at(name, reader, getattr(self, name)))

    @classmethod
    def read(cls, value: object) -> Self:
        """Make one from a table of plain values; one that is made already passes as it is.

        Raises:
            SettingsError: A value is not valid, a key is not known, or a key is missing.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise SettingsError(f"{value!r} must be a table")
        declared = {each.name: each for each in fields(cls)}
        for key in value:
            if key not in declared:
                raise unknown(key, declared, "setting")
        for name, each in declared.items():
            if each.default is MISSING and each.default_factory is MISSING and name not in value:
                raise SettingsError("is required", name)
        return cls(**value)


def _readers(record: type[Record]) -> dict[str, Reader[Any]]:
    hints = get_type_hints(record, include_extras=True)
    return {
        name: hint.__metadata__[0] if hasattr(hint, "__metadata__") else hint.read
        for name, hint in hints.items()
    }


def _at(place: str, reader: Reader[T], value: object) -> T:
    try:
        return reader(value)
    except SettingsError as error:
        raise error.under(place) from None
