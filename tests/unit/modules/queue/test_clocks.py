"""P15 (durable S4): pauses are durations, whoever sets the clock; over a restart the wall clock counts, within bounds."""

import pytest

from iii.modules.queue.jobs.job import MAX_DELAY_MS
from tests.unit.modules.queue.house import House, Log

HOUR = 3600
JUMPS = [-365 * 24 * HOUR, -HOUR, -1, 1, HOUR, 365 * 24 * HOUR]
SETTINGS = {
    "q": {"max_retries": 4, "backoff_ms": 2000},
    "ff": {"type": "fifo", "message_group_field": "g", "backoff_ms": 2000},
}


async def started(**config: object) -> House:
    house = House(queue_configs=SETTINGS, **config)
    await house.start()
    return house


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("queue", ["q", "ff"])
async def test_P15_a_retry_comes_after_its_pause_whatever_the_clock_does(jump: int, queue: str) -> None:
    house = await started()
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no") if len(log.seen) < 3 else None
    house.enqueue("f", {"g": 1}, queue)
    house.clock.advance(0.5)
    house.clock.set_wall_clock(jump)
    house.clock.advance(1.49)
    assert len(log.seen) == 1, "before its pause was over"
    house.clock.advance(0.02)
    assert len(log.seen) == 2
    house.clock.advance(2)
    house.clock.set_wall_clock(-2 * jump)
    house.clock.advance(2.01)
    assert len(log.seen) == 3
    house.enqueue("f", {"g": 1, "next": True}, queue)
    assert len(log.seen) == 4, "the group goes on"


@pytest.mark.parametrize("jump", JUMPS)
async def test_P15_a_delay_is_as_long_as_it_was_said(jump: int) -> None:
    house = await started()
    log = Log(house, "f")
    house.enqueue("f", 1, "q", delay_ms=3000)
    house.clock.set_wall_clock(jump)
    house.enqueue("f", 2, "q", delay_ms=5000)
    house.clock.advance(2.99)
    assert log.seen == []
    house.clock.advance(0.02)
    assert log.seen == [1]
    house.clock.advance(2)
    assert log.seen == [1, 2]


async def test_P15_over_a_restart_the_wall_clock_counts() -> None:
    house = await started()
    Log(house, "f").worker.drop()
    house.enqueue("f", 1, "q", delay_ms=HOUR * 1000)
    house.clock.set_wall_clock(2 * HOUR)  # the machine was off for so long
    await house.crash()
    log = Log(house, "f")
    house.clock.advance(0.01)
    assert log.seen == [1]


@pytest.mark.parametrize("jump", [-HOUR, -10 * 365 * 24 * HOUR])
async def test_P15_a_clock_set_back_while_the_engine_was_down_costs_one_pause_at_most(jump: int) -> None:
    house = await started()
    log = Log(house, "f")
    log.answers = lambda data: RuntimeError("no") if len(log.seen) == 1 else None
    house.enqueue("f", {"g": 1}, "ff")
    house.clock.set_wall_clock(jump)
    await house.crash()
    log = Log(house, "f")
    house.clock.advance(1.99)
    assert log.seen == []
    house.clock.advance(0.02)
    assert log.seen == [{"g": 1}]


async def test_P15_a_long_delay_is_as_long_after_a_restart() -> None:
    house = await started()
    Log(house, "f").worker.drop()
    house.enqueue("f", 1, "q", delay_ms=72 * HOUR * 1000)
    house.clock.advance(HOUR)
    await house.crash()
    log = Log(house, "f")
    house.clock.advance(71 * HOUR - 1)
    assert log.seen == []
    house.clock.advance(2)
    assert log.seen == [1]


async def test_P15_no_pause_is_longer_than_the_longest() -> None:
    house = await started()
    Log(house, "f").worker.drop()
    house.clock.set_wall_clock(100 * 365 * 24 * HOUR)
    house.enqueue("f", 1, "q", delay_ms=1000)
    house.clock.set_wall_clock(-100 * 365 * 24 * HOUR)
    await house.crash()
    log = Log(house, "f")
    house.clock.advance(MAX_DELAY_MS / 1000 + 1)
    assert log.seen == [1]


@pytest.mark.parametrize("jump", JUMPS)
async def test_P15_deduplication_lasts_as_long_as_it_should(jump: int) -> None:
    house = House(queue_configs={"q": {"deduplication_window_ms": 10_000}})
    await house.start()
    first = house.enqueue("f", 1, "q", deduplication_id="d")
    house.clock.advance(5)
    house.clock.set_wall_clock(jump)
    house.clock.advance(4.9)
    assert house.enqueue("f", 1, "q", deduplication_id="d") == first
    house.clock.advance(0.2)
    assert house.enqueue("f", 1, "q", deduplication_id="d") != first


@pytest.mark.parametrize("jump", [HOUR, 365 * 24 * HOUR])
async def test_P15_a_clock_set_forward_drops_no_message_before_its_time(jump: int) -> None:
    house = House(topic_configs={"t": {"retention_ms": 20_000}})
    await house.start()
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    log.worker.drop()
    house.publish("t", "kept")
    house.clock.set_wall_clock(jump)
    house.clock.advance(15)
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    assert log.seen == ["kept"]
