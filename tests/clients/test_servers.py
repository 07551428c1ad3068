"""The clients for servers, unmodified: what they send is what the log holds and the engine understands."""

import os
import signal

import pytest

from tests.clients.calls import check_given, check_understood, every_call, find, ms, people_of
from tests.clients.conftest import Product
from tests.clients.programs import CLIENTS, RUDDER_PYTHON, SEGMENT_PYTHON, Call, Program

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("client", CLIENTS, ids=[client.name for client in CLIENTS])
def test_every_call_is_logged_field_by_field_as_it_was_sent_and_understood(client, product, person, start):
    calls = every_call(person)
    program = start(client, product.service, calls)
    program.finish()
    assert program.failures == []

    records = product.logged(*people_of(person))
    sent = program.items
    assert len(records) == len(sent) == len(calls)
    for record in records:
        item, body = sent[record["e"]["messageId"]]
        assert record["e"] == item
        assert record["s"] == ms(body["sentAt"])
        assert not {"i", "k", "c"} & set(record)  # the service had nothing to add
    events = [record["e"] for record in records]
    for kind, given in calls:
        check_given(find(events, kind, given), kind, given)

    check_understood(product, person)


def tracks(person: str, number: int) -> list[Call]:
    return [("track", {"userId": person, "event": f"E{each}"}) for each in range(number)]


def check_all_counted_once(product: Product, person: str, program: Program, number: int) -> None:
    assert program.failures == []
    assert len(program.items) == number
    assert {record["e"]["messageId"] for record in product.logged(f"u:{person}")} == set(program.items)
    assert product.counted(person) == number  # though the log may hold one twice


def test_what_was_too_much_for_a_moment_is_sent_again_and_counts_once(product, person, start):
    whose = {client.name: f"{person}-{client.name}" for client in CLIENTS}
    programs = {client.name: start(client, product.service, tracks(whose[client.name], 45)) for client in CLIENTS}
    for name, program in programs.items():
        program.finish()
        check_all_counted_once(product, whose[name], program, 45)
    assert product.refused("rate_limited") > 0

    # Several batches without waiting for the first one's answer, hence out of order; and how often each was sent before.
    segment, rudder = programs["segment-node"], programs["rudderstack-node"]
    assert [len(body["batch"]) for body in segment.requests[:3]] == [15, 15, 15]
    assert any(headers.get("x-retry-count") for headers in segment.headers)
    # gzip under a content type that says something else.
    assert len(rudder.requests) > 4
    assert rudder.headers[0]["content-encoding"] == "gzip"
    assert rudder.headers[0]["content-type"] == "application/x-www-form-urlencoded"


def test_while_the_store_does_not_answer_they_keep_what_they_have_and_it_counts_once(product, person, start):
    """Whether the store has taken what it did not confirm nobody knows: the clients are told to send it again."""
    whose = {client.name: f"{person}-{client.name}" for client in CLIENTS}
    store = product.service.pids["valkey-log"]
    os.kill(store, signal.SIGSTOP)
    try:
        programs = {client.name: start(client, product.service, tracks(whose[client.name], 3)) for client in CLIENTS}
        for program in programs.values():
            program.wait_requests(2)
    finally:
        os.kill(store, signal.SIGCONT)
    for name, program in programs.items():
        program.finish()
        check_all_counted_once(product, whose[name], program, 3)
    assert product.refused("store_unavailable") > 0


@pytest.mark.parametrize("client", [RUDDER_PYTHON, SEGMENT_PYTHON], ids=lambda client: client.name)
def test_a_wrong_key_is_told_to_the_developer_at_once(client, product, person, start):
    """Where a reply lacks what RudderStack's client looks for, it takes it for a broken connection and tries for minutes."""
    program = start(client, product.service, [("track", {"userId": person, "event": "A"})], key="wk_wrong")
    program.finish()
    assert len(program.requests) == 1
    [failure] = program.failures
    assert failure.startswith("APIError")
    assert "unauthorized: Expected a valid write key" in failure
    assert product.logged(f"u:{person}") == []
