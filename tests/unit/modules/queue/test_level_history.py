"""How full queues were, and how old their jobs (13 §10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from iii.engine.clock import Timer
from iii.modules.queue.level_history import LevelHistory
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.requests import Past, PastInput
from iii.protocol.limits import MEASURED_QUEUES, QUEUE_SAMPLES
from iii.storage.items import StoreError
from iii.testing import FakeClock, MemoryEngine
from tests.unit.modules.queue.house import House, Log


class Levels:
    """An adapter that says what a test wants, or nothing."""

    def __init__(self) -> None:
        self.now: list[QueueLevel] = []
        self.broken = False
        self.asked = 0

    async def levels(self) -> list[QueueLevel]:
        self.asked += 1
        if self.broken:
            raise StoreError("no disk")
        return self.now


def level(name: str, waiting: int = 0, **more: Any) -> QueueLevel:
    return QueueLevel(name=name, waiting=waiting, running=0, delayed=0, dead=0, dated=True, **more)


class Room:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tasks: list[asyncio.Task[None]] = []
        self.levels = Levels()
        engine = MemoryEngine(self.clock, spawn=self._spawn)
        self.history = LevelHistory(engine.core, self.levels, self._call_later)  # type: ignore[arg-type]  # as far as it is asked

    def _call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self.clock.call_at(self.clock.now() + delay_s, callback)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def pass_s(self, seconds: float) -> None:
        """And all samples that are due."""
        for _ in range(round(seconds / 10)):
            self.clock.advance(10)
            await asyncio.gather(*self.tasks)

    async def past(self, queue: str | None = None) -> Past:
        return await self.history.history(PastInput(queue=queue))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, no_samples: None) -> Room:
    monkeypatch.setattr("iii.modules.queue.level_history.SAMPLE_S", 10.0)
    return Room()


async def test_13_check_12_a_sample_each_ten_seconds_and_one_of_now(room: Room) -> None:
    room.history.begin()
    await room.pass_s(10)
    room.levels.now = [level("work", 5, oldest_ms=room.clock.time_ms() - 1500)]
    await room.pass_s(20)
    room.levels.now = []
    found = await room.past("work")
    assert found.waiting == [0, 5, 5, 0]
    assert found.oldest_age_s == [0, 11.5, 21.5, 0]
    assert [after - before for before, after in zip(found.at, found.at[1:], strict=False)] == [10_000, 10_000, 0]
    nobody = await room.past("nobody")
    assert (nobody.waiting, nobody.dead) == ([0] * 4, [0] * 4)


async def test_all_queues_together_have_the_sum_and_the_highest_age(room: Room) -> None:
    now = room.clock.time_ms()
    room.levels.now = [level("a", 1, oldest_ms=now - 1000), level("b", 2, oldest_ms=now - 3000), level("b", 4)]
    room.history.note(now, room.levels.now)
    found = await room.past()
    assert (found.waiting, found.oldest_age_s) == ([7, 7], [3.0, 3.0])
    assert (await room.past("b")).waiting == [6, 6]


async def test_what_an_adapter_cannot_tell_is_null(room: Room) -> None:
    room.levels.now = [QueueLevel(name="work", running=1)]
    found = await room.past("work")
    assert (found.waiting, found.active, found.oldest_age_s) == ([None], [1], [None])


async def test_no_queue_at_all_is_zeros(room: Room) -> None:
    room.history.note(room.clock.time_ms(), [])
    assert (await room.past()).waiting == [0, 0]


async def test_an_hour_is_kept_and_a_queue_that_was_empty_for_one_is_forgotten(room: Room) -> None:
    room.history.note(1, [level("once", 1)])
    for number in range(2, QUEUE_SAMPLES + 1):
        room.history.note(number, [])
    assert (await room.past("once")).waiting[:2] == [1, 0]
    room.history.note(QUEUE_SAMPLES + 1, [])
    found = await room.past("once")
    assert (len(found.at), sum(value or 0 for value in found.waiting)) == (QUEUE_SAMPLES + 1, 0)


async def test_no_more_queues_than_metrics_show(room: Room) -> None:
    room.history.note(1, [level(f"q{number}", 1) for number in range(MEASURED_QUEUES + 5)])
    assert (await room.past(f"q{MEASURED_QUEUES - 1}")).waiting == [1, 0]
    assert (await room.past(f"q{MEASURED_QUEUES}")).waiting == [0, 0]
    assert (await room.past()).waiting == [MEASURED_QUEUES + 5, 0]  # all together are all


async def test_a_store_that_cannot_count_leaves_a_gap_and_is_asked_again(room: Room) -> None:
    room.history.begin()
    room.levels.broken = True
    await room.pass_s(10)
    room.levels.broken = False
    await room.pass_s(10)
    assert len((await room.past()).at) == 2
    room.history.end()
    asked = room.levels.asked
    await room.pass_s(30)
    assert room.levels.asked == asked


async def test_the_function_tells_of_jobs_of_now(house: House) -> None:
    Log(house, "f").answers = lambda data: ...
    house.enqueue("f", 1)
    house.clock.advance(2)
    history = house.queue.part(LevelHistory)
    assert isinstance(history, LevelHistory)
    found = await history.history(PastInput(queue="default"))
    assert (found.active, found.waiting, found.oldest_age_s) == ([1], [0], [2.0])
