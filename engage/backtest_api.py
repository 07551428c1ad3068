"""The server API (secret key) of back-tests: asking for one, looking at it, hearing how far it is, cancelling it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from engage import backtest_runs as runs
from engage.access import Access
from engage.backtesting import Plan, replaced
from engage.errors import BrokenDocuments, InvalidRequest, NotFound
from engage.public import json_response, read_body
from engage.rulebooks import read_definitions
from engage.settings import Settings
from engage.store import connect
from rules import Definitions, DurationError, Problem, cross_check, parse, parse_duration
from rules.documents import Duration, told
from rules.problems import nearest

T = TypeVar("T")
MAX_BODY: Final = 4 * 1024 * 1024
MAX_DRAFTS: Final = 200  # documents beside the rule
TOLD_SECONDS: Final = 0.3
HEARTBEAT_SECONDS: Final = 15
_GROUPS: Final = {"messages": "message", "segments": "segment"}


MessageDraft = Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/$defs/Message"})]
SegmentDraft = Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/$defs/Segment"})]
RULE: Final = {"$ref": "#/$defs/Rule"}


class BacktestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`rule`: a draft, or the id of a live rule; `messages`, `segments`: drafts it names; `all`: every live rule instead."""

    rule: Annotated[
        msgspec.Raw, told("A draft, or the id of a live rule.", anyOf=[RULE, {"type": ["string", "null"]}])
    ] = msgspec.field(default_factory=msgspec.Raw)
    messages: Annotated[list[MessageDraft], told("Drafts that the rule names.", maxItems=MAX_DRAFTS)] = []
    segments: Annotated[list[SegmentDraft], told("Drafts that the rule names.", maxItems=MAX_DRAFTS)] = []
    last: Annotated[Duration, told("How much of the log is replayed.")] = "7d"
    all: Annotated[bool, told("Every live rule, instead of `rule`.")] = False


