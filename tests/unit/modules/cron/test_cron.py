"""The trigger type `cron` with time in the test's hand (04 §12.4 to §12.6, checks 42 to 47 and 50)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.cron.config import CronConfig
from iii.modules.cron.locks import KvLocks, Tick
from iii.modules.cron.module import Cron
from iii.protocol.cron_expression import Expression
from iii.storage.adapter import AdapterConfig
from iii.testing import FakeClock, MemoryEngine, MemoryWorker


class WallClock(FakeClock):
    """Its wall clock can be set, as people and NTP do."""

    def __init__(self) -> None:
        super().__init__()
        self.set_by_ms = 0

    def time_ms(self) -> int:
        return super().time_ms() + self.set_by_ms


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def engine(clock: WallClock) -> Iterator[MemoryEngine]:
    KvLocks.entries.clear()
    engine = MemoryEngine(clock)
    yield engine
    KvLocks.entries.clear()


@pytest.fixture
def cron(engine: MemoryEngine) -> Cron:
    cron = Cron(engine.core)
    engine.core.add_module(cron)
    return cron


@pytest.fixture
def worker(engine: MemoryEngine, cron: Cron) -> MemoryWorker:
    worker = engine.connect()
    worker.announce(name="w")
    worker.say({"type": "registerfunction", "id": "job"})
    return worker


def bind(worker: MemoryWorker, expression: Any = "* * * * * *", trigger_id: str = "t", **config: Any) -> None:
    trigger = {"type": "registertrigger", "id": trigger_id, "trigger_type": "cron", "function_id": "job"}
    worker.say({**trigger, "config": {"expression": expression, **config}})


def refusal(worker: MemoryWorker, clock: WallClock) -> dict[str, Any]:
    clock.advance(0.2)  # registrations of a newcomer apply then
    (message,) = worker.heard("triggerregistrationresult")
    error: dict[str, Any] = message["error"]
    return error


def calls(worker: MemoryWorker, function_id: str = "job") -> list[dict[str, Any]]:
    return [each for each in worker.heard("invokefunction") if each["function_id"] == function_id]


def answer(worker: MemoryWorker, call: dict[str, Any], **outcome: Any) -> None:
    worker.say(
        {
            "type": "invocationresult",
            "invocation_id": call["invocation_id"],
            "function_id": call["function_id"],
            **outcome,
        }
    )


def answer_all(worker: MemoryWorker, clock: WallClock, seconds: int, **outcome: Any) -> int:
    """Let seconds pass, each call answered at once; how many there were."""
    done = len(calls(worker))
    for _ in range(seconds):
        clock.advance(1)
        for call in calls(worker)[done:]:
            answer(worker, call, **outcome)
            done += 1
    return len(calls(worker))


def _counting(computed: list[datetime]) -> Callable[[Expression, datetime], datetime | None]:
    after = Expression.after

    def counted(self: Expression, moment: datetime) -> datetime | None:
        computed.append(moment)
        return after(self, moment)

    return counted


def test_core_2_thousands_of_schedules_of_one_worker_start_in_turns(
    worker: MemoryWorker, cron: Cron, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binding one computes no time at all; each turn begins with a few."""
    computed: list[datetime] = []
    monkeypatch.setattr(Expression, "after", _counting(computed))
    clock.advance(0.2)
    for number in range(200):
        bind(worker, f"0 {number % 60} 9 * * 1", f"t{number}")
    assert not computed
    call_at = clock.call_at
    starts: list[int] = []  # of turns, in times computed until then

    def noted(when: float, callback: Callable[[], None]) -> Any:
        if when == clock.now():
            starts.append(len(computed))
        return call_at(when, callback)

    monkeypatch.setattr(clock, "call_at", noted)
    clock.advance(0.001)
    assert all(job.next_ms > 0 for job in cron.jobs.values())
    assert len(starts) == 9  # the first one was ordered before they were noted
    assert (
        max(after - before for before, after in pairwise([0, *starts, len(computed)])) <= 20 * 4
    )  # three for the log (04 §12.3)


def test_core_2_a_schedule_that_is_taken_back_at_once_never_starts(
    worker: MemoryWorker, cron: Cron, clock: WallClock
) -> None:
    clock.advance(0.2)
    bind(worker)
    worker.say({"type": "unregistertrigger", "id": "t"})
    clock.advance(3)
    assert calls(worker) == []
    assert not cron.jobs


