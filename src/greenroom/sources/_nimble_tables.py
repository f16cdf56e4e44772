"""The six kinds of Nimble Studio as transition tables, written as literal data.

Read a table so: under `moves`, the service goes from the state on the left to one of those on the
right by itself, and an empty tuple is a state at rest. Under `actions`, what a caller may do in a
state at rest, and where that leads. Facts: API version 2020-08-01, and the twelve waiters that the
service published, with which `tests/test_nimble_tables.py` compares every cell they speak of.
"""

from __future__ import annotations

from types import MappingProxyType

from greenroom._states import TransitionTable

_SESSION_FAULTS = {
    "INTERNAL_ERROR": "the service failed inside; another try may succeed",
    "INSUFFICIENT_CAPACITY": "no capacity for this instance type now; try another, or later",
    "ACTIVE_DIRECTORY_DOMAIN_JOIN_ERROR": "the directory join failed; the studio's directory "
    "or its credentials need a person",
    "NETWORK_CONNECTION_ERROR": "the network connection failed; another try may succeed",
    "INITIALIZATION_SCRIPT_ERROR": "an initialization script of the launch profile failed; "
    "the script needs a person",
    "DECRYPT_STREAMING_IMAGE_ERROR": "the streaming image could not be decrypted; its key "
    "needs a person",
    "NETWORK_INTERFACE_ERROR": "no network interface could be attached; another try may succeed",
    "AMI_VALIDATION_ERROR": "the machine image is not valid for streaming; the image needs a "
    "person",
}

STREAMING_SESSION = TransitionTable(
    kind="nimble-session",
    moves={
        "CREATE_IN_PROGRESS": ("READY", "CREATE_FAILED"),
        "READY": (),
        "STOP_IN_PROGRESS": ("STOPPED", "STOP_FAILED"),
        "STOPPED": (),
        "START_IN_PROGRESS": ("READY", "START_FAILED"),
        "DELETE_IN_PROGRESS": ("DELETED", "DELETE_FAILED"),
        "DELETED": (),
        "CREATE_FAILED": (),
        "START_FAILED": (),
        "STOP_FAILED": (),
        "DELETE_FAILED": (),
    },
    actions={
        "READY": {"stop": "STOP_IN_PROGRESS", "delete": "DELETE_IN_PROGRESS"},
        "STOPPED": {"start": "START_IN_PROGRESS", "delete": "DELETE_IN_PROGRESS"},
        "CREATE_FAILED": {"delete": "DELETE_IN_PROGRESS"},
        "START_FAILED": {"delete": "DELETE_IN_PROGRESS"},
        "STOP_FAILED": {"delete": "DELETE_IN_PROGRESS"},
        "DELETE_FAILED": {"delete": "DELETE_IN_PROGRESS"},
    },
    failures=frozenset({"CREATE_FAILED", "START_FAILED", "STOP_FAILED", "DELETE_FAILED"}),
    goals=("READY", "STOPPED", "DELETED"),
    gone="DELETED",
    faults=_SESSION_FAULTS,
)

SESSION_STREAM = TransitionTable(
    kind="nimble-stream",
    moves={
        "CREATE_IN_PROGRESS": ("READY", "CREATE_FAILED"),
        "READY": (),
        "DELETE_IN_PROGRESS": ("DELETED", "DELETE_FAILED"),
        "DELETED": (),
        "CREATE_FAILED": (),
        "DELETE_FAILED": (),
    },
    actions={"READY": {"stop-session": "DELETE_IN_PROGRESS"}},
    failures=frozenset({"CREATE_FAILED", "DELETE_FAILED"}),
    goals=("READY", "DELETED"),
    gone="DELETED",
    faults={code: _SESSION_FAULTS[code] for code in ("INTERNAL_ERROR", "NETWORK_CONNECTION_ERROR")},
)


def _updatable(kind: str) -> TransitionTable:
    """Return the table that launch profiles, images, components and studios share."""
    at_rest = ("READY", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")
    return TransitionTable(
        kind=kind,
        moves={
            "CREATE_IN_PROGRESS": ("READY", "CREATE_FAILED"),
            "READY": (),
            "UPDATE_IN_PROGRESS": ("READY", "UPDATE_FAILED"),
            "DELETE_IN_PROGRESS": ("DELETED", "DELETE_FAILED"),
            "DELETED": (),
            "CREATE_FAILED": (),
            "UPDATE_FAILED": (),
            "DELETE_FAILED": (),
        },
        actions={
            state: {"update": "UPDATE_IN_PROGRESS", "delete": "DELETE_IN_PROGRESS"}
            for state in at_rest
        },
        failures=frozenset({"CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED"}),
        goals=("READY", "DELETED"),
        gone="DELETED",
    )


LAUNCH_PROFILE = _updatable("nimble-launch-profile")
STREAMING_IMAGE = _updatable("nimble-image")
STUDIO_COMPONENT = _updatable("nimble-component")
STUDIO = _updatable("nimble-studio")

TABLES = MappingProxyType(
    {
        table.kind: table
        for table in (
            STREAMING_SESSION,
            SESSION_STREAM,
            LAUNCH_PROFILE,
            STREAMING_IMAGE,
            STUDIO_COMPONENT,
            STUDIO,
        )
    }
)
