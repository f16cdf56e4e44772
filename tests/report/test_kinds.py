"""The report of a launch of another kind: its own states, its own advice, and its choices."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from greenroom._launch import _events as events
from greenroom._launch._account import Account
from greenroom._launch._figures import figures
from greenroom._launch._journal_tables import Header
from greenroom._launch._timeline import CREATING, GONE, WAITING
from greenroom._states import Verdict
from greenroom.cli.report._page import _colours, as_html
from greenroom.cli.report._text import as_text
from greenroom.sources import ec2, nimble

T0 = datetime(2026, 3, 2, 6, tzinfo=UTC)
HEADER = Header("launch", T0, {}, "ec2-instance")
CHOICES = (
    {"instance_type": "g5.xlarge", "subnet_id": "subnet-1"},
    {"instance_type": "g4dn.xlarge"},
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def launched() -> Account:
    """Return three: one ready at once, one on its second choice, one that was shut down."""
    spec = {"image_id": "ami-1", "instance_types": ("g5.xlarge", "g4dn.xlarge")}
    account = Account("launch", [ec2.InstanceSpec(key=key, **spec) for key in "abc"])
    told: list[events.LaunchEvent] = [events.LaunchBegan(at=at(0), resumed=False)]

    def attempt(key: str, number: int, second: float, id_: str, *states: str) -> None:
        choice, moment = CHOICES[number - 1], second + 1
        told.append(
            events.CreateIntended(
                at=at(second), key=key, attempt=number, token=f"{key}{number}", choice=choice
            )
        )
        told.append(events.Created(at=at(moment), key=key, attempt=number, id=id_))
        before = None
        for state in ("pending", *states):
            reason = "Server.InternalError" if state == "shutting-down" else None
            told.append(
                events.Changed(
                    at=at(moment), key=key, id=id_, before=before, after=state, reason=reason
                )
            )
            before, moment = state, moment + 10

    def settle(key: str, second: float, verdict: Verdict, cause: str | None) -> None:
        told.append(
            events.Settled(
                at=at(second),
                key=key,
                verdict=verdict,
                id=f"i-{key}",
                state="running" if cause is None else "terminated",
                reason=cause,
                message=None,
                elapsed=second,
                reads=3,
                cause=cause,
            )
        )

    attempt("a", 1, 0, "i-a", "running")
    told.append(events.CheckPassed(at=at(71), key="a", id="i-a", until="ok"))
    settle("a", 71, Verdict.SUCCESS, None)
    attempt("b", 1, 0, "i-x", "shutting-down", "terminated")
    told.append(
        events.AttemptFailed(
            at=at(31), key="b", attempt=1, id="i-x", cause="Server.InternalError", message=None
        )
    )
    attempt("b", 2, 40, "i-b", "running")
    settle("b", 60, Verdict.SUCCESS, None)
    attempt("c", 1, 0, "i-c", "shutting-down", "terminated")
    settle("c", 50, Verdict.FAILURE, "Client.UserInitiatedShutdown")
    told.append(events.LaunchEnded(at=at(80), interrupted=False))
    for event in told:
        account.take(event)
    return account


def test_ready_counts_from_the_checks_where_there_were_any():
    found = figures(HEADER, launched())
    ready = {each.key: each.ready for each in found.workstations}
    assert ready == {"a": 71.0, "b": 51.0, "c": None}


def test_what_is_terminated_is_gone_and_the_advice_is_the_kinds():
    found = figures(HEADER, launched())
    assert (found.made, found.deleted, found.left) == (4, 2, ())
    (group,) = found.causes
    assert group.advice == ec2.REMEDIES["Client.UserInitiatedShutdown"].advice
    assert [each.cause for each in found.overcome] == ["Server.InternalError"]


def test_choices_are_counted_by_their_labels():
    found = figures(HEADER, launched())
    assert found.choices == {"g5.xlarge in subnet-1": 1, "g4dn.xlarge": 1}
    text = as_text(found, "run.db")
    assert "ready on" in text
    assert "g5.xlarge in subnet-1: 1" in text
    assert "studio" not in text
    page = as_html(found, "run.db")
    assert "g5.xlarge in subnet-1: 1" in page
    assert re.search(r"swatch ready.*running", page)


def test_states_have_the_colours_of_what_they_mean():
    assert _colours(ec2.INSTANCE_LAUNCH) == {
        CREATING: "asked",
        "pending": "coming",
        "running": "ready",
        WAITING: "waiting",
        "stopping": "stopping",
        "stopped": "stopping",
        "shutting-down": "deleting",
        "terminated": "gone",
        GONE: "gone",
    }
    assert _colours(nimble.SESSION_LAUNCH) == {
        CREATING: "asked",
        "CREATE_IN_PROGRESS": "coming",
        "START_IN_PROGRESS": "coming",
        "READY": "ready",
        WAITING: "waiting",
        "STOP_IN_PROGRESS": "stopping",
        "STOPPED": "stopping",
        "DELETE_IN_PROGRESS": "deleting",
        "CREATE_FAILED": "failed",
        "START_FAILED": "failed",
        "STOP_FAILED": "failed",
        "DELETE_FAILED": "failed",
        "DELETED": "gone",
        GONE: "gone",
    }
