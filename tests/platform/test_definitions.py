"""Definitions as files: what is broken is reported and replaced by its last good version, everything else goes on."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis
import structlog

from engage import keys
from engage.database import open_database
from engage.definitions import load_folder
from engage.publications import changes, commit, document_history, history, state_of
from engage.publishing import SNAPSHOTS_KEPT, publish_all, put_in_force, settle
from engage.settings import load_settings
from engage.watcher import Watcher
from rules import Definitions, Segment
from tests.conftest import until, unused_port

RULE = {"id": "hello", "trigger": "page", "message": "greeting", "priority": 1}
MESSAGE = {"id": "greeting", "kind": "banner", "content": {"en": {"text": "Hello"}}}
DOCUMENTS = {
    "rules/hello.json": RULE,
    "messages/greeting.json": MESSAGE,
    "segments/payers.json": {"id": "payers", "condition": True},
    "articles/start.en.md": "# Start\n\nHere.",
    "articles/start.ja.md": "# はじめに\n\nここから。",
}

_numbers = itertools.count()


@pytest.fixture
def folder(write_documents):
    return write_documents(DOCUMENTS)


def broken(loaded):
    return [(problem.file.rsplit("/", 1)[-1], problem.path) for problem in loaded.errors]


def ids(definitions):
    groups = (definitions.rules, definitions.messages, definitions.segments, definitions.articles)
    return [[document.id for document in group] for group in groups]


class TestLoading:
    def test_all_kinds_are_read(self, folder):
        loaded = load_folder(folder)
        assert ids(loaded.definitions) == [["hello"], ["greeting"], ["payers"], ["start"]]
        assert loaded.problems == []
        assert {name: content.title for name, content in loaded.definitions.articles[0].content.items()} == {
            "en": "Start",
            "ja": "はじめに",
        }

    @pytest.mark.parametrize(
        ("name", "text", "kind"),
        [
            ("rules/hello.json", '{"id": "hello", "trigger": "page", "message": ', "rules"),
            ("rules/hello.json", '{"id": "hello", "tigger": "page", "message": "greeting"}', "rules"),
            ("rules/hello.json", "", "rules"),
            ("messages/greeting.json", '{"id": "greeting", "kind": "banner", "content": {}}', "messages"),
            ("articles/start.en.md", "no heading", "articles"),
        ],
    )
    def test_a_broken_one_keeps_its_last_good_version(self, folder, name, text, kind):
        good = load_folder(folder).definitions
        (folder / name).write_text(text)
        loaded = load_folder(folder, good)
        assert broken(loaded)[0][0] == name.rsplit("/", 1)[-1]
        assert getattr(loaded.definitions, kind) == getattr(good, kind)
        assert loaded.definitions == good

    def test_a_broken_one_without_a_last_good_version_is_left_out(self, folder):
        (folder / "rules" / "second.json").write_text("{")
        loaded = load_folder(folder)
        assert ids(loaded.definitions)[0] == ["hello"]
        assert broken(loaded) == [("second.json", "$")]

    def test_a_rule_whose_message_does_not_exist_is_left_out_and_its_place_is_told(self, folder):
        (folder / "rules" / "lost.json").write_text('{\n "id": "lost",\n "trigger": "page",\n "message": "greting"}')
        loaded = load_folder(folder)
        assert ids(loaded.definitions)[0] == ["hello"]
        [problem] = loaded.errors
        assert (problem.line, problem.path) == (4, "$.message")
        assert "did you mean `greeting`?" in problem.message

    def test_one_that_lacks_what_it_needs_is_told_what_it_names_in_vain(self, folder):
        rule = {"id": "hello", "trgger": "page", "message": "greetng"}
        (folder / "rules" / "hello.json").write_text(json.dumps(rule))
        assert sorted(broken(load_folder(folder))) == [
            ("hello.json", "$"),
            ("hello.json", "$.message"),
            ("hello.json", "$.trgger"),
        ]

    def test_a_rule_whose_message_is_broken_is_sent_to_that_file(self, folder):
        (folder / "messages" / "greeting.json").write_text('{"id": "greeting", "kind": "baner", "content": {"en": {}}}')
        loaded = load_folder(folder)
        assert broken(loaded) == [("greeting.json", "$.kind"), ("hello.json", "$.message")]
        assert loaded.errors[1].message == "The message `greeting` cannot be used: see the problems of its own file"

    def test_all_that_is_wrong_with_a_rule_is_told_at_once(self, folder):
        condition = {"and": [{"var": "usr.id"}, {"segment": "payrs"}, {"seen": [["greeting", "nothing"]]}]}
        (folder / "rules" / "lost.json").write_text(
            json.dumps({**RULE, "id": "other", "message": "greting", "condition": condition})
        )
        loaded = load_folder(folder)
        assert [problem.path for problem in loaded.errors] == [
            "$.id",
            "$.condition.and[0].var",
            "$.message",
            "$.condition.and[2].seen[0][1]",
            "$.condition.and[1].segment",
        ]
        assert all(problem.file.endswith("lost.json") and problem.line == 1 for problem in loaded.errors)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("Hi {{ user.id | defualt: 1 }}", "Unknown filter `defualt`; did you mean `default`?"),
            ("Hi {{ first_name }}", "Unknown variable `first_name`; expected one of event, page, user"),
            ("Hi {{ user.trait.name }}", "Unknown variable `user.trait.name`; did you mean `traits`?"),
            ("{% if usr.id %}Hi{% endif %}", "Unknown variable `usr.id`; did you mean `user`?"),
        ],
    )
    def test_a_text_that_cannot_be_rendered_as_meant_is_refused(self, folder, text, said):
        message = {"id": "greeting", "kind": "banner", "content": {"en": {"text": text}}}
        (folder / "messages" / "greeting.json").write_text(json.dumps(message))
        [problem, _] = load_folder(folder).errors
        assert problem.path == "$.content.en.text"
        assert said in problem.message

    def test_names_that_a_text_makes_itself_are_its_own(self, folder):
        text = "{% assign plan = user.traits.plan %}{{ plan }}{% for x in event.properties.list %}{{ x.y }}{{ forloop.index }}{% endfor %}"
        message = {"id": "greeting", "kind": "banner", "content": {"en": {"text": text}}}
        (folder / "messages" / "greeting.json").write_text(json.dumps(message))
        assert load_folder(folder).errors == []

    def test_a_change_that_breaks_another_document_keeps_the_last_good_rule(self, folder):
        good = load_folder(folder).definitions
        (folder / "rules" / "hello.json").write_text(json.dumps({**RULE, "message": "nothing", "priority": 9}))
        loaded = load_folder(folder, good)
        assert loaded.definitions.rules == good.rules

    def test_a_removed_file_removes_its_document(self, folder):
        good = load_folder(folder).definitions
        (folder / "segments" / "payers.json").unlink()
        (folder / "articles" / "start.ja.md").unlink()
        loaded = load_folder(folder, good)
        assert ids(loaded.definitions) == [["hello"], ["greeting"], [], ["start"]]
        assert list(loaded.definitions.articles[0].content) == ["en"]

    def test_what_cannot_be_read_is_reported(self, folder):
        (folder / "rules" / "gone.json").symlink_to(folder / "nowhere")
        (folder / "rules" / "dir.json").mkdir()
        loaded = load_folder(folder)
        assert ids(loaded.definitions)[0] == ["hello"]
        assert ("dir.json", "$") in broken(loaded)


@pytest.fixture
def store(empty_store):
    with redis.Redis.from_url(empty_store) as client:
        yield client


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory):
    """The URL of a real PostgreSQL, where the machine has one."""
    binaries = [Path(shutil.which("initdb") or "/nowhere").parent, *Path("/usr/lib/postgresql").glob("*/bin")]
    binary = next((folder for folder in binaries if (folder / "initdb").exists()), None)
    if binary is None:
        pytest.skip("no PostgreSQL here")
    folder, port = Path(tempfile.mkdtemp(prefix="engage-postgresql-", dir="/tmp")), unused_port()
    user = "nobody" if os.getuid() == 0 else None  # it does not run as root
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    command = [binary / "initdb", "-D", data, "-A", "trust", "-U", "engage", "-E", "UTF8", "--locale=C"]
    subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)
    options = ["-k", folder, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([binary / "postgres", "-D", data, *options], user=user, cwd=folder, stderr=log)
    url = f"postgresql://engage@127.0.0.1:{port}/postgres"

    def answers():
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return True

    until(answers, what="PostgreSQL answers")
    yield url
    server.send_signal(signal.SIGINT)
    server.wait(20)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    environment = {"ENGAGE_DATA_DIR": str(tmp_path / "data")}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")
        name = f"t{next(_numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        environment["ENGAGE_DATABASE_URL"] = url.removesuffix("postgres") + name
    engine = open_database(load_settings(environment))
    yield engine
    engine.dispose()


class TestPublishing:
    @pytest.fixture
    def publish(self, engine, store):
        def publish(loaded):
            return publish_all(engine, store, "default", loaded.definitions, loaded.texts, "me")

        return publish

    def test_the_pointer_names_an_immutable_snapshot(self, store, publish, folder):
        assert publish(load_folder(folder)) == 1
        assert store.get("{default}:rulebook") == b"1"
        assert json.loads(store.get("{default}:rulebook:1"))["rules"][0]["id"] == "hello"

    def test_the_same_definitions_make_no_new_version(self, publish, folder):
        assert [publish(load_folder(folder)) for _ in range(3)] == [1, 1, 1]

    def test_old_snapshots_go(self, store):
        for number in range(1, SNAPSHOTS_KEPT + 4):
            assert put_in_force(store, "default", number, Definitions(segments=[Segment(id="s", condition=True)]))
        kept = {int(key.rsplit(b":", 1)[1]) for key in store.keys(keys.rulebook_version("default", 0)[:-1] + "*")}
        assert kept == set(range(4, SNAPSHOTS_KEPT + 4))

    def test_an_older_version_never_replaces_a_newer_one(self, store):
        assert put_in_force(store, "default", 2, Definitions())
        assert not put_in_force(store, "default", 2, Definitions(segments=[Segment(id="s", condition=True)]))
        assert not put_in_force(store, "default", 1, Definitions())
        assert (store.get("{default}:rulebook"), store.exists("{default}:rulebook:1")) == (b"2", 0)

    def test_versions_are_kept_and_only_changes_make_them(self, engine, publish, folder):
        first = load_folder(folder)
        publish(first)
        (folder / "rules" / "hello.json").write_text(json.dumps({**RULE, "priority": 2}))
        (folder / "segments" / "payers.json").unlink()
        second = load_folder(folder)
        assert publish(second) == 2
        assert state_of(engine, "default").definitions == second.definitions
        assert publish(first) == 3, "a removed one can come back"
        assert state_of(engine, "default").definitions == first.definitions
        assert state_of(engine, "default", 2).definitions == second.definitions
        third, second, first = history(engine, "default", None, 9)
        assert (third.added, third.changed, third.removed) == (["segments/payers"], ["rules/hello"], [])
        assert (second.added, second.changed, second.removed) == ([], ["rules/hello"], ["segments/payers"])
        assert first.added == ["articles/start", "messages/greeting", "rules/hello", "segments/payers"]
        assert {one.author for one in (first, second, third)} == {"me"}

    def test_the_texts_are_kept_as_they_were_written(self, engine, publish, folder):
        text = '{"message":"greeting",\n\t"id": "hello", "trigger": "page", "name": "はい \\u3042"}'
        (folder / "rules" / "hello.json").write_text(text)
        publish(load_folder(folder))
        files = state_of(engine, "default").files
        assert sorted(files) == sorted(DOCUMENTS)
        assert files == {name: (folder / name).read_bytes().decode() for name in files}
        (folder / "rules" / "hello.json").write_text(text + "\n")
        assert publish(load_folder(folder)) == 2, "also its form is somebody's work"

    def test_the_text_of_a_last_good_version_stays_when_its_file_breaks(self, engine, publish, folder):
        good = load_folder(folder)
        publish(good)
        (folder / "rules" / "hello.json").write_text("{")
        (folder / "articles" / "start.ja.md").write_text("no heading")
        assert publish(load_folder(folder, good.definitions)) == 1
        assert state_of(engine, "default").files["articles/start.ja.md"] == DOCUMENTS["articles/start.ja.md"]

    def test_of_two_with_the_same_number_one_is_written(self, engine):
        found = Definitions(segments=[Segment(id="s", condition=True)])
        made = changes(state_of(engine, "default"), found, {})

        def write(_):
            return commit(engine, "default", 1, made, "me", "push")

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(write, range(4))) == [False, False, False, True]
        assert state_of(engine, "default").definitions == found
        assert len(document_history(engine, "default", "segment", "s")) == 1

    def test_what_was_published_and_did_not_reach_the_store_is_carried_over(self, engine, store, publish, folder):
        publish(load_folder(folder))
        before = store.get("{default}:rulebook:1")
        store.flushall()
        assert settle(engine, store, "default") == 1
        assert store.get("{default}:rulebook:1") == before

    def test_what_is_in_force_and_not_known_is_taken_over(self, engine, store, publish, folder):
        found = load_folder(folder)
        put_in_force(store, "default", 7, found.definitions)
        assert settle(engine, store, "default") == 7
        assert state_of(engine, "default").definitions == found.definitions
        assert [(one.version, one.action) for one in history(engine, "default", None, 9)] == [(7, "found")]
        assert publish(found) == 8, "now with its texts"


class Live:
    """A watcher at work; `wait(predicate)` returns the next published set for which it is true."""

    def __init__(self, folder, last_good=None):
        self.published = asyncio.Queue()
        self.failures = 0
        self.watcher = Watcher(folder, self._publish, last_good)

    async def _publish(self, definitions, texts):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("store away")
        await self.published.put(definitions)
        return self.published.qsize()

    async def wait(self, predicate, seconds=10):
        async with asyncio.timeout(seconds):
            while True:
                definitions = await self.published.get()
                if predicate(definitions):
                    return definitions


def watching(folder, scenario, last_good=None):
    """Runs `scenario(live)` beside a watcher."""

    async def main():
        live = Live(folder, last_good)
        task = asyncio.create_task(live.watcher.run())
        try:
            await scenario(live)
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    with structlog.testing.capture_logs() as said:
        asyncio.run(main())
    return said


def priority(definitions):
    return definitions.rules[0].priority if definitions.rules else None


class TestWatching:
    def test_an_edit_is_live_without_a_restart(self, folder):
        async def scenario(live):
            await live.wait(lambda found: priority(found) == 1)
            assert live.watcher.settled.is_set()
            (folder / "rules" / "hello.json").write_text(json.dumps({**RULE, "priority": 2}))
            await live.wait(lambda found: priority(found) == 2)

        watching(folder, scenario)

    def test_editors_that_write_by_renaming_are_seen(self, folder):
        async def scenario(live):
            await live.wait(lambda found: priority(found) == 1)
            (folder / "rules" / ".hello.json.swp").write_text(json.dumps({**RULE, "priority": 3}))
            os.replace(folder / "rules" / ".hello.json.swp", folder / "rules" / "hello.json")
            await live.wait(lambda found: priority(found) == 3)

        watching(folder, scenario)

    def test_a_broken_file_keeps_the_last_good_version_and_the_fix_heals(self, folder):
        async def scenario(live):
            await live.wait(lambda found: priority(found) == 1)
            (folder / "rules" / "hello.json").write_text('{"id": "hello",\n "trigger": "page"')
            (folder / "rules" / "other.json").write_text(json.dumps({**RULE, "id": "other"}))
            found = await live.wait(lambda found: len(found.rules) == 2)
            assert [(rule.id, rule.priority) for rule in found.rules] == [("hello", 1), ("other", 1)]
            (folder / "rules" / "hello.json").write_text(json.dumps({**RULE, "priority": 5}))
            await live.wait(lambda found: priority(found) == 5)

        said = watching(folder, scenario)
        [report] = [one["event"] for one in said if one["log_level"] == "error"]
        assert report.startswith(f"{folder}/rules/hello.json:2:")
        [error] = [one for one in said if one["log_level"] == "error"]
        assert (error["file"], error["line"]) == (f"{folder}/rules/hello.json", 2)
        assert error["live"] == "the last good version, if there is one"
        assert [one["file"] for one in said if one["event"] == "mended"] == [f"{folder}/rules/hello.json"]

    def test_documents_that_go_with_their_files_are_named(self, folder):
        async def scenario(live):
            await live.wait(lambda found: priority(found) == 1)
            (folder / "segments" / "payers.json").unlink()
            await live.wait(lambda found: not found.segments)

        said = watching(folder, scenario)
        [warning] = [one for one in said if one["event"] == "documents no longer live"]
        assert (warning["log_level"], warning["removed"], warning["names"]) == ("warning", 1, ["segments/payers"])

    def test_what_was_live_before_the_restart_stands_in_for_a_file_broken_since(self, folder):
        good = load_folder(folder).definitions
        (folder / "rules" / "hello.json").write_text("{")

        async def scenario(live):
            assert await live.wait(lambda found: True) == good

        watching(folder, scenario, good)

    def test_a_folder_that_comes_later_is_waited_for(self, folder, tmp_path):
        missing = tmp_path / "later"

        async def scenario(live):
            await live.watcher.settled.wait()
            shutil.copytree(folder, missing)
            await live.wait(lambda found: len(found.articles) == 1 and priority(found) == 1)

        watching(missing, scenario)

    def test_a_folder_taken_away_takes_nothing_off_and_is_followed_when_it_comes_back(self, folder, tmp_path):
        async def scenario(live):
            await live.wait(lambda found: priority(found) == 1)
            folder.rename(tmp_path / "away")
            copy = tmp_path / "copy"
            shutil.copytree(tmp_path / "away", copy)
            (copy / "rules" / "hello.json").write_text(json.dumps({**RULE, "priority": 7}))
            copy.rename(folder)
            found = await live.wait(lambda found: priority(found) != 1)
            assert priority(found) == 7
            (folder / "rules" / "hello.json").write_text(json.dumps({**RULE, "priority": 8}))
            await live.wait(lambda found: priority(found) == 8)

        watching(folder, scenario)

    def test_a_new_subfolder_is_seen(self, write_documents, tmp_path):
        folder = write_documents({"messages/greeting.json": MESSAGE})
        ready = tmp_path / "elsewhere"
        ready.mkdir()
        (ready / "hello.json").write_text(json.dumps(RULE))

        async def scenario(live):
            await live.wait(lambda found: len(found.messages) == 1)
            ready.rename(folder / "rules")
            await live.wait(lambda found: priority(found) == 1)

        watching(folder, scenario)

    def test_it_tries_again_while_the_store_is_away(self, folder):
        async def scenario(live):
            live.failures = 2
            await live.wait(lambda found: priority(found) == 1)

        said = watching(folder, scenario)
        assert [one["error"] for one in said if "trying again" in one["event"]] == ["store away"], "said once"


def test_an_edit_reaches_the_running_product(service, folder):
    one = service(rules=folder)
    with redis.Redis.from_url(load_settings({"ENGAGE_DATA_DIR": str(one.data_dir)}).redis_url) as client:
        before = client.get("{default}:rulebook")
        (folder / "rules" / "hello.json").write_text("{")
        (folder / "messages" / "second.json").write_text(json.dumps({**MESSAGE, "id": "second"}))
        version = until(lambda: (now := client.get("{default}:rulebook")) != before and now, what="it is published")
        published = json.loads(client.get(b"{default}:rulebook:" + version))
    assert [message["id"] for message in published["messages"]] == ["greeting", "second"]
    assert [rule["id"] for rule in published["rules"]] == ["hello"]
    until(lambda: "rules/hello.json:1:" in one.log, what="the problem is reported")


def test_what_is_no_ordinary_file_is_a_problem_and_stops_nothing(tmp_path):
    (tmp_path / "rules").mkdir()
    os.mkfifo(tmp_path / "rules" / "pipe.json")
    (tmp_path / "rules" / "zero.json").symlink_to("/dev/zero")
    problems = load_folder(tmp_path).problems
    assert [Path(problem.file).name for problem in problems] == ["pipe.json", "zero.json"]
    assert all("it is not an ordinary file" in problem.message for problem in problems)
