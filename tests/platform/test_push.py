"""`engage rules push | pull | rollback | versions` and their API, beside a running product."""

import contextlib
import itertools
import json
import os
import pty
import string
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage.pushing import plan_pull, plan_push, pull, push
from engage.remote import Remote
from tests import commands
from tests.conftest import until, unused_port

RULE = {"id": "hello", "trigger": "page", "message": "greeting", "priority": 1}
MESSAGE = {"id": "greeting", "kind": "banner", "content": {"en": {"text": "Hello"}, "ja": {"text": "こんにちは"}}}
DOCUMENTS = {
    "rules/hello.json": '{"message": "greeting",\r\n\t"id":"hello", "trigger": "page", "name": "価格 \\u3042 😀",\n "tests": []}',
    "messages/greeting.json": "\ufeff" + json.dumps(MESSAGE, ensure_ascii=False, indent=4),
    "segments/payers.json": '{"$schema": "x", "id": "payers", "condition": {"==": [{"var": "user.traits.plan"}, "pro"]}}\n\n',
    "articles/start.en.md": "\n\n# Start\n\n\nHere.  \n",
    "articles/start.ja.md": "# はじめに\n\nここから。",
}


@pytest.fixture(scope="module")
def product(module_service):
    return module_service()


@pytest.fixture
def api(product):
    with product.client(auth=(product.secret_key, ""), timeout=60) as client:
        yield client


@pytest.fixture
def remote(product):
    made = Remote(product.url, product.secret_key)
    yield made
    made.close()


@pytest.fixture
def rules(product, tmp_path):
    """`rules("push", …)` → what `engage rules push …` did, in an empty folder."""

    def run(*arguments, environment=None, run=commands.engage, **more):
        kept = product.environment | {"NO_COLOR": "1", "COLUMNS": "200"} | (environment or {})
        done = run("rules", *arguments, env=kept, cwd=tmp_path, **more)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def clean(api):
    """Nothing live when the test begins; returns the version."""
    return replace(api, {})["version"]


def live(api):
    return api.get("/api/rulebooks/live").raise_for_status().json()


def replace(api, files):
    """Makes exactly these files live."""
    now = live(api)
    gone = [name for name in now["files"] if name not in files]
    api.post("/api/rulebooks", json={"base": now["version"], "files": files, "remove": gone}).raise_for_status()
    return live(api)


def write(folder, documents):
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else json.dumps(text).encode())
    return folder


