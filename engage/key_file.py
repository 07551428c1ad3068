"""The file of the data folder that holds the secret key which this machine made, so that commands here find it."""

import contextlib
import os
from pathlib import Path
from typing import Final

FILE: Final = "secret-key"


def keep_here(data_dir: Path, key: str) -> None:
    """Writes the key into the data folder, for this user alone."""
    data_dir.mkdir(parents=True, exist_ok=True)
    draft = data_dir / f"{FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    draft.replace(data_dir / FILE)


def kept_here(data_dir: Path) -> str | None:
    """The key that lies there, if any."""
    with contextlib.suppress(OSError):
        return (data_dir / FILE).read_text().strip() or None
    return None
