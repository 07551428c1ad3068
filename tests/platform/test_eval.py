"""`engage rules eval`, run as people run it: one condition, and streams of them, hostile ones among them."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands import Command, engage, started

COMMAND = [sys.executable, "-m", "engage", "rules", "eval"]
DOUBLES = [{"var": "accumulator"}, {"var": "accumulator"}]
DEEPER = [{"var": "accumulator"}]


def run(*arguments: str, given: bytes = b"", run: Command = engage) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as file:
        file.write(given)
        file.seek(0)
        done = run("rules", "eval", *arguments, stdin=file.fileno())
    return done.returncode, done.stdout, done.stderr


def stream(*lines: Any) -> list[Any]:
    """The answers to lines: bytes as they are, anything else as JSON."""
    given = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    status, out, err = run("-", given=given)
    assert (status, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(lines)
    return answers


def test_the_public_test_set_line_by_line():
    vectors = Path(__file__).parents[1] / "rules" / "vectors" / "jsonlogic.json"
    cases = [case for case in json.loads(vectors.read_text()) if not isinstance(case, str)]
    assert len(cases) == 278
    answers = stream(*({"rule": rule, "data": data} for rule, data, _ in cases))
    assert answers == [{"result": wanted} for _, _, wanted in cases]


def test_one_condition_on_one_document(tmp_path):
    assert run('{"+": [1, {"var": "a.b"}]}', '{"a": {"b": 2}}', run=started) == (0, "3\n", "")
    (tmp_path / "rule.json").write_text('{"cat": ["é", {"var": ""}]}')
    (tmp_path / "data.json").write_text('"ü"')
    assert run(f"@{tmp_path}/rule.json", f"@{tmp_path}/data.json") == (0, '"éü"\n', "")
    assert run("null") == (0, "null\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (['{"iff": [1]}', "{}"], "engage: Unknown operator `iff`; did you mean `if`?"),
        (['{"a', "{}"], "engage: CONDITION:1:2: error: $: Expected a JSON string"),
        (["1", '{"a": 1,}'], "engage: DATA:1:9: error: $: Expected another value after `,`, got `}`"),
        (["@nowhere.json", "{}"], "engage: Expected a readable file, got nowhere.json (No such file or directory)"),
        (["-", "{}"], "with `-` the data stands in the lines"),
        ([json.dumps({"reduce": [[0] * 60, DOUBLES, 1]})], "engage: stopped: more than 2 seconds"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_has_no_result_ends_with_2(arguments, said):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_line_for_a_line_in_order():
    assert stream({"rule": {"+": [1, 2]}, "data": {}}, {"rule": {"var": "x"}, "data": {"x": [1]}}, {"rule": "s"}) == [
        {"result": 3},
        {"result": [1]},
        {"result": "s"},
    ]
    assert run("-") == (0, "", "")


def test_a_bad_line_ends_nothing():
    answers = stream(
        b"",
        {"rule": 1},
        b"not JSON",
        {"rule": {"throw": "x"}},
        {"rul": 2},
        b'{"rule": 3}\r',
        b"\xff",
        {"rule": {"count": ["page"]}},
        {"rule": 4},
    )
    assert [answer.get("result") for answer in answers] == [None, 1, None, None, None, 3, None, None, 4]
    assert answers[4] == {"error": "Unknown field `rul`; did you mean `rule`?"}


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"rule":' + b'{"!":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"rule":1,"data":' + b"[" * 100_000 + b"}",
        b'{"rule":[' + b"1," * 1_000_000 + b"1]}",
        b'{"rule":' + b"9" * 100_000 + b"}",
        b'{"rule":1,"data":-1e400}',
        b"\0" * 3_000_000,
        {"rule": {"reduce": [[0] * 60, DOUBLES, 1]}},
        {"rule": {"reduce": [[0] * 5_000, DEEPER, 1]}},
        {"rule": {"map": [list(range(2_000)), {"cat": ["x" * 200_000, "y"]}]}},
        {"rule": {"map": [list(range(2_000)), {"split": ["x" * 100_000, ""]}]}},
        {"rule": {"map": [[0] * 90, {"map": [[0] * 90, {"map": [[0] * 90, {"map": [[0] * 90, 1]}]}]}]}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hostile_line_is_an_error_line(hostile):
    started = time.monotonic()
    before, answer, after = stream({"rule": 1}, hostile, {"rule": 2})
    assert (before, list(answer), after) == ({"result": 1}, ["error"], {"result": 2})
    assert len(answer["error"]) < 500
    assert time.monotonic() - started < 30


def test_each_answer_comes_at_once_and_nothing_is_left_behind():
    process = subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for number in range(3):
        process.stdin.write(b'{"rule": %d}\n' % number)
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"result": number}
    (child,) = psutil.Process(process.pid).children()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not child.is_running()


def test_a_reader_that_goes_away_ends_it_quietly():
    process = subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(b'{"rule": 1}\n' * 1_000, timeout=30)
    assert (process.returncode, err) == (0, b"")
