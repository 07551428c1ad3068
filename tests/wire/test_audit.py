"""The audit trail: who used a secret key for what, who tried without, and how keys come and go while the service runs."""

import asyncio
import uuid

import httpx
import pytest

from engage.audit import ANYWHERE, MAX_FAILED, MAX_ROWS, Trail, Use, read, subject_of
from engage.database import open_database
from engage.projects import load_projects
from engage.settings import load_settings
from tests import commands
from tests.conftest import until
from tests.wire.conftest import Wire


def engage(wire: Wire, *arguments: str, run: commands.Command = commands.engage) -> commands.Done:
    return run(*arguments, env=wire.product.environment)


def trail(wire: Wire, **query: object) -> list[dict]:
    reply = wire.http.get("/api/audit", params=query, auth=(wire.product.secret_key, ""))
    assert reply.status_code == 200, reply.text
    return reply.json()["entries"]


def test_what_is_read_and_changed_of_a_person_is_told_without_naming_them(wire: Wire) -> None:
    user = f"looked-at-{uuid.uuid4().hex}"
    wire.track(user, "Beside")
    wire.events(user)
    wire.http.delete(f"/api/users/{user}", auth=(wire.product.secret_key, ""), timeout=60)
    found = until(
        lambda: len(rows := trail(wire, user=user, limit=500)) >= 3 and rows[0]["method"] == "DELETE" and rows,
        what="all is on the trail",
    )
    assert {(row["method"], row["route"], row["status"]) for row in found} >= {
        ("GET", "/api/users/{id}", 200),
        ("GET", "/api/users/{id}/export", 200),
        ("DELETE", "/api/users/{id}", 200),
    }
    [key] = {row["key"] for row in found}
    assert {row["address"] for row in found} == {"127.0.0.1"}
    assert {row["prefix"] for row in found} == {wire.product.secret_key[:7]}
    assert user not in str(trail(wire, limit=500))
    assert trail(wire, user=f"somebody-{uuid.uuid4().hex}") == []
    shown = engage(wire, "audit", "--user", user, run=commands.started)
    assert shown.returncode == 0, shown.stderr
    assert f"{key} {wire.product.secret_key[:7]}…" in shown.stdout
    assert "200 DELETE /api/users/{id}" in shown.stdout


def test_like_uses_of_a_minute_are_one_row(wire: Wire) -> None:
    def sent() -> list[dict]:
        return [row for row in trail(wire, limit=500) if row["route"] == "/v1/batch" and row.get("key")]

    before = sent()  # other tests use the product too
    for number in range(5):
        server = {"auth": (wire.product.secret_key, "")}
        assert (
            wire.post(
                "/v1/batch", {"batch": [{"type": "track", "userId": "s", "event": f"E{number}"}] * 3}, **server
            ).status_code
            == 200
        )

    counted = sum(row["count"] for row in before) + 5
    until(lambda: sum(row["count"] for row in sent()) >= counted, what="they are counted")
    assert len(sent()) < len(before) + 5


def test_attempts_that_failed_are_told(wire: Wire) -> None:
    assert wire.http.get("/api/rulebooks", auth=("sk_guessed", "")).status_code == 401
    assert wire.http.get("/api/stats").status_code == 401
    assert wire.post("/v1/page", {"userId": "u"}, auth=("sk_guessed", "")).status_code == 401
    in_page = {"origin": "https://a.example"}
    assert (
        wire.post("/v1/screen", {"userId": "u"}, auth=(wire.product.secret_key, ""), headers=in_page).status_code == 403
    )

    def told() -> set[tuple]:
        return {(row.get("key") is None, row["status"], row["route"]) for row in trail(wire, limit=500)}

    expected = {
        (True, 401, "/api/rulebooks"),
        (True, 401, "/api/stats"),
        (True, 401, "/v1/page"),
        (False, 403, "/v1/screen"),
    }
    until(lambda: expected <= told(), what="they are on the trail")
    assert "sk_guessed" not in str(trail(wire, limit=500))


