"""What a failed AWS call means: from botocore's exceptions to greenroom's, here and nowhere else.

An answer is judged by its error code first; by its HTTP status where the code is missing or one we
do not know; and not at all where nothing shows that AWS wrote it. A 404 page of some box on the way
says nothing about a session, so it is no answer, rather than the answer *not found*.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from email.utils import mktime_tz, parsedate_tz
from http.client import responses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from botocore.retries.standard import RetryContext, ThrottledRetryableChecker

from greenroom._errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    SourceError,
    Throttled,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LONGEST = 1000
"""Characters that a service may add to an error: botocore takes a whole page for a message."""

SEARCHED = 100_000
"""Characters of it that are searched for the ids that it names."""

_THROTTLES = ThrottledRetryableChecker()

_BY_CODE: Mapping[str, type[SourceError]] = MappingProxyType(
    {
        code: kind
        for kind, codes in {
            AccessDenied: """
                AccessDenied AccessDeniedException AuthFailure AuthorizationError ExpiredToken
                ExpiredTokenException ForbiddenException IncompleteSignature
                IncompleteSignatureException InvalidAccessKeyId InvalidClientTokenId
                InvalidSignatureException InvalidToken MissingAuthenticationToken
                MissingAuthenticationTokenException NotAuthorized OptInRequired RequestExpired
                RequestTimeTooSkewed SignatureDoesNotMatch UnauthorizedException
                UnauthorizedOperation UnrecognizedClientException
            """,
            InvalidRequest: """
                InvalidAction InvalidParameterException InvalidParameterValue
                InvalidParameterValueException InvalidParameterValuesException
                InvalidRequestException MalformedQueryString MissingParameter
                SerializationException UnknownOperation UnknownOperationException
                ValidationError ValidationException
            """,
            NotFound: "NotFoundException ResourceNotFound ResourceNotFoundException",
            Conflict: "ConflictException IncorrectInstanceState",
            QuotaExceeded: """
                InstanceLimitExceeded ResourceLimitExceededException
                ServiceQuotaExceededException VcpuLimitExceeded
            """,
            Unavailable: """
                InternalError InternalFailure InternalServerError InternalServerErrorException
                InternalServerException RequestTimeout RequestTimeoutException
                ServiceUnavailable ServiceUnavailableException Unavailable
            """,
        }.items()
        for code in codes.split()
    }
)

_NOT_ALLOWED = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "AuthorizationError", "ForbiddenException"),
        *("NotAuthorized", "UnauthorizedException", "UnauthorizedOperation"),
    }
)
"""The codes with which a caller is known, and not allowed to do what it asked for."""

_OUT_OF_TIME = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
"""The codes with which a request is refused for its date alone."""

_DATED_WRONG = ("Signature expired", "Signature not yet current")
"""How the message begins where the code speaks of the signature."""

_BY_STATUS: Mapping[int, type[SourceError]] = MappingProxyType(
    {
        400: InvalidRequest,
        401: AccessDenied,
        402: QuotaExceeded,
        403: AccessDenied,
        404: NotFound,
        408: Unavailable,
        409: Conflict,
        413: InvalidRequest,
        414: InvalidRequest,
        422: InvalidRequest,
    }
)

_NO_ANSWER: Mapping[type[Exception], str] = MappingProxyType(
    {
        boto.SSLError: "the TLS handshake failed",
        boto.ConnectTimeoutError: "connecting took too long",
        boto.ReadTimeoutError: "the answer took too long",
        boto.ProxyConnectionError: "the proxy could not be reached",
        boto.ConnectionError: "no connection could be made",
        boto.ConnectionClosedError: "the connection closed before the answer was complete",
        boto.HTTPClientError: "the HTTP exchange failed",
        boto.IncompleteReadError: "the answer was cut off",
        ResponseParserError: "the answer cannot be read",
        boto.CredentialRetrievalError: "credentials could not be fetched",
        boto.MetadataRetrievalError: "credentials could not be fetched",
    }
)
"""Failures that may pass by themselves; the first that fits gives the words."""

_NO_CREDENTIALS = (
    boto.LoginError,
    boto.NoAuthTokenError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.TokenRetrievalError,
)
"""Credentials lost on the way, which only a person can bring back."""

_BAD_VALUE = (boto.ParamValidationError, boto.ValidationError)


@contextmanager
def translating(*, operation: str, ids: Sequence[str] = (), endpoint: str) -> Iterator[None]:
    """Raise the failures of the call inside as greenroom's, with botocore's as the cause.

    Raises:
        SourceError: The call failed; which subclass is decided by `translate`.
    """
    try:
        yield
    except (boto.ClientError, boto.BotoCoreError, ResponseParserError) as error:
        raise translate(error, operation=operation, ids=ids, endpoint=endpoint) from error


def translate(
    error: Exception, *, operation: str, ids: Sequence[str] = (), endpoint: str = "the service"
) -> SourceError:
    """Return what a failed call means.

    Args:
        error: botocore's exception.
        operation: The operation that was called, such as `GetStreamingSession`.
        ids: The ids that were asked for. Those of them that the error names become its `.ids`.
        endpoint: Where the call went, for the sentence.
    """
    if isinstance(error, boto.ClientError):
        return _answered(error, operation, ids, endpoint)
    for kind, words in _NO_ANSWER.items():
        if isinstance(error, kind):
            told = f"{operation}: no answer from {endpoint}: {words}"
            detail = _detail(error)
            return Unavailable(f"{told} ({detail})" if detail else told, operation=operation)
    if isinstance(error, _NO_CREDENTIALS):
        return AccessDenied(f"{operation}: {error}", operation=operation)
    text = " ".join(str(error).split())
    kind_of_bug = InvalidRequest if isinstance(error, _BAD_VALUE) else SourceError
    return kind_of_bug(f"{operation}: {text}", ids=_named(ids, text), operation=operation)


def _detail(error: Exception) -> str:
    """Return what a failure says beyond its class, without the URL and its hundred ids.

    What cannot be parsed is on the lines below the first: a body may hold anything, of any size.
    """
    if isinstance(error, boto.BotoCoreError):
        known = error.kwargs
        return str(known.get("error") or known.get("error_msg") or "")[:LONGEST]
    return str(error).partition("\n")[0][:LONGEST]


def _answered(
    error: boto.ClientError, operation: str, ids: Sequence[str], endpoint: str
) -> SourceError:
    answer: Any = error.response
    metadata = answer.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    status = metadata.get("HTTPStatusCode", 0)
    details = answer.get("Error", {})
    code = str(details.get("Code") or "")[:LONGEST]
    if code == str(status):  # botocore's stand-in for a code that is missing
        code = ""
    message = str(details.get("Message") or "")
    from_aws = bool(code) or (bool(message) and "json" in headers.get("content-type", ""))

    kind = _kind(error, code, status, from_aws=from_aws)
    if error.operation_name != operation and kind not in (Throttled, Unavailable):
        kind = AccessDenied  # a call that botocore made on its own, for credentials
    phrase = responses.get(status, "an unknown status")
    sentence = message[:LONGEST]
    if kind is Throttled:
        said = f"{operation}: {endpoint} asks to slow down ({code or status})"
    elif kind is Unavailable:
        said = f"{operation}: {endpoint} answered {status} ({phrase})"
        if from_aws:
            said = f"{said}: {sentence or code}"
    else:
        said = f"{operation}: {sentence or phrase} ({code or status})"
    if kind is AccessDenied:
        said = f"{said.rstrip('.')}; {_remedy(code, message, operation)}"
    context = answer.get("context") or {}
    text = " ".join((message, *map(str, context.values())))
    return kind(
        said,
        ids=_named(ids, text[:SEARCHED]),
        code=code or None,
        operation=operation,
        retry_after=retry_after(headers),
    )


def _remedy(code: str, message: str, operation: str) -> str:
    if code in _OUT_OF_TIME or message.startswith(_DATED_WRONG):
        return "set the clock of this machine"
    if code in _NOT_ALLOWED:
        return f"the caller needs the right to {operation}"
    return "renew the credentials" if "Expired" in code else "check the credentials"


def _kind(error: boto.ClientError, code: str, status: int, *, from_aws: bool) -> type[SourceError]:
    answer = RetryContext(attempt_number=1, parsed_response=error.response)
    if status == 429 or _THROTTLES.is_retryable(answer):
        return Throttled
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code.endswith(".NotFound"):
        return NotFound
    if not from_aws or not 400 <= status < 500:
        return Unavailable
    return _BY_STATUS.get(status, SourceError)


def retry_after(headers: Mapping[str, Any]) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None where it says nothing.

    Args:
        headers: The answer's headers, names in lower case. A `Retry-After` that is a date counts
            from the answer's own `Date`, and says nothing without one: the clock here may be wrong.
    """
    asked = str(headers.get("retry-after", ""))
    try:
        seconds = float(asked)
    except ValueError:
        until, since = _epoch(asked), _epoch(str(headers.get("date", "")))
        return None if until is None or since is None else max(0.0, until - since)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _epoch(date: str) -> float | None:
    parsed = parsedate_tz(date)
    try:
        return None if parsed is None else mktime_tz(parsed)
    except (ValueError, OverflowError):
        return None


def _named(ids: Sequence[str], text: str) -> tuple[str, ...]:
    return tuple(
        id_
        for id_ in ids
        if id_ in text and re.search(rf"(?<![\w-]){re.escape(id_)}(?![\w-])", text)
    )
