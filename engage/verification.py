"""Identity verification: what proves that a page may speak for a userId.

A proof is a `userHash` (HMAC-SHA256 of the userId with the project's identity secret, hex: it never ends) or a `userToken`
(a JWT signed with it, HS256: `sub` is the userId, `exp` its end; it may carry `traits` and a `group`). A customer's backend
makes them. Two secrets may be valid at a time, so that one can be changed for another.
"""

import hashlib
import hmac
import math
import warnings
from collections.abc import Iterable
from typing import Any, Final, Literal

import jwt
import msgspec
from jwt.warnings import InsecureKeyLengthWarning

from engage.errors import Forbidden
from engage.wire import MAX_DEPTH, too_deep
from rules import in_words

LEEWAY_SECONDS: Final = 60  # how far the clocks of backend and service may be apart: of `exp`, `nbf` and `iat`
MAX_TOKEN: Final = 8 * 1024  # characters
KEPT_PROOFS: Final = 10_000  # of a process and project …
KEPT_REFUSALS: Final = 1_000
MAX_KEPT: Final = 2_048  # … and none with more characters
ALGORITHM: Final = "HS256"
EXPECTED_HASH: Final = "the HMAC-SHA256 of the userId with the identity secret, hex"
EXPECTED_TOKEN: Final = "a JWT for this userId, signed with the identity secret (HS256), with sub and exp"  # noqa: S105

# `engage doctor` says it of a secret that is too short; PyJWT would for every token.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

_decode = jwt.PyJWT().decode
_OPTIONS: Final[Any] = {"require": ["exp", "sub"], "verify_aud": False}


def user_hash(identity_secret: str, user_id: str) -> str:
    """HMAC-SHA256 of the user id with the identity secret, hex: what a customer's backend gives to its page."""
    return hmac.digest(identity_secret.encode(), user_id.encode(), "sha256").hex()


class Refusal(Exception):
    """A token that proves nothing; the text says what is wrong with it. `passing`: it may be valid later."""

    def __init__(self, said: str, passing: bool = False) -> None:
        super().__init__(said)
        self.passing = passing


class Group(msgspec.Struct):
    """The `group` claim: the account that the user belongs to."""

    id: str
    traits: dict[str, Any] = {}


class Claims(msgspec.Struct):
    """What a userToken says; other claims are passed over."""

    sub: str
    exp: float
    traits: dict[str, Any] | None = None
    group: Group | str | None = None


class Proof:
    """That a userId is proven: `by` a hash or a token, `until` when (seconds since the epoch)."""

    __slots__ = ("by", "signed", "until")

    def __init__(self, by: Literal["h", "t"], until: float, signed: tuple[bytes, ...] = ()) -> None:
        self.by = by
        self.until = until
        self.signed = signed  # the events that the token itself amounts to, until the log has them


def read_token(secrets: Iterable[str], token: str) -> Claims:
    """What a token says that one of the secrets signed and that is valid now. Raises Refusal with what is wrong."""
    if len(token) > MAX_TOKEN:
        raise Refusal(f"one of {len(token)} characters: at most {MAX_TOKEN}")
    said = "no identity secret"
    for secret in secrets:
        try:
            claims = _decode(token, secret, [ALGORITHM], options=_OPTIONS, leeway=LEEWAY_SECONDS)
            return msgspec.convert(claims, Claims)
        except jwt.InvalidSignatureError:
            said = "one that another secret signed"
        except jwt.ExpiredSignatureError:
            raise Refusal("one that has expired") from None
        except jwt.InvalidAlgorithmError:
            raise Refusal(f"one that is not signed with {ALGORITHM}") from None
        except jwt.ImmatureSignatureError:
            raise Refusal("one that is not valid yet", passing=True) from None
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise Refusal(f"one that is not valid ({in_words(str(error))})") from None
        except (RecursionError, ValueError, OverflowError):  # of what stands in a header or a claim
            raise Refusal("one that cannot be read") from None
    raise Refusal(said)


