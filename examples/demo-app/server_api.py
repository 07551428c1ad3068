"""Engage's server API, asked with the secret key. Any HTTP client does; this one is a few lines of the standard library,
because Engage itself needs none, and it lets go of a long poll as soon as nobody waits for it."""

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class EngageAway(Exception):
    """Engage does not answer, or not with success."""


class ServerApi:
    def __init__(self, url: str, secret_key: str) -> None:
        self._host, self._port = str(urlsplit(url).hostname), int(urlsplit(url).port or 80)
        self._secret_key = secret_key

    async def is_ready(self) -> bool:
        try:
            await self.get("/readyz")
        except EngageAway:
            return False
        return True

    async def rules(self) -> dict[str, Any]:
        """`{"version": …, "rules": [{"id", "name", "description", …}]}`: what is live now."""
        return await self.get("/api/rules")

    async def history(self, person: str, after: str | None, wait: int, limit: int = 120) -> dict[str, Any]:
        """What each event of a person woke and what was decided; with `wait`, waits so many seconds for news."""
        query: dict[str, str | int] = {"limit": limit, "wait": wait} | ({"after": after} if after else {})
        return await self.get(f"/api/users/{quote(person, safe='')}/history?{urlencode(query)}")

    async def get(self, path: str) -> Any:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise EngageAway(str(error)) from None
        try:
            head = f"GET {path} HTTP/1.0\r\nHost: {self._host}\r\nAuthorization: Bearer {self._secret_key}\r\n\r\n"
            writer.write(head.encode())
            reply = await reader.read()
        except OSError as error:
            raise EngageAway(str(error)) from None
        finally:
            writer.close()
        lines, _, body = reply.partition(b"\r\n\r\n")
        status = lines.split(b" ", 2)[1:2]
        if status != [b"200"]:
            raise EngageAway(f"expected 200, got {lines[:80]!r}")
        try:
            return json.loads(body) if body else None
        except ValueError:
            raise EngageAway("the reply was cut short") from None
