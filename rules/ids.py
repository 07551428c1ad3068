"""Ids that everyone can compute and nobody can make twice."""

from hashlib import blake2b
from zlib import crc32


def hash16(person: str) -> int:
    """Which of 65,536 slots a person falls into; a shard is `hash16 % shards`."""
    return crc32(person.encode("utf-8", "surrogatepass")) & 0xFFFF


def delivery_id(rule_id: str, person: str, message_id: str, secret: bytes = b"") -> str:
    """One id for one rule, person and causing event: a replay makes the same one, and nobody without the `secret` (of at
    most 64 bytes) can: who knows an id may claim the delivery."""
    text = f"{rule_id}\0{person}\0{message_id}".encode("utf-8", "surrogatepass")
    return f"{hash16(person):04x}{blake2b(text, digest_size=14, key=secret).hexdigest()}"


def delivery_shard_hash(delivery: str) -> int:
    """The hash16 of the person a delivery id was made for. Raises ValueError where it is no delivery id."""
    return int(delivery[:4], 16)


def draw(*parts: str) -> float:
    """A number in [0, 1) that the parts alone decide: stable assignment to the arms of an experiment."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) / 2**64
