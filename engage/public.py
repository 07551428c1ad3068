"""The public wire beside ingest: the stream, the inbox, claim and release, articles, a project's theme, client settings, the snippet's files."""

import asyncio
import random
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engage import inbox
from engage.access import Access
from engage.articles import Articles
from engage.cors import cors_headers, preflight_headers
from engage.errors import (
    EngageError,
    InvalidEvent,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
    error_response,
)
from engage.inbox import Held
from engage.ingest import Receive, Scope, Send
from engage.keys import shard_of_delivery
from engage.policies import Standing
from engage.projects import Project
from engage.query import whole_number
from engage.sdk import SdkFiles
from engage.store import STORE_ERRORS
from engage.stream import Client, Hub, parse_cursor
from engage.times import iso, now_ms
from engage.wire import Id, identifier

T = TypeVar("T")
C = TypeVar("C", bound="Claim")
MAX_STEP: Final = 1_000
MAX_TURN: Final = 1 << 31
MAX_BODY: Final = 16 * 1024
USUAL_HITS: Final = 8  # articles that a search finds
MOST_HITS: Final = 20
THEME_SECONDS: Final = 300  # that a browser keeps a project's theme
RETRY_MS: Final = (1_000, 3_000)  # when a stream that broke is opened again: not by all in the same moment
SENT_AT_ONCE: Final = 16 * 1024  # bytes of a stream
_SSE_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Claim(msgspec.Struct, kw_only=True):
    """Who claims or releases, where that is not said in the header or the query."""

    writeKey: str | None = None
    userId: Id = None
    userHash: Any = None
    userToken: Any = None


class Release(Claim, kw_only=True):
    """`step`: a tour is to go on there (from 0), on another page. `snooze`: the person wants to be reminded later, and it goes on then.
    `turn` of the delivery as it was claimed: who does not know whether it was given back may say so again."""

    snooze: bool = False
    turn: Annotated[float, msgspec.Meta(ge=0, le=MAX_TURN)] | None = None
    step: Annotated[float, msgspec.Meta(ge=0, le=MAX_STEP)] | None = None  # JSON Schema takes 2.0 for a whole number


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def read_body(request: Request, struct: type[T], most: int, absent: T | None = None) -> T:
    """A request's JSON body as a Struct; `absent` where there is none. Raises PayloadTooLarge beyond `most` bytes, InvalidRequest with the
    field for what is no such body."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise PayloadTooLarge(f"a body of at most {most} bytes", "more", field="$")
    if not body and absent is not None:
        return absent
    try:
        return msgspec.json.decode(bytes(body), type=struct)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        said = InvalidEvent.from_decoder(error)
        raise InvalidRequest(said.expected, said.got, field=said.field) from None


class Public:
    """The routes of the public wire and what they need."""

    def __init__(
        self,
        access: Access,
        hub: Hub,
        client: Any,
        shards: int,
        articles: Articles,
        files: SdkFiles,
        standing: Mapping[str, Standing],
    ) -> None:
        self._access = access
        self._hub = hub
        self._client = client
        self._shards = shards
        self._articles = articles
        self._files = files
        self._standing = standing

    def routes(self) -> list[Route]:
        return [
            Route("/v1/stream", Stream(self._access, self._hub), methods=["GET"]),
            Route("/v1/inbox", self.inbox, methods=["GET"]),
            Route("/v1/deliveries/{delivery_id}/claim", self.claim, methods=["POST"]),
            Route("/v1/deliveries/{delivery_id}/release", self.release, methods=["POST"]),
            Route("/v1/articles", self.articles, methods=["GET"]),
            Route("/v1/articles/{article_id}", self.article, methods=["GET"]),
            Route("/v1/projects/{write_key}/settings", self.settings, methods=["GET"]),
            Route("/v1/projects/{write_key}/theme.css", self.theme, methods=["GET"]),
            Route("/sdk/{name}", self.sdk, methods=["GET"]),
        ]

    async def inbox(self, request: Request) -> Response:
        project = self._access.public(request)
        now = now_ms()
        found = []
        persons, _ = self._access.persons(request, project)
        for person in persons:
            found += await inbox.read_pending(self._client, self._hub.keys(project.id, person), person, None, now)
        return json_response({"deliveries": [pending.delivery for pending in found]}, headers=_NO_STORE)

    async def claim(self, request: Request) -> Response:
        project, delivery_id, _, _ = await self._delivery(request, Claim)
        return json_response(
            {"claimed": bool(await inbox.claim(self._client, project, self._shards, delivery_id, now_ms()))}
        )

    async def release(self, request: Request) -> Response:
        _, delivery_id, held, body = await self._delivery(request, Release)
        if not body.snooze and body.step is None:
            return json_response({"released": await inbox.release(self._client, held, delivery_id)})
        again = await inbox.again(self._client, held, delivery_id, int(body.step or 0), now_ms(), body.snooze)
        if again is None:
            raise InvalidRequest("a delivery of a rule that has `snooze`", delivery_id, field="snooze")
        released = body.turn in (None, again.turn) and await inbox.release(self._client, held, delivery_id, again)
        told = {"not_before": iso(again.since)} if released and body.snooze else {}
        return json_response({"released": released} | told)

    async def article(self, request: Request) -> Response:
        project = self._access.public(request)
        article = await self._articles.find(
            project.id, request.path_params["article_id"], request.query_params.get("locale")
        )
        return json_response(article, headers=_KEPT_BRIEFLY)

    async def articles(self, request: Request) -> Response:
        project = self._access.public(request)
        query = request.query_params
        limit = whole_number(query.get("limit"), "limit", MOST_HITS) or USUAL_HITS
        found = await self._articles.search(project.id, query.get("q", ""), query.get("locale"), limit)
        return json_response({"articles": found}, headers=_KEPT_BRIEFLY)

    async def settings(self, request: Request) -> Response:
        """What `@segment/analytics-next` loads before it sends anything: where events go, by the address it was asked at."""
        self._project(request)
        key, host = request.path_params["write_key"], f"{request.headers.get('host', '')}/v1"
        return json_response(
            {
                "integrations": {
                    "Segment.io": {"apiKey": key, "apiHost": host, "protocol": request.scope["scheme"]},
                },
                # Unless it is told otherwise, the client sends figures about itself to Segment's own servers.
                "metrics": {"sampleRate": 0, "host": host},
                "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
                "remotePlugins": [],
            },
            headers={"cache-control": "no-store"},
        )

    async def theme(self, request: Request) -> Response:
        """The project's theme as a style sheet; an empty one where it has none."""
        sheet = self._standing[self._project(request).id].theme
        headers = {
            "etag": f'"{blake2b(sheet, digest_size=8).hexdigest()}"',
            "cache-control": f"public, max-age={THEME_SECONDS}",
            "x-content-type-options": "nosniff",
        }
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(sheet, headers=headers, media_type="text/css")

    def _project(self, request: Request) -> Project:
        """The one whose write key the path names. Raises NotFound."""
        key = request.path_params["write_key"]
        if key not in self._access.by_write_key:
            raise NotFound("a write key", key, field="writeKey")
        return self._access.by_write_key[key]

    async def sdk(self, request: Request) -> Response:
        return self._files.response(request.path_params["name"], request.headers)

    async def _delivery(self, request: Request, struct: type[C]) -> tuple[str, str, Held, C]:
        """The project, the delivery of the path and where it is, and the body: of a person whom that or the query proves where it is
        asked for."""
        body = await read_body(request, struct, MAX_BODY, struct())
        project: Project = self._access.public(request, body.writeKey)
        delivery_id = request.path_params["delivery_id"]
        if shard_of_delivery(delivery_id, self._shards) is None:
            raise NotFound("the id of a delivery", delivery_id, field="delivery_id")
        held = await inbox.holder(self._client, project.id, self._shards, delivery_id)
        if held is None:
            raise NotFound("the id of a delivery", delivery_id, field="delivery_id")
        query = request.query_params
        user = identifier(body.userId, "userId") or query.get("userId")
        given = (body.userHash or query.get("userHash"), body.userToken or query.get("userToken"))
        self._access.identities[project.id].holder(held.person, user, *given)
        return project.id, delivery_id, held, body


