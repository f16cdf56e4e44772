"""What EC2 is asked for: every problem found offline, by fields and by the service's own model."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from greenroom import SpecError
from greenroom._specs import check_specs, count_specs, stored_specs
from greenroom.sources import ec2
from greenroom.sources._ec2_launch import LONGEST_USER_DATA

GOOD = {"key": "a", "image_id": "ami-1", "instance_types": ["g5.xlarge"]}
TEMPLATED = {"key": "a", "launch_template": "desks"}


def problems_of(*lines):
    with pytest.raises(SpecError) as caught:
        ec2.read_specs(map(json.dumps, lines))
    return caught.value.problems


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"key": "a", "instance_types": ["g5.xlarge"]}, "image_id is missing"),
        ({"key": "a", "image_id": "ami-1"}, "instance_types is missing"),
        ({**GOOD, "image_id": "g5"}, "image_id='g5' is no image id"),
        ({**GOOD, "instance_types": "xlarge"}, "'xlarge' is no instance type"),
        ({**GOOD, "instance_types": ["g5.xlarge", "g5.xlarge"]}, "twice"),
        ({**GOOD, "subnet_ids": "net-1"}, "'net-1' is no subnet id, such as subnet-0123"),
        ({**GOOD, "security_group_ids": [7]}, "7 is no security group id"),
        ({**GOOD, "launch_template": "desks:new"}, "is no launch template"),
        ({**GOOD, "key_name": ""}, "key_name=''"),
        ({**GOOD, "instance_profile": 3}, "instance_profile=3"),
        ({**GOOD, "user_data": "x" * (LONGEST_USER_DATA + 1)}, "16385 bytes"),
        ({**GOOD, "user_data": {}}, "user_data must be text"),
        ({**GOOD, "spot": "yes"}, "spot='yes' must be true or false"),
        ({**GOOD, "tags": {"a": 1}}, "tags="),
        ({**GOOD, "request": [1]}, "request=[1] must be an object"),
        ({**GOOD, "request": {"MaxCount": 3}}, "MaxCount, which the launch itself fills in"),
        ({**GOOD, "request": {"ClientToken": "t"}}, "ClientToken, which the launch itself"),
        ({**GOOD, "request": {"DryRun": True}}, "DryRun, which the launch itself"),
        ({**GOOD, "request": {"MinCount": 3}}, "MinCount, which the launch itself"),
        ({**GOOD, "request": {"ImageId": "ami-2"}}, "ImageId, which is said beside it as well"),
        ({**GOOD, "request": {"Colour": "red"}}, 'Unknown parameter in input: "Colour"'),
        ({**GOOD, "request": {"Monitoring": 1}}, "Invalid type for parameter Monitoring"),
        (
            {**GOOD, "request": {"Placement": {"Zone": "a"}}},
            'Unknown parameter in Placement: "Zone',
        ),
        ({**GOOD, "instancetypes": "g5.xlarge"}, "did you mean"),
        ({**GOOD, "launch_profile_id": "lp"}, "there is no field 'launch_profile_id'"),
    ],
)
def test_a_bad_line_is_named_with_its_number(bad, told):
    problems = problems_of({**GOOD, "key": "before"}, bad)
    assert len(problems) == 1
    assert problems[0].startswith("line 2: ")
    assert told in problems[0]


def test_what_the_model_says_is_said_of_every_line_that_is_alike():
    wrong = {**GOOD, "request": {"Colour": "red"}}
    problems = problems_of(*({**wrong, "key": str(number)} for number in range(3)))
    assert [each.split(":")[0] for each in problems] == ["line 1", "line 2", "line 3"]


def test_a_template_says_what_the_spec_does_not():
    (spec,) = check_specs([TEMPLATED], ec2.InstanceSpec)
    assert spec.choices() == ({},)
    assert spec.members({}) == {"LaunchTemplate": {"LaunchTemplateName": "desks"}}


@pytest.mark.parametrize(
    ("template", "member"),
    [
        ("desks:3", {"LaunchTemplateName": "desks", "Version": "3"}),
        ("desks:$Latest", {"LaunchTemplateName": "desks", "Version": "$Latest"}),
        ("lt-0123abcd", {"LaunchTemplateId": "lt-0123abcd"}),
        ("lt-0123abcd:2", {"LaunchTemplateId": "lt-0123abcd", "Version": "2"}),
    ],
)
def test_a_template_may_be_an_id_and_have_a_version(template, member):
    (spec,) = check_specs([{"key": "a", "launch_template": template}], ec2.InstanceSpec)
    assert spec.members({})["LaunchTemplate"] == member


def test_types_come_first_and_for_each_all_subnets():
    both = {
        "instance_types": ["g5.xlarge", "g4dn.xlarge"],
        "subnet_ids": ["subnet-1", "subnet-2"],
    }
    (spec,) = check_specs([{**GOOD, **both}], ec2.InstanceSpec)
    assert [tuple(choice.values()) for choice in spec.choices()] == [
        ("g5.xlarge", "subnet-1"),
        ("g5.xlarge", "subnet-2"),
        ("g4dn.xlarge", "subnet-1"),
        ("g4dn.xlarge", "subnet-2"),
    ]


def test_everything_that_is_said_is_asked_for():
    spec = ec2.InstanceSpec(
        key="a",
        image_id="ami-1",
        instance_types=("g5.xlarge",),
        subnet_ids=("subnet-1",),
        security_group_ids=("sg-1", "sg-2"),
        key_name="door",
        instance_profile="arn:aws:iam::123456789012:instance-profile/desk",
        user_data="#!/bin/sh\n",
        spot=True,
        tags={"show": "orchid"},
        request={"Monitoring": {"Enabled": True}},
    )
    (checked,) = check_specs([spec], ec2.InstanceSpec)
    assert checked == spec
    assert spec.members(spec.choices()[0]) == {
        "ImageId": "ami-1",
        "InstanceType": "g5.xlarge",
        "SubnetId": "subnet-1",
        "SecurityGroupIds": ["sg-1", "sg-2"],
        "KeyName": "door",
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/desk"},
        "UserData": "#!/bin/sh\n",
        "InstanceMarketOptions": {"MarketType": "spot"},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "show", "Value": "orchid"}]}
        ],
        "Monitoring": {"Enabled": True},
    }
    assert "#!/bin/sh" not in repr(spec)


def test_so_many_of_one_template_are_checked_once():
    specs = count_specs(300, {"image_id": "ami-1", "instance_type": "g5.xlarge"}, ec2.InstanceSpec)
    assert len({spec.likeness() for spec in specs}) == 1
    assert [spec.key for spec in specs[:2]] == ["1", "2"]
    with pytest.raises(SpecError, match="the template: instance_types is missing"):
        count_specs(300, {"image_id": "ami-1"}, ec2.InstanceSpec)


words = st.text("abc123", min_size=1, max_size=5)
plain = st.recursive(
    st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)


@given(
    st.builds(
        ec2.InstanceSpec,
        key=words,
        image_id=st.none() | words.map("ami-{}".format),
        instance_types=st.lists(words.map("{}.xlarge".format), unique=True).map(tuple),
        subnet_ids=st.lists(words.map("subnet-{}".format), unique=True).map(tuple),
        security_group_ids=st.lists(words.map("sg-{}".format), unique=True).map(tuple),
        user_data=st.none() | st.text(min_size=1, max_size=9),
        spot=st.booleans(),
        tags=st.dictionaries(words, words, max_size=2),
        request=st.dictionaries(words, plain, max_size=2),
    )
)
def test_specs_survive_the_way_into_a_journal_and_back(spec):
    stored = json.loads(json.dumps(spec.as_dict()))
    assert stored_specs([stored], ec2.InstanceSpec) == (spec,)
