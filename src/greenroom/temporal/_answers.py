"""What Temporal's server refuses, in greenroom's own errors: translated here, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.service import RPCError, RPCStatusCode

from greenroom._errors import (
    AccessDenied,
    ConfigurationError,
    GreenroomError,
    InvalidRequest,
    Unavailable,
)

_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)

_REFUSED = (
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.OUT_OF_RANGE,
    RPCStatusCode.UNIMPLEMENTED,
)


@contextmanager
def answered(fleet_id: str) -> Iterator[None]:
    """Translate what the server answers to calls about a fleet.

    Raises:
        ConfigurationError: It knows no such fleet, or no such namespace.
        AccessDenied, InvalidRequest: It refuses.
        Unavailable: It does not answer.
    """
    try:
        yield
    except RPCError as error:
        raise _in_our_words(fleet_id, error) from error


def _in_our_words(fleet_id: str, error: RPCError) -> GreenroomError:
    if error.status is RPCStatusCode.NOT_FOUND and "namespace" in error.message.lower():
        return ConfigurationError(
            f"Temporal's server says: {error.message}; name another by --namespace or "
            "TEMPORAL_NAMESPACE, or connect to the right one"
        )
    if error.status is RPCStatusCode.NOT_FOUND:
        return ConfigurationError(
            f"there is no fleet {fleet_id!r} in this namespace: its id may be misspelt, or it was "
            "over for so long that the server has forgotten it"
        )
    said = f"Temporal's server says: {error.message} ({error.status.name})"
    if error.status in _DENIED:
        return AccessDenied(said, code=error.status.name)
    if error.status in _REFUSED:
        return InvalidRequest(said, code=error.status.name)
    return Unavailable(said, code=error.status.name)
