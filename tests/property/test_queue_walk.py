"""Long random walks of the queue beside a naive model, with every bound so small that its edges are met all the time.

Where the state machine looks at few steps in every way, these take hundreds of steps in one: jobs of several functions that come
and go, groups, priorities, large jobs, failures, redrives, crashes; commits and their tellings are two moments.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from iii.modules.queue.consume.consumer import ConsumerState
from iii.testing import MemoryWorker
from tests.property.late_database import LateDatabase
from tests.unit.modules.queue.house import House

ATTEMPTS = 3
WALKS = 40  # of each kind


class Job:
    """What the model knows of one."""

    def __init__(self, key: tuple[int, int], group: int, function_id: str) -> None:
        self.key = key
        self.group = group
        self.function_id = function_id
        self.state = "waiting"
        self.failures = 0

    @property
    def left(self) -> bool:
        return self.state not in ("done", "dead")


class Walk:
    def __init__(self, seed: int, kind: set[str], patch: pytest.MonkeyPatch) -> None:
        self.chance = random.Random(seed)
        self.kind = kind
        choice = self.chance.choice
        window, page = choice([(1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 2)])
        for name, size in {
            "consume.head._WINDOW": window, "consume.head._PAGE": page, "consume.page_turns._PAGES": choice([1, 2, 4]),
            "consume.head._MISSING_TARGETS": choice([1, 2, 100]), "consume.delays._DUE_AT_ONCE": choice([1, 2, 256]),
            "jobs.letters._REDRIVEN_AT_ONCE": choice([1, 2, 500]), "consume.head._PARKED": choice([1, 2, 100]),
            "jobs.waiting._SKIPPED_AT_ONCE": choice([1, 2, 5, 100]), "jobs.waiting._LOOKED_AT_ONCE": choice([1, 2, 5]),
        }.items():  # fmt: skip
            patch.setattr(f"iii.modules.queue.{name}", size)
        self.permits = choice([1, 2, 5])
        config: dict[str, Any] = {
            "max_retries": ATTEMPTS, "concurrency": self.permits, "backoff_ms": choice([0, 10, 1000]),
        }  # fmt: skip
        if "fifo" in kind:
            parallel = choice([True, False])
            config |= {"type": "fifo", "message_group_field": "group", "parallel_groups": parallel}
            self.permits = self.permits if parallel else 1
        if "priorities" in kind:
            config["max_priority"] = 9
        self.functions = [f"f{number}" for number in range(choice([2, 4, 8]))]
        self.groups = choice([1, 3, 12])
        self.house = House(queue_configs={"q": config})
        self.database = LateDatabase(late=False)
        self.house.adapter.store.database = self.database
        self.order = itertools.count(1)
        self.jobs: list[Job] = []
        self.present: set[str] = set()
        self.running: dict[int, dict[str, Any]] = {}

    async def walk(self) -> None:
        await self.house.start()
        self.connect()
        self.database.late = "late" in self.kind
        for _ in range(self.chance.choice([30, 100, 200])):
            await self.step()
            self.progress()
        self.end()

    def connect(self) -> None:
        self.worker: MemoryWorker = self.house.engine.connect(name="worker")
        self.worker.link.on_send = self.asked

    def asked(self, frame: bytes) -> None:
        message = json.loads(frame)
        if message["type"] != "invokefunction":
            return
        number = message["data"]["number"]
        job = self.jobs[number]
        assert job.state in ("waiting", "retry"), f"{number} starts while it is {job.state}"
        for other in self.jobs if "fifo" in self.kind else ():
            if other is not job and other.group == job.group:
                assert other.state != "running", f"two of group {job.group} at a time"
                assert not (other.left and other.key < job.key), f"group {job.group} lost its order"
        job.state = "running"
        self.running[number] = message
        assert len(self.running) <= self.permits, "more than allowed run"

    async def step(self) -> None:
        chance, draw = self.chance, self.chance.random()
        if draw < 0.40:
            for _ in range(chance.choice([1, 1, 3, 8])):
                self.enqueue()
        elif draw < 0.55:
            self.toggle(chance.choice(self.functions))
        elif draw < 0.80:
            count = min(len(self.running), chance.choice([1, 1, 2, 5]))
            for number in chance.sample(list(self.running), count):
                self.finish(number, succeeds=chance.random() < 0.6)
        elif draw < 0.88:
            self.house.clock.advance(chance.choice([0.001, 0.01, 1, 3]))
        elif draw < 0.90 and "late" not in self.kind:
            self.redrive()
        elif draw < 0.92 and "crashes" in self.kind:
            await self.crash()
        elif draw < 0.94:
            self.house.adapter.queues.consumers["q"].read_again()

    def enqueue(self) -> None:
        chance = self.chance
        priority = chance.randrange(10) if "priorities" in self.kind else 0
        job = Job((-priority, next(self.order)), chance.randrange(self.groups), chance.choice(self.functions))
        data: dict[str, Any] = {"number": len(self.jobs), "group": job.group}
        if chance.random() < 0.2:
            data["large"] = "x" * 20_000  # read when it is delivered
        self.jobs.append(job)
        action: dict[str, Any] = {"type": "enqueue", "queue": "q"}
        if "priorities" in self.kind:
            action["priority"] = priority
        self.house.caller.start_call(job.function_id, data, action=action)

    def toggle(self, function_id: str) -> None:
        if function_id in self.present:
            self.present.remove(function_id)
            self.worker.unregister(function_id)
        else:
            self.present.add(function_id)
            self.worker.register(function_id)

    def finish(self, number: int, succeeds: bool) -> None:
        message, job = self.running.pop(number), self.jobs[number]
        if succeeds:
            job.state = "done"
            self.worker.answer(message)
            return
        job.failures += 1
        job.state = "dead" if job.failures >= ATTEMPTS else "retry"
        self.worker.answer(message, error={"code": "boom", "message": "no"})

    def redrive(self) -> None:
        for number in self.numbers("SELECT data FROM dead ORDER BY place"):
            job = self.jobs[number]
            job.key, job.state, job.failures = (job.key[0], next(self.order)), "waiting", 0
        self.house.call("iii::queue::redrive", queue="q")

    async def crash(self) -> None:
        for number in self.running:
            self.jobs[number].state = "waiting"
        self.running.clear()
        self.present.clear()
        for timer in list(self.house.clock.timers):
            timer.cancel()
        database, self.database = self.database, LateDatabase(late=False)
        database.closed = True
        self.house.open()
        self.house.adapter.store.database = self.database
        await self.database.open()
        database.reader.backup(self.database.reader)
        self.database.open = already_open  # type: ignore[method-assign]
        await self.house.start()
        self.house.caller = self.house.engine.connect(name="caller")
        self.connect()

    def progress(self) -> None:
        if "late" in self.kind:
            for what in (self.database.commit, self.database.tell, self.database.look):
                if self.chance.random() < 0.5:
                    what()
        if self.chance.random() < 0.2:
            self.settle()
            self.nothing_waits_in_vain()

    def settle(self) -> None:
        for _ in range(60):
            while not self.database.at_rest:
                self.database.commit()
                self.database.tell()
                self.database.look()
            self.house.clock.advance(0.004)

    def nothing_waits_in_vain(self) -> None:
        """As long as there are permits, whatever can run runs."""
        consumer = self.house.adapter.queues.consumers["q"]
        if len(self.running) >= self.permits or consumer.state is ConsumerState.REOPENING:
            return
        for number in self.numbers("SELECT data FROM jobs WHERE ready_at IS NULL"):
            job = self.jobs[number]
            if job.state == "running" or job.function_id not in self.present:
                continue
            in_turn = "fifo" not in self.kind or not any(
                other.group == job.group and other.key < job.key and other.left for other in self.jobs
            )
            assert not in_turn, f"{number} could run, and it is {job.state}"

    def end(self) -> None:
        """With all functions there and no more failures everything gets done, once."""
        self.worker.register(*(each for each in self.functions if each not in self.present))
        for _ in range(3 * len(self.jobs) + 50):
            self.settle()
            for number in list(self.running):
                self.finish(number, succeeds=True)
            self.house.clock.advance(3)
            if not any(job.left for job in self.jobs):
                break
        self.settle()
        assert [number for number, job in enumerate(self.jobs) if job.left] == []
        assert self.numbers("SELECT data FROM jobs") == []
        head = self.house.adapter.queues.consumers["q"].head
        assert (head.held, head.busy_groups) == (0, 0)

    def numbers(self, query: str) -> list[int]:
        return [json.loads(data)["number"] for (data,) in self.database.reader.execute(query)]


async def already_open() -> None:
    """The rows are there."""


@pytest.mark.parametrize(
    "kind",
    [
        "standard",
        "fifo",
        "standard late",
        "fifo late",
        "priorities",
        "priorities late",
        "standard crashes",
        "fifo crashes",
    ],
)
async def test_nothing_is_lost_stuck_or_out_of_order(kind: str) -> None:
    """Issue 6, 04 §5.3, §5.4, §6."""
    for seed in range(WALKS):
        with pytest.MonkeyPatch.context() as patch:
            try:
                await Walk(seed, set(kind.split()), patch).walk()
            except AssertionError as error:
                raise AssertionError(f"walk {seed}: {error}") from error
