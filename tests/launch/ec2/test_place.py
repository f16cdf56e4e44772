"""A launch is resumed where it was begun: elsewhere its tokens name nothing, and it doubles."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

import greenroom
from greenroom import ConfigurationError, Launch
from greenroom._launch._journal import read_journal
from greenroom.sources import ec2, nimble

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}


async def begun(there, desks, killed, path):
    """Have five made whose answers are lost."""
    there.lost = lambda name, number: name == "RunInstances"
    assert not await killed(0.5, lambda: Launch(there, desks(5), journal=path))
    assert len(there.instances) == 5
    there.lost = lambda name, number: False


@pytest.mark.usefixtures("inline_threads")
def test_a_launch_is_not_resumed_elsewhere(run, region, desks, fair, killed, tmp_path):
    path = tmp_path / "run.db"

    async def main():
        west, east = region(place="west"), region(place="east")
        await begun(west, desks, killed, path)
        assert read_journal(path)[0].place == "west"
        with pytest.raises(ConfigurationError) as refused:
            await greenroom.launch(east, desks(5), journal=path, resume=True)
        assert str(refused.value) == (
            f"{path} is a launch in west, and this is a source of east: connect to west to resume "
            "it, or begin another launch with a journal of its own"
        )
        assert not east.counts
        report = await greenroom.launch(west, desks(5), journal=path, resume=True)
        fair(report, west)
        assert len(report.succeeded) == len(west.instances) == 5

    run(main)


@pytest.mark.usefixtures("inline_threads")
@pytest.mark.parametrize(("began", "resumed"), [(None, "east"), ("west", None), (None, None)])
def test_where_nobody_says_nothing_is_compared(
    run, region, desks, killed, tmp_path, began, resumed
):
    path = tmp_path / "run.db"

    async def main():
        there = region(place=began)
        await begun(there, desks, killed, path)
        there.place = resumed
        report = await greenroom.launch(there, journal=path, resume=True)
        assert len(report.succeeded) == len(there.instances) == 5
        assert read_journal(path)[0].place == began

    run(main)


@pytest.mark.usefixtures("inline_threads")
@pytest.mark.parametrize("version", [1, 2])
def test_an_old_journal_does_not_say_where_but_may_name_a_studio(
    run, studio, wanted, tmp_path, version
):
    plain, told = tmp_path / "plain.db", tmp_path / "told.db"

    async def main():
        there = studio()
        for path, options in ((plain, {}), (told, {"studio_id": "west"})):
            async with Launch(there, wanted(2), journal=path, options=options):
                pass
            with closing(sqlite3.connect(path)) as db:
                db.execute("ALTER TABLE launch DROP COLUMN place")
                if version == 1:
                    db.execute("ALTER TABLE launch DROP COLUMN kind")
                db.execute(f"PRAGMA user_version = {version}")
        there.place = "east"
        assert len(await greenroom.launch(there, journal=plain, resume=True)) == 2
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="in west, and this is a source of east"):
                await greenroom.launch(there, journal=told, resume=True)
        there.place = "west"
        assert len(await greenroom.launch(there, journal=told, resume=True)) == 2

    run(main)


@pytest.mark.parametrize("place", ["", 3, lambda: "west"])
def test_a_place_is_text(region, desks, place):
    with pytest.raises(ConfigurationError, match="of a Region must be text that says where"):
        Launch(region(place=place), desks(1))


@pytest.mark.asyncio
async def test_the_place_of_instances_is_their_region() -> None:
    for url in (None, "http://127.0.0.1:1"):
        async with ec2.connect(region_name="us-west-2", endpoint_url=url, **KEYS) as instances:
            assert instances.place == "us-west-2"


@pytest.mark.asyncio
async def test_the_place_of_sessions_is_their_studio_on_whichever_port() -> None:
    for port in (1, 2):
        async with nimble.connect(
            studio_id="studio-1",
            region_name="us-west-2",
            endpoint_url=f"http://127.0.0.1:{port}",
            **KEYS,
        ) as sessions:
            assert sessions.place == "studio-1"
