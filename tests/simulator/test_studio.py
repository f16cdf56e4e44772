from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from greenroom.simulator import Settings, Studio, StudioError

T0 = 1_700_000_000.0

EXACT: dict[str, Any] = {
    action: {"sigma": 0} for action in ("create", "start", "stop", "delete", "stream", "failure")
}

MEMBERS = {
    *("arn", "automaticTerminationMode", "backupMode", "createdAt", "createdBy"),
    *("ec2InstanceType", "launchProfileId", "maxBackupsToRetain", "ownedBy", "sessionId"),
    *("sessionPersistenceMode", "startedAt", "startedBy", "startedFromBackupId", "state"),
    *("statusCode", "statusMessage", "stopAt", "stoppedAt", "stoppedBy", "streamingImageId"),
    *("tags", "terminateAt", "updatedAt", "updatedBy", "volumeConfiguration"),
    "volumeRetentionMode",
}

SERVICE_MOVES = {
    "CREATE_IN_PROGRESS": {"READY", "CREATE_FAILED"},
    "START_IN_PROGRESS": {"READY", "START_FAILED"},
    "STOP_IN_PROGRESS": {"STOPPED", "STOP_FAILED"},
    "DELETE_IN_PROGRESS": {"DELETED", "DELETE_FAILED"},
    "READY": {"STOP_IN_PROGRESS", "DELETE_IN_PROGRESS"},
    "STOPPED": {"START_IN_PROGRESS", "DELETE_IN_PROGRESS"},
    **{f"{action}_FAILED": {"DELETE_IN_PROGRESS"} for action in ("CREATE", "START", "STOP")},
    "DELETE_FAILED": {"DELETE_IN_PROGRESS"},
    "DELETED": set(),
}


def studio(**table: Any) -> Studio:
    return Studio(Settings.from_table(EXACT | table))


def create(model: Studio, now: float = T0, **options: Any) -> str:
    return str(model.create_session(now, launch_profile_id="lp", **options)["sessionId"])


def refused(code: str, act: Callable[[], object]) -> str:
    with pytest.raises(StudioError) as caught:
        act()
    assert caught.value.code == code
    return caught.value.message


def state(model: Studio, now: float, session_id: str) -> str:
    return str(model.get_session(now, session_id)["state"])


def test_a_session_is_ready_at_the_time_that_its_law_says() -> None:
    model = studio()
    session_id = create(model)

    assert state(model, T0 + 149.9, session_id) == "CREATE_IN_PROGRESS"
    assert state(model, T0 + 150, session_id) == "READY"
    assert model.get_session(T0 + 999, session_id)["updatedAt"] == T0 + 150
    assert [(each.state, each.at) for each in model.truth(T0 + 999)[session_id]] == [
        ("CREATE_IN_PROGRESS", T0),
        ("READY", T0 + 150),
    ]


def test_a_session_goes_the_whole_way_round_and_is_forgotten_in_the_end() -> None:
    model = studio(forget_after=600)
    session_id = create(model)

    assert model.stop_session(T0 + 200, session_id)["state"] == "STOP_IN_PROGRESS"
    assert state(model, T0 + 245, session_id) == "STOPPED"
    assert model.start_session(T0 + 300, session_id)["state"] == "START_IN_PROGRESS"
    assert model.get_session(T0 + 390, session_id)["statusCode"] == "STREAMING_SESSION_STARTED"
    assert model.delete_session(T0 + 400, session_id)["state"] == "DELETE_IN_PROGRESS"
    assert state(model, T0 + 430, session_id) == "DELETED"
    assert state(model, T0 + 1029, session_id) == "DELETED"
    refused("ResourceNotFoundException", lambda: model.get_session(T0 + 1030, session_id))
    refused("ResourceNotFoundException", lambda: model.delete_session(T0 + 1030, session_id))
    assert model.list_sessions(T0 + 1030).sessions == []
    assert model.truth(T0 + 1030)[session_id][-1].state == "DELETED"


def test_in_the_course_of_its_life_a_session_shows_every_member() -> None:
    model = studio(session_length=1000, stopped_length=2000)
    session_id = create(model, tags={"show": "x"}, owner="kim", instance_type="g5.xlarge")
    model.stop_session(T0 + 200, session_id, retention_mode="DELETE")
    model.start_session(T0 + 300, session_id, backup_id="b-1")

    ready = model.get_session(T0 + 400, session_id)
    stopped = model.get_session(T0 + 1500, session_id)

    assert set(ready) == MEMBERS - {"terminateAt"}
    assert set(stopped) == MEMBERS - {"stopAt"}
    assert ready["stopAt"] == T0 + 390 + 1000
    assert ready["startedAt"] == T0 + 300
    assert ready["startedFromBackupId"] == "b-1"
    assert ready["volumeRetentionMode"] == "DELETE"
    assert ready["stoppedAt"] == T0 + 200
    assert (ready["tags"], ready["ownedBy"]) == ({"show": "x"}, "kim")
    assert stopped["stoppedAt"] == T0 + 1390
    assert stopped["terminateAt"] == T0 + 1390 + 45 + 2000


