"""What is asked of EC2, and what is made of its answers, good and bad."""

from __future__ import annotations

from types import SimpleNamespace

import anyio.lowlevel
import pytest
from botocore.exceptions import ClientError

from greenroom import Conflict, NotFound, SourceError, Unavailable
from greenroom.sources import ec2
from greenroom.sources._ec2_actions import InstanceActions

SPEC = ec2.InstanceSpec(key="a", image_id="ami-1", instance_types=("g5.xlarge",))
(CHOICE,) = SPEC.choices()


class Client:
    """A client that remembers what is asked of it, and answers what it is told to."""

    def __init__(self, answer):
        self.meta = SimpleNamespace(endpoint_url="https://ec2.test")
        self.asked = []
        self._answer = answer

    def __getattr__(self, operation):
        async def method(**params):
            await anyio.lowlevel.checkpoint()
            self.asked.append((operation, params))
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return method


def acting(answer):
    actions = InstanceActions()
    actions.client = Client(answer)
    return actions


def made(*places):
    return {
        "Instances": [
            {"InstanceId": f"i-{place}", "AmiLaunchIndex": place} if place is not None else {}
            for place in places
        ]
    }


def refusal(operation, code):
    metadata = {"HTTPStatusCode": 400, "HTTPHeaders": {"content-type": "text/xml"}}
    error = {"Code": code, "Message": "i-1 is not"}
    return ClientError({"Error": error, "ResponseMetadata": metadata}, operation)


class Spent(Client):
    """A client of a region that will not repeat what it answered to a token."""

    def __init__(self, code, instances):
        super().__init__({"Reservations": [{"Instances": [each]} for each in instances]})
        self._code = code

    async def run_instances(self, **params):
        await anyio.lowlevel.checkpoint()
        raise refusal("RunInstances", self._code)


@pytest.mark.parametrize("code", ["IdempotentInstanceTerminated", "IdempotentParameterMismatch"])
def test_what_a_token_has_made_is_looked_up_where_ec2_will_not_repeat_it(run, code):
    async def main():
        actions = InstanceActions()
        actions.client = Spent(code, made(1, 0)["Instances"])
        ids = await actions.create_sessions(SPEC, CHOICE, count=3, client_token="t")
        assert ids == {0: "i-0", 1: "i-1"}
        assert actions.client.asked == [
            ("describe_instances", {"Filters": [{"Name": "client-token", "Values": ["t"]}]})
        ]
        actions.client = Spent(code, [])
        with pytest.raises(SourceError) as caught:
            await actions.create_sessions(SPEC, CHOICE, count=3, client_token="t")
        assert caught.value.code == code

    run(main)


def test_one_call_asks_for_all_and_places_tell_them_apart(run):
    async def main():
        actions = acting(made(2, 0, 1))
        ids = await actions.create_sessions(SPEC, CHOICE, count=3, client_token="t")
        assert ids == {0: "i-0", 1: "i-1", 2: "i-2"}
        (asked,) = actions.client.asked
        assert asked == (
            "run_instances",
            {
                "ImageId": "ami-1",
                "InstanceType": "g5.xlarge",
                "MinCount": 1,
                "MaxCount": 3,
                "ClientToken": "t",
            },
        )

    run(main)


def test_fewer_than_asked_are_an_answer(run):
    async def main():
        actions = acting(made(0, 1))
        assert await actions.create_sessions(SPEC, CHOICE, count=9, client_token="t") == {
            0: "i-0",
            1: "i-1",
        }

    run(main)


@pytest.mark.parametrize(
    "garbage",
    [
        {},
        {"Instances": None},
        {"Instances": []},
        {"Instances": "none"},
        {"Instances": ["i-1"]},
        made(None),
        made(0, None),
        made(0, 0),
        made(0, 3),
        made(-1),
        {"Instances": [{"InstanceId": "", "AmiLaunchIndex": 0}]},
        {"Instances": [{"InstanceId": 7, "AmiLaunchIndex": 0}]},
        {"Instances": [{"InstanceId": "i-0", "AmiLaunchIndex": "0"}]},
        {"Instances": [{"InstanceId": "i-0"}]},
    ],
)
def test_a_garbage_answer_is_asked_for_again_with_the_same_token(run, garbage):
    async def main():
        with pytest.raises(Unavailable, match="answered 200"):
            await acting(garbage).create_sessions(SPEC, CHOICE, count=3, client_token="t")

    run(main)


@pytest.mark.parametrize(
    ("action", "operation"),
    [
        ("start_session", "start_instances"),
        ("stop_session", "stop_instances"),
        ("delete_session", "terminate_instances"),
    ],
)
def test_actions_name_the_instance(run, action, operation):
    async def main():
        actions = acting({})
        await getattr(actions, action)("i-1", client_token="t")
        assert actions.client.asked == [(operation, {"InstanceIds": ["i-1"]})]

    run(main)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("IncorrectInstanceState", Conflict), ("InvalidInstanceID.NotFound", NotFound)],
)
def test_an_action_that_does_not_fit_says_why(run, code, kind):
    async def main():
        with pytest.raises(kind) as caught:
            await acting(refusal("StopInstances", code)).stop_session("i-1", client_token="t")
        assert caught.value.code == code

    run(main)
