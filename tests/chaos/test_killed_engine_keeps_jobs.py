"""kill -9 of the engine while jobs come, run, fail and die: no accepted one is lost (issue 6; 04 §7.2, check 20)."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.machine import scaled
from tests.processes import EngineProcess

KILLS = int(os.environ.get("III_TEST_KILLS", "60"))  # 200 before a release: each kill is a case of its own
PRODUCERS = CONSUMERS = 4
LONGEST_S = 0.15  # from the first job to the kill
ATTEMPTS = 3
QUEUES = "{{max_retries: {attempts}, backoff_ms: 20, concurrency: 8, {more}}}"
CONFIG = f"""\
workers:
  - {{name: iii-worker-manager, config: {{host: 127.0.0.1, port: {{port}}}}}}
  - name: iii-queue
    config:
      adapter: {{name: builtin, config: {{store_method: file_based, file_path: data}}}}
      queue_configs:
        work: {QUEUES.format(attempts=ATTEMPTS, more="type: standard")}
        order: {QUEUES.format(attempts=ATTEMPTS, more="type: fifo, message_group_field: group, parallel_groups: true")}
"""


def always_fails(number: int) -> bool:
    return number % 7 == 0


class Ledger:
    """What was promised, and what was seen."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.kills = 0
        self.accepted: dict[str, set[int]] = {"work": set(), "order": set(), "t": set()}
        self.sent_at: dict[int, int] = {}  # kills by then
        self.deliveries: dict[str, dict[int, int]] = {name: defaultdict(int) for name in self.accepted}
        self.last_at: dict[str, dict[int, int]] = {name: {} for name in self.accepted}
        self.succeeded: dict[str, set[int]] = {name: set() for name in self.accepted}
        self.order: dict[str, list[int]] = defaultdict(list)
        self.dead = 0

    def run(self, job: dict[str, Any]) -> None:
        """One delivery: what always fails fails, every fifth fails once."""
        queue, number = job["queue"], job["number"]
        self.deliveries[queue][number] += 1
        self.last_at[queue][number] = self.kills
        if queue != "work":
            self.order[f"{queue} {job['group']}"].append(number)
        if always_fails(number) or (number % 5 == 0 and self.deliveries[queue][number] == 1):
            raise iii.InvocationError("boom", f"job {number} fails")
        self.succeeded[queue].add(number)

    async def produce(self, worker: iii.Worker, producer: int) -> None:
        """Until the engine is gone."""
        while True:
            for queue in self.accepted:
                number = next(self.numbers)
                self.sent_at[number] = self.kills
                job = {"queue": queue, "number": number, "group": f"g{producer}"}
                function_id = f"consume{number % CONSUMERS}" if queue == "work" else f"consume{producer}"
                if queue == "t":
                    request: Any = {
                        "function_id": "iii::durable::publish",
                        "payload": {"topic": f"t{producer}", "data": job},
                    }
                else:
                    request = {
                        "function_id": function_id,
                        "payload": job,
                        "action": iii.TriggerAction.Enqueue(queue=queue),
                    }
                await worker.trigger_async(request)
                self.accepted[queue].add(number)


async def connected(engine: EngineProcess, name: str) -> iii.Worker:
    reconnection = iii.ReconnectionConfig(initial_delay_ms=5, max_delay_ms=20)
    options = iii.InitOptions(
        worker_name=name, enable_metrics_reporting=False, otel={"enabled": False}, reconnection_config=reconnection
    )
    return await iii.connect_worker(engine.url, options)


async def consumer(engine: EngineProcess, number: int, ledger: Ledger) -> iii.Worker:
    worker = await connected(engine, f"consumer {number}")

    async def consume(job: dict[str, Any]) -> None:
        ledger.run(job)

    worker.register_function(f"consume{number}", consume)
    worker.on_queue(f"t{number}", fifo=True, max_retries=ATTEMPTS - 1, backoff_ms=20, function_id=f"topic{number}")(
        consume
    )
    return worker


async def until_killed(engine: EngineProcess, ledger: Ledger, after_s: float) -> None:
    worker = await connected(engine, "producer")
    work = [asyncio.ensure_future(ledger.produce(worker, number)) for number in range(PRODUCERS)]
    await asyncio.sleep(after_s)
    engine.kill()
    ledger.kills += 1
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await worker.shutdown_async()


async def dead_letters(worker: iii.Worker) -> dict[str, list[int]]:
    found = {}
    for queue, topics in {"work": ["work"], "order": ["order"], "t": [f"t{n}" for n in range(PRODUCERS)]}.items():
        letters: list[Any] = []
        for topic in topics:
            payload = {"topic": topic, "limit": 1_000_000}
            letters += await worker.trigger_async({"function_id": "engine::queue::dlq_messages", "payload": payload})
        found[queue] = [letter["payload"]["number"] for letter in letters]
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_kills_lose_no_accepted_job(tmp_path: Path) -> None:
    chance = random.Random(6)
    ledger = Ledger()
    longest_s = scaled(LONGEST_S)
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        consumers = [await consumer(engine, number, ledger) for number in range(CONSUMERS)]
        for _ in range(KILLS):
            await until_killed(engine, ledger, chance.random() * longest_s)
            engine.restart()
        asker = await connected(engine, "asker")

        async def all_done() -> bool:
            dead = await dead_letters(asker)
            assert sum(map(len, dead.values())) >= ledger.dead, "dead letters are gone"
            ledger.dead = sum(map(len, dead.values()))
            return all(ledger.accepted[queue] <= ledger.succeeded[queue] | set(dead[queue]) for queue in dead)

        async with asyncio.timeout(300):
            while not await all_done():  # noqa: ASYNC110 - it asks the engine
                await asyncio.sleep(0.1)
        check(ledger, await dead_letters(asker))
        for worker in (asker, *consumers):
            await worker.shutdown_async()


def check(ledger: Ledger, dead: dict[str, list[int]]) -> None:
    for queue, letters in dead.items():
        assert len(letters) == len(set(letters)), "one job, two dead letters"
        assert all(map(always_fails, letters)), "a job died that could succeed"
        for number, count in ledger.deliveries[queue].items():
            crashes = ledger.last_at[queue][number] - ledger.sent_at[number]
            assert count <= ATTEMPTS + crashes, f"{queue} job {number}: {count} deliveries, {crashes} crashes"
    for group, numbers in ledger.order.items():
        assert numbers == sorted(numbers), f"{group} lost its order"
    assert sum(map(len, ledger.accepted.values())) > KILLS * PRODUCERS, "hardly anything was accepted"
    assert sum(map(len, dead.values())) > KILLS / 4, "hardly anything died"
    repeated = sum(count > 1 for counts in ledger.deliveries.values() for count in counts.values())
    assert repeated > KILLS, "hardly anything was delivered twice"
