"""Cancelling one job (13 §6, P11)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.modules.queue.house import House, Log
from tests.unit.modules.queue.test_jobs import BOOM, state

QUEUES: dict[str, Any] = {
    "work": {"max_retries": 2, "backoff_ms": 1000, "concurrency": 1},
    "kept": {"max_retries": 2, "backoff_ms": 1000, "concurrency": 1, "keep_results_s": 60},
    "order": {"type": "fifo", "message_group_field": "group", "max_retries": 2, "backoff_ms": 1000},
}


async def opened() -> House:
    house = House(queue_configs=QUEUES)
    await house.start()
    house.clock.advance(0)  # each queue has read its first page
    return house


def cancel(house: House, job_id: str, **more: Any) -> bool:
    answer = house.call("engine::queue::cancel", id=job_id, **more)
    assert answer["id"] == job_id
    house.clock.advance(0)
    return bool(answer["cancelled"])


def is_known(house: House, job_id: str) -> bool:
    return "error" not in house.caller.call("engine::queue::job", {"id": job_id})


async def test_13_check_8_a_job_that_waits_is_removed() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipts = [house.enqueue("f", number, "work") for number in range(3)]
    delayed = house.enqueue("f", 3, "work", delay_ms=1000)
    assert [cancel(house, receipts[1], queue="work"), cancel(house, delayed)] == [True, True]
    assert [is_known(house, each) for each in (*receipts, delayed)] == [True, False, True, False]
    log.answers = lambda data: None
    log.worker.answer(log.worker.invocations()[0])
    house.clock.advance(2)
    assert log.seen == [0, 2]


async def test_13_check_8_one_that_runs_is_stopped() -> None:
    house = await opened()
    log = Log(house, "f", features=["cancel.v1"])
    log.answers = lambda data: ...
    receipt = house.enqueue("f", 1, "work")
    following = house.enqueue("f", 2, "work")
    (call,) = log.worker.invocations()
    assert cancel(house, receipt)
    assert [each["invocation_id"] for each in log.worker.heard("cancelinvocation")] == [call["invocation_id"]]
    assert (is_known(house, receipt), state(house, following)) == (False, "active")
    log.worker.answer(call, "too late")
    house.clock.advance(2)
    assert log.seen == [1, 2]
    assert house.stats("work")["failed"] == 0


async def test_13_6_a_worker_that_does_not_know_it_runs_on_for_nothing() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipt = house.enqueue("f", 1, "kept")
    assert cancel(house, receipt)
    log.worker.answer(log.worker.invocations()[0], "too late")
    assert state(house, receipt) == "cancelled"


async def test_13_6_a_queue_that_keeps_results_remembers_it() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    active, waiting = house.enqueue("f", 1, "kept"), house.enqueue("f", 2, "kept")
    calls = [house.caller.start_call("engine::queue::wait", {"id": receipt}) for receipt in (active, waiting)]
    assert [cancel(house, receipt) for receipt in (waiting, active)] == [True, True]
    answers = [house.caller.answer_to(call) or {} for call in calls]
    assert [answer["result"]["state"] for answer in answers] == ["cancelled"] * 2
    assert [answer["result"]["attempts"] for answer in answers] == [0, 0]
    house.clock.advance(61)
    assert [is_known(house, receipt) for receipt in (active, waiting)] == [False, False]


async def test_13_6_a_job_between_two_attempts() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    receipt = house.enqueue("f", 1, "work")
    assert state(house, receipt) == "delayed"
    assert cancel(house, receipt)
    house.clock.advance(5)
    assert (log.seen, house.dead("work")) == ([1], [])


@pytest.mark.parametrize("runs", [True, False])
async def test_13_6_the_next_of_its_group_runs(runs: bool) -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = (lambda data: ...) if runs else lambda data: BOOM
    receipt = house.enqueue("f", {"group": "a", "number": 1}, "order")
    house.enqueue("f", {"group": "a", "number": 2}, "order")
    assert [data["number"] for data in log.seen] == [1]
    log.answers = lambda data: None
    assert cancel(house, receipt)
    assert [data["number"] for data in log.seen] == [1, 2]


async def test_13_6_one_that_has_ended_is_not_cancelled() -> None:
    house = await opened()
    log = Log(house, "f")
    done = house.enqueue("f", 1, "kept")
    assert not cancel(house, done)
    assert state(house, done) == "done"
    log.answers = lambda data: BOOM
    dead = house.enqueue("f", 2, "work")
    house.clock.advance(1)
    assert not cancel(house, dead)
    assert state(house, dead) == "dead"


async def test_13_6_a_cancelled_job_does_not_come_back_after_a_crash() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    active, waiting = house.enqueue("f", 1, "work"), house.enqueue("f", 2, "work")
    assert cancel(house, waiting)
    assert cancel(house, active)
    await house.crash()
    log = Log(house, "f")
    house.clock.advance(1)
    assert log.seen == []


async def test_13_6_what_cannot_be_cancelled(house: House) -> None:
    receipt = house.enqueue("nowhere", 1)
    text = f"unknown job '{receipt}' of 'mails': it is done, was removed, or never existed"
    assert house.error("engine::queue::cancel", {"id": receipt, "queue": "mails"}) == ("job_not_found", text)
    text = "unknown job 'x': it is done, was removed, or never existed"
    assert house.error("engine::queue::cancel", {"id": "x"}) == ("job_not_found", text)
    assert house.error("engine::queue::cancel", {"id": ""})[0] == "job_id_not_set"
    assert is_known(house, receipt)
