"""One process of copies: a worker that serves with others, a caller that counts who answered, or one that only computes.

Says `{"ready": true}`. A caller then runs `{"function": id, "window": n}` for so many `seconds`, or so many `calls`; one
that only computes does so for as many `seconds`.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import iii


def compute(burn_s: float) -> None:
    until = time.thread_time() + burn_s
    while time.thread_time() < until:
        pass


def serve(worker: iii.Worker, number: int, burn_s: float) -> None:
    @worker.function("copies::burn")
    async def burn(_: Any) -> int:
        compute(burn_s)
        return number

    @worker.function("copies::who")
    async def who(_: Any) -> int:
        return number


async def call(worker: iii.Worker, task: dict[str, Any]) -> dict[str, Any]:
    served: Counter[int] = Counter()
    left = task.get("calls", sys.maxsize)
    began = time.perf_counter()
    stop = began + task.get("seconds", 3600)

    async def keep_calling() -> None:
        nonlocal left
        while left and time.perf_counter() < stop:
            left -= 1
            served[await worker.trigger_async({"function_id": task["function"]})] += 1

    await asyncio.gather(*(keep_calling() for _ in range(task["window"])))
    return {"served": served, "seconds": time.perf_counter() - began}


def alone(burn_s: float) -> None:
    """What the machine can do without an engine."""
    print('{"ready": true}', flush=True)
    for line in sys.stdin:
        began, times = time.perf_counter(), 0
        while time.perf_counter() < began + json.loads(line)["seconds"]:
            compute(burn_s)
            times += 1
        print(json.dumps(times / (time.perf_counter() - began)), flush=True)


def main(role: str, port: int, number: int, burn_s: float) -> None:
    if role == "alone":
        alone(burn_s)
        return
    options = iii.InitOptions(
        worker_name=role, replicas="round_robin", enable_metrics_reporting=False, otel={"enabled": False}
    )
    worker = iii.register_worker(f"ws://127.0.0.1:{port}", options)
    if role == "copy":
        serve(worker, number, burn_s)
    worker.list_functions()  # answered when everything is registered
    print('{"ready": true}', flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(call(worker, json.loads(line)))), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
