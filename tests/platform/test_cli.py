"""The command line, run as people run it."""

import json
import subprocess
import sys

import httpx
import psutil
import pytest

from engage import __version__
from engage.settings import load_settings
from tests import commands
from tests.conftest import until

RULE = {"id": "hello", "trigger": "page", "message": "greeting"}
MESSAGE = {"id": "greeting", "kind": "banner", "content": {"en": {"text": "Hello"}}}
GOOD = {"rules/hello.json": RULE, "messages/greeting.json": MESSAGE, "articles/start.en.md": "# Start\n\nHere."}


def command_line(run):
    """`engage("rules", "check", …)` in an empty folder, with a data folder of its own."""

    @pytest.fixture
    def command(tmp_path):
        def engage(*arguments, **environment):
            settings = {"ENGAGE_DATA_DIR": str(tmp_path / "data"), **environment}
            return run(*arguments, env=commands.clean(**settings), cwd=tmp_path)

        return engage

    return command


engage = command_line(commands.engage)
start = command_line(commands.started)


@pytest.fixture(scope="module")
def product(module_service):
    """A running product, for what only looks at one or runs beside it."""
    return module_service()


def test_version(start):
    done = start("--version")
    assert (done.returncode, done.stdout) == (0, f"engage {__version__}\n")


def test_help_names_every_command(start):
    done = start("--help")
    assert done.returncode == 0
    for command in ("up", "serve", "decide", "work", "rules", "keys", "audit", "hash", "doctor"):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("arguments", [("nothing",), ("up", "--prot", "1"), ("rules", "check"), ("keys", "extra")])
def test_wrong_usage_ends_with_2(engage, arguments):
    assert engage(*arguments).returncode == 2


@pytest.mark.parametrize("command", ["up", "serve", "decide", "work", "keys", "doctor"])
def test_every_command_names_all_wrong_settings(engage, command):
    done = engage(command, ENGAGE_SHARDS="x", ENGAGE_LOG_LEVEL="y")
    assert done.returncode == 2
    assert "ENGAGE_SHARDS: expected a number from 1 to 1024, got 'x'" in done.stderr
    assert "ENGAGE_LOG_LEVEL: expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_warned_about(engage):
    done = engage("keys", ENGAGE_WRITE_KEI="x")
    assert done.returncode == 0
    assert "engage: warning: ENGAGE_WRITE_KEI is no setting; did you mean ENGAGE_WRITE_KEY?" in done.stderr