def test_04_check_42_once_a_second_with_its_event(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker)
    assert answer_all(worker, clock, 5, result=None) == 5
    events = [call["data"] for call in calls(worker)]
    assert all(event["trigger"] == "cron" and event["job_id"] == "t" for event in events)
    assert len({event["scheduled_time"] for event in events}) == 5
    assert all(event["scheduled_time"].endswith("+00:00") for event in events)
    assert all(event["actual_time"] >= event["scheduled_time"][:19] for event in events)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"expression": "not a cron"}, "Invalid cron expression 'not a cron': "),
        ({"expression": None}, "Cron expression is required"),
        ({"expression": ""}, "Cron expression is required"),
        ({"expression": 5}, "Cron expression is required"),
        ({"expression": "@daily", "timezone": "Mars/Base"}, "Invalid timezone 'Mars/Base'"),
        ({"expression": "@daily", "timezone": "../etc/passwd"}, "Invalid timezone"),
        ({"expression": "@daily", "timeout_ms": "x"}, "Failed to parse trigger config"),
    ],
)
def test_04_check_43_what_is_no_schedule(
    worker: MemoryWorker, clock: WallClock, cron: Cron, config: dict[str, Any], message: str
) -> None:
    bind(worker, **config)
    error = refusal(worker, clock)
    assert error["code"] == "trigger_registration_failed"
    assert error["message"].startswith(message)
    assert not cron.jobs


@pytest.mark.parametrize(
    ("outcome", "called"),
    [
        ({"result": False}, 0),
        ({"result": None}, 3),
        ({"result": "x"}, 3),
        ({"error": {"code": "E", "message": "m"}}, 0),
    ],
)
def test_04_check_44_conditions(worker: MemoryWorker, clock: WallClock, outcome: dict[str, Any], called: int) -> None:
    worker.say({"type": "registerfunction", "id": "when"})
    bind(worker, condition_function_id="when")
    for number in range(3):
        clock.advance(1)
        answer(worker, calls(worker, "when")[number], **outcome)
        for call in calls(worker)[number:]:
            answer(worker, call, result=None)
    assert len(calls(worker, "when")) == 3
    assert len(calls(worker)) == called


def test_T7_a_condition_without_answer_skips_after_30_s(worker: MemoryWorker, clock: WallClock) -> None:
    worker.say({"type": "registerfunction", "id": "when"})
    bind(worker, condition_function_id="when")
    clock.advance(1)
    clock.advance(29)
    assert len(calls(worker, "when")) == 1
    clock.advance(3)
    assert len(calls(worker, "when")) == 2
    assert not calls(worker)


def test_04_check_45_calls_never_overlap_and_nothing_is_caught_up(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker)
    clock.advance(1)
    (first,) = calls(worker)
    clock.advance(2.5)
    assert len(calls(worker)) == 1
    answer(worker, first, result=None)
    assert len(calls(worker)) == 1
    clock.advance(1)
    assert len(calls(worker)) == 2


