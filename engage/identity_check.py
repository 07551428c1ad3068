"""`engage identity check`: what is wrong with a given userHash or userToken, and what a customer's backend may have done."""

import base64
import binascii
import hashlib
import hmac
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

import jwt
import msgspec
from jwt.warnings import InsecureKeyLengthWarning

from engage.doctor import Finding
from engage.times import iso
from engage.verification import ALGORITHM, LEEWAY_SECONDS, Claims, Refusal, read_token, signed_events, user_hash
from rules import in_words

LONG_SECONDS: Final = 24 * 3_600  # a token that lives longer is no short-lived one
_MILLISECONDS: Final = 1e11  # an `exp` beyond is not meant in seconds
_UNCHECKED: Final[Any] = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
_READ: Final[Any] = {**_UNCHECKED, "verify_signature": False}


def check_proof(
    secrets: Sequence[str], others: Mapping[str, str], proof: str, user: str | None, now: float
) -> list[Finding]:
    """What can be said of a proof; it proves the userId (the token's own, for `user` None) unless a finding is bad.

    `others` are keys that are easily taken for the identity secret, by what they are called. `now` in seconds.
    """
    given = proof.strip()
    if given.count(".") == 2:
        return list(_token(secrets, others, given, user, now))
    if user is None:
        return [Finding("bad", "userHash", "a hash is of one userId", "name it with --user")]
    return list(_hash(secrets, others, given, user))


def _hash(secrets: Sequence[str], others: Mapping[str, str], given: str, user: str) -> Iterator[Finding]:
    for number, secret in enumerate(secrets):
        if hmac.compare_digest(user_hash(secret, user).encode(), given.lower().encode()):
            yield Finding("good", "userHash", f"proves {user!r}, by the identity secret{_which(number)}")
            return
    yield Finding(
        "bad", "userHash", f"does not prove {user!r}", "HMAC-SHA256 of the userId, key: identity secret, in hex"
    )
    formed = len(given) == 64 and _is_hex(given)
    if not formed:
        yield Finding("bad", "form", f"expected 64 hex digits, got {len(given)} characters")
    for said, digest in _attempts(secrets, others, user):
        if given.lower() == digest.hex() or given in _base64_forms(digest):
            form = "" if given.lower() == digest.hex() else ", in Base64"
            yield Finding("bad", "it is", said + form, "mend that in your backend")
            return
    if formed:
        yield Finding("note", "it is", "of another userId, or by a secret that is not known here")


def _attempts(secrets: Sequence[str], others: Mapping[str, str], user: str) -> Iterator[tuple[str, bytes]]:
    """Digests that are easily made instead, and what they are."""
    users = {
        "the userId": user,
        "the userId and a line break": user + "\n",
        "the userId as JSON": json.dumps(user),
        "the userId in lower case": user.lower(),
        "nothing": "",
    }
    for key_said, key in _keys(secrets, others):
        for user_said, text in users.items():
            for algorithm in ("sha256", "sha1", "md5", "sha512"):
                said = f"HMAC-{algorithm.upper()} of {user_said} with {key_said}"
                yield said, hmac.digest(key, text.encode(), algorithm)
    for secret in secrets:
        key, name = secret.encode(), user.encode()
        yield "an HMAC of the secret, with the userId as its key", hmac.digest(name, key, "sha256")
        yield "a plain SHA-256 of the secret and the userId", hashlib.sha256(key + name).digest()
        yield "a plain SHA-256 of the userId and the secret", hashlib.sha256(name + key).digest()
    yield "a plain SHA-256 of the userId: no secret in it", hashlib.sha256(user.encode()).digest()


