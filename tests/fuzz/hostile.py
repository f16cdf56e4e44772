"""What people, scripts and broken disks put where something else was expected."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NUMBERS = (
    *(
        "0",
        "-0",
        "-1",
        "+5",
        "1.",
        ".5",
        "007",
        "1e3",
        "1_000",
        "0x10",
        "1,5",
        "½",
        "²",
        "٣",
        "\uff11\uff10",
    ),
    *("inf", "-inf", "Infinity", "nan", "NaN", "1e400", "-1e400", "1e-400", "5e-324"),
    *(
        "1.7976931348623157e308",
        "9007199254740993",
        "9" * 30,
        "9" * 400,
        "9" * 5000,
        "-" + "9" * 400,
    ),
    *("1h", "1h1h", "1m2h", "9" * 20 + "h", "1e3h", "0ms", "1 h", "none", "None", "auto", "true"),
)

WORDS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "-",
        "--",
        "--help",
        "=",
        "a=b",
        "/",
        ".",
        "..",
        "~",
        "%s%n",
        "{}",
        "{0.x}",
    ),
    *(
        "$(id)",
        "'",
        '"',
        "<b>",
        "\\",
        "s-1,s-2",
        "a/b",
        "a//b",
        "aws:",
        "aws::",
        "aws:rds:",
        "[",
        "*",
    ),
    *(
        "\0",
        "a\0b",
        "\x1b[2J\x1b]0;x\x07",
        "a\rb",
        "a\nb",
        "\x7f",
        "\x9b31m",
        "\u202e",
        "\u2028",
        "\ufeff",
    ),
    *("\ud800", "a\udcffb", "\U0010ffff", "é" * 300, "x" * 257, "x" * 5000, " x", "x ", "🦊"),
)

characters = st.characters(exclude_categories=())

texts = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.text(characters, max_size=20),
    st.builds(
        lambda text, at, odd: text[:at] + odd + text[at:],
        st.sampled_from(("s-1", "10", "30m", "READY", "nimble-session", "http://127.0.0.1:1")),
        st.integers(0, 8),
        st.sampled_from(WORDS) | st.text(characters, min_size=1, max_size=2),
    ),
)
"""Texts, as an argument has them."""


def stays_in_the_folder(text: str) -> bool:
    """Return whether a text, taken for a path, is one in the folder of the run."""
    return not text.startswith(("/", "~")) and ".." not in text


harmless = texts.filter(stays_in_the_folder)

numbers = st.one_of(
    st.sampled_from((0, -1, 1, True, 2**63, 10**30, 10**400, -(10**400))),
    st.sampled_from((0.0, -0.0, 0.5, 5e-324, 1e308, float("inf"), float("-inf"), float("nan"))),
    st.integers(),
    st.floats(),
)

values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can hold, and NaN, infinities and lone surrogates."""

things = st.one_of(
    values,
    st.binary(max_size=4),
    st.sampled_from((object(), object, 1j, (), set(), frozenset({1}), b"s-1", lambda: None, ...)),
    st.lists(texts, max_size=2).map(tuple),
)
"""Whatever a program can hand over."""

SOUP = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"=",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
    ),
    *(
        b"\xfe\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\\u0000",
        b"null",
        b"true",
        b"NaN",
        b"-Infinity",
        b"1e999",
    ),
    *(
        b"9" * 400,
        b"9" * 5000,
        b"[" * 3000,
        b'{"a":' * 3000,
        b"#",
        b"s-1",
        b'"key"',
        b"'",
        b"[[faults]]",
        b"\x1b[2J",
    ),
)

soup = st.binary(max_size=60) | st.lists(st.sampled_from(SOUP), max_size=8).map(b"".join)
"""Bytes of a file that is something else, or nothing."""


def as_json(value: Any) -> bytes:
    """Return a value as JSON has it, or almost."""
    return json.dumps(value, default=str).encode()


@st.composite
def mangled(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file of which a piece was lost, doubled, or written over."""
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.sampled_from((0, 1, 2, 8, 64, 4096))))
    what = draw(soup | st.sampled_from((b"", content[start:end] * 2)))
    return content[:start] + what + content[end:]


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """Draw the same JSON with one member taken out, put in or replaced, wherever it is."""
    places = list(_places(value))
    place = draw(st.sampled_from(places))
    copy = json.loads(json.dumps(value))
    if not place:
        return draw(values)
    holder = copy
    for step in place[:-1]:
        holder = holder[step]
    match draw(st.sampled_from(("remove", "replace", "replace", "add"))):
        case "remove":
            del holder[place[-1]]
        case "replace":
            holder[place[-1]] = draw(values)
        case "add" if isinstance(holder, dict):
            holder[draw(texts)] = draw(values)
        case "add":
            holder.append(draw(values))
    return copy


def _places(value: Any) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [(), *((step, *rest) for step, each in inner for rest in _places(each))]
