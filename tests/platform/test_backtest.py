"""`engage rules backtest` on the log of a running product."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests import commands
from tests.conftest import until

PAGE = {"==": [{"var": "page.path"}, "/pricing"]}
RULES = {
    "rules/third.json": {
        "id": "third",
        "trigger": "Ping",
        "condition": {"==": [{"%": [{"count": ["Ping"]}, 3]}, 0]},
        "message": "hello",
        "frequency": "always",
        "goal": {"event": "Bought", "within": "1d"},
    },
    "rules/later.json": {
        "id": "later",
        "trigger": "Start",
        "delay": "300ms",
        "cancel_on": ["Stop"],
        "message": "hello",
    },
    "messages/hello.json": {"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello"}}},
}


@pytest.fixture(scope="module")
def product(module_service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest") / "definitions"
    for name, document in RULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(document))
    one = module_service(rules=folder)
    now = datetime.now(UTC)
    days = [(now - timedelta(days=days)).isoformat() for days in (9, 2, 1)]
    calls = [
        {
            "type": "track",
            "event": "Ping",
            "userId": f"user-{user}",
            "messageId": f"{user}-{day}-{number}",
            "timestamp": at,
        }
        for user in range(10)
        for day, at in enumerate(days)
        for number in range(2)
    ]
    calls += [{"type": "track", "event": "Bought", "userId": "user-0", "timestamp": now.isoformat()}]
    calls += [{"type": "track", "event": "Start", "userId": f"user-{user}"} for user in range(4)]
    with one.client() as client:
        for call in (*calls, calls[0], calls[5]):  # the last two are sent again
            assert client.post("/v1/batch", json={"batch": [call]}).json()["success"]
        assert client.post("/v1/track", json={"event": "Stop", "userId": "user-3"}).status_code == 200
    auth = (one.secret_key, "")
    with one.client(auth=auth) as client:
        until(lambda: client.get("/api/stats").json()["totals"].get("delivered", 0) >= 23, what="all delivered")
    return one, folder


def rules_command(name):
    """`engage rules <name> …` beside the product, in an empty folder."""

    @pytest.fixture
    def command(product, tmp_path):
        def run(*arguments, run=commands.engage):
            environment = product[0].environment | {"NO_COLOR": "1", "COLUMNS": "200"}
            return run("rules", name, *arguments, env=environment, cwd=tmp_path)

        return run

    return command


backtest = rules_command("backtest")
diff = rules_command("diff")
check = rules_command("check")


def answer(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_of_a_live_rule_it_equals_what_was_decided(product, backtest):
    one, _ = product
    found = answer(backtest("third", "--last", "30d", "--format", "json", run=commands.started))
    with one.client() as client:
        inboxes = {
            f"user-{user}": client.get("/v1/inbox", params={"writeKey": one.write_key, "userId": f"user-{user}"}).json()
            for user in range(10)
        }
    made = {user: [d for d in inbox["deliveries"] if d["rule_id"] == "third"] for user, inbox in inboxes.items()}
    assert found["deliveries"] == sum(map(len, made.values())) == 20
    assert {person["user"]: len(person["at"]) for person in found["who"]} == dict.fromkeys(made, 2)
    assert (found["users"], found["people"], found["displaced"]) == (10, 10, [])
    assert [(day["users"], day["deliveries"]) for day in found["by_day"]] == [(10, 10), (10, 10)]
    assert found["goals"] == {"users": 1, "deliveries": 1, "share": 0.1}
    assert found["outcomes"] == {"matched": 20, "not_matched": 40}
    assert answer(backtest("third", "--last", "30d", "--format", "json")) == found


def test_the_window_begins_before_the_newest_event(backtest):
    found = answer(backtest("third", "--last", "36h", "--format", "json"))
    assert (found["deliveries"], len(found["by_day"])) == (10, 1)


def test_timers_fire_as_they_did(backtest):
    found = answer(backtest("later", "--format", "json"))
    assert (found["deliveries"], found["outcomes"]) == (3, {"cancelled": 1, "delayed": 4, "matched": 3})


def test_a_draft_is_replayed_in_the_place_of_the_live_one(product, backtest, write_documents):
    draft = RULES["rules/third.json"] | {"condition": {"segment": "new"}, "message": "other", "frequency": None}
    folder = write_documents(
        {
            "rules/third.json": draft,
            "messages/other.json": RULES["messages/hello.json"] | {"id": "other"},
            "segments/new.json": {"id": "new", "condition": {"<=": [{"count": ["Ping"]}, 2]}},
        }
    )
    done = backtest(folder / "rules" / "third.json", "--last", "30d")
    assert done.returncode == 0, done.stderr
    assert "third: 10 people would have got 10 messages" in done.stdout
    assert "considered  capped 10, matched 10, not_matched 40" in done.stdout
    with product[0].client(auth=(product[0].secret_key, "")) as client:
        assert client.get("/api/rules/third").json()["message"] == "hello"  # nothing changed


def test_all_rules_together(product, backtest):
    found = answer(backtest("--all", "--last", "30d", "--format", "json"))
    assert {rule["rule_id"]: rule["deliveries"] for rule in found["rules"]} == {"third": 20, "later": 3}
    assert answer(backtest(product[1], "--all", "--last", "30d", "--format", "json"))["rules"] == found["rules"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("thrid",), "Expected a rule file, or the id of a live rule; did you mean `third`?, got thrid - at RULE"),
        ((), "Expected a rule file, or the id of a live rule - at RULE"),
        (("nowhere", "--all"), "Expected a folder with rules/ and messages/, got nowhere - at RULE"),
        (("third", "--last", "7x"), "Expected a duration"),
        (("third", "--last", "0s"), "expected a duration longer than nothing"),
    ],
)
def test_what_cannot_be_tested_is_said(backtest, arguments, said):
    done = backtest(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_broken_draft_is_reported_with_its_places(backtest, write_documents):
    folder = write_documents(
        {"rules/r.json": {"id": "r", "trigger": "A", "message": "nobody", "condition": {"dit": ["A"]}}}
    )
    done = backtest(folder / "rules" / "r.json")
    assert done.returncode == 2
    assert "r.json:1:" in done.stderr
    assert "Unknown operator `dit`; did you mean `did`?" in done.stderr
    folder = write_documents({"rules/r.json": {"id": "r", "trigger": "A", "message": "nobody"}})
    assert "The message `nobody` does not exist" in backtest(folder / "rules" / "r.json").stderr


def test_rules_are_checked_against_what_the_log_has_seen(check, write_documents):
    rule = RULES["rules/third.json"] | {"trigger": "Pinged", "goal": None}
    folder = write_documents({"rules/third.json": rule, "messages/hello.json": RULES["messages/hello.json"]})
    done = check(folder)
    assert (done.returncode, done.stdout) == (0, "2 documents, 0 errors, 0 warnings\n")
    done = check(folder, "--log", run=commands.started)
    assert done.returncode == 0
    assert "warning: $.trigger: `Pinged` was never seen in the log; did you mean `Ping` (60 in 1h)?" in done.stdout
    assert "2 documents, 0 errors, 1 warnings" in done.stdout
    assert "beside a log of 66 events in 1h" in done.stderr


def test_the_difference_of_two_folders_and_what_it_means_for_people(product, diff, write_documents):
    third = RULES["rules/third.json"]
    changed = third | {"frequency": {"max": 1, "per": "lifetime"}}
    folder = write_documents(
        {
            "rules/third.json": changed,
            "rules/second.json": third
            | {"id": "second", "message": "chat", "condition": {"==": [{"count": ["Ping"]}, 2]}},
            "messages/hello.json": RULES["messages/hello.json"],
            "messages/chat.json": {"id": "chat", "kind": "chat", "content": {"en": {"text": "Hi"}}},
        }
    )
    done = diff("live", folder, "--impact", "--last", "30d", run=commands.started)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    for line in (
        "### rules/later: removed",
        "### rules/second: added",
        "### rules/third: changed",
        '-  "frequency": "always",',
        '+    "per": "lifetime"',
        "| later (removed) | 3 → - | 3 → - | 0 → - |",
        "| second (new) | - → 10 | - → 10 | - → 0 |",
        "| third | 10 → 10 | 20 → 10 | 0 → 10 |",
        "Nobody would have got two messages that interrupt within half an hour.",
    ):
        assert line in said, done.stdout
    alone = diff(product[1], folder)
    assert (alone.returncode, alone.stdout.splitlines()) == (0, said[: len(alone.stdout.splitlines())])
    assert diff(folder, folder).stdout == "No differences.\n"
    assert "Unchanged: later, third." in diff("live", product[1], "--impact").stdout
    done = diff(folder, "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Expected a folder with rules/ and messages/, got nowhere" in done.stderr.replace(", or `live`", "")


def test_without_a_store_it_says_what_to_do(tmp_path, product):
    environment = product[0].environment | {"ENGAGE_DATA_DIR": str(tmp_path / "none")}
    done = commands.engage("rules", "backtest", "--all", env=environment)
    assert done.returncode == 2
    assert "start `engage up`, or set ENGAGE_REDIS_URL, or --data" in done.stderr
