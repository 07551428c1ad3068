"""Python's collector of cycles, as a process needs it that lives long and makes many objects which die young."""

import gc
from typing import Final

YOUNG: Final = 20_000  # new objects; Python's own 700 would cost a decider a fifth of its time (measured)
OLDER: Final = 20


def spare() -> None:
    """What start-up made lives for ever: it is not looked at again, nor anything after every few hundred new objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
