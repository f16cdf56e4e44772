"""What Temporal's server refuses is said in greenroom's own errors."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from greenroom import AccessDenied, ConfigurationError, InvalidRequest, Unavailable
from greenroom.temporal._answers import answered


@pytest.mark.parametrize(
    ("status", "said", "raised", "told"),
    [
        (RPCStatusCode.NOT_FOUND, "workflow not found", ConfigurationError, "no fleet 'monday'"),
        (RPCStatusCode.NOT_FOUND, "Namespace x is not found.", ConfigurationError, "--namespace"),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", AccessDenied, "unauthorized"),
        (RPCStatusCode.UNAUTHENTICATED, "no key", AccessDenied, "UNAUTHENTICATED"),
        (RPCStatusCode.INVALID_ARGUMENT, "BlobSizeLimit", InvalidRequest, "BlobSizeLimit"),
        (RPCStatusCode.UNAVAILABLE, "tcp connect error", Unavailable, "tcp connect error"),
        (RPCStatusCode.DEADLINE_EXCEEDED, "late", Unavailable, "DEADLINE_EXCEEDED"),
    ],
)
def test_an_answer_is_translated_once(
    status: RPCStatusCode, said: str, raised: type[Exception], told: str
) -> None:
    with pytest.raises(raised, match=told) as caught, answered("monday"):
        raise RPCError(said, status, b"")
    assert isinstance(caught.value.__cause__, RPCError)
    assert type(caught.value) is raised
