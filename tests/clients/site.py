"""A customer's site: pages and scripts of its own, and where it is served by https, Engage behind it as behind a proxy."""

import mimetypes
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from engage.bootstrap import VENV

# A certificate for this host that nobody trusts, written by a package that one of the clients brings along.
_CERTIFICATE = """
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1))
form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
open(sys.argv[1], "wb").write(key.private_bytes(*form) + made.sign(key, hashes.SHA256()).public_bytes(form[0]))
"""
_HOP = {"connection", "content-length", "date", "server", "transfer-encoding"}


def certificate(folder: Path) -> ssl.SSLContext:
    path = folder / "site.pem"
    command = [sys.executable, "-c", _CERTIFICATE, str(path)]
    subprocess.run(command, env={"PYTHONPATH": str(VENV / "clients")}, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class Site:
    """`pages` are HTML by path; `folders` are served below their paths; with `behind`, `/v1/` is that service's."""

    def __init__(self, tls: ssl.SSLContext | None = None, behind: str = "") -> None:
        self.pages: dict[str, str] = {}
        self.folders: dict[str, Path] = {}
        self._upstream = httpx.Client(base_url=behind, timeout=30)
        site = self

        class Handler(_Handler):
            of = site

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def find(self, path: str) -> tuple[bytes, str] | None:
        """A page's or a file's bytes and content type."""
        if path in self.pages:
            return self.pages[path].encode(), "text/html; charset=utf-8"
        for below, folder in self.folders.items():
            file = folder / path.removeprefix(below)
            if path.startswith(below) and file.is_file():
                return file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return None

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """As a proxy that ends TLS does it."""
        said = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        said |= {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
        return self._upstream.request(method, path, headers=said, content=body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._upstream.close()


class _Handler(BaseHTTPRequestHandler):
    of: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/v1/"):
            self._pass_on()
        elif found := self.of.find(path):
            self._answer(200, {"content-type": found[1]}, found[0])
        else:
            self._answer(404, {}, b"")

    def do_POST(self) -> None:
        self._pass_on()

    def do_OPTIONS(self) -> None:
        self._pass_on()

    def log_message(self, *said: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        reply = self.of.pass_on(self.command, self.path, dict(self.headers), body)
        self._answer(reply.status_code, {k: v for k, v in reply.headers.items() if k not in _HOP}, reply.content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
