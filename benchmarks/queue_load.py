"""One process that enqueues jobs or does them, for one system: ours, JetStream through nats-py, or taskiq on Redis.

Says `{"ready": true}`, then answers each task:

- a producer `{"seconds": s, "window": w}` or `{"jobs": n, "window": w}`: keeps so many enqueues in flight; `{"calls", "seconds"}`
- a worker `{"count": true}`: `{"done": n}`, how many jobs it has done and acknowledged so far
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

CONCURRENCY = 64
PAYLOAD = {"payload": "x" * 85}  # about 100 bytes of JSON
SUBJECT = "jobs.bench"

Enqueue = Callable[[int], Awaitable[object]]


class Done:
    """How many jobs this process has done."""

    count = 0


async def ours(task: dict[str, Any], done: Done) -> Enqueue:
    import iii

    options = iii.InitOptions(
        worker_name=f"queue-{task['role']}-{task['number']}", otel={"enabled": False}, enable_metrics_reporting=False
    )
    worker = await iii.connect_worker(f"ws://127.0.0.1:{task['port']}", options)

    async def work(job: Any) -> None:
        done.count += 1

    if task["role"] == "worker":
        worker.register_function(f"bench::work{task['number']}", work)
        await worker.trigger_async({"function_id": "engine::functions::list"})
    action = iii.TriggerAction.Enqueue(queue="bench")
    workers = task["workers"]

    async def enqueue(number: int) -> object:
        request: Any = {"function_id": f"bench::work{number % workers}", "payload": PAYLOAD, "action": action}
        return await worker.trigger_async(request)

    return enqueue


async def jetstream(task: dict[str, Any], done: Done) -> Enqueue:
    import nats  # type: ignore[import-not-found, unused-ignore]

    client = await nats.connect(f"nats://127.0.0.1:{task['port']}")
    stream = client.jetstream(timeout=30)
    if task["role"] == "producer":
        await stream.add_stream(name="jobs", subjects=["jobs.*"], retention="workqueue", storage="file")
        config = nats.js.api.ConsumerConfig(durable_name="workers", ack_policy="explicit", max_ack_pending=CONCURRENCY)
        await stream.add_consumer("jobs", config)
    else:
        subscription = await stream.pull_subscribe_bind(durable="workers", stream="jobs")

        async def consume() -> None:
            while True:
                try:
                    messages = await subscription.fetch(CONCURRENCY // task["workers"] or 1, timeout=5)
                except nats.errors.TimeoutError:
                    continue
                for message in messages:
                    json.loads(message.data)
                    await message.ack()
                    done.count += 1

        task["keep"] = asyncio.ensure_future(consume())

    async def enqueue(number: int) -> object:
        return await stream.publish(SUBJECT, json.dumps(PAYLOAD).encode())

    return enqueue


async def taskiq(task: dict[str, Any], done: Done) -> Enqueue:
    from taskiq.api import run_receiver_task  # type: ignore[import-not-found, unused-ignore]
    from taskiq_redis import RedisStreamBroker  # type: ignore[import-not-found, unused-ignore]

    broker = RedisStreamBroker(f"redis://127.0.0.1:{task['port']}", queue_name="bench", approximate=False)

    @broker.task(task_name="work")  # type: ignore[untyped-decorator, unused-ignore]
    async def work(job: Any) -> None:
        done.count += 1

    await broker.startup()
    if task["role"] == "worker":
        receiving = run_receiver_task(broker, max_async_tasks=CONCURRENCY // task["workers"] or 1, run_startup=False)
        task["keep"] = asyncio.ensure_future(receiving)

    async def enqueue(number: int) -> object:
        return await work.kiq(PAYLOAD)

    return enqueue


SYSTEMS = {"iii": ours, "jetstream": jetstream, "taskiq": taskiq}


async def produce(enqueue: Enqueue, order: dict[str, Any]) -> dict[str, float]:
    begin = time.perf_counter()
    stop = begin + order.get("seconds", 3600)
    left = order.get("jobs", 1 << 60)
    calls = 0

    async def keep_enqueueing() -> None:
        nonlocal calls, left
        while left > 0 and time.perf_counter() < stop:
            left -= 1
            await enqueue(left)
            calls += 1

    await asyncio.gather(*[keep_enqueueing() for _ in range(order["window"])])
    return {"calls": calls, "seconds": time.perf_counter() - begin}


async def main(task: dict[str, Any]) -> None:
    done = Done()
    enqueue = await SYSTEMS[task["system"]](task, done)
    print('{"ready": true}', flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        answer = {"done": done.count} if "count" in order else await produce(enqueue, order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
