"""Nothing that a service, a spec or a journal says can make a terminal do anything."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from rich.console import Console

from greenroom import RateLimiter, Spec, Verdict
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._journal import Journal
from greenroom._launch._journal_tables import Header
from greenroom._launch._site import Cost
from greenroom._poller import PollerStatistics
from greenroom.cli._live import LiveView
from greenroom.cli._printing import LONGEST
from greenroom.cli._progress import Progress
from greenroom.cli.launch._screen import Glance
from greenroom.cli.launch._view import LaunchView

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

    Run = Callable[..., Ran]

BITES = "".join(
    (
        "\x1b]0;owned\x07\x1b[2J\x1b[31m\x1bc",  # a title, an empty screen, red, a reset
        "\x1b]8;;http://x.invalid\x1b\\link\x1b]8;;\x1b\\",
        "\x1b]52;c;b3duZWQ=\x07",  # the clipboard
        "\x9b2J\x9d0;owned\x9c\x90q\x9c\x85",
        "\r\x08\x08\x0b\x0c\x7f\x00\t\n",
        "\u202eexe.\u202d\u2066\u2069\u200b\ufeff\u2028\u2029",
        "[red]x[/red] [link=http://x.invalid]y[/link] [bold",
        "\N{GREEK SMALL LETTER OMEGA}",
    )
)
LONG = f"{BITES}\ud800{'z' * 200_000}"
NAME = BITES.replace("\0", "")
"""The same as a file may be called."""

FAST = ("--every", "50ms", "--rate", "200", "--timeout", "600ms")
LP = ("--launch-profile-id", "lp-1", "--count", "1", "--create-rate", "200")


class Liar:
    """A studio that answers every request with what the test wants.

    Attributes:
        session: The session, as it is answered.
        error: The status and the name of the error that is answered instead, if one is.
    """

    def __init__(self) -> None:
        self.session: dict[str, Any] = {"sessionId": "s-1"}
        self.error: tuple[int, str] | None = None

    def answer(self, path: str) -> tuple[int, str, dict[str, Any]]:
        if self.error is not None:
            status, name = self.error
            return status, name, {"message": LONG, "code": LONG, "context": {LONG: LONG}}
        if "sessionIds" in path:
            return 200, "", {"sessions": [self.session]}
        return 200, "", {"session": self.session}


@pytest.fixture
def liar(credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Liar]:
    monkeypatch.chdir(tmp_path)
    lying = Liar()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, name, body = lying.answer(self.path)
            content = json.dumps(body).replace("Infinity", "1e999").encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if name:
                self.send_header("x-amzn-ErrorType", name)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("GREENROOM_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GREENROOM_STUDIO_ID", "st-1")
        yield lying
        server.shutdown()
        thread.join()


def harmless(*texts: str) -> None:
    for text in texts:
        for line in text.split("\n"):
            assert line.isprintable(), repr(line[:300])
            assert len(line) <= LONGEST + 200


def told(ran: Ran, caplog: pytest.LogCaptureFixture) -> str:
    """Return all that a run printed and logged, which must be harmless."""
    harmless(ran.out, ran.err)
    for record in caplog.records:
        if record.name.startswith("greenroom"):
            assert record.getMessage().isprintable()
    return ran.out + ran.err


@pytest.mark.parametrize("state", [BITES, LONG, "CREATE_FAILED", "DELETED", "READY"])
def test_what_a_service_says_of_a_session(
    liar: Liar, run: Run, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    caplog.set_level(logging.INFO)
    liar.session |= {"state": state, "statusCode": BITES, "statusMessage": LONG, "arn": LONG}
    seen = "".join(
        told(run(*command, *FAST), caplog)
        for command in (
            ("get", "nimble-session", "s-1"),
            ("wait", "nimble-session", "s-1", "--until", "STOPPED", "--verbose"),
            ("stop", "nimble-session", "s-1", "--verbose"),
            ("delete", "nimble-session", "s-1"),
        )
    )
    assert "[red]x[/red]" in seen  # told, and no markup
    ran = run("get", "nimble-session", "s-1", "--output", "json", *FAST)
    assert ran.out.isascii()
    assert json.loads(ran.out)["statusMessage"] == LONG


@pytest.mark.parametrize(
    "error",
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (409, "ConflictException"),
        (429, "ThrottlingException"),
        (500, "InternalServerErrorException"),
        (418, "Teapot"),
    ],
    ids=lambda error: error[1],
)
def test_what_a_service_says_of_an_error(
    liar: Liar,
    run: Run,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    error: tuple[int, str],
) -> None:
    caplog.set_level(logging.INFO)
    liar.error = error
    seen = told(run("get", "nimble-session", "s-1", *FAST), caplog)
    assert "[red]" in seen or error[1] == "ThrottlingException"
    journal = ("--journal", str(tmp_path / "run.db"))
    for command in (
        ("stop", "nimble-session", "s-1", *FAST),
        ("launch", *LP, *FAST, *journal),
        ("report", journal[1]),
    ):
        told(run(*command), caplog)


def test_what_a_service_says_to_refuse_a_watch(
    liar: Liar, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    liar.error = (403, "AccessDeniedException")
    ran = run("watch", "nimble-session", "s-1")
    assert ran.status == 4
    assert "[red]" in told(ran, caplog)


def test_what_is_made_has_an_id_that_bites(
    liar: Liar, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    liar.session |= {"sessionId": BITES, "state": "READY"}
    journal = str(tmp_path / "run.db")
    ran = run("launch", *LP, *FAST, "--journal", journal, "--verbose")
    assert "[red]" in told(ran, caplog)
    told(run("report", journal), caplog)


@pytest.mark.parametrize(
    "args",
    [
        ("get", "nimble-session", BITES),
        ("get", BITES, "s-1"),
        ("get", "nimble-session", "s-1", "--studio-id", BITES),
        ("get", "nimble-session", "s-1", "--endpoint-url", BITES),
        ("get", "nimble-session", "s-1", "--region", BITES),
        ("get", "nimble-session", "s-1", "--profile", BITES),
        ("get", "nimble-session", "s-1", "--rate", BITES),
        ("get", "nimble-session", "s-1", "--timeout", BITES),
        ("get", "nimble-session", "s-1", "--history", f"{NAME}.db"),
        ("get", "nimble-session", "--ids-from", f"{NAME}.txt"),
        ("wait", "nimble-session", "s-1", "--until", BITES),
        ("launch", *LP, "--tag", BITES.replace("=", "")),
        ("launch", *LP, "--instance-type", BITES),
        ("launch", BITES),
        ("report", f"{NAME}.db"),
        ("table", BITES),
        ("table", f"aws:rds:{BITES}"),
        ("kinds", f"aws:{BITES}"),
        (BITES,),
        (f"--{BITES}",),
    ],
    ids=lambda args: " ".join(args[:2]).encode("ascii", "replace").decode()[:20],
)
def test_what_is_on_a_command_line(
    liar: Liar, run: Run, caplog: pytest.LogCaptureFixture, args: tuple[str, ...]
) -> None:
    ran = run(*args)
    assert ran.status == 2
    assert told(ran, caplog)


def test_what_is_in_a_file_of_ids_or_specs(
    liar: Liar, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    text = BITES.replace("\n", "")
    for content in (text, json.dumps({"key": BITES}), json.dumps({BITES: LONG}), "[" * 100_000):
        file.write_text(content, encoding="utf-8")
        for args in (
            ("get", "nimble-session", "--ids-from", str(file), *FAST),
            ("launch", "--spec", str(file), "--journal", str(tmp_path / "run.db"), *FAST),
        ):
            ran = run(*args)
            assert ran.status == 2
            assert told(ran, caplog)


def failing(error: str) -> PollerStatistics:
    """Return the figures of a poller that gets no answer."""
    return PollerStatistics(
        calls=5,
        throttled=0,
        failed=1,
        reads=40,
        reads_per_call=10.0,
        transitions=0,
        stale=0,
        sessions=4,
        waiting=4,
        in_flight=0,
        outcomes={},
        callback_errors=0,
        lag=0.0,
        last_error=error,
    )


def journal_that_bites(path: Path) -> Path:
    """Write a journal in which every text bites, as a stranger may send one."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    key = BITES
    options = {"studio_id": BITES, "endpoint_url": "http://127.0.0.1:1", "urls": None}
    header = Header(BITES + "z" * 9000, at, options, place=BITES)
    journal = Journal.create(path, header, [Spec(key=key, launch_profile_id="lp")])
    journal.append(
        [
            events.LaunchBegan(at=at, resumed=False),
            events.CreateIntended(at=at, key=key, attempt=1, token="t", choice={"a": key}),
            events.Created(at=at, key=key, attempt=1, id=LONG),
            events.Changed(at=at, key=key, id=LONG, before=None, after=LONG, reason=LONG),
            events.CreatesStopped(at=at, cause=BITES, message=LONG),
            events.Settled(
                at=at,
                key=key,
                verdict=Verdict.FAILURE,
                id=LONG,
                state=LONG,
                reason=LONG,
                message=LONG,
                elapsed=1.0,
                reads=1,
                cause=LONG,
                row=LONG,
                advice=LONG,
            ),
            events.LaunchEnded(at=at, interrupted=False),
        ]
    )
    journal.close()
    return path


