"""Takes `context.ip` out of events before they are logged: an address is personal, and no rule needs it."""

from typing import Final

import msgspec
from msgspec import Raw

IP: Final = b'"ip"'


class _Call(msgspec.Struct):
    context: Raw = Raw(b"")


_decode_call = msgspec.json.Decoder(_Call).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def may_hold_ip(body: bytes) -> bool:
    """Whether a body could name an `ip` at all, also where the name is written with escapes. Nearly free."""
    return IP in body or (b"\\" in body and b"\\u00" in body)


def without_ip(event: bytes) -> bytes:
    """The event (a JSON object) without `context.ip`; the same bytes where it has none."""
    context = bytes(_decode_call(event).context)
    shorter = context_without_ip(context)
    if shorter is context:
        return event
    return msgspec.json.encode({**_decode_fields(event), "context": Raw(shorter)})


def context_without_ip(context: bytes) -> bytes:
    """The same of a context by itself."""
    if not context.startswith(b"{"):
        return context  # null, or nothing
    fields = _decode_fields(context)
    if "ip" not in fields:
        return context
    del fields["ip"]
    return msgspec.json.encode(fields)
