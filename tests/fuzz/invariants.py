"""What holds for every run, whatever it was given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.runner import Ran

STATUSES = (0, 1, 2, 3, 4, 130)
"""Every exit status that the command line has; a pipe that was closed aside."""

LONGEST = 2_500
"""Characters of a complaint at most; who sees more does not see what is wrong."""

ERROR = "greenroom: error: "


def hold(ran: Ran) -> None:
    """Assert what holds for every run: that it ends well, or says why and has done nothing."""
    assert ran.status is None or ran.status in STATUSES
    assert "Traceback" not in ran.err
    assert not raw_controls(ran.out), "what was given reaches the terminal as it is"
    assert not raw_controls(ran.err), "what was given reaches the terminal as it is"
    if ran.status == 2:
        assert_refused(ran)


def assert_refused(ran: Ran) -> None:
    """Assert that a run refused what it was given: said so in lines, and did nothing."""
    assert ran.status == 2, f"it was to be refused, and the status is {ran.status}: {ran.err}"
    assert not ran.out
    lines = ran.err.splitlines()
    complaints = [line for line in lines if line.startswith(ERROR)]
    assert complaints, ran.err
    assert all(len(line) <= LONGEST for line in lines), [len(line) for line in lines]
    assert all(len(line) > len(ERROR) + 10 for line in complaints), "it says nothing"
    assert not ran.changed, f"nothing was to be done, and there is {sorted(ran.changed)}"


def assert_named(ran: Ran, value: str, *others: str) -> None:
    """Assert that a complaint shows the value that it is about, or else its name.

    Args:
        ran: A run that was refused.
        value: What it is about.
        others: What will do instead, where the value is no more than white space.
    """
    shown = _plain(ran.err)
    begins = [_plain(form)[:20] for form in (value, repr(value)[1:-1], escaped(value))]
    good = [form for form in (*begins, *_as_number(value)) if form.strip("' ")]
    assert any(form in shown for form in (good or (*others, repr(value)))), (value, ran.err)


def escaped(text: str) -> str:
    """Return a text with everything that cannot be seen written out."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def raw_controls(text: str) -> set[str]:
    """Return the characters that a terminal would obey."""
    return set(re.findall(r"[^\n\x20-\x7e\xa0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]", text))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _as_number(value: str) -> list[str]:
    try:
        return [str(int(value))[:20]]
    except ValueError:
        return []
