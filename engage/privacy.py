"""What a project keeps of an event, applied at the door: fields that its document denies or hashes are gone before anything is written.

Nothing is looked for in an event whose text does not hold the last name of such a field; and where a project has no list, nobody looks.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from engage.wire import decode_fields, decode_items
from rules import Privacy

PREFIX: Final = "hmac-sha256:"  # before a hash, so that it can be told from what it stands for
_encode = msgspec.json.Encoder(order="sorted").encode
_PLAIN: Final = re.compile(r'[^"\\/\x00-\x1f]*')
_REMOVE: Final = "remove"
_HASH: Final = "hash"
Tree = dict[str, Any]  # name → a tree below it, or what becomes of it


class _Context(msgspec.Struct):
    consent: Any = None


class _Speaking(msgspec.Struct):
    """An event of which only what it says of consent is read."""

    context: _Context | None = None


_decode_event = msgspec.json.Decoder(_Speaking).decode
_decode_context = msgspec.json.Decoder(_Context | None).decode


def hashed(secret: str, value: Any) -> str:
    """What stands for a value: the same for the same value, in this project alone. A text is hashed as it is, everything else as JSON with
    sorted keys."""
    text = value.encode() if isinstance(value, str) else _encode(value)
    return PREFIX + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Policy:
    """What one project's document asks for."""

    def __init__(self, privacy: Privacy, secret: str) -> None:
        self._secret = secret
        self._consent = privacy.consent
        self._event: Tree = {}
        names: set[str] = set()
        for fields, action in ((privacy.hash, _HASH), (privacy.deny, _REMOVE)):
            for field in fields:
                path = field.split(".")
                names.add(path[-1])
                for whole in (path, ["context", *path]) if path[0] == "traits" else (path,):
                    _plant(self._event, whole, action)
        self._context: Tree = self._event.get("context", {})
        # A name, and how it stands at the end of a key, or, in `{"address.street": …}`, of a part of one.
        wanted = sorted(names) if privacy.consent is None else ["consent", *sorted(names)]
        texts = [msgspec.json.encode(name)[1:-1] for name in wanted]
        self._needles = [(text, text + b'"', text + b".") for text in texts]
        # An escape may hide a name: in most `\u0061` alone, in one that is itself written with an escape any.
        self._escape = b"\\u" if all(map(_PLAIN.fullmatch, names)) else b"\\"

    def concerns(self, body: bytes) -> bool:
        """Whether a text may hold what this is about."""
        for name, whole, part in self._needles:
            if name in body and (whole in body or part in body):
                return True
        return self._escape in body

    def event(self, raw: bytes) -> bytes:
        """An event as it may be kept."""
        return self._kept(raw, self._event) if self._event else raw

    def context(self, raw: bytes) -> bytes:
        """A batch's context as it may be kept."""
        return self._kept(raw, self._context) if self._context else raw

    def consents(self, raw: bytes, otherwise: bool = True) -> bool:
        """Whether an event consents; `otherwise` where it does not speak of it."""
        return otherwise if self._consent is None else self._heard(_decode_event, raw, otherwise)

    def context_consents(self, context: bytes | None) -> bool:
        """The same of a batch's context."""
        return self._consent is None or not context or self._heard(_decode_context, context, True)

    def _heard(self, decode: Callable[[bytes], Any], raw: bytes, otherwise: bool) -> bool:
        try:
            found = decode(raw)
        except msgspec.MsgspecError:  # not what anybody can read as consent
            return False
        context = found.context if isinstance(found, _Speaking) else found
        if context is None or context.consent is None:
            return otherwise
        given = context.consent.get("categoryPreferences") if isinstance(context.consent, dict) else None
        return isinstance(given, dict) and given.get(self._consent) is True

    def _kept(self, raw: bytes, tree: Tree) -> bytes:
        start = raw.lstrip()[:1]
        if start == b"[":
            return b"[" + b",".join(self._kept(bytes(item), tree) for item in decode_items(raw)) + b"]"
        if start != b"{":
            return raw
        # Written anew even where nothing is taken out: of a name that stands twice only what counts is left.
        fields = decode_fields(raw)
        for name in [name for name in fields if name in tree]:
            self._apply(fields, name, tree[name])
        # Some clients write `{"address.street": …}`.
        for flat in [name for name in fields if "." in name]:
            below: Any = tree
            for part in flat.split("."):
                below = below.get(part)
                if not isinstance(below, dict):
                    break  # nothing, or what becomes of it and of all below
            if below is not None:
                self._apply(fields, flat, below)
        return msgspec.json.encode(fields)

    def _apply(self, fields: dict[str, Raw], name: str, below: Any) -> None:
        if below is _REMOVE:
            del fields[name]
        elif below is _HASH:
            fields[name] = Raw(self._hash(bytes(fields[name])))
        else:
            fields[name] = Raw(self._kept(bytes(fields[name]), below))

    def _hash(self, raw: bytes) -> bytes:
        if raw.strip() == b"null":
            return raw
        try:
            value = msgspec.json.decode(raw)
        except msgspec.MsgspecError:  # a number that no 64-bit type holds
            return msgspec.json.encode(hashed(self._secret, raw.decode("utf-8", "replace")))
        return msgspec.json.encode(hashed(self._secret, value))


def _plant(tree: Tree, path: Sequence[str], action: str) -> None:
    """Denied comes after hashed: it takes away what is below it; of what is hashed as a whole no part is left to deny."""
    *above, last = path
    place: Any = tree
    for name in above:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            return
    place[last] = action