def texts(folder):
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("clean")
class TestPushAndPull:
    def test_what_was_pushed_comes_back_byte_for_byte_and_is_then_nothing_to_change(self, rules, tmp_path, api):
        folder = write(tmp_path / "defs", DOCUMENTS)
        before = live(api)["version"]
        done = rules("push", folder, "--yes", run=commands.started)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"version {before + 1} is live now")
        back = rules("pull", tmp_path / "back", run=commands.started)
        assert (back.returncode, texts(tmp_path / "back")) == (0, DOCUMENTS)
        again = rules("push", tmp_path / "back")
        assert (again.returncode, again.stdout) == (0, "")
        assert again.stderr == f"version {before + 1} is live: nothing to change\n"
        assert "nothing to change" in rules("pull", tmp_path / "back").stderr
        assert live(api)["version"] == before + 1
        assert [rule["id"] for rule in api.get("/api/rules").json()["rules"]] == ["hello"]

    def test_the_change_is_shown_as_lines(self, rules, tmp_path, api):
        replace(
            api, {"rules/hello.json": json.dumps(RULE, indent=1) + "\n", "messages/greeting.json": json.dumps(MESSAGE)}
        )
        folder = write(tmp_path / "defs", {"rules/hello.json": json.dumps(RULE | {"priority": 7}, indent=1)})
        done = rules("push", folder, "--dry-run")
        assert done.returncode == 0
        assert done.stdout.startswith("### rules/hello.json: changed\n\n```diff\n")
        assert '- "priority": 1\n+ "priority": 7\n }\n+\\ No newline at end of file\n' in done.stdout
        assert "greeting" not in done.stdout.replace('"greeting"', ""), "what has no file stays as it is"

    def test_one_file_is_checked_beside_what_is_live(self, rules, tmp_path, api):
        write(tmp_path, {"rules/hello.json": RULE, "draft.json": RULE | {"id": "draft"}})
        refused = rules("push", "rules/hello.json", "--yes")
        assert refused.returncode == 2
        assert refused.stderr.startswith(
            "rules/hello.json:1:47: error: $.message: The message `greeting` does not exist"
        )
        replace(api, {"messages/greeting.json": json.dumps(MESSAGE)})
        assert rules("push", "rules/hello.json", "draft.json", "--yes").returncode == 0
        assert sorted(live(api)["files"]) == ["messages/greeting.json", "rules/draft.json", "rules/hello.json"]

    def test_every_problem_is_told_at_once_and_nothing_is_published(self, rules, tmp_path, api):
        folder = write(
            tmp_path / "defs",
            DOCUMENTS
            | {
                "rules/hello.json": '{"id": "hello",\n "tigger": "page", "message": "greeting"}',
                "rules/My Rule.json": RULE,
                "messages/bad.json": b"\xff".decode("latin-1"),
                "articles/plain.en.md": "no heading",
            },
        )
        (folder / "segments" / "bytes.json").write_bytes(b'{"id": "\xff"}')
        version = live(api)["version"]
        done = rules("push", folder, "--yes", "--format", "json")
        found = json.loads(done.stdout)
        assert (done.returncode, found["version"], found["base"]) == (2, None, version)
        assert {Path(problem["file"]).name for problem in found["problems"]} == {
            "hello.json", "My Rule.json", "bad.json", "plain.en.md", "bytes.json",
        }  # fmt: skip
        assert f"{folder}/rules/hello.json:2:2: error: $.tigger" in done.stderr
        assert "Expected a name such as `rules/<id>.json`" in done.stderr
        assert live(api)["version"] == version

    def test_prune_takes_away_what_has_no_file_and_says_so(self, rules, tmp_path, api):
        replace(api, DOCUMENTS)
        folder = write(
            tmp_path / "defs", {name: DOCUMENTS[name] for name in ("rules/hello.json", "messages/greeting.json")}
        )
        assert "nothing to change" in rules("push", folder).stderr
        done = rules("push", folder, "--prune", "--yes", "--format", "json")
        found = json.loads(done.stdout)
        assert {change["file"]: change["what"] for change in found["changes"]} == dict.fromkeys(
            ("articles/start.en.md", "articles/start.ja.md", "segments/payers.json"), "removed"
        )
        assert sorted(live(api)["files"]) == ["messages/greeting.json", "rules/hello.json"]

    def test_prune_that_breaks_what_stays_is_refused(self, rules, tmp_path, api):
        replace(api, DOCUMENTS)
        folder = write(tmp_path / "defs", {"rules/hello.json": DOCUMENTS["rules/hello.json"]})
        done = rules("push", folder, "--prune", "--yes")
        assert (done.returncode, "The message `greeting` does not exist" in done.stderr) == (2, True)

    @pytest.mark.parametrize("path", ["defs/rules/hello.json", "defs/rules"])
    def test_prune_needs_a_whole_folder(self, rules, tmp_path, path):
        write(tmp_path / "defs", DOCUMENTS)
        done = rules("push", path, "--prune", "--yes")
        assert (done.returncode, "with --prune, a folder that holds all documents" in done.stderr) == (2, True)

    def test_one_language_of_an_article_can_go(self, api):
        replace(api, DOCUMENTS)
        now = live(api)
        body = {"base": now["version"], "remove": ["articles/start.en.md"]}
        published = api.post("/api/rulebooks", json=body).json()["published"]
        assert (published["changed"], published["action"]) == (["articles/start"], "push")
        assert list(api.get("/api/articles/start").json()["content"]) == ["ja"]
        assert live(api)["files"] == {name: text for name, text in DOCUMENTS.items() if name != "articles/start.en.md"}

    def test_without_a_terminal_it_takes_a_yes(self, rules, tmp_path, api):
        folder = write(tmp_path / "defs", DOCUMENTS)
        version = live(api)["version"]
        done = rules("push", folder)
        assert done.returncode == 2
        assert "engage: Expected a terminal to ask on, or --yes" in done.stderr
        assert live(api)["version"] == version
        replace(api, DOCUMENTS)
        (folder / "rules" / "hello.json").write_text("mine")
        assert rules("pull", folder).returncode == 2
        assert (folder / "rules" / "hello.json").read_text() == "mine"

    @pytest.mark.parametrize(("answer", "status", "more"), [(b"y\n", 0, 1), (b"n\n", 1, 0), (b"\n", 1, 0)])
    def test_on_a_terminal_it_asks(self, rules, tmp_path, api, answer, status, more):
        folder = write(tmp_path / "defs", DOCUMENTS)
        version = live(api)["version"]
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer)
            done = rules("push", folder, stdin=theirs)
        finally:
            os.close(ours)
            os.close(theirs)
        assert (done.returncode, live(api)["version"]) == (status, version + more)
        assert f"Publish this over version {version}? [y/N]" in done.stderr

    def test_pull_shows_what_it_would_write_over_and_leaves_the_rest(self, rules, tmp_path, api):
        replace(api, DOCUMENTS)
        folder = write(tmp_path / "defs", DOCUMENTS | {"rules/hello.json": "{}", "rules/mine.json": "{}"})
        (folder / "rules" / "hello.json").chmod(0o640)
        (folder / "articles" / "start.en.md").unlink()
        done = rules("pull", folder, "--dry-run")
        assert done.stdout.splitlines()[0] == "added articles/start.en.md"
        assert "### rules/hello.json: changed" in done.stdout
        assert rules("pull", folder, "--yes").returncode == 0
        assert texts(folder) == DOCUMENTS | {"rules/mine.json": "{}"}
        assert (folder / "rules" / "hello.json").stat().st_mode & 0o777 == 0o640
        done = rules("pull", folder, "--prune", "--yes")
        assert done.stdout == "removed rules/mine.json\n"
        assert texts(folder) == DOCUMENTS

    def test_a_folder_that_cannot_be_written_is_named(self, rules, tmp_path, api):
        replace(api, DOCUMENTS)
        (tmp_path / "defs").mkdir()
        (tmp_path / "defs" / "rules").write_text("a file")
        for path in ("defs", "defs/rules"):
            done = rules("pull", path, "--yes")
            assert (done.returncode, f"{path}" in done.stderr, "at PATH" in done.stderr) == (2, True, True)
        assert not list(tmp_path.rglob("*.tmp"))

    def test_pull_writes_an_older_version(self, rules, tmp_path, api):
        old = replace(api, DOCUMENTS)["version"]
        replace(api, {})
        assert rules("pull", tmp_path / "old", "--version", old).returncode == 0
        assert texts(tmp_path / "old") == DOCUMENTS


