"""Paths that hold people's own ids: `/api/users/{id}/history`.

An id may hold anything, a slash too. `%2F` in an address is a slash *of an id*, a plain one parts the path; a server hands both over as
`/`, so they are told apart here, before routing. Thus `/api/users/a%2Fhistory` is a user, and `/api/users/a/history` a history.
"""

from typing import Final
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope

# Stands for `%2F` between here and the convertor. No address can hold it: decoding UTF-8 never makes half a surrogate pair.
_SLASH: Final = "\ud82f"


def keep_slashes(scope: Scope) -> None:
    """Makes `path` tell slashes of an id from those that part it."""
    raw: bytes = scope["raw_path"].replace(b"%2f", b"%2F")
    if b"%2F" in raw:
        # Each part by itself: what two of them would make together is no character.
        scope["path"] = _SLASH.join(unquote(part) for part in raw.decode("latin-1").split("%2F"))


class _Segment(Convertor[str]):
    """What stands between two slashes. It takes the place of Starlette's own, which does not know what stands for a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value.replace(_SLASH, "/")

    def to_string(self, value: str) -> str:
        return value.replace("/", _SLASH)


register_url_convertor("str", _Segment())
