"""Today's service, asked what the first one was asked: each answer has the status of then, and everything that was in it."""

import json
from typing import Any

import pytest

from tests.conftest import Service
from tests.contract.old_service import ANSWERS
from tests.contract.record_wire import Recorder, record

BUSY = [(part, "busy") for part in ("batch", "inbox", "stream")]  # `tests/faults` stop the store
# What the first snippet never asks, and is told better since.
STATUS = {("others", "wrong_method"): 405, ("articles", "search"): 200, ("deliveries", "snoozed"): 400}
VARIABLE = {"content-length", "cache-control"}


@pytest.fixture(scope="module")
def today(product: Service) -> dict[str, dict[str, Any]]:
    recorder = Recorder(product.url, product.write_key)
    with recorder.http:
        return record(recorder)


def missing(then: Any, now: Any, at: str = "$") -> list[str]:
    """What stood in the answer of then and is no more, or is of another type."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [line for name in then for line in missing(then[name], now.get(name, ...), f"{at}.{name}")]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [line for index, one in enumerate(then) for line in missing(one, now[index], f"{at}[{index}]")]
    return [] if type(then) is type(now) and not isinstance(then, list) else [f"{at}: was {then!r}, is {now!r}"]


def fields(frame: str) -> tuple[list[str], Any]:
    """The names of a frame's lines, and its data."""
    lines = [line.partition(":") for line in frame.strip().splitlines()]
    return [name for name, _, _ in lines], next((json.loads(value) for name, _, value in lines if name == "data"), None)


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part in ANSWERS for name in ANSWERS[part] if (part, name) not in BUSY]
)
def test_an_answer_has_what_it_had(today: dict[str, dict[str, Any]], part: str, name: str) -> None:
    then, now = ANSWERS[part][name], today[part][name]
    assert now["status"] == STATUS.get((part, name), then["status"])
    if (part, name) in STATUS:
        return
    assert {key: now["headers"].get(key, "").replace("http://127.0.0.1:1", "{origin}") for key in then["headers"]} | {
        key: then["headers"][key] for key in VARIABLE & set(then["headers"])
    } == then["headers"]
    if "frames" in then:
        assert len(now["frames"]) == len(then["frames"])
        for before, after in zip(then["frames"], now["frames"], strict=True):
            assert fields(after)[0] == fields(before)[0]
            assert missing(fields(before)[1], fields(after)[1]) == []
    else:
        assert missing(json.loads(then["body"]), json.loads(now["body"])) == []
