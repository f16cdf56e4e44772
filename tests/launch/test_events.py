"""Events go into rows and come back; the secret of a stream does not go."""

from __future__ import annotations

import dataclasses
import json
import typing
from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

import greenroom.events
from greenroom import StreamAccess, Verdict
from greenroom._launch import _events as events
from greenroom._launch._rows import KINDS, Row, as_row, from_row

SECRET = "https://stream.invalid/secret?key=opensesame"

zones = st.just(UTC) | st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2150, 1, 1), timezones=zones)
numbers = st.floats(allow_nan=False)
BY_TYPE = {
    "Choice": st.dictionaries(st.text(), st.text()),
    "str": st.text(),
    "str | None": st.none() | st.text(),
    "int": st.integers(),
    "float": numbers,
    "bool": st.booleans(),
    "datetime": moments,
    "datetime | None": st.none() | moments,
    "Verdict": st.sampled_from(Verdict),
    "StreamAccess": st.builds(
        StreamAccess, st.text(), st.none() | moments, st.none() | st.just(SECRET)
    ),
}


def built(kind):
    return st.builds(kind, **{each.name: BY_TYPE[each.type] for each in dataclasses.fields(kind)})


any_event = st.one_of(*map(built, KINDS.values()))


def test_every_kind_of_event_can_be_journaled():
    kinds = {kind.__name__ for kind in events.LaunchEvent.__subclasses__()}
    assert set(KINDS) == kinds
    assert all(KINDS[name].__name__ == name for name in KINDS)


@pytest.mark.parametrize("kind", KINDS.values())
@given(data=st.data())
def test_an_event_survives_the_way_into_a_row_and_back(kind, data):
    event = data.draw(built(kind))
    row = as_row(event)
    assert from_row(row) == event
    assert row.kind == kind.__name__
    assert row.key == getattr(event, "key", None)
    assert row.attempt == getattr(event, "attempt", None)


@pytest.mark.parametrize("kind", KINDS.values())
@given(data=st.data())
def test_a_row_fits_into_the_columns_of_a_database(kind, data):
    row = as_row(data.draw(built(kind)))
    assert typing.get_type_hints(Row).keys() == set(row._fields)
    assert isinstance(row.at, float)
    assert isinstance(json.loads(row.data), dict)
    assert "at" not in json.loads(row.data)


def ready(url):
    return events.StreamReady(
        at=datetime.now(UTC), key="a", id="s-1", stream=StreamAccess("t-1", None, url)
    )


def test_the_url_of_a_stream_is_in_no_row_and_in_no_repr():
    event = ready(SECRET)
    assert "opensesame" not in repr(as_row(event))
    assert "opensesame" not in repr(event)
    assert "opensesame" not in str(event.stream)
    read = from_row(as_row(event))
    assert read.stream == event.stream
    assert read.stream.url is None


@given(any_event)
def test_no_event_has_a_url_in_its_row(event):
    assert "opensesame" not in "".join(map(str, as_row(event)))


NOW = 1.7e9
CREATED = '{"id": "s-1"}'


@pytest.mark.parametrize(
    "row",
    [
        Row(NOW, "Nonsense", None, None, "{}"),
        Row(NOW, "", None, None, "{}"),
        Row(NOW, None, None, None, "{}"),
        Row(NOW, "LaunchEvent", None, None, "{}"),
        Row(NOW, "Created", "a", 1, "{}"),
        Row(NOW, "Created", None, 1, CREATED),
        Row(NOW, "Created", "a", None, CREATED),
        Row(NOW, "Created", "a", 1, ""),
        Row(NOW, "Created", "a", 1, '{"id": "s-1"'),
        Row(NOW, "Created", "a", 1, '{"id": "s-1", "more": 1}'),
        Row(NOW, "Created", "a", 1, "[]"),
        Row(NOW, "Created", "a", 1, "null"),
        Row(NOW, "Created", "a", 1, "7"),
        Row(NOW, "Created", "a", 1, None),
        Row(NOW, "Created", "a", 1, b"\xff"),
        Row(NOW, "Created", "a", 1, "[" * 100_000),
        Row(None, "Created", "a", 1, CREATED),
        Row("now", "Created", "a", 1, CREATED),
        Row(float("nan"), "Created", "a", 1, CREATED),
        Row(float("inf"), "Created", "a", 1, CREATED),
        Row(1e300, "Created", "a", 1, CREATED),
        Row(-1e18, "Created", "a", 1, CREATED),
        Row(NOW, "LaunchBegan", "a", None, '{"resumed": true}'),
        Row(NOW, "Changed", "a", None, '{"id":"s","before":null,"after":"X","changed_at":"noon"}'),
        Row(NOW, "Changed", "a", None, '{"id":"s","before":null,"after":"X","changed_at":7}'),
        Row(NOW, "StreamReady", "a", None, '{"id": "s-1", "stream": null}'),
        Row(NOW, "StreamReady", "a", None, '{"id": "s-1", "stream": {}}'),
        Row(NOW, "StreamReady", "a", None, '{"id": "s-1", "stream": {"stream_id": "t"}}'),
        Row(NOW, "StreamReady", "a", None, '{"id": "s-1", "stream": "t-1"}'),
        Row(
            NOW,
            "Settled",
            "a",
            None,
            '{"verdict": "splendid", "id": null, "state": null, "reason": null, "message": null,'
            ' "elapsed": 1, "reads": 1, "cause": null}',
        ),
    ],
)
def test_a_row_that_keeps_no_event_is_told(row):
    with pytest.raises(ValueError, match=r"."):
        from_row(row)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
members = st.sampled_from(["id", "stream", "verdict", "changed_at", "before", "cause", "calls"])
data = st.dictionaries(members | st.text(), scalars | st.lists(scalars) | st.dictionaries(
    st.sampled_from(["stream_id", "expires_at"]), scalars), max_size=5)  # fmt: skip


@given(
    st.builds(
        Row,
        at=st.floats() | st.none() | st.text(),
        kind=st.sampled_from([*KINDS, "Nonsense"]),
        key=st.none() | st.text(),
        attempt=st.none() | st.integers(),
        data=data.map(json.dumps) | st.text() | st.none(),
    )
)
def test_a_row_keeps_an_event_or_raises_a_value_error(row):
    try:
        event = from_row(row)
    except ValueError:
        return
    assert type(event).__name__ == row.kind


def test_every_kind_of_event_is_public():
    assert set(KINDS) <= set(greenroom.events.__all__)
