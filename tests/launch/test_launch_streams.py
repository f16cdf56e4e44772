"""Streams: one for each READY workstation where they are wanted, and a secret that stays one."""

from __future__ import annotations

import anyio
import pytest

import greenroom
from greenroom import AccessDenied, Conflict, Launch, LaunchPolicy, Unavailable, Verdict
from greenroom._launch import _events as events
from greenroom._launch._rows import as_row

pytestmark = pytest.mark.usefixtures("inline_threads")

STREAM = LaunchPolicy(stream=True)


def on_stream(error, when=lambda number: True):
    return lambda name, number: error() if name == "create_stream" and when(number) else None


def test_no_stream_is_made_where_none_is_wanted(run, studio, wanted):
    async def main():
        service = studio()
        report = await greenroom.launch(service, wanted(3))
        assert service.counts["create_stream"] == service.counts["get_stream"] == 0
        assert {result.stream for result in report.values()} == {None}

    run(main)


def test_every_ready_workstation_gets_a_stream(run, studio, wanted, balanced):
    async def main():
        service, lasts = studio(), []
        create = service.create_stream

        async def remembered(session_id, **asked):
            lasts.append(asked["expires_in"])
            return await create(session_id, **asked)

        service.create_stream = remembered
        policy = LaunchPolicy(stream=True, stream_expires_in=120)
        report = await greenroom.launch(service, wanted(20), policy=policy)
        balanced(report, service)
        assert len(report.succeeded) == 20
        assert lasts == [120] * 20
        assert len({result.stream.url for result in report.values()}) == 20
        for result in report.values():
            assert result.state == "READY"
            assert result.stream.url.startswith("https://")
            assert result.stream.expires_at.tzinfo is not None

    run(main)


def test_the_url_is_in_the_result_and_nowhere_else(run, studio, wanted, tmp_path, caplog):
    caplog.set_level("DEBUG")

    async def main():
        told, printed = [], []
        path = tmp_path / "run.db"
        launch = Launch(studio(), wanted(8), policy=STREAM, journal=path)
        launch.listen(told.append)
        async with launch:
            await launch.finished()
            files = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        report = launch.report()
        urls = [result.stream.url for result in report.values()]
        assert len(set(urls)) == 8
        read = greenroom.read_report(path)
        printed += [repr(each) for each in (told, report, dict(report), launch.account.lines, read)]
        printed += [str(result.stream) for result in report.values()]
        printed += [repr(event) for event in told if isinstance(event, events.StreamReady)]
        printed += [as_row(event).data for event in told]
        printed.append(caplog.text)
        files += path.read_bytes()
        for url in urls:
            secret = url.rpartition("=")[2]
            assert len(secret) > 20
            assert not [each for each in printed if secret in each]
            assert secret.encode() not in files
            assert b"stream.invalid" not in files
        assert {result.stream.url for result in read.values()} == {None}
        assert {result.stream.stream_id for result in read.values()} == {
            result.stream.stream_id for result in report.values()
        }

    run(main)


def test_a_stream_that_fails_is_made_again(run, studio, wanted, balanced):
    async def main():
        service = studio(seed=3, stream={"failures": {"INTERNAL_ERROR": 0.4}})
        told = []
        launch = Launch(service, wanted(20), policy=STREAM)
        launch.listen(told.append)
        async with launch:
            pass
        report = launch.report()
        balanced(report, service)
        assert len(report.succeeded) >= 12
        for result in report.values():
            mine = [event for event in told if getattr(event, "key", None) == result.key]
            made = sum(isinstance(event, events.StreamCreated) for event in mine)
            failed = sum(isinstance(event, events.StreamFailed) for event in mine)
            if result.verdict is Verdict.SUCCESS:
                assert made == failed + 1 <= 3
            else:
                assert (made, failed) == (3, 3)
                assert (result.verdict, result.cause) == (Verdict.FAILURE, "INTERNAL_ERROR")
                assert result.state == "READY"
                assert result.stream is None
                assert "stream" in result.message
        assert any(isinstance(event, events.StreamFailed) for event in told)

    run(main)


def test_a_stream_whose_creation_was_not_heard_is_made_once(run, studio, wanted):
    async def main():
        service = studio()
        service.lost = lambda name, number: name == "create_stream" and number % 2 == 1
        report = await greenroom.launch(service, wanted(6), policy=STREAM)
        assert len(report.succeeded) == 6
        assert len(service.model._streams) == 6
        assert service.counts["create_stream"] == 12

    run(main)


@pytest.mark.parametrize(
    ("error", "verdict", "cause"),
    [
        (
            lambda: AccessDenied("no", code="AccessDeniedException"),
            Verdict.ERROR,
            "AccessDeniedException",
        ),
        (lambda: Conflict("no", code="ConflictException"), Verdict.FAILURE, "ConflictException"),
    ],
)
def test_a_refused_stream_is_told_and_the_session_is_kept(
    run, studio, wanted, balanced, error, verdict, cause
):
    async def main():
        service = studio()
        service.fault = on_stream(error)
        report = await greenroom.launch(service, wanted(3), policy=STREAM)
        balanced(report, service)
        for result in report.values():
            assert (result.verdict, result.cause, result.state) == (verdict, cause, "READY")
            assert result.id is not None
            assert len(result.attempts) == 1

    run(main)


def test_a_stream_that_is_late_is_late(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 50, "sigma": 0}, stream={"median_s": 1000, "sigma": 0})
        policy = LaunchPolicy(stream=True, timeout=200)
        began = anyio.current_time()
        report = await greenroom.launch(service, wanted(3), policy=policy)
        assert anyio.current_time() - began <= 203
        for result in report.values():
            assert (result.verdict, result.state) == (Verdict.TIMEOUT, "READY")
        assert list(report.by_cause) == ["TIMEOUT"]

    run(main)


def test_a_stream_that_may_not_be_read_says_why(run, studio, wanted):
    async def main():
        service = studio()
        service.fault = lambda name, number: (
            AccessDenied("no", code="AccessDeniedException") if name == "get_stream" else None
        )
        report = await greenroom.launch(service, wanted(2), policy=STREAM)
        assert {result.verdict for result in report.values()} == {Verdict.ERROR}
        assert list(report.by_cause) == ["AccessDeniedException"]

    run(main)


def test_an_outage_of_streams_alone_ends_with_the_deadline(run, studio, wanted):
    async def main():
        service = studio(create={"median_s": 50, "sigma": 0})
        service.fault = on_stream(lambda: Unavailable("down"))
        report = await greenroom.launch(
            service, wanted(2), policy=LaunchPolicy(stream=True, timeout=200)
        )
        assert {result.verdict for result in report.values()} == {Verdict.TIMEOUT}
        assert {result.state for result in report.values()} == {"READY"}

    run(main)
