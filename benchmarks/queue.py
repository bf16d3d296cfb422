"""Durable jobs: beside NATS JetStream and a Redis-backed Python queue, with what each promises.

    python benchmarks/queue.py [--quick] [--json FILE]

Producers, workers and servers are processes of their own; systems take turns. It needs Linux, redis-server and nats-server;
a newer nats-server that syncs each message is built with Go, where there is one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

from benchmarks.bars import Bar, show
from benchmarks.clients import cache_folder, python_with
from benchmarks.load import Task
from benchmarks.processes import Server, Talker, engine, free_port
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.server.clock import LoopClock
from iii.storage.database import Database
from iii.storage.items import StoreError

INSTALL = Path(__file__).parents[1] / ".ci" / "install"
QUEUE = """\
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs: {bench: {concurrency: 64}}
"""
CRON = "  - {name: iii-cron}\n"
PEERS = ("nats-py==2.16.0", "taskiq==0.13.0", "taskiq-redis==1.2.4", "uvloop==0.23.0")
WINDOWS = (64, 256)
WORKERS = (1, 10)
BACKLOG = 1_000_000
TICKS = 20


class System(NamedTuple):
    """What is compared, and what its acknowledgement means."""

    name: str
    title: str
    promise: str


OURS = System("iii", "iii", "fsync before the receipt")
JETSTREAM = System("jetstream", "JetStream 2.9", "ack before fsync (every 2 min)")
SYNCED = System("synced", "JetStream, sync always", "fsync before the ack")
TASKIQ = System("taskiq", "taskiq on Redis streams", "no fsync (Redis, appendonly off)")
TASKIQ_SYNCED = System("taskiq-synced", "taskiq, Redis syncs always", "fsync before the answer")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Durable jobs, beside JetStream and taskiq on Redis.")
    parser.add_argument("--quick", action="store_true", help="short rounds, 100,000 waiting jobs")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


def newest_nats_server() -> str | None:
    """A server that knows `sync_interval: always`, built once; None where there is no Go or no way to the sources."""
    folder = cache_folder() / "nats-newest"
    program = folder / "nats-server"
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not program.exists() and go is not None:
        folder.mkdir(parents=True, exist_ok=True)
        module = "github.com/nats-io/nats-server/v2@latest"
        environment = {**os.environ, "GOBIN": str(folder)}
        print(f"building {module}", flush=True)
        subprocess.run([go, "install", module], env=environment, check=False, capture_output=True, timeout=600)
    return str(program) if program.exists() else None


def nats(program: str, folder: str, more: str = "") -> Server:
    port = free_port()
    config = Path(folder) / f"nats-{port}.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/nats-{port}"{more} }}\n')
    return Server([program, "-c", str(config)], port, folder)


def redis(folder: str, *, synced: bool) -> Server:
    port = free_port()
    (Path(folder) / f"redis-{port}").mkdir()
    durability = ["--appendonly", "yes", "--appendfsync", "always"] if synced else ["--appendonly", "no"]
    return Server(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", f"{folder}/redis-{port}", "--save", "",
         *durability], port,
    )  # fmt: skip


class Bench:
    """The servers, and processes that load them."""

    def __init__(self, stack: ExitStack, folder: str) -> None:
        self._stack = stack
        self._peers = python_with("queues", *PEERS)
        self.servers: dict[System, Server] = {
            OURS: engine(folder, free_port(), more=QUEUE),
            JETSTREAM: nats("nats-server", folder),
            TASKIQ: redis(folder, synced=False),
            TASKIQ_SYNCED: redis(folder, synced=True),
        }
        newest = newest_nats_server()
        if newest is not None:
            self.servers[SYNCED] = nats(newest, folder, ", sync_interval: always")
        for server in self.servers.values():
            stack.enter_context(server).wait_until_listening()

    def start(self, stack: ExitStack, system: System, role: str, number: int = 0, workers: int = 1) -> Talker:
        python = sys.executable if system is OURS else self._peers
        kind = {"synced": "jetstream", "taskiq-synced": "taskiq"}.get(system.name, system.name)
        task = {
            "system": kind, "role": role, "number": number, "workers": workers, "port": self.servers[system].port,
        }  # fmt: skip
        talker = stack.enter_context(Talker(python, "queue_load.py", task))
        talker.hear()
        return talker

    def enqueued_per_s(self, system: System, window: int, seconds: float) -> float:
        with ExitStack() as stack:
            producer = self.start(stack, system, "producer")
            self._order(producer, {"seconds": 0.3, "window": window})
            seen = self._order(producer, {"seconds": seconds, "window": window})
            return float(seen["calls"] / seen["seconds"])

    def raw_enqueued_per_s(self, window: int, seconds: float) -> float:
        """Ours without the cost of a Python client."""
        task = Task(
            role="caller", system="iii", port=self.servers[OURS].port, name="raw", functions=["queue::nobody"],
            payload_bytes=85, window=window, writes="each",
        )  # fmt: skip
        with Talker(sys.executable, "load.py", task) as caller:
            caller.hear()
            self._order(caller, {"seconds": 0.3})
            seen = self._order(caller, {"seconds": seconds})
            return float(seen["calls"] / seen["seconds"])

    def done_per_s(self, system: System, workers: int, jobs: int) -> float:
        """From the first enqueue until the last job is done."""
        with ExitStack() as stack:
            producer = self.start(stack, system, "producer", workers=workers)
            crew = [self.start(stack, system, "worker", number, workers) for number in range(workers)]
            self._drain(crew)
            before = sum(self._order(worker, {"count": True})["done"] for worker in crew)
            begin = time.perf_counter()
            producer.say({"jobs": jobs, "window": 256})
            while sum(self._order(worker, {"count": True})["done"] for worker in crew) - before < jobs:
                time.sleep(0.02)
            seconds = time.perf_counter() - begin
            producer.hear()
            return jobs / seconds

    def _drain(self, crew: list[Talker]) -> None:
        """Jobs of the rounds before, if any, are not counted."""
        seen = -1
        while (now := sum(self._order(worker, {"count": True})["done"] for worker in crew)) != seen:
            seen = now
            time.sleep(1.0)

    @staticmethod
    def _order(talker: Talker, order: object) -> Any:
        talker.say(order)
        return talker.hear()


async def fill(folder: Path, jobs: int) -> None:
    """A store with so many waiting jobs of 100 bytes."""
    store = JobStore(
        lambda rolled_back: Database(folder / "data" / "queue", MIGRATIONS, rolled_back=rolled_back),
        SteadyTime(LoopClock(asyncio.get_running_loop())),
    )
    await store.open()
    place = store.places.of("queue", "bench")
    data = b'"%s"' % (b"x" * 98)
    loop = asyncio.get_running_loop()
    now_ms = int(time.time() * 1000)
    for begin in range(0, jobs, 10_000):
        told = loop.create_future()
        left = 10_000

        def accepted(result: Accepted | None, error: StoreError | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                told.set_result(None)  # noqa: B023 - awaited in this round

        for number in range(begin, begin + 10_000):
            job = NewJob(
                id=f"{number:08x}-0000-4000-8000-000000000000", data=data, created_at=now_ms, function_id="nobody",
                max_attempts=3, backoff_ms=1000,
            )  # fmt: skip
            store.insert(place, job, accepted)
        await told
    await store.close()


def backlog(folder: str, jobs: int) -> tuple[float, float]:
    """Seconds of the start, and MB of the engine a while later, with so many waiting jobs."""
    asyncio.run(fill(Path(folder), jobs))
    subprocess.run(["sync"], check=True)
    server = engine(folder, free_port(), more=QUEUE)
    with server:
        server.wait_until_listening()
        start_s = time.perf_counter() - server.started_s
        most = 0
        for _ in range(10):  # while it looks through all of them for functions that exist
            time.sleep(1.0)
            most = max(most, server.rss_kb())
        return start_s, most / 1000


async def firing_errors_ms(port: int, ticks: int) -> list[float]:
    """How late an idle engine calls a function that is due each second, in its own clock."""
    import iii

    late: list[float] = []
    enough = asyncio.Event()

    async def tick(event: Any) -> None:
        from datetime import datetime

        scheduled = datetime.fromisoformat(event["scheduled_time"]).timestamp()
        late.append((time.time() - scheduled) * 1000)
        if len(late) >= ticks:
            enough.set()

    options = iii.InitOptions(worker_name="ticks", otel={"enabled": False}, enable_metrics_reporting=False)
    async with iii.connect_worker(f"ws://127.0.0.1:{port}", options) as worker:
        worker.cron("* * * * * *", function_id="tick")(tick)
        await enough.wait()
    return sorted(late)


def main() -> int:
    options = arguments()
    for command in ("redis-server", "nats-server"):
        if shutil.which(command) is None:
            subprocess.run([str(INSTALL), command], check=True)
    rounds, seconds = (1, 1.0) if options.quick else (3, 3.0)
    enqueued: dict[tuple[System, int], list[float]] = {}
    raw: dict[int, list[float]] = {}
    done: dict[tuple[System, int], list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd()))  # a disk: /tmp may be memory
        bench = Bench(stack, folder)
        for _ in range(rounds):
            for system in bench.servers:
                for workers in WORKERS:
                    jobs = 2_000 if options.quick else {"iii": 30_000, "jetstream": 20_000}.get(system.name, 5_000)
                    done.setdefault((system, workers), []).append(bench.done_per_s(system, workers, jobs))
        for _ in range(rounds):
            for window in WINDOWS:
                raw.setdefault(window, []).append(bench.raw_enqueued_per_s(window, seconds))
                for system in bench.servers:
                    enqueued.setdefault((system, window), []).append(bench.enqueued_per_s(system, window, seconds))
        systems = list(bench.servers)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        start_s, rss_mb = backlog(folder, BACKLOG // 10 if options.quick else BACKLOG)
    with tempfile.TemporaryDirectory() as folder, engine(folder, free_port(), more=CRON) as server:
        server.wait_until_listening()
        late = asyncio.run(firing_errors_ms(server.port, 5 if options.quick else TICKS))
    print(f"{'':30} {'enqueue/s, window':>20} {'jobs/s, workers':>20}")
    print(f"{'':30} {'64':>10} {'256':>9} {'1':>10} {'10':>9}   acknowledged")
    raw_rates = [median(raw[window]) for window in WINDOWS]
    print(f"{'iii, raw protocol':30} {raw_rates[0]:10,.0f} {raw_rates[1]:9,.0f} {'':20}   {OURS.promise}")
    for system in systems:
        cells = [median(enqueued[system, window]) for window in WINDOWS]
        cells += [median(done[system, workers]) for workers in WORKERS]
        row = f"{cells[0]:10,.0f} {cells[1]:9,.0f} {cells[2]:10,.0f} {cells[3]:9,.0f}"
        print(f"{system.title:30} {row}   {system.promise}")
    if SYNCED in systems:
        both_synced = median(enqueued[OURS, 64]) / median(enqueued[SYNCED, 64])
        print(f"\nboth with fsync before the answer: our SDK / JetStream, nats-py, 64 in flight: {both_synced:.1f}")
    bars = [
        Bar(
            "enqueue/s, 64 in flight, our SDK / JetStream, nats-py",
            median(enqueued[OURS, 64]) / median(enqueued[JETSTREAM, 64]), 1.0, 2.0, True,
        ),
        Bar("the same with the raw protocol / JetStream, nats-py", raw_rates[0] / median(enqueued[JETSTREAM, 64]),
            1.0, 2.0, True),
        Bar("jobs/s end to end, concurrency 64 / taskiq on Redis", median(done[OURS, 1]) / median(done[TASKIQ, 1]),
            1.5, 3.0, True),
        Bar("MB of the engine with a million waiting jobs", rss_mb, 150, 80),
        Bar("s to start with a million waiting jobs", start_s, 1.0, 0.4),
        Bar("ms of cron firing error, idle, the largest of 20", late[-1], 20, 5),
    ]  # fmt: skip
    show(bars)
    if options.json is not None:
        rows = {
            system.title: {
                "promise": system.promise,
                "enqueue": {window: median(enqueued[system, window]) for window in WINDOWS},
                "jobs": {workers: median(done[system, workers]) for workers in WORKERS},
            }
            for system in systems
        }
        rows["iii, raw protocol"] = {"promise": OURS.promise, "enqueue": dict(zip(WINDOWS, raw_rates, strict=True))}
        options.json.write_text(json.dumps({"queue": rows, "bars": [bar._asdict() for bar in bars]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
