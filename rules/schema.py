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
from rules.temporal import OPTIONS
from rules.variables import VARIABLES

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
KINDS: Final = tuple(STRUCTS)

_READERS: Final = ("var", "val", "exists")
_LOGIC: Final = {"$ref": "#/$defs/Logic"}
_ASKS: Final[dict[str, tuple[str, list[Any]]]] = {
    "count": ("How often it happened. With a window, compare it with a number.", ["page", {"within": "7d"}]),
    "did": ("Whether it ever happened.", ["Plan Purchased"]),
    "seconds_since": ("Seconds since the last one (or the first); null if never.", ["Export Failed"]),
}
_OPTION: Final[dict[str, dict[str, Any]]] = {
    "within": {"description": "The window before the decision: `(now − within, now]`.", "examples": ["7d", "10m"]},
    "where": {
        "description": "A condition on the event that is counted; it reads `event.*` and `page.*` alone.",
        "examples": [{"==": [{"var": "page.path"}, "/pricing"]}],
        "allOf": [_LOGIC, {"not": {"type": "null"}}],
    },
    "first": {"description": "Since the first one, not the last.", "type": "boolean"},
}


def document_schema(kind: str) -> dict[str, Any]:
    """The schema of a `rule`, `message` or `segment`. Raises KeyError for any other kind."""
    struct = STRUCTS[kind]
    contents = list(CONTENT.values()) if kind == "message" else []
    _, found = msgspec.json.schema_components([struct, *contents])
    schema: dict[str, Any] = {"$schema": DRAFT, **found.pop(struct.__name__)}
    schema["properties"]["$schema"]["examples"] = [f"http://127.0.0.1:8700/api/schemas/{kind}.json"]
    if kind == "message":
        _say_content(schema)
    else:
        found["Logic"] = _logic()
    return schema | {"$defs": found}


def _say_content(schema: dict[str, Any]) -> None:
    """What each kind of message holds, per locale."""
    schema["properties"]["content"]["propertyNames"] = {"pattern": f"^{LOCALE}$"}
    schema["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"content": {"additionalProperties": {"$ref": f"#/$defs/{struct.__name__}"}}}},
        }
        for kind, struct in CONTENT.items()
    ]


def _logic() -> dict[str, Any]:
    """A condition or an expression: a constant, a list, or one operator with its arguments."""
    operators: dict[str, Any] = dict.fromkeys(sorted(dialect.OPERATORS), _LOGIC)
    operators |= {name: {"description": "Reads the data.", "examples": _variables(), **_LOGIC} for name in _READERS}
    operators |= {name: _asked(name) for name in OPTIONS}
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
    """The arguments of an operator that asks for history: events, and options. One that is not described above takes any."""
    if name not in _ASKS:
        return {}
    text, example = _ASKS[name]
    events, within = (msgspec.json.schema(wanted) for wanted in (SomeEvents, Duration))
    options = {
        option: _OPTION[option] | (within if option == "within" else {}) if option in _OPTION else {}
        for option in OPTIONS[name]
    }
    return {
        "description": text,
        "examples": [example],
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "array",
                "minItems": 1,
                "maxItems": 2,
                "prefixItems": [
                    events,
                    {"type": "object", "properties": options, "additionalProperties": False},
                ],
            },
        ],
    }


def _variables() -> list[str]:
    """Names to complete: each root, and each field that is known by name."""
    names = []
    for root, fields in VARIABLES.items():
        names += [f"{root}.{field}" for field in fields] if fields else [root]
    return names
