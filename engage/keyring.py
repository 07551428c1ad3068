"""The secret keys that are valid now, as an API process knows them: read from SQL every two seconds, so that asking costs no request."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from engage.logs import get_logger
from engage.secret_keys import SecretKey, valid
from engage.times import iso, now_ms

POLL_SECONDS: Final = 2.0
log = get_logger("engage.keyring")


class KeyRing:
    """`on_change` is called after a key came or went: what was remembered of keys is then void."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._valid = valid(engine)
        self.on_change: list[Callable[[], None]] = []

    def find(self, key: str) -> SecretKey | None:
        """The key, where it is one. All hashes are compared, each in constant time."""
        given, found = hashlib.sha256(key.encode()).digest(), None
        for kept, held in self._valid:
            if hmac.compare_digest(kept, given):
                found = held
        return found

    async def follow(self) -> None:
        """Keeps it current for ever. While SQL is away the known keys go on, each until it runs out."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                found = await asyncio.to_thread(valid, self._engine)
            except (SQLAlchemyError, OSError) as error:
                log.debug("secret keys not read", error=str(error))
                now = iso(now_ms())
                found = [(kept, held) for kept, held in self._valid if held.ended(now) is None]
            changed = {kept for kept, _ in found} != {kept for kept, _ in self._valid}
            self._valid = found
            if changed:
                log.info("secret keys changed", valid=len(found))
                for call in self.on_change:
                    call()
