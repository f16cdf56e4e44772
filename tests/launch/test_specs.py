"""What is to be launched: every problem of every line, found before the first call."""

from __future__ import annotations

import json
from functools import partial
from types import MappingProxyType

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import greenroom
from greenroom import Spec, SpecError, _specs
from greenroom._specs import LONGEST_KEY
from greenroom.sources import _nimble_model as model

check_specs = partial(_specs.check_specs, of=Spec)
read_specs = partial(_specs.read_specs, of=Spec)
count_specs = partial(_specs.count_specs, of=Spec)

GOOD = {"key": "ws-1", "launch_profile_id": "lp-1"}


def problems_of(*lines, **more):
    given_lines = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    with pytest.raises(SpecError) as caught:
        read_specs(given_lines, **more)
    return caught.value.problems


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, ""),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"ws-1"', "not a JSON object"),
        ("1" * 5000, ""),
        ('{"key": "a", "key": "b", "launch_profile_id": "lp"}', "'key' is given twice"),
        ({"launch_profile_id": "lp"}, "key is missing"),
        ({"key": "a"}, "launch_profile_id is missing"),
        ({**GOOD, "key": None}, "key is missing"),
        ({**GOOD, "key": 7}, "key=7"),
        ({**GOOD, "key": ""}, "key=''"),
        ({**GOOD, "key": " a"}, "key=' a'"),
        ({**GOOD, "key": "a\nb"}, "key="),
        ({**GOOD, "key": "a" * (LONGEST_KEY + 1)}, "key="),
        ({**GOOD, "launch_profile_id": ["lp"]}, "launch_profile_id="),
        ({**GOOD, "streaming_image_id": "an image"}, "streaming_image_id='an image'"),
        ({**GOOD, "streaming_image_id": "i" * 23}, "streaming_image_id="),
        ({**GOOD, "streaming_image_id": ""}, "streaming_image_id=''"),
        ({**GOOD, "instance_types": "g4dn.xlarg"}, "did you mean 'g4dn.xlarge'?"),
        ({**GOOD, "instance_types": ["g5.xlarge", "g5.xlarge"]}, "twice"),
        ({**GOOD, "instance_types": [["g5.xlarge"]]}, "is no instance type"),
        ({**GOOD, "instance_types": {"g5.xlarge": 1}}, "must be a list"),
        ({**GOOD, "owner": 3}, "owner=3"),
        ({**GOOD, "owner": " "}, "owner=' '"),
        ({**GOOD, "tags": ["a"]}, "tags="),
        ({**GOOD, "tags": {"a": 1}}, "tags="),
        ({**GOOD, "launchprofile": "lp"}, "did you mean"),
        ({**GOOD, "zzz": 1}, "there are key, launch_profile_id"),
        ({**GOOD, "launchProfileId": "lp"}, "a second time"),
        ({**GOOD, "instance_type": "g5.xlarge", "ec2InstanceType": "g5.xlarge"}, "a second time"),
    ],
)
def test_a_bad_line_is_named_with_its_number(bad, told):
    before = {**GOOD, "key": "before"}
    problems = problems_of("", before, "   ", bad)
    assert len(problems) == 1
    assert problems[0].startswith("line 4: ")
    assert told in problems[0]


def test_every_problem_of_every_line_is_told_at_once():
    problems = problems_of(
        {"launch_profile_id": "", "owner": 3},
        "nonsense",
        GOOD,
        {**GOOD, "instance_types": ["g9", "g8"]},
    )
    places = [each.split(":")[0] for each in problems]
    assert sorted(places) == ["line 1"] * 3 + ["line 2"] + ["line 4"] * 3


def test_a_key_that_comes_again_is_told_with_the_line_that_had_it_first():
    problems = problems_of(GOOD, {**GOOD, "key": "ws-2"}, GOOD, GOOD)
    assert [each.split(":")[0] for each in problems] == ["line 3", "line 4"]
    assert all("that of line 1" in each for each in problems)


def test_a_bad_line_takes_its_key_all_the_same():
    problems = problems_of({**GOOD, "owner": 3}, GOOD)
    assert [each.split(":")[0] for each in problems] == ["line 1", "line 2"]


def test_the_message_shows_twenty_problems_and_counts_the_rest():
    with pytest.raises(SpecError, match=r"line 20: .*; and 5 more") as caught:
        read_specs(["{"] * 25)
    assert "line 21" not in str(caught.value)
    assert len(caught.value.problems) == 25


@pytest.mark.parametrize("nothing", [[], ["", "  \n"]])
def test_no_lines_are_nothing_to_launch(nothing):
    with pytest.raises(SpecError, match="nothing to launch"):
        read_specs(nothing)


@pytest.mark.parametrize("odd", [GOOD, "ws-1", b"ws-1", [None], [[]], ["ws-1"], [7]])
def test_what_is_no_list_of_specs_is_told(odd):
    with pytest.raises(SpecError):
        check_specs(odd)


@pytest.mark.parametrize("odd", [7, 1.5, True, object()])
def test_what_cannot_be_iterated_is_told_as_well(odd, studio):
    with pytest.raises(SpecError):
        greenroom.Launch(studio(), odd)


def test_the_services_own_names_are_understood():
    line = {
        "key": "a",
        "launchProfileId": "lp",
        "streamingImageId": "im",
        "ec2InstanceType": "g5.xlarge",
        "ownedBy": "ada",
    }
    (spec,) = read_specs([json.dumps(line)])
    assert spec == Spec(
        key="a",
        launch_profile_id="lp",
        streaming_image_id="im",
        instance_types=("g5.xlarge",),
        owner="ada",
    )


