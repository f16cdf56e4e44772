"""The kinds at AWS against botocore's own models: states, limits, members, and waiters."""

from __future__ import annotations

import re
import subprocess
import sys

import botocore.session
import jmespath
import pytest

from greenroom import Verdict
from greenroom.sources import appstream, deadline, ec2, workspaces, workspaces_instances

SERVICES = (ec2, workspaces, workspaces_instances, appstream, deadline)
KINDS = {kind.table.kind: kind for service in SERVICES for kind in service.KINDS}

ENUMS = {
    "ec2-instance": ["InstanceStateName"],
    "ec2-instance-ok": ["SummaryStatus", "InstanceStateName"],
    "workspace": ["WorkspaceState"],
    "workspaces-instance": ["ProvisionStateEnum"],
    "appstream-fleet": ["FleetState"],
    "appstream-image-builder": ["ImageBuilderState"],
    "deadline-worker": ["WorkerStatus"],
    "deadline-session": ["SessionLifecycleStatus"],
    "deadline-job": ["JobLifecycleStatus", "TaskRunStatus"],
    "deadline-fleet": ["FleetStatus"],
}
"""Where the model has the states of each kind."""

NEVER_SHOWN = {"ec2-instance-ok": {"running"}}
"""What the model has, and a kind shows something finer in place of."""

_SESSION = botocore.session.get_session()


@pytest.fixture(scope="module")
def models():
    return {kind.service: _SESSION.get_service_model(kind.service) for kind in KINDS.values()}