NAMES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, lambda inner: st.lists(inner, max_size=3)
)


@st.composite
def document_sets(draw):
    """Rules, messages and articles as people might write them: any order, any form, any language."""

    def text(value):
        items = draw(st.permutations(list(value.items())))
        form = draw(st.sampled_from([{}, {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}]))
        space = draw(st.sampled_from(["", "\n", "\r\n", " \n\n"]))
        return json.dumps(dict(items), ensure_ascii=draw(st.booleans()), **form) + space

    files = {}
    messages = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    for name in messages:
        content = {
            locale: {"text": draw(WORDS).replace("{", "(")}
            for locale in draw(st.sets(st.sampled_from(["en", "ja", "pt-BR"]), min_size=1))
        }
        files[f"messages/{name}.json"] = text({"id": name, "kind": "banner", "content": content, "name": draw(WORDS)})
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        rule = {
            "id": name,
            "trigger": draw(WORDS.filter(bool)),
            "message": draw(st.sampled_from(messages)),
            "$schema": draw(WORDS),
        }
        rule["condition"] = {"==": [{"var": "event.properties.x"}, draw(JSON)]}
        files[f"rules/{name}.json"] = text(rule)
    for name in draw(st.lists(NAMES, max_size=2, unique=True)):
        files[f"articles/{name}.ja.md"] = (
            f"# {draw(WORDS)}x\n{draw(st.text(st.characters(exclude_categories=('Cs',))))}"
        )
    return files