_NO_STORE: Final = {"cache-control": "no-store"}
_KEPT_BRIEFLY: Final = {"cache-control": "public, max-age=30"}


class Stream:
    """`GET /v1/stream`: one user's deliveries as Server-Sent Events, as a plain ASGI callable."""

    def __init__(self, access: Access, hub: Hub) -> None:
        self._access = access
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        project = self._access.public(request)
        persons, until = self._access.persons(request, project)
        last = request.headers.get("last-event-id") or request.query_params.get("lastEventId")
        client = Client(project.id, persons, parse_cursor(last, persons))
        self._hub.open(client)
        try:
            # The inbox is read before the 200 goes out: a store that is away is a 429, not a broken stream.
            first = await self._hub.next(client)
            await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
            retry = random.randint(*RETRY_MS)  # noqa: S311 - no secret
            await send(_body(b"retry: %d\n: connected\n\n" % retry))
            await _send(first or [], send)
            await self._follow(client, until, receive, send)
        finally:
            self._hub.end(client)

    async def _follow(self, client: Client, until: float, receive: Receive, send: Send) -> None:
        """Until the client is gone, or its proof has ended: it then comes back with another."""
        gone = asyncio.ensure_future(_disconnected(receive, client))
        try:
            while (found := await self._hub.next(client)) is not None and time.time() < until:
                if found:
                    await _send(found, send)
                elif not client.dirty:
                    await send(_body(b": \n\n"))
        except STORE_ERRORS:
            pass  # the stream ends; the client comes back with its cursor
        finally:
            gone.cancel()
        if not client.closed or self._hub.closing:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive, client: Client) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.closed = True
    client.wake.set()


def _body(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _send(found: list[tuple[str, bytes]], send: Send) -> None:
    """As events; waits in between while the client is behind, so that its write buffer stays small."""
    text, size = [], 0
    for cursor, delivery in found:
        text.append(b"event: message\nid: " + cursor.encode() + b"\ndata: " + delivery + b"\n\n")
        size += len(text[-1])
        if size >= SENT_AT_ONCE:
            await send(_body(b"".join(text)))
            text, size = [], 0
    if text:
        await send(_body(b"".join(text)))


class Door:
    """The outermost layer: preflights, CORS on replies, and every error in the one shape."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is None:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            asked = next((value for name, value in scope["headers"] if name == b"access-control-request-headers"), b"")
            await send({"type": "http.response.start", "status": 204, "headers": preflight_headers(origin, asked)})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_cors(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *cors_headers(origin)]
            await send(message)

        await self._app(scope, receive, send_with_cors)


def engage_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for our errors and the store's."""
    if not isinstance(error, EngageError):
        error = StoreUnavailable(str(getattr(error, "orig", None) or error))  # SQL's own words, without the statement
    status, headers, body = error_response(error)
    response = Response(body, status)
    response.raw_headers = headers
    return response
