"""What of an event the service may keep: fields that are removed or hashed before anything is written, and the consent that is needed.

A field is named by where it stands in an event: `properties.…`, `traits.…` (an identify's or a group's, and what `context.traits` says) or
`context.…`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rules.documents import Definitions, Privacy, Rule, Segment
from rules.limits import MAX_PRIVATE_FIELD, MAX_PRIVATE_FIELDS
from rules.problems import Path, Report, nearest

FIELD_ROOTS: Final = ("properties", "traits", "context")
_SPLIT: Final = re.compile(r"\.")
_DEVICE: Final = {"user_agent": "userAgent"}
_DEVICE_CONTEXT: Final = ("locale", "timezone", "user_agent", "screen", "os")
Fields = tuple[str, ...]


def read_privacy(privacy: Privacy, path: Path, report: Report) -> None:
    """Reports what is no field, stands twice, or can never be reached."""
    denied = _read(privacy.deny, (*path, "deny"), report)
    hashed = _read(privacy.hash, (*path, "hash"), report)
    for index, field in hashed.items():
        if any(field[: len(other)] == other for other in denied.values()):
            message = f"`{'.'.join(field)}` is denied: there is nothing left of it to hash"
            report.add((*path, "hash", index), message, "warning")
    if privacy.consent is not None and not privacy.consent.strip():
        report.add((*path, "consent"), "Expected a category of your consent management, got an empty text")


def _read(fields: Sequence[str], path: Path, report: Report) -> dict[int, Fields]:
    if len(fields) > MAX_PRIVATE_FIELDS:
        report.add(path, f"Expected at most {MAX_PRIVATE_FIELDS} fields, got {len(fields)}")
        return {}
    found: dict[int, Fields] = {}
    for index, text in enumerate(fields):
        place = (*path, index)
        root, *names = _SPLIT.split(text)
        if len(text) > MAX_PRIVATE_FIELD:
            report.add(place, f"Expected at most {MAX_PRIVATE_FIELD} characters, got {len(text)}")
        elif root not in FIELD_ROOTS:
            guess = nearest(root, FIELD_ROOTS) or f", such as `traits.{text[:40]}`"
            report.add(place, f"Expected a field of `properties`, `traits` or `context`, got `{text[:60]}`{guess}")
        elif not names or not all(names):
            report.add(place, f"Expected a field inside `{root}`, such as `{root}.email`, got `{text[:60]}`")
        elif (root, *names) in found.values():
            report.add(place, f"Expected each field once, got `{text[:60]}` twice", "warning")
        else:
            found[index] = (root, *names)
    return found


def denied_reads(document: Rule | Segment, definitions: Definitions) -> Iterator[tuple[Path, str]]:
    """Where a condition reads a field that the project denies, and what to say of it."""
    denied = [tuple(field.split(".")) for one in definitions.project if one.privacy for field in one.privacy.deny]
    if not denied:
        return
    read: list[tuple[Path, str]] = list(_variables(document.condition, ("condition",)))
    if isinstance(document, Rule):
        read += _variables(document.delay, ("delay",))
    for path, name in read:
        for field in _fields_of(name):
            for other in denied:
                if field[: len(other)] == other:
                    yield path, f"`{name}` is never there: the project denies `{'.'.join(other)}`"
                    break


def _variables(logic: Any, path: Path) -> Iterator[tuple[Path, str]]:
    waiting: list[tuple[Any, Path]] = [(logic, path)]
    while waiting:
        value, here = waiting.pop()
        inside: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            named = value.get("var")
            name = named[0] if isinstance(named, list) and named else named
            if isinstance(name, str):
                yield here, name
            inside = value.items()
        elif isinstance(value, list):
            inside = enumerate(value)
        waiting += [(item, (*here, key)) for key, item in inside]


def _fields_of(name: str) -> Iterator[Fields]:
    """The fields of an event that a variable is made of."""
    root, *names = name.split(".")
    if (root == "event" and names[:1] == ["properties"]) or (root in ("user", "group") and names[:1] == ["traits"]):
        yield tuple(names)
    elif root == "page":
        yield ("context", "page", *names)
    elif root == "device" and names:
        if names[0] in _DEVICE_CONTEXT:
            yield ("context", _DEVICE.get(names[0], names[0]), *names[1:])
        else:
            yield ("context", "device", *names)
