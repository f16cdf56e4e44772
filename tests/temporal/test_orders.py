"""What travels between the client, the workflow and the activities."""

from __future__ import annotations

import base64
import zlib
from random import Random

import pytest

from greenroom import Backoff, ConfigurationError, LaunchPolicy, Spec
from greenroom.temporal._history import shard_of
from greenroom.temporal._orders import (
    OPEN_BYTES,
    Plan,
    by_size,
    fingerprint,
    into_shards,
    more_thorough,
    open_shards,
    packed_policy,
    unpacked,
    unpacked_policy,
)


def specs(count: int, **others: object) -> list[Spec]:
    return [Spec(key=str(each), launch_profile_id="lp", **others) for each in range(count)]  # type: ignore[arg-type]  # whatever a test asks for


def plan(**others: object) -> Plan:
    known = {
        "kind": "nimble-session",
        "place": None,
        "policy": packed_policy(LaunchPolicy()),
        "heartbeat_timeout": 30.0,
    }
    return Plan(**known | others)  # type: ignore[arg-type]  # whatever a test asks for


def test_shards_have_all_specs_in_their_order() -> None:
    shards = [unpacked(shard) for shard in into_shards(specs(250), 100)]
    assert [len(shard) for shard in shards] == [100, 100, 50]
    assert [spec["key"] for shard in shards for spec in shard] == list(map(str, range(250)))


def test_a_hundred_thousand_that_are_alike_fit_in_one_message() -> None:
    assert sum(map(len, into_shards(specs(100_000), 100))) < 1_000_000


def test_specs_that_do_not_fit_are_refused_with_what_to_do() -> None:
    odd = [
        Spec(key=str(each), launch_profile_id="lp", tags={"it": Random(each).randbytes(400).hex()})
        for each in range(100_000, 106_000)
    ]
    with pytest.raises(ConfigurationError, match="launch them as several fleets"):
        into_shards(odd, 2)


def test_more_shards_than_a_history_holds_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="5001 specs are more than 5,000 shards of 1"):
        into_shards(specs(5001), 1)


def test_a_shard_whose_specs_do_not_fit_beside_its_record_is_refused() -> None:
    odd = [
        Spec(
            key=str(each), launch_profile_id="lp", tags={"it": Random(each).randbytes(1_500).hex()}
        )
        for each in range(500)
    ]
    with pytest.raises(ConfigurationError, match="make shard_size smaller"):
        into_shards(odd, 500)


@pytest.mark.parametrize("size", [1, 25, 50, 100, 101, 500])
def test_the_heartbeats_of_all_open_shards_fit_where_a_server_keeps_them(size: int) -> None:
    open_at_once = plan(open_shards=open_shards(size))
    assert open_at_once.open_shards * open_at_once.largest_record <= OPEN_BYTES
    assert open_at_once.largest_record > 500 * size  # of two attempts each


def test_the_policy_arrives_as_it_left() -> None:
    policy = LaunchPolicy(timeout=None, canary=3, breaker=7, on_failure="delete")
    assert unpacked_policy(packed_policy(policy)) == policy


def test_a_worker_s_word_counts_beside_the_fleet_s() -> None:
    policy = unpacked_policy(packed_policy(LaunchPolicy()), in_flight=2, timeout=7.0)
    assert (policy.in_flight, policy.timeout) == (2, 7.0)


def test_a_policy_of_tomorrow_is_not_carried_out_by_half() -> None:
    with pytest.raises(ConfigurationError, match="says patience, which this greenroom does not"):
        unpacked_policy(packed_policy(LaunchPolicy()) | {"patience": 3})


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (LaunchPolicy(in_flight=3), r"fleet_worker\(..., in_flight=...\)"),
        (LaunchPolicy(backoff=Backoff(initial=1)), r"fleet_worker\(..., backoff=...\)"),
        (LaunchPolicy(stream=True), "their URLs are secrets"),
    ],
)
def test_what_cannot_travel_is_refused_with_what_to_do(policy: LaunchPolicy, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        packed_policy(policy)


def test_fleets_are_told_apart_by_what_they_launch_and_in_which_shards() -> None:
    hundred = into_shards(specs(200), 100)
    marks = {
        fingerprint(plan(), hundred),
        fingerprint(plan(kind="ec2-instance"), hundred),
        fingerprint(plan(place="elsewhere"), hundred),
        fingerprint(plan(), into_shards(specs(200), 50)),
        fingerprint(plan(), into_shards(specs(199), 100)),
    }
    assert len(marks) == 5
    assert fingerprint(plan(heartbeat_timeout=3.0), hundred) in marks  # it may be tuned


def test_a_fleet_is_the_same_however_well_a_host_compresses() -> None:
    (shard,) = into_shards(specs(100), 100)
    stored = zlib.compress(zlib.decompress(base64.b64decode(shard)), 0)
    elsewhere = base64.b64encode(stored).decode()
    assert elsewhere != shard
    assert fingerprint(plan(), [elsewhere]) == fingerprint(plan(), [shard])


def test_what_was_asked_to_be_deleted_is_not_taken_back() -> None:
    assert more_thorough("keep", None) == "keep"
    assert more_thorough("keep", "delete") == "delete"
    assert more_thorough("delete", "delete-unready") == "delete"


def test_records_are_handed_in_by_as_much_as_a_message_takes() -> None:
    records = {0: "aa", 1: "bb", 2: "cccccc", 3: "d"}
    assert list(by_size(records, 4)) == [{0: "aa", 1: "bb"}, {2: "cccccc"}, {3: "d"}]
    assert list(by_size({})) == []


def test_an_activity_s_id_names_its_shard() -> None:
    assert (shard_of("launch-7"), shard_of("end-12-delete-unready")) == (7, 12)
