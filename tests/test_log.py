import logging
import subprocess
import sys

import structlog

import greenroom
from greenroom.testing import ScriptedSource, run

FOLLOW = """
import greenroom
from greenroom.testing import ScriptedSource, run
{configure}
async def main():
    source = ScriptedSource({{"s-1": [(0, "CREATE_IN_PROGRESS"), (9, "NOVEL"), (20, "READY")]}})
    source.fail(lambda: greenroom.Unavailable("gone"), when=lambda call: 5 < call.at < 8)
    async with greenroom.Poller(source) as poller:
        poller.on("READY", lambda change: 1 / 0)
        await poller.wait("s-1", until="READY", timeout=60)
run(main)
"""


def output_with(configure):
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW.format(configure=configure)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def test_silent_unless_the_application_configures_logging():
    assert output_with("") == ""


def test_the_standard_library_hears_everything_once_it_is_asked_to():
    output = output_with("import logging; logging.basicConfig(level=logging.INFO)")
    for event in (
        "session.changed",
        "wait.settled",
        "source.unavailable",
        "source.recovered",
        "state.unknown",
        "callback.failed",
    ):
        assert event in output
    assert "ZeroDivisionError" in output
    assert "kind='nimble-session'" in output


def test_structlog_hears_events_with_their_ids_bound():
    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (20, "READY")]})
        await greenroom.wait(source, "s-1", until="READY", timeout=60)

    with structlog.testing.capture_logs() as events:
        run(main)
    assert [event["event"] for event in events] == [
        "session.changed",
        "session.changed",
        "wait.settled",
    ]
    assert all(event["id"] == "s-1" for event in events)
    assert all(event["kind"] == "nimble-session" for event in events)


def test_no_handler_of_ours_is_on_the_root_logger():
    assert not any(
        handler.__class__.__module__.startswith("greenroom")
        for handler in logging.getLogger().handlers
    )


def test_a_service_that_makes_up_states_fills_neither_log_nor_memory(caplog):
    caplog.set_level(logging.WARNING, "greenroom")

    async def main():
        script = [(number, f"STATE-{number}") for number in range(300)]
        source = ScriptedSource({"s-1": script})
        async with greenroom.Poller(source, schedule=greenroom.Every(0.5)) as poller:
            results = await poller.wait_all(["s-1"], until="READY", timeout=310)
        assert len(results["s-1"].history) == 300

    run(main)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told)) == 100


def test_a_pipeline_that_breaks_is_told_and_ends_nothing(capsys):
    def breaks(*_):
        raise BrokenPipeError("nobody reads the log any more")

    async def main():
        source = ScriptedSource({"s-1": [(0, "CREATE_IN_PROGRESS"), (20, "READY")]})
        await greenroom.wait(source, "s-1", until="READY", timeout=60)

    structlog.configure(processors=[breaks])
    run(main)
    assert "BrokenPipeError: nobody reads the log any more" in capsys.readouterr().err
