"""`engage …` as people type it: a process of its own with its arguments, environment, folder, input and exit status.

Starting Python and loading the modules is nearly all of a short command's time, so `engage` forks its process from one that has
loaded them. `started` starts it from nothing, as a shell does; a module that a command forgot to load is missing only there, so
each command is started in some test.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

SECONDS = 120
LOADED = (
    "audit_api", "backtesting", "checking", "cli", "database", "differing", "doctor", "evaluating", "explaining", "identity_check",
    "keys_shown", "projects", "pushing", "remote", "rulebooks", "standing", "store", "testing", "up",
)  # fmt: skip
Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


def clean(**more: str) -> dict[str, str]:
    """The environment without settings of Engage, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    return kept | {"NO_COLOR": "1", "COLUMNS": "200"} | more


def started(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: int = subprocess.DEVNULL
) -> Done:
    command = [sys.executable, "-P", "-m", "engage", *map(str, arguments)]
    found = subprocess.run(
        command, env=env or clean(), cwd=cwd, stdin=stdin, capture_output=True, timeout=SECONDS, check=False
    )
    return subprocess.CompletedProcess(command, found.returncode, found.stdout.decode(), found.stderr.decode())


def engage(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: int = subprocess.DEVNULL
) -> Done:
    """`stdin`: a descriptor. Raises TimeoutExpired as `subprocess.run` does, and ends the process."""
    words = list(map(str, arguments))
    with contextlib.ExitStack() as stack:
        call, nothing, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        ours, theirs = map(stack.enter_context, socket.socketpair())
        call.write(json.dumps([words, dict(env or clean()), str(cwd or Path.cwd())]).encode())
        call.seek(0)
        given = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
        files = [call.fileno(), theirs.fileno(), given, out.fileno(), err.fileno()]
        socket.send_fds(_forker(), [b"."], files)
        theirs.close()
        ours.settimeout(SECONDS)
        replies = stack.enter_context(ours.makefile())
        pid = int(replies.readline())
        try:
            status = int(replies.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, SECONDS) from None
        return subprocess.CompletedProcess(words, status, _read(out), _read(err))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@functools.cache
def _forker() -> socket.socket:
    """The way to the process that forks. It ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=clean(), pass_fds=[theirs.fileno()], **quiet)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(calls: socket.socket) -> None:
    """Forks for each call; returns in the process of a command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so nobody needs to wait for them
    while True:
        byte, files, *_ = socket.recv_fds(calls, 1, 5)
        if not byte:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            calls.close()
            return _answer(*files)
        for file in files:
            os.close(file)


def _answer(call: int, reply: int, *standard: int) -> None:
    """In a process that waits for the command's, and tells its id and its status."""
    with socket.socket(fileno=reply) as replies:
        if pid := os.fork():
            replies.sendall(b"%d\n" % pid)
            replies.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            os._exit(0)
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    with open(call, "rb") as text:
        words, environment, folder = json.loads(text.read())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["engage", *words]


if __name__ == "__main__":
    modules = {name: importlib.import_module(f"engage.{name}") for name in LOADED}
    _serve(socket.socket(fileno=int(sys.argv[1])))
    modules["cli"].main()
