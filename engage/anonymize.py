"""Takes `context.ip` out of events before they are logged: an address is personal, and no rule needs it."""

import msgspec
from msgspec import Raw

from engage.wire import NOTHING, WireContext, decode_fields


def holds_ip(context: WireContext | None) -> bool:
    """Whether a context says any address. `"ip": null`, which some clients always send, is none."""
    return context is not None and context.ip is not NOTHING and bytes(context.ip) != b"null"


def without_ip(event: bytes) -> bytes:
    """An event without `context.ip`, otherwise the same."""
    fields = decode_fields(event)
    return msgspec.json.encode({**fields, "context": Raw(context_without_ip(bytes(fields["context"])))})


def context_without_ip(context: bytes) -> bytes:
    """The same of a context by itself."""
    fields = decode_fields(context)
    del fields["ip"]
    return msgspec.json.encode(fields)
