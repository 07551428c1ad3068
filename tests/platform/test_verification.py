"""What proves a userId, what is remembered of it, and what `engage identity check` says of a proof."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from engage import verification
from engage.errors import ConfigurationError
from engage.identity import Identity
from engage.identity_check import check_proof
from engage.projects import Project, kept_projects, load_projects
from engage.settings import load_settings
from engage.verification import LEEWAY_SECONDS, Refusal, Verifier, read_token, user_hash
from tests import commands

SECRET = "a secret of at least thirty-two bytes"
OLD = "the secret before, of thirty-two bytes"
SECRET_KEY = "sk_a-secret-key-that-is-long-enough"
NOW = time.time()  # of the import: a test may come many minutes later
HOURS = 10 * 3_600
# So short that pytest would make it a test's name, which then differs between the processes of a run: give it an id.
UNSIGNED = jwt.encode({"sub": "aiko", "exp": NOW + 9}, None, "none")


def token(secret: str | bytes = SECRET, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    said = {"sub": "aiko", "exp": NOW + HOURS, **claims}
    return jwt.encode({name: value for name, value in said.items() if value is not ...}, secret, "HS256", headers)


def proven(
    given_hash: Any = None, given_token: Any = None, user: str = "aiko", secrets: tuple[str, ...] = (SECRET, OLD)
) -> str | None:
    found = Verifier(secrets).proof(user, given_hash, given_token, NOW)
    return found and found.by


def test_a_hash_is_what_any_backend_makes():
    for user in ("aiko", "鈴木 🎌", "a" * 256):
        made = hmac.new(SECRET.encode(), user.encode(), hashlib.sha256).hexdigest()
        assert (user_hash(SECRET, user), proven(made, user=user), proven(made.upper(), user=user)) == (made, "h", "h")


@pytest.mark.parametrize("given", ["", "x", "0" * 64, 7, True, [], {}, "é" * 64, "a.b.c", "..", "ı"])
def test_what_proves_nothing_raises_nothing(given):
    assert proven(given) is proven(None, given) is proven(given, given) is None
    assert Verifier([SECRET]).refusal("aiko", given, None).status == 403
    assert Verifier([SECRET]).refusal("aiko", None, given).status == 403


def test_one_good_proof_of_two_is_enough():
    good = user_hash(SECRET, "aiko")
    assert (proven(good, token(exp=NOW - 999)), proven("0" * 64, token()), proven(good, token())) == ("h", "t", "t")


def test_two_secrets_are_valid_and_one_that_was_taken_away_is_not():
    for secret in (SECRET, OLD):
        assert (proven(user_hash(secret, "aiko")), proven(None, token(secret))) == ("h", "t")
    assert proven(user_hash(OLD, "aiko"), secrets=(SECRET,)) is proven(None, token(OLD), secrets=(SECRET,)) is None


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (token(exp=NOW - LEEWAY_SECONDS - 5), "one that has expired"),
        (token(exp=...), 'one that is not valid (Token is missing the "exp" claim)'),
        (token(sub=...), 'one that is not valid (Token is missing the "sub" claim)'),
        (token(sub=7), "one that is not valid (Subject must be a string)"),
        (token(exp="soon"), "one that is not valid (Expiration Time claim (exp) must be an integer.)"),
        (token(nbf=NOW + HOURS), "one that is not valid yet"),
        (token(iat=NOW + HOURS), "one that is not valid yet"),
        (token("another secret, that nobody has told"), "one that another secret signed"),
        (token(traits=["plan"]), "one that is not valid (Expected an object or null, got an array - at `$.traits`)"),
        (token(group=7), "one that is not valid (Expected a text or an object or null, got a whole number - at `$.group`)"),
        pytest.param(UNSIGNED, "one that is not signed with HS256", id="unsigned"),
        (jwt.encode({"sub": "aiko", "exp": NOW + 9}, SECRET * 2, "HS512"), "one that is not signed with HS256"),
        (token(traits={"x": "y" * 9_000}), None),
        (base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=") + ".e30.x", None),
        (token(exp=1e400), None),
        ("a.b.c", None),
    ],
)  # fmt: skip
def test_a_token_that_proves_nothing_says_why(made, said):
    with pytest.raises(Refusal) as refused:
        read_token([SECRET], made)
    assert said is None or str(refused.value) == said
    assert proven(None, made) is None
    error = Verifier([SECRET]).refusal("aiko", None, made)
    assert (error.field, error.status, error.got) == ("userToken", 403, str(refused.value))


def test_clocks_may_be_a_minute_apart():
    now, within = time.time(), LEEWAY_SECONDS - 20
    for made in (token(exp=now - within), token(nbf=now + within, iat=now + within)):
        assert Verifier([SECRET]).proof("aiko", None, made, now) is not None


def test_a_token_is_remembered_until_it_ends_and_for_its_user_alone():
    verifier, made = Verifier([SECRET]), token()
    first = verifier.proof("aiko", None, made, NOW)
    assert first is not None
    assert verifier.proof("aiko", None, made, NOW + HOURS) is first
    assert verifier.proof("aiko", None, made, first.until - 1) is first
    assert verifier.proof("aiko", None, made, first.until + 1) is None
    assert verifier.proof("bob", None, made, NOW) is None
    assert verifier.refusal("bob", None, made).got == "one for 'aiko'"


def test_what_is_remembered_is_bounded_and_what_is_in_use_stays(monkeypatch):
    monkeypatch.setattr(verification, "KEPT_PROOFS", 20)
    monkeypatch.setattr(verification, "KEPT_REFUSALS", 5)
    verifier, used = Verifier([SECRET]), token()
    kept = verifier.proof("aiko", None, used, NOW)
    for number in range(100):
        user = f"user-{number}"
        assert verifier.proof(user, user_hash(SECRET, user), None, NOW)
        assert verifier.proof("aiko", None, used, NOW) is kept
        assert verifier.proof(user, None, token(exp=1, n=number), NOW) is None
        assert len(verifier._new) + len(verifier._old) <= 20
        assert len(verifier._refused) <= 5
    large = token(traits={"x": "y" * 2_500})
    assert verifier.proof("aiko", None, large, NOW)
    assert ("aiko", large) not in verifier._new


@pytest.mark.parametrize(
    ("claims", "calls"),
    [
        ({}, []),
        ({"traits": {}}, []),
        ({"traits": {"plan": "free", "n": 2**53}}, [("identify", {"plan": "free", "n": 2**53}, None)]),
        ({"group": "acme"}, [("group", {}, "acme")]),
        ({"group": {"id": "acme", "traits": {"a": None}}, "traits": {"b": 1}}, [("identify", {"b": 1}, None), ("group", {"a": None}, "acme")]),
    ],
)  # fmt: skip
def test_what_a_token_says_is_an_identify_and_a_group_call(claims, calls):
    made = token(**claims)
    found = Verifier([SECRET]).proof("aiko", None, made, NOW)
    assert found is not None
    said = [json.loads(event) for event in found.signed]
    assert [(event["type"], event["traits"], event.get("groupId")) for event in said] == calls
    assert {event["userId"] for event in said} <= {"aiko"}
    again = Verifier([SECRET]).proof("aiko", None, made, NOW)
    assert again is not None
    assert again.signed == found.signed


@pytest.mark.parametrize(
    "claims",
    [
        {"group": ""},
        {"group": {"traits": {}}},
        {"traits": json.loads("[" * 40 + "]" * 40) and {"x": json.loads("[" * 40 + "]" * 40)}},
    ],
    ids=["no group id", "a group without id", "deep"],
)
def test_traits_that_no_event_may_have_make_a_token_void(claims):
    assert proven(None, token(**claims)) is None


def test_without_a_secret_everybody_is_believed():
    for enforce in ("off", "inbox", "all"):
        identity = Identity(Project("p", "P", "w", identity_enforce=enforce))
        assert identity.reader("aiko", None, None) > NOW
        identity.holder("u:aiko", None, None, None)


# What `engage identity check` says.


def states(proof: str, user: str | None = "aiko") -> dict[str, tuple[str, str]]:
    others = {"the secret key": SECRET_KEY, "the write key": "wk_write"}
    return {
        finding.what: (finding.state, finding.found) for finding in check_proof((SECRET, OLD), others, proof, user, NOW)
    }


def mac(key: bytes, text: bytes, algorithm: str = "sha256") -> str:
    return hmac.digest(key, text, algorithm).hex()


def test_a_good_hash_is_said_to_be_good_and_by_which_secret():
    assert states(user_hash(SECRET, "aiko")) == {"userHash": ("good", "proves 'aiko', by the identity secret")}
    assert "ENGAGE_IDENTITY_SECRET_OLD" in states(f" {user_hash(OLD, 'aiko')}\n")["userHash"][1]
    assert states(user_hash(SECRET, "aiko"), None) == {"userHash": ("bad", "a hash is of one userId")}


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (mac(SECRET.encode() + b"\n", b"aiko"), "HMAC-SHA256 of the userId with the identity secret and a line break"),
        (mac(SECRET.encode(), b"aiko\n"), "HMAC-SHA256 of the userId and a line break with the identity secret"),
        (mac(SECRET.encode(), b'"aiko"'), "HMAC-SHA256 of the userId as JSON with the identity secret"),
        (mac(SECRET.encode(), b"aiko", "sha1"), "HMAC-SHA1 of the userId with the identity secret"),
        (mac(SECRET_KEY.encode(), b"aiko"), "HMAC-SHA256 of the userId with the secret key"),
        (mac(b"aiko", SECRET.encode()), "an HMAC of the secret, with the userId as its key"),
        (hashlib.sha256(b"aiko").hexdigest(), "a plain SHA-256 of the userId: no secret in it"),
        (hashlib.sha256(SECRET.encode() + b"aiko").hexdigest(), "a plain SHA-256 of the secret and the userId"),
        (base64.b64encode(bytes.fromhex(user_hash(SECRET, "aiko"))).decode(), "HMAC-SHA256 of the userId with the identity secret, in Base64"),
        (user_hash(SECRET, "bob"), "of another userId, or by a secret that is not known here"),
    ],
)  # fmt: skip
def test_a_wrong_hash_is_said_to_be_what_it_is(proof, said):
    found = states(proof)
    assert found["userHash"] == ("bad", "does not prove 'aiko'")
    assert found["it is"][1] == said


@pytest.mark.parametrize(
    ("proof", "what", "said"),
    [
        (token(exp=NOW - 120), "exp", "120 s ago"),
        (token(exp=(NOW + 600) * 1_000), "exp", "looks like milliseconds"),
        (token(exp=...), "exp", "expected seconds since 1970, got None"),
        (token(sub="bob"), "sub", "expected 'aiko', got 'bob'"),
        (token(sub=7), "sub", "expected the userId as a text, got 7"),
        (token(nbf=NOW + 300), "nbf", "300 s ahead of this machine's clock"),
        (token(iat=NOW + 300), "iat", "300 s ahead of this machine's clock"),
        (token(SECRET_KEY), "signature", "by the secret key"),
        (token(SECRET + "\n"), "signature", "by the identity secret and a line break"),
        (token("who knows who knows who knows who knows"), "signature", "by a secret that is not known here"),
        (token(traits=[]), "traits, group", "Expected an object or null, got an array - at `$.traits`"),
        (token(group={"name": "x"}), "traits, group", "Object missing required field `id` - at `$.group`"),
        pytest.param(UNSIGNED, "alg", "expected HS256, got 'none'", id="unsigned"),
        ("a.b.c", "userToken", "no JWT"),
    ],
)
def test_a_wrong_token_is_told_all_that_is_wrong_with_it(proof, what, said):
    found = states(proof)
    assert found[what][0] == found["userToken"][0] == "bad"
    assert said in found[what][1]


def test_a_good_token_is_said_to_be_good_and_a_long_lived_one_is_noted():
    found = states(token(traits={"plan": "free"}, group="acme"))
    assert {state for state, _ in found.values()} == {"good"}
    assert (found["traits"][1], found["group"][1]) == ("plan", "acme")
    assert found["userToken"][1] == "proves 'aiko'"
    assert states(token(OLD), None)["signature"][1].endswith("(ENGAGE_IDENTITY_SECRET_OLD)")
    assert states(token(exp=NOW + 40 * 86_400))["exp"][0] == "note"


def test_the_old_secret_and_what_is_enforced_follow_the_settings_and_are_not_kept(tmp_path):
    def projects(**more: str) -> Project:
        return load_projects(load_settings({"ENGAGE_DATA_DIR": str(tmp_path), **more}))[0]

    rotating = {"ENGAGE_IDENTITY_SECRET": SECRET, "ENGAGE_IDENTITY_SECRET_OLD": OLD, "ENGAGE_IDENTITY_ENFORCE": "all"}
    found = projects(**rotating)
    assert (found.identity_secrets, found.identity_enforce) == ((SECRET, OLD), "all")
    found = projects()
    assert (found.identity_secrets, found.identity_enforce) == ((SECRET,), "inbox")
    [kept] = kept_projects(load_settings({"ENGAGE_DATA_DIR": str(tmp_path), **rotating}))
    assert kept.identity_secrets == (SECRET, OLD)


@pytest.mark.parametrize("asked", [{"ENGAGE_IDENTITY_ENFORCE": "all"}, {"ENGAGE_IDENTITY_SECRET_OLD": OLD}])
def test_what_needs_a_secret_does_not_start_without_one(tmp_path, asked):
    with pytest.raises(ConfigurationError) as raised:
        load_projects(load_settings({"ENGAGE_DATA_DIR": str(tmp_path), **asked}))
    assert raised.value.field == "ENGAGE_IDENTITY_SECRET"


def test_the_check_needs_a_secret_to_check_with(tmp_path):
    done = commands.started("identity", "check", "a.b.c", "--data", tmp_path)
    assert done.returncode == 2
    assert "ENGAGE_IDENTITY_SECRET" in done.stderr
    assert (tmp_path / "engage.db").stat().st_mode & 0o077 == 0
