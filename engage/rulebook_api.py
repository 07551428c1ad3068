"""The server API (secret key) of what is published: rulebooks and versions to read, files to publish, an earlier rulebook to go back to."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engage.access import Access
from engage.database import make_engine
from engage.differing import LIVE
from engage.errors import Conflict, InvalidRequest, NotFound
from engage.logs import get_logger
from engage.public import read_body
from engage.publications import MAX_AUTHOR, document_history, history, publication, state_of
from engage.published import Publication, Snapshot
from engage.publishing import publish_files, roll_back, settle, unknown_version
from engage.query import whole_number
from engage.settings import Settings
from engage.store import STORE_ERRORS, connect
from engage.texts import GROUPS, NAME_PATTERN

T = TypeVar("T")
MAX_BODY: Final = 64 * 1024 * 1024
MAX_LISTED: Final = 200
USUAL_LISTED: Final = 20
SETTLE_SECONDS: Final = 5.0
FIRST_SECONDS: Final = 0.25  # until it has succeeded once: the door waits for that
_KINDS: Final = {group: kind for kind, (group, _) in GROUPS.items()}
log = get_logger("engage.publishing")


FileName = Annotated[str, Meta(extra_json_schema={"pattern": f"^({NAME_PATTERN})$", "examples": ["rules/hello.json"]})]


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """`base`: the version that the caller has looked at. `author`: who, for the history."""

    base: Annotated[
        int, Meta(description="The version that you have looked at: the one that is live, 0 before the first.")
    ]
    author: Annotated[
        str, Meta(description="Who, for the history: printable.", min_length=1, max_length=MAX_AUTHOR)
    ] = "api"


class Push(Rollback, forbid_unknown_fields=True):
    """`files`: name → text, put in place. `remove`: names, taken away. What is live beside them stays."""

    files: Annotated[dict[FileName, str], Meta(description="Name → text, put in place.")] = {}
    remove: Annotated[list[FileName], Meta(description="Names, taken away.")] = []


class RulebookApi:
    """The routes below `/api/rulebooks`, the versions of documents, and what they need. SQL is asked in threads, one publication at a
    time: two would only find each other's numbers taken."""

    def __init__(self, access: Access, settings: Settings) -> None:
        self._access = access
        self._url = settings.redis_url
        self._folder = settings.rules_dir
        self._engine = make_engine(settings)
        self._publishing = asyncio.Lock()
        self.settled = asyncio.Event()  # what was published when this process started is in the store

    def routes(self) -> list[Route]:
        return [
            Route("/api/rulebooks", self.publish, methods=["POST"]),
            Route("/api/rulebooks", self.listed, methods=["GET"]),
            Route("/api/rulebooks/{version}", self.rulebook, methods=["GET"]),
            Route("/api/rulebooks/{version}/rollback", self.rollback, methods=["POST"]),
            *(Route(f"/api/{kind}/{{id}}/versions", self.versions, methods=["GET"], name=kind) for kind in _KINDS),
        ]

    async def follow(self) -> None:
        """Carries over, for ever, what was published and did not get as far as the store: its publisher may have died in between."""
        said = ""
        while True:
            settled = True
            for project in self._access.projects:
                try:
                    await self._in_store(settle, project.id)
                    said = ""
                except (*STORE_ERRORS, SQLAlchemyError) as error:
                    if (text := str(error)) != said:
                        log.warning("cannot compare what is live with what was published", error=text)
                    said = text
                    settled = False
            if settled:
                self.settled.set()
            await asyncio.sleep(SETTLE_SECONDS if self.settled.is_set() else FIRST_SECONDS)

    def close(self) -> None:
        self._engine.dispose()

    async def listed(self, request: Request) -> Response:
        project = self._access.secret(request).id
        before = whole_number(request.query_params.get("before"), "before")
        limit = whole_number(request.query_params.get("limit"), "limit", MAX_LISTED) or USUAL_LISTED
        return await self._json(lambda: {"rulebooks": history(self._engine, project, before, limit)})

    async def rulebook(self, request: Request) -> Response:
        project = self._access.secret(request).id
        name = request.path_params["version"]
        version = await self._in_store(settle, project) if name == LIVE else whole_number(name, "version")
        return await self._json(partial(self._rulebook, project, version or 0, name == LIVE))

    def _rulebook(self, project: str, version: int, live: bool) -> Snapshot:
        published = publication(self._engine, project, version)
        if published is None and not live:
            raise unknown_version(self._engine, project, version)
        files = state_of(self._engine, project, version).files
        return Snapshot(version, files, str(self._folder) if self._folder else None, published)

    async def versions(self, request: Request) -> Response:
        project = self._access.secret(request).id
        group, identifier = request.url.path.split("/")[2], request.path_params["id"]

        def found() -> Any:
            versions = document_history(self._engine, project, _KINDS[group], identifier)
            if not versions:
                raise NotFound(f"the id of one of the {group}, live or removed", identifier, field="id")
            return {"id": identifier, "versions": versions}

        return await self._json(found)

    async def publish(self, request: Request) -> Response:
        project = self._access.secret(request).id
        self._check_folder()
        asked = await _body(request, Push)
        return await self._published(publish_files, project, asked.base, asked.files, asked.remove, asked.author)

    async def rollback(self, request: Request) -> Response:
        project = self._access.secret(request).id
        self._check_folder()
        version = whole_number(request.path_params["version"], "version") or 0
        asked = await _body(request, Rollback)
        return await self._published(roll_back, project, asked.base, version, asked.author)

    async def _published(self, publish: Callable[..., Publication | None], project: str, *given: Any) -> Response:
        async with self._publishing:
            found = await self._in_store(publish, project, *given)
        # 201: there is a new rulebook; 200: nothing changes.
        return await self._json(lambda: {"published": found}, 200 if found is None else 201)

    def _check_folder(self) -> None:
        if self._folder is not None:
            raise Conflict(
                "a service that takes its documents from what is pushed",
                f"one that publishes the folder {self._folder} and would write over it",
                field="ENGAGE_RULES_DIR",
                hint="change the files there; or start the service without --rules and ENGAGE_RULES_DIR",
            )

    async def _in_store(self, function: Callable[..., T], *given: Any) -> T:
        """`function(engine, client, …)` in a thread."""

        def called() -> T:
            with closing(connect(self._url)) as client:
                return function(self._engine, client, *given)

        return await asyncio.to_thread(called)

    async def _json(self, found: Callable[[], Any], status: int = 200) -> Response:
        """What `found` gives, looked up and encoded in a thread: a rulebook may be large."""
        content = await asyncio.to_thread(lambda: msgspec.json.encode(found()))
        return Response(content, status, media_type="application/json")


async def _body(request: Request, struct: type[T]) -> T:
    asked = await read_body(request, struct, MAX_BODY)
    author = str(getattr(asked, "author", ""))
    if not 0 < len(author) <= MAX_AUTHOR or not author.isprintable():
        raise InvalidRequest(f"1 to {MAX_AUTHOR} printable characters", author[:60], field="$.author")
    return asked