@pytest.mark.parametrize("name", KINDS)
def test_the_states_are_those_of_the_service_and_no_others(models, name):
    kind = KINDS[name]
    shapes = [models[kind.service].shape_for(shape) for shape in ENUMS[name]]
    states = {state for shape in shapes for state in shape.enum} - NEVER_SHOWN.get(name, set())
    assert set(kind.table.states) == states, (
        f"botocore's {kind.service} and the table of {name} have different states"
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_call_takes_no_more_ids_than_the_model_allows(models, name):
    kind = KINDS[name]
    if kind.many is None:
        assert kind.max_batch == 1
        return
    members = models[kind.service].operation_model(kind.many.operation).input_shape.members
    if kind.many.parameter is None:
        assert members["MaxResults"].metadata["max"] == kind.max_batch
        return
    limit = members[kind.many.parameter].metadata.get("max")
    if limit is None:
        told = re.search(r"Maximum (\d+) explicitly", members[kind.many.parameter].documentation)
        limit = int(told[1]) if told else None
    if limit is None:
        assert name in ("ec2-instance", "appstream-fleet", "appstream-image-builder")
    else:
        assert limit == kind.max_batch


@pytest.mark.parametrize("name", KINDS)
def test_the_operations_and_what_they_take_are_in_the_model(models, name):
    kind = KINDS[name]
    for read in filter(None, (kind.many, kind.one)):
        operation = models[kind.service].operation_model(read.operation)
        ids = [dict.fromkeys(kind.parts, "x"), dict.fromkeys(kind.parts, "y")]
        asked = read.asked(ids if read is kind.many else ids[:1])
        assert asked.keys() <= operation.input_shape.members.keys()
        if read.root:
            assert operation.output_shape.members[read.root].type_name == "list"
        for where in filter(None, (read.listed, read.failed)):
            item = _item(operation.output_shape, where)
            repeated = list(kind.parts)[-1:] if read is kind.one else kind.parts.keys()
            assert item.members.keys() >= set(repeated)
        if read.failed:
            assert item.members.keys() >= {"code", "message"}


def _item(shape, path):
    for member in re.findall(r"\w+", path):
        shape = shape.members[member].member
    return shape


@pytest.mark.parametrize("name", KINDS)
def test_states_reasons_and_messages_are_read_where_the_model_has_them(models, name):
    kind = KINDS[name]
    for read in filter(None, (kind.many, kind.one)):
        operation = models[kind.service].operation_model(read.operation)
        resource = _filled(_item(operation.output_shape, read.listed))
        seen = kind.observe(resource)
        assert seen is not None
        assert seen.state in kind.table.states
        assert seen.resource is resource


def _filled(shape):
    """Return a value of a shape with every member; of an enum the last value."""
    if shape.type_name == "structure":
        return {name: _filled(member) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [_filled(shape.member)]
    return shape.enum[-1] if shape.type_name == "string" and shape.enum else "text"


FOUND = {
    "ec2-instance": ("State.Name", "StateReason.Code", "StateReason.Message"),
    "workspace": ("State", "ErrorCode", "ErrorMessage"),
    "workspaces-instance": (
        "ProvisionState",
        "WorkspaceInstanceErrors[0].ErrorCode",
        "WorkspaceInstanceErrors[0].ErrorMessage",
    ),
    "appstream-fleet": ("State", "FleetErrors[0].ErrorCode", "FleetErrors[0].ErrorMessage"),
    "appstream-image-builder": (
        "State",
        "ImageBuilderErrors[0].ErrorCode",
        "ImageBuilderErrors[0].ErrorMessage",
    ),
    "deadline-worker": ("status", None, None),
    "deadline-session": ("lifecycleStatus", None, None),
    "deadline-job": ("taskRunStatus", None, "lifecycleStatusMessage"),
    "deadline-fleet": ("status", None, "statusMessage"),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_reason_travels_with_the_state(models, name):
    kind = KINDS[name]
    read = kind.one or kind.many
    operation = models[kind.service].operation_model(read.operation)
    resource = _filled(_item(operation.output_shape, read.listed))
    if name == "deadline-job":
        resource["lifecycleStatus"] = "CREATE_COMPLETE"
    expected = [path and jmespath.search(path, resource) for path in FOUND[name]]
    seen = kind.observe(resource)
    assert [seen.state, seen.reason, seen.message] == expected
    assert all(each for each, path in zip(expected, FOUND[name], strict=True) if path)


@pytest.mark.parametrize(
    ("made", "runs", "state"),
    [
        ("CREATE_IN_PROGRESS", "PENDING", "CREATE_IN_PROGRESS"),
        ("CREATE_FAILED", "FAILED", "CREATE_FAILED"),
        ("UPLOAD_FAILED", None, "UPLOAD_FAILED"),
        ("CREATE_COMPLETE", "RUNNING", "RUNNING"),
        ("UPDATE_IN_PROGRESS", "SUCCEEDED", "SUCCEEDED"),
        ("ARCHIVED", "SUCCEEDED", "SUCCEEDED"),
        ("CREATE_COMPLETE", None, "CREATE_COMPLETE"),
    ],
)
def test_a_job_is_as_far_as_it_is_made_and_then_as_its_tasks_are(made, runs, state):
    resource = {"lifecycleStatus": made, "taskRunStatus": runs}
    assert deadline.JOB.observe(resource).state == state


WAITERS = {
    ("ec2", "InstanceRunning"): (ec2.INSTANCE, "running"),
    ("ec2", "InstanceStopped"): (ec2.INSTANCE, "stopped"),
    ("ec2", "InstanceTerminated"): (ec2.INSTANCE, "terminated"),
    ("appstream", "FleetStarted"): (appstream.FLEET, "RUNNING"),
    ("appstream", "FleetStopped"): (appstream.FLEET, "STOPPED"),
    ("deadline", "FleetActive"): (deadline.FLEET, "ACTIVE"),
    ("deadline", "JobSucceeded"): (deadline.JOB, "SUCCEEDED"),
}


@pytest.mark.parametrize(("service", "waiter"), WAITERS)
def test_what_a_waiter_of_botocore_says_of_a_state_the_table_does_not_contradict(service, waiter):
    """A table may know more: it never calls a failure what the waiter calls a success."""
    kind, goal = WAITERS[service, waiter]
    for acceptor in _SESSION.get_waiter_model(service).get_waiter(waiter).acceptors:
        if acceptor.matcher not in ("path", "pathAll", "pathAny"):
            continue
        if acceptor.expected not in kind.table.states:
            continue  # such as INACTIVE, which fleets of AppStream have only in the waiter
        verdict = kind.table.verdict(acceptor.expected, goal)
        if acceptor.state == "success":
            assert verdict is Verdict.SUCCESS
        if acceptor.state == "failure":
            assert verdict in (Verdict.FAILURE, Verdict.UNREACHABLE, Verdict.PENDING)
            # A waiter that follows an action takes the time before it for a failure.
            assert verdict is not Verdict.PENDING or goal in ("stopped", "terminated", "STOPPED")


@pytest.mark.parametrize("name", KINDS)
def test_whoever_waits_for_a_goal_may_reach_it_and_may_fail(name):
    table = KINDS[name].table
    for goal in table.goals:
        verdicts = {table.verdict(state, goal) for state in table.states}
        assert {Verdict.SUCCESS, Verdict.PENDING} <= verdicts


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ec2-instance", "i-0123456789abcdef0", ["ws-1", "i-", "i-1 ", "i-1/2", "", None, 5]),
        ("workspace", "ws-0123abcd9", ["i-1", "ws-", "ws-1,ws-2 ", "d-1"]),
        ("appstream-fleet", "artists", ["", "a b", "a/b", "x" * 257]),
        ("deadline-worker", "farm-1/fleet-2/worker-3", ["worker-3", "fleet-2/worker-3", "a/b/c"]),
    ],
)
def test_an_id_that_cannot_be_one_is_told_from_one_that_can(name, good, bad):
    kind = KINDS[name]
    assert kind.check_id(good) is None
    for each in bad:
        problem = kind.check_id(each)
        assert problem is not None
        assert repr(each) in problem
        assert kind.id_form in problem


def test_the_facts_of_a_service_load_no_client_library():
    script = (
        "import sys; from greenroom.sources import appstream, deadline, ec2, workspaces;"
        "from greenroom.sources import workspaces_instances;"
        "assert not {'botocore', 'aiobotocore', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