@pytest.mark.parametrize("name", ["instance_type", "instanceType", "instanceTypes"])
def test_types_may_be_one_or_several_under_each_of_their_names(name):
    for value, meant in (
        ("g5.xlarge", ("g5.xlarge",)),
        (["g5.xlarge", "g4dn.xlarge"], ("g5.xlarge", "g4dn.xlarge")),
        ([], ()),
    ):
        (spec,) = check_specs([{**GOOD, name: value}])
        assert spec.instance_types == meant


def test_defaults_fill_what_a_line_does_not_have():
    defaults = {"launch_profile_id": "lp", "instance_types": ["g5.xlarge"], "owner": "ada"}
    one, two = read_specs(
        ['{"key": "a"}', '{"key": "b", "ec2InstanceType": "g4dn.xlarge", "ownedBy": "bob"}'],
        defaults=defaults,
    )
    assert (one.launch_profile_id, one.instance_types, one.owner) == ("lp", ("g5.xlarge",), "ada")
    assert (two.launch_profile_id, two.instance_types, two.owner) == ("lp", ("g4dn.xlarge",), "bob")


def test_defaults_may_use_the_services_names_too():
    (spec,) = read_specs([json.dumps(GOOD)], defaults={"launchProfileId": "other", "ownedBy": "x"})
    assert (spec.launch_profile_id, spec.owner) == ("lp-1", "x")


def test_a_bad_default_is_told_for_the_lines_that_take_it():
    problems = problems_of(GOOD, {"key": "b", "launch_profile_id": "lp"}, defaults={"owner": 3})
    assert [each.split(":")[0] for each in problems] == ["line 1", "line 2"]


def test_a_count_makes_keys_from_one():
    specs = count_specs(300, {"launch_profile_id": "lp", "tags": {"a": "b"}})
    assert [spec.key for spec in specs] == [str(number) for number in range(1, 301)]
    assert {spec.tags["a"] for spec in specs} == {"b"}
    assert check_specs(specs) == specs


@pytest.mark.parametrize("template", [{}, {"launch_profile_id": "lp", "instance_types": ["g9"]}])
def test_a_bad_template_is_told_once(template):
    with pytest.raises(SpecError) as caught:
        count_specs(300, template)
    assert len(caught.value.problems) == 1


def test_a_count_of_nothing_is_nothing_to_launch(studio):
    with pytest.raises(SpecError, match="nothing to launch"):
        greenroom.Launch(studio(), count_specs(0, GOOD))


def test_a_hundred_thousand_lines_take_no_call(studio):
    lines = [json.dumps({**GOOD, "key": f"ws-{number}"}) for number in range(100_000)]
    service = studio()
    specs = read_specs(lines)
    greenroom.Launch(service, specs)
    assert len(specs) == 100_000
    assert not service.counts


def test_a_hundred_thousand_bad_lines_are_all_told():
    lines = ['{"key": "ws", "launch_profile_id": "lp", "owner": 1}'] * 100_000
    with pytest.raises(SpecError) as caught:
        read_specs(lines)
    assert len(caught.value.problems) == 199_999


def test_specs_made_by_hand_pass_the_same_checks():
    bad = Spec(key=7, launch_profile_id="lp", instance_types=("g9",))
    with pytest.raises(SpecError) as caught:
        check_specs([bad])
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("tags", [7, "ab", ["a"]])
def test_a_spec_made_by_hand_with_bad_tags_is_told(tags):
    with pytest.raises(SpecError, match="tags="):
        check_specs([Spec(key="a", launch_profile_id="lp", tags=tags)])


def test_a_spec_made_by_hand_without_tags_has_none():
    (spec,) = check_specs([Spec(key="a", launch_profile_id="lp", tags=None)])
    assert spec.tags == {}


def test_tags_may_be_any_mapping():
    spec = Spec(key="a", launch_profile_id="lp", tags=MappingProxyType({"a": "b"}))
    (checked,) = check_specs([spec])
    assert checked.tags == {"a": "b"}
    assert json.loads(json.dumps(spec.as_dict()))["tags"] == {"a": "b"}


texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
specs = st.builds(
    Spec,
    key=texts,
    launch_profile_id=texts,
    streaming_image_id=st.none() | st.from_regex(model.image_id(), fullmatch=True),
    instance_types=st.lists(st.sampled_from(model.instance_types()), unique=True).map(tuple),
    owner=st.none() | texts,
    tags=st.dictionaries(st.text(), st.text(), max_size=3),
)


@given(st.lists(specs, min_size=1, max_size=5, unique_by=lambda spec: spec.key))
def test_specs_survive_the_way_out_and_back(given_specs):
    out = [spec.as_dict() for spec in given_specs]
    assert check_specs(out) == tuple(given_specs)
    assert read_specs(json.dumps(each) for each in out) == tuple(given_specs)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(), more, max_size=3)
)
names = st.sampled_from(
    ["key", "launch_profile_id", "instance_types", "ec2InstanceType", "owner", "tags", "ownedBy"]
)


def problems_or_none(read):
    try:
        read()
    except SpecError as error:
        return error.problems
    return None


@settings(max_examples=200)
@given(st.lists(values | st.dictionaries(names | st.text(), values, max_size=4), max_size=3))
def test_no_json_raises_anything_but_a_spec_error(given_values):
    # None of these has everything that it takes, so something is always wrong.
    assert problems_or_none(lambda: check_specs(given_values))
    assert problems_or_none(lambda: read_specs(json.dumps(each) for each in given_values))


@given(st.lists(st.text(), max_size=3))
def test_no_text_raises_anything_but_a_spec_error(lines):
    assert problems_or_none(lambda: read_specs(lines))
