"""What a program may hand over: taken, or refused by an error of ours before any call is made."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import chdir
from typing import Any

import anyio
import pytest
from hypothesis import assume, given
from tests.fuzz import hostile
from tests.fuzz.effort import fuzzed
from tests.launch.conftest import Studio

import greenroom
from greenroom import testing
from greenroom.sources import ec2, nimble

REFUSALS = (greenroom.ConfigurationError, greenroom.TableError, greenroom.JournalError)

LAW = {"failures": {}, "median_s": 5.0}


def sessions() -> testing.ScriptedSource:
    return testing.ScriptedSource(
        {each: [(0, "CREATE_IN_PROGRESS"), (20, "READY")] for each in ("s-1", "s-2")}
    )


async def use_limiter(limiter: greenroom.RateLimiter | greenroom.AdaptiveRateLimiter) -> None:
    with anyio.move_on_after(5):
        for _ in range(3):
            await limiter.acquire()
    limiter.slow_down(1.0)
    limiter.refund()
    assert repr(limiter)
    assert limiter.statistics()


async def use_schedule(schedule: Any) -> None:
    async with greenroom.Poller(sessions(), schedule=schedule) as poller:
        await poller.wait_all(["s-1", "s-2"], until="READY", timeout=600)


async def nothing(made: object) -> None:
    assert repr(made)


MADE: dict[str, tuple[Callable[..., Any], Mapping[str, Any], Callable[[Any], Awaitable[None]]]] = {
    "RateLimiter": (
        greenroom.RateLimiter,
        {"max_rate": 10, "burst": 20, "share": 0.5},
        use_limiter,
    ),
    "AdaptiveRateLimiter": (
        greenroom.AdaptiveRateLimiter,
        {"initial_rate": 2.0, "burst": 1, "max_rate": 100.0, "min_rate": 0.1},
        use_limiter,
    ),
    "SharedRateLimiter": (
        greenroom.SharedRateLimiter,
        {"url": "redis://127.0.0.1:1", "key": "quota", "max_rate": 10, "burst": 20},
        nothing,
    ),
    "Every": (greenroom.Every, {"interval": 5}, use_schedule),
    "Backoff": (
        greenroom.Backoff,
        {"initial": 2.0, "factor": 2.0, "ceiling": 20.0, "floor": 1.0},
        use_schedule,
    ),
    "PayAsYouWait": (
        greenroom.PayAsYouWait,
        {"price": 20.0, "ceiling": 30.0, "history": None},
        use_schedule,
    ),
    "LaunchPolicy": (
        greenroom.LaunchPolicy,
        {
            "timeout": 60,
            "canary": 1,
            "breaker": 5,
            "in_flight": 10,
            "on_failure": "keep",
            "stream_expires_in": None,
            "delete_timeout": 60,
            "remedies": {},
            "backoff": greenroom.Every(1),
        },
        nothing,
    ),
    "Remedy": (
        greenroom.Remedy,
        {"action": "again", "advice": "wait", "attempts": 3, "rounds": None},
        nothing,
    ),
    "History.from_json": (greenroom.History.from_json, {"text": "{}"}, nothing),
    "read_history": (greenroom.read_history, {"path": "nowhere"}, nothing),
    "read_report": (greenroom.read_report, {"path": "nowhere"}, nothing),
    "read_specs": (
        greenroom.read_specs,
        {"lines": ['{"key": "a"}'], "defaults": {"launch_profile_id": "lp"}},
        nothing,
    ),
}
"""What is made at once: by what, from which arguments, and how it is used."""


@pytest.mark.parametrize(
    ("name", "argument"), [(name, each) for name, (_, given, _) in MADE.items() for each in given]
)
@given(value=hostile.things)
@fuzzed(15)
def test_what_is_made_is_of_use_or_refused(name: str, argument: str, value: Any) -> None:
    make, arguments, use = MADE[name]
    try:
        made = make(**{**arguments, argument: value})
    except REFUSALS as error:
        assert_clear(error, argument, value)
    else:
        testing.run(use, made)


async def wait(source: Any, poller: greenroom.Poller, **given: Any) -> None:
    await poller.wait(given.pop("session_id"), **given)


async def wait_alone(source: Any, poller: greenroom.Poller, **given: Any) -> None:
    await greenroom.wait(source, given.pop("session_id"), **given)


async def wait_all(source: Any, poller: greenroom.Poller, **given: Any) -> None:
    await poller.wait_all(given.pop("ids"), **given)


async def as_completed(source: Any, poller: greenroom.Poller, **given: Any) -> None:
    async for _ in poller.as_completed(given.pop("ids"), **given):
        pass


async def watch(source: Any, poller: greenroom.Poller, ids: Any) -> None:
    with anyio.move_on_after(60):
        async with poller.watch(ids) as changes:
            async for _ in changes:
                pass


WAITING: dict[str, tuple[Callable[..., Awaitable[None]], Mapping[str, Any]]] = {
    "wait": (wait, {"session_id": "s-1", "until": "READY", "timeout": 60}),
    "greenroom.wait": (wait_alone, {"session_id": "s-1", "until": "READY", "timeout": 60}),
    "wait_all": (wait_all, {"ids": ["s-1"], "until": "READY", "timeout": 60}),
    "as_completed": (as_completed, {"ids": ["s-1"], "until": "READY", "timeout": 60}),
    "watch": (watch, {"ids": ["s-1"]}),
}


@pytest.mark.parametrize(
    ("name", "argument"), [(name, each) for name, (_, given) in WAITING.items() for each in given]
)
@given(value=hostile.things)
@fuzzed(25)
def test_a_wait_ends_well_or_is_refused_before_the_first_call(
    name: str, argument: str, value: Any
) -> None:
    call, arguments = WAITING[name]
    source = sessions()

    async def main() -> None:
        async with greenroom.Poller(source) as poller:
            await call(source, poller, **{**arguments, argument: value})

    refused(main, source.calls, argument, value)


POLLER = {
    "limiter": None,
    "schedule": None,
    "settle": 30.0,
    "not_found_grace": 30.0,
    "call_timeout": 30.0,
}


@pytest.mark.parametrize("argument", POLLER)
@given(value=hostile.things)
@fuzzed(15)
def test_a_poller_polls_or_is_refused(argument: str, value: Any) -> None:
    source = sessions()

    async def main() -> None:
        async with greenroom.Poller(source, **{**POLLER, argument: value}) as poller:
            await poller.wait_all(["s-1", "s-3"], until="READY", timeout=60)

    refused(main, source.calls, argument, value)


LAUNCHED = {
    "studio": None,
    "specs": [{"key": "a", "launch_profile_id": "lp"}],
    "poller": None,
    "creates": None,
    "policy": None,
    "journal": None,
    "options": None,
    "resume": False,
    "retry_failed": False,
}


@pytest.mark.parametrize("argument", LAUNCHED)
@given(value=hostile.things.filter(lambda value: value is not None))
@fuzzed(15)
def test_a_launch_is_made_or_refused_before_the_first_call(argument: str, value: Any) -> None:
    if argument == "journal":
        assume(not isinstance(value, str) or hostile.stays_in_the_folder(value))
    studio = Studio(create=LAW, delete=LAW)
    given_ = {**LAUNCHED, "studio": studio, argument: value}

    async def main() -> None:
        async with greenroom.Launch(given_.pop("studio"), given_.pop("specs"), **given_) as launch:
            await launch.finished()

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        refused(main, studio.counts, argument, value)


ACTED = {
    "studio": None,
    "action": "stop",
    "ids": ["s-1"],
    "timeout": 60,
    "poller": None,
    "changes": None,
    "in_flight": 10,
}


@pytest.mark.parametrize("argument", ACTED)
@given(value=hostile.things.filter(lambda value: value is not None))
@fuzzed(15)
def test_an_action_is_carried_out_or_refused(argument: str, value: Any) -> None:
    studio = Studio(stop=LAW)
    given_ = {**ACTED, "studio": studio, argument: value}

    async def main() -> None:
        positional = [given_.pop(name) for name in ("studio", "action", "ids")]
        await greenroom.act(*positional, **given_)

    refused(main, studio.counts, argument, value)


PLACES: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "nimble": (
        nimble.connect,
        {
            "studio_id": "us-west-2-abc",
            "region_name": "us-west-2",
            "profile": None,
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
            "session": None,
            "endpoint_url": "http://127.0.0.1:1",
        },
    ),
    "ec2": (
        ec2.connect,
        {
            "region_name": "us-west-2",
            "profile": None,
            "endpoint_url": "http://127.0.0.1:1",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
            "session": None,
        },
    ),
}


@pytest.mark.parametrize(
    ("name", "argument"), [(name, each) for name, (_, given) in PLACES.items() for each in given]
)
@given(value=hostile.things)
@fuzzed(8)
def test_a_connection_is_opened_or_refused(name: str, argument: str, value: Any) -> None:
    connect, arguments = PLACES[name]

    async def main() -> None:
        async with connect(**{**arguments, argument: value}):
            pass

    try:
        anyio.run(main)
    except REFUSALS as error:
        assert_clear(error, argument, value)


def refused(main: Callable[[], Awaitable[None]], calls: Any, argument: str, value: Any) -> None:
    """Run it, and assert that a refusal is clear and came before the first call."""
    try:
        testing.run(main)
    except REFUSALS as error:
        called = list(calls)
        assert_clear(error, argument, value)
    except greenroom.WaitError:
        return
    else:
        return
    assert not called, "it was refused after a call"


def assert_clear(error: Exception, argument: str, value: Any) -> None:
    """Assert that an error names the value, its class, or else the argument."""
    said = str(error)
    names = (argument, repr(value)[:20], type(value).__name__)
    assert argument in CONTENTS or any(name in said for name in names), said


CONTENTS = ("text", "path", "lines", "defaults", "specs")
"""Arguments of which an error shows what is wrong in them."""
