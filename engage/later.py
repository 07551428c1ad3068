"""Modules that are loaded when something of them is first asked for: for what takes long to load and is not always needed.

A process starts with every module it names, and most of that time is other people's packages: `engage keys` has no use for
an HTTP client, nor the decider for templates. Named at the top all the same, and in one way:

    if TYPE_CHECKING:
        from engage import rendering
    else:
        rendering = Later("engage.rendering")
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast


class Later:
    """Stands for the module; threads that ask at once wait for one another, as with every import."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


@contextmanager
def without(package: str) -> Iterator[None]:
    """What is imported meanwhile finds the package not installed, and does without it. Of what is loaded already nothing is taken."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = cast(Any, None)  # the import system's own way to say that there is none
    try:
        yield
    finally:
        del sys.modules[package]
