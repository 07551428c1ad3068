"""The secret keys, as an API process knows them: read from SQL every two seconds, so that asking costs no request."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from engage.logs import get_logger
from engage.secret_keys import SecretKey, known
from engage.times import iso, now_ms

POLL_SECONDS: Final = 2.0
log = get_logger("engage.keyring")


class KeyRing:
    """`on_change` is called after a key came or went: what was remembered of keys is then void."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: list[tuple[bytes, SecretKey]] = []  # also those that have ended
        self._valid: list[tuple[bytes, SecretKey]] = []
        self.on_change: list[Callable[[], None]] = []
        self._take(known(engine))

    def find(self, key: str) -> SecretKey | None:
        """The key, where it is one. All hashes are compared, each in constant time."""
        return _among(self._valid, key)

    def ended(self, key: str) -> SecretKey | None:
        """The key, where it was one: it has been revoked, or has run out."""
        return None if self.find(key) is not None else _among(self._known, key)

    async def follow(self) -> None:
        """Keeps it current for ever. While SQL is away the known keys go on, each until it runs out."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                found = await asyncio.to_thread(known, self._engine)
            except (SQLAlchemyError, OSError) as error:
                log.debug("secret keys not read", error=str(error))
                found = self._known
            self._take(found)

    def _take(self, found: list[tuple[bytes, SecretKey]]) -> None:
        now = iso(now_ms())
        before, self._known = self._valid, found
        self._valid = [(kept, held) for kept, held in found if held.ended(now) is None]
        if {kept for kept, _ in before} != {kept for kept, _ in self._valid} and before:
            log.info("secret keys changed", valid=len(self._valid))
            for call in self.on_change:
                call()


def _among(keys: list[tuple[bytes, SecretKey]], key: str) -> SecretKey | None:
    given, found = hashlib.sha256(key.encode()).digest(), None
    for kept, held in keys:
        if hmac.compare_digest(kept, given):
            found = held
    return found
