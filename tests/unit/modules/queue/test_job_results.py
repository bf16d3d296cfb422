"""Results of jobs, and waiting for them (13 §3, §4)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.turns import STEPS
from iii.modules.queue.embedded import waits
from iii.protocol.limits import JOB_RESULT_BYTES
from tests.unit.modules.queue.house import House, Log
from tests.unit.modules.queue.test_jobs import BOOM, job, state

QUEUES: dict[str, Any] = {
    "kept": {"keep_results_s": 60, "max_retries": 2, "backoff_ms": 1000, "concurrency": 1},
    "few": {"keep_results_s": 60, "keep_results_max": 3},
}


async def opened(**more: Any) -> House:
    house = House(queue_configs={**QUEUES, **more})
    await house.start()
    return house


def known(house: House, receipts: list[str]) -> list[bool]:
    return ["error" not in house.caller.call("engine::queue::job", {"id": receipt}) for receipt in receipts]


class Waiting:
    """A call of `engine::queue::wait`."""

    def __init__(self, house: House, receipt: str, **more: Any) -> None:
        self._caller = house.caller
        self._call = self._caller.start_call("engine::queue::wait", {"id": receipt, **more})

    @property
    def answer(self) -> dict[str, Any] | None:
        return self._caller.answer_to(self._call)

    @property
    def result(self) -> dict[str, Any]:
        assert self.answer is not None
        found: dict[str, Any] = self.answer["result"]
        return found


async def test_13_check_2_a_result_is_kept_for_its_time() -> None:
    house = await opened()
    Log(house, "f").answers = lambda data: {"sum": data}
    house.clock.advance(1)
    receipt = house.enqueue("f", 7, "kept")
    now = house.clock.time_ms()
    assert job(house, receipt) == {
        "id": receipt, "state": "done", "queue": "kept", "function_id": "f", "namespace": None, "attempts": 1,
        "max_attempts": 2, "created_at": now, "ready_at": None, "started_at": None, "finished_at": now,
        "expires_at": now + 60_000, "error": None, "result_bytes": 10, "result": {"sum": 7}, "trace_id": None,
    }  # fmt: skip
    house.clock.advance(59)
    assert state(house, receipt) == "done"
    house.clock.advance(1)
    assert house.error("engine::queue::job", {"id": receipt})[0] == "job_not_found"
    assert house.adapter.store.database.reader.execute("SELECT count(*) FROM results").fetchone() == (0,)


async def test_13_3_a_job_without_a_result() -> None:
    house = await opened()
    Log(house, "f")
    shown = job(house, house.enqueue("f", 7, "kept"))
    assert (shown["state"], shown["result_bytes"], "result" in shown) == ("done", None, False)


async def test_13_3_a_result_that_is_too_large_is_dropped() -> None:
    house = await opened()
    log = Log(house, "f")
    sizes = [JOB_RESULT_BYTES, JOB_RESULT_BYTES + 1]
    log.answers = lambda data: "x" * (sizes[data] - 2)
    small, large = (house.enqueue("f", number, "kept") for number in (0, 1))
    assert (job(house, small)["result_bytes"], len(job(house, small)["result"])) == (sizes[0], sizes[0] - 2)
    assert (state(house, large), job(house, large)["result_bytes"]) == ("done", sizes[1])
    assert "result" not in job(house, large)


async def test_13_3_the_oldest_results_go_when_there_are_too_many() -> None:
    house = await opened()
    Log(house, "f")
    receipts = [house.enqueue("f", number, "few") for number in range(5)]
    other = house.enqueue("f", 9, "kept")
    assert known(house, [*receipts, other]) == [False, False, True, True, True, True]
    house.call("queue::define", queue="few", config={"keep_results_s": 60, "keep_results_max": 1})
    receipts.append(house.enqueue("f", 5, "few"))
    assert known(house, receipts) == [False] * 5 + [True]


async def test_13_check_3_results_survive_a_crash_and_expire_after_it() -> None:
    house = await opened()
    Log(house, "f").answers = lambda data: data
    receipt = house.enqueue("f", 7, "kept")
    house.clock.advance(30)
    await house.crash()
    assert job(house, receipt)["result"] == 7
    house.clock.advance(31)
    assert known(house, [receipt]) == [False]
    assert house.adapter.store.database.reader.execute("SELECT count(*) FROM results").fetchone() == (0,)


async def test_13_3_P15_a_clock_set_back_over_a_restart_keeps_a_result_once_more_at_most() -> None:
    house = await opened()
    Log(house, "f")
    receipt = house.enqueue("f", 7, "kept")
    house.clock.set_wall_clock(-86_400)
    house.clock.advance(30)
    assert known(house, [receipt]) == [True]  # that clock does not count while the engine runs
    await house.crash()
    house.clock.advance(59)
    assert known(house, [receipt]) == [True]
    house.clock.advance(2)
    assert known(house, [receipt]) == [False]


async def test_13_3_results_of_a_queue_that_keeps_none_any_more_expire() -> None:
    house = await opened()
    Log(house, "f")
    receipt = house.enqueue("f", 7, "kept")
    house.call("queue::define", queue="kept", config={})
    assert known(house, [receipt]) == [True]
    later = house.enqueue("f", 8, "kept")
    assert known(house, [later]) == [False]
    house.clock.advance(61)
    assert house.adapter.store.database.reader.execute("SELECT count(*) FROM results").fetchone() == (0,)


async def test_13_check_4_waiting_until_a_job_is_done() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipt = house.enqueue("f", 7, "kept")
    waiting = [Waiting(house, receipt), Waiting(house, receipt)]
    assert [each.answer for each in waiting] == [None, None]
    log.worker.answer(log.worker.invocations()[0], {"sum": 7})
    assert [each.result["result"] for each in waiting] == [{"sum": 7}] * 2
    assert Waiting(house, receipt).result["state"] == "done"  # at once
    assert house.adapter.store.endings.count == 0


async def test_13_4_waiting_until_a_job_is_dead() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    waiting = Waiting(house, house.enqueue("f", 7, "kept"))
    assert waiting.answer is None  # it is tried again
    house.clock.advance(1)
    assert (waiting.result["state"], waiting.result["error"]) == ("dead", "boom: it broke")


async def test_13_4_at_its_time_out_the_answer_is_how_the_job_stands() -> None:
    house = await opened()
    waiting = Waiting(house, house.enqueue("nowhere", 7, "kept"), timeout_ms=5000)
    house.clock.advance(4.9)
    assert waiting.answer is None
    house.clock.advance(0.1)
    assert waiting.result["state"] == "waiting"
    assert Waiting(house, waiting.result["id"], timeout_ms=0).result["state"] == "waiting"
    assert house.adapter.store.endings.count == 0


async def test_13_4_without_kept_results_waiting_is_refused(house: House) -> None:
    """Whether it succeeds would depend on who is faster."""
    receipt = house.enqueue("nowhere", 7)
    text = "'default' keeps no results of its jobs; set 'keep_results_s' in its queue_configs"
    assert house.error("engine::queue::wait", {"id": receipt}) == ("results_not_kept", text)
    assert house.error("engine::queue::wait", {"id": "x"})[0] == "job_not_found"
    assert house.error("engine::queue::wait", {"id": ""})[0] == "job_id_not_set"
    assert house.error("engine::queue::wait", {"id": receipt, "timeout_ms": 600_001})[0] == "deserialization_error"


async def test_13_4_those_who_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "MOST", 2)
    house = await opened()
    receipt = house.enqueue("nowhere", 7, "kept")
    waiting = [Waiting(house, receipt) for _ in range(3)]
    assert [each.answer is None for each in waiting] == [True, True, False]
    assert waiting[2].answer is not None
    text = f"Failed to wait for job '{receipt}': 2 callers wait for jobs already; retry later"
    assert waiting[2].answer["error"]["message"] == text
    house.clock.advance(31)
    assert house.adapter.store.endings.count == 0


async def test_13_4_so_are_those_of_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "MOST_OF_ONE", 2)
    house = await opened()
    receipt = house.enqueue("nowhere", 7, "kept")
    waiting = [Waiting(house, receipt) for _ in range(3)]
    assert [each.answer is None for each in waiting] == [True, True, False]
    assert waiting[2].answer is not None
    text = f"Failed to wait for job '{receipt}': this connection waits for 2 jobs already; retry later"
    assert waiting[2].answer["error"]["message"] == text
    other = house.engine.connect(name="other")
    assert other.answer_to(other.start_call("engine::queue::wait", {"id": receipt})) is None


@pytest.mark.parametrize("bound", ["MOST", "MOST_OF_ONE"])
async def test_13_4_those_that_gave_up_leave_their_places(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    """They may have asked for 10 minutes, left, been cancelled, or have a deadline (P7)."""
    monkeypatch.setattr(waits, bound, 4)
    house = await opened()
    receipt = house.enqueue("nowhere", 7, "kept")
    wait = {"id": receipt, "timeout_ms": 600_000}
    leaver = house.engine.connect(name="leaver")
    leaver.start_call("engine::queue::wait", wait)
    leaver.drop()
    for _ in range(2):
        house.caller.start_call("engine::queue::wait", wait, timeout_ms=10)
    cancelled = house.caller.start_call("engine::queue::wait", wait)
    assert house.call("engine::invocations::cancel", invocation_id=cancelled) == {"cancelled": True}
    house.clock.advance(0.01)
    waiting = [Waiting(house, receipt) for _ in range(4)]
    assert [each.answer for each in waiting] == [None] * 4
    assert house.adapter.store.endings.count <= 5  # the one who left may have its place until somebody needs it
    assert Waiting(house, receipt).answer is not None
    house.clock.advance(31)
    assert [each.result["state"] for each in waiting] == ["waiting"] * 4


async def test_13_4_a_look_for_those_that_gave_up_is_not_made_for_every_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waits, "MOST", 2)
    house = await opened()
    receipt = house.enqueue("nowhere", 7, "kept")
    held = [house.caller.start_call("engine::queue::wait", {"id": receipt}) for _ in range(2)]
    assert Waiting(house, receipt).answer is not None
    house.call("engine::invocations::cancel", invocation_id=held[0])
    assert Waiting(house, receipt).answer is not None
    house.clock.advance(waits.SWEEP_S)
    assert Waiting(house, receipt).answer is None


async def test_13_4_thousands_whose_time_is_over_are_answered_in_turns() -> None:
    house = await opened()
    receipt = house.enqueue("nowhere", 7, "kept")
    waiting = [Waiting(house, receipt, timeout_ms=1000) for _ in range(2000)]
    clock, told = house.clock, list[int]()

    def look() -> None:
        told.append(sum(each.answer is not None for each in waiting))
        if len(told) < 2:
            clock.call_at(clock.now(), look)

    clock.call_at(clock.now() + 1, look)  # behind their timers
    clock.advance(1)
    assert told[0] <= told[1] <= STEPS
    assert told[1] > 0
    assert [each.result["state"] for each in waiting] == ["waiting"] * 2000
    assert house.adapter.store.endings.count == 0


async def test_13_4_thousands_who_wait_are_told_in_turns() -> None:
    house = await opened()
    log = Log(house, "f")
    log.answers = lambda data: ...
    receipt = house.enqueue("f", 7, "kept")
    waiting = [Waiting(house, receipt) for _ in range(2000)]
    log.worker.answer(log.worker.invocations()[0], "done")
    at_once = sum(each.answer is not None for each in waiting)
    assert 0 < at_once <= STEPS
    house.clock.advance(0)
    assert [each.result["result"] for each in waiting] == ["done"] * 2000
    assert house.adapter.store.endings.count == 0


async def test_13_4_a_stop_answers_those_who_wait() -> None:
    house = await opened()
    waiting = Waiting(house, house.enqueue("nowhere", 7, "kept"))
    await house.queue.quiet()
    await house.queue.stop()
    assert waiting.answer is not None
    assert waiting.answer["error"]["code"] == "job_wait_failed"
