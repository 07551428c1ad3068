"""The cookbook: every recipe checks, passes its tests, and stands in the page as it is in its file."""

import json
import re
from pathlib import Path

import pytest

from tests.commands import engage

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "cookbook"
PAGE = (ROOT / "docs" / "cookbook.md").read_text()
RULES = {file.stem: json.loads(file.read_text()) for file in sorted((FOLDER / "rules").glob("*.json"))}
THEMES = (
    "Onboarding",
    "Activation",
    "Pricing",
    "Feature discovery",
    "Error rescue",
    "Churn and win-back",
    "Renewal",
    "Feedback",
)


def test_all_of_it_checks_without_a_warning():
    done = engage("rules", "check", "--retention", "365d", FOLDER)
    assert done.returncode == 0
    assert "0 errors, 0 warnings" in done.stdout + done.stderr


def test_all_of_its_tests_pass():
    done = engage("rules", "test", "--alone", "--format", "json", FOLDER)
    told = json.loads(done.stdout)
    assert (done.returncode, told["failed"]) == (0, 0), done.stdout
    assert told["passed"] == sum(len(rule["tests"]) for rule in RULES.values())


def test_there_are_enough_and_each_shows_when_it_comes_and_when_not():
    assert len(RULES) >= 25
    for name, rule in RULES.items():
        own = {rule["message"]} if "message" in rule else {one["message"] for one in rule["variants"]}
        comes = [{found.get("deliver") for found in case["expect"]} & own for case in rule["tests"]]
        assert any(comes), name
        assert not all(comes) or any(len(case["events"]) > len(case["expect"]) + 2 for case in rule["tests"]), name
        assert len(rule["tests"]) >= 2, name


def test_every_message_speaks_both_languages():
    for file in (FOLDER / "messages").glob("*.json"):
        content = json.loads(file.read_text())["content"]
        assert set(content) == {"en", "ja"}, file.name
        assert re.search(r"[\u3040-\u30ff]", json.dumps(content["ja"], ensure_ascii=False)), file.name


@pytest.mark.parametrize("name", RULES)
def test_the_page_shows_the_rule_as_it_is(name):
    shown = re.search(rf"^### {re.escape(name)}\n\n.*?```json\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown, f"{name} is not in docs/cookbook.md"
    wanted = {key: value for key, value in RULES[name].items() if key not in ("tests", "name")}
    assert json.loads(shown[1]) == wanted


def test_the_page_names_no_other_and_has_every_theme():
    assert set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE)) == set(RULES)
    assert set(THEMES) <= set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
