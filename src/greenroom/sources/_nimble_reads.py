"""How each kind of thing in a studio is read: which operations, and where the answer is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from greenroom._states import TransitionTable
from greenroom.sources import _nimble_tables as tables


@dataclass(frozen=True, slots=True)
class Reads:
    """How one kind is read.

    Attributes:
        table: The kind's transition table.
        operation: What reads one.
        parameters: What its ids fill in, in their order. The last is also the member in which the
            answer repeats the id.
        result: The member of the answer.
        lists: What reads several; None if nothing does.
        max_batch: Most ids in one call.
    """

    table: TransitionTable
    operation: str
    parameters: tuple[str, ...]
    result: str
    lists: str | None = None
    max_batch: int = 1

    @property
    def permissions(self) -> tuple[str, ...]:
        """What the caller must be allowed, as IAM writes it."""
        return tuple(f"nimble:{each}" for each in (self.lists, self.operation) if each)

    @property
    def id_form(self) -> str:
        """How an id is written, such as `SESSION_ID/STREAM_ID`."""
        words = (re.sub(r"(?=[A-Z])", "_", parameter).upper() for parameter in self.parameters)
        return "/".join(words)


SESSION = Reads(
    tables.STREAMING_SESSION,
    "GetStreamingSession",
    ("sessionId",),
    "session",
    lists="ListStreamingSessions",
    max_batch=100,  # which keeps the URL well below what servers take
)
STREAM = Reads(
    tables.SESSION_STREAM, "GetStreamingSessionStream", ("sessionId", "streamId"), "stream"
)
PROFILE = Reads(tables.LAUNCH_PROFILE, "GetLaunchProfile", ("launchProfileId",), "launchProfile")
IMAGE = Reads(tables.STREAMING_IMAGE, "GetStreamingImage", ("streamingImageId",), "streamingImage")
COMPONENT = Reads(
    tables.STUDIO_COMPONENT, "GetStudioComponent", ("studioComponentId",), "studioComponent"
)
STUDIO = Reads(tables.STUDIO, "GetStudio", ("studioId",), "studio")

READS: Mapping[str, Reads] = MappingProxyType(
    {reads.table.kind: reads for reads in (SESSION, STREAM, PROFILE, IMAGE, COMPONENT, STUDIO)}
)
"""How each is read, by kind."""
