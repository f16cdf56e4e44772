"""What happens in a launch: the records that a `Launch` tells, and that its journal keeps.

async for event in launch:
match event:
case events.Settled(key=key, verdict=verdict):
print(key, verdict)
"""

from greenroom._launch._events import (
    AttemptFailed,
    Changed,
    CheckPassed,
    Created,
    CreateDeferred,
    CreateIntended,
    CreateRefused,
    CreatesHeld,
    CreatesReleased,
    CreatesStopped,
    Deleted,
    DeleteFailed,
    DeleteIntended,
    LaunchBegan,
    LaunchEnded,
    LaunchEvent,
    Metered,
    Settled,
    StreamAccess,
    StreamCreated,
    StreamFailed,
    StreamIntended,
    StreamReady,
)

__all__ = [
    "AttemptFailed",
    "Changed",
    "CheckPassed",
    "CreateDeferred",
    "CreateIntended",
    "CreateRefused",
    "Created",
    "CreatesHeld",
    "CreatesReleased",
    "CreatesStopped",
    "DeleteFailed",
    "DeleteIntended",
    "Deleted",
    "LaunchBegan",
    "LaunchEnded",
    "LaunchEvent",
    "Metered",
    "Settled",
    "StreamAccess",
    "StreamCreated",
    "StreamFailed",
    "StreamIntended",
    "StreamReady",
]
