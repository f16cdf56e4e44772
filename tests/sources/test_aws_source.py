"""What the source of every kind at AWS makes of answers: good ones, partial ones and garbage."""

from __future__ import annotations

import anyio
import pytest

import greenroom
from greenroom import Poller, Verdict
from greenroom.sources import appstream, deadline, ec2, workspaces, workspaces_instances
from greenroom.sources._aws_source import AwsSource


def workspace(number, state="AVAILABLE"):
    return {"WorkspaceId": f"ws-{number}", "State": state}


def test_the_ids_that_one_call_asks_for_are_found_by_their_member(run, fake_client):
    async def main():
        answer = {"Workspaces": [workspace(2), workspace(1, "ERROR"), workspace(9)]}
        client = fake_client(DescribeWorkspaces=lambda params: answer)
        seen = await AwsSource(client, workspaces.WORKSPACE).describe(["ws-1", "ws-2", "ws-3"])
        assert {id_: each.state for id_, each in seen.items()} == {
            "ws-1": "ERROR",
            "ws-2": "AVAILABLE",
        }
        assert client.asked == [("DescribeWorkspaces", {"WorkspaceIds": ["ws-1", "ws-2", "ws-3"]})]

    run(main)


def test_pages_are_followed_and_paid_for_until_everybody_was_seen(run, fake_client):
    async def main():
        paid = []

        async def pay():
            paid.append(1)

        def answer(params):
            page = int(params.get("NextToken", "0"))
            return {"Workspaces": [workspace(page)], "NextToken": str(page + 1)}

        client = fake_client(DescribeWorkspaces=answer)
        source = AwsSource(client, workspaces.WORKSPACE)
        seen = await source.describe_pages([f"ws-{page}" for page in range(4)], pay)
        assert len(seen) == len(client.asked) == 4
        assert len(paid) == 3

    run(main)


def test_a_page_token_that_comes_again_ends_the_pages(run, fake_client):
    async def main():
        client = fake_client(DescribeWorkspaces=lambda p: {"Workspaces": [], "NextToken": "a"})
        seen = await AwsSource(client, workspaces.WORKSPACE).describe(["ws-1", "ws-2"])
        assert seen == {}
        assert len(client.asked) == 2

    run(main)


def test_a_list_of_everything_ends_where_asking_one_by_one_is_cheaper(run, fake_client):
    async def main():
        def everything(params):
            page = int(params.get("NextToken", "0"))
            first = 25 * page
            return {
                "WorkspaceInstances": [
                    {"WorkspaceInstanceId": f"wsinst-{n}", "ProvisionState": "ALLOCATED"}
                    for n in range(first, first + 25)
                ],
                "NextToken": str(page + 1),
            }

        def one(params):
            return params | {"ProvisionState": "ALLOCATED"}

        client = fake_client(ListWorkspaceInstances=everything, GetWorkspaceInstance=one)
        source = AwsSource(client, workspaces_instances.WORKSPACES_INSTANCE)
        seen = await source.describe(["wsinst-1", "wsinst-30", "wsinst-9000"])
        assert list(seen) == ["wsinst-1", "wsinst-30"]
        assert [operation for operation, _ in client.asked] == ["ListWorkspaceInstances"] * 3
        ids = ["wsinst-1", "wsinst-30", "wsinst-9000"]
        async with Poller(source) as poller:
            results = await poller.wait_all(ids, until="ALLOCATED", timeout=300)
        assert len(results.succeeded) == 3

    run(main)


def test_one_alone_is_asked_for_by_the_operation_for_one(run, fake_client):
    async def main():
        client = fake_client(
            GetJob=lambda params: {
                "jobId": params["jobId"],
                "lifecycleStatus": "CREATE_COMPLETE",
                "taskRunStatus": "RUNNING",
            }
        )
        source = AwsSource(client, deadline.JOB)
        seen = await source.describe(["farm-1/queue-2/job-3"])
        assert seen["farm-1/queue-2/job-3"].state == "RUNNING"
        assert client.asked == [
            ("GetJob", {"farmId": "farm-1", "queueId": "queue-2", "jobId": "job-3"})
        ]

    run(main)


def worker(number):
    return {"farmId": "farm-1", "fleetId": "fleet-2", "workerId": f"worker-{number}"}


def worker_id(number):
    return f"farm-1/fleet-2/worker-{number}"


def failing(code, *numbers):
    return [worker(number) | {"code": code, "message": "so it is"} for number in numbers]