def test_a_session_is_stopped_and_deleted_by_itself_when_its_time_is_up() -> None:
    model = studio(session_length=1000, stopped_length=2000)
    session_id = create(model)

    truth = model.truth(T0 + 9999)[session_id]

    assert [(each.state, each.at - T0) for each in truth] == [
        ("CREATE_IN_PROGRESS", 0),
        ("READY", 150),
        ("STOP_IN_PROGRESS", 1150),
        ("STOPPED", 1195),
        ("DELETE_IN_PROGRESS", 3195),
        ("DELETED", 3225),
    ]


def test_without_a_timetable_a_session_stays_as_it_is() -> None:
    model = studio(session_length=None, stopped_length=None)
    session_id = create(model)

    session = model.get_session(T0 + 1e8, session_id)

    assert session["state"] == "READY"
    assert "stopAt" not in session
    assert session["automaticTerminationMode"] == "DEACTIVATED"


@pytest.mark.parametrize(
    ("action", "at", "failed"),
    [
        ("create", 0, "CREATE_FAILED"),
        ("stop", 200, "STOP_FAILED"),
        ("delete", 200, "DELETE_FAILED"),
    ],
)
def test_an_operation_may_fail_with_a_reason_at_a_time_of_its_own(
    action: str, at: float, failed: str
) -> None:
    model = studio(**{action: {"sigma": 0, "failures": {"INSUFFICIENT_CAPACITY": 1}}})
    session_id = create(model)
    if action != "create":
        getattr(model, f"{action}_session")(T0 + at, session_id)

    session = model.get_session(T0 + at + 60, session_id)

    assert (session["state"], session["statusCode"]) == (failed, "INSUFFICIENT_CAPACITY")
    assert session["statusMessage"] == "No instance of this type is free right now."
    model.settings = Settings()
    assert model.delete_session(T0 + 999, session_id)["state"] == "DELETE_IN_PROGRESS"


def test_an_action_in_the_wrong_state_is_a_conflict_that_names_the_state() -> None:
    model = studio()
    session_id = create(model)

    for act in (model.start_session, model.stop_session, model.delete_session):
        message = refused("ConflictException", lambda act=act: act(T0 + 1, session_id))  # type: ignore[misc]
        assert f"session {session_id} is CREATE_IN_PROGRESS" in message
    refused("ConflictException", lambda: model.start_session(T0 + 200, session_id))
    refused("ConflictException", lambda: model.create_stream(T0 + 1, session_id))


def test_a_repeated_create_returns_the_same_session() -> None:
    model = studio()
    first = create(model, client_token="t")

    assert create(model, T0 + 5, client_token="t") == first
    assert create(model, T0 + 5, client_token="u") != first
    assert create(model, T0 + 5) != first
    refused("ConflictException", lambda: create(model, client_token="t", owner="other"))
    refused("ValidationException", lambda: create(model, client_token=""))
    refused("ValidationException", lambda: create(model, client_token="t" * 65))


def test_a_repeated_action_is_no_conflict() -> None:
    model = studio()
    session_id = create(model)

    model.stop_session(T0 + 200, session_id, client_token="t")
    assert model.stop_session(T0 + 201, session_id, client_token="t")["state"] == "STOP_IN_PROGRESS"
    refused(
        "ConflictException",
        lambda: model.stop_session(T0 + 202, session_id, client_token="t", retention_mode="RETAIN"),
    )
    model.start_session(T0 + 300, session_id, client_token="t")
    model.start_session(T0 + 301, session_id, client_token="t")
    stream = model.create_stream(T0 + 500, session_id, client_token="t")
    assert model.create_stream(T0 + 501, session_id, client_token="t") == stream
    model.delete_session(T0 + 600, session_id, client_token="t")
    assert model.delete_session(T0 + 700, session_id, client_token="t")["state"] == "DELETED"
    assert len(model.truth(T0 + 999)[session_id]) == 8


@pytest.mark.parametrize(
    "options",
    [
        {"instance_type": "g5.metal"},
        {"streaming_image_id": "no spaces"},
        {"streaming_image_id": "x" * 23},
    ],
)
def test_a_value_out_of_its_range_is_invalid(options: dict[str, Any]) -> None:
    refused("ValidationException", lambda: create(studio(), **options))


def test_other_values_out_of_range_are_invalid() -> None:
    model = studio()
    session_id = create(model)

    refused("ValidationException", lambda: model.create_stream(T0, session_id, expiration=59))
    refused("ValidationException", lambda: model.stop_session(T0, session_id, retention_mode="x"))