class TestCheck:
    def test_good_documents_pass(self, start, write_documents):
        done = start("rules", "check", write_documents(GOOD))
        assert (done.returncode, done.stdout) == (0, "3 documents, 0 errors, 0 warnings\n")

    def test_every_problem_has_its_place(self, engage, write_documents):
        folder = write_documents(
            {
                **GOOD,
                "rules/hello.json": '{"id": "hello",\n "tigger": "page",\n "message": "greting"}',
                "messages/greeting.json": '{"id": "greeting", "kind": "baner", "content": {"en": {}}}',
            }
        )
        done = engage("rules", "check", folder)
        assert done.returncode == 1
        assert f"{folder}/rules/hello.json:2:2: error: $.tigger:" in done.stdout
        assert "did you mean `trigger`?" in done.stdout
        assert f"{folder}/messages/greeting.json:1:" in done.stdout
        assert "$.kind" in done.stdout

    def test_as_json(self, engage, write_documents):
        folder = write_documents({**GOOD, "rules/hello.json": "{"})
        done = engage("rules", "check", "--format", "json", folder)
        assert done.returncode == 1
        found = json.loads(done.stdout)
        assert (found["documents"], found["errors"]) == (3, 1)
        assert found["problems"][0] | {"message": ""} == {
            "file": f"{folder}/rules/hello.json",
            "line": 1,
            "column": 2,
            "path": "$",
            "message": "",
            "severity": "error",
        }

    def test_windows_are_measured_by_how_long_the_log_is_kept(self, engage, write_documents):
        condition = {"and": [{"did": ["A", {"within": "10d"}]}, {"!": {"did": ["B"]}}]}
        text = "\ufeff" + json.dumps({**RULE, "condition": condition})
        folder = write_documents({**GOOD, "rules/hello.json": text})
        done = engage("rules", "check", folder)
        window = "$.condition.and[0].did[1].within: The log is kept for 7d: if no live rule has asked this yet, a window of 10d"
        assert done.returncode == 0
        assert f" warning: {window} is known in full only 3d after this is published." in done.stdout
        said = " note: $.condition.and[1]['!'].did: Asked of all time (`did`), but the log is kept for 7d:"
        assert said in done.stderr
        assert done.stdout.endswith("3 documents, 0 errors, 1 warnings\n")
        (folder / "rules" / "zoo.json").write_text(text.replace('"hello"', '"zoo"', 1))
        assert engage("rules", "check", folder).stderr == done.stderr[:-1] + " (1 more ask so)\n"
        found = json.loads(engage("rules", "check", "--format", "json", folder).stdout)
        assert [problem["severity"] for problem in found["problems"]].count("note") == 2
        (folder / "rules" / "zoo.json").unlink()
        assert "warning" not in engage("rules", "check", "--retention", "10d", folder).stdout.replace("0 warnings", "")
        assert "kept for 10d" in engage("rules", "check", folder, ENGAGE_LOG_RETENTION="10d").stderr
        refused = engage("rules", "check", "--retention", "soon", folder)
        assert refused.returncode == 2
        assert "expected a duration from a minute to ten years, such as 7d or 12h, got 'soon'" in refused.stderr

    def test_a_rule_that_can_never_win_is_told_with_its_place(self, engage, write_documents):
        shown = {"kind": "modal", "content": {"en": {"text": "Hi"}}}
        folder = write_documents(
            {
                "rules/above.json": {
                    "id": "above",
                    "trigger": "page",
                    "message": "m",
                    "priority": 9,
                    "frequency": "always",
                },
                "rules/below.json": '{"id": "below", "trigger": "page",\n "priority": 3, "message": "m", "if_busy": "lapse"}',
                "messages/m.json": {"id": "m", **shown},
            }
        )
        done = engage("rules", "check", folder)
        assert done.returncode == 0
        assert (
            f"{folder}/rules/below.json:2:14: warning: $.priority: This can never win: `above` (priority 9)"
            in done.stdout
        )

    def test_one_file_is_checked_beside_its_neighbours(self, engage, write_documents):
        folder = write_documents({**GOOD, "rules/lost.json": {**RULE, "id": "lost", "message": "greting"}})
        assert engage("rules", "check", folder / "rules" / "hello.json").returncode == 0
        done = engage("rules", "check", folder / "rules" / "lost.json")
        assert done.returncode == 1
        assert "did you mean `greeting`?" in done.stdout

    def test_a_file_elsewhere_is_known_by_its_fields(self, engage, write_documents):
        folder = write_documents({"a/greeting.json": MESSAGE, "a/hello.json": RULE})
        assert engage("rules", "check", folder / "a" / "greeting.json", folder / "a" / "hello.json").returncode == 0

    def test_a_path_without_documents_is_a_usage_error(self, engage, tmp_path):
        assert engage("rules", "check", tmp_path / "nowhere").returncode == 2
        (tmp_path / "empty").mkdir()
        done = engage("rules", "check", tmp_path / "empty")
        assert done.returncode == 2
        assert "Expected documents" in done.stderr


class TestSchema:
    def test_of_one_kind(self, start):
        done = start("rules", "schema", "rule")
        assert done.returncode == 0
        assert json.loads(done.stdout)["title"] == "Rule"

    def test_of_all(self, engage):
        found = json.loads(engage("rules", "schema").stdout)
        assert {kind: schema["title"] for kind, schema in found.items()} == {
            "rule": "Rule",
            "message": "Message",
            "segment": "Segment",
            "project": "Project",
        }

    def test_of_no_kind(self, engage):
        done = engage("rules", "schema", "rul")
        assert done.returncode == 2
        assert "did you mean `rule`?" in done.stderr


class TestKeys:
    def test_shown_as_a_table(self, start):
        done = start("keys", ENGAGE_WRITE_KEY="wk_mine")
        assert done.returncode == 0
        assert "write key        wk_mine" in done.stdout
        assert "secret key       sk_" in done.stdout
        assert "set ENGAGE_IDENTITY_SECRET to require userHash" in done.stdout

    def test_shown_as_json(self, engage):
        [project] = json.loads(engage("keys", "--json").stdout)
        assert set(project) == {
            "id",
            "name",
            "write_key",
            "secret_keys",
            "secret_key_file",
            "identity_secret",
            "allowed_origins",
            "identity_secret_old",
            "identity_enforce",
        }
        assert json.loads(engage("keys", "--json").stdout) == [project]


