"""What a heartbeat carries: enough to go on with, and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenroom import Account, Spec, events
from greenroom._launch._lines import Phase
from greenroom.temporal._kept import Kept, Reads, joined_reads
from greenroom.temporal._orders import packed, unpacked

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def intended(key: str, attempt: int = 1) -> events.CreateIntended:
    return events.CreateIntended(at=NOON, key=key, attempt=attempt, token=f"{key}-{attempt}")


def created(key: str, attempt: int = 1) -> events.Created:
    return events.Created(at=NOON, key=key, attempt=attempt, id=f"s-{key}-{attempt}")


def changed(key: str, before: str | None, after: str, seconds: float = 0) -> events.Changed:
    at = NOON + timedelta(seconds=seconds)
    return events.Changed(at=at, key=key, id=f"s-{key}-1", before=before, after=after)


def failed(key: str) -> events.AttemptFailed:
    return events.AttemptFailed(
        at=NOON, key=key, attempt=1, id=f"s-{key}-1", cause="INTERNAL_ERROR", message=None
    )


def kept_of(*told: events.LaunchEvent) -> Kept:
    kept = Kept()
    for event in told:
        kept.take(event)
    return kept


def account_of(kept: Kept, *keys: str) -> Account:
    account = Account("fleet", [Spec(key=key, launch_profile_id="lp") for key in keys])
    for event in kept.events():
        account.take(event)
    return account


def test_it_comes_back_from_its_text_as_it_was() -> None:
    kept = kept_of(intended("a"), created("a"), changed("a", None, "CREATE_IN_PROGRESS"))
    kept.changes = 3
    kept.reads["w"] = Reads(1, 0, 5, 2)
    again = Kept.unpacked(kept.packed())
    assert again.events() == kept.events()
    assert (again.changes, again.reads) == (3, {"w": Reads(1, 0, 5, 2)})


def test_nothing_was_kept_where_nobody_had_it() -> None:
    assert Kept.unpacked(None).events() == []


@pytest.mark.parametrize("text", ["", "no base64 \x00", packed({"rows": [[]]}), packed([1])])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="this is no"):
        Kept.unpacked(text)


def test_of_what_was_seen_of_a_session_only_the_latest_is_kept() -> None:
    kept = kept_of(
        intended("a"),
        created("a"),
        changed("a", None, "CREATE_IN_PROGRESS"),
        changed("a", "CREATE_IN_PROGRESS", "READY"),
    )
    assert [type(event).__name__ for event in kept.events()] == [
        *("CreateIntended", "Created", "Changed")
    ]
    assert account_of(kept, "a").lines["a"].attempts[0].state == "READY"


def test_how_an_attempt_failed_is_kept_beside_what_became_of_its_session() -> None:
    kept = kept_of(
        intended("a"),
        created("a"),
        changed("a", None, "CREATE_FAILED"),
        failed("a"),
        changed("a", "CREATE_FAILED", "DELETED"),
    )
    (attempt,) = account_of(kept, "a").lines["a"].attempts
    assert (attempt.failed_in, attempt.state) == ("CREATE_FAILED", "DELETED")


def test_a_pause_is_forgotten_once_there_is_an_answer() -> None:
    deferred = events.CreateDeferred(at=NOON, key="a", attempt=1, cause="QUOTA", message="full")
    waiting = account_of(kept_of(intended("a"), deferred), "a").lines["a"]
    assert waiting.attempts[0].deferral == deferred
    answered = kept_of(intended("a"), deferred, deferred, created("a"))
    assert len(answered.events()) == 2
    assert account_of(answered, "a").lines["a"].phase is Phase.WAITING


def test_what_the_next_process_finds_out_for_itself_is_not_kept() -> None:
    kept = kept_of(
        events.LaunchBegan(at=NOON, resumed=False),
        events.CreatesHeld(at=NOON, cause="CANARY", message="wait"),
        events.CreatesReleased(at=NOON),
        events.Metered(at=NOON, calls=1, changes=1, throttled=0),
        events.LaunchEnded(at=NOON, interrupted=False),
    )
    assert kept.events() == []


def test_what_a_worker_read_is_counted_once_for_all_of_its_shards() -> None:
    first, second = Kept(), Kept()
    first.reads = {"a": Reads(10, 0, 40, 1)}
    second.reads = {"a": Reads(20, 0, 60, 2), "b": Reads(0, 0, 5, 0)}
    assert joined_reads([first, second]) == {"a": Reads(10, 0, 60, 2), "b": Reads(0, 0, 5, 0)}


def test_packing_keeps_what_json_has() -> None:
    value = {"text": "é\n", "list": [1, 2.5, None, True]}
    assert unpacked(packed(value)) == value
