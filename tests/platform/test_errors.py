"""One shape for every error, which says what was expected, what came, where, and whether the same can succeed later."""

import msgspec
import pytest

from engage.errors import (
    ConfigurationError,
    Conflict,
    EngageError,
    Forbidden,
    InvalidEvent,
    InvalidRequest,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    StoreUnavailable,
    Unauthorized,
    error_body,
    error_response,
)

EVERY = [
    (ConfigurationError, 500, "configuration_error"),
    (Conflict, 409, "conflict"),
    (EngageError, 500, "internal_error"),
    (Forbidden, 403, "forbidden"),
    (InvalidEvent, 400, "invalid_event"),
    (InvalidRequest, 400, "invalid_request"),
    (NotFound, 404, "not_found"),
    (Overloaded, 429, "overloaded"),
    (PayloadTooLarge, 413, "payload_too_large"),
    (StoreUnavailable, 429, "store_unavailable"),
    (Unauthorized, 401, "unauthorized"),
]


@pytest.mark.parametrize(("kind", "status", "code"), EVERY, ids=[code for _, _, code in EVERY])
def test_every_error_has_the_one_shape(kind, status, code):
    error = kind("a thing", "another", field="$.thing", hint="use a thing")
    got, headers, body = error_response(error)
    said = msgspec.json.decode(body)
    assert (got, error.status) == (status, status)
    assert set(said) == {"error"}
    assert said["error"]["code"] == code
    assert set(said["error"]) <= {"code", "message", "field", "expected", "got", "hint"}
    assert said["error"]["field"] == "$.thing"
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert dict(headers)[b"content-type"] == b"application/json"


def test_only_what_passes_may_be_sent_again():
    for kind, status, _ in EVERY:
        headers = dict(error_response(kind("a thing"))[1])
        assert kind.retry is (status == 429)
        assert (b"retry-after" in headers) is kind.retry
        assert headers.get(b"retry-after", b"1").isdigit()


def test_what_is_not_known_is_left_out():
    assert msgspec.json.decode(error_body(NotFound("a page"))) == {
        "error": {"code": "not_found", "message": "Expected a page", "expected": "a page"}
    }


def test_an_event_in_a_batch_is_named_by_its_place():
    error = InvalidEvent("a text", "a number", field="$.userId").within("$.batch[3]")
    assert error.message == "Expected a text, got a number - at $.batch[3].userId"


@pytest.mark.parametrize(
    ("body", "field", "expected", "got"),
    [
        (b'{"event": 1}', "$.event", "a text", "a whole number"),
        (b"[]", "$", "an object", "an array"),
        (b"{}", "$.event", "a field `event`", "none"),
        (b'{"event": "", "more": 1}', "$.more", "a field that is known", "`more`"),
        (b'{"event": ', "$", "a JSON object in UTF-8", "nothing, or one that ends too early"),
        (b"", "$", "a JSON object in UTF-8", "nothing, or one that ends too early"),
    ],
)
def test_what_the_decoder_says_is_taken_over(body, field, expected, got):
    class Call(msgspec.Struct, forbid_unknown_fields=True):
        event: str

    with pytest.raises(msgspec.MsgspecError) as raised:
        msgspec.json.decode(body, type=Call)
    error = InvalidEvent.from_decoder(raised.value)
    assert (error.field, error.expected, error.got) == (field, expected, got)