class BacktestApi:
    """The routes below `/api/backtests`."""

    def __init__(self, access: Access, client: Any, settings: Settings) -> None:
        self._access = access
        self._client = client
        self._url = settings.redis_url
        self._queue_url = settings.queue_url

    def routes(self) -> list[Route]:
        return [
            Route("/api/backtests", self.start, methods=["POST"]),
            Route("/api/backtests", self.listed, methods=["GET"]),
            Route("/api/backtests/{id}", self.one, methods=["GET"]),
            Route("/api/backtests/{id}", self.cancel, methods=["DELETE"]),
            Route("/api/backtests/{id}/stream", self.stream, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        """202, with the run: it waits for a worker."""
        project = self._access.secret(request).id
        body = await read_body(request, BacktestRequest, MAX_BODY)
        version, live = await read_definitions(self._client, project, -1) or (0, Definitions())
        asked = await asyncio.to_thread(_read, body, version, live)

        def started(client: Any) -> runs.Run | None:
            identifier = runs.create(client, project, asked)
            with closing(connect(self._queue_url)) as queue:
                runs.enqueue(queue, project, identifier)
            return runs.read(client, project, identifier)

        found = await self._in_store(started)
        headers = {"location": f"/api/backtests/{found.id}"} if found else {}
        return json_response(found, 202, headers)

    async def listed(self, request: Request) -> Response:
        """The newest first, without their results."""
        project = self._access.secret(request).id

        def found(client: Any) -> list[runs.Run]:
            all_ = (runs.read(client, project, identifier, whole=False) for identifier in runs.listed(client, project))
            return [run for run in all_ if run is not None]

        return json_response({"backtests": await self._in_store(found)})

    async def one(self, request: Request) -> Response:
        project = self._access.secret(request).id
        return json_response(await self._run(project, request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        """Ends a run that waits or runs; one that has ended stays as it is."""
        project, identifier = self._access.secret(request).id, request.path_params["id"]
        await self._run(project, identifier)
        await self._in_store(lambda client: runs.end(client, project, identifier, "cancelled"))
        return json_response(await self._run(project, identifier))

    async def stream(self, request: Request) -> Response:
        """Server-Sent Events: `progress`, and at the end one named after the status, with the whole run."""
        project, identifier = self._access.secret(request).id, request.path_params["id"]
        await self._run(project, identifier)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(project, identifier), 200, headers, "text/event-stream")

    async def _events(self, project: str, identifier: str) -> AsyncIterator[bytes]:
        told: tuple[str, float] | None = None
        silent = 0.0
        while True:
            try:
                found = await self._run(project, identifier)
            except NotFound:
                return
            if found.status in runs.ENDED:
                yield _event(found.status, found)
                return
            if (found.status, found.progress) != told:
                told, silent = (found.status, found.progress), 0.0
                yield _event("progress", {"id": found.id, "status": found.status, "progress": found.progress})
            elif silent >= HEARTBEAT_SECONDS:
                silent = 0.0
                yield b": still there\n\n"
            await asyncio.sleep(TOLD_SECONDS)
            silent += TOLD_SECONDS

    async def _run(self, project: str, identifier: str) -> runs.Run:
        found = None
        if identifier.isascii() and identifier.isalnum() and len(identifier) <= 32:
            found = await self._in_store(lambda client: runs.read(client, project, identifier))
        if found is None:
            raise NotFound("the id of a back-test of the last 7 days", identifier[:60], field="id")
        return found

    async def _in_store(self, function: Callable[[Any], T]) -> T:
        def called() -> T:
            with closing(connect(self._url)) as client:
                return function(client)

        return await asyncio.to_thread(called)


def _event(name: str, data: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def _read(asked: BacktestRequest, version: int, live: Definitions) -> runs.Asked:
    """The run that was asked for. Raises InvalidRequest, NotFound, or BrokenDocuments with every problem of the drafts."""
    try:
        last = parse_duration(asked.last)
    except DurationError:
        raise InvalidRequest("a duration such as 7d or 12h", repr(asked.last)[:60], field="$.last") from None
    if last <= 0:
        raise InvalidRequest("a duration longer than nothing", str(asked.last), field="$.last")
    if asked.all:
        if bytes(asked.rule):
            raise InvalidRequest("either `rule` or `all`", "both", field="$.rule")
        tested = [rule.id for rule in live.rules if rule.enabled]
        return runs.Asked(Plan(_with(live, asked, []), tested, version), last, True)
    if bytes(asked.rule) in (b"", b"null"):
        raise InvalidRequest("a rule, or the id of a live one", "none", field="$.rule", hint="or ask for `all`")
    if bytes(asked.rule)[:1] == b'"':
        wanted = msgspec.json.decode(asked.rule, type=str)
        known = [rule.id for rule in live.rules]
        if wanted not in known:
            raise NotFound(f"a rule, or the id of a live one{nearest(wanted, known)}", wanted[:60], field="$.rule")
        return runs.Asked(Plan(_with(live, asked, []), [wanted], version), last, False)
    problems: list[Problem] = []
    rule = _document("rule", asked.rule, "rule", problems)
    found = _with(live, asked, problems, rule)
    return runs.Asked(Plan(found, [rule.id], version), last, False)


def _document(kind: Any, text: msgspec.Raw, name: str, problems: list[Problem]) -> Any:
    document, found = parse(kind, bytes(text), name)
    problems += [problem for problem in found if problem.severity == "error"]
    return document


def _with(live: Definitions, asked: BacktestRequest, problems: list[Problem], rule: Any = None) -> Definitions:
    """The live documents with the drafts in their places."""
    if len(asked.messages) + len(asked.segments) > MAX_DRAFTS:
        raise InvalidRequest(f"at most {MAX_DRAFTS} drafts beside the rule", "more", field="$.messages")
    files: dict[tuple[str, str], tuple[str, bytes]] = {}
    changes: dict[str, list[Any]] = {}
    for group, kind in _GROUPS.items():
        drafts: list[msgspec.Raw] = getattr(asked, group)
        read = [_document(kind, text, f"{group}[{index}]", problems) for index, text in enumerate(drafts)]
        for index, document in enumerate(read):
            if document is not None:
                files[kind, document.id] = f"{group}[{index}]", bytes(drafts[index])
        changes[group] = replaced(getattr(live, group), [document for document in read if document is not None])
    if problems:
        raise BrokenDocuments(problems)
    if rule is not None:
        files["rule", rule.id] = "rule", bytes(asked.rule)
        changes["rules"] = replaced(live.rules, [rule])
    found = msgspec.structs.replace(live, **changes)
    if errors := [problem for problem in cross_check(found, files) if problem.severity == "error"]:
        raise BrokenDocuments(errors)
    return found
