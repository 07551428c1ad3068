"""The first snippet is the one that was built then."""

import hashlib

from tests.contract.conftest import FIRST

SHA256 = "64ce9d5ed3bb2baad22f3f4d20e23ed37232f158d34aceada347a45f31b59bda"


def test_the_first_snippet_is_never_changed() -> None:
    digest = hashlib.sha256()
    for path in sorted(FIRST.glob("*.js")):
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    assert digest.hexdigest() == SHA256
