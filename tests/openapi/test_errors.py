"""Every error, on every route, has the one shape, and says where and what helps."""

import re
import socket
from urllib.parse import quote

import httpx
import msgspec
import pytest

from engage.answers import Error, Said
from engage.operations import OPERATIONS
from tests.conftest import Service, until

PATHS = sorted({operation.path for operation in OPERATIONS})
KEYED = [operation for operation in OPERATIONS if operation.access != "none"]


def said(reply: httpx.Response, status: int) -> Said:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    whole = reply.json()
    # Where events are sent the code and the message stand beside it too.
    assert set(whole) in ({"error"}, {"error", "code", "message"})
    assert {**whole["error"], **whole, "error": None} == {**whole["error"], "error": None}
    assert set(whole["error"]) <= set(Said.__struct_fields__)
    return msgspec.json.decode(reply.content, type=Error).error


def address(path: str) -> str:
    return re.sub(r"\{\w+\}", "some-id", path)


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_a_path_does_not_know_is_told_which_it_knows(told: Service, path: str):
    reply = httpx.put(told.url + address(path), content=b"{}")
    assert said(reply, 405).field == "method"
    known = {operation.method for operation in OPERATIONS if operation.path == path}
    assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == known


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: f"{operation.method} {operation.path}")
@pytest.mark.parametrize("key", [None, "nobody's"])
def test_without_a_key_that_is_known_nothing_is_told(told: Service, operation, key: str | None):
    body = {"userId": "u", "event": "e", "groupId": "g", "previousId": "v", "batch": []}
    reply = httpx.request(
        operation.method,
        told.url + address(operation.path),
        auth=None if key is None else (key, ""),
        params={"userId": "u"},
        **({"json": body} if operation.body else {}),
    )
    assert said(reply, 401).code == "unauthorized"
    assert reply.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/users/user-42/history?limit=0", "limit"),
        ("/api/users/user-42/history?limit=501", "limit"),
        ("/api/users/user-42/history?limit=1_0", "limit"),
        ("/api/users/user-42/history?limit=%EF%BC%91", "limit"),
        ("/api/users/user-42/history?limit=", "limit"),
        ("/api/users/user-42/history?wait=26", "wait"),
        ("/api/users/user-42/history?wait=nan", "wait"),
        ("/api/users/user-42/history?wait=-1", "wait"),
        ("/api/users/user-42/history?after=1", "after"),
        ("/api/users/user-42/explain/hello?at=", "at"),
        ("/api/users/user-42/explain/hello?lang=xx", "lang"),
        ("/api/rulebooks?limit=%D9%A1", "limit"),
        ("/api/rulebooks?before=0", "before"),
        ("/api/rulebooks/none", "version"),
        ("/api/dead-letters?limit=0", "limit"),
        ("/api/dead-letters?kind=lost", "kind"),
        ("/api/dead-letters?before=1-1@nowhere", "before"),
        ("/api/audit?limit=501", "limit"),
    ],
)
def test_a_wrong_parameter_is_named(told: Service, path: str, field: str):
    error = said(httpx.get(told.url + path, auth=(told.secret_key, "")), 400)
    assert (error.code, error.field) == ("invalid_request", field)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/v1/deliveries/some-id/claim", b'{"userId":true}', 400, "$.userId"),
        ("/v1/deliveries/some-id/claim", b"[]", 400, "$"),
        ("/v1/deliveries/some-id/release", b'{"writeKey":1}', 400, "$.writeKey"),
        ("/v1/deliveries/some-id/claim", b" " * 20_000, 413, "$"),
        ("/api/rulebooks", b'{"base":"1"}', 400, "$.base"),
        ("/api/rulebooks", b'{"base":1,"author":""}', 400, "$.author"),
        ("/api/rulebooks", b'{"base":1,"remove":["../x"]}', 400, "remove"),
        ("/api/rulebooks/1/rollback", b'{"base":1,"more":1}', 400, "$.more"),
        ("/api/backtests", b'{"rule":"hello","last":0}', 400, "$.last"),
        ("/api/rulebooks", b"{}", 400, "$.base"),
        ("/v1/batch", b"{}", 400, "$.batch"),
        ("/api/backtests", b'{"messages":1}', 400, "$.messages"),
    ],
)
def test_a_wrong_field_of_a_body_is_named(told: Service, path: str, body: bytes, status: int, field: str):
    key = told.write_key if path.startswith("/v1/") else told.secret_key
    if path == "/api/rulebooks" and b"remove" in body:
        body = body.replace(b'"base":1', b'"base":%d' % _live(told))
    error = said(httpx.post(told.url + path, content=body, auth=(key, "")), status)
    assert error.field == field


def _live(told: Service) -> int:
    return httpx.get(f"{told.url}/api/rulebooks/live", auth=(told.secret_key, "")).json()["version"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/rules/", "/v1/track/", "/api/users/a/b", "/%2Fapi/rules", "/api%2Frules"]
)
def test_a_path_has_one_form_and_another_is_not_found(told: Service, path: str):
    error = said(httpx.get(told.url + path, auth=(told.secret_key, "")), 404)
    assert (error.code, error.got) == ("not_found", path)
    assert (error.hint is not None) is path.startswith("/api/users/")


@pytest.mark.parametrize("name", ["a/history", "a/export", "a/explain/hello", "a/b\n?#%2F", "/", "é/%", "\ufffd"])
def test_an_id_may_hold_anything(told: Service, name: str):
    path = f"/api/users/{quote(name, safe='')}"
    error = said(httpx.get(told.url + path, auth=(told.secret_key, "")), 404)
    assert (error.field, error.got) == ("id", name)
    history = httpx.get(f"{told.url}{path}/history", auth=(told.secret_key, ""))
    assert history.json() == {"records": [], "cursor": "0-0"}


def test_a_slash_in_an_id_is_found_again(told: Service):
    with told.client() as page, told.client(auth=(told.secret_key, "")) as server:
        assert page.post("/v1/group", json={"userId": "of/both", "groupId": "a/b"}).status_code == 200
        until(lambda: server.get("/api/groups/a%2Fb").status_code == 200, what="the group is known")
        assert server.get("/api/groups/a%2fb").json()["id"] == "a/b"
        until(lambda: server.get("/api/users/of%2Fboth").status_code == 200, what="the user is known")


@pytest.mark.parametrize("host", ["[", "a b", "", "x/../y?z"])
def test_an_odd_host_is_no_failure_of_ours(told: Service, host: str):
    reply = httpx.get(f"{told.url}/v1/projects/{told.write_key}/settings", headers={"host": host})
    assert reply.status_code == 200
    assert reply.json()["integrations"]["Segment.io"]["protocol"] == "http"
    said(httpx.get(f"{told.url}/v1/nothing", headers={"host": host}), 404)


@pytest.mark.parametrize(
    "line", [b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"GET /caf\xe9 HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_told_in_the_one_shape(told: Service, line: bytes):
    with socket.create_connection(("127.0.0.1", told.port), timeout=30) as connection:
        connection.sendall(line)
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"400", b"404"), reply
    assert b"content-type: application/json" in head
    assert msgspec.json.decode(body, type=Error).error.code in ("invalid_request", "not_found")