class TestDoctor:
    def test_says_what_is_there(self, start, free_port, write_documents):
        done = start("doctor", "--port", free_port, "--rules", write_documents(GOOD))
        for what in ("python", "data folder", "log store", "database", "port", "rules"):
            assert f"good  {what}: " in done.stdout

    def test_says_whether_the_service_runs(self, engage, product, free_port):
        done = engage("doctor", ENGAGE_URL=product.url)
        assert f"good  service: runs at {product.url}" in done.stdout
        assert "/readyz" not in done.stderr
        done = engage("doctor", ENGAGE_URL=f"http://127.0.0.1:{free_port}")
        assert f"note  service: does not answer at http://127.0.0.1:{free_port}: " in done.stdout
        assert "name its address in ENGAGE_URL" in done.stdout

    def test_an_address_that_is_not_of_this_machine_is_no_matter_of_the_port(self, engage):
        said = engage("doctor", ENGAGE_HOST="192.0.2.1").stdout
        assert "Expected an address of this machine, got 192.0.2.1 - at ENGAGE_HOST" in said

    def test_says_what_is_missing_and_how_to_mend_it(self, engage, free_port, write_documents):
        done = engage(
            "doctor",
            "--rules",
            write_documents({**GOOD, "rules/hello.json": "{"}),
            ENGAGE_REDIS_URL=f"redis://:hush@127.0.0.1:{free_port}",
            ENGAGE_DATABASE_URL=f"postgresql://me:hush@127.0.0.1:{free_port}/db",
            ENGAGE_PROT="1",
        )
        assert done.returncode == 1
        assert "bad   log store: " in done.stdout
        assert "→ start it, or mend ENGAGE_REDIS_URL" in done.stdout
        assert "bad   database: " in done.stdout
        assert "bad   rules: " in done.stdout
        assert "→ engage rules check" in done.stdout
        assert "note  environment: ENGAGE_PROT is no setting" in done.stdout
        assert "hush" not in done.stdout

    def test_looks_at_the_settings_of_a_server(self, engage, empty_store):
        done = engage("doctor", ENGAGE_REDIS_URL=empty_store)
        assert "good  log store: Valkey " in done.stdout
        assert "RQ's writes slow the log down" in done.stdout

    def test_the_inner_folder_is_told_from_the_right_one(self, engage, write_documents):
        folder = write_documents(GOOD)
        done = engage("doctor", "--rules", folder / "rules")
        assert done.returncode == 1
        assert (
            f"it holds none of rules/, messages/, segments/, project/, articles/; did you mean {folder}?" in done.stdout
        )

    def test_a_store_that_may_forget_is_bad(self, engage, product):
        queue = load_settings({"ENGAGE_DATA_DIR": str(product.data_dir)}).queue_url
        done = engage("doctor", ENGAGE_REDIS_URL=queue)
        assert done.returncode == 1
        assert "bad   log store: appendonly yes, appendfsync everysec" in done.stdout
        assert "else a power cut loses events" in done.stdout


def test_serve_runs_beside_a_running_store(product, free_port):
    command = [sys.executable, "-m", "engage", "serve", "--port", str(free_port)]
    more = subprocess.Popen(command, env=product.environment, stderr=subprocess.PIPE)

    def is_ready():
        try:
            return httpx.get(f"http://127.0.0.1:{free_port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    until(is_ready, what="the second service is ready")
    more.terminate()
    more.communicate(timeout=30)


@pytest.mark.parametrize("command", ["decide", "work"])
def test_more_of_a_kind_run_beside_it_and_end_when_told(product, command):
    more = subprocess.Popen([sys.executable, "-m", "engage", command], env=product.environment, stderr=subprocess.PIPE)
    until(lambda: f"-m worker {command}" in " ".join(psutil.Process(more.pid).cmdline()), what="it became the worker")
    product.wait_ready()
    more.terminate()
    more.communicate(timeout=30)
    assert more.returncode in (0, -15)


@pytest.mark.parametrize("command", ["work"])
def test_a_worker_without_a_store_says_what_to_do(engage, command):
    done = engage(command, "--data", "nowhere")
    assert done.returncode == 1
    assert "engage: Expected a store that answers, got " in done.stderr
    assert "start `engage up`, or set ENGAGE_REDIS_URL and ENGAGE_QUEUE_URL, or --data" in done.stderr
    assert "Traceback" not in done.stderr
