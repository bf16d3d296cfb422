"""One process of a Python client, ours or the published one: the same script for both, so no annotation of either.

Says `{"ready": true}`. A worker then serves until it is ended; a caller runs `{"mode": "async" | "blocking", "seconds": s}`.
Both say on `{"mode": "cpu"}` how much of it they have had.
"""

import asyncio
import json
import sys
import time
from typing import Any

import iii

FUNCTION = "bench::echo"
PAYLOAD = {"payload": "x" * 18}  # 32 bytes of JSON


async def echo(payload: Any) -> Any:
    return {"payload": payload["payload"]}


def main(role: str, port: int, traced: bool) -> None:
    options = iii.InitOptions(worker_name=f"bench-{role}", otel={"enabled": traced})  # type: ignore[arg-type, unused-ignore]
    worker: Any = iii.register_worker(f"ws://127.0.0.1:{port}", options)
    request = {"function_id": FUNCTION, "payload": PAYLOAD}
    if role == "worker":
        worker.register_function(FUNCTION, echo)
    else:

        async def drive(task: Any) -> Any:
            """On the client's own loop, as a handler that calls others; there the published client is fastest."""
            calls = 0
            stop = time.perf_counter() + task["seconds"]

            async def keep_calling() -> None:
                nonlocal calls
                while time.perf_counter() < stop:
                    await worker.trigger_async(request)
                    calls += 1

            await asyncio.gather(*[keep_calling() for _ in range(task["window"])])
            return calls

        worker.register_function("bench::drive", drive)
    wait_until_served(worker, request)
    print('{"ready": true}', flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        begin = time.perf_counter()
        if task["mode"] == "cpu":
            print(json.dumps({"cpu_s": time.process_time()}), flush=True)
            continue
        if task["mode"] == "async":
            calls = worker.trigger({"function_id": "bench::drive", "payload": task})
        else:
            calls = 0
            while time.perf_counter() < begin + task["seconds"]:
                worker.trigger(request)
                calls += 1
        print(json.dumps({"calls": calls, "seconds": time.perf_counter() - begin}), flush=True)


def wait_until_served(worker: Any, request: dict[str, Any]) -> None:
    deadline = time.perf_counter() + 10
    while True:
        try:
            worker.trigger(request)
            return
        except Exception:
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
