"""A provider may raise anything: it is logged, and the call counts as one without an answer."""

from __future__ import annotations

import asyncio

import anyio.lowlevel
import structlog

from greenroom import REMEDIES, RateLimiter, Unavailable
from greenroom._launch._asking import Asker
from greenroom._launch._signs import StopSign
from greenroom.testing import run as run_virtually


def asked(error):
    """Return what comes of a call that raises this."""

    async def main():
        asker, sign = Asker(RateLimiter(5, burst=5), 1, REMEDIES), StopSign()

        async def call():
            await anyio.lowlevel.checkpoint()
            raise error

        await asker.leave(sign)
        return await asker.use_leave(call, "create_sessions")

    return main


def test_an_error_of_any_kind_is_logged_under_the_name_of_the_provider(run):
    try:
        with structlog.testing.capture_logs() as logged:
            outcome = run(asked(ZeroDivisionError("odd")))
    finally:
        structlog.reset_defaults()
    assert isinstance(outcome, Unavailable)
    assert str(outcome) == "ZeroDivisionError: odd"
    assert [each["event"] for each in logged] == ["provider.raised"]


def test_a_cancellation_of_its_own_is_said_to_be_the_providers():
    outcome = run_virtually(asked(asyncio.CancelledError()), backend="asyncio")
    assert isinstance(outcome, Unavailable)
    assert str(outcome) == "the provider let a cancellation of its own escape"
