"""Kanso's customers: one JSON file, and a signed cookie for who is signed in."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

import msgspec

MAX_PROJECTS: Final = 50


class Account(msgspec.Struct):
    user_id: str
    email: str
    first_name: str
    plan: str = "solo"
    role: str = "owner"
    projects: list[str] = []


class Accounts:
    """Everybody who signed up, kept in `file`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        stored = msgspec.json.decode(file.read_bytes(), type=list[Account]) if file.exists() else []
        self._by_id = {account.user_id: account for account in stored}

    def find(self, user_id: str) -> Account | None:
        return self._by_id.get(user_id)

    def by_email(self, email: str) -> Account | None:
        return self._by_id.get(_user_id(email))

    def sign_up(self, email: str, first_name: str) -> Account:
        account = Account(_user_id(email), email, first_name)
        self._by_id[account.user_id] = account
        self.save()
        return account

    def save(self) -> None:
        """Written beside and moved into place: a file half written never stands there."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(list(self._by_id.values()))))
        draft.replace(self._file)


def _user_id(email: str) -> str:
    return "user_" + hashlib.sha256(email.encode()).hexdigest()[:12]


class Signer:
    """Hex HMAC-SHA256 of a user id: the same proof Engage asks for as `userHash`, and the seal of our own cookie."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def sign(self, user_id: str) -> str:
        return hmac.new(self._secret, user_id.encode(), hashlib.sha256).hexdigest()

    def cookie(self, user_id: str) -> str:
        return f"{user_id}.{self.sign(user_id)}"

    def read(self, cookie: str | None) -> str | None:
        user_id, _, proof = (cookie or "").partition(".")
        return user_id if hmac.compare_digest(proof, self.sign(user_id)) else None
