"""`make demo`: a small SaaS product, and Engage beside it, as a customer would run the two.

    python examples/demo-app/serve.py [--port 8701] [--engage-port 8700] [--data .engage/demo] [--rules examples]

The browser gets the pages from here and talks to Engage directly, with the write key. What needs a secret (the proof of who
is signed in, the history behind the side panel) goes through this backend, as it should in any product.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).resolve().parent
SITE = HERE / "site"
PAGES = ("dashboard", "projects", "pricing", "settings", "help")
JAPANESE_NAMES = {
    "welcome-tour": "新しいメンバーをご案内",
    "pricing-hesitation": "料金で迷っている方にプランをご提案",
    "export-rescue": "書き出しに失敗した方をお手伝い",
}
START_SECONDS = 60


class Demo:
    """The demo's backend: pages with the customer's keys filled in, sign-in, and the panel's data."""

    def __init__(self, engage_url: str, keys: dict[str, str]) -> None:
        self._engage_url = engage_url
        self._keys = keys
        self._users: set[str] = set()
        self._client = httpx.AsyncClient(base_url=engage_url, auth=(keys["secret_key"], ""), timeout=30)
        self.app = Starlette(
            routes=[
                Route("/", self.page),
                *(Route(f"/{name}", self.page) for name in PAGES),
                Route("/backend/sign-in", self.sign_in, methods=["POST"]),
                Route("/backend/activity", self.activity),
                Mount("/static", StaticFiles(directory=SITE / "static")),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await self._client.aclose()

    async def page(self, request: Request) -> Response:
        name = request.url.path.strip("/") or "index"
        filled = (SITE / "_layout.html").read_text()
        for mark, text in (
            ("__WRITE_KEY__", self._keys["write_key"]),
            ("__ENGAGE_URL__", self._engage_url),
            ("__PAGE__", name),
            ("__CONTENT__", (SITE / f"{name}.html").read_text()),
        ):
            filled = filled.replace(mark, text)
        return HTMLResponse(filled, headers={"cache-control": "no-store"})

    async def sign_in(self, request: Request) -> Response:
        """Whoever gives an e-mail is signed in: it is a demo. The userHash proves the userId to Engage."""
        email = str(json.loads(await request.body())["email"]).strip().lower()
        user_id = "user-" + hashlib.sha256(email.encode()).hexdigest()[:12]
        proof = hmac.new(self._keys["identity_secret"].encode(), user_id.encode(), hashlib.sha256).hexdigest()
        known = (await self._client.get(f"/api/users/{user_id}")).status_code == 200
        return JSONResponse({"userId": user_id, "userHash": proof, "isNew": not known})

    async def activity(self, request: Request) -> Response:
        """What Engage decided for one person since a cursor; waits for news. The secret key stays here."""
        query = request.query_params
        asked = {"limit": "40", "wait": "20"} | ({"after": query["after"]} if query.get("after") else {"wait": "0"})
        try:
            reply = await self._client.get(f"/api/users/{query['id']}/history", params=asked)
            reply.raise_for_status()
            rules = (await self._client.get("/api/rules")).json()["rules"]
        except httpx.HTTPError:
            return JSONResponse({"error": "Engage does not answer"}, 503)
        names = {rule["id"]: rule.get("name") or rule["id"] for rule in rules}
        if query.get("language") == "ja":
            names |= {rule: name for rule, name in JAPANESE_NAMES.items() if rule in names}
        return JSONResponse({**reply.json(), "names": names})


def load_keys(data: Path) -> dict[str, str]:
    """The demo customer's keys, made once and kept: a second run goes on where the first one ended."""
    file = data / "demo-keys.json"
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True)
        made = {"write_key": f"wk_{secrets.token_urlsafe(12)}", "secret_key": f"sk_{secrets.token_urlsafe(24)}"}
        file.write_text(json.dumps(made | {"identity_secret": secrets.token_urlsafe(24)}))
        file.chmod(0o600)
    keys: dict[str, str] = json.loads(file.read_text())
    return keys


def start_engage(arguments: Any, keys: dict[str, str], origins: str) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "ENGAGE_WRITE_KEY": keys["write_key"],
        "ENGAGE_SECRET_KEY": keys["secret_key"],
        "ENGAGE_IDENTITY_SECRET": keys["identity_secret"],
        "ENGAGE_ALLOWED_ORIGINS": origins,
    }
    command = [sys.executable, "-m", "engage", "up", "--port", str(arguments.engage_port)]
    command += ["--data", str(arguments.data), "--rules", str(arguments.rules)]
    # A session of its own: Ctrl-C reaches this process, which then ends Engage and waits for it.
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def wait_until_ready(engage: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if engage.poll() is not None:
            sys.exit(f"Engage ended while starting (exit code {engage.returncode}); what it said stands above.")
        try:
            with urlopen(f"{url}/readyz", timeout=2) as reply:
                if reply.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"Engage was not ready after {START_SECONDS} s.")


def require_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"Port {port} is not free ({error.strerror}). Choose another: {option} {port + 10}")


def parse_arguments() -> Any:
    parser = argparse.ArgumentParser(description="Run the demo web app with Engage beside it.")
    parser.add_argument("--port", type=int, default=8701, help="the demo web app's port (8701)")
    parser.add_argument("--engage-port", type=int, default=8700, help="Engage's port (8700)")
    parser.add_argument("--data", type=Path, default=Path(".engage/demo"), help="where everything is kept (.engage/demo)")
    parser.add_argument("--rules", type=Path, default=HERE.parent, help="folder with rules/, messages/ … (examples)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    require_free(arguments.port, "--port")
    require_free(arguments.engage_port, "--engage-port")
    address, engage_url = f"http://127.0.0.1:{arguments.port}", f"http://127.0.0.1:{arguments.engage_port}"
    keys = load_keys(arguments.data)
    engage = start_engage(arguments, keys, f"{address},http://localhost:{arguments.port}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(
        uvicorn.Config(
            Demo(engage_url, keys).app, port=arguments.port, log_level="warning", timeout_graceful_shutdown=1, ws="none"
        )
    )
    try:
        wait_until_ready(engage, engage_url)
        print(f"\n  The demo is ready. Open\n\n      {address}\n\n  Rules and messages: {arguments.rules} — edit one, it is live within a second.\n  Ctrl-C ends everything.\n", flush=True)
        threading.Thread(target=end_with, args=(engage, server), daemon=True).start()
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        stop(engage)
    if engage.returncode not in (0, -signal.SIGTERM):
        sys.exit(f"Engage ended by itself (exit code {engage.returncode}).")


def end_with(engage: "subprocess.Popen[bytes]", server: uvicorn.Server) -> None:
    """Engage restarts its own children; if it ends itself, the demo has nothing left to show."""
    engage.wait()
    server.should_exit = True


def stop(engage: "subprocess.Popen[bytes]") -> None:
    if engage.poll() is None:
        engage.terminate()
    try:
        engage.wait(timeout=30)
    except subprocess.TimeoutExpired:
        engage.kill()
        engage.wait()


if __name__ == "__main__":
    main()
