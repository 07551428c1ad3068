"""What a page loads; the build has measured it and failed above its budgets."""

import json
from collections.abc import Iterator

from engage.sdk import BUILT
from loadtests.measures.row import Row


def snippet(quick: bool) -> Iterator[Row]:
    """What a page loads, gzip −9; the build has measured it and failed above its budgets."""
    manifest = json.loads((BUILT / "manifest.json").read_text())
    files = manifest["files"]
    yield Row(
        "snippet before any message",
        "KB gzip",
        files["engage.js"]["gzip"] / 1024,
        None,
        files["engage.js"]["gzip"] / 1024,
        5,
        False,
    )
    for kind, found in sorted(manifest["budgets"].items()):
        yield Row(
            f"snippet, {kind} more",
            "KB gzip",
            found["gzip"] / 1024,
            None,
            found["gzip"] / 1024,
            found["budget"] / 1024,
            False,
        )
