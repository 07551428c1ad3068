"""`engage rules test`, run as people run it."""

import json
from pathlib import Path

import pytest

from tests import commands

ROOT = Path(__file__).parents[2]
MESSAGE = {"id": "greeting", "kind": "banner", "content": {"en": {"text": "Hello"}}}
GOOD = {"name": "at once", "events": [{"at": "0s", "page": "/"}], "expect": [{"at": "0s", "deliver": "greeting"}]}
BAD = {"name": "never", "events": [{"at": "2m", "page": "/"}], "expect": [{"at": "3m", "deliver": "greeting"}]}
RULE = {"id": "hello", "trigger": "page", "message": "greeting", "condition": {"==": [{"var": "page.path"}, "/"]}}
OTHER = {"id": "other", "trigger": "page", "message": "greeting"}


def run(*arguments, cwd=None, run=commands.engage):
    done = run("rules", "test", *arguments, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


def documents(*cases, **more):
    return {"rules/hello.json": RULE | {"tests": list(cases)}, "messages/greeting.json": MESSAGE, **more}


def test_the_examples_pass():
    done = run("examples", cwd=ROOT, run=commands.started)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "examples/rules/export-rescue.json ...",
        "examples/rules/pricing-hesitation.json .....",
        "examples/rules/welcome-tour.json ..",
        "",
        "10 passed",
    ]


def test_a_failure_tells_what_happened(write_documents):
    folder = write_documents(documents(GOOD, BAD))
    done = run(folder)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == f"{folder}/rules/hello.json .F"
    assert lines[2].startswith(f"FAILED {folder}/rules/hello.json:")
    assert lines[2].endswith(": hello: never")
    assert [line.strip() for line in lines[3:]] == [
        "expected, but did not come: 3m deliver greeting",
        "came, but was not expected: 2m deliver greeting",
        "what happened:",
        "2m  page /",
        "hello: matched",
        'true  {"==":[{"var":"page.path"},"/"]}   (page.path = "/")',
        "→ deliver greeting",
        "",
        "1 failed, 1 passed",
    ]


def test_as_json(write_documents):
    folder = write_documents(documents(GOOD, BAD))
    done = run("--format", "json", folder)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["passed"], found["failed"], found["problems"]) == (1, 1, [])
    trial = found["tests"][1]["trial"]
    assert (trial["rule"], trial["name"], trial["passed"]) == ("hello", "never", False)
    assert trial["missing"] == [{"at": 180_000, "do": "deliver", "message": "greeting"}]
    assert run("--format", "xml", folder).returncode == 2


def test_the_neighbours_are_in_force_unless_alone(write_documents):
    folder = write_documents(documents(GOOD, **{"rules/other.json": OTHER}))
    file = folder / "rules" / "hello.json"
    assert run(file).returncode == 1
    assert run("--alone", file).returncode == 0
    inside = run("hello.json", cwd=folder / "rules")
    assert "../rules/hello.json F" in inside.stdout


def test_a_rule_elsewhere_needs_no_message(write_documents):
    folder = write_documents({"a/hello.json": RULE | {"tests": [GOOD]}, "a/greeting.json": MESSAGE})
    assert run(folder / "a").returncode == 0
    assert run("hello.json", cwd=folder / "a").stdout.endswith("\n1 passed\n")


def test_a_broken_document_ends_with_2_and_its_place(write_documents):
    broken = GOOD | {"expect": [{"at": "0s", "delivr": "greeting"}]}
    folder = write_documents(documents(broken))
    for command in ("check", "test"):
        done = commands.engage("rules", command, folder)
        assert done.returncode == (2 if command == "test" else 1)
        assert f"{folder}/rules/hello.json:1:" in done.stdout
        assert "$.tests[0].expect[0].delivr: Unknown field `delivr`; did you mean `deliver`?" in done.stdout


def test_a_broken_neighbour_matters_unless_alone(write_documents):
    folder = write_documents(documents(GOOD, **{"rules/other.json": "{"}))
    assert run(folder / "rules" / "hello.json").returncode == 2
    assert run("--alone", folder / "rules" / "hello.json").returncode == 0


def test_files_of_two_folders_do_not_meet(write_documents):
    folder = write_documents({"a/hello.json": RULE | {"tests": [GOOD]}, "b/hello.json": RULE})
    assert run(folder / "a" / "hello.json", folder / "b" / "hello.json").returncode == 0
    assert run(folder / "a" / "hello.json", folder / "a" / ".." / "a" / "hello.json").returncode == 0


def test_no_tests_end_with_5_and_no_rules_with_2(write_documents, tmp_path):
    folder = write_documents(documents())
    done = run(folder)
    assert (done.returncode, done.stdout) == (5, f"{folder}/rules/hello.json (no tests)\n\nno tests\n")
    for path in (folder / "messages" / "greeting.json", folder / "messages", tmp_path / "nowhere"):
        done = run(path)
        assert done.returncode == 2
        assert "Expected" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--alon", ".")])
def test_wrong_usage(arguments):
    assert run(*arguments).returncode == 2
