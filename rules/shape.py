"""The shape of a document, checked field by field so that every problem is reported at once."""

import re
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from rules.problems import Path, Report, kind_of, nearest

S = TypeVar("S", bound=msgspec.Struct)
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<where>.*?)`)?$", re.DOTALL)
# What msgspec calls a type, in words an author knows.
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"} | {
    "object": "an object", "array": "an array"
}  # fmt: skip
_PLAIN = re.compile(rf"`((?:{'|'.join(_WORDS)})(?: \| (?:{'|'.join(_WORDS)}))*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def in_words(said: str) -> str:
    """What msgspec says of types, in words: `` `int | null` `` is "a whole number or null"."""
    return _PLAIN.sub(lambda found: " or ".join(_WORDS[name] for name in found[1].split(" | ")), said)


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
    before = len(report.problems)
    if isinstance(value, list) and (options := _parts(wanted, list)):
        for index, item in enumerate(value):
            _check_field(item, options[0], (*path, index), report)
    elif isinstance(value, dict) and (options := _parts(wanted, dict)):
        for key, item in value.items():
            _check_field(item, options[1], (*path, key), report)
    if len(report.problems) == before:
        _convert(value, wanted, path, report)


def _convert(value: Any, wanted: Any, path: Path, report: Report) -> None:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        words = _words_in(wanted)
        if words:
            listed = ", ".join(f"`{word}`" for word in words)
            other = " or an object" if _struct_in(wanted) else ""
            near = nearest(value, words) if isinstance(value, str) else ""
            report.add(path, f"Expected {listed}{other}, got {kind_of(value)}{near}")
        else:
            _add(error, value, path, report)


def _bare(wanted: Any) -> Any:
    """A type without what is annotated to it."""
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _parts(wanted: Any, kind: type) -> tuple[Any, ...]:
    """Of what a field's list or dict is, where it is one (or may be one)."""
    wanted = _bare(wanted)
    for option in (wanted, *map(_bare, get_args(wanted))):
        if get_origin(option) is kind:
            return get_args(option)
    return ()


def _struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    wanted = _bare(wanted)
    for option in (wanted, *get_args(wanted)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _words_in(wanted: Any) -> tuple[str, ...]:
    """The words of a Literal, where a field is one (or may be one)."""
    wanted = _bare(wanted)
    for option in (wanted, *get_args(wanted)):
        if get_origin(option) is Literal:
            return get_args(option)
    return ()


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
    what = in_words(match["what"])
    what = what.partition(", got ")[0].replace(" of length >= 1", " that is not empty").removesuffix(" or null")
    came = _reach(value, steps)
    text = "the text " if isinstance(came, str) and came and "text" not in what else ""
    report.add((*path, *steps), f"{what}, got {text}{kind_of(came)}")


def _reach(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        value = value[step]
    return value