def signed_events(user: str, token: str, claims: Claims) -> tuple[bytes, ...]:
    """The identify and the group call that a token's own traits and group amount to. Raises Refusal for traits that no event may have.

    Their messageIds follow from the token, so that they count once however often and wherever it is seen.
    """
    calls: list[dict[str, Any]] = []
    if claims.traits:
        calls.append({"type": "identify", "traits": claims.traits})
    if claims.group is not None:
        group = Group(claims.group) if isinstance(claims.group, str) else claims.group
        if not group.id:
            raise Refusal("one whose group has no id")
        calls.append({"type": "group", "groupId": group.id, "traits": group.traits})
    name = hashlib.blake2b(token.encode(), digest_size=16).hexdigest()
    events = []
    for call in calls:
        kind = call["type"]
        try:
            event = msgspec.json.encode({**call, "messageId": f"signed-{kind}-{name}", "userId": user})
        except (OverflowError, ValueError, RecursionError) as error:
            raise Refusal(f"one whose {kind} traits cannot be kept ({in_words(str(error))})") from None
        if too_deep(event):
            raise Refusal(f"one whose {kind} traits are nested deeper than {MAX_DEPTH}")
        events.append(event)
    return tuple(events)


def _is_token(given: str) -> bool:
    """Whether a userHash is really a token: a page may give either there, so that a client that knows userHash alone can bring one."""
    return given.count(".") == 2


class Verifier:
    """Proves userIds of one project. What was proven once is remembered, within bounds, for as long as it is valid."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = tuple(secrets)
        self._new: dict[tuple[str, str], Proof] = {}
        self._old: dict[tuple[str, str], Proof] = {}  # those used before `_new` was last full
        self._refused: dict[tuple[str, str], str] = {}  # tokens that stay refused, and why

    def proof(self, user: str, given_hash: Any, given_token: Any, now: float) -> Proof | None:
        """The proof that either gives for the userId; None where neither does. `now` in seconds."""
        if given_token is not None and (found := self._by(self._token, user, given_token, now)) is not None:
            return found
        return None if given_hash is None else self._by(self._hash, user, given_hash, now)

    def refusal(self, user: str, given_hash: Any, given_token: Any) -> Forbidden:
        """Why there was no proof, as an error that names the field."""
        hint = f"your backend makes it for {user!r}; `engage identity check` says what is wrong with one"
        if given_token is None and isinstance(given_hash, str) and _is_token(given_hash):
            given_token = given_hash
        if isinstance(given_token, str) and given_token:
            try:
                self._claims(user, given_token)
                got = "one that has expired"
            except Refusal as refused:
                got = str(refused)
            return Forbidden(EXPECTED_TOKEN, got, field="userToken", hint=hint)
        if given_hash is None and given_token is None:
            expected = f"{EXPECTED_HASH}; or, as userToken, {EXPECTED_TOKEN}"
            return Forbidden(expected, "neither", field="userHash", hint=hint)
        if isinstance(given_hash, str) and len(given_hash) == 64:
            got = "the hash of another userId, or by another secret"
        elif isinstance(given_hash, str):
            got = f"a text of {len(given_hash)} characters"
        else:
            got = "no text"
        return Forbidden(EXPECTED_HASH, got, field="userHash", hint=hint)

    def _by(self, prove: Any, user: str, given: Any, now: float) -> Proof | None:
        if not isinstance(given, str):
            return None
        key = (user, given)
        found: Proof | None = self._new.get(key) or self._old.get(key)
        if found is None:
            found = prove(user, given)
            if found is None:
                return None
        if found.until < now:
            return None
        if key not in self._new and len(given) <= MAX_KEPT:
            if len(self._new) >= KEPT_PROOFS // 2:
                self._old, self._new = self._new, {}
            self._new[key] = found
        return found

    def _hash(self, user: str, given: str) -> Proof | None:
        if _is_token(given):
            return self._token(user, given)
        proven = False
        for secret in self.secrets:
            proven |= hmac.compare_digest(user_hash(secret, user).encode(), given.lower().encode())
        return Proof("h", math.inf) if proven else None

    def _token(self, user: str, given: str) -> Proof | None:
        if (user, given) in self._refused:
            return None
        try:
            claims = self._claims(user, given)
            return Proof("t", claims.exp + LEEWAY_SECONDS, signed_events(user, given, claims))
        except Refusal as refused:
            if len(given) <= MAX_KEPT and not refused.passing:
                if len(self._refused) >= KEPT_REFUSALS:
                    self._refused.clear()
                self._refused[user, given] = str(refused)
            return None

    def _claims(self, user: str, token: str) -> Claims:
        claims = read_token(self.secrets, token)
        if claims.sub != user:
            raise Refusal(f"one for {claims.sub[:64]!r}")
        return claims
