"""`engage rules explain` and `GET /api/users/{id}/explain/{rule}`, on what really happened."""

import json

import pytest

from tests import commands
from tests.conftest import until


@pytest.fixture
def explain(product):
    def run(*arguments, run=commands.engage):
        environment = product.environment | {"NO_COLOR": "1", "COLUMNS": "200"}
        return run("rules", "explain", *arguments, env=environment)

    return run


def decided(wire, person, number):
    """Until so many events of the person were decided."""
    until(lambda: len(wire.server(f"/api/users/{person}/history").json()["records"]) >= number, what="decided")


def test_why_somebody_got_it_and_did_not_before(wire, person, explain):
    for number in range(2):
        wire.track(person, "Export Failed", messageId=f"{person}-{number}", properties={"format": "csv"})
    (delivery,) = wire.wait_inbox(person)
    wire.track(person, "Message Shown", properties={"delivery_id": delivery["delivery_id"]})
    decided(wire, person, 3)
    done = explain(person, "twice", run=commands.started)
    assert done.returncode == 0, done.stderr
    sentence, *more = done.stdout.splitlines()
    assert sentence.startswith(f"{person} got `{delivery['message_id']}` at ")
    assert ": its conditions held. It was shown at " in sentence
    assert f"delivery   {delivery['delivery_id']}: shown" in done.stdout
    assert any(line.strip().startswith("true ") and "count Export Failed within 10m = 2" in line for line in more)
    found = wire.server(f"/api/users/{person}/explain/twice").json()
    assert found["sentence"] == sentence
    assert [moment["outcome"] for moment in found["moments"]] == ["not_matched", "matched"]
    first = wire.server(f"/api/users/{person}/explain/twice?lang=ja&at={found['moments'][0]['at']}").json()
    assert "1 件の条件のうち成り立ったのは 0 件です" in first["sentence"]
    assert json.loads(explain(person, "twice", "--format", "json").stdout) == found


def test_a_rule_that_was_never_woken_says_so(wire, person, explain):
    wire.track(person, "Idle")
    decided(wire, person, 1)
    assert f"`twice` was never woken for {person}" in explain(person, "twice").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("nobody-at-all", "twice"),
            "Expected a userId or anonymousId that sent an event, got nobody-at-all - at user",
        ),
        (
            ("{person}", "twise"),
            "Expected the id of a live rule; did you mean `twice`?, got twise - at rule",
        ),
        (("{person}", "twice", "--lang", "fr"), "Expected en or ja, got fr - at lang"),
        (
            ("{person}", "twice", "--at", "noon"),
            "Expected a time such as 2026-12-01T09:00:00Z, got noon - at at",
        ),
    ],
)
def test_what_cannot_be_explained_is_said(wire, person, explain, arguments, said):
    wire.track(person, "Idle")
    decided(wire, person, 1)
    done = explain(*(argument.format(person=person) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_api_answers_in_its_one_shape(wire, person):
    wire.track(person, "Idle")
    decided(wire, person, 1)
    for path, status in (
        ("nobody/explain/twice", 404),
        (f"{person}/explain/nothing", 404),
        (f"{person}/explain/twice?at=x", 400),
    ):
        reply = wire.server(f"/api/users/{path}")
        assert reply.status_code == status
        assert set(reply.json()["error"]) >= {"code", "message"}
    assert wire.http.get(f"/api/users/{person}/explain/twice").status_code == 401
