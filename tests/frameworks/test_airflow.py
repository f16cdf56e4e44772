"""The trigger and the operator, run as a triggerer and a worker would, with neither there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar

import anyio
import pytest
from airflow.exceptions import AirflowException
from airflow.triggers.base import TriggerEvent

import greenroom
from greenroom.airflow import SessionsTrigger, WaitForSessionsOperator
from greenroom.simulator import Settings, serve
from greenroom.sources import nimble
from greenroom.testing import ScriptedSource, run

try:
    from airflow.sdk.exceptions import TaskDeferred
except ModuleNotFoundError:  # Airflow 2
    from airflow.exceptions import TaskDeferred

HERE = f"{__name__}:connect"
places: dict[str, ScriptedSource] = {}
opened: list[dict[str, str]] = []


@asynccontextmanager
async def connect(**where):
    """What `source` names: a place with sessions in it."""
    opened.append(where)
    yield places[where["place"]]
    await anyio.sleep(where.get("closing", 0))
    where["closed"] = "yes"


@pytest.fixture(autouse=True)
def _empty():
    places.clear()
    opened.clear()


def coming_up(count):
    return {f"s-{n}": [(0, "CREATE_IN_PROGRESS"), (60 + n, "READY")] for n in range(count)}


def trigger(ids, **changed):
    asked = {
        "ids": ids,
        "until": "READY",
        "deadline": time.time() + 1800,
        "source": HERE,
        "source_kwargs": {"place": "studio"},
    }
    return SessionsTrigger(**asked | changed)


async def fired(one):
    """Run a trigger as a triggerer does: made anew from what is in the database."""
    classpath, kwargs = one.serialize()
    assert classpath == "greenroom.airflow.SessionsTrigger"
    async with aclosing(SessionsTrigger(**kwargs).run()) as events:
        (event,) = [event async for event in events]
    assert isinstance(event, TriggerEvent)
    return event.payload["outcomes"]


def test_a_trigger_fires_once_with_what_became_of_each():
    places["studio"] = ScriptedSource(
        coming_up(1) | {"s-9": [(0, "CREATE_IN_PROGRESS"), (30, "CREATE_FAILED")]}
    )
    outcomes = run(fired, trigger(["s-0", "s-9"]))
    assert outcomes["s-0"]["verdict"] == "success"
    assert outcomes["s-0"]["state"] == "READY"
    assert 60 <= outcomes["s-0"]["elapsed"] < 90
    assert outcomes["s-9"]["verdict"] == "failure"
    assert "CREATE_FAILED" in outcomes["s-9"]["explanation"]
    assert opened == [{"place": "studio", "closed": "yes"}]


def test_hundreds_of_triggers_share_one_poller_whoever_comes_and_goes_first():
    scripts = coming_up(300)
    source = places["studio"] = ScriptedSource(scripts)
    fates = {}

    async def one(number, id_):
        await anyio.sleep(number / 100)
        fates.update(await fired(trigger([id_])))

    async def main():
        async with anyio.create_task_group() as tasks:
            for number, id_ in enumerate(scripts):
                tasks.start_soon(one, number, id_)

    run(main)
    assert {each["verdict"] for each in fates.values()} == {"success"}
    assert len(fates) == 300
    assert opened == [{"place": "studio", "closed": "yes"}]
    assert len(source.calls) <= 100


def test_places_credentials_and_budgets_are_kept_apart(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", "aws://AKIA:secret@/?region_name=us-west-2")
    places["studio"], places["other"] = (ScriptedSource(coming_up(1)) for _ in range(2))
    triggers = [
        trigger(["s-0"]),
        trigger(["s-0"], until=["READY", "STOPPED"]),
        trigger(["s-0"], source_kwargs={"place": "other"}),
        trigger(["s-0"], aws_conn_id="studio"),
        trigger(["s-0"], max_rate=5.0),
    ]

    async def main():
        async with anyio.create_task_group() as tasks:
            for one in triggers:
                tasks.start_soon(fired, one)

    run(main)
    assert sorted(each["place"] for each in opened) == ["other", "studio", "studio", "studio"]
    assert [each for each in opened if "region_name" in each] == [
        {
            "place": "studio",
            "aws_access_key_id": "AKIA",
            "aws_secret_access_key": "secret",
            "region_name": "us-west-2",
            "closed": "yes",
        }
    ]


def test_what_airflow_stores_names_the_connection_and_has_no_secret(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", "aws://AKIA:secret@")
    assert "secret" not in repr(trigger(["s-0"], aws_conn_id="studio").serialize())
    with pytest.raises(greenroom.ConfigurationError, match="keep credentials in a connection"):
        trigger(["s-0"], source_kwargs={"aws_secret_access_key": "secret"})


def test_a_role_that_would_not_be_assumed_is_refused(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", "aws://?role_arn=arn%3Aaws%3Aiam%3A%3A1%3Arole")
    with pytest.raises(greenroom.ConfigurationError, match="role_arn"):
        run(fired, trigger(["s-0"], aws_conn_id="studio"))


def test_the_deadline_outlives_the_triggerer():
    places["studio"] = ScriptedSource({"s-0": [(0, "CREATE_IN_PROGRESS")]})
    outcomes = run(fired, trigger(["s-0"], deadline=time.time() + 100))
    assert outcomes["s-0"]["verdict"] == "timeout"
    assert outcomes["s-0"]["elapsed"] == pytest.approx(100, abs=5)
    outcomes = run(fired, trigger(["s-0"], deadline=time.time() - 100))
    assert outcomes["s-0"]["elapsed"] == pytest.approx(0, abs=3)


def test_the_first_who_is_cancelled_takes_nothing_from_the_others():
    source = places["studio"] = ScriptedSource(coming_up(2))

    async def main():
        first, second = (asyncio.create_task(fired(trigger([id_]))) for id_ in ("s-0", "s-1"))
        await anyio.sleep(30)
        first.cancel()
        assert (await second)["s-1"]["verdict"] == "success"
        assert first.cancelled()

    run(main)
    assert opened == [{"place": "studio", "closed": "yes"}]
    assert source.calls[-1].ids == ("s-1",)


def test_the_last_who_is_cancelled_leaves_nothing_behind():
    places["studio"] = ScriptedSource({"s-0": [(0, "CREATE_IN_PROGRESS")]})

    async def main():
        task = asyncio.create_task(fired(trigger(["s-0"], deadline=None)))
        await anyio.sleep(30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)
    assert opened == [{"place": "studio", "closed": "yes"}]


def test_one_who_is_cancelled_twice_does_not_disturb_the_closing():
    places["studio"] = ScriptedSource({"s-0": [(0, "CREATE_IN_PROGRESS")]})
    where = {"place": "studio", "closing": 5}

    async def main():
        task = asyncio.create_task(fired(trigger(["s-0"], source_kwargs=where)))
        for _ in range(2):
            await anyio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await anyio.sleep(10)

    run(main)
    assert [each["closed"] for each in opened] == ["yes"]


def test_what_is_shared_has_nothing_of_the_context_of_the_first():
    of_a_trigger = ContextVar("of_a_trigger", default=None)
    seen = set()

    class Sees(ScriptedSource):
        async def describe(self, ids, /):
            seen.add(of_a_trigger.get())
            return await super().describe(ids)

    async def main():
        of_a_trigger.set("the first")
        await fired(trigger(["s-0"]))

    places["studio"] = Sees(coming_up(1))
    run(main)
    assert seen == {None}


def test_what_cannot_be_opened_fails_each_trigger_and_is_tried_anew_by_the_next():
    async def main():
        tasks = [asyncio.create_task(fired(trigger(["s-0"]))) for _ in range(3)]
        raised = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in raised] == [KeyError] * 3
        places["studio"] = ScriptedSource(coming_up(1))
        assert (await fired(trigger(["s-0"])))["s-0"]["verdict"] == "success"

    run(main)
    assert len(opened) == 2


def test_a_poller_that_breaks_fails_its_triggers_by_the_cause_and_the_next_has_another():
    class Breaks(ScriptedSource):
        async def describe(self, ids, /):
            raise BaseException  # what no poller lives through

    async def main():
        places["studio"] = Breaks({})
        tasks = [asyncio.create_task(fired(trigger(["s-0"]))) for _ in range(3)]
        raised = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, BaseExceptionGroup) for each in raised] == [True] * 3
        places["studio"] = ScriptedSource(coming_up(1))
        assert (await fired(trigger(["s-0"])))["s-0"]["verdict"] == "success"

    run(main)


def operator(**changed):
    asked = {
        "task_id": "up",
        "ids": ["s-0", "s-1"],
        "until": "READY",
        "timeout": 1800,
        "source": HERE,
        "source_kwargs": {"place": "studio"},
    }
    return WaitForSessionsOperator(**asked | changed)


def through_airflow(one):
    """Execute, defer, fire, and resume."""
    with pytest.raises(TaskDeferred) as deferred:
        one.execute({})
    outcomes = run(fired, deferred.value.trigger)
    resume = getattr(one, deferred.value.method_name)
    return resume({}, event={"outcomes": outcomes})


def test_a_task_defers_and_returns_what_became_of_each():
    places["studio"] = ScriptedSource(coming_up(2))
    outcomes = through_airflow(operator())
    assert [each["verdict"] for each in outcomes.values()] == ["success", "success"]


def test_a_task_fails_where_a_session_does_and_says_why():
    places["studio"] = ScriptedSource(coming_up(1) | {"s-1": [(0, "CREATE_FAILED")]})
    with pytest.raises(AirflowException, match=r"1 of 2 failed: s-1 is CREATE_FAILED"):
        through_airflow(operator())
    outcomes = through_airflow(operator(raise_on_failure=False))
    assert outcomes["s-1"]["verdict"] == "failure"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ids", []), ("ids", "s-1"), ("timeout", -1), ("max_rate", 0), ("burst", 0)],
)
def test_a_task_that_cannot_be_right_fails_before_it_defers(name, value):
    with pytest.raises(greenroom.ConfigurationError, match=f"{name}=" if value else name):
        operator(**{name: value}).execute({})


def test_what_another_task_returned_can_be_waited_for():
    assert {"ids", "until", "source_kwargs"} <= set(WaitForSessionsOperator.template_fields)


@pytest.mark.asyncio
async def test_sessions_of_a_studio_over_http(monkeypatch):
    settings = Settings.from_table({"create": {"median_s": 20, "sigma": 0.2}})
    async with serve(settings, speed=100) as simulator:
        monkeypatch.setenv("AIRFLOW_CONN_STUDIO", "aws://simulated:simulated@/?region_name=r")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "simulated")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "simulated")
        where = {"studio_id": "us-west-2-abc", "endpoint_url": simulator.url}
        async with nimble.connect(region_name="r", **where) as sessions:
            made = await sessions.client.create_streaming_session(
                studioId="us-west-2-abc", launchProfileId="lp-1"
            )
        outcomes = await fired(
            trigger(
                [made["session"]["sessionId"]],
                source="greenroom.sources.nimble.connect",
                source_kwargs=where,
                aws_conn_id="studio",
            )
        )
    assert {each["verdict"] for each in outcomes.values()} == {"success"}


def test_without_airflow_it_says_what_to_install():
    code = "import sys; sys.modules['airflow'] = None; import greenroom.airflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'greenroom[airflow]'" in done.stderr
