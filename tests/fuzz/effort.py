"""How long the fuzzer goes on: a few fixed examples in every run of the tests, and many on demand.

    GREENROOM_FUZZ=100 python -m pytest tests/fuzz

makes a hundred times as many, and other ones each time. Where one is broken, what is printed can be
pasted as it is, and its smallest case belongs into `test_found.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("GREENROOM_FUZZ", "1"))


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """Give a test so many examples; the same ones, unless it is to go on for long."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
