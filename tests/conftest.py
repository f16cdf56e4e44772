"""Fixtures of every test: virtual time on both event loops, and hypothesis without a stopwatch."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import hypothesis
import pytest
import structlog
from botocore.loaders import JSONFileLoader

from greenroom import testing

hypothesis.settings.register_profile("greenroom", deadline=None, derandomize=True)
hypothesis.settings.load_profile("greenroom")

Backend = Literal["asyncio", "trio"]
Run = Callable[[Callable[[], Awaitable[Any]]], Any]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return two more than there are cores: who waits for a process leaves his to another."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session", autouse=True)
def models_read_once() -> Iterator[None]:
    """Spare hundreds of sessions of botocore the 40 ms in which each reads the same files."""
    load, read = JSONFileLoader.load_file, {}

    def load_once(self: JSONFileLoader, path: str) -> Any:
        if path not in read and (found := load(self, path)) is not None:
            read[path] = found
        return read.get(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", load_once)
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Give the jitter of every test the same draws."""
    random.seed(2024)


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Take back what a test configured of structlog: capturing its logs configures it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture
def run(backend: Backend) -> Run:
    """Run an async function in virtual time."""
    return functools.partial(testing.run, backend=backend)
