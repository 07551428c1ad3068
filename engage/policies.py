"""What each project's document says to an API process, its privacy policy and its theme: the newest published one, within half a second.

Until it is known for the first time nothing is taken in: an event is rather refused for a moment than logged in the clear.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from engage import keys
from engage.errors import StoreUnavailable
from engage.logs import get_logger
from engage.privacy import Policy
from engage.projects import Project
from engage.store import STORE_ERRORS
from rules import Privacy, Theme, style_sheet

POLL_SECONDS: Final = 0.5
log = get_logger("engage.policies")


class _Document(msgspec.Struct):
    privacy: Privacy | None = None
    theme: Theme | None = None


class _Snapshot(msgspec.Struct):
    """A rulebook of which only the project's document is read, for the rules may be ten thousand."""

    project: list[_Document] = []


_decode = msgspec.json.Decoder(_Snapshot).decode


class Standing:
    """What holds for a project now. `active`: there is something to look at; an event then asks for its `policy`."""

    __slots__ = ("_known", "_policy", "_theme", "active", "version")

    def __init__(self) -> None:
        self.active = True
        self.version = -1
        self._known = False
        self._policy: Policy | None = None
        self._theme = b""

    @property
    def policy(self) -> Policy | None:
        """Raises StoreUnavailable before it is known."""
        if not self._known:
            raise StoreUnavailable("what this project keeps of an event is not known yet")
        return self._policy

    @property
    def theme(self) -> bytes:
        """A style sheet, empty for none. Raises StoreUnavailable before it is known."""
        if not self._known:
            raise StoreUnavailable("how this project's messages look is not known yet")
        return self._theme

    @property
    def known(self) -> bool:
        return self._known

    def take(self, version: int, policy: Policy | None, theme: bytes = b"") -> None:
        self.version, self._policy, self._theme, self._known = version, policy, theme, True
        self.active = policy is not None


class Policies:
    """Follows the rulebooks. `settled`: set once what SQL has published is in the store too."""

    def __init__(self, client: Any, projects: Iterable[Project], settled: asyncio.Event) -> None:
        self._client = client
        self._secrets = {project.id: project.hash_secret for project in projects}
        self._settled = settled
        self._known = asyncio.Event()
        self.of = {project: Standing() for project in self._secrets}

    @property
    def known(self) -> bool:
        return self._known.is_set()

    async def wait(self, seconds: float) -> None:
        """Until all are known, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), seconds)

    async def follow(self) -> None:
        """For ever. A snapshot that cannot be read leaves the last policy as it was."""
        await self._settled.wait()
        while True:
            for project, standing in self.of.items():
                try:
                    await self._look(project, standing)
                except STORE_ERRORS:
                    pass  # it is said by those who need the store
                except msgspec.MsgspecError as error:
                    log.error("project document not readable, the last one stays", project=project, error=str(error))
            if all(standing.known for standing in self.of.values()):
                self._known.set()
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, project: str, standing: Standing) -> None:
        version = int(await self._client.get(keys.rulebook(project)) or 0)
        if version <= standing.version:
            return
        snapshot = await self._client.get(keys.rulebook_version(project, version)) if version else b"{}"
        if snapshot is None:
            return  # a newer one is there: the next look finds it
        document = next(iter(_decode(snapshot).project), _Document())
        found = document.privacy
        theme = b"" if document.theme is None else style_sheet(document.theme).encode()
        standing.take(version, None if found is None else Policy(found, self._secrets[project]), theme)
        if found is not None:
            log.info("privacy policy in force", project=project, version=version)
