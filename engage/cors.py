"""Cross-origin headers: pages of customers call the public wire from their own origins.

The lists are spelled out because `*` never covers `authorization`, and one missing name blocks every event of a client.
"""

import re
from typing import Final

ALLOW_HEADERS: Final = (
    b"authorization, content-type, content-encoding, last-event-id, x-retry-count, anonymousid, sentat, "
    b"rsa-recovered, rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt"
)
# RudderStack's browser client has had more of these with every year, and one that is not allowed blocks all its events.
_RUDDERSTACK: Final = re.compile(rb"(?<![a-z0-9-])rsa-[a-z0-9-]{1,40}")


def cors_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    """For the reply to a page of `origin`. Credentials are allowed because `sendBeacon` always asks for them; Engage
    reads no cookie."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"origin"),
    ]


def preflight_headers(origin: bytes, asked: bytes) -> list[tuple[bytes, bytes]]:
    """For a page of `origin` that has `asked` (`Access-Control-Request-Headers`) whether it may send these headers."""
    return [
        *cors_headers(origin),
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", b", ".join([ALLOW_HEADERS, *_RUDDERSTACK.findall(asked.lower())[:10]])),
        (b"access-control-max-age", b"86400"),
        (b"content-length", b"0"),
    ]
