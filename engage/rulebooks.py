"""Reading the rulebook in force: an immutable snapshot in Redis that a pointer names."""

import asyncio
import secrets
from typing import Any, Final

import msgspec

from engage import keys
from engage.logs import get_logger
from engage.store import STORE_ERRORS
from rules import Definitions, Rulebook, compile_rulebook

POLL_SECONDS: Final = 0.2
log = get_logger("engage.rulebooks")
_decode = msgspec.json.Decoder(Definitions).decode


async def read_definitions(client: Any, project: str, known: int) -> tuple[int, Definitions] | None:
    """The version in force and its documents; None when it is still `known` (or there is none yet)."""
    pointer = await client.get(keys.rulebook(project))
    version = int(pointer or 0)
    if version == known:
        return None
    snapshot = await client.get(keys.rulebook_version(project, version))
    return None if snapshot is None else (version, _decode(snapshot))


def read_definitions_sync(client: Any, project: str, known: int) -> tuple[int, Definitions] | None:
    """The same for a blocking client."""
    version = int(client.get(keys.rulebook(project)) or 0)
    if version == known:
        return None
    snapshot = client.get(keys.rulebook_version(project, version))
    return None if snapshot is None else (version, _decode(snapshot))


def live_definitions(client: Any, project: str) -> tuple[int, Definitions]:
    """The rulebook in force, for a blocking client: its version (0: none yet) and its documents."""
    return read_definitions_sync(client, project, -1) or (0, Definitions())


async def _delivery_secret(client: Any, project: str) -> bytes:
    key = keys.delivery_secret(project)
    if (found := await client.get(key)) is None:
        await client.set(key, secrets.token_bytes(32), nx=True)
        found = await client.get(key)
    return bytes(found)


class RulebookReader:
    """Keeps a project's rulebook current; deciders take `current` between two batches."""

    def __init__(self, client: Any, project: str) -> None:
        self._client = client
        self._project = project
        self.current: Rulebook = compile_rulebook(Definitions())
        self.definitions = Definitions()
        self.version = 0
        self._secret = b""
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        async with self._refreshing:
            found = await read_definitions(self._client, self._project, self.version)
            if found is not None:
                version, definitions = found
                if not self._secret:
                    self._secret = await _delivery_secret(self._client, self._project)
                # Compiling 10,000 rules takes a while: not on the loop that decides.
                self.current = await asyncio.to_thread(compile_rulebook, definitions, version, self._secret)
                self.version, self.definitions = version, definitions
                log.info("rulebook in force", project=self._project, version=version, rules=len(definitions.rules))

    async def follow(self) -> None:
        """Refreshes for ever; a snapshot that cannot be used leaves the last good one in force."""
        while True:
            try:
                await self.refresh()
            except STORE_ERRORS:
                pass  # it is said by those who need the store
            except Exception:
                log.exception("rulebook not usable, the last good one stays", project=self._project)
            await asyncio.sleep(POLL_SECONDS)
