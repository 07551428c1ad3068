"""Numbers in addresses, read as strictly as they are told of."""

import re
from typing import Final

from engage.errors import InvalidRequest

MOST: Final = 2**31 - 1
_DECIMAL: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


def whole_number(text: str | None, field: str, most: int = MOST, least: int = 1) -> int | None:
    """None where nothing is said. Raises InvalidRequest."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and least <= int(text) <= most):
        raise InvalidRequest(f"a number from {least} to {most}", text[:40], field=field)
    return int(text)


def decimal_number(text: str | None, field: str, most: float) -> float | None:
    """From 0; None where nothing is said. Raises InvalidRequest."""
    if text is None:
        return None
    if _DECIMAL.fullmatch(text) is None or float(text) > most:
        raise InvalidRequest(f"a number from 0 to {most:g}", text[:40], field=field)
    return float(text)
