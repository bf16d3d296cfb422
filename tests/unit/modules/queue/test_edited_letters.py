"""Dead letters that are tried again with another payload (13 §11)."""

from __future__ import annotations

from typing import Any

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
