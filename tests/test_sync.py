"""The front door for code without an event loop: threads, Ctrl-C, forks, nothing left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

import greenroom
from greenroom import Every, RateLimiter, Verdict, _portal, sync
from greenroom._waiting import Group
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble
from greenroom.testing import ScriptedSource

QUICK = Settings.from_table({"create": {"median_s": 20, "sigma": 0.2}, "seed": 3})
OFTEN = Every(0.05)


def coming_up(*ids, after=0.2):
    return ScriptedSource({id_: [(0, "CREATE_IN_PROGRESS"), (after, "READY")] for id_ in ids})


def never(*ids):
    return ScriptedSource({id_: [(0, "CREATE_IN_PROGRESS")] for id_ in ids})


def until(holds):
    """Wait for another thread."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    yield
    assert [each.name for each in threading.enumerate() if each.name == "greenroom.sync"] == []


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C once something holds."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressing = []

    def press_once(holds):
        def press():
            until(holds)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        pressing.append(threading.Thread(target=press))
        pressing[-1].start()

    yield press_once
    for each in pressing:
        each.join()
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def simulator(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "simulated")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "simulated")
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(QUICK, speed=100)) as simulator,
    ):
        yield simulator


def studio(simulator):
    return nimble.connect(studio_id="us-west-2-abc", region_name="r", endpoint_url=simulator.url)


def test_waits_have_the_results_and_errors_of_the_asynchronous_ones():
    source = ScriptedSource(
        {
            "s-1": [(0, "CREATE_IN_PROGRESS"), (0.1, "READY")],
            "s-2": [(0, "CREATE_IN_PROGRESS"), (0.2, "CREATE_FAILED")],
        }
    )
    with sync.Poller(source, schedule=OFTEN) as poller:
        assert poller.wait("s-1", until="READY", timeout=9).verdict is Verdict.SUCCESS
        with pytest.raises(greenroom.WaitFailed) as raised:
            poller.wait("s-2", until="READY", timeout=9)
        assert raised.value.result.state == "CREATE_FAILED"
        with pytest.raises(greenroom.WaitTimeout):
            poller.wait("s-1", until="STOPPED", timeout=0)
        with pytest.raises(greenroom.TableError):
            poller.wait("s-1", until="AWAKE", timeout=0)
        with pytest.raises(greenroom.ConfigurationError, match="one string"):
            poller.wait_all("s-1", until="READY", timeout=0)
        results = poller.wait_all(iter(["s-2", "s-1"]), until="READY", timeout=9)
        assert [(each.id, each.verdict) for each in results.values()] == [
            ("s-2", Verdict.FAILURE),
            ("s-1", Verdict.SUCCESS),
        ]
        assert poller.statistics().outcomes[Verdict.SUCCESS] == 2
        assert isinstance(poller.history(), greenroom.History)
    with pytest.raises(greenroom.PollerClosed):
        poller.wait("s-1", until="READY", timeout=9)
    with pytest.raises(greenroom.PollerClosed):
        poller.check_open()
    with pytest.raises(greenroom.PollerClosed, match="entered before"):
        poller.__enter__()


def test_a_poller_that_was_not_entered_says_how():
    with pytest.raises(greenroom.PollerClosed, match=r"with sync.Poller\(\.\.\.\)"):
        sync.Poller(never("s-1")).wait("s-1", until="READY", timeout=0)


def test_three_hundred_threads_share_the_calls_of_one_poller():
    ids = [f"s-{n}" for n in range(300)]
    source = coming_up(*ids, after=1)
    with (
        sync.Poller(source, limiter=RateLimiter(50, burst=5), schedule=Every(0.5)) as poller,
        ThreadPoolExecutor(len(ids)) as threads,
    ):
        waits = threads.map(lambda id_: poller.wait(id_, until="READY", timeout=30), ids)
        assert [each.id for each in waits] == ids
        until(lambda: not poller.statistics().sessions)
    assert len(source.calls) <= 30


def test_results_come_as_they_settle():
    source = ScriptedSource({f"s-{n}": [(0.1 * n, "READY")] for n in (1, 2, 3)})
    with sync.Poller(source, schedule=OFTEN, not_found_grace=9) as poller:
        results = poller.as_completed(["s-3", "s-1", "s-2"], until="READY", timeout=9)
        assert [each.id for each in results] == ["s-1", "s-2", "s-3"]
        assert list(results) == []


