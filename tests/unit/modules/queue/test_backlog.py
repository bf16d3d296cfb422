"""A long backlog holds up neither its own queue nor others (durable C2)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.modules.queue.consume.head import _BUSY_GROUPS
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.jobs.waiting import Waiting
from iii.testing import FakeClock
from tests.unit.modules.queue.house import House, Log

BACKLOG = 2_000
PAGE = 16
SKIP = 500


class Reads:
    """What is read of the store since the last look."""

    def __init__(self) -> None:
        self.pages = self.rows = self.skips = 0

    def forget(self) -> None:
        self.pages = self.rows = self.skips = 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    monkeypatch.setattr("iii.modules.queue.consume.head._WINDOW", PAGE)
    monkeypatch.setattr("iii.modules.queue.consume.head._PAGE", PAGE)
    monkeypatch.setattr("iii.modules.queue.jobs.waiting._SKIPPED_AT_ONCE", SKIP)
    reads, page = Reads(), Waiting.page

    def counted_page(waiting: Waiting, *values: Any) -> Any:
        found = page(waiting, *values)
        reads.pages += 1
        reads.rows += len(found)
        return found

    def counted(skip: Any) -> Any:
        def counted_skip(waiting: Waiting, *values: Any) -> Any:
            reads.skips += 1
            return skip(waiting, *values)

        return counted_skip

    monkeypatch.setattr(Waiting, "page", counted_page)
    for name in ("skip_groups", "skip_targets"):
        monkeypatch.setattr(Waiting, name, counted(getattr(Waiting, name)))
    return reads


async def house_with(**config: Any) -> House:
    house = House(queue_configs={"work": config})
    await house.start()
    return house


@pytest.mark.parametrize("functions", [1, 40])
async def test_durable_c2_parked_jobs_are_skipped_and_not_read(reads: Reads, functions: int) -> None:
    house = await house_with()
    for number in range(BACKLOG):
        house.enqueue(f"absent{number % functions}", number, "work")
    house.enqueue("here", "behind", "work")
    await house.crash()
    log = Log(house, "here")
    reads.forget()
    house.clock.advance(0.1)
    assert log.seen == ["behind"]
    assert reads.rows <= PAGE * (functions + 4)
    assert reads.skips <= BACKLOG / SKIP + functions + 4

    log.worker.register("absent0")  # all of its jobs run, in their order
    house.clock.advance(0.1)
    assert log.seen[1:] == list(range(0, BACKLOG, functions))


async def test_durable_c2_a_busy_group_is_skipped_and_not_read(reads: Reads) -> None:
    """04 §6: a fifo group whose first job takes long does not hold up the other groups."""
    house = await house_with(type="fifo", message_group_field="group", parallel_groups=True, concurrency=3)
    for number in range(BACKLOG):
        house.enqueue("f", {"group": "hot", "number": number}, "work")
    for number in range(60):
        house.enqueue("f", {"group": f"g{number % 20}", "number": number}, "work")
    await house.crash()
    log = Log(house)
    log.answers = lambda data: ... if data["group"] == "hot" else None
    log.worker.register("f")
    reads.forget()
    house.clock.advance(0.1)
    assert [data["number"] for data in log.seen if data["group"] == "hot"] == [0]
    assert sorted(data["number"] for data in log.seen if data["group"] != "hot") == list(range(60))
    assert reads.rows <= 60 * PAGE
    assert reads.skips <= 4 * BACKLOG / SKIP


async def test_durable_c2_what_is_read_in_one_turn_has_a_bound(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many queues have a backlog, and however many functions come at a time."""
    names = [f"q{number}" for number in range(10)]
    house = House(queue_configs={name: {} for name in names})
    await house.start()
    for name in names:
        for number in range(200):
            house.enqueue(f"absent{number % 50}", number, name)
        house.enqueue("here", name, name)
    most, next_turn = [0], PageTurns.turn

    def turn(turns: PageTurns) -> None:
        most.append(reads.pages + reads.skips)
        reads.forget()
        next_turn(turns)

    monkeypatch.setattr(PageTurns, "turn", turn)
    await house.crash()
    reads.forget()
    log = Log(house, "here")
    house.clock.advance(0)
    log.worker.register(*(f"absent{number}" for number in range(50)))
    house.clock.advance(1)
    assert len(log.seen) == 10 * 201
    assert max(most) <= 2 * 3  # a skip and a page each


class Reader:
    """Reads as much as it may, as a queue with a long backlog does."""

    def __init__(self, turns: PageTurns, left: int, order: list[Reader]) -> None:
        self.turns = turns
        self.left = left
        self.order = order

    def pump(self) -> None:
        while self.left:
            if not self.turns.may_read():
                self.turns.wake(self.pump)
                return
            self.left -= 1
            self.order.append(self)


def test_durable_c2_queues_take_turns_at_reading() -> None:
    """The one with a short backlog does not wait for those with long ones."""
    clock, order = FakeClock(), list[Reader]()
    turns = PageTurns(clock)
    modest = Reader(turns, 3, order)
    for reader in (*(Reader(turns, 1000, order) for _ in range(3)), modest):
        reader.pump()
    clock.advance(0)
    assert len(order) == 3003
    assert max(number for number, reader in enumerate(order) if reader is modest) < 30


def test_durable_c2_a_queue_that_stops_is_not_woken() -> None:
    clock, order = FakeClock(), list[Reader]()
    turns = PageTurns(clock)
    first, second = Reader(turns, 5, order), Reader(turns, 5, order)
    first.pump()
    second.pump()
    turns.forget(second.pump)
    clock.advance(0)
    assert order == [first] * 5


async def test_durable_c2_groups_that_wait_for_another_attempt_are_bounded_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _BUSY_GROUPS <= 100_000
    monkeypatch.setattr("iii.modules.queue.consume.head._BUSY_GROUPS", 5)
    house = await house_with(type="fifo", message_group_field="group", parallel_groups=True, backoff_ms=60_000)
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no")
    for number in range(20):
        house.enqueue("f", {"group": number}, "work")
    await house.crash()
    assert house.adapter.queues.consumers["work"].head.busy_groups <= 6
