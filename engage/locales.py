"""Which of the locales something is written in a person gets."""

from collections.abc import Iterable

DEFAULT = "en"


def choose(available: Iterable[str], wanted: str | None) -> str:
    """The fallback chain: exactly the wanted locale, its language, English, the first there is (BCP 47 lookup,
    RFC 4647 section 3.4). Raises StopIteration's cousin ValueError when nothing is available."""
    names = {name.lower().replace("_", "-"): name for name in available}
    if not names:
        raise ValueError("no locale available")
    tag = (wanted or "").lower().replace("_", "-")
    while tag:
        if tag in names:
            return names[tag]
        tag = tag.rpartition("-")[0]
    return names.get(DEFAULT) or next(iter(names.values()))
