"""Who is asking: projects by write key or secret key, and proof of a user's identity."""

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from starlette.requests import Request

from engage.audit import ENDED, KEY
from engage.errors import Forbidden, InvalidRequest, Unauthorized
from engage.identity import Identity
from engage.keyring import KeyRing
from engage.origins import allows
from engage.projects import Project
from engage.secret_keys import PREFIX

BY_WRITE_KEY: Final = "a valid write key: as Basic auth user name, as `writeKey` in the body, or in the query"
BY_SECRET_KEY: Final = "the project's secret key as Basic auth user name or Bearer token"  # noqa: S105
NOT_IN_PAGES: Final = "a secret key belongs on servers only: take it out of the page, and use the write key"
FIND_KEYS: Final = "`engage keys` shows the keys of a project"


def basic_user(authorization: bytes) -> str | None:
    """The user name of a Basic authorization header, or the token of a Bearer one; None where there is neither."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip().decode("latin-1")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(value, validate=True).partition(b":")[0].decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def no_key(
    expected: str, keys: Iterable[str | None], ring: KeyRing, scope: MutableMapping[str, Any], field: str
) -> Unauthorized:
    """Says what came where a key was expected, without saying it; the audit trail is told of one that has ended."""
    given = [key for key in keys if key]
    if any(ring.find(key) is not None for key in given):
        return Unauthorized(expected, "a secret key", field=field, hint=NOT_IN_PAGES)
    ended = next((held for key in given if (held := ring.ended(key)) is not None), None)
    if ended is not None:
        scope[ENDED] = ended
        got = f"the secret key {ended.id}, which has ended"
    elif any(key.startswith(PREFIX) for key in given):
        got = "an unknown secret key"
    else:
        got = "an unknown one" if given else "none"
    return Unauthorized(expected, got, field=field, hint=FIND_KEYS)


def check_origin(project: Project, origin: bytes | None) -> None:
    """Raises Forbidden for a page of an origin that the project does not allow."""
    if origin is not None and project.allowed_origins and not allows(project.allowed_origins, origin.decode("latin-1")):
        raise Forbidden("one of the project's allowed origins", origin.decode("latin-1"), field="Origin")


class Access:
    """Finds the project of a request. Raises Unauthorized or Forbidden, naming what was expected."""

    def __init__(self, projects: Iterable[Project], identities: Mapping[str, Identity], ring: KeyRing) -> None:
        self.projects = tuple(projects)
        self.identities = identities
        self._ring = ring
        self._by_id = {project.id: project for project in self.projects}
        self.by_write_key = {project.write_key: project for project in self.projects}

    def public(self, request: Request, in_body: str | None = None) -> Project:
        """By write key: Basic auth user name, body, or query."""
        header = request.headers.get("authorization")
        tried = (
            basic_user(header.encode("latin-1")) if header else None,
            in_body,
            request.query_params.get("writeKey"),
        )
        for key in tried:
            if key and (project := self.by_write_key.get(key)) is not None:
                origin = request.headers.get("origin")
                check_origin(project, origin.encode("latin-1") if origin else None)
                return project
        held = next((found for key in tried if key and (found := self._ring.find(key)) is not None), None)
        if held is not None:
            request.scope[KEY] = held
        raise no_key(BY_WRITE_KEY, tried, self._ring, request.scope, "writeKey")

    def secret(self, request: Request) -> Project:
        """By secret key: Basic auth user name or Bearer token; compared in constant time."""
        given = basic_user(request.headers.get("authorization", "").encode("latin-1")) or ""
        held = self._ring.find(given)
        if held is None or (project := self._by_id.get(held.project)) is None:
            if given in self.by_write_key:
                raise Unauthorized(BY_SECRET_KEY, "the write key", field="Authorization", hint=FIND_KEYS)
            raise no_key(BY_SECRET_KEY, [given], self._ring, request.scope, "Authorization")
        request.scope[KEY] = held
        return project

    def persons(self, request: Request, project: Project) -> tuple[tuple[str, ...], float]:
        """The persons named by `userId`, with `userHash` or `userToken` where these are asked for, and `anonymousId`; and until
        when the proof lets them be read (seconds since the epoch)."""
        query = request.query_params
        user, anonymous = query.get("userId"), query.get("anonymousId")
        if not user and not anonymous:
            raise InvalidRequest("a userId or an anonymousId", "neither", field="userId")
        until = math.inf
        if user:
            identity = self.identities[project.id]
            until = identity.reader(user, query.get("userHash"), query.get("userToken"))
        return tuple(prefix + value for prefix, value in (("u:", user), ("a:", anonymous)) if value), until
