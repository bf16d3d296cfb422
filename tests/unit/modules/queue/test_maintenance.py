"""Pausing, resuming and purging a queue or topic (13 §5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.modules.queue.house import House, Log
from tests.unit.modules.queue.test_jobs import BOOM, job, state

QUEUES: dict[str, Any] = {
    "work": {"max_retries": 2, "backoff_ms": 1000, "concurrency": 2, "keep_results_s": 60},
    "order": {"type": "fifo", "message_group_field": "group", "max_retries": 2, "backoff_ms": 1000},
}


async def opened() -> House:
    house = House(queue_configs=QUEUES)
    await house.start()
    return house


def set_paused(house: House, verb: str, queue: str) -> dict[str, Any]:
    found: dict[str, Any] = house.call(f"engine::queue::{verb}", queue=queue)
    house.clock.advance(0)  # pages are read in later turns of the loop
    return found


def purge(house: House, queue: str) -> int:
    answer = house.call("engine::queue::purge", queue=queue)
    assert answer["queue"] == queue
    house.clock.advance(0)
    return int(answer["purged"])


async def test_13_5_a_paused_queue_begins_nothing() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    house.enqueue("f", 1, "work")
    assert set_paused(house, "pause", "work") == {"queue": "work", "paused": True, "changed": True, "in_flight": 1}
    house.enqueue("f", 2, "work")
    house.enqueue("f", 3, "work", delay_ms=1000)
    house.enqueue("f", 4)
    log.worker.answer(log.worker.invocations()[0])  # what runs goes on
    house.clock.advance(2)
    assert log.seen == [1, 4]
    assert (house.stats("work")["depth"], house.stats("work")["paused"], house.stats("default")["paused"]) == (
        2,
        True,
        False,
    )
    assert set_paused(house, "pause", "work")["changed"] is False
    log.answers = lambda data: None
    assert set_paused(house, "resume", "work") == {"queue": "work", "paused": False, "changed": True, "in_flight": 0}
    assert log.seen == [1, 4, 2, 3]
    assert set_paused(house, "resume", "work")["changed"] is False


async def test_13_5_a_pause_survives_a_crash_and_other_settings(caplog: pytest.LogCaptureFixture) -> None:
    house = await opened()
    set_paused(house, "pause", "work")
    await house.crash()
    assert "Queues are paused: their jobs do not run" in caplog.text
    log = Log(house, "f")
    house.enqueue("f", 1, "work")
    house.call("queue::define", queue="work", config={"concurrency": 5})
    assert (log.seen, house.stats("work")["paused"]) == ([], True)
    set_paused(house, "resume", "work")
    assert log.seen == [1]
    await house.crash()
    assert house.stats("work")["paused"] is False


async def test_13_5_a_paused_topic_holds_those_that_subscribe_later_too(house: House) -> None:
    log = Log(house, "f", "g")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "orders"})
    set_paused(house, "pause", "orders")
    log.worker.bind("g", "durable:subscriber", "g", {"topic": "orders"})
    house.publish("orders", 1)
    assert log.seen == []
    assert house.stats("orders")["paused"] is True
    set_paused(house, "resume", "orders")
    assert log.seen == [1, 1]


async def test_13_5_a_queue_and_a_topic_of_one_name(house: House) -> None:
    """As everywhere, `__fn_queue::` means the queue alone (04 §8.2)."""
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "default"})
    set_paused(house, "pause", "__fn_queue::default")
    house.publish("default", 1)
    house.enqueue("f", 2)
    assert log.seen == [1]
    set_paused(house, "pause", "default")
    house.publish("default", 3)
    assert log.seen == [1]
    assert purge(house, "default") == 2


async def test_13_5_a_purge_removes_what_has_not_begun() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipts = [house.enqueue("f", number, "work") for number in range(5)]
    delayed = house.enqueue("f", 5, "work", delay_ms=5000)
    other = house.enqueue("nowhere", 6)
    assert purge(house, "work") == 4
    assert [state(house, receipt) for receipt in (*receipts[:2], other)] == ["active", "active", "waiting"]
    assert house.error("engine::queue::job", {"id": delayed})[0] == "job_not_found"
    log.answers = lambda data: None
    for call in log.worker.invocations():
        log.worker.answer(call)
    house.clock.advance(10)
    assert log.seen == [0, 1]
    house.enqueue("f", 7, "work")
    assert log.seen == [0, 1, 7]


async def test_13_5_an_attempt_that_fails_after_a_purge_is_repeated() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipt = house.enqueue("f", 1, "work")
    assert purge(house, "work") == 0
    log.answers = lambda data: None
    log.worker.answer(log.worker.invocations()[0], error={"code": "boom", "message": "no"})
    assert state(house, receipt) == "delayed"
    house.clock.advance(1)
    assert log.seen == [1, 1]


async def test_13_5_a_group_does_not_wait_for_a_job_that_was_purged() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    house.enqueue("f", {"group": "a", "number": 1}, "order")
    house.enqueue("f", {"group": "a", "number": 2}, "order")
    assert purge(house, "order") == 2  # one waits for its next attempt, one for that
    log.answers = lambda data: None
    house.enqueue("f", {"group": "a", "number": 3}, "order")
    assert [each["number"] for each in log.seen] == [1, 3]


async def test_13_5_dead_letters_and_results_stay() -> None:
    house = await opened()
    log = Log(house, "f")
    done = house.enqueue("f", 1, "work")
    log.answers = lambda data: BOOM
    dead = house.enqueue("f", 2, "work")
    house.clock.advance(1)
    assert purge(house, "work") == 0
    assert (state(house, done), state(house, dead)) == ("done", "dead")


async def test_13_5_whoever_waits_for_a_purged_job_is_told() -> None:
    house = await opened()
    receipt = house.enqueue("nowhere", 1, "work")
    waiting = house.caller.start_call("engine::queue::wait", {"id": receipt})
    assert purge(house, "work") == 1
    answer = house.caller.answer_to(waiting)
    assert answer is not None
    assert answer["error"]["code"] == "job_not_found"


async def test_13_5_messages_that_a_topic_keeps_for_its_first_subscriber(house: House) -> None:
    house.publish("orders", 1)
    house.publish("orders", 2)
    assert purge(house, "orders") == 2
    house.publish("orders", 3)
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "orders"})
    assert log.seen == [3]


async def test_13_5_more_than_go_into_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.queue.jobs.purging._AT_ONCE", 3)
    house = await opened()
    for number in range(10):
        house.enqueue("nowhere", number, "work", delay_ms=1000 * (number % 2))
    assert purge(house, "work") == 10
    assert house.stats("work")["depth"] == 0


@pytest.mark.parametrize("verb", ["pause", "resume", "purge"])
async def test_13_5_unknown_names(house: House, verb: str) -> None:
    function_id = f"engine::queue::{verb}"
    text = "unknown queue or topic 'defualt', did you mean 'default'?"
    assert house.error(function_id, {"queue": "defualt"}) == ("queue_not_found", text)
    assert house.error(function_id, {"topic": "zzz"}) == ("queue_not_found", "unknown queue or topic 'zzz'")
    assert house.error(function_id, {"queue": ""}) == ("queue_not_set", "Queue name is required")


async def test_13_5_an_active_job_is_still_one_after_its_queue_was_paused() -> None:
    house = await opened()
    Log(house, "f").answers = lambda data: ...
    receipt = house.enqueue("f", 1, "work")
    set_paused(house, "pause", "work")
    assert job(house, receipt)["state"] == "active"
