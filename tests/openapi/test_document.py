"""The document is valid, and it tells of every route of the application and of no other."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from engage.app import Service
from engage.calls import BATCH, FIELDS
from engage.errors import EngageError
from engage.ingest import ROUTES
from engage.openapi import codes
from engage.operations import OPERATIONS, encoded
from engage.projects import load_projects
from engage.settings import load_settings
from engage.wire import WireBatch, WireEvent

DOCUMENT = json.loads(encoded())


def test_it_is_valid_openapi():
    document = json.loads(encoded())
    document["components"]["schemas"]["Logic"] = {}  # it nests without end, and so would this validator
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_it_tells_of_every_route_and_of_no_other(tmp_path: Path):
    settings = load_settings({"ENGAGE_DATA_DIR": str(tmp_path)})
    app = Service(settings, load_projects(settings)).app
    routes = {("POST", path) for path in ROUTES}
    for route in app.routes:
        assert isinstance(route, Route), f"what is {route}?"
        path = re.sub(r":\w+}", "}", route.path)
        routes |= {(method, path) for method in (route.methods or ()) if method != "HEAD"}
    told = {(operation.method, operation.path) for operation in OPERATIONS}
    assert routes - told == set(), "add an Operation to engage/operations.py; engage/openapi.py says how"
    assert told - routes == set(), "no such route"


def test_every_operation_has_a_name_of_its_own():
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_stands_in_a_path_is_told_of(operation):
    told = [parameter.name for parameter in operation.parameters if parameter.place == "path"]
    assert re.findall(r"\{(\w+)\}", operation.path) == told


def test_calls_have_the_fields_that_are_read():
    assert list(FIELDS) == [field.name for field in msgspec.structs.fields(WireEvent)]
    assert set(BATCH["properties"]) == {field.name for field in msgspec.structs.fields(WireBatch)}


def test_every_error_is_told_of():
    known = codes()
    assert EngageError.code in known[500]
    for status, names in known.items():
        text = DOCUMENT["components"]["responses"][f"Error{status}"]["description"]
        assert all(name in text for name in names)


def test_limits_are_those_of_the_code():
    [limit] = [p for p in DOCUMENT["paths"]["/api/users/{id}/history"]["get"]["parameters"] if p["name"] == "limit"]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 500}
    assert DOCUMENT["components"]["schemas"]["TrackCall"]["properties"]["event"]["maxLength"] == 256
