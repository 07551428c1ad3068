"""Rules and messages are files: saved, and live; broken, and the last good version stays."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import until
from tests.journeys.conftest import Demo, Visit

pytestmark = pytest.mark.browser


def test_an_edit_is_live_without_a_restart_and_a_broken_file_changes_nothing(
    start_demo: Callable[..., Demo], visit: Visit, own_rules: Path
) -> None:
    demo = start_demo(own_rules)
    message = own_rules / "messages" / "export-help.json"
    rule = own_rules / "rules" / "export-rescue.json"
    good = message.read_text()

    visitor = visit(demo)
    visitor.sign_up_past_the_tour()
    message.write_text(good.replace("Is the export not working?", "Let us mend that export"))
    expect(visitor.event("rules")).to_have_count(1)
    rule.write_text(rule.read_text().replace(", 2]}", ", 1]}").replace("keep failing", "fail even once"))
    expect(visitor.event("rules")).to_have_count(2)
    visitor.fail_export()
    expect(visitor.suggestion).to_contain_text("Let us mend that export")
    expect(visitor.decision("export-rescue")).to_contain_text("Help someone whose exports fail even once")
    visitor.picture("live-edit")

    before = len(demo.log)
    message.write_text(good.replace('"kind": "article"', '"kind": "artikel"'))
    report = until(
        lambda: (new := demo.log[before:]) and "export-help.json" in new and new, what="the broken file is reported"
    )
    assert "artikel" in report
    assert "$.kind" in report
    another = visit(demo)
    another.sign_up_past_the_tour()
    another.fail_export()
    expect(another.suggestion).to_contain_text("Let us mend that export")
    message.write_text(json.dumps(json.loads(good) | {"name": "mended"}))
    expect(another.event("rules")).to_have_count(1)
