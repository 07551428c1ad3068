"""Kanso's backend: its pages, its accounts, and the two things a customer's server does for Engage: it proves who is
signed in (`userHash`), and it reads from the server API with the secret key, which no browser ever sees."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
from accounts import MAX_PROJECTS, Account, Accounts, Signer
from server_api import EngageAway, ServerApi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

SITE: Final = Path(__file__).resolve().parent / "site"
PUBLIC: Final = ("pricing", "help")
MEMBERS: Final = ("dashboard", "projects", "settings")
LANGUAGES: Final = ("en", "ja")
YEAR: Final = 365 * 24 * 3600
MARK: Final = re.compile(r"\{\{ ([\w./-]+) \}\}")
ANONYMOUS_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WAIT_SECONDS: Final = 20
LOOK_SECONDS: Final = 0.4  # how often it is seen whether the rules changed
LANGUAGE_COOKIE: Final = "kanso_language"


class SignUp(msgspec.Struct):
    email: str
    first_name: str = ""


class Change(msgspec.Struct):
    """What the pages may change of an account."""

    first_name: str | None = None
    role: str | None = None
    plan: str | None = None
    project: str | None = None


class Kanso:
    """`stopping` ends the answers that would go on for ever."""

    def __init__(self, engage_url: str, keys: dict[str, str], data: Path, stopping: asyncio.Event) -> None:
        self.engage = ServerApi(engage_url, keys["secret_key"])
        self._public = {"write_key": keys["write_key"], "engage_url": engage_url}
        self._identity = Signer(keys["identity_secret"])
        self._session = Signer(keys["session_secret"])
        self._accounts = Accounts(data / "accounts.json")
        self._stopping = stopping
        self.app = Starlette(
            routes=[
                Route("/", self.page),
                *(Route(f"/{name}", self.page) for name in PUBLIC + MEMBERS),
                Route("/backend/sign-in", self.sign_in, methods=["POST"]),
                Route("/backend/sign-out", self.sign_out, methods=["POST"]),
                Route("/backend/account", self.change, methods=["POST"]),
                Route("/backend/activity", self.activity),
                Mount("/static", Fresh(StaticFiles(directory=SITE / "static"))),
            ],
            exception_handlers={msgspec.MsgspecError: _bad_request},
        )

    async def page(self, request: Request) -> Response:
        name = request.url.path.strip("/") or "index"
        account = self._signed_in(request)
        if account is None and name in MEMBERS:
            return RedirectResponse("/", 303)
        if account is not None and name == "index":
            return RedirectResponse("/dashboard", 303)
        language = language_of(request)
        texts = load_texts(language)
        data = {"page": name, "language": language, "user": account and self._for_page(account), "texts": texts}
        marks = self._public | {
            "language": language,
            "page": name,
            "title": texts[f"page.{name}"],
            "signed_in": "yes" if account else "no",
            "initial": account.first_name[:1].upper() if account else "",
            "first_name": account.first_name if account else "",
            "dash.hello": texts["dash.hello"].replace("{name}", account.first_name if account else ""),
            "plan_name": texts[f"price.{account.plan}"] if account else "",
            "email": account.email if account else "",
        }
        filled = fill((SITE / "layout.html").read_text(), texts | marks)
        body = fill((SITE / "pages" / f"{name}.html").read_text(), texts | marks)
        whole = filled.replace("<!-- page -->", body).replace("<!-- data -->", script_json(data))
        return HTMLResponse(whole, headers={"cache-control": "no-store"})

    async def sign_in(self, request: Request) -> Response:
        """With a first name it signs up, without one it signs in. No passwords: it is a demo."""
        asked = msgspec.json.decode(await request.body(), type=SignUp)
        email, first_name = asked.email.strip().lower(), asked.first_name.strip()[:40]
        account = self._accounts.by_email(email)
        is_new = account is None
        if account is None:
            if not first_name:
                return JSONResponse({"error": "unknown"}, 404)
            account = self._accounts.sign_up(email, first_name)
        reply = JSONResponse({"user": self._for_page(account), "isNew": is_new})
        cookie = self._session.cookie(account.user_id)
        reply.set_cookie(session_name(request), cookie, max_age=YEAR, httponly=True, samesite="lax")
        return reply

    async def sign_out(self, request: Request) -> Response:
        reply = JSONResponse({})
        reply.delete_cookie(session_name(request))
        return reply

    async def change(self, request: Request) -> Response:
        account = self._signed_in(request)
        if account is None:
            return JSONResponse({"error": "signed out"}, 401)
        asked = msgspec.json.decode(await request.body(), type=Change)
        account.first_name = (asked.first_name or account.first_name)[:40]
        account.role = asked.role or account.role
        account.plan = asked.plan if asked.plan in ("solo", "team", "company") else account.plan
        if asked.project:
            account.projects = [asked.project[:60], *account.projects][:MAX_PROJECTS]
        self._accounts.save()
        return JSONResponse({"user": self._for_page(account)})

    async def activity(self, request: Request) -> Response:
        """Server-Sent Events for the side panel: what Engage decided for the person at this browser, as it happens.

        Who is signed in sees their own; a visitor is known by the anonymousId that the snippet made.
        """
        account = self._signed_in(request)
        visitor = request.query_params.get("visitor", "")
        if account is None and not ANONYMOUS_ID.fullmatch(visitor):
            return JSONResponse({"error": "expected the visitor's anonymousId"}, 400)
        after = request.headers.get("last-event-id") or request.query_params.get("after") or None
        news = self._news(request, account.user_id if account else visitor, after)
        return StreamingResponse(news, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _news(self, request: Request, person: str, after: str | None) -> AsyncIterator[str]:
        version = None
        stopped = asyncio.create_task(self._stopping.wait())
        asking: asyncio.Task[dict[str, Any]] | None = None
        try:
            while not (self._stopping.is_set() or await request.is_disconnected()):
                try:
                    live = await self.engage.rules()
                    if live["version"] != version:
                        version = live["version"]
                        yield server_sent("rules", live)
                    # The first answer comes at once, also when there is nothing yet.
                    wait = 0 if asking is None else WAIT_SECONDS
                    asking = asking or asyncio.create_task(self.engage.history(person, after, wait))
                    await asyncio.wait({asking, stopped}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    if asking.done():
                        found = asking.result()
                        if found["records"] or found["cursor"] != after:
                            after = found["cursor"]
                            yield server_sent("records", found["records"], after)
                        asking = asyncio.create_task(self.engage.history(person, after, WAIT_SECONDS))
                except EngageAway:
                    asking = None
                    yield server_sent("away", None)
                    await asyncio.wait({stopped}, timeout=LOOK_SECONDS)
        finally:
            stopped.cancel()
            if asking is not None and not asking.cancel():
                asking.exception()  # looked at: nobody is left to hear of it

    def _signed_in(self, request: Request) -> Account | None:
        user_id = self._session.read(request.cookies.get(session_name(request)))
        return self._accounts.find(user_id) if user_id else None

    def _for_page(self, account: Account) -> dict[str, Any]:
        """What the page needs to call `identify`: the traits, and the proof that it is them."""
        return {
            "userId": account.user_id,
            "userHash": self._identity.sign(account.user_id),
            "traits": {
                "first_name": account.first_name,
                "email": account.email,
                "plan": account.plan,
                "role": account.role,
            },
            "projects": account.projects,
        }


async def _bad_request(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


class Fresh:
    """Files that change while one looks at the demo: always asked for again, mostly answered with 304."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache")]
            await send(message)

        await self._app(scope, receive, marked)


def session_name(request: Request) -> str:
    """Cookies do not know ports: two demos on one machine must not share one."""
    return f"kanso_{request.url.port}"


def language_of(request: Request) -> str:
    """What was chosen with the switch, else the first of the browser's languages that there is."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wanted = (
        part.partition(";")[0].strip().lower()[:2] for part in request.headers.get("accept-language", "").split(",")
    )
    return next((language for language in wanted if language in LANGUAGES), LANGUAGES[0])


def load_texts(language: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((SITE / "texts" / f"{language}.json").read_text())
    return texts


def fill(template: str, values: dict[str, str]) -> str:
    """`{{ name }}` → the value, as text. A name without a value is a mistake in the page: KeyError."""
    return MARK.sub(lambda found: html.escape(values[found[1]]), template)


def script_json(data: Any) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def server_sent(event: str, data: Any, cursor: str | None = None) -> str:
    return f"event: {event}\n" + (f"id: {cursor}\n" if cursor else "") + f"data: {json.dumps(data)}\n\n"
