"""A worker program as users deploy it, its processes, and the traffic that they serve."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import aiohttp

import iii
from tests.processes import EngineProcess, LineProcess

Order = dict[str, Any]

PROGRAM = r"""
import asyncio, os, sys, time, iii
url, version, mode = sys.argv[1:]
options = {"worker_name": "shop", "replicas": "round_robin"} if mode == "copies" else {}
worker = iii.register_worker(url, iii.InitOptions(enable_metrics_reporting=False, otel={"enabled": False}, **options))

def say(what, order):
    os.write(1, f"{what} {order['number']}\n".encode())  # in one piece: `print` mixes the lines of threads

@worker.function("shop::price")
async def price(order):
    say("begun call", order)
    await asyncio.sleep(order["last_s"])
    return version

@worker.http("POST", "/orders", function_id="shop::create")
def create(body: dict):
    time.sleep(body["last_s"])
    return {"by": version}

@worker.function("shop::ship")
def ship(order):
    say("begun job", order)
    time.sleep(order["last_s"])
    worker.state("shipped").set(str(order["number"]), version)
    say("done job", order)

worker.list_functions()  # answered when everything is registered
print("ready", flush=True)
"""

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs: {orders: {concurrency: 500, backoff_ms: 100}}
  - {name: iii-http, config: {host: 127.0.0.1, port: HTTP}}
"""


def started(engine: EngineProcess, version: str, mode: str) -> LineProcess:
    """One process of the program; it serves once it prints `ready`."""
    return LineProcess([sys.executable, "-u", "-c", PROGRAM, engine.url, version, mode], cwd=engine.folder)


class Rates(NamedTuple):
    """Of each kind, a second."""

    calls: float
    requests: float
    jobs: float


class Traffic:
    """Calls, requests and jobs at a steady rate; whatever is not answered as it should be is kept.

    Attributes:
        begun: how much of everything.
        failed: what went wrong; `failed_at`, when, as `time.monotonic` counts.
        answered: how often each version answered.
        jobs: numbers of the jobs that were accepted.
    """

    def __init__(self, url: str, http_port: int, rates: Rates, longest_s: float) -> None:
        """`longest_s` is that of a handler; they last from 0 to that."""
        self.begun = 0
        self.failed: list[str] = []
        self.failed_at: list[float] = []
        self.answered: Counter[str] = Counter()
        self.jobs: list[int] = []
        self._url = url
        self._http = f"http://127.0.0.1:{http_port}/orders"
        self._rates = rates
        self._longest_s = longest_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = True

    async def __aenter__(self) -> Traffic:
        options = iii.InitOptions(enable_metrics_reporting=False, otel={"enabled": False})
        self.worker = await iii.connect_worker(self._url, options)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        kinds = (self._call, self._request, self._enqueue)
        flows = (self._keep_flowing(kind, rate) for kind, rate in zip(kinds, self._rates, strict=True))
        self._flow = asyncio.gather(*flows)
        return self

    async def stop(self) -> None:
        """No more begins; until all that did is answered."""
        self._flowing = False
        await self._flow
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def __aexit__(self, *_: object) -> None:
        self._flowing = False
        await self._flow
        await self._session.close()
        await self.worker.shutdown_async()

    async def emptied(self) -> dict[str, Any]:
        """Figures of the queue once it is empty, or after a minute: of a job's end the engine hears after the handler's last line."""
        request: Any = {"function_id": "engine::queue::topic_stats", "payload": {"topic": "orders"}}
        give_up_at = time.monotonic() + 60
        while True:
            figures: dict[str, Any] = await self.worker.trigger_async(request)
            if not figures["depth"] or time.monotonic() > give_up_at:
                return figures
            await asyncio.sleep(0.02)

    async def until(self, look: Callable[[], Any], what: str, limit_s: float = 60.0) -> None:
        """Until something holds."""
        async with asyncio.timeout(limit_s):
            while not look():
                assert not self.failed, self.failed
                await asyncio.sleep(0.02)

    async def _keep_flowing(self, kind: Callable[[Order], Coroutine[Any, Any, None]], rate: float) -> None:
        chance = random.Random(rate)
        now = asyncio.get_running_loop().time
        started = now()
        number = 0
        while self._flowing:
            number += 1
            self._start(kind({"number": number, "last_s": self._longest_s * chance.random()}))
            await asyncio.sleep(started + number / rate - now())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def kept() -> None:
            try:
                await work
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                self.failed_at.append(time.monotonic())

        self.begun += 1
        task = asyncio.create_task(kept())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, order: Order) -> None:
        self.answered[await self.worker.trigger_async({"function_id": "shop::price", "payload": order})] += 1

    async def _request(self, order: Order) -> None:
        async with self._session.post(self._http, json=order) as response:
            text = await response.text()
            if response.status != 200:
                raise AssertionError(f"HTTP {response.status}: {text}")
            self.answered[(await response.json())["by"]] += 1

    async def _enqueue(self, order: Order) -> None:
        action: Any = {"type": "enqueue", "queue": "orders"}
        await self.worker.trigger_async({"function_id": "shop::ship", "payload": order, "action": action})
        self.jobs.append(order["number"])


def numbers(processes: list[LineProcess], what: str) -> Counter[int]:
    """How often processes printed `what N`, of each N."""
    lines = [line for process in processes for line in process.lines() if line.startswith(f"{what} ")]
    return Counter(int(line.rpartition(" ")[2]) for line in lines)
