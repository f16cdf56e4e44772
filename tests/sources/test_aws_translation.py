"""What botocore's errors become: one row a case, no sockets."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom.sources._aws import call, translate, translating
from greenroom.sources._aws_errors import retry_after

URL = "http://studio.test"
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}


def refusal(
    status: int,
    code: str = "",
    message: str = "",
    headers: dict[str, str] = JSON,
    operation: str = "GetStreamingSession",
    **more: Any,
) -> boto.ClientError:
    return boto.ClientError(
        {
            # Where an answer has no code, botocore puts the status.
            "Error": {"Code": code or str(status), "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
            **more,
        },
        operation,
    )


def translated(error: Exception, *ids: str) -> greenroom.SourceError:
    return translate(error, operation="GetStreamingSession", ids=ids, endpoint=URL)


NIMBLE = [
    ("AccessDeniedException", 403, greenroom.AccessDenied),
    ("ConflictException", 409, greenroom.Conflict),
    ("InternalServerErrorException", 500, greenroom.Unavailable),
    ("ResourceNotFoundException", 404, greenroom.NotFound),
    ("ServiceQuotaExceededException", 402, greenroom.QuotaExceeded),
    ("ThrottlingException", 429, greenroom.Throttled),
    ("ValidationException", 400, greenroom.InvalidRequest),
]


@pytest.mark.parametrize(("code", "status", "kind"), NIMBLE)
def test_the_seven_errors_are_known_by_their_code(code: str, status: int, kind: type) -> None:
    error = translated(refusal(status, code, "said so"))
    assert type(error) is kind
    assert error.code == code
    assert error.operation == "GetStreamingSession"


@pytest.mark.parametrize(("code", "status", "kind"), NIMBLE)
def test_the_code_goes_before_the_status(code: str, status: int, kind: type) -> None:
    assert type(translated(refusal(400, code))) is kind


@pytest.mark.parametrize(("code", "status", "kind"), NIMBLE)
@pytest.mark.parametrize("specific", ["", "SOMETHING_MORE_SPECIFIC"])
def test_where_the_code_says_nothing_the_status_does(
    code: str, status: int, kind: type, specific: str
) -> None:
    error = translated(refusal(status, specific, "said so"))
    assert type(error) is kind
    assert error.code == (specific or None)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 418])
@pytest.mark.parametrize(
    ("message", "headers"),
    [("<html>Nope</html>", HTML), ("", HTML), ("", {}), ("", JSON)],
    ids=["page", "empty page", "nothing", "JSON of somebody else"],
)
def test_what_aws_did_not_write_is_no_answer(
    status: int, message: str, headers: dict[str, str]
) -> None:
    error = translated(refusal(status, "", message, headers))
    assert type(error) is greenroom.Unavailable
    assert URL in str(error)
    assert "<" not in str(error)


@pytest.mark.parametrize("status", [0, 300, 302, 307, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("headers", [HTML, JSON])
def test_redirects_and_server_errors_are_no_answer(status: int, headers: dict[str, str]) -> None:
    assert type(translated(refusal(status, headers=headers))) is greenroom.Unavailable


@pytest.mark.parametrize("code", ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
@pytest.mark.parametrize("status", [400, 429, 503])
def test_every_throttle_code_of_botocore_is_throttling(code: str, status: int) -> None:
    assert type(translated(refusal(status, code))) is greenroom.Throttled


def test_a_429_page_is_throttling_whoever_wrote_it() -> None:
    error = translated(refusal(429, headers=HTML | {"retry-after": "3"}))
    assert isinstance(error, greenroom.Throttled)
    assert error.retry_after == 3


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "AuthFailure",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_key_that_is_not_good_is_access_denied(code: str, status: int) -> None:
    assert type(translated(refusal(status, code, headers={}))) is greenroom.AccessDenied


def test_an_operation_that_the_server_lacks_does_not_make_a_session_missing() -> None:
    error = translated(refusal(404, "UnknownOperationException"))
    assert type(error) is greenroom.InvalidRequest


def test_a_credentials_call_that_finds_nothing_does_not_make_a_session_missing() -> None:
    error = refusal(404, "ResourceNotFoundException", "no such role", operation="AssumeRole")
    assert type(translated(error)) is greenroom.AccessDenied


def test_an_ec2_id_not_found_is_known_by_its_ending() -> None:
    assert type(translated(refusal(400, "InvalidInstanceID.NotFound"))) is greenroom.NotFound


@pytest.mark.parametrize(
    ("message", "context", "named"),
    [
        ("s-1 is no id", {}, ("s-1",)),
        ("bad id", {"sessionId": "s-10"}, ("s-10",)),
        ("bad ids: s-10,s-1.", {}, ("s-1", "s-10")),
        ("bad id: xs-1", {"n": "s-100"}, ()),
        ("", {}, ()),
    ],
)
def test_the_ids_that_an_error_names_are_told(
    message: str, context: dict[str, str], named: tuple[str, ...]
) -> None:
    error = refusal(400, "ValidationException", message, context=context)
    assert translated(error, "s-1", "s-10").ids == named


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0),
        ({"retry-after": "12"}, 12),
        ({"retry-after": " 1.5 "}, 1.5),
        (
            {
                "retry-after": "Tue, 02 Jan 2024 12:00:30 GMT",
                "date": "Tue, 02 Jan 2024 12:00:00 GMT",
            },
            30,
        ),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Tue, 02 Jan 99999999999 12:00:30 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_says_nothing_where_the_answer_has_no_date_of_its_own() -> None:
    """The clock of this machine may be wrong, and would make hours of a few seconds."""
    assert retry_after({"retry-after": formatdate(4_000_000_000, usegmt=True)}) is None


@given(st.text())
def test_retry_after_takes_any_text(text: str) -> None:
    asked = retry_after({"retry-after": text, "date": text})
    assert asked is None or asked >= 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("RequestExpired", "Request has expired."),
        ("RequestTimeTooSkewed", "The difference between the request time and ours is too large."),
        (
            "InvalidSignatureException",
            "Signature expired: 20240102T120000Z is now earlier than ...",
        ),
        (
            "SignatureDoesNotMatch",
            "Signature not yet current: 20240102T120000Z is still later than",
        ),
    ],
)
def test_a_clock_that_is_wrong_is_not_taken_for_bad_credentials(code: str, message: str) -> None:
    error = translated(refusal(403, code, message))
    assert type(error) is greenroom.AccessDenied
    assert str(error).endswith("set the clock of this machine")


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
def test_credentials_that_have_run_out_are_to_be_renewed(code: str) -> None:
    assert str(translated(refusal(403, code))).endswith("renew the credentials")


# No answer at all


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (boto.EndpointConnectionError(endpoint_url=URL, error="refused"), "refused"),
        (boto.ConnectTimeoutError(endpoint_url=URL), "connecting took too long"),
        (boto.ReadTimeoutError(endpoint_url=URL), "answer took too long"),
        (boto.ConnectionClosedError(endpoint_url=URL), "closed before the answer"),
        (boto.ProxyConnectionError(proxy_url="http://proxy"), "proxy"),
        (boto.SSLError(endpoint_url=URL, error="self-signed"), "TLS .*self-signed"),
        (boto.HTTPClientError(error="bad chunk"), "bad chunk"),
        (boto.ResponseStreamingError(error="payload"), "payload"),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "cut off"),
        (ResponseParserError("not a JSON object"), "not a JSON object"),
        (boto.CredentialRetrievalError(provider="p", error_msg="exit 1"), "exit 1"),
        (boto.MetadataRetrievalError(error_msg="timeout"), "timeout"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_of_the_way_is_unavailable(error: Exception, words: str) -> None:
    told = translated(error)
    assert type(told) is greenroom.Unavailable
    assert told.args[0].startswith(f"GetStreamingSession: no answer from {URL}: ")
    with pytest.raises(greenroom.Unavailable, match=words):
        raise told


@pytest.mark.parametrize(
    "error",
    [
        boto.NoCredentialsError(),
        boto.PartialCredentialsError(provider="env", cred_var="secret"),
        boto.TokenRetrievalError(provider="sso", error_msg="expired"),
        boto.UnauthorizedSSOTokenError(),
        boto.SSOTokenLoadError(error_msg="no token"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_credentials_that_a_person_must_bring_back_are_access_denied(error: Exception) -> None:
    assert type(translated(error)) is greenroom.AccessDenied


def test_a_parameter_of_the_wrong_kind_is_an_invalid_request_that_names_it() -> None:
    report = "Invalid length for parameter sessionId, value: s-1"
    error = translated(boto.ParamValidationError(report=report), "s-1")
    assert type(error) is greenroom.InvalidRequest
    assert report in str(error)
    assert error.ids == ("s-1",)


def test_anything_else_of_botocore_is_a_plain_source_error() -> None:
    assert type(translated(boto.UnseekableStreamError(stream_object=1))) is greenroom.SourceError


def test_the_original_is_the_cause() -> None:
    original = refusal(500)
    with (
        pytest.raises(greenroom.Unavailable) as caught,
        translating(operation="GetStreamingSession", endpoint=URL),
    ):
        raise original
    assert caught.value.__cause__ is original


def test_a_mistake_of_the_program_is_not_translated() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        translating(operation="GetStreamingSession", endpoint=URL),
    ):
        raise ZeroDivisionError


def test_a_parameter_that_the_model_refuses_is_an_invalid_request(stub: Any, ask: Any) -> None:
    with pytest.raises(greenroom.InvalidRequest, match="sessionId"):
        ask(
            lambda sessions: call(
                sessions.client, "GetStreamingSession", {"studioId": "studio", "sessionId": 5}
            )
        )
    assert stub.asked == []


def test_a_body_that_cannot_be_parsed_is_not_shown() -> None:
    """botocore puts all of it into the exception, and with it what was meant for nobody's log."""
    body = "<Item><UserData>c2VjcmV0</UserData>" * 1000
    problem = f"Unable to parse response (no element found), invalid XML received.\n{body}"
    error = translated(ResponseParserError(problem))
    assert str(error).endswith(
        "(Unable to parse response (no element found), invalid XML received.)"
    )


@pytest.mark.parametrize("status", [400, 403, 503])
def test_an_error_says_only_the_beginning_of_a_page(status: int) -> None:
    page = "x" * 5_000_000 + " s-1 "
    error = translated(refusal(status, "Odd" + "o" * 5_000_000, page), "s-1")
    assert len(str(error)) < 3000
    assert len(error.code or "") <= 1000


def test_ids_are_found_in_a_long_message() -> None:
    ids = [f"i-{number:017x}" for number in range(100)]
    error = translated(refusal(400, "InvalidRequest", f"no such ids: {', '.join(ids)}"), *ids)
    assert error.ids == tuple(ids)
