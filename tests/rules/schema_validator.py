"""JSON Schema 2020-12, as much of it as the project's schemas use; any other keyword is a mistake here.

Agrees with the `jsonschema` package on every document of these tests; written out, so that the tests need no other package.
"""

import re
from typing import Any

SILENT = {"$schema", "$defs", "title", "description", "default", "examples"}
TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def accepts(schema: dict[str, Any], value: Any) -> bool:
    return _Validator(schema).valid(schema, value)


class _Validator:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def valid(self, schema: Any, value: Any) -> bool:
        if isinstance(schema, bool):
            return schema
        return all(self.keyword(name, wanted, schema, value) for name, wanted in schema.items())

    def keyword(self, name: str, wanted: Any, schema: dict[str, Any], value: Any) -> bool:
        if name in SILENT or name in ("then", "else"):
            return True
        method = getattr(self, f"on_{name.removeprefix('$')}", None)
        assert method is not None, f"the validator does not know `{name}`"
        return bool(method(wanted, value, schema))

    def on_ref(self, wanted: str, value: Any, schema: Any) -> bool:
        assert wanted.startswith("#/$defs/"), wanted
        return self.valid(self.root["$defs"][wanted.removeprefix("#/$defs/")], value)

    def on_type(self, wanted: Any, value: Any, schema: Any) -> bool:
        return any(_is(name, value) for name in (wanted if isinstance(wanted, list) else [wanted]))

    def on_enum(self, wanted: list[Any], value: Any, schema: Any) -> bool:
        return any(type(value) is type(one) and value == one for one in wanted)

    def on_const(self, wanted: Any, value: Any, schema: Any) -> bool:
        return self.on_enum([wanted], value, schema)

    def on_anyOf(self, wanted: list[Any], value: Any, schema: Any) -> bool:
        return any(self.valid(one, value) for one in wanted)

    def on_oneOf(self, wanted: list[Any], value: Any, schema: Any) -> bool:
        return sum(self.valid(one, value) for one in wanted) == 1

    def on_allOf(self, wanted: list[Any], value: Any, schema: Any) -> bool:
        return all(self.valid(one, value) for one in wanted)

    def on_not(self, wanted: Any, value: Any, schema: Any) -> bool:
        return not self.valid(wanted, value)

    def on_if(self, wanted: Any, value: Any, schema: Any) -> bool:
        return self.valid(schema.get("then" if self.valid(wanted, value) else "else", True), value)

    def on_pattern(self, wanted: str, value: Any, schema: Any) -> bool:
        return not isinstance(value, str) or re.search(wanted, value) is not None

    def on_minLength(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, str) or len(value) >= wanted

    def on_maxLength(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, str) or len(value) <= wanted

    def on_minimum(self, wanted: float, value: Any, schema: Any) -> bool:
        return not _is("number", value) or value >= wanted

    def on_maximum(self, wanted: float, value: Any, schema: Any) -> bool:
        return not _is("number", value) or value <= wanted

    def on_minItems(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, list) or len(value) >= wanted

    def on_maxItems(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, list) or len(value) <= wanted

    def on_prefixItems(self, wanted: list[Any], value: Any, schema: Any) -> bool:
        return not isinstance(value, list) or all(map(self.valid, wanted, value))

    def on_items(self, wanted: Any, value: Any, schema: Any) -> bool:
        start = len(schema.get("prefixItems", ()))
        return not isinstance(value, list) or all(self.valid(wanted, item) for item in value[start:])

    def on_minProperties(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, dict) or len(value) >= wanted

    def on_maxProperties(self, wanted: int, value: Any, schema: Any) -> bool:
        return not isinstance(value, dict) or len(value) <= wanted

    def on_required(self, wanted: list[str], value: Any, schema: Any) -> bool:
        return not isinstance(value, dict) or all(name in value for name in wanted)

    def on_properties(self, wanted: dict[str, Any], value: Any, schema: Any) -> bool:
        return not isinstance(value, dict) or all(
            self.valid(inner, value[name]) for name, inner in wanted.items() if name in value
        )

    def on_propertyNames(self, wanted: Any, value: Any, schema: Any) -> bool:
        return not isinstance(value, dict) or all(self.valid(wanted, name) for name in value)

    def on_additionalProperties(self, wanted: Any, value: Any, schema: Any) -> bool:
        known = schema.get("properties", {})
        return not isinstance(value, dict) or all(
            self.valid(wanted, inner) for name, inner in value.items() if name not in known
        )


def _is(name: str, value: Any) -> bool:
    if name in TYPES:
        return isinstance(value, TYPES[name])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return name == "number" or value == int(value)