@pytest.mark.parametrize("how", ["closed", "dropped", "dropped elsewhere", "interrupted"])
def test_leaving_the_results_early_leaves_the_waits(how, interrupt):
    with sync.Poller(never("s-1", "s-2"), schedule=OFTEN) as poller:
        results = poller.as_completed(["s-1", "s-2"], until="READY", timeout=None)
        assert poller.statistics().waiting == 2
        if how == "closed":
            results.close()
        elif how == "interrupted":
            news = results._results._group._changed
            interrupt(lambda: news.statistics().tasks_waiting)
            with pytest.raises(KeyboardInterrupt):
                next(results)
        else:
            held = [results]
            del results
            dropping = threading.Thread(target=held.clear)
            dropping.run() if how == "dropped" else dropping.start()
        until(lambda: not poller.statistics().waiting)


def test_dropped_results_are_let_go_of_in_the_loop(monkeypatch):
    threads = []
    leave_later = Group.leave_later

    def leaves_later(group):
        threads.append(threading.current_thread().name)
        leave_later(group)

    monkeypatch.setattr(Group, "leave_later", leaves_later)
    with sync.Poller(never("s-1"), schedule=OFTEN) as poller:
        results = poller.as_completed(["s-1"], until="READY", timeout=None)
        del results
        until(lambda: threads)
    assert threads == ["greenroom.sync"]


def test_a_watch_tells_every_change_until_its_time_is_over():
    with sync.Poller(coming_up("s-1"), schedule=OFTEN) as poller:
        with poller.watch(["s-1"], timeout=0.5) as changes:
            assert [each.after for each in changes] == ["CREATE_IN_PROGRESS", "READY"]
            assert changes.conflated == 0
        until(lambda: not poller.statistics().sessions)


def test_a_watch_is_left_from_within_its_loop():
    with (
        sync.Poller(never("s-1"), schedule=OFTEN) as poller,
        poller.watch(["s-1"]) as changes,
    ):
        for change in changes:
            assert change.after == "CREATE_IN_PROGRESS"
            break


def test_a_hint_is_looked_at_at_once():
    with sync.Poller(coming_up("s-1", after=0), schedule=Every(3600)) as poller:
        with poller.watch(["s-1"]) as changes:
            next(changes)
            poller.notify("s-1")
            until(lambda: poller.statistics().reads == 2)
        with pytest.raises(greenroom.ConfigurationError):
            poller.notify("")


def test_a_plain_callback_may_block_and_use_the_poller():
    heard = []

    def hears(change):
        heard.append((threading.current_thread(), poller.statistics().callbacks_blocked))
        time.sleep(0.2)

    with sync.Poller(coming_up("s-1"), schedule=OFTEN) as poller:
        poller.on("READY", hears)
        forget = poller.on("READY", heard.append)
        forget()
        poller.wait("s-1", until="READY", timeout=9)
    assert poller.statistics().callbacks_blocked == 0
    ((thread, _),) = heard
    assert thread is not threading.current_thread()
    assert thread.name != "greenroom.sync"


@pytest.mark.parametrize("kind", ["function", "object"])
def test_an_async_callback_runs_on_the_loop(kind):
    heard = []

    async def hears(change):
        await anyio.lowlevel.checkpoint()
        heard.append((change.id, threading.current_thread().name))

    class Hears:
        def __call__(self, change):
            return hears(change)

    with sync.Poller(coming_up("s-1"), schedule=OFTEN) as poller:
        poller.on("READY", hears if kind == "function" else Hears())
        poller.wait("s-1", until="READY", timeout=9)
    assert heard == [("s-1", "greenroom.sync")]


def test_what_is_no_callback_is_refused():
    def yields(change):
        yield

    with sync.Poller(never("s-1")) as poller:
        with pytest.raises(greenroom.ConfigurationError, match="yields"):
            poller.on("READY", yields)
        with pytest.raises(greenroom.TableError):
            poller.on("AWAKE", print)


