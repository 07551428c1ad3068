"""`GET /api/audit` (secret key): what was done with secret keys, and what was tried without."""

import asyncio
from typing import Final

import msgspec
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engage.access import Access
from engage.audit import Entry, read, subject_of
from engage.public import json_response
from engage.query import whole_number

USUAL: Final = 50
MOST: Final = 500


class Page(msgspec.Struct):
    """Entries, the newest first; `next` is the `before` of the page behind, null on the last one."""

    entries: list[Entry]
    next: int | None


class AuditApi:
    """The route and what it needs. SQL is asked in a thread."""

    def __init__(self, access: Access, engine: Engine) -> None:
        self._access = access
        self._engine = engine

    def routes(self) -> list[Route]:
        return [Route("/api/audit", self.entries, methods=["GET"])]

    async def entries(self, request: Request) -> Response:
        project = self._access.secret(request)
        query = request.query_params
        before = whole_number(query.get("before"), "before")
        limit = whole_number(query.get("limit"), "limit", MOST) or USUAL
        user = query.get("user")
        subject = None if user is None else subject_of(project.hash_secret, user)
        found = await asyncio.to_thread(read, self._engine, project.id, before, limit, query.get("key"), subject)
        return json_response(Page(found, found[-1].number if len(found) == limit else None))
