"""One job, for those who have its receipt (13 §2)."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any

import pytest

from iii.modules.queue.jobs.job import number_of, numbered_ids
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.protocol.ids import new_id
from tests.unit.modules.queue.house import House, Log

BOOM = RuntimeError("it broke")
QUEUES = {"work": {"max_retries": 2, "backoff_ms": 1000, "concurrency": 1}}


async def opened(**queues: Any) -> House:
    house = House(queue_configs={**QUEUES, **queues})
    await house.start()
    return house


def job(house: House, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = house.call("engine::queue::job", id=job_id)
    return found


def state(house: House, job_id: str) -> str:
    return str(job(house, job_id)["state"])


async def test_13_check_1_a_job_from_its_acceptance_to_its_death() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    house.clock.advance(5)
    begun_at = house.clock.time_ms()
    first, second = house.enqueue("f", 1, "work"), house.enqueue("f", 2, "work")
    house.clock.advance(2)
    shown = job(house, first)
    assert shown == {
        "id": first, "state": "active", "queue": "work", "function_id": "f", "namespace": None, "attempts": 0,
        "max_attempts": 2, "created_at": begun_at, "ready_at": None, "started_at": begun_at, "finished_at": None,
        "expires_at": None, "error": None, "result_bytes": None, "trace_id": None,
    }  # fmt: skip
    assert (state(house, second), job(house, second)["started_at"]) == ("waiting", None)

    log.answers = lambda data: BOOM
    log.worker.answer(log.worker.invocations()[0], error={"code": "boom", "message": "no"})
    failed = job(house, first)
    assert (failed["state"], failed["attempts"], failed["error"]) == ("delayed", 1, "boom: no")
    assert failed["ready_at"] == house.clock.time_ms() + 1000
    house.clock.advance(1)
    dead = job(house, first)
    assert (dead["state"], dead["attempts"], dead["error"]) == ("dead", 2, "boom: it broke")
    assert dead["finished_at"] == house.clock.time_ms()
    assert dead["created_at"] == begun_at


async def test_13_2_the_trace_of_a_job_is_named_until_it_has_ended_and_of_a_dead_letter(house: House) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    receipt = house.enqueue("nowhere", 1, traceparent=traceparent)
    assert job(house, receipt)["trace_id"] == traceparent[3:35]


async def test_13_2_a_job_that_is_done_is_forgotten(house: House) -> None:
    Log(house, "f")
    receipt = house.enqueue("f", 1)
    text = f"unknown job '{receipt}': it is done and its queue keeps no results, it was removed, or it never existed"
    assert house.error("engine::queue::job", {"id": receipt}) == ("job_not_found", text)


async def test_13_2_a_job_whose_function_is_missing_waits(house: House) -> None:
    receipt = house.enqueue("nowhere", 1, namespace="far")
    assert state(house, receipt) == "waiting"
    assert job(house, receipt)["namespace"] == "far"


async def test_13_2_a_delayed_job_says_until_when(house: House) -> None:
    receipt = house.enqueue("f", 1, delay_ms=60_000)
    assert state(house, receipt) == "delayed"
    assert job(house, receipt)["ready_at"] == house.clock.time_ms() + 60_000
    house.clock.advance(60)
    assert state(house, receipt) == "waiting"


async def test_13_2_the_receipt_is_valid_over_a_crash() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipts = [house.enqueue("f", number, "work") for number in range(3)]
    await house.crash()
    assert [state(house, receipt) for receipt in receipts] == ["waiting"] * 3


async def test_13_2_a_redriven_job_keeps_its_id() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    receipt = house.enqueue("f", 1, "work")
    house.clock.advance(1)
    assert state(house, receipt) == "dead"
    log.worker.drop()
    house.call("iii::queue::redrive", queue="work")
    assert (state(house, receipt), job(house, receipt)["attempts"]) == ("waiting", 0)


async def test_13_2_an_id_that_its_caller_gave_is_found_too(house: House) -> None:
    """04 §3.4: the function answers the given id."""
    for given in ("mine", new_id(), f"{numbered_ids()}{1:012x}"):
        answer = house.call("engine::queue::enqueue", queue="default", function_id="f", data=1, messageReceiptId=given)
        assert answer == {"messageReceiptId": given}
        assert state(house, given) == "waiting"


async def test_13_2_a_message_of_a_topic(house: House) -> None:
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "orders", "queue_config": {"maxRetries": 0}})
    log.answers = lambda data: BOOM
    house.publish("orders", 1)
    shown = job(house, house.dead("orders")[0]["id"])
    assert (shown["state"], shown["queue"], shown["function_id"]) == ("dead", "orders", "f")


@pytest.mark.parametrize(
    ("payload", "code", "text"),
    [
        ({"id": ""}, "job_id_not_set", "Job ID is required"),
        ({}, "deserialization_error", "missing field `id`"),
        ({"id": "x" * 300}, "job_not_found", f"unknown job '{'x' * 255}… (300 characters)'"),
    ],
)
async def test_13_2_what_is_no_job_is_refused(house: House, payload: Any, code: str, text: str) -> None:
    found = house.error("engine::queue::job", payload)
    assert found[0] == code
    assert text in found[1]


async def test_13_1_a_receipt_says_where_its_job_is(house: House) -> None:
    """So that a backlog of a million needs no index of ids."""
    receipts = [house.enqueue("f", number) for number in range(3)]
    assert [uuid.UUID(receipt).version for receipt in receipts] == [8, 8, 8]
    numbers = [number_of(receipt) for receipt in receipts]
    assert None not in numbers
    assert numbers == sorted(numbers, key=lambda number: number or 0)
    assert number_of(new_id()) is None
    assert number_of("x") is None


async def test_13_1_the_same_number_after_a_restart_is_another_job(house: House) -> None:
    log = Log(house, "f")
    before = house.enqueue("f", 1)  # done: the store is empty
    await house.crash()
    log = Log(house, "f")
    log.answers = lambda data: ...
    after = house.enqueue("f", 2)
    assert number_of(before) == number_of(after)
    assert state(house, after) == "active"
    assert house.error("engine::queue::job", {"id": before})[0] == "job_not_found"


async def test_13_2_jobs_of_a_store_from_before_are_found() -> None:
    """Their ids say nothing about their place."""
    house = House()
    database = sqlite3.connect(":memory:", isolation_level=None)
    for migration in MIGRATIONS[:2]:
        database.executescript(migration)
    database.execute("INSERT INTO queues VALUES (1, 'queue', 'default', '', '', 0, NULL)")
    old = new_id()
    database.execute(
        "INSERT INTO jobs (seq, queue, rank, id, function_id, created_at, data) VALUES (7, 1, 0, ?, 'f', 5, '1')",
        (old,),
    )
    for migration in MIGRATIONS[2:]:
        database.executescript(migration)
    await house.start()
    house.adapter.store.database.reader = database
    await house.crash()
    assert (state(house, old), job(house, old)["created_at"]) == ("waiting", 5)
