"""The server API of a running service, for the commands that talk to it: found by ENGAGE_URL and ENGAGE_SECRET_KEY."""

from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from engage.errors import ConfigurationError, EngageError
from engage.key_file import kept_here
from engage.later import without
from engage.settings import Settings
from rules import Problem

with without("rich"):  # for a command line of its own
    import httpx

T = TypeVar("T")
TIMEOUT: Final = httpx.Timeout(300, connect=5)  # checking thousands of new documents takes the service a while
_HERE: Final = ("127.0.0.1", "localhost", "::1")


class Refused(EngageError):
    """What the service answered, in its own words."""

    def __init__(self, said: "_Said") -> None:
        self.said = said.message
        self.problems = said.problems
        super().__init__("a request the service takes", hint=said.hint)

    @property
    def message(self) -> str:
        return self.said


class _Said(msgspec.Struct):
    code: str
    message: str
    hint: str | None = None
    problems: list[Problem] = []


class _Body(msgspec.Struct):
    error: _Said


class Remote:
    """A client of one service. Every failure is an EngageError that says what to mend."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        # A service on this machine is not asked through a proxy of the environment. All certificate authorities are read, which
        # takes longer than the rest of it, only where there is a certificate to check.
        safe = not url.startswith("http:")
        self._http = httpx.Client(
            base_url=url, auth=(key, ""), timeout=TIMEOUT, trust_env=not is_here(url), verify=safe
        )

    def get(self, path: str, kind: type[T], **query: str | int) -> T:
        return self._ask("GET", path, kind, params=query)

    def post(self, path: str, body: Any, kind: type[T]) -> T:
        return self._ask("POST", path, kind, content=msgspec.json.encode(body))

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, kind: type[T], **options: Any) -> T:
        try:
            reply = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            got = f"{self.url}: {error or type(error).__name__}"
            hint = "start it with `engage up`, or say with ENGAGE_URL where it runs"
            raise ConfigurationError("a service that answers", got, field="ENGAGE_URL", hint=hint) from None
        if reply.status_code in (401, 403):
            raise ConfigurationError(
                f"the secret key of the service at {self.url}",
                "one that it does not know",
                field="ENGAGE_SECRET_KEY",
                hint="`engage keys rotate secret`, run where the service runs, makes a new one",
            )
        try:
            if reply.is_success:
                return msgspec.json.decode(reply.content, type=kind)
            said = msgspec.json.decode(reply.content, type=_Body).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            got = f"an answer of another kind (status {reply.status_code}) from {self.url}{path}"
            raise ConfigurationError("an Engage service of this version", got, field="ENGAGE_URL") from None
        raise Refused(said)


def find_service(settings: Settings) -> Remote:
    """The service that the settings name. Where no key is set and it runs on this machine, the key that was made here."""
    key = settings.secret_key
    if key is None and is_here(settings.url):
        key = kept_here(settings.data_dir)
    if key is None:
        raise ConfigurationError(
            f"the secret key of the service at {settings.url}",
            "nothing",
            field="ENGAGE_SECRET_KEY",
            hint="set it; or name with --data the data folder that holds it. `engage keys rotate secret` makes a new one",
        )
    return Remote(settings.url, key)


def is_here(url: str) -> bool:
    return urlsplit(url).hostname in _HERE
