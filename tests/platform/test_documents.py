"""What the documents tell people to type: it is there, on the path, and does what is said."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from engage import __version__
from engage.cli import cli
from engage.database import HEAD
from engage.sdk import SdkFiles
from rules.state import VERSION
from tests.commands import engage

ROOT = Path(__file__).parents[2]
NAMES = (
    "rules",
    "operators",
    "web-developers",
    "migrating",
    "switching",
    "upgrading",
    "identity",
    "cookbook",
    "load-testing",
)
TEXTS = {page: (ROOT / page).read_text() for page in ("README.md", *(f"docs/{name}.md" for name in NAMES))}
MADE = "examples/rules/hello.json"  # the README has it made
TYPED = re.compile(r"(?:^|`|\| )(?:\.venv/bin/)?engage ([a-z][^`\n]*)", re.MULTILINE)
COMMANDS = [
    (page, shlex.split(found[1], comments=True)) for page, text in TEXTS.items() for found in TYPED.finditer(text)
]


def test_each_command_and_option_exists():
    assert len(COMMANDS) > 60
    for page, words in COMMANDS:
        command, rest = typer.main.get_command(cli), list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        assert len(rest) < len(words), (page, words)
        assert not rest or command.params, (page, words)
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, (page, words)


def test_each_path_into_the_repository_is_there():
    for page, words in COMMANDS:
        for word in words:
            if word.endswith(".json") or word.startswith(("examples", "loadtests")):
                made = word == MADE or ">" in words  # by the README, or by the command itself
                assert made or (ROOT / word).exists(), (page, words)


@pytest.mark.parametrize("page", TEXTS)
def test_a_bare_engage_is_on_the_path_by_then(page):
    for block in re.finditer(r"^```sh\n(.*?)^```", TEXTS[page], re.MULTILINE | re.DOTALL):
        bare = re.search(r"(?:^|\| )engage ", block[1], re.MULTILINE)
        assert not bare or ". .venv/bin/activate" in TEXTS[page][: block.start(1) + bare.start()]


def test_what_needs_no_service_passes():
    asked = {
        tuple(words)
        for _, words in COMMANDS
        if words[:2] in (["rules", "check"], ["rules", "test"]) and any(word.startswith("examples") for word in words)
    }
    assert len(asked) >= 4
    for words in asked:
        done = engage(*words, cwd=ROOT)
        assert done.returncode == 0, (words, done.stdout, done.stderr)


def test_the_first_rule_of_the_readme_works_as_it_is_printed(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("demo-app"))
    files = re.findall(r"`(examples/\w+/hello\.json)` says.*?```json\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert [file for file, _ in files] == [MADE, "examples/messages/hello.json"]
    for file, text in files:
        (tmp_path / file).write_text(text)
    assert engage("rules", "check", "examples", cwd=tmp_path).returncode == 0
    assert "rules/hello.json .\n" in engage("rules", "test", "examples", cwd=tmp_path).stdout


def test_the_documents_of_the_switching_page_pass_together(tmp_path):
    boxes = re.findall(
        r"`((?:rules|messages)/[\w-]+\.json)`[^`]*```json\n(.*?)```", TEXTS["docs/switching.md"], re.DOTALL
    )
    assert len(boxes) == TEXTS["docs/switching.md"].count("```json") == 4
    for file, text in boxes:
        path = tmp_path / "folder" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    checked = engage("rules", "check", "folder", cwd=tmp_path)
    assert checked.stdout == "4 documents, 0 errors, 0 warnings\n", checked.stdout + checked.stderr
    assert "2 passed" in engage("rules", "test", "folder", cwd=tmp_path).stdout


def test_the_upgrading_page_has_a_line_for_each_release_and_each_schema():
    releases = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    table = re.findall(r"^\| (\d\S+)[^|]*\| (\d{4}) \| (\d+) \|$", TEXTS["docs/upgrading.md"], re.MULTILINE)
    assert [release for release, _, _ in table] == list(reversed(releases))
    assert table[-1] == (__version__, HEAD, str(VERSION))


def test_what_the_upgrading_page_says_of_caches_is_what_is_sent(tmp_path):
    rows = re.findall(r"^\| `/sdk/(.+?)`.*?`((?:public|cache)[^`]*)`", TEXTS["docs/upgrading.md"], re.MULTILINE)
    said = {name.replace("<hash>", "0a1b2c"): value.removeprefix("cache-control: ") for name, value in rows}
    assert len(said) == 3
    for name in said:
        (tmp_path / (name if name != "gallery" else "gallery.html")).write_text("x")
    files = SdkFiles(tmp_path)
    assert {name: files.response(name, {}).headers["cache-control"] for name in said} == said


def test_old_parts_that_were_kept_are_served_beside_the_new_ones(tmp_path):
    (keep,) = re.findall(r"^cp -n (.+?) +#", TEXTS["docs/upgrading.md"], re.MULTILINE)
    old, new = tmp_path / "sdk-before", tmp_path / "sdk_js" / "dist"
    for folder, release, parts in ((old, "old", "111111"), (new, "new", "222222")):
        folder.mkdir(parents=True)
        for name in (
            "engage.js",
            "manifest.json",
            f"tour-{parts}.js",
            f"tour-{parts}.js.br",
            f"part-{parts.upper()}.js",
        ):
            (folder / name).write_text(release)
    subprocess.run(f"cp -n {keep.replace('/tmp/sdk-before', str(old))}", shell=True, cwd=tmp_path, check=True)
    files = SdkFiles(new)
    for name, release in (
        ("engage.js", b"new"),
        ("tour-222222.js", b"new"),
        ("tour-111111.js", b"old"),
        ("part-111111.js", b"old"),
    ):
        assert files.response(name, {}).body == release
    assert files.response("tour-111111.js", {"accept-encoding": "br"}).headers["content-encoding"] == "br"


def test_the_proofs_of_the_guide_are_made_as_it_is_printed():
    (code,) = re.findall(r"```python\n(.*?)```", TEXTS["docs/identity.md"], re.DOTALL)
    made = {"IDENTITY_SECRET": "s" * 32, "user_id": "user-42"}
    exec(code, made)
    assert len(made["user_hash"]) == 64
    assert made["user_token"].count(".") == 2
