"""The facts of the service's model that are checked before a call: read from the model itself.

The model is what botocore validates and serialises by, so a list of instance types stands there
and nowhere else.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

MODELS = Path(__file__).with_name("data")
"""A folder of service models, laid out as botocore's own."""

_MODEL = MODELS / "nimble" / "2020-08-01" / "service-2.json"


@cache
def instance_types() -> tuple[str, ...]:
    """Return the instance types that a session can be asked for on."""
    return tuple(_shape("StreamingInstanceType")["enum"])


@cache
def image_id() -> re.Pattern[str]:
    """Return the pattern that an image id matches whole, its length included."""
    shape = _shape("StreamingImageId")
    characters = shape["pattern"].strip("^$")
    return re.compile(rf"(?=.{{{max(1, shape.get('min', 0))},{shape['max']}}}\Z)(?:{characters})")


@cache
def stream_expiry() -> tuple[int, int]:
    """Return the fewest and the most seconds that a stream can be asked to last."""
    shape = _shape("StreamingSessionStreamExpirationInSeconds")
    return shape["min"], shape["max"]


@cache
def _shapes() -> dict[str, Any]:
    shapes: dict[str, Any] = json.loads(_MODEL.read_text(encoding="utf-8"))["shapes"]
    return shapes


def _shape(name: str) -> Any:
    return _shapes()[name]
