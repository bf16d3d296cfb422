"""What a draining worker's jobs become: those that run end there, the others wait for the next owner, no attempt counts (P12)."""

from typing import Any

from tests.unit.modules.queue.house import House, Log

DRAIN = "engine::workers::drain"


def drain(house: House, worker: Log, **request: Any) -> None:
    house.caller.start_call(DRAIN, {"worker_id": worker.worker.id, **request})


async def test_09_check_27_jobs_not_begun_wait_for_the_next_owner(house: House) -> None:
    old = Log(house, "f")
    old.answers = lambda data: ...
    for number in range(30):  # the queue runs ten at a time
        house.enqueue("f", number)
    assert old.seen == list(range(10))

    drain(house, old)
    for invocation in old.worker.invocations():
        old.worker.answer(invocation)
    house.clock.advance(1)
    assert len(old.seen) == 10
    assert not old.worker.connected

    new = Log(house, "f")
    house.clock.advance(1)
    assert new.seen == list(range(10, 30))
    assert house.stats("default")["failed"] == 0
    assert house.dead("default") == []


async def test_09_check_27_a_standby_goes_on_at_once(house: House) -> None:
    old, new = Log(house, "f", name="old"), Log(house, "f", name="new")
    old.answers = lambda data: ...
    for number in range(20):
        house.enqueue("f", number)
    drain(house, old)
    for invocation in old.worker.invocations():
        old.worker.answer(invocation)
    assert (old.seen, new.seen) == (list(range(10)), list(range(10, 20)))


async def test_09_check_27_a_job_whose_condition_was_asked_waits_again(house: House) -> None:
    old, condition = Log(house, "f"), Log(house, "c")
    condition.answers = lambda data: ...
    old.worker.bind("t", "durable:subscriber", "f", {"topic": "t", "condition_function_id": "c"})
    house.publish("t", "first")
    assert condition.seen == ["first"]

    drain(house, old)
    condition.worker.answer(condition.worker.invocations()[0], True)  # its target has left meanwhile
    house.clock.advance(1)
    condition.answers = lambda data: True
    new = Log(house, "f")
    new.worker.bind("t", "durable:subscriber", "f", {"topic": "t", "condition_function_id": "c"})
    house.clock.advance(10)

    assert (old.seen, new.seen) == ([], ["first"])
    assert house.stats("t")["failed"] == 0


async def test_P12_what_is_cut_off_counts_as_a_failed_attempt(house: House) -> None:
    old = Log(house, "f")
    old.answers = lambda data: ...
    house.enqueue("f", 1)
    drain(house, old, timeout_ms=100)
    house.clock.advance(0.2)
    assert house.stats("default")["failed"] == 1
    new = Log(house, "f")
    house.clock.advance(60)
    assert new.seen == [1]
