"""Jobs that have not ended, page by page (13 §9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.modules.queue.house import House, Log


async def busy_house(**queue: Any) -> tuple[House, Log]:
    house = House(queue_configs={"work": {"concurrency": 1, "max_retries": 2, "backoff_ms": 60_000, **queue}})
    await house.start()
    log = Log(house, "f")
    log.answers = lambda data: ...
    return house, log


def ids(page: dict[str, Any]) -> list[str]:
    return [job["id"] for job in page["jobs"]]


async def test_13_check_10_jobs_by_state() -> None:
    house, log = await busy_house()
    log.answers = lambda data: RuntimeError("it broke")
    failed = house.enqueue("f", "first", "work")
    log.answers = lambda data: ...
    running, *waiting = [house.enqueue("f", number, "work") for number in range(4)]

    delayed = house.call("engine::queue::jobs", queue="work", state="delayed")["jobs"]
    active = house.call("engine::queue::jobs", queue="work", state="active")["jobs"]
    first = house.call("engine::queue::jobs", queue="work", limit=2)
    rest = house.call("engine::queue::jobs", topic="work", limit=2, after=first["next"])

    assert [(job["id"], job["attempts"], job["error"]) for job in delayed] == [(failed, 1, "boom: it broke")]
    assert delayed[0]["ready_at"] > house.clock.time_ms()
    assert [job["id"] for job in active] == [running]
    assert active[0]["started_at"] is not None
    assert [*ids(first), *ids(rest)] == waiting
    assert rest.get("next") is None
    assert {"function_id": "f", "size_bytes": 1, "max_attempts": 2, "priority": 0}.items() <= first["jobs"][0].items()


async def test_jobs_that_wait_stand_in_the_order_in_which_they_begin() -> None:
    house, _ = await busy_house(max_priority=9)
    house.enqueue("f", 0, "work")
    wanted = {priority: house.enqueue("f", priority, "work", priority=priority) for priority in (1, 5, 3)}
    seen: list[str] = []
    after: str | None = None
    for _ in range(4):
        page = house.call("engine::queue::jobs", queue="work", limit=1, **({} if after is None else {"after": after}))
        seen += ids(page)
        after = page.get("next")
    assert seen == [wanted[5], wanted[3], wanted[1]]


async def test_jobs_of_all_destinations_of_a_topic_are_paged_one_after_the_other(house: House) -> None:
    for name in ("a", "b"):
        log = Log(house, name)
        log.answers = lambda data: ...
        log.worker.bind(name, "durable:subscriber", name, {"topic": "t", "queue_config": {"concurrency": 1}})
    for number in range(3):
        house.publish("t", number)
    found: list[tuple[str, int]] = []
    after = None
    while True:
        asked = {"queue": "t", "limit": 1, **({} if after is None else {"after": after})}
        page = house.call("engine::queue::jobs", **asked)
        found += [(job["function_id"], job["max_attempts"]) for job in page["jobs"]]
        after = page.get("next")
        if after is None:
            break
    assert found == [("a", 3), ("a", 3), ("b", 3), ("b", 3)]
    assert len(house.call("engine::queue::jobs", queue="t", state="active")["jobs"]) == 2


async def test_delayed_jobs_stand_in_the_order_in_which_they_come_due(house: House) -> None:
    Log(house, "f")
    receipts = [house.enqueue("f", n, delay_ms=delay) for n, delay in enumerate((9000, 5000, 9000))]
    first = house.call("engine::queue::jobs", queue="default", state="delayed", limit=2)
    rest = house.call("engine::queue::jobs", queue="default", state="delayed", limit=2, after=first["next"])
    assert [*ids(first), *ids(rest)] == [receipts[1], receipts[0], receipts[2]]


@pytest.mark.parametrize("after", ["", "1", "1.2.3.4", "x.y.z", "1.-.2", "9" * 60 + ".1.1"])
async def test_an_after_that_is_of_no_page_is_refused(house: House, after: str) -> None:
    code, text = house.error("engine::queue::jobs", {"queue": "default", "after": after})
    assert code == "INVALID_ARGUMENTS"
    assert "`after`" in text


async def test_an_unknown_queue_has_no_jobs_and_an_empty_name_is_refused(house: House) -> None:
    assert house.call("engine::queue::jobs", queue="nobody")["jobs"] == []
    assert house.error("engine::queue::jobs", {"queue": ""}) == ("queue_not_set", "Queue name is required")
