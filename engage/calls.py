"""JSON Schema of what clients send: the calls of the Segment HTTP Tracking API, as `engage.wire` reads them.

It says what a schema can say. Bytes, depth and the number of keys are the reader's (`MAX_EVENT_BYTES`, `MAX_DEPTH`, `MAX_KEYS`).
"""

from typing import Any, Final

from engage.wire import MAX_BATCH_EVENTS, MAX_ID, MAX_NAME, TYPES

Schema = dict[str, Any]
_TEXT: Final = {"type": ["string", "null"]}
_BAG: Final = {"type": ["object", "null"]}
_ID: Final = {"type": ["string", "number", "null"]}
_SHORT_ID: Final = _ID | {"maxLength": MAX_ID}
_SOME_ID: Final = {"type": ["string", "number"], "minLength": 1, "maxLength": MAX_ID}
_TIME: Final = _ID | {"description": "ISO 8601, or epoch seconds or milliseconds; what is no time is passed over."}
_PROOFS: Final[Schema] = {
    "userHash": {"description": "The proof of the userId, where identity verification asks for one."},
    "userToken": {"description": "Likewise, as a signed token."},
}
_WRITE_KEY: Final = _TEXT | {"description": "The write key, where it is neither in the header nor in the query."}

# The fields of a WireEvent.
FIELDS: Final[dict[str, Schema]] = {
    "type": _TEXT | {"description": "The kind of call: in a batch it must be said."},
    "event": _TEXT | {"description": "What happened.", "maxLength": MAX_NAME},
    "messageId": _SHORT_ID | {"description": "Calls of the same messageId count once. Left out: one is assigned."},
    "userId": _SHORT_ID | {"description": "Who, once they have signed in. Where there is none, `anonymousId` says it."},
    "anonymousId": _ID | {"description": "The visitor before and beside the user."},
    "previousId": _ID | {"description": "Of an alias call: what the user was called before."},
    "groupId": _ID | {"description": "Of a group call: the account."},
    "timestamp": _TIME,
    "originalTimestamp": _TIME,
    "sentAt": _TIME,
    "writeKey": _WRITE_KEY,
    "properties": _BAG | {"description": "What is to be known of the event."},
    "traits": _BAG | {"description": "What is to be known of the user, or of the group."},
    "context": _BAG | {"description": "The page, the locale, the time zone, the device."},
    **_PROOFS,
}
# What a kind of call needs beside a person.
_NEEDS: Final[dict[str, dict[str, Schema]]] = {
    "track": {"event": {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "examples": ["Export Failed"]}},
    "group": {"groupId": _SOME_ID | {"examples": ["acme"]}},
    "alias": {"previousId": _SOME_ID | {"examples": ["visitor-7"]}},
}
_PERSON: Final = [{"required": [name], "properties": {name: _SOME_ID}} for name in ("userId", "anonymousId")]


def _call(kind: str) -> Schema:
    needs = _NEEDS.get(kind, {})
    return {
        "title": f"{kind.title()}Call",
        "type": "object",
        "properties": {name: schema | needs.get(name, {}) for name, schema in FIELDS.items()},
        "required": list(needs),
        "anyOf": _PERSON,
    }


IN_BATCH: Final[Schema] = {
    "title": "CallInBatch",
    "description": "As the call of its `type`, which a path does not say here.",
    "type": "object",
    "properties": FIELDS | {"type": {"enum": list(TYPES), "description": "The kind of call."}},
    "required": ["type"],
    "anyOf": _PERSON,
    "allOf": [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": needs, "required": list(needs)},
        }
        for kind, needs in _NEEDS.items()
    ],
}
# Kind of call → its body, by a path that names it.
CALLS: Final[dict[str, Schema]] = {kind: _call(kind) for kind in TYPES}
BATCH: Final[Schema] = {
    "title": "Batch",
    "type": "object",
    "properties": {
        "batch": {
            "description": "The calls. One that cannot be read does not keep the others out.",
            "type": "array",
            "maxItems": MAX_BATCH_EVENTS,
            "items": {"$ref": "#/$defs/CallInBatch"},
        },
        "sentAt": _TIME,
        "writeKey": _WRITE_KEY,
        "context": _BAG | {"description": "What the calls' contexts have in common."},
        **_PROOFS,
    },
    "required": ["batch"],
}
