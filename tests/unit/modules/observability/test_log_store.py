"""The ring of log records (06 §10.1)."""

import json
import math
from typing import Any

import pytest

from iii.modules.observability.logs.store import LogStore
from iii.protocol.limits import LOG_RECORD_BYTES, LOG_STORE_BYTES
from tests.unit.modules.observability.log_records import record


def bodies(store: LogStore) -> list[str]:
    return [json.loads(log.text)["body"] for log in store]


def test_the_oldest_record_makes_room_for_the_newest() -> None:
    store = LogStore(3)
    for number in range(5):
        store.add(record(str(number)))
    assert bodies(store) == ["2", "3", "4"]
    store.limit(1)
    assert bodies(store) == ["4"]
    store.clear()
    assert (len(store), store.added) == (0, 5)


def test_records_are_bounded_in_bytes_too() -> None:
    store = LogStore(1_000_000)
    text = "x" * (LOG_RECORD_BYTES // 8)
    for _ in range(LOG_STORE_BYTES // len(text) + 100):
        store.add(record(text))
    assert sum(len(log.text) for log in store) <= LOG_STORE_BYTES
    assert len(store) > LOG_STORE_BYTES // len(text) * 0.9


def test_06_check_49_what_is_old_is_forgotten_even_behind_what_is_new() -> None:
    store = LogStore(10)
    hour = 3600 * 10**9
    now = 10 * hour
    for body, time_ns, observed_ns in (
        ("new", now, now), ("old", now - 2 * hour, now), ("only observed", 0, now), ("old without a time", 0, now - 2 * hour),
    ):  # fmt: skip
        store.add(record(body, timestamp_unix_nano=time_ns, observed_timestamp_unix_nano=observed_ns))
    store.sweep(now - hour)
    assert bodies(store) == ["new", "only observed"]
    store.add(record("next"))
    assert [log.number for log in store.after(1)] == [3, 5]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"value": object()}, "cannot be shown"),
        ({"text": "\ud800"}, "cannot be shown"),
        ({"x": "y" * LOG_RECORD_BYTES}, "left out"),
    ],
)
def test_a_record_that_cannot_be_kept_whole_says_so(attributes: dict[str, Any], told: str) -> None:
    store = LogStore(10)
    kept = json.loads(store.add(record("body", attributes=attributes)).text)
    assert kept["body"] == "body"
    assert told in kept["attributes"]["iii.attributes"]
    assert kept["severity_text"] == "INFO"


def test_half_a_character_becomes_a_question_mark() -> None:
    assert json.loads(LogStore(10).add(record("\ud800 body")).text)["body"] == "? body"


def test_a_long_body_is_cut() -> None:
    store = LogStore(10)
    kept = json.loads(store.add(record("x" * 3 * LOG_RECORD_BYTES, attributes={"a": math.nan})).text)
    assert kept["body"].endswith(f"… ({3 * LOG_RECORD_BYTES} characters)")
    assert kept["attributes"] == {"a": None}
    assert store.cut == 1
