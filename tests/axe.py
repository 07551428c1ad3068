"""What axe-core says of a page: WCAG 2.2 AA and its best practices."""

from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).parents[1] / "sdk_js" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """What it finds wrong with ours, as `rule target`; what is told of the page around it is not ours."""
    page.evaluate(_AXE.read_text() + "; null")
    # It tells every element only of what is wrong: to name those that pass as well is a third of its work.
    told = page.evaluate(f"axe.run('[data-engage]', {{runOnly: {_RULES}, resultTypes: ['violations']}})")
    assert told["passes"]
    return [f"{one['id']} {node['target']}" for one in told["violations"] for node in one["nodes"]]