def test_a_callback_that_raises_is_named_and_raised_in_the_end_if_asked_for(caplog):
    def breaks(change):
        raise LookupError("broken")

    with (
        pytest.RaisesGroup(LookupError),
        sync.Poller(coming_up("s-1"), schedule=OFTEN, raise_callback_errors=True) as poller,
    ):
        poller.on("READY", breaks)
        poller.wait("s-1", until="READY", timeout=9)
    assert breaks.__qualname__ in caplog.text


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_callback_that_would_end_the_program_ends_nothing_of_others(caplog, kind, error):
    def ends(change):
        raise error

    async def ends_too(change):
        raise error

    with sync.Poller(coming_up("s-1"), schedule=OFTEN) as other:
        with sync.Poller(coming_up("s-1"), schedule=OFTEN) as poller:
            poller.on("READY", ends if kind == "plain" else ends_too)
            poller.wait("s-1", until="READY", timeout=9)
        assert other.wait("s-1", until="READY", timeout=9).verdict is Verdict.SUCCESS
    assert f"a callback ends no program: {error!r}" in caplog.text


def test_ctrl_c_ends_a_wait_and_leaves_nothing_behind(interrupt):
    with sync.Poller(never("s-1", "s-2"), schedule=OFTEN) as poller:
        interrupt(lambda: poller.statistics().waiting)
        with pytest.raises(KeyboardInterrupt):
            poller.wait_all(["s-1", "s-2"], until="READY", timeout=None)
        assert poller.statistics().waiting == poller.statistics().sessions == 0


def test_ctrl_c_goes_through_the_poller(interrupt):
    source = never("s-1")
    interrupt(lambda: source.calls)
    with pytest.raises(KeyboardInterrupt):
        sync.wait(source, "s-1", until="READY", timeout=None)


def test_ctrl_c_ends_the_opening_of_a_connection(interrupt):
    steps = []

    @asynccontextmanager
    async def hangs():
        try:
            steps.append("begun")
            await anyio.sleep_forever()
            yield never()
        finally:
            steps.append("ended")

    interrupt(lambda: steps)
    with pytest.raises(KeyboardInterrupt), sync.connect(hangs()):
        pass
    assert steps == ["begun", "ended"]


def test_ctrl_c_right_after_a_connection_was_opened_closes_it(monkeypatch):
    steps = []

    @asynccontextmanager
    async def connection():
        try:
            yield never()
        finally:
            steps.append("closed")

    class Interrupts(Future):
        def result(self, timeout=None):
            opened = super().result(timeout)
            if not isinstance(opened, ScriptedSource):
                return opened
            raise KeyboardInterrupt

    monkeypatch.setattr(_portal, "Future", Interrupts)
    with pytest.raises(KeyboardInterrupt), sync.connect(connection()):
        pass
    assert steps == ["closed"]


def test_leaving_by_an_exception_cancels_callbacks_and_closes_the_connection_gently():
    steps = []

    @asynccontextmanager
    async def connection():
        try:
            yield coming_up("s-1", after=0)
        finally:
            await anyio.lowlevel.checkpoint()
            steps.append("closed")

    async def hangs(change):
        try:
            await anyio.sleep_forever()
        finally:
            steps.append("cancelled")

    def leaves():
        with sync.Poller(connection()) as poller:
            poller.on("READY", hangs)
            poller.wait("s-1", until="READY", timeout=9)
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        leaves()
    assert steps == ["cancelled", "closed"]


def test_what_breaks_in_the_loop_reaches_whoever_has_the_poller_and_nobody_else():
    class Breaks(RateLimiter):
        async def acquire(self):
            raise SystemExit(3)

    with sync.Poller(coming_up("s-1"), schedule=OFTEN) as other:
        with (
            pytest.RaisesGroup(pytest.RaisesGroup(SystemExit)),
            sync.Poller(coming_up("s-1"), limiter=Breaks(1)) as poller,
        ):
            poller.wait("s-1", until="READY", timeout=9)
        assert other.wait("s-1", until="READY", timeout=9).state == "READY"


def test_what_cannot_be_opened_is_refused_on_entering():
    for opening in (nimble.connect(studio_id="s", endpoint_url="nowhere"), object()):
        with pytest.raises(greenroom.ConfigurationError), sync.Poller(opening):
            pass