def test_04_check_46_an_error_of_the_handler_ends_nothing(
    worker: MemoryWorker, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    bind(worker)
    assert answer_all(worker, clock, 3, error={"code": "E", "message": "broken"}) == 3
    assert "Cron job failed (job=" in caplog.text
    assert "E: broken" in caplog.text


def test_a_function_that_is_not_there_loses_the_tick_only(worker: MemoryWorker, clock: WallClock) -> None:
    worker.say({"type": "unregisterfunction", "id": "job"})
    bind(worker)
    clock.advance(3)
    worker.say({"type": "registerfunction", "id": "job"})
    clock.advance(1)
    assert len(calls(worker)) == 1


def test_04_check_47_unregistered_is_never_called_again(worker: MemoryWorker, clock: WallClock, cron: Cron) -> None:
    bind(worker)
    clock.advance(1)
    worker.say({"type": "unregistertrigger", "id": "t", "trigger_type": "cron"})
    clock.advance(10)
    assert len(calls(worker)) == 1
    assert not cron.jobs
    assert not KvLocks.entries


def test_04_check_47_a_lock_of_another_owner(worker: MemoryWorker, clock: WallClock) -> None:
    KvLocks.entries["cron_locks", "t"] = ("another", clock.now() + 4.5)
    bind(worker)
    clock.advance(4)
    assert not calls(worker)
    clock.advance(1)
    assert len(calls(worker)) == 1


TICK = Tick("job", "schedule", 0, 1000)


def test_04_check_50_locks(clock: WallClock) -> None:
    KvLocks.entries.clear()
    ours, theirs = KvLocks(clock, "x", 1000), KvLocks(clock, "x", 1000)
    said: list[bool] = []
    ours.acquire(TICK, said.append)
    theirs.acquire(TICK, said.append)
    theirs.release("job")
    theirs.acquire(TICK, said.append)
    clock.advance(1.1)
    theirs.acquire(TICK, said.append)
    assert said == [True, False, False, True]
    ours.release("job")
    theirs.release("job")
    assert not KvLocks.entries


def test_C14_two_equal_bindings_of_one_engine_both_fire(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker)
    bind(worker, trigger_id="another")
    clock.advance(1)
    assert sorted(call["data"]["job_id"] for call in calls(worker)) == ["another", "t"]


async def test_04_s12_2_a_scheduler_that_stops_takes_no_more(
    worker: MemoryWorker, clock: WallClock, cron: Cron
) -> None:
    await cron.quiet()
    bind(worker)
    assert refusal(worker, clock)["message"] == "cron scheduler is shutting down; cannot register job 't'"


def test_the_same_id_again_replaces(worker: MemoryWorker, clock: WallClock, cron: Cron) -> None:
    bind(worker)
    bind(worker, "0 * * * * *")
    clock.advance(10)
    assert len(cron.jobs) == 1
    assert len(calls(worker)) <= 1


def test_the_next_times_are_in_the_log(
    worker: MemoryWorker, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        bind(worker, "0 0 9 * * 1", timezone="Europe/Berlin")
        bind(worker, "0 0 0 30 2 *", "never")
        clock.advance(0.2)
    assert "cron.scheduled" in [getattr(record, "event", None) for record in caplog.records]
    assert "2025-10-" in caplog.text
    assert "never fires again" in caplog.text


def test_a_call_may_have_a_limit(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker, timeout_ms=1500)
    clock.advance(1)
    clock.advance(1.4)
    assert len(calls(worker)) == 1
    clock.advance(1)
    assert len(calls(worker)) == 2


def test_P7_a_worker_that_takes_too_long_is_told_to_stop(
    engine: MemoryEngine, worker: MemoryWorker, clock: WallClock
) -> None:
    engine.core.add_module(EngineFunctions(engine.core))  # takes announcements, and their features with them
    modern = engine.connect(name="modern", functions=["modern"], features=["cancel.v1"])
    trigger = {"type": "registertrigger", "id": "m", "trigger_type": "cron", "function_id": "modern"}
    modern.say({**trigger, "config": {"expression": "* * * * * *", "timeout_ms": 1500}})
    clock.advance(1)
    clock.advance(1.4)
    assert modern.heard("cancelinvocation") == []
    clock.advance(0.2)
    assert [each["invocation_id"] for each in modern.heard("cancelinvocation")] == [
        calls(modern, "modern")[0]["invocation_id"]
    ]


def test_clock_set_forwards_fires_at_most_late(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker, "0 */10 * * * *")
    clock.advance(1)
    clock.set_by_ms = 3_600_000 * 5  # five hours: the machine slept, or was wrong
    clock.advance(61)
    fired = calls(worker)
    assert len(fired) <= 1
    for call in fired:
        answer(worker, call, result=None)
    clock.advance(600)
    assert len(calls(worker)) == len(fired) + 1


def test_clock_set_backwards_fires_no_second_twice(worker: MemoryWorker, clock: WallClock) -> None:
    bind(worker)
    answer_all(worker, clock, 3, result=None)
    clock.set_by_ms = -2000
    answer_all(worker, clock, 6, result=None)
    scheduled = [call["data"]["scheduled_time"] for call in calls(worker)]
    assert scheduled == sorted(set(scheduled))
    assert len(scheduled) == 7


def test_numbering_is_configured_and_bindings_go_with_the_module(clock: WallClock, engine: MemoryEngine) -> None:
    cron = Cron(
        engine.core, CronConfig(day_of_week="quartz", adapter=AdapterConfig(class_="modules::cron::KvCronAdapter"))
    )
    engine.core.add_module(cron)
    worker = engine.connect()
    worker.announce(name="w")
    bind(worker, "0 0 0 * * 0")
    assert "day of week 0 is out of range: expected 1 (Sunday) to 7" in refusal(worker, clock)["message"]


def test_clock_that_was_far_ahead_silences_nothing(worker: MemoryWorker, clock: WallClock) -> None:
    """04 §12.4: a wrong clock at the start, corrected later."""
    clock.set_by_ms = 4 * 365 * 24 * 3_600_000
    bind(worker, "0 * * * * *")
    clock.advance(5)
    clock.set_by_ms = 0
    for _ in range(10):
        clock.advance(60)
        for call in calls(worker)[-1:]:
            answer(worker, call, result=None)
    assert len(calls(worker)) >= 8


def test_late_answer_begins_no_second_row_of_ticks(worker: MemoryWorker, clock: WallClock) -> None:
    """A condition that answers at once, and a function that answers after its limit."""
    due: list[dict[str, Any]] = []

    def asked(frame: bytes) -> None:
        message = json.loads(frame)
        if message.get("function_id") == "decides" and message["type"] == "invokefunction":
            worker.answer(message, True)
        elif message["type"] == "invokefunction":
            due.append(message)

    worker.link.on_send = asked
    worker.register("decides")
    bind(worker, condition_function_id="decides", timeout_ms=1500)
    for _ in range(60):
        clock.advance(0.5)
        if len(due) > 1:
            worker.answer(due[-2])  # its limit is over, the next one runs
    scheduled = [call["data"]["scheduled_time"] for call in due]
    assert scheduled == sorted(set(scheduled))
    assert 10 <= len(scheduled) <= 16


@pytest.mark.parametrize("timeout_ms", [0, -5])
def test_limit_that_is_none(worker: MemoryWorker, clock: WallClock, timeout_ms: int) -> None:
    bind(worker, timeout_ms=timeout_ms)
    assert "timeout_ms" in refusal(worker, clock)["message"]


def test_member_that_is_misspelt_is_told_of(
    worker: MemoryWorker, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    bind(worker, "0 9 * * *", time_zone="Europe/Berlin")
    clock.advance(1)
    assert "member=time_zone, hint=\"did you mean 'timezone'?\"" in caplog.text
