"""The simulator's facts and the clients' service model were written apart: do they agree?"""

import json
from pathlib import Path
from typing import Any

import pytest

import greenroom
from greenroom.simulator import _facts

DATA = Path(str(greenroom.__file__)).parent / "sources" / "data"


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    text = (DATA / "nimble" / "2020-08-01" / "service-2.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@pytest.mark.parametrize("operation", _facts.OPERATIONS.values(), ids=lambda each: each.name)
def test_an_operation_has_the_address_that_clients_use(
    model: dict[str, Any], operation: _facts.Operation
) -> None:
    http = model["operations"][operation.name]["http"]

    assert (http["method"], http["requestUri"]) == (operation.method, operation.path)


@pytest.mark.parametrize(("name", "status"), _facts.ERRORS.items())
def test_an_error_has_the_status_that_clients_expect(
    model: dict[str, Any], name: str, status: int
) -> None:
    assert model["shapes"][name]["error"]["httpStatusCode"] == status


def test_the_enumerations_agree(model: dict[str, Any]) -> None:
    shapes = model["shapes"]

    assert set(_facts.INSTANCE_TYPES) == set(shapes["StreamingInstanceType"]["enum"])
    assert set(_facts.SESSION_FAULTS) <= set(shapes["StreamingSessionStatusCode"]["enum"])
    assert set(_facts.STREAM_FAULTS) <= set(shapes["StreamingSessionStreamStatusCode"]["enum"])
    assert set(_facts.RETENTION_MODES) == set(shapes["VolumeRetentionMode"]["enum"])
