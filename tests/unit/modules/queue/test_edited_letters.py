"""Dead letters that are tried again with another payload (13 §11)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.observing.origin import depth_in
from iii.protocol.limits import OBSERVE_DEPTH
from tests.unit.modules.queue.house import House, Log


async def dead_house(data: Any, **queue: Any) -> tuple[House, Log, str]:
    house = House(queue_configs={"work": {"max_retries": 1, **queue}})
    await house.start()
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no address")
    receipt = house.enqueue("f", data, "work", metadata={"m": 1})
    return house, log, receipt


async def test_13_check_11_the_function_gets_the_edited_payload_under_the_old_receipt() -> None:
    house, log, receipt = await dead_house({"to": ""})
    log.answers = lambda data: RuntimeError("still")
    answer = house.call("queue::redrive_edited", queue="work", message_id=receipt, payload={"to": "a@b"})
    assert answer == {"queue": "work", "message_id": receipt, "redriven": 1}
    assert log.seen == [{"to": ""}, {"to": "a@b"}]
    [letter] = house.dead("work")
    assert (letter["id"], letter["payload"], letter["retries"]) == (receipt, {"to": "a@b"}, 1)


async def test_13_check_11_the_edited_job_is_kept_and_its_letter_is_gone_over_a_crash() -> None:
    house, _, receipt = await dead_house(1)
    house.call("engine::queue::pause", queue="work")
    house.call("queue::redrive_edited", queue="work", message_id=receipt, payload=[2])
    await house.crash()
    assert house.dead("work") == []
    log = Log(house, "f")
    house.call("engine::queue::resume", queue="work")
    assert log.seen == [[2]]


async def test_what_cannot_be_redriven_leaves_the_letter_as_it_is() -> None:
    """An id that is not there, and a payload without the group of a fifo queue."""
    house, log, receipt = await dead_house({"g": 1, "n": 1}, type="fifo", message_group_field="g")
    gone = house.call("queue::redrive_edited", queue="work", message_id="nobody", payload={"g": 1})
    assert gone["redriven"] == 0
    code, text = house.error("queue::redrive_edited", {"queue": "work", "message_id": receipt, "payload": {}})
    assert (code, "requires field 'g'" in text) == ("enqueue_error", True)
    assert house.error("queue::redrive_edited", {"queue": "work", "message_id": "", "payload": 1})[0] == (
        "message_id_not_set"
    )
    assert [letter["payload"] for letter in house.dead("work")] == [{"g": 1, "n": 1}]
    log.answers = lambda data: None
    house.call("queue::redrive_edited", queue="work", message_id=receipt, payload={"g": 2})
    assert log.seen[-1] == {"g": 2}


async def test_a_message_of_a_topic_goes_to_its_destination_with_its_new_group(house: House) -> None:
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no")
    settings = {"maxRetries": 0, "type": "fifo", "messageGroupField": "g"}
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", "queue_config": settings})
    house.publish("t", {"g": 1})
    [letter] = house.dead("t")
    log.answers = lambda data: None
    house.call("queue::redrive_edited", topic="t", message_id=letter["id"], payload={"g": 2})
    assert log.seen == [{"g": 1}, {"g": 2}]
    assert house.dead("t") == []


@pytest.mark.parametrize("said", [OBSERVE_DEPTH, OBSERVE_DEPTH + 1, 9_999])
async def test_26_5_a_dead_letter_at_any_depth_where_loops_end_begins_anew(house: House, said: int) -> None:
    """A worker may say a depth beyond the limit."""
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no")
    receipt = house.enqueue("f", 1, baggage=f"a=b,iii.observe.depth={said},c=d")
    for _ in range(10):
        house.clock.advance(100)
    [letter] = house.dead("default")
    house.call("engine::queue::pause", queue="default")
    house.call("iii::queue::redrive_message", queue="default", message_id=receipt)
    [baggage] = house.adapter.store.database.reader.execute("SELECT baggage FROM jobs").fetchone()
    assert (letter["id"], depth_in(baggage), baggage.startswith("a=b,")) == (receipt, 0, True)
