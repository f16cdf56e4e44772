"""The whole house over real sockets: launch, wait through faults, compare with the truth."""

from __future__ import annotations

import anyio
import anyio.from_thread
import pytest

from greenroom import Every, Poller, RateLimiter, Verdict
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble

SPEED = 40.0
STUDIO = {
    "seed": 11,
    "create": {"median_s": 40, "sigma": 0.3, "failures": {"INSUFFICIENT_CAPACITY": 0.1}},
    "failure": {"median_s": 15, "sigma": 0.3},
    "throttle": {"CreateStreamingSession": {"rate": 1e6, "burst": 1e6}},
}


async def launch(client, count):
    sessions = []
    for _ in range(count):
        answer = await client.create_streaming_session(
            studioId="us-west-2-abc", launchProfileId="lp-1"
        )
        sessions.append(answer["session"]["sessionId"])
    return sessions


def scaled_poller(sessions):
    """Return a poller with a budget of 10 calls per simulated second."""
    return Poller(
        sessions,
        limiter=RateLimiter(max_rate=10 * SPEED, burst=20),
        schedule=Every(2.5 / SPEED),
        settle=30 / SPEED,
        not_found_grace=30 / SPEED,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "faults",
    [
        [],
        [{"kind": "ThrottlingException", "operation": "*", "probability": 0.3}],
        [{"kind": "outage", "from_s": 20, "until_s": 80}],
        [
            {"kind": kind, "operation": "ListStreamingSessions", "probability": 0.08}
            for kind in ("html", "drop", "cut", "truncated", "empty", "wrong_type")
        ],
    ],
    ids=["calm", "30 % throttled", "60 s away", "every kind of garbage"],
)
async def test_every_verdict_is_true_whatever_the_wire_does(faults):
    settings = Settings.from_table(STUDIO)
    async with (
        serve(settings, speed=SPEED) as simulator,
        nimble.connect(
            studio_id="us-west-2-abc",
            region_name="us-west-2",
            endpoint_url=simulator.url,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",
        ) as sessions,
        scaled_poller(sessions) as poller,
    ):
        ids = await launch(sessions.client, 150)
        simulator.configure({"faults": faults})
        results = await poller.wait_all(ids, until="READY", timeout=30)
        truth = simulator.truth()
        throttled = sum(simulator.statistics().throttled.values())
    for session_id, result in results.items():
        last = truth[session_id][-1]
        assert result.state == last.state
        expected = Verdict.SUCCESS if last.state == "READY" else Verdict.FAILURE
        assert result.verdict is expected
        assert result.resource["sessionId"] == session_id
    assert len(results.failed) > 0
    assert (throttled > 0) == bool(faults and faults[0]["kind"] == "ThrottlingException")


def test_the_same_on_trio():
    """The simulator is asyncio's, so it has a thread of its own."""

    async def main(url):
        async with (
            nimble.connect(
                studio_id="us-west-2-abc",
                region_name="us-west-2",
                endpoint_url=url,
                aws_access_key_id="simulated",
                aws_secret_access_key="simulated",
            ) as sessions,
            scaled_poller(sessions) as poller,
        ):
            ids = await launch(sessions.client, 40)
            return await poller.wait_all(ids, until="READY", timeout=30)

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        serving = serve(Settings.from_table(STUDIO), speed=SPEED)
        with portal.wrap_async_context_manager(serving) as simulator:
            results = anyio.run(main, simulator.url, backend="trio")
            truth = portal.call(simulator.truth)
    assert len(results) == 40
    for session_id, result in results.items():
        assert result.state == truth[session_id][-1].state
        assert result.verdict in (Verdict.SUCCESS, Verdict.FAILURE)
