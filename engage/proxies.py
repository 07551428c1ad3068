"""Whose address a request comes from: the peer's, or what a trusted proxy says of it. Nobody else is believed."""

import functools
import ipaddress
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_REMEMBERED: Final = 20_000
_FORWARDING: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-forwarded-proto"})


def parse_networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas, in their one spelling; `none` for none. Raises ValueError."""
    if text.lower() == "none":
        return ()
    return tuple(str(ipaddress.ip_network(part.strip())) for part in text.split(",") if part.strip())


@functools.lru_cache(_REMEMBERED)
def client_address(text: str) -> str:
    """The name under which a client's address is counted: of IPv6 its /64, since one subscriber has all of it. Raises
    ValueError for what is no address."""
    found = _parse(text)
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.partition("%")[0])
    return (found.version == 6 and found.ipv4_mapped) or found


class Proxies:
    """The proxies that may speak for others."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(network) for network in networks]
        self.trusts: Callable[[str], bool] = functools.lru_cache(_REMEMBERED)(self._trusts)

    def _trusts(self, address: str) -> bool:
        try:
            found = _parse(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def client(self, scope: MutableMapping[str, Any]) -> str | None:
        """The address to count a request by; None for a trusted proxy's own. Where a trusted proxy speaks, the scope's
        `client` and `scheme` become what it says."""
        peer = scope["client"]
        if peer is None:
            return None
        if not self.trusts(peer[0]):
            return client_address(peer[0])
        said = {name: value for name, value in scope["headers"] if name in _FORWARDING}
        if not said:
            return None
        # A field may come several times: its lines make one list.
        hops, proto = _forwarded(scope["headers"], said)
        if proto in ("http", "https"):
            scope["scheme"] = proto
        for hop in reversed(hops):
            try:
                address = client_address(hop)
            except ValueError:
                break  # an obfuscated or broken hop: nothing before it can be believed
            if not self.trusts(hop):
                scope["client"] = (hop, 0)
                return address
        return None


def _forwarded(headers: Iterable[tuple[bytes, bytes]], said: dict[bytes, bytes]) -> tuple[list[str], str | None]:
    """The hops, the nearest last, and the scheme of the nearest. X-Forwarded-For goes before Forwarded."""
    proto = said.get(b"x-forwarded-proto", b"").decode("latin-1").rpartition(",")[2].strip().lower() or None
    wanted = b"x-forwarded-for" if b"x-forwarded-for" in said else b"forwarded"
    parts = b",".join(value for name, value in headers if name == wanted).decode("latin-1").split(",")
    if wanted == b"x-forwarded-for":
        return [_host(part) for part in parts], proto
    pairs = [
        {key.strip().lower(): value for key, _, value in (pair.partition("=") for pair in part.split(";"))}
        for part in parts
    ]
    return [_host(pair.get("for", "")) for pair in pairs], proto or _host(pairs[-1].get("proto", "")).lower() or None


def _host(text: str) -> str:
    """An address without quotes, brackets and port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
