"""EngageError ─┬─ ConfigurationError          settings, files, keys: what an operator mends
               ├─ InvalidRequest ─┬─ InvalidEvent ── PayloadTooLarge
               │                  └─ BrokenDocuments
               ├─ Conflict                    somebody else was quicker
               ├─ Unauthorized ── Forbidden
               ├─ NotFound
               └─ Unavailable ─┬─ StoreUnavailable
                               ├─ Overloaded ── Full
                               └─ RateLimited

Every error says what was expected, what came, and where. On the wire all have one shape, built here:
`{"error": {"code", "message", "field"?, "expected"?, "got"?, "hint"?, "problems"?}}`. Where others' clients send events, the code
and the message stand beside it as well: Segment's and RudderStack's Python clients look for them there, and the latter takes a
reply without them for a broken connection and sends a batch that can never pass eleven times.
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from rules import Problem, in_words

# What msgspec says, as far as it is taken apart.
_EXPECTED = re.compile(r"Expected (.+?)(?:, got (.+?))?(?: - at `(.+)`)?")
_TRUNCATED = "Input data was truncated"
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*?)`(?: - at `(.+)`)?", re.DOTALL)


class EngageError(Exception):
    """The root. `retry` says whether the same request can succeed later."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    retry: ClassVar[bool] = False

    def __init__(
        self, expected: str, got: str | None = None, *, field: str | None = None, hint: str | None = None
    ) -> None:
        self.expected = expected
        self.got = got
        self.field = field
        self.hint = hint
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """`Expected …, got … - at …`, as far as it is known."""
        text = f"Expected {self.expected}"
        if self.got is not None:
            text += f", got {self.got}"
        return f"{text} - at {self.field}" if self.field else text

    def within(self, path: str) -> "EngageError":
        """The same error with its field below `path`, e.g. an event's inside its batch."""
        self.field = path + (self.field or "").removeprefix("$")
        return self


class ConfigurationError(EngageError):
    code = "configuration_error"


class InvalidRequest(EngageError):
    status = 400
    code = "invalid_request"


class InvalidEvent(InvalidRequest):
    code = "invalid_event"

    @classmethod
    def from_decoder(cls, error: Exception) -> "InvalidEvent":
        """From what msgspec says of a body, e.g. ``Expected `str`, got `int` - at `$.event` ``, in the words of JSON."""
        if isinstance(error, RecursionError):
            return cls("JSON of reasonable depth", "a deeper one", field="$")
        if found := _FIELD.fullmatch(str(error)):
            what, name, within = found.groups()
            field = f"{within or '$'}.{name}"
            if what == "missing required":
                return cls(f"a field `{name}`", "none", field=field)
            return cls("a field that is known", f"`{name}`", field=field)
        found = _EXPECTED.fullmatch(str(error))
        if found is None:
            said = "nothing, or one that ends too early" if str(error) == _TRUNCATED else str(error)
            return cls("a JSON object in UTF-8", said, field="$")
        expected, got, field = found.groups()
        return cls(in_words(expected).removesuffix(" or null"), got and in_words(got), field=field or "$")


class PayloadTooLarge(InvalidEvent):
    status = 413
    code = "payload_too_large"


class BrokenDocuments(InvalidRequest):
    """Documents that do not work; the problems are the whole message."""

    status = 422
    code = "broken_documents"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("documents that work")

    @property
    def message(self) -> str:
        return "\n".join(map(str, self.problems))


class Conflict(EngageError):
    """What the caller has looked at is not what is there any more."""

    status = 409
    code = "conflict"


class RequestTimeout(EngageError):
    status = 408
    code = "request_timeout"


class HeadersTooLarge(EngageError):
    status = 431
    code = "headers_too_large"


class Unauthorized(EngageError):
    status = 401
    code = "unauthorized"


class Forbidden(Unauthorized):
    status = 403
    code = "forbidden"


class NotFound(EngageError):
    status = 404
    code = "not_found"


class Unavailable(EngageError):
    """Passing: the client keeps what it has and sends it again."""

    status = 429
    code = "unavailable"
    retry = True
    retry_after: int = 1  # seconds

    @property
    def message(self) -> str:
        return f"{self.expected}: send the same again after {self.retry_after} s (its messageIds make it count once)"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class Full(Overloaded):
    """The process holds as many connections or streams as it may: another one may have room."""

    status = 503
    retry_after = 5


class RateLimited(Unavailable):
    """More than a limit allows; after `retry_after` seconds there is room again."""

    code = "rate_limited"

    def __init__(self, expected: str, retry_after: int, *, field: str | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(expected, field=field)

    @property
    def message(self) -> str:
        return f"Expected {self.expected}, got more: send the same again after {self.retry_after} s"


def error_fields(error: EngageError) -> dict[str, Any]:
    """`{"code", "message", …}`, what stands under `error`."""
    said: dict[str, Any] = {"code": error.code, "message": error.message}
    if not isinstance(error, Unavailable):
        said |= {"expected": error.expected}
    said |= {key: value for key in ("field", "got", "hint") if (value := getattr(error, key)) is not None}
    if isinstance(error, BrokenDocuments):
        said |= {"problems": error.problems}
    return said


def error_body(error: EngageError, *, flat: bool = False) -> bytes:
    """`{"error": {…}}` as JSON bytes; `flat`: with its code and message beside it too."""
    also = {"code": error.code, "message": error.message} if flat else {}
    return msgspec.json.encode({"error": error_fields(error), **also})


def error_response(error: EngageError, *, flat: bool = False) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of the reply that reports `error`."""
    body = error_body(error, flat=flat)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="engage"'))
    return error.status, headers, body
