"""The shape of a document, checked field by field so that every problem is reported at once."""

import re
from typing import Any, TypeVar, get_args

import msgspec

from rules.problems import Path, Report, kind_of, nearest

S = TypeVar("S", bound=msgspec.Struct)
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<where>.*?)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def to_struct(value: Any, struct: type[S], report: Report) -> S | None:
    """The document as its Struct, or None with the problems reported."""
    before = len(report.problems)
    check_shape(value, struct, (), report)
    if len(report.problems) > before:
        return None
    try:
        return msgspec.convert(value, struct)
    except msgspec.ValidationError as error:
        _add(error, value, (), report)
        return None


def check_shape(value: Any, struct: type[msgspec.Struct], path: Path, report: Report) -> None:
    if not isinstance(value, dict):
        report.add(path, f"Expected an object, got {kind_of(value)}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name in value:
        if name not in fields:
            report.add(path, f"Unknown field `{name[:60]}`{nearest(name, fields)}", key=name)
    for name, field in fields.items():
        if name in value:
            _check_field(value[name], field.type, (*path, name), report)
        elif field.required:
            report.add(path, f"Expected the field `{name}`, which is missing")


def _check_field(value: Any, wanted: Any, path: Path, report: Report) -> None:
    inner = _struct_in(wanted)
    if inner is not None and isinstance(value, dict):
        check_shape(value, inner, path, report)
        return
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        _add(error, value, path, report)


def _struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    for option in get_args(wanted) or (wanted,):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _add(error: msgspec.ValidationError, value: Any, path: Path, report: Report) -> None:
    match = _AT.match(str(error))
    if match is None:
        report.add(path, str(error))
        return
    steps: list[str | int] = []
    for key, index in _STEP.findall(match["where"] or ""):
        if key == "" and not index.isdigit():
            break  # `[...]`: msgspec does not say which key
        steps.append(key or int(index))
    got = "" if ", got" in match["what"] else f", got {kind_of(_reach(value, steps))}"
    report.add((*path, *steps), match["what"] + got)


def _reach(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        value = value[step]
    return value
