"""Whose an event is: the project of a write key, or, trusted, of a secret key."""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from engage.access import BY_WRITE_KEY, NOT_IN_PAGES, basic_user, check_origin, no_key
from engage.audit import KEY
from engage.errors import Forbidden
from engage.identity import Identity
from engage.keyring import KeyRing
from engage.keys import Logs
from engage.policies import Standing
from engage.projects import Project
from engage.secret_keys import SecretKey

MAX_KEPT_HEADER: Final = 512  # bytes of an Authorization header that is remembered
KEPT_HEADERS: Final = 1_000


class Sender(msgspec.Struct, frozen=True):
    """Who a key stands for: a project's pages, or, with a secret `key`, its servers, which are `trusted`."""

    project: Project
    identity: Identity
    logs: Logs
    trusted: bool
    privacy: Standing
    key: SecretKey | None = None

    @property
    def believed(self) -> bool:
        """Whether nothing it says of a userId needs a proof."""
        return self.trusted or self.identity.verifier is None


class Senders:
    """All of them. `ring` knows the secret keys."""

    def __init__(
        self,
        projects: Iterable[Project],
        identities: Mapping[str, Identity],
        privacy: Mapping[str, Standing],
        ring: KeyRing,
        shards: int,
    ) -> None:
        self._ring = ring
        self._pages: dict[str, Sender] = {}
        self._servers: dict[str, Sender] = {}
        for project in projects:
            logs = Logs(project.id, shards)
            identity = identities[project.id]
            self._pages[project.write_key] = Sender(project, identity, logs, False, privacy[project.id])
            self._servers[project.id] = Sender(project, identity, logs, True, privacy[project.id])
        self._basic: dict[bytes, Sender] = {}
        ring.on_change.append(self._basic.clear)

    def find(
        self, scope: MutableMapping[str, Any], authorization: bytes | None, in_body: str | None, origin: bytes | None
    ) -> Sender:
        """By the Basic auth user name, the body, or the query, in this order. Raises Unauthorized, or Forbidden for a page that may not."""
        sender = None
        if authorization is not None:
            sender = self._basic.get(authorization)
            if sender is None:
                sender = self._by_key(basic_user(authorization) or "")
                if sender is not None and len(authorization) <= MAX_KEPT_HEADER and len(self._basic) < KEPT_HEADERS:
                    self._basic[authorization] = sender
        if sender is None and in_body is not None:
            sender = self._pages.get(in_body)
        in_query = None
        if sender is None and scope["query_string"]:
            in_query = parse_qs(scope["query_string"].decode("latin-1")).get("writeKey", [""])[0]
            sender = self._pages.get(in_query)
        if sender is None:
            given = (basic_user(authorization) if authorization is not None else None, in_body, in_query)
            raise no_key(BY_WRITE_KEY, given, self._ring, scope, "writeKey")
        if sender.key is not None:
            scope[KEY] = sender.key
        if origin is not None:
            if sender.trusted:
                raise Forbidden("the write key from a page", "the secret key", field="Authorization", hint=NOT_IN_PAGES)
            check_origin(sender.project, origin)
        return sender

    def _by_key(self, key: str) -> Sender | None:
        """A write key's pages; or a secret key's servers."""
        if (pages := self._pages.get(key)) is not None:
            return pages
        held = self._ring.find(key)
        sender = None if held is None else self._servers.get(held.project)
        return None if sender is None else msgspec.structs.replace(sender, key=held)
