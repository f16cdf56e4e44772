"""The shared limiter on a real Redis, which is killed, hung, locked and made read-only."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time

import anyio
import pytest
import redis
import structlog
from tests.shared_budget.server import Server

import greenroom
from greenroom import SharedRateLimiter
from greenroom._shared import _line


@pytest.fixture
def go(backend):
    """Run an async function in real time."""
    return lambda main: anyio.run(main, backend=backend)


@contextlib.asynccontextmanager
async def hosts(server, number=1, *, max_rate=50.0, burst=5):
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SharedRateLimiter(server.url, key="quota", max_rate=max_rate, burst=burst)
            )
            for _ in range(number)
        ]


async def seconds_of(function, *arguments):
    began = time.monotonic()
    await function(*arguments)
    return time.monotonic() - began


def test_a_burst_is_shared_by_all(server, go):
    async def main():
        async with hosts(server, 2, max_rate=2, burst=4) as (one, other):
            for limiter in (one, other, one, other):
                assert await seconds_of(limiter.acquire) < 0.3
            assert await seconds_of(other.acquire) > 0.4

    go(main)


def test_a_throttled_call_of_a_host_that_does_not_ask_again_holds_the_others(server, go):
    async def main():
        async with hosts(server, 2) as (one, other):
            await other.acquire()
            await one.acquire()
            one.slow_down(retry_after=0.5)
            await one.aclose()
            assert await seconds_of(other.acquire) > 0.4
            assert other.statistics().throttled == 0

    go(main)


def test_a_cut_rate_is_that_of_all(server, go):
    async def main():
        async with hosts(server, 2) as (one, other):
            await one.acquire()
            one.slow_down()
            await one.acquire()
            assert 35 <= one.statistics().rate < 37
            await other.acquire()
            assert 35 <= other.statistics().rate < 37
            assert other.statistics().max_rate == 50

    go(main)


def test_a_refunded_grant_is_there_for_all(server, go):
    async def main():
        async with hosts(server, 2, max_rate=0.1, burst=1) as (one, other):
            await one.acquire()
            one.refund()
            assert one.statistics().granted == 0
            await one.aclose()
            assert await seconds_of(other.acquire) < 5

    go(main)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_grant_whose_asker_was_cancelled_is_given_back(server, go, monkeypatch, moment):
    """The question is on its way to Redis, or the answer on its way back, when nobody waits."""
    take = _line.Line._take

    async def main():
        async with hosts(server, max_rate=0.1, burst=1) as (limiter,):
            with anyio.CancelScope() as scope:

                def cancel_and_take(line):
                    if moment == "before":
                        anyio.from_thread.run_sync(scope.cancel)
                        return take(line)
                    pause = take(line)
                    anyio.from_thread.run_sync(scope.cancel)
                    return pause

                monkeypatch.setattr(_line.Line, "_take", cancel_and_take)
                await limiter.acquire()
            assert scope.cancelled_caught
            monkeypatch.setattr(_line.Line, "_take", take)
            assert await seconds_of(limiter.acquire) < 5
            assert limiter.statistics().granted == 1

    go(main)


def test_cancelling_again_and_again_leaves_a_sound_connection(server, go):
    async def main():
        async with hosts(server, max_rate=1000, burst=1000) as (limiter,):
            for number in range(100):
                with anyio.move_on_after(number * 1e-5):
                    await limiter.acquire()
            await limiter.acquire()
            assert limiter.trouble is None
            assert server.client.info("clients")["connected_clients"] <= 2

    go(main)


def test_a_redis_that_was_restarted_has_forgotten_the_scripts_and_gets_them_again(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            server.kill()
            server.start()
            for _ in range(3):
                await limiter.acquire()
        assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] > 0

    go(main)


def test_a_connection_that_was_closed_while_idle_is_no_outage(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            server.client.client_kill_filter(skipme=True, _type="normal")
            await limiter.acquire()
            assert limiter.trouble is None

    go(main)


def test_without_redis_calls_are_granted_and_when_it_is_back_it_is_used_again(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            server.kill()
            with structlog.testing.capture_logs() as events:
                assert await seconds_of(limiter.acquire) < 0.5
                server.start()
                while not server.client.exists("greenroom:budget:quota"):
                    await limiter.acquire()
                await limiter.acquire()
                await limiter.acquire()
            alone, together = events
            assert (alone["event"], alone["rate"], alone["hosts"]) == ("limiter.alone", 50.0, 1)
            assert "Connection" in alone["error"]
            assert (together["event"], together["key"]) == ("limiter.together", "quota")

    go(main)


def test_a_redis_that_hangs_holds_nobody_for_long(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                assert await seconds_of(limiter.acquire) < 1.1
                assert max([await seconds_of(limiter.acquire) for _ in range(40)]) < 0.4
            finally:
                os.kill(server.process.pid, signal.SIGCONT)

    go(main)


def test_a_thread_that_hangs_holds_nobody_for_much_longer_than_a_second(server, go, monkeypatch):
    """As in a look-up of a name, which knows no timeout."""
    released = threading.Event()

    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            monkeypatch.setattr(_line.Line, "_take", lambda line: released.wait(30))
            try:
                assert await seconds_of(limiter.acquire) < 1.8
            finally:
                released.set()

    go(main)


def test_a_redis_that_becomes_a_replica_cannot_be_written_and_is_left_alone(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            server.client.replicaof("127.0.0.1", "1")
            with structlog.testing.capture_logs() as events:
                await limiter.acquire()
                server.client.replicaof("NO", "ONE")
                while len(events) < 2:
                    await limiter.acquire()
            assert [event["event"] for event in events] == ["limiter.alone", "limiter.together"]
            assert "ReadOnlyError" in events[0]["error"]

    go(main)


def test_a_wrong_password_is_an_error_at_first_contact_and_is_not_shown(go):
    async def main(server):
        url = server.url.replace("://", "://somebody:hunter2@")
        limiter = SharedRateLimiter(url, key="quota", max_rate=5)
        for _ in range(2):
            with pytest.raises(greenroom.ConfigurationError, match="AuthenticationError") as caught:
                await limiter.acquire()
            assert "hunter2" not in f"{caught.value}{caught.value!r}{caught.value.__cause__}"
            assert "somebody" not in str(caught.value)
        assert "hunter2" not in f"{limiter!r}{limiter}"

    with Server("--requirepass", "other") as server:
        server.client.close()
        go(lambda: main(server))


def test_a_password_that_is_changed_later_ends_nothing(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            server.client.config_set("requirepass", "new")
            server.client.execute_command("AUTH", "new")
            server.client.client_kill_filter(skipme=True, _type="normal")
            with structlog.testing.capture_logs() as events:
                await limiter.acquire()
            assert [event["event"] for event in events] == ["limiter.alone"]

    go(main)


@pytest.mark.parametrize(
    ("error", "heals"),
    [
        (redis.ConnectionError("Error 111 connecting to h:6379. Connection refused."), True),
        (redis.ConnectionError("Error 1. [SSL: CERTIFICATE_VERIFY_FAILED] expired"), False),
        (redis.TimeoutError("Timeout reading from socket"), True),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), True),
        (redis.ReadOnlyError("You can't write against a read only replica."), True),
        (redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"), True),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (redis.ResponseError("BUSY Redis is busy running a script"), True),
        (redis.ResponseError("DB index is out of range"), False),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
        (redis.AuthenticationError("invalid username-password pair"), False),
        (redis.exceptions.NoPermissionError("this user has no permissions"), False),
        (redis.exceptions.MovedError("1234 127.0.0.1:7001"), False),
        (ConnectionResetError(), True),
    ],
)
def test_what_passes_by_itself_is_told_from_what_somebody_has_to_mend(error, heals):
    assert _line._heals(error) is heals


def test_what_is_no_redis_at_all_is_an_error_at_first_contact(go):
    async def main():
        async def answer(stream):
            async with stream:
                await stream.receive()
                await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, answer)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            limiter = SharedRateLimiter(f"redis://127.0.0.1:{port}", key="quota", max_rate=5)
            with pytest.raises(greenroom.ConfigurationError, match="cannot be used"):
                await limiter.acquire()
            tasks.cancel_scope.cancel()

    go(main)


def test_calls_are_granted_in_the_order_of_asking_and_one_at_a_time_asks_redis(server, go):
    async def main():
        order = []

        async def ask(limiter, number):
            await limiter.acquire()
            order.append(number)

        async with hosts(server, max_rate=200, burst=1) as (limiter,):
            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(ask, limiter, number)
                    await anyio.lowlevel.checkpoint()
            assert order == sorted(order)
            assert server.client.info("clients")["connected_clients"] <= 2

    go(main)


def test_a_limiter_that_nobody_closes_lets_go_when_nobody_holds_it(server, go):
    async def main():
        limiter = SharedRateLimiter(server.url, key="quota", max_rate=50)
        await limiter.acquire()
        assert server.client.info("clients")["connected_clients"] == 2

    go(main)
    gc.collect()
    server.client.ping()
    deadline = time.monotonic() + 5
    while server.client.info("clients")["connected_clients"] > 1:
        assert time.monotonic() < deadline


def test_a_closed_limiter_refuses_and_its_host_does_not_count_any_longer(server, go):
    async def main():
        async with hosts(server) as (limiter,):
            await limiter.acquire()
            await limiter.aclose()
            await limiter.aclose()
            with pytest.raises(greenroom.ConfigurationError, match="is closed; make another"):
                await limiter.acquire()
            limiter.refund()
            limiter.slow_down()
        fields = server.client.hkeys("greenroom:budget:quota")
        assert not [field for field in fields if field.startswith("host:")]

    go(main)


def test_one_limiter_in_two_event_loops_is_refused(server, go):
    limiter = SharedRateLimiter(server.url, key="quota", max_rate=50)
    go(limiter.acquire)
    with pytest.raises(greenroom.ConfigurationError, match="another event loop; make one in each"):
        go(limiter.acquire)


def test_a_poller_uses_it_as_any_other_limiter(server, go):
    async def main():
        source = greenroom.testing.ScriptedSource({"s-1": [(0, "READY")]})
        async with (
            hosts(server) as (limiter,),
            greenroom.Poller(source, limiter=limiter) as poller,
        ):
            assert (await poller.wait("s-1", until="READY", timeout=5)).state == "READY"
            assert limiter.statistics().granted == poller.statistics().calls

    go(main)
