"""Ids of a waiter: parameters in words, and what is said about those that cannot be any."""

from __future__ import annotations

import pytest

from greenroom.sources._waiters import waiter_kind

RDS = ("rds", "db_instance_available")
ECS = ("ecs", "services_stable")
EC2 = ("ec2", "instance_status_ok")
S3 = ("s3", "object_exists")
DMS = ("dms", "endpoint_deleted")
KEYS = ("ec2", "key_pair_exists")


@pytest.mark.parametrize(
    ("waiter", "id_", "parameters"),
    [
        (RDS, "DBInstanceIdentifier=db-1", {"DBInstanceIdentifier": "db-1"}),
        (RDS, "DBInstanceIdentifier=a=b", {"DBInstanceIdentifier": "a=b"}),
        (
            RDS,
            "MaxRecords=20, DBInstanceIdentifier=d",
            {"MaxRecords": 20, "DBInstanceIdentifier": "d"},
        ),
        (RDS, '{"DBInstanceIdentifier": "a,b"}', {"DBInstanceIdentifier": "a,b"}),
        (RDS, "{}", {}),
        (ECS, "web", {"services": ["web"]}),
        (ECS, "services=web", {"services": ["web"]}),
        (ECS, "cluster=prod,services=web,api", {"cluster": "prod", "services": ["web", "api"]}),
        (ECS, "services=web,api,cluster=prod", {"cluster": "prod", "services": ["web", "api"]}),
        (
            ECS,
            "services=arn:aws:ecs:a:1:service/p/w",
            {"services": ["arn:aws:ecs:a:1:service/p/w"]},
        ),
        (EC2, "i-1", {"InstanceIds": ["i-1"]}),
        (EC2, " i-1 ", {"InstanceIds": ["i-1"]}),
        (
            EC2,
            "InstanceIds=i-1,IncludeAllInstances=True",
            {"InstanceIds": ["i-1"], "IncludeAllInstances": True},
        ),
        (S3, "Bucket=b,Key=a/b.txt", {"Bucket": "b", "Key": "a/b.txt"}),
        (("s3", "bucket_exists"), "my-bucket", {"Bucket": "my-bucket"}),
        (("ses", "identity_exists"), "a@b.example", {"Identities": ["a@b.example"]}),
        (KEYS, "KeyNames=mine", {"KeyNames": ["mine"]}),
        (
            DMS,
            '{"Filters": [{"Name": "endpoint-arn", "Values": ["arn"]}]}',
            {"Filters": [{"Name": "endpoint-arn", "Values": ["arn"]}]},
        ),
    ],
)
def test_an_id_says_the_parameters(waiter, id_, parameters):
    kind = waiter_kind(*waiter)

    assert kind.check_id(id_) is None
    assert kind.parameters(id_) == parameters


@pytest.mark.parametrize(
    ("waiter", "id_", "problem"),
    [
        (RDS, "db-1", "name the parameter, as DBInstanceIdentifier=VALUE"),
        (RDS, "DBInstanceIdentifer=db-1", "did you mean DBInstanceIdentifier?"),
        (RDS, "x=1", "there is no parameter x; there are DBInstanceIdentifier, Filters"),
        (RDS, "MaxRecords=many", "MaxRecords=many is no integer"),
        (RDS, "Filters=x", """write JSON, as '{"Filters": ...}'"""),
        (RDS, "DBInstanceIdentifier=", "DBInstanceIdentifier has an empty value"),
        (RDS, "DBInstanceIdentifier=a,DBInstanceIdentifier=b", "given twice"),
        (RDS, "DBInstanceIdentifier=a,b", """JSON: '{"DBInstanceIdentifier": "a,b"}'"""),
        (RDS, '{"DBInstanceIdentifier": 3}', "value: 3"),
        (RDS, '{"DBInstance": "a"}', "did you mean DBInstanceIdentifier?"),
        (RDS, '{"DBInstanceIdentifier"', "it is no JSON object"),
        (ECS, "a,b", "named, as services=VALUE, or written as JSON"),
        (ECS, "cluster=prod", "services is missing; write services=VALUE"),
        (ECS, "services=web,,api", "services has an empty value"),
        (EC2, "InstanceIds=i-1,IncludeAllInstances=yes", "IncludeAllInstances=yes is no boolean"),
        (EC2, "", "name the parameter, as InstanceIds=VALUE"),
        (S3, "bucket/key", "name the parameter, as Bucket=VALUE,Key=VALUE"),
        (S3, "Bucket=b", "Key is missing; write Bucket=VALUE,Key=VALUE"),
        (KEYS, "mine", "name the parameter, as KeyNames=VALUE"),
        (DMS, "arn", """name the parameter, as {"Filters": ...}"""),
        (RDS, None, "ids are text, such as DBInstanceIdentifier=VALUE"),
    ],
)
def test_what_is_no_id_is_told_how_one_is_written(waiter, id_, problem):
    told = waiter_kind(*waiter).check_id(id_)

    assert told is not None
    assert told.startswith(f"{id_!r} is no id of aws:{waiter[0]}:{waiter[1]}: ")
    assert problem in told


def test_the_form_of_an_id_is_one():
    for service, waiter in (RDS, ECS, EC2, S3, KEYS):
        kind = waiter_kind(service, waiter)
        assert kind.check_id(kind.id_form.replace("VALUE", "some-value")) is None
