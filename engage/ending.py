"""How a process of Engage ends."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn


def run(main: Callable[[], None]) -> NoReturn:
    """Runs `main`, and ends the process with its status at once. What was opened is closed by who opened it; else Python would
    take every module apart first, which is a fifth of a short command's time and holds up whoever waits for `engage up` to end."""
    status = 0
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise  # a message, which Python prints
        status = ended.code or 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status or 1)  # nobody reads it any more, or the disk is full: Python says so
    os._exit(status)