def test_what_fails_per_id_is_told_with_what_did_not(run, fake_client):
    async def main():
        client = fake_client(
            BatchGetWorker=lambda params: {
                "workers": [worker(1) | {"status": "IDLE"}],
                "errors": failing("InternalServerErrorException", 2),
            }
        )
        source = AwsSource(client, deadline.WORKER)
        with pytest.raises(greenroom.Unavailable) as caught:
            await source.describe([worker_id(1), worker_id(2)])
        assert list(caught.value.seen) == [worker_id(1)]
        assert client.asked[0][1] == {"identifiers": [worker(1), worker(2)]}

    run(main)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ValidationException", greenroom.InvalidRequest),
        ("InternalServerErrorException", greenroom.Unavailable),
        ("ThrottlingException", greenroom.Throttled),
        ("AccessDeniedException", greenroom.AccessDenied),
    ],
)
def test_where_nothing_went_well_the_failure_is_raised(run, fake_client, code, error):
    async def main():
        client = fake_client(
            BatchGetWorker=lambda params: {"workers": [], "errors": failing(code, 1)}
        )
        with pytest.raises(error, match=r"so it is|slow down"):
            await AwsSource(client, deadline.WORKER).describe([worker_id(1)])

    run(main)


def test_what_is_denied_per_id_costs_that_id_alone(run, fake_client, refusal):
    def job(number):
        return {"farmId": "farm-1", "queueId": "queue-2", "jobId": f"job-{number}"}

    def failed(number, code):
        return job(number) | {"code": code, "message": "so it is"}

    def many(params):
        asked = [each["jobId"] for each in params["identifiers"]]
        answer = {"jobs": [], "errors": []}
        if "job-0" in asked:
            answer["errors"].append(failed(0, "AccessDeniedException"))
        for number in range(1, 30):
            if f"job-{number}" not in asked:
                continue
            if anyio.current_time() - began[0] < 20:
                answer["errors"].append(failed(number, "ResourceNotFoundException"))
            else:
                answer["jobs"].append(
                    job(number) | {"lifecycleStatus": "CREATE_COMPLETE", "taskRunStatus": "RUNNING"}
                )
        return answer

    def one(params):
        raise refusal("GetJob", "AccessDeniedException", "not you")

    began = []

    async def main():
        began.append(anyio.current_time())
        source = AwsSource(fake_client(BatchGetJob=many, GetJob=one), deadline.JOB)
        ids = [f"farm-1/queue-2/job-{number}" for number in range(30)]
        async with Poller(source) as poller:
            results = await poller.wait_all(ids, until="RUNNING", timeout=120)
        assert results[ids[0]].verdict is Verdict.ERROR
        assert len(results.succeeded) == 29

    run(main)


def test_a_throttle_told_per_id_slows_down_and_loses_nothing(run, fake_client):
    async def main():
        client = fake_client(
            BatchGetWorker=lambda params: {
                "workers": [worker(1) | {"status": "IDLE"}],
                "errors": failing("ThrottlingException", 2),
            }
        )
        with pytest.raises(greenroom.Throttled) as caught:
            await AwsSource(client, deadline.WORKER).describe([worker_id(1), worker_id(2)])
        assert list(caught.value.seen) == [worker_id(1)]

    run(main)


def test_what_was_on_earlier_pages_goes_with_the_error_of_a_later_one(run, fake_client, refusal):
    async def main():
        def answer(params):
            if "NextToken" in params:
                raise refusal("DescribeWorkspaces", "ThrottlingException", "slow down")
            return {"Workspaces": [workspace(1)], "NextToken": "a"}

        source = AwsSource(fake_client(DescribeWorkspaces=answer), workspaces.WORKSPACE)
        with pytest.raises(greenroom.Throttled) as caught:
            await source.describe(["ws-1", "ws-2"])
        assert list(caught.value.seen) == ["ws-1"]

    run(main)


def test_empty_pages_without_end_do_end_and_sooner_where_nobody_waits(run, fake_client):
    async def main():
        def answer(params):
            page = int(params.get("NextToken", "0"))
            return {"Workspaces": [], "NextToken": str(page + 1)}

        client = fake_client(DescribeWorkspaces=answer)
        source = AwsSource(client, workspaces.WORKSPACE)
        assert await source.describe(["ws-1", "ws-2"]) == {}
        assert len(client.asked) == 12
        async with Poller(source, limiter=greenroom.RateLimiter(1, burst=1)) as poller:
            await poller.wait_all(["ws-1", "ws-2"], until="AVAILABLE", timeout=3)
            asked = len(client.asked)
            await anyio.sleep(60)
            assert len(client.asked) <= asked + 1

    run(main)