@pytest.mark.parametrize(
    ("use", "instead"),
    [
        (lambda poller: poller.wait("s-1", until="READY", timeout=9), "Poller.wait"),
        (
            lambda poller: next(poller.as_completed(["s-1"], until="READY", timeout=9)),
            "as_completed",
        ),
        (lambda poller: poller.statistics(), "Poller.statistics"),
        (lambda poller: poller.watch(["s-1"]).__enter__(), "async with greenroom.Poller.watch"),
        (lambda poller: sync.Poller(never()).__enter__(), "async with greenroom.Poller"),
        (lambda poller: sync.launch(None, []), "greenroom.launch"),
        (lambda poller: sync.call(anyio.sleep, 0), "await"),
    ],
)
def test_within_an_event_loop_it_refuses_and_says_what_to_use(use, instead, backend):
    async def main():
        with pytest.raises(greenroom.ConfigurationError, match=instead):
            use(poller)

    with sync.Poller(never("s-1")) as poller:
        anyio.run(main, backend=backend)


def test_it_works_in_a_thread_of_an_asynchronous_program():
    def waits():
        return sync.wait(coming_up("s-1", after=0), "s-1", until="READY", timeout=9)

    async def main():
        assert (await asyncio.to_thread(waits)).state == "READY"
        assert (await anyio.to_thread.run_sync(waits)).state == "READY"

    anyio.run(main)


def test_one_budget_serves_all_that_is_open_and_what_is_opened_later():
    limiter = RateLimiter(max_rate=50, burst=1)
    for _ in range(2):
        with (
            sync.Poller(coming_up("s-1"), limiter=limiter, schedule=OFTEN) as one,
            sync.Poller(coming_up("s-1"), limiter=limiter, schedule=OFTEN) as other,
        ):
            assert one.limiter is other.limiter
            for poller in (one, other):
                assert poller.wait("s-1", until="READY", timeout=9).state == "READY"


def test_many_who_come_and_go_share_a_budget():
    limiter = RateLimiter(max_rate=1000, burst=100)

    def waits(number):
        return sync.wait(
            coming_up("s-1", after=0), "s-1", until="READY", timeout=9, limiter=limiter
        )

    with ThreadPoolExecutor(4) as threads:
        assert {each.verdict for each in threads.map(waits, range(40))} == {Verdict.SUCCESS}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_opens_its_own():
    with sync.Poller(coming_up("s-1", after=0)) as poller:
        poller.wait("s-1", until="READY", timeout=9)
        if (child := os.fork()) == 0:
            status = 1
            try:
                with pytest.raises(greenroom.ConfigurationError, match="forked"):
                    poller.statistics()
                poller.__exit__(None, None, None)
                sync.wait(coming_up("s-1", after=0), "s-1", until="READY", timeout=9)
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert poller.wait("s-1", until="READY", timeout=9).state == "READY"


def test_a_launch_and_a_connection_that_several_share(simulator, tmp_path):
    specs = [{"key": f"desk-{n}", "launch_profile_id": "lp-1"} for n in range(4)]
    assert len(sync.launch(studio(simulator), specs, journal=tmp_path / "run.db").succeeded) == 4
    with sync.connect(studio(simulator)) as sessions, sync.Poller(sessions) as poller:
        report = sync.launch(sessions, specs[:1], poller=poller)
        (made,) = report.succeeded
        stopped = sync.call(greenroom.act, sessions, "stop", [made.id], timeout=60)
        assert stopped[made.id].state == "STOPPED"
        assert poller.wait(made.id, until="STOPPED", timeout=60).reads


@pytest.mark.parametrize("name", ["wait", "launch", "Poller.__init__", "Poller.wait",
    "Poller.wait_all", "Poller.as_completed", "Poller.on", "Poller.notify"])  # fmt: skip
def test_arguments_are_those_of_the_asynchronous_functions(name):
    def arguments(module):
        function = module
        for part in name.split("."):
            function = getattr(function, part)
        parameters = inspect.signature(function).parameters.values()
        return [(each.name, each.kind, each.default) for each in parameters]

    assert arguments(sync) == arguments(greenroom)


def python(code):
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True)
    return done.stdout + done.stderr


def test_greenroom_does_not_import_it():
    modules = "{'greenroom.sync', 'greenroom._portal'}"
    assert not python(f"import sys, greenroom; assert not {modules} & {{*sys.modules}}")


def test_a_program_that_ends_without_leaving_ends():
    code = """
from greenroom import sync
from greenroom.testing import ScriptedSource
source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS")]})
poller = sync.Poller(source)
poller.__enter__()
poller.watch(["s-1"]).__enter__()
waits = poller.as_completed(["s-1"], until="READY", timeout=None)
"""
    assert not python(code)
