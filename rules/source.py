"""Reading a JSON document with the place of every value, bounded, without recursion.

The standard parsers know neither where a value stood nor when to stop; both matter for documents people write (and for
those that attackers write).
"""

import json
import re
from typing import Any, Final

from rules.limits import MAX_DEPTH, MAX_NODES, MAX_TEXT_BYTES
from rules.problems import Path, Place, Report, nearest

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_WORD: Final = re.compile(r"[\w.+-]{0,20}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INT_RANGE: Final = 2**63


class _Syntax(Exception):
    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        self.message = message


class _Open:
    """A container that is still being read."""

    __slots__ = ("key", "path", "place", "value")

    def __init__(self, value: Any, place: Place, path: Path) -> None:
        self.value = value
        self.place = place
        self.path = path
        self.key = ""


def read_document(text: bytes, file: str) -> tuple[Any, Report]:
    """The JSON value of a text, and a Report that knows its places. The value is None where the report failed."""
    report = Report(file)
    decoded = _decode(text, report)
    if decoded is None:
        return None, report
    report.text = decoded
    report.place = Place(0)
    reader = _Reader(decoded, report)
    try:
        return reader.read(), report
    except _Syntax as error:
        report.place = Place(error.offset)
        report.add((), error.message)
    return None, report


def _decode(text: bytes, report: Report) -> str | None:
    if len(text) > MAX_TEXT_BYTES:
        report.add((), f"Expected at most {MAX_TEXT_BYTES:,} bytes, got {len(text):,}")
        return None
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.text = text[: error.start].decode("utf-8", "replace")
        report.place = Place(len(report.text))
        report.add((), f"Expected UTF-8, got the byte 0x{text[error.start]:02x}")
        return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class _Reader:
    def __init__(self, text: str, report: Report) -> None:
        self.text = text
        self.report = report
        self.at = 0
        self.nodes = 0
        self.open: list[_Open] = []
        self.scan = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode

    def read(self) -> Any:
        self.skip()
        root = Place(self.at)
        self.report.place = root
        value = self.value(root, ())
        while self.open:
            self.step(self.open[-1])
        self.skip()
        if self.at < len(self.text):
            raise self.unexpected("the end of the document")
        return value

    def skip(self) -> str:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def unexpected(self, wanted: str) -> _Syntax:
        if self.at >= len(self.text):
            return _Syntax(self.at, f"Expected {wanted}, got the end of the text")
        word = _WORD.match(self.text, self.at)
        got = word.group() if word and word.group() else self.text[self.at]
        return _Syntax(self.at, f"Expected {wanted}, got `{got}`{nearest(got, ('true', 'false', 'null'))}")

    def value(self, place: Place, path: Path) -> Any:
        """A scalar, or an empty container that `step` will fill."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Syntax(self.at, f"Expected at most {MAX_NODES:,} values in one document")
        char = self.text[self.at : self.at + 1]
        if char and char in "{[":
            if len(self.open) >= MAX_DEPTH:
                raise _Syntax(self.at, f"Expected at most {MAX_DEPTH} levels of nesting")
            value: Any = {} if char == "{" else []
            self.open.append(_Open(value, place, path))
            self.at += 1
            return value
        return self.scalar(char, path)

    def scalar(self, char: str, path: Path) -> Any:
        if not char or char not in '"-0123456789tfn':
            raise self.unexpected("a JSON value")
        start = self.at
        try:
            value, self.at = self.scan(self.text, start)
        except json.JSONDecodeError as error:
            if char == '"':
                raise _Syntax(error.pos, f"Expected a JSON string, got: {error.msg.lower()}") from None
            raise self.unexpected("a JSON value") from None
        except ValueError:
            raise _Syntax(start, "Expected a number of 64 bits, got one out of range") from None
        self.look_at(value, path, start)
        return value

    def look_at(self, value: Any, path: Path, start: int) -> None:
        """What JSON allows and nobody downstream can hold."""
        if isinstance(value, str):
            if _SURROGATE.search(value):
                raise _Syntax(start, "Expected Unicode text, got half of a surrogate pair")
        elif isinstance(value, int):
            if not -_INT_RANGE <= value < _INT_RANGE:
                raise _Syntax(start, "Expected a number of 64 bits, got one out of range")
        elif isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise _Syntax(start, "Expected a number of 64 bits, got one out of range")

    def step(self, top: _Open) -> None:
        """Reads one more item of the innermost container, or its end."""
        char = self.skip()
        closing = "}" if isinstance(top.value, dict) else "]"
        if char == closing:
            self.at += 1
            self.open.pop()
            return
        if top.value:
            if char != ",":
                raise self.unexpected(f"`,` or `{closing}`")
            self.at += 1
            if self.skip() == closing:
                raise self.unexpected("another value after `,`")
        if isinstance(top.value, dict):
            self.member(top)
        else:
            index = len(top.value)
            place = top.place.inside[index] = Place(self.at)
            top.value.append(None)
            top.value[index] = self.value(place, (*top.path, index))

    def member(self, top: _Open) -> None:
        start = self.at
        if self.text[start : start + 1] != '"':
            raise self.unexpected('a field name in `"`')
        key = self.scalar('"', top.path)
        if self.skip() != ":":
            raise self.unexpected("`:`")
        self.at += 1
        self.skip()
        place = Place(self.at)
        if key in top.value:
            top.place.inside[key] = Place(start)
            self.report.add((*top.path, key), "Expected each field once, got it twice")
        top.place.inside[key] = place
        top.place.keys[key] = start
        top.value[key] = None
        top.value[key] = self.value(place, (*top.path, key))
