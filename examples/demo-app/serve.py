"""`make demo`: Kanso, a small SaaS product, and Engage beside it, as a customer would run the two.

    python examples/demo-app/serve.py [--port 8701] [--engage-port 8700] [--data .engage/demo] [--rules examples]

The browser gets its pages from here, and talks to Engage directly with the write key. What needs a secret (the proof of
who is signed in, the history behind the side panel) goes through Kanso's backend, as it should in any product.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from backend import Kanso
from server_api import ServerApi

HERE: Final = Path(__file__).resolve().parent
EXAMPLES: Final = HERE.parent
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1


class Site(uvicorn.Server):
    """Greets once it listens. Signals are `run`'s business: it has more to end than a web server."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self.greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self.greeting, flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> int:
    arguments = parse_arguments()
    require_free(arguments.port, "--port", "Kanso, the demo web app")
    require_free(arguments.engage_port, "--engage-port", "Engage")
    return asyncio.run(run(arguments, load_keys(arguments.data)))


def parse_arguments() -> Any:
    parser = argparse.ArgumentParser(description="Run the demo web app with Engage beside it.")
    parser.add_argument("--port", type=int, default=8701, help="the demo web app's port (8701)")
    parser.add_argument("--engage-port", type=int, default=8700, help="Engage's port (8700)")
    parser.add_argument(
        "--data", type=Path, default=EXAMPLES.parent / ".engage" / "demo", help="where all is kept (.engage/demo)"
    )
    parser.add_argument("--rules", type=Path, default=EXAMPLES, help="the folder with rules/, messages/ … (examples)")
    return parser.parse_args()


def require_free(port: int, option: str, what_for: str) -> None:
    try:
        _bind(port)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        sys.exit(
            f"Port {port} on 127.0.0.1, for {what_for}, cannot be used: {why}.\n"
            f"Stop what listens there, or choose another port, for instance:\n"
            f"  .venv/bin/python examples/demo-app/serve.py {option} {_bind(0)}"
        )


def _bind(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def load_keys(data: Path) -> dict[str, str]:
    """The demo customer's keys and secrets, made once and kept: a second start goes on where the first one ended."""
    file = data / "demo-keys.json"
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True)
        made = {
            "write_key": f"wk_{secrets.token_urlsafe(12)}",
            "secret_key": f"sk_{secrets.token_urlsafe(24)}",
            "identity_secret": secrets.token_urlsafe(24),
            "session_secret": secrets.token_urlsafe(24),
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(made, indent=2))
    keys: dict[str, str] = json.loads(file.read_text())
    return keys


async def run(arguments: Any, keys: dict[str, str]) -> int:
    """Starts both, waits for Ctrl-C (or for one of them to fail), ends both; returns the exit status."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    address = f"http://127.0.0.1:{arguments.port}"
    engage_url = f"http://127.0.0.1:{arguments.engage_port}"
    engine = await start_engage(arguments, keys, [address, f"http://localhost:{arguments.port}"])
    ended = asyncio.create_task(engine.wait())
    stopped = asyncio.create_task(stopping.wait())
    kanso = Kanso(engage_url, keys, arguments.data, stopping)
    site = Site(
        uvicorn.Config(
            kanso.app, port=arguments.port, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=2
        ),
        greeting(address, arguments.rules),
    )
    serving: asyncio.Task[None] | None = None
    try:
        print("Starting Engage …", flush=True)
        ready = asyncio.create_task(until_ready(kanso.engage))
        await asyncio.wait({ready, ended, stopped}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
        elif not ended.done() and not stopping.is_set():
            serving = asyncio.create_task(site.serve())
            await asyncio.wait({serving, ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        wanted = stopping.is_set()
        ended_by_itself = ended.done()
        stopping.set()
        site.should_exit = True
        if serving is not None:
            await asyncio.wait({serving})
        await end(engine)
    if wanted:
        print("\nEverything has ended.", flush=True)
        return 0
    if ended_by_itself:
        what = "while it ran" if serving else "while it started"
        print(f"Engage ended {what} (exit status {engine.returncode}); what it said stands above.", file=sys.stderr)
    elif serving is None:
        print(f"Engage was not ready after {START_SECONDS:g} s; what it said stands above.", file=sys.stderr)
    return 1


async def start_engage(arguments: Any, keys: dict[str, str], origins: list[str]) -> asyncio.subprocess.Process:
    """`engage up` with the demo's keys. In a session of its own: Ctrl-C comes to this process, which ends the other."""
    environment = os.environ | {
        "ENGAGE_WRITE_KEY": keys["write_key"],
        "ENGAGE_SECRET_KEY": keys["secret_key"],
        "ENGAGE_IDENTITY_SECRET": keys["identity_secret"],
        "ENGAGE_ALLOWED_ORIGINS": ",".join(origins),
    }
    command = [sys.executable, "-m", "engage", "up", "--port", str(arguments.engage_port)]
    command += ["--data", str(arguments.data), "--rules", str(arguments.rules)]
    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,  # its greeting prints keys; what it has to report goes to standard error
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def _end_with_parent() -> None:
    """If this process is killed, Engage is told to end and leaves nothing running."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


async def until_ready(engage: ServerApi) -> None:
    while not await engage.is_ready():
        await asyncio.sleep(0.1)


async def end(engine: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        engine.terminate()
    try:
        await asyncio.wait_for(engine.wait(), STOP_SECONDS)
    except TimeoutError:
        engine.kill()
        await engine.wait()


def greeting(address: str, rules: Path) -> str:
    folder = rules.relative_to(Path.cwd()) if rules.is_relative_to(Path.cwd()) else rules
    return f"""
  Kanso, the demo, is ready. Open

      {address}

  Its rules and messages are the files in {folder}/ — edit one: it is live within a second.
  Ctrl-C ends everything.
"""


if __name__ == "__main__":
    sys.exit(main())