_numbers = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=document_sets())
def test_whatever_is_pushed_comes_back_and_is_then_nothing_to_change(remote, tmp_path, files):
    number = next(_numbers)
    folder = write(tmp_path / f"there{number}", files)
    plan = plan_push(remote, [folder], prune=True)
    assert plan.errors == []
    version = push(remote, plan)
    back = tmp_path / f"back{number}"
    pull(back, plan_pull(remote, back, None, prune=False))
    assert texts(back) == files
    again = plan_push(remote, [back], prune=True)
    assert (again.changes, again.base) == ([], version)


@pytest.mark.usefixtures("clean")
class TestVersions:
    def test_going_back_makes_a_new_version_of_the_old_content(self, rules, api):
        first = replace(api, DOCUMENTS)
        second = replace(api, {"messages/greeting.json": json.dumps(MESSAGE)})
        done = rules("rollback", "--yes", "--format", "json", run=commands.started)
        assert done.returncode == 0
        found = json.loads(done.stdout)
        assert (found["base"], found["version"]) == (second["version"], second["version"] + 1)
        now = live(api)
        assert now["files"] == first["files"]
        assert (now["published"]["action"], now["published"]["restored"]) == ("rollback", first["version"])
        assert "nothing to change" in rules("rollback", first["version"]).stderr
        assert rules("rollback", second["version"], "--yes").stdout.endswith(
            f"version {found['version'] + 1} is live now\n"
        )
        assert live(api)["files"] == second["files"]

    def test_they_are_listed_with_who_and_what(self, rules, api, tmp_path):
        replace(api, DOCUMENTS)
        rules("push", write(tmp_path / "defs", {"rules/hello.json": RULE}), "--yes")
        newest, before = rules("versions", "--limit", 2, run=commands.started).stdout.splitlines()
        assert newest.split()[0] == str(live(api)["version"])
        assert " push by " in newest
        assert "@" in newest
        assert newest.endswith(": ~rules/hello")
        assert before.endswith("push by api: +articles/start +messages/greeting +rules/hello +segments/payers")
        rules("rollback", "--yes")
        assert f" rollback to {before.split()[0]} by " in rules("versions").stdout

    def test_a_document_has_its_own(self, rules, api):
        replace(api, DOCUMENTS)
        replace(api, {})
        kept = api.get("/api/rules/hello/versions").json()["versions"]
        assert [one["files"] for one in kept[:2]] == [None, {"rules/hello.json": DOCUMENTS["rules/hello.json"]}]
        assert kept[0]["rulebook"] == live(api)["version"]
        assert rules("versions", "hello").stdout.splitlines()[0].endswith("removed")
        assert len(json.loads(rules("versions", "articles/start", "--format", "json").stdout)) >= 2

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("rollback", 999_999), "Expected the version of a rulebook that was published, got 999999 - at version"),
            (("pull", "x", "--version", 999_999), "the newest is "),
            (("versions", "nothing"), "Expected the id of one of the rules, live or removed, got nothing"),
            (("versions", "rule/hello"), "Expected a rule's id, or one of rules/<id>, messages/<id>"),
        ],
    )
    def test_what_is_not_there_is_told_with_what_is(self, rules, arguments, said):
        done = rules(*arguments)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.usefixtures("clean")
