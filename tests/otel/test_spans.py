"""What a trace shows: who waited for what, which call told, and in whose name."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.otel.conftest import seconds

import greenroom
from greenroom import AccessDenied, Every, Throttled
from greenroom.testing import ScriptedSource


def source():
    return ScriptedSource(
        {
            "s-1": [(0, "CREATE_IN_PROGRESS"), (10, "READY")],
            "s-2": [(0, "CREATE_IN_PROGRESS"), (20, "CREATE_FAILED")],
        }
    )


def looked_at(memory, source, **options):
    poller = greenroom.Poller(source, schedule=Every(5), **options)
    memory.telemetry.look_at(poller)
    return poller


def test_a_wait_is_a_child_of_the_span_of_whoever_waits(run, memory):
    tracer = memory.tracer_provider.get_tracer("application")

    async def ask(poller, name, session_id):
        with tracer.start_as_current_span(name):
            await poller.wait_all([session_id], until="READY", timeout=100)

    async def main():
        async with looked_at(memory, source()) as poller, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, poller, "anna", "s-1")
            tasks.start_soon(ask, poller, "ben", "s-2")

    run(main)
    askers = {span.context.span_id: span.name for span in memory.spans() if span.parent is None}
    waits = {
        askers[span.parent.span_id]: span.attributes["greenroom.session.id"]
        for span in memory.spans("wait")
    }
    assert waits == {"anna": "s-1", "ben": "s-2"}


def test_a_wait_tells_its_story_and_links_to_the_call_that_decided_it(run, memory):
    async def main():
        async with looked_at(memory, source()) as poller:
            await poller.wait_all(["s-1", "s-2"], until="READY", timeout=100)

    run(main)
    ready, failed = memory.spans("wait nimble-session")
    assert ready.status.status_code is StatusCode.UNSET
    assert ready.attributes == {
        "greenroom.session.id": "s-1",
        "greenroom.kind": "nimble-session",
        "greenroom.goal": "READY",
        "greenroom.verdict": "success",
        "greenroom.state": "READY",
        "greenroom.reads": 3,
    }
    assert [event.attributes["greenroom.state"] for event in ready.events] == [
        "CREATE_IN_PROGRESS",
        "READY",
    ]
    assert seconds(ready) == pytest.approx(10, abs=1)
    assert failed.status.status_code is StatusCode.ERROR
    assert "CREATE_FAILED" in failed.status.description
    assert failed.attributes["error.type"] == failed.attributes["greenroom.verdict"] == "failure"
    calls = {span.context.span_id: span for span in memory.spans("describe")}
    for wait in (ready, failed):
        (link,) = wait.links
        decided_by = calls[link.context.span_id]
        assert decided_by.end_time == wait.end_time
        assert decided_by.kind is SpanKind.CLIENT


def test_there_is_one_span_for_a_call_however_many_it_reads(run, memory):
    ids = [f"s-{n}" for n in range(300)]
    scripts = {id_: [(0, "CREATE_IN_PROGRESS"), (60, "READY")] for id_ in ids}
    asked = ScriptedSource(scripts, latency=0.2)

    async def main():
        async with looked_at(memory, asked) as poller:
            await poller.wait_all(ids, until="READY", timeout=100)

    run(main)
    calls = memory.spans("describe nimble-session")
    assert len(calls) == len(asked.calls)
    assert {span.attributes["greenroom.call.sessions"] for span in calls} == {100}
    assert {round(seconds(span), 3) for span in calls} == {0.2}
    assert len(memory.spans("wait")) == 300


def test_a_call_that_fails_says_how(run, memory):
    asked = source()
    asked.fail(partial(Throttled, "slow down", code="TooMany"), when=lambda call: call.at < 1)
    asked.fail(partial(AccessDenied, "no", code="Denied", operation="List"))

    async def main():
        async with looked_at(memory, asked) as poller:
            await poller.wait_all(["s-1"], until="READY", timeout=100)

    run(main)
    *_, throttled, denied = memory.spans("describe")
    assert throttled.status.status_code is denied.status.status_code is StatusCode.ERROR
    assert throttled.attributes["error.type"] == "Throttled"
    assert throttled.attributes["greenroom.error.code"] == "TooMany"
    assert denied.attributes["rpc.method"] == "List"
    (wait,) = memory.spans("wait")
    assert wait.attributes["error.type"] == "error"
    assert [link.context.span_id for link in wait.links] == [denied.context.span_id]


def test_each_page_is_a_call_and_the_current_span_of_what_the_source_does(run, memory):
    tracer = memory.tracer_provider.get_tracer("http")

    class Paged(ScriptedSource):
        async def describe_pages(self, ids, pay):
            with tracer.start_as_current_span("GET 1"):
                await anyio.sleep(0.1)
            await pay()
            with tracer.start_as_current_span("GET 2"):
                return await self.describe(ids)

    async def main():
        asked = Paged({"s-1": [(0, "READY")]})
        async with looked_at(memory, asked, limiter=greenroom.RateLimiter(1)) as poller:
            await poller.wait("s-1", until="READY", timeout=100)
            assert not trace.get_current_span().is_recording()
            return poller.statistics().calls

    assert run(main) == 2
    first, second = memory.spans("describe")
    assert [seconds(first), seconds(second)] == [pytest.approx(0.1), pytest.approx(0)]
    assert second.start_time - first.end_time >= 0.8e9, "waiting for the budget is no call"
    requests = [span.parent.span_id for span in memory.spans("GET")]
    assert requests == [first.context.span_id, second.context.span_id]
    (wait,) = memory.spans("wait")
    assert [link.context.span_id for link in wait.links] == [second.context.span_id]


def test_a_call_is_not_the_current_span_of_callbacks(run, memory):
    current = []

    async def main():
        async with looked_at(memory, source()) as poller:
            poller.on("*", lambda change: current.append(trace.get_current_span()))
            await poller.wait_all(["s-1"], until="READY", timeout=100)

    run(main)
    assert current == [trace.INVALID_SPAN] * 2


@pytest.mark.parametrize("how", ["the wait", "the poller"])
def test_cancelling_ends_every_span(run, memory, how):
    async def main():
        poller = looked_at(memory, ScriptedSource({}, latency=1000), call_timeout=2000)
        async with anyio.create_task_group() as tasks:

            async def wait():
                with anyio.move_on_after(50 if how == "the wait" else None):
                    await poller.wait_all(["s-1"], until="READY", timeout=None)

            async with poller:
                tasks.start_soon(wait)
                await anyio.sleep(100)

    run(main)
    (wait,) = memory.spans("wait")
    (call,) = memory.spans("describe")
    assert wait.attributes["greenroom.verdict"] == "cancelled"
    assert not wait.links
    assert seconds(wait) == pytest.approx(50 if how == "the wait" else 100)
    assert call.attributes["error.type"] == "cancelled"
    assert seconds(call) == pytest.approx(100)
    assert memory.points("greenroom.active_calls") == {(): 0}
    assert memory.points("greenroom.active_waits") == {(): 0}