def _keys(secrets: Sequence[str], others: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The identity secrets, and what is easily taken for them."""
    for secret in secrets:
        yield "the identity secret", secret.encode()
        yield "the identity secret and a line break", secret.encode() + b"\n"
        yield "the identity secret without its outer spaces", secret.strip().encode()
        if _is_hex(secret):
            yield "the bytes that the identity secret is the hex of", bytes.fromhex(secret)
        if (decoded := _decoded(secret)) is not None:
            yield "the bytes that the identity secret is the Base64 of", decoded
    for said, key in others.items():
        yield said, key.encode()


def _token(
    secrets: Sequence[str], others: Mapping[str, str], token: str, user: str | None, now: float
) -> Iterator[Finding]:
    try:
        header = jwt.get_unverified_header(token)
        claims: dict[str, Any] = jwt.decode(token, options=_READ)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        yield Finding("bad", "userToken", f"no JWT: {error}", "header.payload.signature, each in Base64 for URLs")
        return
    said = [
        *_signature(secrets, others, token, header),
        *_subject(claims, user),
        *_times(claims, now),
        *_contents(token, claims),
    ]
    yield from said
    if any(finding.state == "bad" for finding in said):
        yield Finding("bad", "userToken", "proves nothing")
        return
    try:
        found = read_token(secrets, token)
        yield Finding("good", "userToken", f"proves {found.sub!r}")
    except Refusal as refused:
        yield Finding("bad", "userToken", f"proves nothing: it is {refused}")


def _signature(
    secrets: Sequence[str], others: Mapping[str, str], token: str, header: Mapping[str, Any]
) -> Iterator[Finding]:
    if header.get("alg") != ALGORITHM:
        yield Finding("bad", "alg", f"expected {ALGORITHM}, got {header.get('alg')!r}", f"sign it with {ALGORITHM}")
        return
    for number, secret in enumerate(secrets):
        if _signed_by(token, secret.encode()):
            yield Finding("good", "signature", f"by the identity secret{_which(number)}")
            return
    for said, key in _keys(secrets, others):
        if key and _signed_by(token, key):
            yield Finding("bad", "signature", f"by {said}", "sign it with the identity secret as it is written")
            return
    yield Finding("bad", "signature", "by a secret that is not known here", "sign it with the identity secret")


def _signed_by(token: str, key: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # of a key that is only tried
            jwt.decode(token, key, [ALGORITHM], options=_UNCHECKED)
    except jwt.PyJWTError:
        return False
    return True


def _subject(claims: Mapping[str, Any], user: str | None) -> Iterator[Finding]:
    sub = claims.get("sub")
    if not isinstance(sub, str) or not sub:
        yield Finding("bad", "sub", f"expected the userId as a text, got {sub!r}", "put the userId there")
    elif user is not None and sub != user:
        yield Finding("bad", "sub", f"expected {user!r}, got {sub!r}", "a token is for one userId, letter by letter")
    else:
        yield Finding("good", "sub", repr(sub))


def _times(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    end = claims.get("exp")
    if not _is_time(end):
        yield Finding("bad", "exp", f"expected seconds since 1970, got {end!r}", "say when it ends")
    elif end > _MILLISECONDS:
        yield Finding("bad", "exp", f"{end} looks like milliseconds", "JWTs tell time in seconds")
    elif end + LEEWAY_SECONDS < now:
        yield Finding("bad", "exp", f"ended {_moment(end)}, {now - end:.0f} s ago", "make a new one with each page")
    elif end - now > LONG_SECONDS:
        found = f"ends {_moment(end)}, in {(end - now) / 3_600:.0f} h"
        yield Finding("note", "exp", found, "who copies a token has it until then: an hour is plenty")
    else:
        yield Finding("good", "exp", f"ends {_moment(end)}, in {end - now:.0f} s")
    for name in ("nbf", "iat"):
        begin = claims.get(name)
        if begin is None:
            continue
        if not _is_time(begin):
            yield Finding("bad", name, f"expected seconds since 1970, got {begin!r}", "leave it out, or mend it")
        elif begin > now + LEEWAY_SECONDS:
            found = f"{begin - now:.0f} s ahead of this machine's clock"
            yield Finding("bad", name, found, f"set the clocks: {LEEWAY_SECONDS} s apart are allowed")


def _contents(token: str, claims: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        found = msgspec.convert({"sub": "", "exp": 0, **_only(claims, "traits", "group")}, Claims)
        signed_events("", token, found)
    except (msgspec.ValidationError, Refusal) as error:
        yield Finding("bad", "traits, group", in_words(str(error)), "traits: an object; group: an id, or {id, traits}")
        return
    if found.traits:
        yield Finding("good", "traits", ", ".join(found.traits))
    if found.group is not None:
        yield Finding("good", "group", found.group if isinstance(found.group, str) else found.group.id)


def _only(claims: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: claims[name] for name in names if name in claims}


def _which(number: int) -> str:
    return "" if number == 0 else " before this one (ENGAGE_IDENTITY_SECRET_OLD)"


def _is_hex(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


def _moment(seconds: float) -> str:
    return iso(int(seconds * 1_000))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) or None
    except (binascii.Error, ValueError):
        return None


def _base64_forms(digest: bytes) -> set[str]:
    forms = {base64.b64encode(digest).decode(), base64.urlsafe_b64encode(digest).decode()}
    return forms | {form.rstrip("=") for form in forms}
