"""The engine alone: what 10,000 rules cost, beside 100 of them and beside evaluating them all."""

import json
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from datalogic_py import DataHandle, Engine

from loadtests import realistic
from loadtests.measures.row import ROUNDS, Row, ratio
from rules import compile_rulebook, decide, decode_state, encode_state, new_state


def engine(quick: bool) -> Iterator[Row]:
    number = 3_000 if quick else 20_000
    found = realistic.events(number)
    started = time.perf_counter()
    books = {10_000: compile_rulebook(realistic.definitions(10_000))}
    compiled = time.perf_counter() - started
    books |= {rules: compile_rulebook(realistic.definitions(rules)) for rules in (100, 1_000)}
    costs: dict[int, list[float]] = {rules: [] for rules in books}
    for _ in range(1 if quick else ROUNDS[1]):
        for rules, book in books.items():
            costs[rules].append(_decide_all(found, book) / number * 1e6)
    cost = {rules: median(found) for rules, found in costs.items()}
    yield Row(
        "decider, cost per event at 10,000 rules / at 100",
        "µs/event",
        cost[10_000],
        cost[100],
        ratio(costs[10_000], costs[100]),
        1.3,
        False,
        "decide() alone, events/s on one core: "
        + ", ".join(f"{1e6 / found:,.0f} at {rules:,} rules" for rules, found in sorted(cost.items())),
    )
    yield Row(
        "compile and index 10,000 rules",
        "s",
        compiled,
        None,
        compiled,
        2,
        False,
        "what a decider does with a new rulebook",
    )
    yield _state_size(books[10_000], number)
    all_rules = _evaluate_all(20 if quick else 100)
    yield Row(
        "decider at 10,000 rules / evaluating all of them",
        "events/s",
        1e6 / cost[10_000],
        all_rules,
        1e6 / cost[10_000] / all_rules,
        100,
        True,
        "yardstick: evaluate_many, one parsed document an event",
    )


def _state_size(book: Any, number: int) -> Row:
    """Bytes of a person's state after their part of a day's events, and of one who did all of them with as many traits as there may be."""
    states = {}
    for event in realistic.events(number):
        states[event.person] = decide(
            states.get(event.person) or new_state(event.person), event, event.timestamp, book
        ).state
    sizes = sorted(len(encode_state(state)) for state in states.values())
    worst = new_state("u:everything")
    worst.traits = {f"trait-{n}": "x" * 110 for n in range(500)}
    for event in realistic.events(number, people=1):
        worst = decide(worst, event, event.timestamp, book).state
    texts = [encode_state(state) for state in (*list(states.values())[:200], worst)]
    started = time.perf_counter()
    loaded = [decode_state(text) for text in texts]
    load = time.perf_counter() - started
    for state in loaded:
        encode_state(state)
    save = time.perf_counter() - started - load
    each = 1e6 / sum(map(len, texts)) * 1_000
    typical = sizes[len(sizes) // 2]
    note = f"the worst {len(texts[-1]):,}; load {load * each:.1f} µs and save {save * each:.1f} µs a kilobyte"
    return Row("state of one person, typical", "bytes", typical, None, typical, 2_048, False, note)


def _decide_all(found: list[Any], book: Any) -> float:
    states = {event.person: new_state(event.person) for event in found}
    started = time.perf_counter()
    for event in found:
        states[event.person] = decide(states[event.person], event, event.timestamp, book).state
    return time.perf_counter() - started


def _evaluate_all(number: int) -> float:
    native = Engine()
    rules = [
        native.compile(
            json.dumps(
                {
                    "and": [
                        {"==": [{"var": "page.path"}, f"/page-{n}"]},
                        {"in": [{"var": "user.traits.plan"}, ["free", "trial"]]},
                    ]
                }
            )
        )
        for n in range(10_000)
    ]
    document = json.dumps(
        {"event": {"name": "page"}, "page": {"path": "/page-7"}, "user": {"traits": {"plan": "free"}}}
    )
    with native.session() as session:
        started = time.perf_counter()
        for _ in range(number):
            session.evaluate_many(rules, DataHandle(document))
        return number / (time.perf_counter() - started)
