"""`/api/identity` (secret key): how many users come verified."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engage.access import Access
from engage.public import json_response
from engage.times import now_ms
from engage.verified import DAYS, read_users


class IdentityApi:
    """The routes and what they need."""

    def __init__(self, access: Access, client: Any) -> None:
        self._access = access
        self._client = client

    def routes(self) -> list[Route]:
        return [Route("/api/identity", self.figure, methods=["GET"])]

    async def figure(self, request: Request) -> Response:
        """Before one enforces: who would be shut out."""
        project = self._access.secret(request)
        users = await read_users(self._client, project.id, now_ms())
        return json_response(
            {
                "secrets": len(project.identity_secrets),
                "enforce": project.identity_enforce,
                "within_days": DAYS,
                "verified_share": users.verified_share,
                "users": users,
            }
        )
