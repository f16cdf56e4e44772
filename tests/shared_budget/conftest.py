from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.shared_budget.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def lasting_server() -> Iterator[Server]:
    """A server for tests that each use keys of their own."""
    with Server() as running:
        yield running
