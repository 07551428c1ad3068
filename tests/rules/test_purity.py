"""The engine stays pure: it imports nothing of the project, does no I/O, and reads neither clock nor chance."""

import ast
from pathlib import Path

import pytest

import rules

ROOM = Path(rules.__file__).parent
ALLOWED = {
    "ast", "bisect", "copy", "collections", "datetime", "difflib", "enum", "functools", "hashlib", "heapq", "itertools", "json",
    "math", "operator", "re", "string", "threading", "typing", "zlib", "zoneinfo",
    "datalogic_py", "msgspec", "rules",
}  # fmt: skip
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "now", "today", "utcnow", "time", "random"}


@pytest.mark.parametrize("file", sorted(ROOM.glob("*.py")), ids=lambda file: file.name)
def test_a_module_is_pure(file: Path) -> None:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert (node.module or "").split(".")[0] in ALLOWED
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in FORBIDDEN_CALLS, f"{file.name}:{node.lineno} calls {name}"


def test_only_the_dialect_touches_the_native_engine() -> None:
    users = [file.name for file in ROOM.glob("*.py") if "datalogic_py" in file.read_text()]
    assert users == ["dialect.py"]


def test_no_import_hides_inside_a_function() -> None:
    for file in ROOM.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function)), file


def test_every_public_name_is_there() -> None:
    for name in rules.__all__:
        assert hasattr(rules, name)
