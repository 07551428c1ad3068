"""The HTTP surface as one OpenAPI 3.1 document, made of the code's own Structs, errors and limits: `GET /api/openapi.json`.

To add an operation, add a route to the application, and to `engage.operations` an `Operation`: its method, path and name, what it
does, who may call it, its parameters, the Struct of its body, and the type of its answer.
Statuses that every operation may answer, and those that follow from its access and body, are added here; `errors` names the others.
A test fails while a route is not told of, one that is told of is not there, or an operation was never seen to succeed as told.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from engage import __version__, errors
from engage.answers import Error
from engage.calls import BATCH, CALLS, IN_BATCH
from engage.errors import EngageError
from rules import KINDS, document_schema

Access = Literal["none", "page", "page or server", "server"]
Content = dict[str, Any]
COMPONENTS: Final = "#/components/schemas/"
JSON: Final = "application/json"

SCHEMES: Final[dict[str, dict[str, str]]] = {
    "writeKey": {
        "type": "http",
        "scheme": "basic",
        "description": "The write key as user name, without a password. Calls with a body may carry it there as `writeKey` instead.",
    },
    "writeKeyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "writeKey",
        "description": "The write key in the query, for what cannot set headers: beacons, event streams.",
    },
    "secretKey": {
        "type": "http",
        "scheme": "basic",
        "description": "The secret key as user name, without a password. For servers only.",
    },
    "secretKeyBearer": {"type": "http", "scheme": "bearer", "description": "The secret key. For servers only."},
}
_PAGE: Final = ("writeKey", "writeKeyQuery")
_SERVER: Final = ("secretKey", "secretKeyBearer")
_SCHEMES_OF: Final[dict[Access, tuple[str, ...]]] = {
    "none": (),
    "page": _PAGE,
    "page or server": _PAGE + _SERVER,
    "server": _SERVER,
}
_ERRORS_OF: Final[dict[Access, tuple[int, ...]]] = {
    "none": (),
    "page": (401, 403),
    "page or server": (401, 403),
    "server": (401,),
}
_ALWAYS: Final = (408, 429, 431, 500, 503)
_MEANING: Final = {
    400: "The request is wrong; it says where.",
    401: "The key is missing, or not known.",
    403: "The caller may not: their origin is not allowed, or their identity is not proven.",
    404: "There is nothing of that name.",
    408: "The request took too long to arrive.",
    409: "What the caller has looked at is not what is there any more.",
    413: "The body is larger than is taken.",
    422: "The documents do not work; each problem is told with its place.",
    429: "It passes: the same again after `Retry-After` seconds. A rate limit, or the store is away.",
    431: "The head of the request is larger than is taken.",
    500: "A failure of the service.",
    503: "This process is full: another one may have room, or this one after `Retry-After` seconds.",
}
_HEADERS: Final[dict[int, Content]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}},
}
_HEADERS[503] = _HEADERS[429]


class Parameter(msgspec.Struct, frozen=True):
    """One in the query or a header; `type` may be any type that msgspec knows."""

    name: str
    type: Any
    description: str
    example: Any = None
    place: Literal["query", "header", "path"] = "query"


class Answer(msgspec.Struct, frozen=True):
    """What a status answers: the type of its JSON (or of one of several), or, where it is none, its media type."""

    status: int
    description: str
    type: Any = None
    media: str | None = None
    headers: dict[str, str] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `name` is what generated clients call it. `body` is a type, or a schema where no type says it; `needs_body`: whether
    the call is wrong without. `answers`: those that are no errors, or errors of a shape of their own."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    tag: str
    summary: str
    access: Access
    answers: Sequence[Answer]
    description: str = ""
    parameters: Sequence[Parameter] = ()
    body: Any = None
    needs_body: bool = True
    examples: dict[str, Any] = {}
    errors: Sequence[int] = ()


def document(operations: Iterable[Operation]) -> Content:
    """The whole document, as JSON values."""
    operations = list(operations)
    types: dict[int, Any] = {id(Error): Error}
    for operation in operations:
        used = [operation.body, *(p.type for p in operation.parameters), *(answer.type for answer in operation.answers)]
        alone = [one for some in used for one in (some if isinstance(some, tuple) else (some,))]
        types |= {id(one): one for one in alone if one is not None and not isinstance(one, dict)}
    schemas, components = msgspec.json.schema_components(types.values(), ref_template=COMPONENTS + "{name}")
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, Content] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "Engage",
            "version": __version__,
            "description": "Watches what people do inside a web product and shows each the one thing that helps. Every error has one shape.",
        },
        "servers": [{"url": "/", "description": "The service that this document came from."}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((components | _documents() | _calls() | _error(components)).items())),
            "responses": {f"Error{status}": _error_response(status) for status in _MEANING},
            "securitySchemes": SCHEMES,
        },
    }
    return cast(Content, _within(found))


def codes() -> dict[int, list[str]]:
    """Status → the codes of the errors that have it."""
    found: dict[int, list[str]] = {}
    kinds = [EngageError]
    for kind in kinds:
        kinds += [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
        found.setdefault(kind.status, []).append(kind.code)
    return {status: sorted(names) for status, names in sorted(found.items())}


def _operation(operation: Operation, schema_of: dict[int, Content]) -> Content:
    def schema(type: Any) -> Content:
        if isinstance(type, tuple):
            return {"anyOf": [schema(one) for one in type]}
        return type if isinstance(type, dict) else schema_of[id(type)]

    found: Content = {"operationId": operation.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        found["description"] = operation.description
    if operation.parameters:
        found["parameters"] = [_parameter(parameter, schema(parameter.type)) for parameter in operation.parameters]
    if operation.body is not None:
        content: Content = {"schema": schema(operation.body)}
        if operation.examples:
            content["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
        found["requestBody"] = {"required": operation.needs_body, "content": {JSON: content}}
    statuses = {*_ALWAYS, *_ERRORS_OF[operation.access], *operation.errors}
    if operation.body is not None:
        statuses |= {400, 413}
    elif any(parameter.place == "query" for parameter in operation.parameters):
        statuses |= {400}
    responses = {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}
    responses |= {answer.status: _answer(answer, schema) for answer in operation.answers}
    found["responses"] = {str(status): response for status, response in sorted(responses.items())}
    found["security"] = [{scheme: []} for scheme in _SCHEMES_OF[operation.access]]
    return found


def _parameter(parameter: Parameter, schema: Content) -> Content:
    found: Content = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": schema,
    }
    if parameter.place == "path":
        found["required"] = True
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _answer(answer: Answer, schema: Any) -> Content:
    found: Content = {"description": answer.description}
    if answer.type is not None or answer.media is not None:
        content = {"schema": {"type": "string"} if answer.type is None else schema(answer.type)}
        found["content"] = {answer.media or JSON: content}
    if answer.headers:
        found["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    return found


def _error_response(status: int) -> Content:
    found: Content = {
        "description": f"{_MEANING[status]} `code`: {', '.join(codes()[status])}.",
        "content": {JSON: {"schema": {"$ref": f"{COMPONENTS}Error"}}},
    }
    return found | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _error(components: Content) -> Content:
    """Codes are an open list: a client must bear one that it does not know."""
    said = components["Said"]
    known = sorted({code for some in codes().values() for code in some})
    said["properties"]["code"] |= {"examples": known}
    return {"Said": said}


def _calls() -> Content:
    return {schema["title"]: schema for schema in (BATCH, IN_BATCH, *CALLS.values())}


def _documents() -> Content:
    """The schemas of the documents, as `/api/schemas/` gives them, with what they are made of."""
    found: Content = {}
    for kind in KINDS:
        schema = document_schema(kind)
        schema.pop("$schema")
        found |= schema.pop("$defs")
        found[kind.title()] = schema
    return found


def _within(value: Any) -> Any:
    """With what names a definition of its own schema naming a component of this document."""
    if isinstance(value, dict):
        return {
            name: inner.replace("#/$defs/", COMPONENTS) if name == "$ref" and isinstance(inner, str) else _within(inner)
            for name, inner in value.items()
        }
    return [_within(inner) for inner in value] if isinstance(value, list) else value