def test_not_to_be_found_is_no_failure(run, fake_client):
    async def main():
        client = fake_client(
            BatchGetWorker=lambda params: {
                "workers": [],
                "errors": failing("ResourceNotFoundException", 1),
            }
        )
        assert await AwsSource(client, deadline.WORKER).describe([worker_id(1)]) == {}

    run(main)


def test_an_error_that_says_not_found_is_absence_of_one_and_an_error_of_several(
    run, fake_client, refusal
):
    async def main():
        def answer(params):
            raise refusal("DescribeFleets", "ResourceNotFoundException", "no fleet 'b' here")

        source = AwsSource(fake_client(DescribeFleets=answer), appstream.FLEET)
        assert await source.describe(["b"]) == {}
        with pytest.raises(greenroom.NotFound) as caught:
            await source.describe(["a", "b"])
        assert caught.value.ids == ("b",)

    run(main)


def test_names_that_do_not_exist_end_alone(run, fake_client, refusal):
    async def main():
        def answer(params):
            if "gone" in params["Names"]:
                raise refusal("DescribeFleets", "ResourceNotFoundException", "gone is not there")
            state, errors = "STOPPED", [{"ErrorCode": "SUBNET_NOT_FOUND", "ErrorMessage": "none"}]
            return {
                "Fleets": [
                    {"Name": name, "State": state, "FleetErrors": errors}
                    for name in params["Names"]
                ]
            }

        source = AwsSource(fake_client(DescribeFleets=answer), appstream.FLEET)
        async with Poller(source) as poller:
            results = await poller.wait_all(["gone", "mine"], until="RUNNING", timeout=300)
        assert results["gone"].verdict is Verdict.MISSING
        assert results["mine"].verdict is Verdict.UNREACHABLE
        assert results["mine"].reason == "SUBNET_NOT_FOUND"
        assert "SUBNET_NOT_FOUND" in results["mine"].explanation

    run(main)


def test_a_workspace_may_be_unknown_for_minutes_after_it_was_asked_for(run, fake_client):
    async def main():
        began = anyio.current_time()

        def answer(params):
            known = anyio.current_time() - began > 120
            return {"Workspaces": [workspace(1, "PENDING")] if known else []}

        source = AwsSource(fake_client(DescribeWorkspaces=answer), workspaces.WORKSPACE)
        async with Poller(source) as poller:
            results = await poller.wait_all(["ws-1"], until="AVAILABLE", timeout=900)
            assert results["ws-1"].verdict is Verdict.TIMEOUT
            assert results["ws-1"].state == "PENDING"

    run(main)


@pytest.mark.parametrize(
    ("kind", "operation", "ids", "answer"),
    [
        (workspaces.WORKSPACE, "DescribeWorkspaces", ["ws-1"], {}),
        (workspaces.WORKSPACE, "DescribeWorkspaces", ["ws-1"], {"Workspaces": None}),
        (workspaces.WORKSPACE, "DescribeWorkspaces", ["ws-1"], {"Workspaces": [workspace(2)]}),
        (workspaces.WORKSPACE, "DescribeWorkspaces", ["ws-1"], {"Workspaces": [workspace(1, 7)]}),
        (ec2.INSTANCE, "DescribeInstances", ["i-1"], {"Reservations": ["x"]}),
        (deadline.FLEET, "GetFleet", ["farm-1/fleet-2"], {}),
        (
            deadline.FLEET,
            "GetFleet",
            ["farm-1/fleet-2"],
            {"fleetId": "fleet-3", "status": "ACTIVE"},
        ),
    ],
)
def test_garbage_is_no_answer(run, fake_client, kind, operation, ids, answer):
    async def main():
        source = AwsSource(fake_client(**{operation: lambda params: answer}), kind)
        with pytest.raises(greenroom.Unavailable, match="nothing of what was asked for"):
            await source.describe(ids)

    run(main)


def test_bad_ids_and_too_many_are_refused_before_any_call(run, fake_client):
    async def main():
        client = fake_client(DescribeWorkspaces=lambda params: {})
        source = AwsSource(client, workspaces.WORKSPACE)
        with pytest.raises(greenroom.InvalidRequest, match="'i-1' is no id of workspace") as caught:
            await source.describe(["ws-1", "i-1"])
        assert caught.value.ids == ("i-1",)
        with pytest.raises(greenroom.InvalidRequest, match="26 ids in one describe"):
            await source.describe([f"ws-{number}" for number in range(26)])
        assert client.asked == []

    run(main)
