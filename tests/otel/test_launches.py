"""A launch as a trace, in virtual time, on the simulator's own model of a studio."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest
from opentelemetry.trace import StatusCode
from tests.launch.conftest import Studio
from tests.otel.conftest import seconds

import greenroom
from greenroom import LaunchPolicy, Poller, events


def specs(count):
    return [{"key": f"ws-{n}", "launch_profile_id": "lp"} for n in range(count)]


def launched(run, memory, count=20, policy=None, **settings):
    async def main():
        studio = Studio(seed=5, **settings)
        poller = Poller(studio)
        memory.telemetry.look_at(poller)
        async with poller:
            report = await greenroom.launch(studio, specs(count), poller=poller, policy=policy)
            return report, studio

    return run(main)


def test_a_launch_is_a_span_with_its_attempts_waits_and_calls_below(run, memory):
    failures = {"INTERNAL_ERROR": 0.3, "INITIALIZATION_SCRIPT_ERROR": 0.1}
    report, studio = launched(run, memory, create={"failures": failures})
    attempts = [each for result in report.values() for each in result.attempts]
    assert len(attempts) > len(report.succeeded) > 0
    assert report.failed
    (launch,) = memory.spans("launch")
    assert launch.attributes["greenroom.launch.success"] == len(report.succeeded)
    assert launch.attributes["greenroom.launch.failure"] == len(report.failed)
    told = memory.spans("attempt nimble-session")
    assert sorted(span.attributes["greenroom.session.id"] for span in told) == sorted(
        each.id for each in attempts
    )
    assert Counter(span.attributes.get("error.type") for span in told) == Counter(
        each.cause for each in attempts
    )
    creates = memory.spans("create_sessions")
    assert len(creates) == studio.counts["create_session"]
    for span in (*told, *creates, *memory.spans("wait")):
        assert span.parent.span_id == launch.context.span_id
    assert seconds(launch) >= max(map(seconds, told))


def test_workstations_are_measured_by_verdict_and_cause(run, memory):
    report, _ = launched(
        run, memory, create={"failures": {"INITIALIZATION_SCRIPT_ERROR": 0.3}}, count=30
    )
    by = ("greenroom.kind", "greenroom.verdict", "error.type")
    told = memory.points("greenroom.workstation.duration", *by)
    assert {key: count for key, (count, _) in told.items()} == {
        ("nimble-session", "success", None): len(report.succeeded),
        ("nimble-session", "failure", "INITIALIZATION_SCRIPT_ERROR"): len(report.failed),
    }
    total = sum(result.elapsed for result in report.succeeded)
    assert told["nimble-session", "success", None][1] == pytest.approx(total)


def test_the_streams_of_a_launch_are_looked_at_too(run, memory):
    report, studio = launched(run, memory, count=3, policy=LaunchPolicy(stream=True))
    assert len(report.succeeded) == 3
    calls = memory.points("greenroom.calls", "greenroom.kind", "greenroom.operation")
    assert calls["nimble-session", "create_stream"] == 3
    assert calls["nimble-stream", "describe"] == studio.counts["get_stream"]
    assert sum(calls.values()) == studio.counts.total()
    assert len(memory.spans("wait nimble-stream")) == 3
    told = "".join(span.to_json() for span in memory.spans())
    for result in report.values():
        assert result.id in told
        assert result.stream.url not in told, "it is a secret"


def test_a_launch_that_is_stopped_leaves_no_span_open(run, memory):
    async def main():
        studio = Studio()
        poller = Poller(studio)
        memory.telemetry.look_at(poller)
        async with poller, greenroom.Launch(studio, specs(5), poller=poller) as launch:
            launch.listen(lambda event: started.append(event))
            async for event in launch:
                if isinstance(event, events.Created):
                    launch.stop()

    started: list[object] = []
    run(main)
    assert isinstance(started[-1], events.LaunchEnded)
    (launch,) = memory.spans("launch")
    assert launch.attributes["greenroom.launch.interrupted"] is True
    begun = [each for each in started if isinstance(each, events.CreateIntended)]
    assert len(memory.spans("attempt")) == len(begun) > 0
    assert all(span.end_time <= launch.end_time for span in memory.spans("attempt"))


class Interrupted(Exception):
    pass


def test_a_launch_that_is_left_leaves_no_span_open(run, memory):
    async def main():
        studio = Studio()
        poller = Poller(studio)
        memory.telemetry.look_at(poller)
        async with poller, greenroom.Launch(studio, specs(5), poller=poller):
            await anyio.sleep(10)
            raise Interrupted

    with pytest.raises(Interrupted):
        run(main)
    (launch,) = memory.spans("launch")
    attempts = memory.spans("attempt")
    assert len(attempts) == len(memory.spans("wait")) == 5
    assert {span.end_time for span in attempts} == {launch.end_time}


def test_actions_are_calls_by_their_name(run, memory):
    async def main():
        studio = Studio()
        poller = Poller(studio)
        memory.telemetry.look_at(poller)
        async with poller:
            report = await greenroom.launch(studio, specs(2), poller=poller)
            ids = [result.id for result in report.values()]
            await greenroom.act(studio, "stop", ids, timeout=600, poller=poller)

    run(main)
    calls = memory.points("greenroom.calls", "greenroom.kind", "greenroom.operation")
    assert calls["nimble-session", "stop_session"] == 2
    assert all(span.status.status_code is StatusCode.UNSET for span in memory.spans("stop_session"))


def test_a_rehearsal_is_no_news(memory):
    from greenroom import otel
    from greenroom.cli import main

    otel.instrument(meter_provider=memory.meter_provider, tracer_provider=memory.tracer_provider)
    try:
        assert main(["plan", "--count", "5", "--rate", "2", "--output", "json"]) == 0
    finally:
        otel.uninstrument()
    assert memory.metrics() == {}
    assert not memory.spans()
