"""Secrets that a run comes by are in none of its outputs, but where they are meant to be.

That is in the file of `--stream-urls`, and in what `get nimble-stream --output json` prints; in a
program, in `result.stream.url` and `resource["url"]`. Everything else that a run leaves is searched
for the URLs of streams as the simulator issued them, for credentials, and for what an endpoint URL
may carry beside the endpoint.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import pty
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import greenroom
from greenroom import LaunchPolicy, RateLimiter
from greenroom.simulator._settings import FAULT_KINDS
from greenroom.sources import ec2, nimble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.cli.conftest import Ran

    from greenroom.simulator import Simulator

    Start = Callable[..., Simulator]
    Run = Callable[..., Ran]

ACCESS_KEY = "AKIAPLANTEDPLANTED01"
SECRET_KEY = "planted/secret+access/key"
TOKEN = "planted//session+token=="
PASSWORD = "planted-password"

FAST = ("--every", "50ms", "--rate", "100", "--create-rate", "200")
LP = ("--launch-profile-id", "lp-1", "--count", "3", "--canary", "0")

LOGGED = """
import json, logging, sys
class Lines(logging.Formatter):
    def format(self, record):
        return json.dumps([record.name, super().format(record)])
handler = logging.FileHandler(sys.argv[1])
handler.setFormatter(Lines())
logging.basicConfig(handlers=[handler], level=logging.DEBUG)
from greenroom.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""The command line in a program that has turned every log on."""


@dataclass(frozen=True)
class Seen:
    """All that a run showed."""

    status: int
    out: str
    terminal: str
    logged: list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, credentials: None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Seen]:
    """Runs the command line with a terminal for standard error, every log turned on."""

    def look(*args: str) -> Seen:
        log = tmp_path / "all.log"
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", LOGGED, str(log), *args]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
            os.close(theirs)
            shown: list[bytes] = []
            reader = threading.Thread(target=_read, args=(ours, shown))
            reader.start()
            out, _ = process.communicate(timeout=60)
            reader.join(10)
        os.close(ours)
        logged = [tuple(json.loads(line)) for line in log.read_text().splitlines()]
        log.unlink()
        return Seen(process.returncode, out.decode(), b"".join(shown).decode(), logged)

    return look


def _read(terminal: int, shown: list[bytes]) -> None:
    try:
        while chunk := os.read(terminal, 65536):
            shown.append(chunk)
    except OSError:  # the other end is closed
        pass


def urls_of(simulator: Simulator) -> list[str]:
    """Return the beginning of each stream's key, and what the URLs of all have in common."""
    urls = [stream.url for stream in simulator.studio._streams.values()]
    return [*(url.rpartition("=")[2][:16] for url in urls), "stream.invalid"]


def found(secrets: Iterable[str], *texts: str | bytes) -> list[str]:
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    return [secret for secret in secrets if any(secret.encode() in text for text in raw)]


