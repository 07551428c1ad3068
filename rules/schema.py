"""JSON Schema (2020-12) of the documents, generated from their Structs: for editors, and for whoever writes documents by program.

It says what a schema can say. Names of variables, the number of an operator's arguments, bounds on memory, links and
what only the whole set shows are the checks' (`engage rules check`).
"""

from typing import Any, Final

import msgspec

from rules import dialect
from rules.check import STRUCTS
from rules.content import CONTENT, LOCALE
from rules.documents import Duration, SomeEvents
from rules.limits import MAX_STEPS
from rules.occasions import ABSENCE
from rules.occasions import KINDS as OCCASIONS
from rules.temporal import OPTIONS, SEEN, SEGMENT
from rules.variables import VARIABLES

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
KINDS: Final = tuple(STRUCTS)

_READERS: Final = ("var", "val", "exists")
_LOGIC: Final = {"$ref": "#/$defs/Logic"}
_ASKS: Final[dict[str, tuple[str, list[Any]]]] = {
    "count": ("How often it happened. With a window, compare it with a number.", ["page", {"within": "7d"}]),
    "did": ("Whether it ever happened.", ["Plan Purchased"]),
    "seconds_since": ("Seconds since the last one (or the first); null if never.", ["Export Failed"]),
    "distinct": (
        "How many different values a variable of these events had. Compare it with a number.",
        ["Feature Used", {"of": "event.properties.feature", "within": "30d"}],
    ),
    "days_active": (
        "On how many days one of these events happened; without a name: any event.",
        [{"within": "30d", "timezone": "Asia/Tokyo"}],
    ),
    "sequence": (
        "Whether these happened one after the other, the whole of it in the window.",
        [["Trial Started", "Project Created", "Invite Sent"], {"within": "7d"}],
    ),
    "seen": (
        "Whether the person was shown a message, or clicked, completed or dismissed it.",
        ["pricing-help", {"what": "dismissed", "within": "30d"}],
    ),
}
_OPTION: Final[dict[str, dict[str, Any]]] = {
    "within": {"description": "The window before the decision: `(now − within, now]`.", "examples": ["7d", "10m"]},
    "where": {
        "description": "A condition on the event that is counted; it reads `event.*` and `page.*` alone.",
        "examples": [{"==": [{"var": "page.path"}, "/pricing"]}],
        "allOf": [_LOGIC, {"not": {"type": "null"}}],
    },
    "first": {"description": "Since the first one, not the last.", "type": "boolean"},
    "of": {
        "description": "The variable whose different values are counted, of `event.*` or `page.*`.",
        "examples": ["event.properties.feature"],
        "type": "string",
        "pattern": r"^(event|page)(\.[^.0-9][^.]*)+$",
    },
    "timezone": {
        "description": "An IANA time zone: when days begin. Left out: UTC.",
        "examples": ["Asia/Tokyo"],
        "type": "string",
    },
    "what": {"description": "What was done with the message. Left out: `shown`.", "enum": list(SEEN)},
}
_STEP: Final = {
    "type": "object",
    "properties": {"event": msgspec.json.schema(SomeEvents), "where": _OPTION["where"]},
    "required": ["event"],
    "additionalProperties": False,
}
_ABOUT: Final[dict[str, dict[str, Any]]] = {
    "sequence": {
        "type": "array",
        "minItems": 2,
        "maxItems": MAX_STEPS,
        "items": {"anyOf": [msgspec.json.schema(SomeEvents), _STEP]},
    },
    "seen": {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        ]
    },
}
_SEGMENT: Final = {
    "description": "Whether a segment's condition holds: its id.",
    "examples": ["power-users"],
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string", "minLength": 1}},
    ],
}


def document_schema(kind: str) -> dict[str, Any]:
    """The schema of a `rule`, `message`, `segment` or `project`. Raises KeyError for any other kind."""
    struct = STRUCTS[kind]
    contents = list(CONTENT.values()) if kind == "message" else []
    _, found = msgspec.json.schema_components([struct, *contents])
    schema: dict[str, Any] = {"$schema": DRAFT, **found.pop(struct.__name__)}
    schema["properties"]["$schema"]["examples"] = [f"http://127.0.0.1:8700/api/schemas/{kind}.json"]
    if kind == "message":
        _say_content(schema)
    if kind != "project":
        found["Logic"] = _logic()
    if "Occasion" in found:
        found["Occasion"]["oneOf"] = [{"required": list(ABSENCE)}, *({"required": [name]} for name in OCCASIONS)]
    return schema | {"$defs": found}


def _say_content(schema: dict[str, Any]) -> None:
    """What each kind of message holds, per locale."""
    schema["properties"]["content"]["propertyNames"] = {"pattern": f"^{LOCALE}$"}
    rest: dict[str, Any] = {}
    for kind, struct in reversed(CONTENT.items()):
        content = {"additionalProperties": {"$ref": f"#/$defs/{struct.__name__}"}}
        rest = {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"content": content}},
        } | ({"else": rest} if rest else {})
    schema |= rest


def _logic() -> dict[str, Any]:
    """A condition or an expression: a constant, a list, or one operator with its arguments."""
    operators: dict[str, Any] = dict.fromkeys(sorted(dialect.OPERATORS), _LOGIC)
    operators |= {name: {"description": "Reads the data.", "examples": _variables(), **_LOGIC} for name in _READERS}
    operators |= {name: _asked(name) for name in OPTIONS} | {SEGMENT: _SEGMENT}
    return {
        "title": "Condition",
        "description": "JSONLogic: a constant, a list, or an object with one operator.",
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": _LOGIC},
            {"type": "object", "maxProperties": 1, "properties": operators, "additionalProperties": False},
        ],
    }


def _asked(name: str) -> dict[str, Any]:
    """The arguments of an operator that asks for history: what is asked about, and options."""
    text, example = _ASKS[name]
    within = msgspec.json.schema(Duration)
    options = {
        "type": "object",
        "properties": {option: _OPTION[option] | (within if option == "within" else {}) for option in OPTIONS[name]},
        "additionalProperties": False,
        "required": ["of"] if name == "distinct" else [],
    }
    about = _ABOUT.get(name) or msgspec.json.schema(SomeEvents)
    least = 2 if name == "distinct" else 1
    forms: list[dict[str, Any]] = [{"type": "array", "minItems": least, "maxItems": 2, "prefixItems": [about, options]}]
    if name not in ("distinct", "sequence"):
        forms.append({"type": "string", "minLength": 1})
    if name == "days_active":
        forms += [options, {"type": "array", "maxItems": 1, "items": options}]
    return {"description": text, "examples": [example], "anyOf": forms}


def _variables() -> list[str]:
    """Names to complete: each root, and each field that is known by name."""
    names = []
    for root, fields in VARIABLES.items():
        names += [f"{root}.{field}" for field in fields] if fields else [root]
    return names
