"""Queues in metrics: how full they are, how old their jobs are, and what has become of them (16 §1)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.modules.queue import levels as room
from iii.modules.queue.embedded.census import Census, PlaceCounts
from iii.modules.queue.levels import QueueLevel, measured
from iii.protocol.measurement import Measurement
from iii.storage.items import StoreError
from tests.unit.modules.queue.house import House, Log


async def values(house: House, queue: str, function_id: str = "") -> dict[str, Any]:
    """By metric, or by state."""
    return _of(await house.queue.measurements(), queue, function_id)


def _of(measurements: Any, queue: str, function_id: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    each: Measurement
    for each in measurements:
        for labels, value in each.points:
            named = dict(labels)
            if (named.get("queue"), named.get("function_id")) == (queue, function_id):
                found[named.get("state", each.name.removeprefix("iii.queue."))] = value
    return found


async def test_jobs_by_state_with_the_age_of_the_oldest() -> None:
    house = House(queue_configs={"work": {"concurrency": 1, "max_retries": 2, "backoff_ms": 60_000}})
    await house.start()
    log = Log(house, "f")
    log.answers = lambda data: ...
    for number in range(3):
        house.enqueue("f", number, "work")
        house.clock.advance(2)
    assert await values(house, "work") == {
        "waiting": 2, "running": 1, "delayed": 0, "dead": 0, "oldest_job.age": 6.0, "attempts.total": 1, "retries.total": 0,
        "dead_letters.total": 0,
    }  # fmt: skip
    assert (await values(house, "default"))["oldest_job.age"] == 0.0


async def test_retries_and_dead_letters_are_counted() -> None:
    house = House(queue_configs={"work": {"max_retries": 2, "backoff_ms": 1000}})
    await house.start()
    Log(house, "f").answers = lambda data: RuntimeError("it broke")
    house.enqueue("f", 1, "work")
    once = await values(house, "work")
    assert (once["delayed"], once["retries.total"], once["dead_letters.total"]) == (1, 1, 0)
    house.clock.advance(1)
    twice = await values(house, "work")
    assert (twice["delayed"], twice["dead"], twice["retries.total"], twice["dead_letters.total"]) == (0, 1, 1, 1)
    assert twice["attempts.total"] == 2
    house.call("iii::queue::discard_message", queue="work", message_id=house.dead("work")[0]["id"])
    assert (await values(house, "work"))["dead"] == 0
    assert (await values(house, "work"))["dead_letters.total"] == 1


async def test_each_destination_of_a_topic_has_its_own(house: House) -> None:
    log = Log(house, "f", "g")
    log.answers = lambda data: ...
    for function in ("f", "g"):
        log.worker.bind(function, "durable:subscriber", function, {"topic": "orders"})
    house.publish("orders", 1)
    assert (await values(house, "orders", "f"))["running"] == 1
    assert (await values(house, "orders", "g"))["attempts.total"] == 1


async def test_without_the_store_what_is_counted_here_remains(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(census: Census) -> dict[int, PlaceCounts]:
        raise StoreError("the disk")

    monkeypatch.setattr(Census, "counted", refuses)
    assert await values(house, "default") == {
        "running": 0, "attempts.total": 0, "retries.total": 0, "dead_letters.total": 0
    }  # fmt: skip


def test_queues_beyond_the_bound_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MEASURED_QUEUES", 2)
    levels = [QueueLevel(name=f"q{number}", waiting=number, oldest_ms=5_000 - number, retries=1) for number in range(5)]
    found = measured(levels, 10_000)
    assert {dict(labels)["queue"] for each in found for labels, _ in each.points} == {"q0", "q1", "other"}
    assert _of(found, "other") == {
        "waiting": 2 + 3 + 4, "oldest_job.age": 5.004, "attempts.total": 0, "retries.total": 3, "dead_letters.total": 0
    }  # fmt: skip