def files_below(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


@pytest.mark.parametrize("way", [(), ("--verbose",), ("--output", "json")], ids=" ".join)
def test_a_launch_leaves_the_urls_in_their_file_and_nothing_else_anywhere(
    studio: Start, look: Callable[..., Seen], run: Run, tmp_path: Path, way: tuple[str, ...]
) -> None:
    simulator = studio(stream={"failures": {"INTERNAL_ERROR": 0.3}}, seed=4)
    urls, kept = tmp_path / "urls.jsonl", tmp_path / "kept"
    kept.mkdir()
    journal, page = kept / "run.db", kept / "run.html"
    asked = ("--stream", "--stream-urls", str(urls), "--journal", str(journal))
    seen = look("launch", *LP, *FAST, *asked, *way)
    text = run("report", str(journal))
    html = run("report", str(journal), "--html", str(page))
    assert seen.status == text.status == html.status == 0
    issued = urls_of(simulator)
    told = {json.loads(line)["url"] for line in urls.read_text().splitlines()}
    assert len(told) == 3
    assert told <= {stream.url for stream in simulator.studio._streams.values()}
    assert urls.stat().st_mode & 0o777 == 0o600

    every = [*issued, ACCESS_KEY, SECRET_KEY, TOKEN]
    assert not found(every, seen.out, seen.terminal, text.out, text.err, html.err)
    assert not found(every, files_below(kept))
    assert not found([*issued, SECRET_KEY], *(line for _, line in seen.logged))
    # What botocore signs with, it also logs: that is the application's to keep shut.
    careless = {name for name, line in seen.logged if found(every, line)}
    assert all(name.startswith(("botocore.", "aiobotocore.")) for name in careless)
    assert any(name.startswith("greenroom") for name, _ in seen.logged)
    assert ("\x1b[" in seen.terminal) is (not way)  # the live view


def test_commands_about_a_stream_show_its_url_to_get_as_json_alone(
    studio: Start, run: Run, create: Callable[..., list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quick = {"median_s": 1, "sigma": 0}
    simulator = studio(speed=1.0, create=quick, stream=quick)  # streams last for two minutes
    (session,) = create(simulator)
    simulator.clock.advance(10)
    made = simulator.studio.create_stream(simulator.clock(), session)
    simulator.clock.advance(10)
    issued = urls_of(simulator)
    stream = f"{session}/{made['streamId']}"
    told = run("get", "nimble-stream", stream, "--output", "json")
    assert [json.loads(told.out)["url"]] == [
        each.url for each in simulator.studio._streams.values()
    ]
    assert not found(issued, told.err)
    for args in (
        ("get", "nimble-stream", stream),
        ("wait", "nimble-stream", stream, "--until", "READY"),
        ("wait", "nimble-stream", stream, "--until", "READY", "--output", "json", "--verbose"),
        ("wait", "nimble-stream", stream, "--until", "DELETED", "--timeout", "50ms"),
    ):
        ran = run(*args)
        assert ran.status in (0, 3)
        assert stream in ran.out + ran.err or ran.status == 0
        assert not found(issued, ran.out, ran.err)
    assert not found(issued, caplog.text)


STRIKES = [kind for kind in FAULT_KINDS if kind not in ("hang", "slow", "late", "outage")]
"""What can go wrong with one call and does not take long."""


@pytest.mark.parametrize("operation", ["CreateStreamingSessionStream", "GetStreamingSessionStream"])
def test_a_launch_in_which_everything_goes_wrong_shows_no_more(
    studio: Start, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, operation: str
) -> None:
    caplog.set_level(logging.DEBUG)
    simulator = studio(
        faults=[{"kind": kind, "operation": operation, "times": 1} for kind in STRIKES],
        create={"median_s": 50, "sigma": 0.2, "failures": {"INTERNAL_ERROR": 0.2}},
        stream={"median_s": 5, "sigma": 0, "failures": {"INTERNAL_ERROR": 0.2}},
        seed=1,
    )
    journal = tmp_path / "run.db"
    asked = ("--stream", "--journal", str(journal), "--timeout", "3s", "--count", "20")
    ran = run("launch", *LP[:2], *LP[4:], *FAST, *asked)
    assert ran.status in (1, 3, 4)
    told = run("report", str(journal))
    run("report", str(journal), "--html", str(tmp_path / "run.html"))
    assert len(simulator.statistics().faults) > len(STRIKES) // 3  # the deadline takes the rest
    assert len(urls_of(simulator)) > 3
    every = [*urls_of(simulator), ACCESS_KEY, SECRET_KEY, TOKEN]
    ours = (each.getMessage() for each in caplog.records if each.name.startswith("greenroom"))
    assert not found(every, ran.out, ran.err, told.out, files_below(tmp_path), *ours)
    assert not found([*urls_of(simulator), SECRET_KEY], caplog.text)


def test_no_repr_shows_a_secret(studio: Start) -> None:
    simulator = studio(create={"median_s": 50, "sigma": 0}, stream={"median_s": 5, "sigma": 0})
    shown: list[object] = []

    async def main() -> None:
        async with nimble.connect(
            studio_id=simulator.studio_id, endpoint_url=simulator.url, region_name="us-west-2"
        ) as sessions:
            limiter = RateLimiter(500, 500)
            specs = [{"key": "a", "launch_profile_id": "lp"}]
            async with greenroom.Poller(sessions, limiter=limiter) as poller:
                launch = greenroom.Launch(
                    sessions, specs, poller=poller, policy=LaunchPolicy(stream=True)
                )
                launch.listen(shown.append)
                async with launch:
                    report = await launch.finished()
                shown.extend((launch, report, dict(report), poller, poller.statistics()))
                shown.extend((launch.account.lines, limiter, limiter.statistics()))
            shown.extend((sessions, sessions.client, sessions.client.meta, sessions.streams))
            result = report["a"]
            assert result.stream is not None
            assert result.stream.url
            assert found(urls_of(simulator), result.stream.url)
            shown.extend((result, result.spec, result.stream, result.attempts, vars(report)))
            stream_id = f"{result.id}/{result.stream.stream_id}"
            waited = await greenroom.wait(sessions.streams, stream_id, until="READY", timeout=5)
            assert waited.resource["url"] == result.stream.url
            shown.extend((waited, waited.history, waited.resource, dict(waited.resource)))
            shown.append(await sessions.streams.describe([stream_id]))
            with pytest.raises(greenroom.WaitTimeout) as caught:
                await greenroom.wait(sessions.streams, stream_id, until="DELETED", timeout=0.05)
            error = caught.value
            shown.extend((error, error.result, error.__dict__, error.__cause__))
            shown.append("".join(traceback.format_exception(error)))
            copy = pickle.loads(pickle.dumps(error))
            assert copy.result.resource == waited.resource
            shown.append(copy.result.resource)

    anyio.run(main)
    texts = [text for each in shown for text in (repr(each), str(each))]
    assert len(texts) > 60
    assert not found([*urls_of(simulator), ACCESS_KEY, SECRET_KEY, TOKEN], *texts)


ENDPOINTS = (
    f"http://user:{PASSWORD}@127.0.0.1:1",
    f"http://{PASSWORD}@127.0.0.1:1",
    f"user:{PASSWORD}@127.0.0.1:1",
    f"http//user:{PASSWORD}@127.0.0.1",
    f"http://user:{PASSWORD}@[127",
    f"http://user:{PASSWORD}@127.0.0.1:99999",
    f"ftp://user:{PASSWORD}@127.0.0.1",
    f"http://127.0.0.1:1/?X-Amz-Signature={PASSWORD}",
    f"http://127.0.0.1:1/#{PASSWORD}",
)


@pytest.mark.parametrize("url", ENDPOINTS)
def test_what_an_endpoint_carries_is_neither_told_nor_recorded(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
) -> None:
    caplog.set_level(logging.DEBUG, "greenroom")
    monkeypatch.chdir(tmp_path)
    at = ("--studio-id", "st-1", "--endpoint-url", url)
    commands = [
        ("get", "nimble-session", "s-1", *at, "--timeout", "50ms"),
        ("launch", *LP, *at, "--journal", "run.db"),
    ]
    for ran in [run(*command) for command in commands]:
        assert ran.status == 2
        assert not found([PASSWORD], ran.out, ran.err)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    for command in (("get", "ec2-instance", "i-12345678"), ("wait", "workspace", "ws-12345678")):
        until = ("--until", "AVAILABLE") if command[0] == "wait" else ()
        ran = run(*command, *until, "--timeout", "50ms")
        assert ran.status == 2
        assert not found([PASSWORD], ran.out, ran.err)
    assert not found([PASSWORD], files_below(tmp_path), caplog.text)


def _connecting(**options: Any) -> str:
    """Return the traceback of a connection that cannot be opened."""

    async def main() -> None:
        async with ec2.connect(**options):
            pytest.fail("it was opened")

    with pytest.raises(greenroom.ConfigurationError) as caught:
        anyio.run(main)
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ENDPOINTS)
def test_no_traceback_shows_what_an_endpoint_carries(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert not found([PASSWORD], _connecting(endpoint_url=url))
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert not found([PASSWORD], _connecting())


@pytest.mark.parametrize("text", ["aws_secret_access_key = {}\n", "[default]\n{}\n"])
def test_no_traceback_shows_credentials_that_cannot_be_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    file.write_text(text.format(SECRET_KEY))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert not found([SECRET_KEY], _connecting())