def test_where_no_resources_are_named_every_one_exists() -> None:
    model = studio()

    assert model.get_resource("launch_profiles", "any")["state"] == "READY"
    assert model.studio_id == "us-west-2-simulated"
    create(model, streaming_image_id="any")


def test_where_resources_are_named_only_those_exist() -> None:
    model = studio(
        launch_profiles={"lp": "READY", "lp-2": "UPDATE_IN_PROGRESS"},
        streaming_images={"si": "CREATE_FAILED"},
        studios={"s-9": "READY"},
    )

    assert model.studio_id == "s-9"
    assert model.get_resource("launch_profiles", "lp-2") == {
        "arn": "arn:aws:nimble:us-west-2:123456789012:launch-profile/lp-2",
        "launchProfileId": "lp-2",
        "state": "UPDATE_IN_PROGRESS",
    }
    refused("ResourceNotFoundException", lambda: model.get_resource("launch_profiles", "lp-3"))
    refused("ConflictException", lambda: create(model, streaming_image_id="si"))
    refused("ConflictException", lambda: model.create_session(T0, launch_profile_id="lp-2"))
    refused("ResourceNotFoundException", lambda: model.create_session(T0, launch_profile_id="lp-3"))
    create(model)


def test_deleted_sessions_do_not_count_towards_the_quota() -> None:
    model = studio(max_sessions=2)
    first, _ = create(model), create(model)
    refused("ServiceQuotaExceededException", lambda: create(model, T0 + 1))

    model.delete_session(T0 + 200, first)

    refused("ServiceQuotaExceededException", lambda: create(model, T0 + 229))
    create(model, T0 + 230)


def test_a_stream_has_its_secret_url_only_while_it_is_ready() -> None:
    model = studio()
    session_id = create(model)
    stream_id = model.create_stream(T0 + 200, session_id, expiration=60)["streamId"]
    other_id = model.create_stream(T0 + 200, session_id)["streamId"]

    starting = model.get_stream(T0 + 207, session_id, stream_id)
    ready = model.get_stream(T0 + 208, session_id, stream_id)
    over = model.get_stream(T0 + 268, session_id, stream_id)

    assert (starting["state"], "url" in starting) == ("CREATE_IN_PROGRESS", False)
    assert (ready["state"], ready["expiresAt"]) == ("READY", T0 + 268)
    assert ready["url"] != model.get_stream(T0 + 208, session_id, other_id)["url"]
    assert (over["state"], "url" in over) == ("DELETED", False)
    refused("ResourceNotFoundException", lambda: model.get_stream(T0 + 9999, session_id, stream_id))
    refused("ResourceNotFoundException", lambda: model.get_stream(T0 + 208, "none", stream_id))


def test_a_session_takes_its_streams_with_it_when_it_stops() -> None:
    model = studio()
    session_id = create(model)
    stream_id = model.create_stream(T0 + 200, session_id)["streamId"]

    model.stop_session(T0 + 300, session_id)

    assert model.get_stream(T0 + 299, session_id, stream_id)["state"] == "READY"
    assert model.get_stream(T0 + 300, session_id, stream_id)["state"] == "DELETED"


def test_a_stream_may_fail() -> None:
    model = studio(stream={"failures": {"NETWORK_CONNECTION_ERROR": 1}})
    session_id = create(model)
    stream_id = model.create_stream(T0 + 200, session_id)["streamId"]

    stream = model.get_stream(T0 + 260, session_id, stream_id)

    assert (stream["state"], stream["statusCode"]) == ("CREATE_FAILED", "NETWORK_CONNECTION_ERROR")


def test_a_new_session_is_not_found_until_the_create_lag_is_over() -> None:
    model = studio(create_lag=20)
    session_id = create(model)

    refused("ResourceNotFoundException", lambda: model.get_session(T0 + 19, session_id))
    assert model.list_sessions(T0 + 19).sessions == []
    assert session_id in model.truth(T0)
    assert state(model, T0 + 20, session_id) == "CREATE_IN_PROGRESS"
    assert len(model.list_sessions(T0 + 20).sessions) == 1


def test_with_a_read_lag_reads_are_late_and_may_go_backwards() -> None:
    model = studio(read_lag=40)
    session_id = create(model)

    seen = [state(model, T0 + 150 + second, session_id) for second in range(40)]

    assert "READY CREATE_IN_PROGRESS" in " ".join(seen)
    assert state(model, T0 + 190, session_id) == "READY"


def test_a_list_looks_up_the_ids_asked_for_and_leaves_out_the_unknown() -> None:
    model = studio()
    first, second, _ = create(model), create(model), create(model)

    page = model.list_sessions(T0, session_ids=f"{second}, none,{first},{second}")

    assert [each["sessionId"] for each in page.sessions] == [second, first]
    assert page.next_token is None