class TestApi:
    def test_who_looked_at_an_older_version_publishes_nothing(self, api, remote, tmp_path):
        plan = plan_push(remote, [write(tmp_path / "defs", DOCUMENTS)], prune=False)
        other = replace(api, {"messages/greeting.json": json.dumps(MESSAGE)})
        with pytest.raises(
            Exception, match=f"Expected the version that is live, {other['version']} \\(push by api at "
        ) as raised:
            push(remote, plan)
        assert raised.value.hint == "nothing was published: look at what changes now, and try again"
        assert live(api) == other

    def test_of_many_at_once_one_publishes(self, api, product):
        version = live(api)["version"]

        def publish(number):
            files = {"segments/s.json": json.dumps({"id": "s", "condition": True, "name": f"{number}"})}
            auth = (product.secret_key, "")
            return httpx.post(
                f"{product.url}/api/rulebooks", json={"base": version, "files": files}, auth=auth, timeout=60
            )

        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(publish, range(8)))
        assert sorted(reply.status_code for reply in replies) == [201] + [409] * 7
        assert live(api)["version"] == version + 1

    def test_broken_documents_come_back_with_their_problems(self, api):
        files = {
            "rules/hello.json": '{"id": "hello",\n "trigger": "page", "message": "nobody"}',
            "segments/s.json": "{",
        }
        reply = api.post("/api/rulebooks", json={"base": live(api)["version"], "files": files})
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "broken_documents")
        problems = {problem["file"]: problem for problem in reply.json()["error"]["problems"]}
        assert (problems["rules/hello.json"]["line"], problems["rules/hello.json"]["path"]) == (2, "$.message")
        assert set(problems) == set(files)

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "field"),
        [
            ("POST", "/api/rulebooks", b"{", 400, "$"),
            ("POST", "/api/rulebooks", b'{"files": {}}', 400, "$.base"),
            ("POST", "/api/rulebooks", b'{"base": 1, "filse": {}}', 400, "$.filse"),
            ("POST", "/api/rulebooks", b'{"base": BASE, "files": {"../../etc/x.json": "{}"}}', 400, "files"),
            ("POST", "/api/rulebooks", b'{"base": BASE, "files": {"articles/x..md": "# x"}}', 400, "files"),
            ("POST", "/api/rulebooks", b'{"base": BASE, "remove": ["rules/none.json"]}', 404, "remove"),
            ("POST", "/api/rulebooks", b'{"base": BASE, "author": "a\\u001bb"}', 400, "$.author"),
            ("POST", "/api/rulebooks", b'{"base": 999999}', 409, "base"),
            ("POST", "/api/rulebooks", b'{"base": BASE, "files": ' + b"[" * 100_000, 400, "$.files"),
            ("POST", "/api/rulebooks/999999/rollback", b'{"base": BASE}', 404, "version"),
            ("POST", "/api/rulebooks/x/rollback", b'{"base": BASE}', 400, "version"),
            ("GET", "/api/rulebooks/x", None, 400, "version"),
            ("GET", "/api/rulebooks/999999", None, 404, "version"),
            ("GET", "/api/rulebooks?limit=201", None, 400, "limit"),
            ("GET", "/api/rules/none/versions", None, 404, "id"),
        ],
    )  # fmt: skip
    def test_every_error_has_the_one_shape(self, api, method, path, body, status, field):
        base = str(live(api)["version"]).encode()
        reply = api.request(method, path, content=body and body.replace(b"BASE", base))
        assert (reply.status_code, reply.json()["error"].get("field")) == (status, field), reply.text
        assert set(reply.json()["error"]) <= {"code", "message", "field", "expected", "got", "hint"}

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/rulebooks"),
            ("POST", "/api/rulebooks"),
            ("GET", "/api/rulebooks/live"),
            ("POST", "/api/rulebooks/1/rollback"),
            ("GET", "/api/segments/s/versions"),
        ],
    )
    def test_it_needs_the_secret_key(self, product, method, path):
        for key in ("", "wrong", product.write_key):
            assert httpx.request(method, product.url + path, auth=(key, "")).status_code == 401

    def test_nothing_to_change_makes_no_version(self, api):
        version = live(api)["version"]
        reply = api.post("/api/rulebooks", json={"base": version})
        assert (reply.status_code, reply.json(), live(api)["version"]) == (200, {"published": None}, version)

    def test_a_pushed_rule_knows_the_past(self, api, product):
        with product.client() as client:
            for _ in range(2):
                assert client.post("/v1/track", json={"userId": "ann", "event": "Export Failed"}).status_code == 200
            until(lambda: api.get("/api/users/ann").status_code == 200, what="decided")
            rule = RULE | {"trigger": "Export Failed", "condition": {"==": [{"count": ["Export Failed"]}, 3]}}
            replace(api, {"rules/hello.json": json.dumps(rule), "messages/greeting.json": json.dumps(MESSAGE)})
            until(lambda: api.get("/api/stats").json()["rulebook"]["shards_behind"] == 0, what="in force")
            assert client.post("/v1/track", json={"userId": "ann", "event": "Export Failed"}).status_code == 200
            inbox = {"userId": "ann"}
            until(lambda: client.get("/v1/inbox", params=inbox).json()["deliveries"], what="the message")