def test_pages_of_the_trail_follow_one_another(wire: Wire) -> None:
    for path in ("/api/rules", "/api/messages", "/api/segments", "/api/articles"):
        wire.server(path)
    until(lambda: len(trail(wire)) >= 4, what="they are on the trail")
    whole = trail(wire, limit=500, before=trail(wire, limit=1)[0]["number"])
    page = wire.http.get(
        "/api/audit", params={"limit": 2, "before": whole[0]["number"] + 1}, auth=(wire.product.secret_key, "")
    ).json()
    assert [row["number"] for row in page["entries"]] == [row["number"] for row in whole[:2]]
    assert page["next"] == whole[1]["number"]


@pytest.mark.parametrize(("field", "value"), [("limit", "0"), ("limit", "501"), ("before", "x")])
def test_wrong_questions_are_told(wire: Wire, field: str, value: str) -> None:
    reply = wire.http.get("/api/audit", params={field: value}, auth=(wire.product.secret_key, ""))
    assert (reply.status_code, reply.json()["error"]["field"]) == (400, field)


def test_a_running_service_learns_of_new_and_of_ended_keys(wire: Wire) -> None:
    before = wire.product.secret_key
    new = engage(wire, "keys", "rotate", "secret").stdout.strip()
    server = {"auth": (new, ""), "content": b'{"userId": "rotating", "event": "Beside"}'}

    def status(path: str, **given: object) -> int:
        return httpx.request("POST" if given.get("content") else "GET", wire.product.url + path, **given).status_code

    until(lambda: status("/api/stats", auth=(new, "")) == 200, what="the new key opens")
    assert status("/api/stats", auth=(before, "")) == 200  # until it is revoked
    until(lambda: status("/v1/track", **server) == 200, what="it may send")
    ended = engage(wire, "keys", "revoke", new)
    assert ended.returncode == 0, ended.stderr
    until(lambda: status("/api/stats", auth=(new, "")) == 401, what="it is refused")
    until(lambda: status("/v1/track", **server) == 401, what="also where it was remembered")
    assert status("/api/stats", auth=(before, "")) == 200
    said = httpx.get(wire.product.url + "/api/stats", auth=(new, "")).json()["error"]
    which = ended.stdout.split()[0]
    assert (said["got"], said["field"]) == (f"the secret key {which}, which has ended", "Authorization")
    until(
        lambda: {("GET", 401), ("POST", 401)} <= {(row["method"], row["status"]) for row in trail(wire, key=which)},
        what="the trail tells which ended key was tried",
    )
    rows = trail(wire, limit=500)
    assert {row["route"].split(" (")[0] for row in rows if row["method"] == "engage"} == {"keys rotate", "keys revoke"}
    (wire.product.data_dir / "secret-key").write_text(before + "\n")


def test_the_trail_is_bounded_in_memory_and_by_age(tmp_path) -> None:
    settings = load_settings({"ENGAGE_DATA_DIR": str(tmp_path)})
    load_projects(settings)
    engine = open_database(settings)
    made = Trail(engine, {"default": "s"}, -60_000)
    for number in range(MAX_FAILED + 50):
        made.note(Use(None, None, None, f"192.0.2.{number}", "GET", "/api/stats", 401))
    asyncio.run(made.write())
    rows = read(engine, "default", None, 10_000)
    assert sum(row.count for row in rows) == MAX_FAILED + 50
    assert len(rows) <= 2 * (MAX_FAILED + 1)  # a minute may have ended in between
    assert ANYWHERE in {row.address for row in rows}
    for number in range(MAX_ROWS + 50):
        subject = subject_of("s", str(number))
        made.note(Use("default", "k", "sk_", "192.0.2.1", "GET", "/api/users/{id}", 200, subject))
    assert len(made._rows) <= MAX_ROWS + MAX_FAILED + 2
    made._prune()
    assert read(engine, "default", None, 10) == []
    engine.dispose()
