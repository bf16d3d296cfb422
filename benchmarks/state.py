"""State on the embedded store: beside redis-server that also has each write on disk before it answers.

    python benchmarks/state.py [--quick] [--json FILE]

Writers, engine and redis-server are processes of their own, and take turns. It needs Linux and redis-benchmark.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from benchmarks import routing
from benchmarks.bars import Bar, show
from benchmarks.load import Task
from benchmarks.processes import Server, Talker, engine, free_port
from benchmarks.routing import Figures
from iii.storage.items import StoreError
from iii.storage.sqlite_items import SqliteItems

INSTALL = Path(__file__).parents[1] / ".ci" / "install"
STATE = "  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}\n"
KEYS = 1_000_000
_SET_RATE = re.compile(r'"SET","([\d.]+)"')


class Case(NamedTuple):
    function: str
    window: int
    value_bytes: int

    @property
    def title(self) -> str:
        size = f"{self.value_bytes} B" if self.value_bytes < 1024 else f"{self.value_bytes // 1024} KiB"
        return f"{self.function}, window {self.window}, {size}"


CASES = tuple(
    Case(function, window, size)
    for function in ("state::set", "state::get")
    for window in (64, 256)
    for size in (32, 4096)
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="State on the embedded store, beside redis-server with appendfsync always."
    )
    parser.add_argument("--quick", action="store_true", help="one short round each, 100,000 keys")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


class StateLoad:
    """One caller of one case."""

    def __init__(self, stack: ExitStack, case: Case, server: Server) -> None:
        self._server = server
        task = Task(
            role="caller", system="iii", port=server.port, name=f"caller {case.title}", functions=[case.function],
            payload_bytes=case.value_bytes, window=case.window, writes="each",
        )  # fmt: skip
        self._caller = stack.enter_context(Talker(sys.executable, "load.py", task))
        self._caller.hear()

    def round(self, seconds: float) -> Figures:
        cpu_ns = self._server.cpu_ns()
        self._caller.say({"seconds": seconds})
        seen = self._caller.hear()
        cpu_ns = self._server.cpu_ns() - cpu_ns
        latencies, calls = sorted(seen["latencies_us"]), seen["calls"]
        return Figures(
            calls / seen["seconds"],
            latencies[calls // 2] / 1000,
            latencies[calls * 99 // 100] / 1000,
            cpu_ns / 1000 / calls,
        )


def redis(folder: str) -> Server:
    port = free_port()
    return Server(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes",
         "--appendfsync", "always"], port,
    )  # fmt: skip


def redis_sets_per_s(server: Server, clients: int, size: int, requests: int) -> float:
    command = ["redis-benchmark", "-p", str(server.port), "-t", "set", "-c", str(clients), "-d", str(size), "-n", str(requests),
               "-r", "1000", "--csv"]  # fmt: skip
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = _SET_RATE.search(text)
    if found is None:
        sys.exit(f"redis-benchmark failed:\n{text}")
    return float(found[1])


async def fill(folder: Path, keys: int) -> None:
    """A store with so many keys of 100 bytes."""
    items = SqliteItems(folder / "data" / "state")
    await items.open()
    value = b'"%s"' % (b"x" * 98)
    loop = asyncio.get_running_loop()
    for begin in range(0, keys, 10_000):
        told = loop.create_future()
        left = 10_000

        def written(changed: object, error: StoreError | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                told.set_result(None)  # noqa: B023 - awaited in this round

        for number in range(begin, begin + 10_000):
            items.change((f"scope{number % 100}", ""), f"key{number}", lambda old: value, written)
        await told
    await items.close()


def large_store(folder: str, keys: int) -> tuple[float, float]:
    """Seconds of the start, and MB of the engine, with so many keys of which 20,000 have been read."""
    asyncio.run(fill(Path(folder), keys))
    subprocess.run(["sync"], check=True)
    server = engine(folder, free_port(), more=STATE)
    with server:
        server.wait_until_listening()
        start_s = time.perf_counter() - server.started_s
        with ExitStack() as stack:
            StateLoad(stack, Case("state::get", 64, 32), server).round(1.0)
        return start_s, server.rss_kb() / 1000


def main() -> int:
    options = arguments()
    if shutil.which("redis-benchmark") is None or shutil.which("redis-server") is None:
        subprocess.run([str(INSTALL), "redis-server", "redis-benchmark"], check=True)
    rounds, seconds = (1, 0.5) if options.quick else (3, 2.0)
    seen: dict[Case, list[Figures]] = {case: [] for case in CASES}
    redis_seen: dict[tuple[int, int], list[float]] = {}
    called: list[Figures] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd()))  # a disk: /tmp may be memory
        ours = stack.enter_context(engine(folder, free_port(), more=STATE)).wait_until_listening()
        other = stack.enter_context(redis(folder)).wait_until_listening()
        loads = {case: StateLoad(stack, case, ours) for case in CASES}
        calls = stack.enter_context(routing.Load(routing.CASES[1], "iii", ours))
        for number in range(rounds + 1):
            for case, load in loads.items():
                figures = load.round(0.3 if number == 0 else seconds)
                if number:
                    seen[case].append(figures)
                if case.function == "state::set":
                    rate = redis_sets_per_s(other, case.window, case.value_bytes, 5_000 if number == 0 else 30_000)
                    if number:
                        redis_seen.setdefault((case.window, case.value_bytes), []).append(rate)
            figures = calls.round(0.3 if number == 0 else 1.0)
            if number:
                called.append(figures)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        start_s, rss_mb = large_store(folder, KEYS // 10 if options.quick else KEYS)
    results = {case: Figures(*map(median, zip(*each, strict=True))) for case, each in seen.items()}
    rpc_us = median(each.cpu_us for each in called)
    print(f"{'':34} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8} {'redis SET/s':>12}")
    for case, row in results.items():
        beside = redis_seen.get((case.window, case.value_bytes)) if case.function == "state::set" else None
        redis_rate = f"{median(beside):12,.0f}" if beside else ""
        print(
            f"{case.title:34} {row.calls_per_s:9,.0f} {row.p50_ms:8.2f} {row.p99_ms:8.2f} {row.cpu_us:8.1f} {redis_rate}"
        )
    print(f"{'a call that is forwarded':34} {'':9} {'':8} {'':8} {rpc_us:8.1f}")
    sets, gets = results[Case("state::set", 64, 32)], results[Case("state::get", 64, 32)]
    bars = [
        Bar(
            "state::set/s, 64 in flight / redis, 64 clients",
            sets.calls_per_s / median(redis_seen[64, 32]),
            0.5,
            0.8,
            True,
        ),
        Bar("engine CPU of state::get / of a forwarded call", gets.cpu_us / rpc_us, 0.9, 0.6),
        Bar("MB of the engine with a million keys of 100 B", rss_mb, 120, 80),
        Bar("s to start with a million keys", start_s, 1.0, 0.4),
    ]
    show(bars)
    if options.json is not None:
        rows = {case.title: row._asdict() for case, row in results.items()}
        options.json.write_text(json.dumps({"state": rows, "bars": [bar._asdict() for bar in bars]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