def test_a_list_can_be_filtered_by_owner_and_creator() -> None:
    model = studio()
    create(model)
    own = create(model, owner="kim")

    assert [each["sessionId"] for each in model.list_sessions(T0, owned_by="kim").sessions] == [own]
    assert len(model.list_sessions(T0, created_by="simulated-user").sessions) == 2
    assert model.list_sessions(T0, created_by="kim").sessions == []


def test_a_server_that_ignores_the_filter_lists_everything() -> None:
    model = studio(ignore_filter=True)
    first, second = create(model), create(model)

    page = model.list_sessions(T0, session_ids=second)

    assert [each["sessionId"] for each in page.sessions] == [first, second]


def test_a_token_is_good_for_its_own_list_only() -> None:
    model = studio(page_size=1)
    create(model), create(model)
    token = model.list_sessions(T0).next_token

    assert model.list_sessions(T0, next_token=token).next_token is None
    for bad in ("", "x", "ü", "LTEuMDAw", str(token)[:-4]):
        refused("ValidationException", lambda bad=bad: model.list_sessions(T0, next_token=bad))  # type: ignore[misc]
    refused(
        "ValidationException", lambda: model.list_sessions(T0, owned_by="kim", next_token=token)
    )


@given(count=st.integers(0, 25), size=st.integers(1, 9), picked=st.sets(st.integers(0, 24)))
def test_the_pages_of_a_list_cover_exactly_the_set_once(
    count: int, size: int, picked: set[int]
) -> None:
    model = studio(page_size=size)
    ids = [create(model) for _ in range(count)]
    wanted = [ids[index] for index in sorted(picked) if index < count]
    for session_ids, expected in ((None, ids), (",".join(wanted), wanted)):
        listed: list[str] = []
        token = None
        while True:
            page = model.list_sessions(T0, session_ids=session_ids, next_token=token)
            assert len(page.sessions) <= size
            listed += [each["sessionId"] for each in page.sessions]
            token = page.next_token
            if token is None:
                break
        assert listed == expected


def test_what_happens_to_a_session_does_not_depend_on_who_looks() -> None:
    watched, unwatched = Studio(Settings(seed=5)), Studio(Settings(seed=5))
    for number in range(20):
        session_id = create(watched, T0 + number)
        watched.list_sessions(T0 + number)
        watched.get_session(T0 + number, session_id)
        create(unwatched, T0 + number)

    assert watched.truth(T0 + 1e6) == unwatched.truth(T0 + 1e6)


def test_another_seed_is_another_run() -> None:
    ready = set()
    for seed in (1, 2):
        model = Studio(Settings(seed=seed))
        session_id = create(model)
        ready.add(model.truth(T0 + 1e4)[session_id][1].at)

    assert len(ready) == 2


@hypothesis_settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["create", "start", "stop", "delete", "stream"]),
            st.integers(0, 3),
            st.floats(0, 400),
            st.sampled_from([None, "a", "b"]),
        ),
        max_size=40,
    ),
)
def test_every_timeline_is_in_order_and_makes_only_moves_that_are_allowed(
    seed: int, steps: list[tuple[str, int, float, str | None]]
) -> None:
    failures = {"failures": {"INTERNAL_ERROR": 0.3}}
    model = Studio(
        Settings.from_table(
            {"seed": seed, "session_length": 500, "stopped_length": 700, "forget_after": 300}
            | dict.fromkeys(("create", "start", "stop", "delete", "stream"), failures)
        )
    )
    ids = [create(model)]
    now = T0
    refusals = set()
    for action, which, later, token in steps:
        now += later
        session_id = ids[which % len(ids)]
        try:
            if action == "create":
                ids.append(create(model, now, client_token=token))
            elif action == "stream":
                model.create_stream(now, session_id, client_token=token)
            else:
                getattr(model, f"{action}_session")(now, session_id, client_token=token)
        except StudioError as error:
            refusals.add(error.code)
    assert refusals <= {"ConflictException", "ResourceNotFoundException"}
    for changes in model.truth(now + 1e5).values():
        assert changes[0].state == "CREATE_IN_PROGRESS"
        for before, after in pairwise(changes):
            assert before.at <= after.at
            assert after.state in SERVICE_MOVES[before.state]


def test_a_list_of_given_ids_does_not_walk_through_all_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = studio()
    ids = [create(model) for _ in range(300)]
    looked_at = []
    shown = model._shown

    def counted(session: Any, now: float) -> bool:
        looked_at.append(session)
        return shown(session, now)

    monkeypatch.setattr(model, "_shown", counted)

    model.list_sessions(T0, session_ids=",".join(ids[-10:]))

    assert len(looked_at) == 10
