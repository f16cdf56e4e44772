"""Waiters of botocore as sources: found by name, made into tables, and polled in virtual time."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import anyio
import boto3
import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.waiter import AcceptorConfig

import greenroom
from greenroom import Poller, RateLimiter, Verdict
from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    NotFound,
    SourceError,
    Throttled,
    Unavailable,
    WaitFailed,
)
from greenroom.sources import botocore_waiter
from greenroom.sources._waiter_acceptors import compile_acceptors
from greenroom.sources._waiter_batch import find_batch
from greenroom.sources._waiters import batched_waiters, services, waiter_kind, waiter_names


def error(operation, code, *, status=400, message="no", request_id=""):
    metadata = {"HTTPStatusCode": status, "RequestId": request_id, "HTTPHeaders": {}}
    details = {"Code": code, "Message": message}
    return ClientError({"Error": details, "ResponseMetadata": metadata}, operation)


def raising(what):
    def answer(params):
        raise what

    return answer


# --- What there is


@pytest.mark.parametrize(
    "name", ["db_instance_available", "DBInstanceAvailable", "db-instance-available"]
)
def test_a_waiter_is_found_by_its_name(name):
    waiter = waiter_kind("rds", name)

    assert waiter.table.kind == "aws:rds:db_instance_available"
    assert waiter.table.states == ("retry", "success", "failure")
    assert waiter.table.goals == ("success",)
    assert (waiter.service, waiter.operation) == ("rds", "DescribeDBInstances")
    assert (waiter.permission, waiter.max_batch) == ("rds:DescribeDBInstances", 1)
    assert (waiter.delay, waiter.max_attempts) == (30, 60)


def test_a_waiter_that_knows_no_failure_has_no_such_state():
    assert waiter_kind("ec2", "system_status_ok").table.states == ("retry", "success")


@pytest.mark.parametrize(
    ("service", "waiter", "told"),
    [
        ("rds", "db_instance_avalable", "did you mean db_instance_available?"),
        ("rds", "ready", "it has db_cluster_available"),
        ("rdss", "x", "botocore knows no service 'rdss'; did you mean rds?"),
        ("nowhere", "x", "those with waiters are"),
        ("sqs", "x", "sqs has no waiters; those that have are"),
    ],
)
def test_a_misspelt_waiter_is_told_its_name(service, waiter, told):
    with pytest.raises(ConfigurationError) as caught:
        waiter_kind(service, waiter)

    assert told in str(caught.value)


def test_the_services_and_their_waiters_are_listed():
    assert len(services()) >= 75
    assert "db_instance_available" in waiter_names("rds")


@pytest.mark.parametrize(
    ("service", "waiter", "permission"),
    [
        ("elbv2", "load_balancer_available", "elasticloadbalancing:DescribeLoadBalancers"),
        ("cloudwatch", "alarm_exists", "cloudwatch:DescribeAlarms"),
        ("emr", "cluster_running", "elasticmapreduce:DescribeCluster"),
        ("ecr", "image_scan_complete", "ecr:DescribeImageScanFindings"),
        ("s3", "object_exists", "s3:GetObject"),
        ("s3", "bucket_exists", "s3:ListBucket"),
    ],
)
def test_the_permission_is_as_iam_writes_it(service, waiter, permission):
    assert waiter_kind(service, waiter).permission == permission


SHARED = {
    "appstream": "fleet_started fleet_stopped",
    "cloudwatch": "alarm_exists composite_alarm_exists",
    "ec2": """
        bundle_task_complete conversion_task_completed customer_gateway_available
        export_task_completed image_available image_exists instance_exists instance_running
        instance_status_ok instance_stopped instance_terminated internet_gateway_exists
        key_pair_exists nat_gateway_available nat_gateway_deleted network_interface_available
        security_group_exists snapshot_completed snapshot_imported spot_instance_request_fulfilled
        subnet_available system_status_ok volume_available volume_deleted volume_in_use
        vpc_available vpc_exists vpc_peering_connection_deleted vpc_peering_connection_exists
        vpn_connection_available vpn_connection_deleted
    """,
    "ecs": "services_inactive services_stable tasks_running tasks_stopped",
    "elasticbeanstalk": "environment_exists environment_terminated environment_updated",
    "elbv2": "load_balancer_available load_balancer_exists load_balancers_deleted",
}


def test_these_waiters_share_calls():
    shared = {waiter.table.kind for waiter in batched_waiters()}

    assert shared >= {
        f"aws:{service}:{name}" for service, names in SHARED.items() for name in names.split()
    }


@pytest.mark.parametrize(
    ("service", "waiter", "most"),
    [
        ("ec2", "instance_running", 100),
        ("ecs", "services_stable", 10),  # the model tells it in the text of the parameter
        ("elbv2", "load_balancer_available", 20),
        ("cloudwatch", "alarm_exists", 100),
        ("rds", "db_instance_available", 1),
        ("ec2", "store_image_task_complete", 1),  # ImageIds are answered as AmiId
        ("rekognition", "project_version_running", 1),  # VersionNames are not in the answer
        ("dms", "endpoint_deleted", 1),
    ],
)
def test_as_many_ids_share_a_call_as_the_model_says(service, waiter, most):
    assert waiter_kind(service, waiter).max_batch == most


@pytest.mark.parametrize(
    ("argument", "shared"),
    [
        ("length(Reservations[]) > `0` && contains(Reservations[0].Instances[?Id].Id, 'x')", True),
        ("Reservations | [0]", True),
        ("length(@) > `0`", False),
        ("@.Reservations[].State", False),
        ("Other[].State", False),
        ("[Reservations, NextToken]", False),
        ("sort_by(Reservations, &Id)", False),
        ("length(Reservations) == length(Other)", False),
    ],
)
def test_what_a_path_may_see_beside_the_members_is_not_shared(argument, shared):
    operation = ServiceModel(Loader().load_service_model("ec2", "service-2")).operation_model(
        "DescribeInstances"
    )
    pages = {"input_token": "NextToken", "output_token": "NextToken"}
    line = {"state": "success", "matcher": "path", "expected": True, "argument": argument}
    trees = compile_acceptors([line]).expressions

    assert (find_batch(operation, trees, pages) is not None) is shared
    assert find_batch(operation, trees, None) is None  # there may be more pages
    assert find_batch(operation, trees, {"input_token": ["a", "b"], "output_token": "c"}) is None


@pytest.mark.parametrize(
    "line",
    [
        {"matcher": "pathAll", "argument": "a", "expected": "x"},
        {"matcher": "pathAny", "argument": "a", "expected": "x"},
        {"matcher": "path", "argument": "a", "expected": None},
        {"matcher": "path", "argument": "a", "expected": 1},
        {"matcher": "error", "expected": True},
        {"matcher": "error", "expected": False},
        {"matcher": "error", "expected": ""},
        {"matcher": "status", "expected": None},
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"a": "x"},
        {"a": {"x": "x"}},
        {"a": None},
        {"a": True},
        {"a": ["x", "x"]},
        {"a": "x", "Error": {}},
        {"a": "x", "Error": {"Code": ""}},
        {"a": ["x"], "Error": {"Code": "c"}},
        {"a": ["x"], "Error": {"Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 200}},
    ],
)
def test_what_no_model_says_today_is_as_botocore_has_it_too(line, answer):
    line = {"state": "success", **line}
    (acceptor,) = compile_acceptors([line]).all

    assert acceptor.matches(answer) is bool(AcceptorConfig(line).matcher_func(answer))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"state": "success", "matcher": "path", "expected": 1, "argument": "a["}, "cannot read"),
        ({"state": "success", "matcher": "path", "expected": 1}, "cannot read"),
        ({"state": "success", "matcher": "like", "expected": 1}, "'like' is no matcher"),
        ({"state": "done", "matcher": "status", "expected": 1}, "'done' is no outcome"),
    ],
)
def test_a_model_that_cannot_be_read_is_refused(line, told):
    with pytest.raises(ConfigurationError) as caught:
        compile_acceptors([line], "aws:a:b")

    assert str(caught.value).startswith("aws:a:b: ")
    assert told in str(caught.value)


# --- The client


def test_nothing_of_aws_is_loaded_before_a_waiter_is_asked_for():
    check = (
        "import sys, greenroom.sources, greenroom.sources._nimble_tables as _\n"
        "loaded = {'botocore', 'aiobotocore'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert callable(greenroom.sources.botocore_waiter)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_a_client_that_cannot_be_awaited_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        botocore_waiter(boto3.client("rds", region_name="us-west-2"), "db_instance_available")

    assert "create_client('rds')" in str(caught.value)


def test_a_client_that_is_not_open_is_refused():
    unopened = get_session().create_client("rds")

    with pytest.raises(ConfigurationError) as caught:
        botocore_waiter(unopened, "db_instance_available")

    assert "open it, as `async with ... as client`" in str(caught.value)
    unopened._coro.close()


def test_what_is_no_client_is_refused():
    with pytest.raises(ConfigurationError, match="'rds' is no open client of aiobotocore"):
        botocore_waiter("rds", "db_instance_available")


@pytest.mark.asyncio
async def test_the_models_are_those_of_the_client(tmp_path):
    folder = tmp_path / "rds" / "2014-10-31"
    folder.mkdir(parents=True)
    (folder / "waiters-2.json").write_text(
        '{"version": 2, "waiters": {"OneOfMyOwn": {"operation": "DescribeDBInstances", "delay": 1,'
        '"maxAttempts": 2, "acceptors": [{"state": "success", "matcher": "status", "expected": 200}'
        "]}}}"
    )
    session = get_session()
    session.get_component("data_loader").search_paths.insert(0, str(tmp_path))
    async with session.create_client("rds") as client:
        assert botocore_waiter(client, "OneOfMyOwn").table.kind == "aws:rds:one_of_my_own"
        with pytest.raises(ConfigurationError, match="it has one_of_my_own"):
            botocore_waiter(client, "db_instance_available")


# --- What an answer says


async def look(fake_client, service, waiter, id_, answer):
    kind = waiter_kind(service, waiter)
    source = kind.source(fake_client(**{kind.operation: answer}))
    return (await source.describe([id_])).get(id_)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "state", "reason", "message"),
    [
        ("available", "success", "available", "every DBInstances[].DBInstanceStatus is available"),
        ("failed", "failure", "failed", "at least one DBInstances[].DBInstanceStatus is failed"),
        (
            "creating",
            "retry",
            "creating",
            "DBInstances[].DBInstanceStatus is creating, which decides nothing",
        ),
    ],
)
async def test_an_observation_says_what_decided(fake_client, status, state, reason, message):
    answer = {"DBInstances": [{"DBInstanceIdentifier": "d", "DBInstanceStatus": status}]}

    seen = await look(
        fake_client, "rds", "db_instance_available", "DBInstanceIdentifier=d", lambda _: answer
    )

    assert (seen.state, seen.reason, seen.message) == (state, reason, message)
    assert seen.resource == answer


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("service", "waiter", "id_", "answer", "expected"),
    [
        (
            "ec2",
            "instance_exists",
            "i-1",
            {"Reservations": [{"Instances": [{"InstanceId": "i-1"}]}]},
            ("success", None, "`length(Reservations[]) > `0`` holds"),
        ),
        (
            "ec2",
            "vpc_exists",
            "vpc-1",
            {"Vpcs": [], "ResponseMetadata": {"HTTPStatusCode": 200}},
            ("success", "200", "the answer has the HTTP status 200"),
        ),
        (
            "lambda",
            "function_exists",
            "f",
            {"Code": {}},
            ("success", None, "the service answers without an error"),
        ),
        (
            "ec2",
            "instance_running",
            "InstanceIds=i-1,i-2",
            {"Reservations": [{"Instances": [{"State": {"Name": n}} for n in ("running", "no")]}]},
            ("retry", None, None),
        ),
        (
            "location",
            "job_completed",
            "j",
            {"Status": "FAILED", "Error": {"Code": "ValidationError", "Messages": []}},
            ("failure", "ValidationError", None),
        ),
    ],
)
async def test_other_matchers_say_it_too(fake_client, service, waiter, id_, answer, expected):
    seen = await look(fake_client, service, waiter, id_, lambda _: answer)

    assert (seen.state, seen.reason, seen.message) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("service", "waiter", "id_", "answer"),
    [
        ("rds", "db_instance_available", "DBInstanceIdentifier=d", {}),
        ("rds", "db_instance_deleted", "DBInstanceIdentifier=d", {"Marker": "x"}),
        ("ec2", "instance_running", "i-1", {"ResponseMetadata": {"HTTPStatusCode": 200}}),
    ],
)
async def test_a_garbage_200_is_no_answer(fake_client, service, waiter, id_, answer):
    with pytest.raises(Unavailable, match="answered 200, but with nothing of what was asked for"):
        await look(fake_client, service, waiter, id_, lambda _: answer)


# --- What an error says


@pytest.mark.asyncio
async def test_an_error_that_an_acceptor_expects_is_an_outcome(fake_client):
    gone = error("DescribeDBInstances", "DBInstanceNotFound", status=404, message="no d")

    seen = await look(
        fake_client, "rds", "db_instance_deleted", "DBInstanceIdentifier=d", raising(gone)
    )

    assert (seen.state, seen.reason) == ("success", "DBInstanceNotFound")
    assert seen.message == "the service answers DBInstanceNotFound: no d"
    assert seen.resource == gone.response


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("service", "waiter", "id_", "code", "status", "kind"),
    [
        ("rds", "db_instance_available", "DBInstanceIdentifier=d", "Throttling", 400, Throttled),
        (
            "rds",
            "db_instance_available",
            "DBInstanceIdentifier=d",
            "InternalFailure",
            500,
            Unavailable,
        ),
        (
            "rds",
            "db_instance_available",
            "DBInstanceIdentifier=d",
            "AccessDenied",
            403,
            AccessDenied,
        ),
        ("medialive", "channel_running", "c", "InternalServerErrorException", 500, Unavailable),
        ("mediaconnect", "flow_active", "f", "ServiceUnavailableException", 503, Unavailable),
        ("iam", "instance_profile_exists", "p", "404", 404, Unavailable),
    ],
)
async def test_any_other_error_goes_on(fake_client, service, waiter, id_, code, status, kind):
    operation = waiter_kind(service, waiter).operation

    with pytest.raises(kind) as caught:
        await look(
            fake_client, service, waiter, id_, raising(error(operation, code, status=status))
        )

    assert isinstance(caught.value.__cause__, ClientError)


@pytest.mark.asyncio
async def test_what_is_not_found_is_absent(fake_client):
    gone = error("DescribeDBInstances", "DBInstanceNotFound", status=404)

    seen = await look(
        fake_client, "rds", "db_instance_available", "DBInstanceIdentifier=d", raising(gone)
    )

    assert seen is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("service", "waiter", "id_", "request_id", "state"),
    [
        ("s3", "object_exists", "Bucket=b,Key=k", "", "retry"),
        ("s3", "object_not_exists", "Bucket=b,Key=k", "", "success"),
        ("iam", "instance_profile_exists", "p", "R-1", "retry"),
    ],
)
async def test_a_bare_status_counts_where_the_service_wrote_it(
    fake_client, service, waiter, id_, request_id, state
):
    operation = waiter_kind(service, waiter).operation
    gone = error(operation, "404", status=404, request_id=request_id)

    seen = await look(fake_client, service, waiter, id_, raising(gone))

    assert (seen.state, seen.reason) == (state, "404")


@pytest.mark.asyncio
async def test_an_error_named_by_the_model_is_a_failure_even_if_it_is_a_refusal(fake_client):
    refused = error("GetCertificate", "AccessDeniedException", status=403)
    id_ = "CertificateAuthorityArn=arn:aws:a,CertificateArn=arn:aws:b"

    seen = await look(fake_client, "acm-pca", "certificate_issued", id_, raising(refused))

    assert (seen.state, seen.reason) == ("failure", "AccessDeniedException")


@pytest.mark.asyncio
async def test_a_call_for_credentials_is_none_of_the_waiters_business(fake_client):
    refused = error("AssumeRole", "AccessDeniedException", status=403)
    id_ = "CertificateAuthorityArn=arn:aws:a,CertificateArn=arn:aws:b"

    with pytest.raises(AccessDenied):
        await look(fake_client, "acm-pca", "certificate_issued", id_, raising(refused))


# --- Several in one call


def instances(states, *, errs=True):
    """Answer DescribeInstances by these states; None is an instance that is not known."""

    def answer(params):
        unknown = [id_ for id_ in params["InstanceIds"] if states.get(id_) is None]
        if unknown and errs:
            raise error(
                "DescribeInstances",
                "InvalidInstanceID.NotFound",
                message=f"The instance IDs '{', '.join(unknown)}' do not exist",
            )
        known = [id_ for id_ in params["InstanceIds"] if states.get(id_)]
        return {
            "Reservations": [
                {"Instances": [{"InstanceId": id_, "State": {"Name": states[id_]}}]}
                for id_ in known
            ]
        }

    return answer


def source_of(fake_client, waiter, answer, service="ec2"):
    kind = waiter_kind(service, waiter)
    return kind.source(fake_client(**{kind.operation: answer}))


@pytest.mark.asyncio
async def test_each_is_judged_by_its_own_part_of_the_answer(fake_client):
    states = {"i-1": "running", "i-2": "pending", "i-3": "terminated"}
    source = source_of(fake_client, "instance_running", instances(states))

    seen = await source.describe(["i-1", "InstanceIds=i-2", "i-3", "InstanceIds=i-1"])

    assert [(id_, one.state, one.reason) for id_, one in seen.items()] == [
        ("i-1", "success", "running"),
        ("InstanceIds=i-1", "success", "running"),
        ("InstanceIds=i-2", "retry", "pending"),
        ("i-3", "failure", "terminated"),
    ]
    assert seen["i-3"].resource["Reservations"] == [
        {"Instances": [{"InstanceId": "i-3", "State": {"Name": "terminated"}}]}
    ]
    assert source.client.asked == [("DescribeInstances", {"InstanceIds": ["i-1", "i-2", "i-3"]})]


@pytest.mark.asyncio
async def test_what_differs_in_more_than_the_list_is_asked_for_apart_and_paid_for(fake_client):
    def answer(params):
        return {
            "services": [
                {"serviceName": name, "status": "INACTIVE"} for name in params["services"]
            ],
            "failures": [],
        }

    source = source_of(fake_client, "services_inactive", answer, "ecs")
    paid = []

    async def pay():
        paid.append(len(source.client.asked))

    ids = ["web", "api", "cluster=b,services=web", "services=one,two"]
    seen = await source.describe_pages(ids, pay)

    assert set(seen) == set(ids)
    assert paid == [1, 2]
    assert [params for _, params in source.client.asked] == [
        {"services": ["web", "api"]},
        {"cluster": "b", "services": ["web"]},
        {"services": ["one", "two"]},
    ]


@pytest.mark.asyncio
async def test_what_asks_for_a_page_shares_no_call(fake_client):
    source = source_of(fake_client, "instance_running", instances({"i-1": "x", "i-2": "x"}))

    await source.describe(["InstanceIds=i-1,MaxResults=5", "InstanceIds=i-2,MaxResults=5"])

    asked = [params["InstanceIds"] for _, params in source.client.asked]
    assert asked == [["i-1"], ["i-2"]]


@pytest.mark.asyncio
async def test_an_error_that_is_an_outcome_names_the_id_and_says_what_it_means(fake_client):
    source = source_of(fake_client, "instance_running", instances({"i-1": "x", "i-2": "x"}))
    assert (await source.describe(["i-3"]))["i-3"].state == "retry"

    for ids in (["i-3"], ["i-1", "i-2", "i-3"]):
        with pytest.raises(NotFound) as caught:
            await source.describe_pages(ids, anyio.lowlevel.checkpoint)
        assert caught.value.ids == ("i-3",)
        assert {id_: seen.state for id_, seen in caught.value.seen.items()} == {"i-3": "retry"}


def test_ids_that_are_unknown_for_minutes_share_their_calls(run, fake_client):
    async def main():
        began = anyio.current_time()

        def answer(params):
            known = {f"i-{number}": "running" for number in range(80)}
            if anyio.current_time() - began > 240:
                known |= {f"i-{number}": "running" for number in range(80, 100)}
            return instances(known)(params)

        source = source_of(fake_client, "instance_running", answer)
        async with Poller(source) as poller:
            ids = [f"i-{number}" for number in range(100)]
            results = await poller.wait_all(ids, until="success", timeout=600)
        assert len(results.succeeded) == 100
        assert len(source.client.asked) < 40
        assert sum(len(params["InstanceIds"]) == 1 for _, params in source.client.asked) < 5

    run(main)


@pytest.mark.asyncio
async def test_what_is_not_listed_is_left_out_where_that_would_decide(fake_client):
    answer = {"Vpcs": [{"VpcId": "vpc-1"}], "ResponseMetadata": {"HTTPStatusCode": 200}}
    source = source_of(fake_client, "vpc_exists", lambda _: answer)

    assert set(await source.describe(["vpc-1", "vpc-2"])) == {"vpc-1"}


@pytest.mark.asyncio
async def test_what_is_not_listed_is_left_out_where_alone_it_is_an_error(fake_client):
    def answer(params):
        if params["Names"] == ["b"]:
            raise error("DescribeFleets", "ResourceNotFoundException")
        return {"Fleets": [{"Name": "a", "State": "RUNNING"}]}

    source = source_of(fake_client, "fleet_started", answer, "appstream")

    assert set(await source.describe(["a", "b"])) == {"a"}


@pytest.mark.asyncio
async def test_pages_are_followed_and_paid_for(fake_client):
    pages = {
        None: (
            {"Reservations": [{"Instances": [{"InstanceId": "i-2", "State": {"Name": "x"}}]}]},
            "a",
        ),
        "a": ({"Reservations": []}, "b"),
        "b": (
            {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "y"}}]}]},
            "a",
        ),
    }

    def answer(params):
        page, token = pages[params.get("NextToken")]
        return {**page, "NextToken": token}

    source = source_of(fake_client, "instance_running", answer)
    paid = []

    async def pay():
        paid.append(len(source.client.asked))

    seen = await source.describe_pages(["i-1", "i-2"], pay)

    assert {id_: one.reason for id_, one in seen.items()} == {"i-1": "y", "i-2": "x"}
    assert paid == [1, 2]


@pytest.mark.asyncio
async def test_a_task_is_known_by_the_last_part_of_its_arn(fake_client):
    arn = "arn:aws:ecs:us-west-2:1:task/prod/0123"
    answer = {"tasks": [{"taskArn": arn, "lastStatus": "RUNNING"}], "failures": []}
    source = source_of(fake_client, "tasks_running", lambda _: answer, "ecs")

    seen = await source.describe(["0123", "4567", arn])

    assert {id_: one.state for id_, one in seen.items()} == {"0123": "success", arn: "success"}


@pytest.mark.asyncio
async def test_a_garbage_200_is_no_answer_about_several(fake_client):
    source = source_of(fake_client, "instance_running", lambda _: {"Reservations": None})

    with pytest.raises(Unavailable):
        await source.describe(["i-1", "i-2"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("waiter", "code", "message", "kind", "ids"),
    [
        ("instance_running", "InvalidInstanceID.NotFound", "'i-2'", NotFound, ("i-2",)),
        ("volume_deleted", "InvalidVolume.NotFound", "'i-2'", InvalidRequest, ("i-2",)),
        ("volume_deleted", "InvalidVolume.NotFound", "'i-1, i-2'", InvalidRequest, ()),
        ("instance_running", "InvalidInstanceID.Malformed", "'i-2'", InvalidRequest, ("i-2",)),
        ("instance_running", "UnauthorizedOperation", "no", AccessDenied, ("i-1", "i-2")),
        ("instance_running", "UnauthorizedOperation", "on x/i-2", InvalidRequest, ("i-2",)),
        ("instance_running", "RequestLimitExceeded", "no", Throttled, ()),
    ],
)
async def test_an_error_about_several_is_told_so_that_it_hits_the_right(
    fake_client, waiter, code, message, kind, ids
):
    operation = waiter_kind("ec2", waiter).operation
    source = source_of(fake_client, waiter, raising(error(operation, code, message=message)))

    with pytest.raises(SourceError) as caught:
        await source.describe(["i-1", "i-2"])

    assert type(caught.value) is kind
    assert caught.value.ids == ids
    assert caught.value.code == code
    assert isinstance(caught.value.__cause__, ClientError)


@pytest.mark.asyncio
async def test_a_refusal_of_one_cluster_is_no_refusal_of_another(fake_client):
    def answer(params):
        if params["cluster"] == "b":
            raise error("DescribeServices", "AccessDeniedException")
        return {"services": [], "failures": []}

    source = source_of(fake_client, "services_inactive", answer, "ecs")
    ids = [f"cluster={cluster},services={name}" for cluster in "ab" for name in ("x", "y")]

    with pytest.raises(InvalidRequest) as caught:
        await source.describe(ids)

    assert caught.value.ids == tuple(ids[2:])


@pytest.mark.asyncio
async def test_too_many_ids_and_bad_ones_are_refused_before_any_call(fake_client):
    source = source_of(fake_client, "instance_running", instances({}))

    with pytest.raises(InvalidRequest, match="101 ids in one describe"):
        await source.describe([f"i-{number}" for number in range(101)])
    with pytest.raises(InvalidRequest, match="did you mean InstanceIds"):
        await source.describe(["InstanceId=i-1"])
    assert source.client.asked == []


# --- Polled


def test_a_wait_ends_as_the_waiter_says(run, fake_client):
    async def main():
        began = anyio.current_time()

        def answer(params):
            late = anyio.current_time() - began > 200
            states = (
                {"a": "available", "b": "failed"} if late else {"a": "creating", "b": "creating"}
            )
            name = params["DBInstanceIdentifier"]
            return {"DBInstances": [{"DBInstanceStatus": states[name]}]}

        source = source_of(fake_client, "db_instance_available", answer, "rds")
        async with Poller(source) as poller:
            result = await poller.wait("DBInstanceIdentifier=a", until="success", timeout=600)
            assert 200 < result.elapsed < 260
            assert [change.after for change in result.history] == ["retry", "success"]
            with pytest.raises(WaitFailed) as caught:
                await poller.wait("DBInstanceIdentifier=b", until="success", timeout=600)
            assert caught.value.result.reason == "failed"

    run(main)


def test_an_instance_that_is_not_known_costs_its_own_wait_only(run, fake_client):
    states = {f"i-{number:04}": "pending" for number in range(300)}

    async def main():
        began = anyio.current_time()

        def answer(params):
            ready = anyio.current_time() - began > 60
            now = {id_: "running" if ready and id_ != "i-0007" else "pending" for id_ in states}
            return instances(now)(params)

        source = source_of(fake_client, "instance_running", answer)
        async with Poller(source, limiter=RateLimiter(2, burst=2)) as poller:
            ids = [*states, "i-never"]
            results = await poller.wait_all(ids, until="success", timeout=240)

        assert results["i-never"].verdict is Verdict.TIMEOUT
        assert results["i-never"].state == "retry"  # which is what the waiter says of it
        assert results["i-never"].reason == "InvalidInstanceID.NotFound"
        assert results["i-0007"].verdict is Verdict.TIMEOUT
        assert len(results.succeeded) == 299
        assert max(result.elapsed for result in results.succeeded) < 90
        spoilt = [
            params["InstanceIds"]
            for _, params in source.client.asked
            if "i-never" in params["InstanceIds"] and len(params["InstanceIds"]) > 1
        ]
        assert len(spoilt) <= 3
        assert len(source.client.asked) < 80

    run(main)


def test_those_that_are_not_listed_yet_are_not_asked_for_one_by_one(run, fake_client):
    ids = [f"i-{number}" for number in range(100)]

    async def main():
        began = anyio.current_time()

        def answer(params):
            ready = anyio.current_time() - began > 240
            return {
                "InstanceStatuses": [
                    {"InstanceId": id_, "InstanceStatus": {"Status": "ok"}}
                    for id_ in params["InstanceIds"]
                    if ready
                ]
            }

        source = source_of(fake_client, "instance_status_ok", answer)
        async with Poller(source, limiter=RateLimiter(2, burst=2)) as poller:
            results = await poller.wait_all(ids, until="success", timeout=600)

        assert len(results.succeeded) == 100
        assert [len(params["InstanceIds"]) for _, params in source.client.asked].count(1) == 1
        assert len(source.client.asked) < 40

    run(main)


def test_where_one_that_is_not_there_is_an_error_nothing_is_concluded(run, fake_client):
    listed = {"Fleets": [{"Name": "a", "State": "RUNNING"}]}

    def answer(params):
        if params["Names"] == ["b"]:
            raise error("DescribeFleets", "ResourceNotFoundException")
        return listed

    async def main():
        source = source_of(fake_client, "fleet_started", answer, "appstream")
        async with Poller(source) as poller:
            results = await poller.wait_all(["a", "b"], until="success", timeout=600)
        assert results["a"].verdict is Verdict.SUCCESS
        assert results["b"].verdict is Verdict.MISSING

    run(main)


def test_a_volume_that_is_gone_is_deleted_at_once(run, fake_client):
    def answer(params):
        gone = [id_ for id_ in params["VolumeIds"] if id_ != "vol-1"]
        if gone:
            raise error("DescribeVolumes", "InvalidVolume.NotFound", message=f"'{gone[0]}'")
        return {"Volumes": [{"VolumeId": "vol-1", "State": "in-use"}]}

    async def main():
        source = source_of(fake_client, "volume_deleted", answer)
        async with Poller(source) as poller:
            results = await poller.wait_all(
                ["vol-1", "vol-2", "vol-3"], until="success", timeout=60
            )
        assert results["vol-1"].state == "retry"
        assert results["vol-2"].elapsed < 10
        assert results["vol-3"].elapsed < 10
        assert len(results.succeeded) == 2

    run(main)


def test_throttled_waits_go_on(run, fake_client):
    calls = SimpleNamespace(left=3)

    def answer(params):
        calls.left -= 1
        if calls.left >= 0:
            raise error("DescribeTable", "ThrottlingException")
        return {"Table": {"TableStatus": "ACTIVE"}}

    async def main():
        source = source_of(fake_client, "table_exists", answer, "dynamodb")
        result = await greenroom.wait(source, "my-table", until="success", timeout=120)
        assert result.reason == "ACTIVE"

    run(main)


def test_what_the_service_lists_as_failed_is_asked_for_alone_at_once(run, fake_client):
    def answer(params):
        there = [name for name in params["services"] if name != "gone"]
        stable = {"status": "ACTIVE", "deployments": [1], "runningCount": 1, "desiredCount": 1}
        return {
            "services": [{"serviceName": name, **stable} for name in there],
            "failures": [
                {"arn": f"arn:aws:ecs:a:b:service/c/{name}", "reason": "MISSING"}
                for name in params["services"]
                if name not in there
            ],
        }

    async def main():
        source = source_of(fake_client, "services_stable", answer, "ecs")
        async with Poller(source) as poller:
            ids = [f"cluster=c,services={name}" for name in ("a", "gone", "b")]
            results = await poller.wait_all(ids, until="success", timeout=20)
        assert results[ids[1]].verdict is Verdict.FAILURE
        assert results[ids[1]].reason == "MISSING"
        assert len(results.succeeded) == 2

    run(main)
