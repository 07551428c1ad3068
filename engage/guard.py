"""What stands before every route but the tracking API: one request of its address counted, and the headers that tell a
browser what an answer may do. The tracking API does the same for itself, without a layer."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage.errors import RateLimited, error_response
from engage.limits import Limits

ADDRESS: Final = "engage.address"  # in the scope: the address that a request is counted by, or None
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
# No answer of the API is a page. A route that serves one says its own policy.
CSP: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Guard:
    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                if all(name != CSP[0] for name, _ in headers):
                    headers.append(CSP)
                if scope["scheme"] == "https":
                    headers.append(HSTS)
                message["headers"] = headers
            await send(message)

        try:
            self._limits.request(scope.get(ADDRESS))
        except RateLimited as error:
            status, headers, body = error_response(error)
            await send_safely({"type": "http.response.start", "status": status, "headers": headers})
            await send_safely({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send_safely)