def test_the_journal_of_a_stranger(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, credentials: None
) -> None:
    journal = str(journal_that_bites(tmp_path / "run.db"))
    assert "[red]x[/red]" in told(run("report", journal), caplog)
    for args in (
        ("launch", "--journal", journal, "--resume", *FAST),
        ("launch", "--journal", journal, "--resume", "--studio-id", "st-1", *FAST),
        ("plan", "--count", "3", "--history", journal, "--rate", "10"),
    ):
        assert told(run(*args), caplog)


def drawn(draw: Callable[[Console], None]) -> tuple[str, set[str]]:
    """Return what was drawn, and the escape sequences in it."""
    paper = io.StringIO()
    console = Console(file=paper, width=120, height=40, force_terminal=True, legacy_windows=False)
    draw(console)
    picture = paper.getvalue()
    sequences = set(re.findall(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)", picture))
    rest = re.sub(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)", "", picture).replace("\r", "")
    assert all(line.isprintable() for line in rest.split("\n"))
    return picture, sequences


def view_of_a_launch(text: str) -> Callable[[Console], None]:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def draw(console: Console) -> None:
        account = Account("launch", [Spec(key="a", launch_profile_id="lp")])
        settled = events.Settled(
            at=at,
            key="a",
            verdict=Verdict.FAILURE,
            id=text,
            state=text,
            reason=text,
            message=text,
            elapsed=1.0,
            reads=1,
            cause=text,
            advice=text,
        )
        account.take(settled)
        trouble = failing(text)
        with LaunchView(text, 60.0, console=console) as view:
            view.notice(text)
            view.tick(
                Glance(
                    account=account,
                    cost=Cost(3, 1, 0),
                    polled=trouble,
                    rate=1.0,
                    elapsed=1.0,
                    left=None,
                    now=1.0,
                )
            )

    return draw


def view_of_a_wait(text: str) -> Callable[[Console], None]:
    async def draw(console: Console) -> None:
        progress = Progress(1, now=0.0)
        progress.begin([text], now=0.0)
        trouble = failing(text)
        with LiveView(text, 60.0, console=console) as view:
            view.tick(progress, trouble, RateLimiter(10, 20).statistics(), 1.0)

    return lambda console: anyio.run(draw, console)


@pytest.mark.parametrize("view", [view_of_a_launch, view_of_a_wait])
def test_a_live_view_has_no_escape_sequences_but_its_own(
    view: Callable[[str], Callable[[Console], None]],
) -> None:
    _, own = drawn(view("harmless"))
    picture, sequences = drawn(view(BITES))
    assert sequences == own
    assert "[red]" in picture
    drawn(view(LONG))


def test_a_number_that_json_does_not_know_is_null(liar: Liar, run: Run) -> None:
    liar.session |= {"state": "READY", "size": 1e999, "sizes": [1.5, -1e999]}
    ran = run("get", "nimble-session", "s-1", "--output", "json")
    told = json.loads(ran.out, parse_constant=pytest.fail)
    assert (told["size"], told["sizes"]) == (None, [1.5, None])
