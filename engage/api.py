"""The server API (secret key): what is in force, what is known of a user, and what was decided. The schemas are public."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engage import dead_letters
from engage.access import Access
from engage.erasing import erase
from engage.errors import InvalidRequest, NotFound
from engage.explaining import explain_user, moment_of
from engage.keys import IN_FORCE, rulebook
from engage.metrics import shard_stats
from engage.people import decisions_of, deliveries_of, describe, events_of, find, put_aside_of
from engage.public import json_response
from engage.query import decimal_number, whole_number
from engage.rulebooks import read_definitions
from engage.settings import Settings
from engage.store import connect
from engage.stream import Hub, is_entry
from rules import KINDS, Definitions, Explanation, State, decode_state, document_schema, tally_summary
from rules.groups import PREFIX

MAX_RECORDS: Final = 500
USUAL_RECORDS: Final = 50
MAX_WAIT: Final = 25.0
_READ: Final = 200  # commits looked through at a time
_KINDS: Final = ("rules", "messages", "segments", "articles", "project")


class Api:
    """The routes below `/api/` and what they need."""

    def __init__(self, access: Access, hub: Hub, client: Any, settings: Settings) -> None:
        self._access = access
        self._hub = hub
        self._client = client
        self._shards = settings.shards
        self._url = settings.redis_url
        self._explaining = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            *(Route(f"/api/{kind}", self.definitions, methods=["GET"], name=kind) for kind in _KINDS),
            *(Route(f"/api/{kind}/{{id}}", self.definition, methods=["GET"], name=kind) for kind in _KINDS),
            Route("/api/schemas/{kind}.json", self.schema, methods=["GET"]),
            Route("/api/users/{id}/export", self.export, methods=["GET"]),
            Route("/api/users/{id}/history", self.history, methods=["GET"]),
            Route("/api/users/{id}/explain/{rule}", self.explain, methods=["GET"]),
            Route("/api/users/{id}", self.erase, methods=["DELETE"]),
            Route("/api/users/{id}", self.user, methods=["GET"]),
            Route("/api/groups/{id}", self.group, methods=["GET"]),
            Route("/api/stats", self.stats, methods=["GET"]),
            Route("/api/dead-letters", self.dead_letters, methods=["GET"]),
        ]

    async def definitions(self, request: Request) -> Response:
        version, found = await self._rulebook(request)
        kind = request.url.path.split("/")[2]
        return json_response({"version": version, kind: getattr(found, kind)})

    async def definition(self, request: Request) -> Response:
        _, found = await self._rulebook(request)
        kind, wanted = request.url.path.split("/")[2], request.path_params["id"]
        for document in getattr(found, kind):
            if document.id == wanted:
                return json_response(document)
        raise NotFound(f"the id of one of the {kind}", wanted, field="id")

    async def schema(self, request: Request) -> Response:
        """The JSON Schema of a kind of document. Without a key, from any origin: editors fetch it."""
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise NotFound("one of " + ", ".join(KINDS), kind, field="kind")
        headers = {"access-control-allow-origin": "*", "cache-control": "public, max-age=300"}
        return Response(msgspec.json.encode(document_schema(kind)), 200, headers, "application/schema+json")

    async def user(self, request: Request) -> Response:
        project = self._access.secret(request).id
        state = await self._state(project, request.path_params["id"])
        return json_response(describe(request.path_params["id"], state))

    async def erase(self, request: Request) -> Response:
        """Removes a user; see `engage.erasing`."""
        project = self._access.secret(request).id
        return json_response(await erase(self._client, project, self._shards, request.path_params["id"]))

    async def group(self, request: Request) -> Response:
        """A group's traits, as its own shard has them."""
        project, name = self._access.secret(request).id, request.path_params["id"]
        blob = await self._client.get(self._hub.keys(project, PREFIX + name).state(PREFIX + name))
        if blob is None:
            raise NotFound("the groupId of a group call", name, field="id")
        return json_response({"id": name, "traits": decode_state(blob).traits})

    async def export(self, request: Request) -> Response:
        """All there is of a user: `{"user", "events": […], "deliveries": […], "decisions": […], "put_aside": […]}`."""
        project = self._access.secret(request).id
        name = request.path_params["id"]
        state = await self._state(project, name)
        of = (self._client, project, self._shards, state)
        return json_response(
            {
                "user": describe(name, state),
                "events": await events_of(*of),
                "deliveries": await deliveries_of(*of),
                "decisions": await decisions_of(*of),
                "put_aside": await put_aside_of(*of),
            }
        )

    async def history(self, request: Request) -> Response:
        """Decisions for a user after a cursor; with `wait`, waits for the next one (long poll)."""
        project = self._access.secret(request).id
        limit = whole_number(request.query_params.get("limit"), "limit", MAX_RECORDS) or USUAL_RECORDS
        wait = decimal_number(request.query_params.get("wait"), "wait", MAX_WAIT) or 0.0
        name, cursor = request.path_params["id"], request.query_params.get("after")
        if cursor is not None and not is_entry(cursor):
            raise InvalidRequest("a cursor of an earlier reply", cursor, field="after")
        deadline = time.monotonic() + wait
        while True:
            news = [self._hub.news(project, self._hub.shard_number(person)) for person in _persons(name)]
            records: list[dict[str, Any]] = []
            # Somebody not heard of yet has no shard, so no cursor either.
            if (person := await self._known(project, name)) is not None:
                records, cursor = await self._decisions(project, person, cursor, limit)
            left = deadline - time.monotonic()
            if records or left <= 0 or self._hub.closing:
                return json_response({"records": records, "cursor": cursor or "0-0"})
            await _first(news, min(left, 1.0))

    async def explain(self, request: Request) -> Response:
        """Why a user got the message of a rule, or did not: see `engage rules explain`."""
        project = self._access.secret(request).id
        at = moment_of(request.query_params.get("at"))
        language = request.query_params.get("lang", "en")
        _, definitions = await self._rulebook(request)
        name, rule = request.path_params["id"], request.path_params["rule"]

        def found() -> Explanation:
            with closing(connect(self._url)) as client:
                return explain_user(client, project, self._shards, definitions, name, rule, at, language)

        async with self._explaining:  # it reads a whole shard: one at a time
            return json_response(await asyncio.to_thread(found))

    async def stats(self, request: Request) -> Response:
        project = self._access.secret(request).id
        found = await asyncio.gather(
            *(shard_stats(self._client, self._hub.shard(project, number)) for number in range(self._shards))
        )
        names = sorted({name for stats in found for name in stats if not name.startswith("lag_")})
        totals = {name: sum(stats.get(name, 0) for stats in found) for name in names}
        return json_response(
            {"totals": totals, "rules": await self._matches(project), "rulebook": await self._in_force(project)}
        )

    async def dead_letters(self, request: Request) -> Response:
        """What could not be taken, decided or delivered, the newest first: see `engage.dead_letters`. `before`: the id to go on from."""
        project = self._access.secret(request).id
        query = request.query_params
        kind, before = query.get("kind"), query.get("before")
        if kind is not None and kind not in dead_letters.KINDS:
            raise InvalidRequest("one of " + ", ".join(dead_letters.KINDS), kind, field="kind")
        if before is not None and not dead_letters.is_letter(before):
            raise InvalidRequest("the id of a dead letter", before, field="before")
        kinds = dead_letters.KINDS if kind is None else (kind,)
        limit = whole_number(query.get("limit"), "limit", MAX_RECORDS) or USUAL_RECORDS
        found = await dead_letters.read_letters(self._client, project, self._shards, kinds, before, limit)
        return json_response({"letters": found})

    async def _matches(self, project: str) -> dict[str, Any]:
        """Per rule, what became of its matches; see `rules.tally`."""
        shards = [self._hub.shard(project, number).matches for number in range(self._shards)]
        sums: Counter[str] = Counter()
        for found in await asyncio.gather(*(self._client.hgetall(key) for key in shards)):
            sums.update({name.decode(): int(value) for name, value in found.items()})
        return tally_summary(sums)

    async def _in_force(self, project: str) -> dict[str, int]:
        """The newest version, the oldest that still decides in some shard, and how many shards wait for its histories."""
        newest = int(await self._client.get(rulebook(project)) or 0)
        shards = [self._hub.shard(project, number).trackers for number in range(self._shards)]
        found = await asyncio.gather(*(self._client.hget(key, IN_FORCE) for key in shards))
        versions = [int(version) for version in found if version is not None]
        behind = sum(version < newest for version in versions)
        return {"published": newest, "in_force": min(versions, default=newest), "shards_behind": behind}

    async def _rulebook(self, request: Request) -> tuple[int, Definitions]:
        project = self._access.secret(request).id
        return await read_definitions(self._client, project, -1) or (0, Definitions())

    async def _known(self, project: str, name: str) -> str | None:
        """The person a userId or anonymousId names; None before their first event was decided."""
        state = await find(self._client, project, self._shards, name)
        return None if state is None else state.person

    async def _state(self, project: str, name: str) -> State:
        state = await find(self._client, project, self._shards, name)
        if state is None:
            raise NotFound("a userId or anonymousId that sent an event", name, field="id")
        return state

    async def _decisions(
        self, project: str, person: str, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Records behind the cursor, oldest first; without a cursor the newest `limit`."""
        key = self._hub.keys(project, person).decisions
        start = "-" if after is None else f"({after}"
        records: list[dict[str, Any]] = []
        while entries := await self._client.xrange(key, start, "+", count=_READ):
            for entry, fields in entries:
                after = entry.decode()
                for decision in msgspec.json.decode(fields[b"d"]):
                    if decision.pop("person") == person:
                        records.append({"cursor": after, **decision})
            start = f"({after}"
            if len(entries) < _READ:
                break
        return records[-limit:], after


def _persons(name: str) -> tuple[str, str]:
    return f"u:{name}", f"a:{name}"


async def _first(events: Iterable[asyncio.Event], timeout: float) -> None:
    """Waits until one of them is set, at most `timeout` seconds."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
