"""The service: one Starlette application, and the server that runs it."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import redis.exceptions
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engage import dead_letters
from engage.access import Access
from engage.api import Api
from engage.articles import Articles
from engage.audit import Audited, Trail
from engage.audit_api import AuditApi
from engage.backtest_api import BacktestApi
from engage.commit import GroupCommit
from engage.database import make_engine
from engage.errors import ConfigurationError, EngageError, InvalidRequest, NotFound
from engage.guard import ADDRESS, Guard
from engage.identity import Identity
from engage.identity_api import IdentityApi
from engage.ingest import ROUTES, Ingest
from engage.keyring import KeyRing
from engage.limits import Limits
from engage.logs import get_logger
from engage.metrics import CONTENT_TYPE, Metrics
from engage.operations import encoded
from engage.paths import keep_slashes
from engage.policies import Policies
from engage.projects import Project, load_projects
from engage.proxies import Proxies
from engage.public import Door, Public, engage_error, json_response
from engage.rulebook_api import RulebookApi
from engage.sdk import SdkFiles
from engage.senders import Senders
from engage.server import serve
from engage.settings import Settings
from engage.shards import fixed_shards
from engage.store import STORE_ERRORS, Pipe, connect_async, connect_subscriber
from engage.stream import Hub
from engage.times import now_ms
from engage.verified import read_users

READY_SECONDS: Final = 1.0
FIGURE_SECONDS: Final = 2.0  # the figure of verified users is written so often
log = get_logger("engage.app")


class Application(Starlette):
    """Starlette with the tracking API before its middleware and routing: its calls are nearly all there is."""

    def __init__(self, ingest: Ingest, proxies: Proxies, **given: Any) -> None:
        super().__init__(**given)
        self._ingest = ingest
        self._client = proxies.client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[ADDRESS] = self._client(scope)
            if scope["path"] in ROUTES and scope["method"] == "POST":
                await self._ingest(scope, receive, send)
                return
            keep_slashes(scope)
        await super().__call__(scope, receive, send)


class Service:
    """Everything one API process holds; `app` is its ASGI application."""

    def __init__(self, settings: Settings, projects: list[Project]) -> None:
        self._settings = settings
        self._projects = projects
        self._client = connect_async(settings.redis_url)
        self._subscriber = connect_subscriber(settings.redis_url)
        self._metrics = Metrics()
        self._pipe = Pipe(self._client)
        commit = GroupCommit(self._pipe.append, self._metrics.observe_commit)
        self._identities = {project.id: Identity(project) for project in projects}
        self._engine = make_engine(settings)
        self._ring = KeyRing(self._engine)
        self._trail = Trail(self._engine, {p.id: p.hash_secret for p in projects}, settings.audit_retention_ms)
        access = Access(projects, self._identities, self._ring)
        self.hub = Hub(self._subscriber, self._client, [p.id for p in projects], settings.shards)
        self._metrics.streams.set_function(lambda: self.hub.count)
        self.hub.bound(settings.max_streams, settings.streams_per_user)
        limits = Limits(settings.rate_per_key, settings.rate_per_ip, settings.rate_per_user, [p.id for p in projects])
        put_aside = partial(dead_letters.put_aside, self._client, settings.store_ip)
        self._rulebooks = RulebookApi(access, settings)
        self._policies = Policies(self._client, projects, self._rulebooks.settled)
        self.proxies = Proxies(settings.trusted_proxies)
        senders = Senders(projects, self._identities, self._policies.of, self._ring, settings.shards)
        self.ingest = Ingest(
            commit,
            senders,
            self._metrics.count,
            put_aside,
            limits,
            self._trail,
            settings.store_ip,
            settings.respect_dnt,
        )
        articles, files = Articles(self._client), SdkFiles()
        public = Public(access, self.hub, self._client, settings.shards, articles, files, self._policies.of)
        api = Api(access, self.hub, self._client, settings)
        self.app = Application(
            self.ingest,
            self.proxies,
            routes=[
                *public.routes(),
                *self._rulebooks.routes(),
                *BacktestApi(access, self._client, settings).routes(),
                *IdentityApi(access, self._client).routes(),
                *AuditApi(access, self._engine).routes(),
                *api.routes(),
                Route("/api/openapi.json", _openapi),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics_page),
            ],
            middleware=[Middleware(Door), Middleware(Guard, limits), Middleware(Audited, self._trail)],
            exception_handlers={
                EngageError: engage_error,
                redis.exceptions.RedisError: engage_error,
                OSError: engage_error,
                SQLAlchemyError: engage_error,
                HTTPException: _http_error,
                Exception: _internal_error,
            },
            lifespan=self._lifespan,
        )
        self.app.router.redirect_slashes = False  # every path has one form; another is not found

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        ever = (
            self._check_shards(),
            self._rulebooks.follow(),
            self._write_figures(),
            self._ring.follow(),
            self._trail.follow(),
            self._policies.follow(),
        )
        tasks = [asyncio.create_task(task) for task in ever]
        self.hub.start()
        await self._policies.wait(READY_SECONDS)
        yield
        for task in tasks:
            task.cancel()
        await self.hub.close()
        await self._write_figure()
        await self._trail.write()
        for client in (self._pipe, self._client, self._subscriber):
            await client.aclose()
        self._rulebooks.close()
        self._engine.dispose()

    async def _check_shards(self) -> None:
        """The number of shards must be the one the data was written with; waits for the store to ask."""
        while True:
            try:
                for project in self._projects:
                    await fixed_shards(self._client, project.id, self._settings.shards)
                return
            except STORE_ERRORS:
                await asyncio.sleep(0.25)
            except ConfigurationError as error:
                log.critical(error.message, hint=error.hint)
                sys.exit(1)

    async def _write_figures(self) -> None:
        while True:
            await asyncio.sleep(FIGURE_SECONDS)
            await self._write_figure()

    async def _write_figure(self) -> None:
        try:
            for identity in self._identities.values():
                await identity.figure.write(self._client, now_ms())
        except STORE_ERRORS:
            pass  # the next time

    async def _healthz(self, request: Request) -> Response:
        return json_response({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        try:
            started = time.monotonic()
            await asyncio.wait_for(self._client.ping(), READY_SECONDS)
        except (*STORE_ERRORS, TimeoutError) as error:
            return json_response({"ready": False, "store": str(error) or "no answer"}, 503)
        if not self._policies.known:
            return json_response({"ready": False, "store": "the rulebook was not read yet"}, 503)
        return json_response({"ready": True, "store": f"{(time.monotonic() - started) * 1000:.1f} ms"})

    async def _metrics_page(self, request: Request) -> Response:
        shards = [self.hub.shard(p.id, number) for p in self._projects for number in range(self._settings.shards)]
        try:
            for project in self._projects:
                users = await read_users(self._client, project.id, now_ms())
                self._metrics.observe_identity(project.id, users)
        except STORE_ERRORS:
            pass  # `engage_store_up` says it
        return Response(await self._metrics.exposition(self._client, shards), media_type=CONTENT_TYPE)


async def _openapi(request: Request) -> Response:
    """Without a key, from any origin: tools fetch it."""
    headers = {"access-control-allow-origin": "*", "cache-control": "public, max-age=300"}
    return Response(encoded(), headers=headers, media_type="application/json")


def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own errors (no such path, wrong method) in the one shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    # Ingest takes its calls before routing does, so routing knows nothing of its paths.
    allowed = "POST" if request.scope["path"] in ROUTES else _allowed(request)
    if status == 404 and not allowed:
        got = request.scope["raw_path"].decode("latin-1")
        hint = "a slash of an id is written %2F" if got.startswith(("/api/users/", "/api/groups/")) else None
        return engage_error(request, NotFound("a path of the API", got, hint=hint))
    status = 405 if allowed and status == 404 else status
    response = engage_error(request, InvalidRequest(allowed or "a valid request", request.method, field="method"))
    response.status_code = status
    if allowed:
        response.headers["allow"] = allowed
    return response


def _allowed(request: Request) -> str:
    """The methods of all routes of this path: Starlette names those of the first."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    found = [route.methods or () for route in routes if route.path_regex.match(request.scope["path"])]
    return ", ".join(sorted({method for methods in found for method in methods}))


def _internal_error(request: Request, error: Exception) -> Response:
    """A mistake of ours: logged whole by uvicorn, said without its text."""
    return engage_error(request, EngageError("no failure of the service", hint="its log says more"))


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    service = Service(settings, load_projects(settings))
    serve(service.app, service.ingest, service.hub, service.proxies, settings)