class TestFindingTheService:
    def test_one_that_does_not_run_is_named_with_its_address(self, rules, free_port):
        done = rules("versions", environment={"ENGAGE_URL": f"http://127.0.0.1:{free_port}"})
        assert done.returncode == 2
        assert f"Expected a service that answers, got http://127.0.0.1:{free_port}: " in done.stderr
        assert "start it with `engage up`, or say with ENGAGE_URL where it runs" in done.stderr

    def test_a_wrong_key_is_told_from_the_service_and_how_to_find_the_right_one(self, rules):
        done = rules("versions", environment={"ENGAGE_SECRET_KEY": "wrong"})
        assert done.returncode == 2
        assert "one that it does not know - at ENGAGE_SECRET_KEY" in done.stderr
        assert "engage keys" in done.stderr

    def test_without_a_key_nothing_is_made_up(self, rules, tmp_path):
        done = rules("versions", "--data", tmp_path / "none")
        assert (done.returncode, "got nothing - at ENGAGE_SECRET_KEY" in done.stderr) == (2, True)
        assert not (tmp_path / "none").exists()

    def test_the_key_of_this_machine_is_not_sent_elsewhere(self, rules):
        done = rules("versions", environment={"ENGAGE_URL": "http://elsewhere.example"})
        assert (done.returncode, "got nothing - at ENGAGE_SECRET_KEY" in done.stderr) == (2, True)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"version": 1, "files": {"../x.json": "{}"}, "folder": None, "published": None}, "got ../x.json"),
            ({"version": 1, "files": {"rules/../../x.json": "{}"}, "folder": None, "published": None}, "got rules/../../x.json"),
            ({"hello": "world"}, "Expected an Engage service of this version"),
        ],
    )  # fmt: skip
    def test_what_is_no_such_service_writes_nothing(self, rules, tmp_path, body, said):
        with answering(body) as url:
            done = rules("pull", "here/inside", "--yes", environment={"ENGAGE_URL": url, "ENGAGE_SECRET_KEY": "k"})
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert texts(tmp_path) == {}


@contextlib.contextmanager
def answering(body):
    """A server that is not Engage, and says this to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_that_publishes_a_folder_takes_no_push_and_says_why(service, tmp_path, write_documents):
    folder = write_documents({"rules/hello.json": RULE, "messages/greeting.json": MESSAGE})
    one = service(rules=folder)

    def rules(*arguments):
        return commands.engage("rules", *arguments, env=one.environment)

    other = write(tmp_path / "other", {"rules/hello.json": RULE | {"priority": 5}})
    done = rules("push", other, "--yes")
    assert done.returncode == 2
    assert f"got one that publishes the folder {folder} and would write over it - at ENGAGE_RULES_DIR" in done.stderr
    assert rules("push", other, "--dry-run").returncode == 0
    with one.client(auth=(one.secret_key, "")) as api:
        version = live(api)["version"]
        for path in ("/api/rulebooks", f"/api/rulebooks/{version}/rollback"):
            reply = api.post(path, json={"base": version})
            assert (reply.status_code, reply.json()["error"]["field"]) == (409, "ENGAGE_RULES_DIR")
        assert rules("pull", tmp_path / "back").returncode == 0
        assert texts(tmp_path / "back") == texts(folder)
        (folder / "rules" / "hello.json").write_text(json.dumps(RULE | {"priority": 9}))
        until(lambda: live(api)["version"] == version + 1, what="the folder is published")
        assert (live(api)["published"]["action"], live(api)["published"]["author"]) == ("folder", str(folder))
    assert rules("pull", folder, "--version", version, "--yes").returncode == 0
    assert json.loads((folder / "rules" / "hello.json").read_text()) == RULE


def test_everything_runs_in_a_folder_of_definitions(tmp_path):
    """Its `rules/` is no package of ours: nothing is imported from where a command was started."""
    folder = write(tmp_path / "defs", {"rules/hello.json": RULE, "messages/greeting.json": MESSAGE})
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    engage = Path(sys.executable).with_name("engage")
    environment = kept | {"ENGAGE_PORT": str(unused_port()), "ENGAGE_DATA_DIR": str(tmp_path / "data")}
    with subprocess.Popen([engage, "up", "--rules", "."], cwd=folder, env=environment, stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        assert any(b"Ctrl-C ends it" in line for line in up.stdout)
        up.terminate()
        assert up.wait(30) == 0
