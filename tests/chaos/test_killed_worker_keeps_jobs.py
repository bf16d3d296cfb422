"""kill -9 of workers in the middle of their jobs: redelivered, attempts counted, order of a group kept (issue 6, C11)."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.processes import EngineProcess, LineProcess

KILLS = 12
JOBS = 400
ATTEMPTS = 50  # none shall die: a worker that is killed costs one
CONFIG = f"""\
workers:
  - {{name: iii-worker-manager, config: {{host: 127.0.0.1, port: {{port}}}}}}
  - name: iii-queue
    config:
      adapter: {{name: builtin, config: {{store_method: file_based, file_path: data}}}}
      queue_configs:
        work: {{max_retries: {ATTEMPTS}, backoff_ms: 1, concurrency: 16}}
        order: {{type: fifo, message_group_field: group, parallel_groups: true, max_retries: {ATTEMPTS}, backoff_ms: 1}}
        once: {{max_retries: 1}}
"""
WORKER = """
import asyncio, sys, iii

worker = iii.register_worker(sys.argv[1], iii.InitOptions(worker_name="victim", otel={"enabled": False}))

def say(what, job):
    sys.stdout.write(f"{what} {job['queue']} {job['group']} {job['number']}\\n")
    sys.stdout.flush()

@worker.function("victim::work")
async def work(job):
    say("begin", job)
    await asyncio.sleep(0.005)
    say("end", job)

@worker.function("victim::hang")
async def hang(job):
    print("hangs", flush=True)
    await asyncio.Event().wait()

print("registered", flush=True)
sys.stdin.read()
"""


class Victim:
    """A worker process; what all of them said is kept in one list."""

    def __init__(self, engine: EngineProcess, said: list[list[str]]) -> None:
        self.process = LineProcess(
            [sys.executable, "-c", WORKER, engine.url],
            on_line=lambda line: said.extend([words] if (words := line.split()) else []),
        )


async def connected(engine: EngineProcess) -> iii.Worker:
    options = iii.InitOptions(worker_name="producer", enable_metrics_reporting=False, otel={"enabled": False})
    return await iii.connect_worker(engine.url, options)


async def until(condition: Any, deadline_s: float = 60.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_jobs_of_killed_workers_are_done_by_the_next(tmp_path: Path) -> None:
    chance = random.Random(7)
    said: list[list[str]] = []
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        producer = await connected(engine)
        victim = Victim(engine, said)
        await until(lambda: ["registered"] in said)

        async def enqueue(number: int, queue: str) -> None:
            job = {"queue": queue, "group": f"g{number % 4}", "number": number}
            action = iii.TriggerAction.Enqueue(queue=queue)
            await producer.trigger_async({"function_id": "victim::work", "payload": job, "action": action})

        async def produce() -> None:
            for number in range(JOBS):
                await asyncio.gather(enqueue(number, "work"), enqueue(number, "order"))

        producing = asyncio.create_task(produce())
        for _ in range(KILLS):
            begun = len(said)
            await until(lambda begun=begun: len(said) > begun + 20 or producing.done())
            await asyncio.sleep(chance.random() * 0.02)
            victim.process.kill()
            victim = Victim(engine, said)
        await producing
        ends = {("end", queue, f"g{number % 4}", str(number)) for queue in ("work", "order") for number in range(JOBS)}
        await until(lambda: ends <= {tuple(line) for line in said})  # besides, what a killed worker said in part
        assert await dead(producer, "work") == await dead(producer, "order") == []
        victim.process.kill()
        await producer.shutdown_async()
    for group in range(4):
        order = [int(line[3]) for line in said if line[:3] == ["begin", "order", f"g{group}"]]
        assert order == sorted(order), "a job began before one of its group was done"
        assert set(order) == set(range(group, JOBS, 4))
    assert sum(line[0] == "begin" for line in said) > 2 * JOBS, "nothing was redelivered"


@pytest.mark.timeout(600)
async def test_a_killed_worker_costs_an_attempt_and_a_killed_engine_none(tmp_path: Path) -> None:
    said: list[list[str]] = []
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        victim = Victim(engine, said)
        await until(lambda: ["registered"] in said)
        producer = await connected(engine)
        action = iii.TriggerAction.Enqueue(queue="once")
        await producer.trigger_async({"function_id": "victim::hang", "payload": {"n": 1}, "action": action})
        await until(lambda: said.count(["hangs"]) == 1)
        await producer.shutdown_async()
        engine.restart()
        await until(lambda: said.count(["hangs"]) == 2)  # the only attempt, once more
        producer = await connected(engine)
        assert await dead(producer, "once") == []
        victim.process.kill()
        async with asyncio.timeout(60):
            while not (letters := await dead(producer, "once")):  # noqa: ASYNC110 - it asks the engine
                await asyncio.sleep(0.02)
        assert letters[0]["retries"] == 1
        assert letters[0]["error"].startswith("invocation_stopped: ")
        await producer.shutdown_async()


async def dead(worker: iii.Worker, queue: str) -> list[dict[str, Any]]:
    payload = {"topic": queue, "limit": 1000}
    found: list[dict[str, Any]] = await worker.trigger_async(
        {"function_id": "engine::queue::dlq_messages", "payload": payload}
    )
    return found
