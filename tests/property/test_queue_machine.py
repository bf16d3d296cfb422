"""The queue against a simple model, with fake time, writes that commit when the test says so, and crashes (issue 6)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iii.engine.engine_functions import EngineFunctions
from iii.modules.queue.adapter import QueueOrTopic
from iii.modules.queue.config import BuiltinConfig, QueueConfig
from iii.modules.queue.embedded.adapter import BuiltinAdapter
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.module import Queue
from iii.testing import FakeClock, MemoryEngine
from tests.property.late_database import LateDatabase

QUEUES: dict[str, dict[str, Any]] = {
    "standard": {"concurrency": 2, "max_retries": 2, "backoff_ms": 100, "max_priority": 3},
    "fifo": {"type": "fifo", "message_group_field": "group", "max_retries": 2, "backoff_ms": 100},
    "groups": {
        "type": "fifo", "message_group_field": "group", "parallel_groups": True, "concurrency": 2, "max_retries": 2,
        "backoff_ms": 100,
    },
}  # fmt: skip
LIMITS = {"standard": 2, "fifo": 1, "groups": 2}
ATTEMPTS = 2
FUNCTIONS = "fgh"
SMALL = {
    "consume.head._WINDOW": 3, "consume.head._PAGE": 3, "consume.head._PARKED": 2, "consume.head._MISSING_TARGETS": 2, "consume.page_turns._PAGES": 2,
    "jobs.waiting._SKIPPED_AT_ONCE": 2, "jobs.waiting._LOOKED_AT_ONCE": 2,
}  # so that every edge is met  # fmt: skip
LARGE = "x" * 20_000  # read when it is delivered


class QueueMachine(RuleBasedStateMachine):
    """Jobs are numbers; the worker's answers are rules."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for name, size in SMALL.items():
            self.patch.setattr(f"iii.modules.queue.{name}", size)
        self.loop = asyncio.new_event_loop()  # for what awaits; nothing really waits
        self.clock = FakeClock()
        self.database = LateDatabase()
        self._run(self.database.open())
        self.number = 0
        self.jobs: dict[int, tuple[str, str]] = {}  # queue and group of each
        self.calls: dict[str, int] = {}  # unanswered enqueues
        self.accepted: set[int] = set()
        self.done: set[int] = set()  # its success is in the store, as far as the queue has told
        self.finished: set[int] = set()  # succeeded at least once
        self.deliveries: Counter[int] = Counter()
        self.allowance: Counter[int] = Counter()  # deliveries beyond the attempts: crashes, departures, redrives
        self.running: dict[int, dict[str, Any]] = {}
        self.started: list[int] = []
        self.paused: set[str] = set()
        self.purges: list[tuple[asyncio.Task[Any], set[int]]] = []  # and cancellations
        self.purged: set[int] = set()  # or spared, as they had begun
        self._open()

    @staticmethod
    def _run(work: Any) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")

    def _open(self) -> None:
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions], spawn=self._run)
        config = msgspec.convert({"queue_configs": QUEUES}, QueueConfig)
        queue = self.queue = Queue(self.engine.core, config)
        self.store = JobStore(lambda rolled_back: self.database, SteadyTime(self.clock))
        queue.adapter = BuiltinAdapter(self.engine.core, self.store, config, BuiltinConfig())
        self.engine.core.add_module(queue)

        async def start() -> None:
            self.database.open = _already_open  # type: ignore[method-assign]
            await queue.start()

        self._run(start())
        self.caller = self.engine.connect(name="caller")
        self._connect()

    def _connect(self) -> None:
        self.worker = self.engine.connect(name="worker")
        self.worker.link.on_send = self._asked
        self.present = set("f")
        self.worker.register("f")

    def _asked(self, frame: bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "invokefunction":
            number = message["data"]["number"]
            assert number not in self.running, "twice at a time"
            assert self.jobs[number][0] not in self.paused, "begun while its queue is paused"
            assert number in self.kept(), "begun after it was removed"
            self.running[number] = message
            self.deliveries[number] += 1
            self.started.append(number)

    # -- what happens ---------------------------------------------------------------------------------------------

    @rule(
        queue=st.sampled_from(sorted(QUEUES)),
        group=st.sampled_from("ab"),
        function_id=st.sampled_from(FUNCTIONS),
        priority=st.sampled_from([0, 0, 3]),
        large=st.sampled_from([False, False, True]),
        times=st.sampled_from([1, 1, 4]),
    )
    def enqueue(self, queue: str, group: str, function_id: str, priority: int, large: bool, times: int) -> None:
        for _ in range(times):
            self.number += 1
            self.jobs[self.number] = (queue, group)
            data: dict[str, Any] = {"number": self.number, "group": group, **({"large": LARGE} if large else {})}
            action: dict[str, Any] = {"type": "enqueue", "queue": queue}
            if queue == "standard":
                action["priority"] = priority
            call = self.caller.start_call(function_id, data, action=action)
            assert self.caller.answer_to(call) is None, "told before it was durable"
            self.calls[call] = self.number

    @rule(function_id=st.sampled_from(FUNCTIONS))
    def function_comes_or_goes(self, function_id: str) -> None:
        """Jobs of one that is missing wait, and take no attempt."""
        if function_id in self.present:
            self.present.remove(function_id)
            self.worker.unregister(function_id)
        else:
            self.present.add(function_id)
            self.worker.register(function_id)

    @rule(count=st.integers(1, 10))
    def commit(self, count: int) -> None:
        self.database.commit(count)

    @rule(count=st.integers(1, 10))
    def tell(self, count: int) -> None:
        self.database.tell(count)
        self._hear()
        self._go_on()

    @rule()
    def look(self) -> None:
        self.database.look()

    def _go_on(self) -> None:
        """What awaits."""
        for _ in range(5):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.purges = [(purge, numbers) for purge, numbers in self.purges if not purge.done()]

    def _hear(self) -> None:
        for call, number in list(self.calls.items()):
            answer = self.caller.answer_to(call)
            if answer is not None:
                assert "error" not in answer, answer
                self.accepted.add(number)
                del self.calls[call]

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.running)))
        message = self.running.pop(number)
        self.finished.add(number)
        self.worker.answer(message)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.running)))
        self.worker.answer(self.running.pop(number), error={"code": "boom", "message": "no"})

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def crash(self) -> None:
        """Everything in memory is gone; a job may be delivered once more than its attempts allow."""
        for number in self.jobs:
            self.allowance[number] += 1
        for purge, _ in self.purges:
            purge.cancel()
        self._go_on()
        self.database.forget()
        self.calls.clear()
        self.running.clear()
        self.started.clear()
        for timer in list(self.clock.timers):
            timer.cancel()
        self._open()

    @rule()
    def worker_leaves_and_comes_back(self) -> None:
        self.running.clear()
        self.worker.drop()
        self._connect()

    @precondition(lambda self: self.database.at_rest)
    @rule(queue=st.sampled_from(sorted(QUEUES)))
    def redrive(self, queue: str) -> None:
        for number in self._dead(queue):
            self.allowance[number] += ATTEMPTS
        self._redrive(queue)

    def _redrive(self, queue: str) -> None:
        self._call("iii::queue::redrive", queue=queue)

    def _call(self, function_id: str, **payload: Any) -> Any:
        """At once, whatever waits."""

        async def called() -> Any:
            return self.caller.result_of(function_id, payload)

        self.database.late = False
        try:
            return self.loop.run_until_complete(called())
        finally:
            self.database.late = True

    @precondition(lambda self: self.database.at_rest)
    @rule(queue=st.sampled_from(sorted(QUEUES)), paused=st.booleans())
    def pause_or_resume(self, queue: str, paused: bool) -> None:
        if not paused:
            self.paused.discard(queue)
        self._call(f"engine::queue::{'pause' if paused else 'resume'}", queue=queue)
        if paused:
            self.paused.add(queue)

    @rule(queue=st.sampled_from(sorted(QUEUES)))
    def purge(self, queue: str) -> None:
        """While everything else goes on."""
        numbers = {number for number, (of, _) in self.jobs.items() if of == queue} - self.running.keys()
        self.purged |= numbers
        adapter = self.queue.adapter
        purge = self.loop.create_task(adapter.purge(QueueOrTopic(self.queue.queues[queue], None)))
        self.purges.append((purge, numbers))
        self._go_on()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """While everything else goes on, whatever the job does at the moment."""
        number = data.draw(st.sampled_from(sorted(self.jobs)))
        found = self.database.reader.execute(
            "SELECT id FROM jobs WHERE json_extract(data, '$.number') = ?", (number,)
        ).fetchone()
        if found is not None:
            self.purged.add(number)
            self.running.pop(number, None)  # its answer would be dropped
            cancelling = self.queue.adapter.cancel(found[0], None)
            self.purges.append((self.loop.create_task(cancelling), {number}))
            self._go_on()

    # -- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def limits_are_kept(self) -> None:
        for queue, limit in LIMITS.items():
            groups = [self.jobs[number][1] for number in self.running if self.jobs[number][0] == queue]
            assert len(groups) <= limit
            if queue != "standard":
                assert len(set(groups)) == len(groups), "two of a group at a time"

    @invariant()
    def no_accepted_job_is_lost(self) -> None:
        kept = self.kept()
        for number in self.accepted - self.finished - self.purged:
            assert kept[number] == 1, f"job {number} is kept {kept[number]} times"

    @invariant()
    def no_job_is_delivered_too_often(self) -> None:
        for number, count in self.deliveries.items():
            assert count <= ATTEMPTS + self.allowance[number]

    @invariant()
    def groups_keep_their_order(self) -> None:
        """A job never begins while an earlier one of its group is left to do."""
        for number in self.running:
            queue, group = self.jobs[number]
            if queue == "standard" or self.allowance[number] >= ATTEMPTS:  # redriven: behind the others
                continue
            waiting = {
                row[0] for row in self.database.reader.execute("SELECT json_extract(data, '$.number') FROM jobs")
            }
            earlier = [
                other
                for other in waiting
                if other < number and self.jobs[other] == (queue, group) and not self.allowance[other]
            ]
            assert not earlier, f"{number} runs before {earlier}"

    def teardown(self) -> None:
        """Left alone with a worker that has all functions and always succeeds, everything gets done."""
        self.worker.register(*(function_id for function_id in FUNCTIONS if function_id not in self.present))
        paused, self.paused = self.paused, set()
        for _ in range(400):
            self.database.commit(len(self.database.waiting))
            self.database.tell(len(self.database.committed))
            self.database.look()
            self._hear()
            self._go_on()
            if self.database.at_rest and not self.purges:
                while paused:
                    self._call("engine::queue::resume", queue=paused.pop())
            for number in list(self.running):
                self.succeed_one(number)
            self.clock.advance(1.0)
            if not self.running and self.database.at_rest and not self._left():
                break
        kept = self.kept()
        dead = {number for queue in QUEUES for number in self._dead(queue)}
        assert set(kept) == dead, "something is left"
        assert self.accepted <= self.finished | dead | self.purged
        assert not self.purges, "a purge does not end"
        self.loop.close()
        self.patch.undo()

    def _left(self) -> bool:
        return bool(self.database.reader.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def succeed_one(self, number: int) -> None:
        message = self.running.pop(number)
        self.finished.add(number)
        self.worker.answer(message)

    def kept(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for table in ("jobs", "dead"):
            found.update(
                row[0] for row in self.database.reader.execute(f"SELECT json_extract(data, '$.number') FROM {table}")
            )
        return found

    def _dead(self, queue: str) -> list[int]:
        letters = self._call("engine::queue::dlq_messages", topic=queue, limit=1000)
        return [letter["payload"]["number"] for letter in letters]


async def _already_open() -> None:
    """The rows are there."""


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=100, stateful_step_count=50)


def test_13_5_a_job_that_comes_due_while_it_is_purged_does_not_begin() -> None:
    machine = QueueMachine()
    machine.enqueue("standard", "a", "f", 0, False, 1)
    machine.commit(1)
    machine.tell(1)
    machine.worker.answer(machine.running.pop(1), error={"code": "boom", "message": "no"})
    machine.commit(1)
    machine.tell(1)
    machine.wait(0.2)
    machine.commit(1)  # it waits again, and the consumer does not know yet
    machine.purge("standard")
    for _ in range(4):
        machine.commit(1)
        machine.tell(1)
    assert not machine.purges
    machine.wait(1.0)
    assert (machine.started, machine.kept()) == ([1], Counter())
    machine.teardown()
