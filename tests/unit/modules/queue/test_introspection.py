"""Dead letters and numbers for people (04 §8, §9)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.queue.jobs.letters import DeadLetter, Page
from tests.unit.modules.queue.house import House, Log

BOOM = RuntimeError("it broke")


async def three_failures(house: House) -> Log:
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "orders", "queue_config": {"maxRetries": 0}})
    for number in range(3):
        house.publish("orders", number)
        house.clock.advance(1)
    return log


async def test_dead_letters_newest_first(house: House) -> None:
    """04 check 34."""
    await three_failures(house)
    dead = house.dead("orders")
    assert [letter["payload"] for letter in dead] == [2, 1, 0]
    assert abs(dead[0]["failed_at"] - house.clock.time_ms() / 1000) < 5
    assert [letter["payload"] for letter in house.dead("orders", offset=1, limit=1)] == [1]
    assert house.dead("orders", limit=0) == []
    assert house.call("engine::queue::dlq_messages", queue="orders") == dead
    assert {letter["size_bytes"] > 0 for letter in dead} == {True}


async def test_durable_m5_a_page_fits_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """L13: payloads that do not fit are shown by their beginning, with their size; one large letter hides no small one."""
    monkeypatch.setattr("iii.modules.queue.jobs.letters.SHOWN_BYTES", 20_000)
    house = House(queue_configs={"work": {"max_retries": 1}})
    await house.start()
    Log(house, "f").answers = lambda data: BOOM
    for number in range(3):
        house.enqueue("f", str(number) * 1000, "work")
    house.enqueue("f", "x" * 40_000, "work")
    house.clock.advance(1)
    large, *small = house.dead("work")
    assert large["payload"].startswith('"xxx')
    assert len(large["payload"]) < 600
    assert large["payload_bytes"] == 40_002
    assert [letter["payload"] for letter in small] == ["2" * 1000, "1" * 1000, "0" * 1000]
    assert {letter.get("payload_bytes") for letter in small} == {None}
    assert house.call("iii::queue::discard_message", queue="work", message_id=large["id"])["redriven"] == 1
    assert len(house.dead("work")) == 3


async def test_durable_m5_more_letters_than_fit_are_on_the_next_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.queue.jobs.letters.SHOWN_BYTES", 6_000)
    house = House(queue_configs={"work": {"max_retries": 1}})
    await house.start()
    Log(house, "f").answers = lambda data: BOOM
    for number in range(30):
        house.enqueue("f", number, "work")
    house.clock.advance(1)
    seen: list[int] = []
    while page := house.dead("work", offset=len(seen), limit=100):
        seen += [letter["payload"] for letter in page]
    assert seen == list(range(29, -1, -1))


@given(st.lists(st.sampled_from([0, 10, 3_000, 70_000]), max_size=12), st.sampled_from([20_000, 50_000, 1_000_000]))
def test_durable_m5_a_page_is_never_larger_than_its_message(sizes: list[int], limit: int) -> None:
    page = Page(limit)
    for size in sizes:
        data = msgspec.json.encode("\u0007" * size)
        page.add(DeadLetter("id", data, "e\n" * 100, 0, 1, 1, "f", "n", 0, 0, "\t" * size, b"[]", len(data)))
    shown = [(msgspec.Raw(each.data), each.error, each.stacktrace) for each in page.letters]
    assert len(msgspec.json.encode(shown)) <= limit


async def test_redrive(house: House) -> None:
    """04 checks 35, 38: behind what waits, the oldest first, with all attempts again."""
    log = await three_failures(house)
    assert house.call("iii::queue::redrive", topic="orders")["redriven"] == 3
    assert house.stats("orders")["dlq_depth"] == 3  # each failed again
    log.answers = lambda data: None
    log.seen.clear()
    assert house.call("iii::queue::redrive", queue="orders") == {"queue": "orders", "redriven": 3}
    assert log.seen == [0, 1, 2]
    assert house.dead("orders") == []
    assert house.call("iii::queue::redrive", queue="orders")["redriven"] == 0
    assert house.call("iii::queue::redrive", queue="unknown")["redriven"] == 0


async def test_redriven_job_has_all_its_attempts_again() -> None:
    """04 check 38, §8.2."""
    house = House(queue_configs={"work": {"max_retries": 2, "backoff_ms": 10}})
    await house.start()
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    receipt = house.enqueue("f", 1, "work")
    house.clock.advance(1)
    assert house.call("iii::queue::redrive_message", queue="__fn_queue::work", message_id=receipt)["redriven"] == 1
    house.clock.advance(1)
    assert len(log.seen) == 4
    assert house.dead("work")[0]["max_attempts"] == 2
    assert len(house.dead("work")[0]["history"]) == 4


@pytest.mark.parametrize(
    ("function_id", "payload", "code", "text"),
    [
        ("redrive", {"queue": ""}, "queue_not_set", "Queue name is required"),
        ("redrive_message", {"queue": "", "message_id": "x"}, "queue_not_set", "Queue name is required"),
        ("redrive_message", {"queue": "o", "message_id": ""}, "message_id_not_set", "Message ID is required"),
        ("discard_message", {"queue": "o", "message_id": ""}, "message_id_not_set", "Message ID is required"),
        ("redrive", {}, "deserialization_error", "missing field `queue`"),
    ],
)
async def test_what_cannot_be_redriven(house: House, function_id: str, payload: Any, code: str, text: str) -> None:
    """04 check 36."""
    found, message = house.error(f"iii::queue::{function_id}", payload)
    assert found == code
    assert message.endswith(text)


async def test_one_message(house: House) -> None:
    """04 check 37."""
    log = await three_failures(house)
    log.answers = lambda data: None
    newest, middle, oldest = [letter["id"] for letter in house.dead("orders")]
    answer = house.call("iii::queue::redrive_message", queue="orders", message_id=middle)
    assert answer == {"queue": "orders", "message_id": middle, "redriven": 1}
    assert house.call("iii::queue::discard_message", queue="orders", message_id=newest)["redriven"] == 1
    assert [letter["id"] for letter in house.dead("orders")] == [oldest]
    assert log.seen == [0, 1, 2, 1]
    for function_id in ("redrive_message", "discard_message"):
        assert house.call(f"iii::queue::{function_id}", queue="orders", message_id="unknown")["redriven"] == 0


async def test_lists(house: House) -> None:
    """04 check 39."""
    worker = house.worker("f")
    worker.bind("f", "durable:subscriber", "f", {"topic": "emails"})
    worker.bind("g", "durable:subscriber", "f", {"topic": "default"})
    assert house.call("engine::queue::list_topics") == [
        {"name": "default", "broker_type": "builtin", "subscriber_count": 1},
        {"name": "default", "broker_type": "function_queue", "subscriber_count": 10},
        {"name": "emails", "broker_type": "builtin", "subscriber_count": 1},
    ]
    assert house.call("engine::queue::dlq_topics") == [
        {"topic": "default", "broker_type": "function_queue", "message_count": 0},
        {"topic": "emails", "broker_type": "builtin", "message_count": 0},
    ]


async def test_stats(house: House) -> None:
    """04 check 40, §9.1."""
    worker = house.worker("f")
    worker.bind("f", "durable:subscriber", "f", {"topic": "emails"})
    stats = house.stats("emails")
    assert (stats["depth"], stats["consumer_count"], stats["dlq_depth"], stats.get("config")) == (0, 1, 0, None)
    for payload in ({}, {"topic": 7}, {"topic": ""}):
        assert house.error("engine::queue::topic_stats", payload) == ("topic_required", "topic is required")
    assert house.call("engine::queue::topic_stats", queue="emails") == stats
    house.enqueue("f", 1)
    house.enqueue("g", 1)
    assert house.stats("default")["depth"] == 2
    assert house.stats("default")["in_flight"] == 1
    assert house.stats("default")["config"]["max_retries"] == 3
    assert house.stats("unknown")["depth"] == 0


async def test_one_name_for_a_queue_and_a_topic() -> None:
    """04 §8.2: both are shown, counted and redriven."""
    house = House(queue_configs={"orders": {"max_retries": 1}})
    await house.start()
    log = await three_failures(house)
    house.enqueue("f", "job", "orders")
    assert [letter["payload"] for letter in house.dead("orders")] == ["job", 2, 1, 0]
    assert house.stats("orders")["dlq_depth"] == 4
    log.answers = lambda data: None
    assert house.call("iii::queue::redrive", queue="orders")["redriven"] == 4
    assert house.stats("orders")["dlq_depth"] == 0
