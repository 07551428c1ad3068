"""The snippet's files: the loader by its plain name, the rest hashed and immutable, compressed when they were built."""

import mimetypes
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.responses import Response

from engage.errors import NotFound

BUILT: Final = Path(__file__).parent.parent / "sdk_js" / "dist"
LOADER: Final = "engage.js"
MANIFEST: Final = "manifest.json"
GALLERY: Final = "gallery"  # every kind of message on one page, by this name
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
# What the strictest page would have; its samples are shown in frames of its own.
GALLERY_CSP: Final = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'; require-trusted-types-for 'script'"
)
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}


class SdkFiles:
    """Everything in the folder `built`, read once: a few small files."""

    def __init__(self, built: Path = BUILT) -> None:
        found = built.iterdir() if built.is_dir() else ()
        self._files = {path.name: path.read_bytes() for path in found if path.is_file()}
        self._tags = {name: f'W/"{blake2b(data, digest_size=8).hexdigest()}"' for name, data in self._files.items()}

    def response(self, name: str, headers: Mapping[str, str]) -> Response:
        """The file in the best encoding the client takes. Raises NotFound."""
        if name == GALLERY:
            name += ".html"
        if name not in self._files or name.endswith((".br", ".gz")):
            hint = None if LOADER in self._files else "the snippet is not built: run `make setup`"
            raise NotFound("a file of the snippet", name, field="name", hint=hint)
        accepted = {part.partition(";")[0].strip() for part in headers.get("accept-encoding", "").split(",")}
        reply = {
            "content-type": _TYPES.get(Path(name).suffix)
            or mimetypes.guess_type(name)[0]
            or "application/octet-stream",
            # The loader keeps its name over releases and names the parts: an old one would ask for parts that are gone.
            "cache-control": "public, no-cache"
            if name in (LOADER, MANIFEST) or name.startswith(GALLERY)
            else "public, max-age=31536000, immutable",
            "etag": self._tags[name],
            "vary": "accept-encoding",
            "access-control-allow-origin": "*",
        }
        if name.endswith(".html"):
            reply["content-security-policy"] = GALLERY_CSP
        if self._tags[name] in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=reply)
        for encoding, suffix in _ENCODINGS:
            if encoding in accepted and name + suffix in self._files:
                return Response(self._files[name + suffix], headers={**reply, "content-encoding": encoding})
        return Response(self._files[name], headers=reply)
