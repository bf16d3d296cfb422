"""The head of a queue where its bounds are met (04 §5.4, §6)."""

from __future__ import annotations

import pytest

from iii.modules.queue.consume.head import Head, Verdict
from iii.modules.queue.jobs.job import Job, NewJob
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.storage.items import StoreError
from iii.storage.memory_database import MemoryDatabase
from iii.testing import FakeClock
from tests.unit.modules.queue.house import House, Log


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.queue.consume.head._WINDOW", 1)
    monkeypatch.setattr("iii.modules.queue.consume.head._PAGE", 2)


@pytest.mark.usefixtures("small")
async def test_what_leaves_the_window_does_not_hide_what_is_to_be_read_again() -> None:
    store = JobStore(lambda rolled_back: MemoryDatabase(MIGRATIONS), SteadyTime(FakeClock()))
    await store.open()
    place = store.places.of("queue", "q")
    head = Head(store.waiting(place), False, lambda: True, set())
    accepted: list[Job] = []

    def insert(function_id: str, priority: int) -> Job:
        def done(result: Accepted | None, error: StoreError | None) -> None:
            assert result is not None
            assert result.job is not None
            accepted.append(result.job)

        job = NewJob(id="", data=b"1", created_at=0, function_id=function_id, priority=priority)
        store.insert(place, job, done)
        return accepted[-1]

    first = insert("missing", 9)
    for _ in range(2):
        insert("there", 5)
    taken = head.take(lambda job: Verdict.RUN if job.function_id == "there" else Verdict.PASS_OVER)
    assert taken is not None
    head.target_found(("default", "missing"))
    for _ in range(3):  # more than the window takes, all of them behind the first
        head.offer(insert("there", 8))
        head.add(accepted[-1])
    assert head.take(lambda job: Verdict.RUN) is not None
    seen = {taken.seq}
    while (job := head.take(lambda job: Verdict.RUN)) is not None:
        seen.add(job.seq)
    assert first.seq in seen


async def test_last_page_of_a_round_is_looked_at() -> None:
    """Behind a thousand jobs whose functions are missing, none that could run is forgotten."""
    house = House()
    await house.start()
    log = Log(house)
    house.enqueue("late", "first")
    for number in range(1100):
        house.enqueue("nobody", number)
    for number in range(20):
        house.enqueue("late", number)
    house.clock.advance(10)
    log.worker.register("late")
    house.clock.advance(1)
    assert log.seen == ["first", *range(20)]


async def test_missing_functions_beyond_those_that_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """04 §5.4: `missing_target_timeout_ms` comes for each of them."""
    monkeypatch.setattr("iii.modules.queue.consume.missing._MISSING_TARGETS", 3)
    settings = {"max_retries": 1, "missing_target_timeout_ms": 1000}
    house = House(queue_configs={"work": settings})
    await house.start()
    for number in range(6):
        house.enqueue(f"nobody{number}", number, "work")
    house.clock.advance(5)
    assert len(house.dead("work")) == 6


async def test_held_messages_of_a_topic_whose_subscribers_compete() -> None:
    """C12, 04 §4.3: those that came while nobody was there go to whoever comes next, too."""
    house = House(delivery="compete")
    await house.start()
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    house.publish("t", 1)
    log.worker.say({"type": "unregistertrigger", "id": "f"})
    house.publish("t", 2)
    house.publish("t", 3)
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    house.publish("t", 4)
    house.clock.advance(1)
    assert log.seen == [1, 2, 3, 4]


async def test_what_comes_first_is_first_when_its_function_comes() -> None:
    """Neither the jobs of a function that was missing, nor new ones of a higher priority, wait behind those in memory."""
    house = House(queue_configs={"q": {"max_priority": 9, "concurrency": 1}})
    await house.start()
    log = Log(house, "f")
    log.answers = lambda data: ...
    house.enqueue("f", "first", "q")
    house.enqueue("late", "urgent", "q", priority=9)
    for number in range(250):
        house.enqueue("f", number, "q")
    (first,) = log.worker.invocations()
    log.answers = lambda data: ... if data == 0 else None
    log.worker.answer(first)
    second = log.worker.invocations()[-1]
    log.worker.register("late")
    house.enqueue("f", "new", "q", priority=8)
    log.worker.answer(second)
    house.clock.advance(5)
    assert log.seen == ["first", 0, "urgent", "new", *range(1, 250)]
