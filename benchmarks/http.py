"""HTTP through a worker: beside bare in-memory handlers, beside our own calls without HTTP, and without spans.

    python benchmarks/http.py [--quick] [--json FILE]

wrk keeps 64 connections busy from one thread. Look at the CPU per request and at the ratios of alternating rounds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where this file would hide the library `http`
import argparse
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from statistics import median
from typing import NamedTuple

from benchmarks import routing
from benchmarks.bars import Bar, show
from benchmarks.http_worker import PATH
from benchmarks.processes import HERE, Server, Talker, engine, free_port
from iii.modules.http.routes import Route, RouteTable

INSTALL = Path(__file__).parents[1] / ".ci" / "install"
CONNECTIONS = 64
WITHOUT_SPANS = "  - name: iii-observability\n    config: {enabled: false}\n"
_PIECE = 1 << 20
_LATENCY = re.compile(r"(50|99)%\s+([\d.]+)(us|ms|s)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Figures(NamedTuple):
    """Medians over rounds."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the server, per request


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="HTTP through a worker, beside others in the same run.")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


def bare(library: str) -> Server:
    port = free_port()
    return Server(
        [sys.executable, "-P", str(HERE / "http_bare.py"), json.dumps({"library": library, "port": port})], port
    )


def wrk(server: Server, port: int, seconds: int) -> Figures:
    cpu_ns = server.cpu_ns()
    command = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}{PATH}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cpu_ns = server.cpu_ns() - cpu_ns
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s)", text)
    if found is None or "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"wrk failed:\n{text}")
    requests, elapsed_s = int(found[1]), float(found[2]) * _MS[found[3]] / 1000
    latencies = {percent: float(value) * _MS[unit] for percent, value, unit in _LATENCY.findall(text)}
    return Figures(requests / elapsed_s, latencies["50"], latencies["99"], cpu_ns / 1000 / requests)


def lookup_ns(routes: int) -> float:
    """Mean time to find a route among so many, half of them with a parameter."""
    table: RouteTable[int] = RouteTable()
    for number in range(routes):
        path = f"/service{number % 100}/items{number}" + ("/:id" if number % 2 else "")
        table.add(Route("GET", path, number, str(number), None))
    paths = [
        f"/service{number % 100}/items{number}" + ("/7" if number % 2 else "")
        for number in range(0, routes, max(1, routes // 10))
    ]
    paths += [f"/service1/items{number}/7" for number in range(1, routes, max(2, routes // 10))]
    best = float("inf")
    for _ in range(7):
        begin = time.perf_counter_ns()
        for _ in range(2000):
            for path in paths:
                table.match("GET", path)
        best = min(best, (time.perf_counter_ns() - begin) / 2000 / len(paths))
    return best


def memory_mb(folder: str, mebibytes: int) -> tuple[float, float]:
    """How much an engine grows while so much is streamed down, then up: its largest memory less that before."""
    http_port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(engine(folder, free_port(), http_port)).wait_until_listening()
        stack.enter_context(Talker(sys.executable, "http_streams.py", server.port)).hear()
        before_kb = server.rss_kb()
        connection = HTTPConnection("127.0.0.1", http_port, timeout=60)
        connection.request("GET", f"/down?pieces={mebibytes}")
        received, down_kb = 0, 0
        with connection.getresponse() as response:
            while data := response.read(_PIECE):
                received += len(data)
                down_kb = max(down_kb, server.rss_kb())
        sent, up_kb = 0, 0

        def pieces() -> Iterator[bytes]:
            nonlocal up_kb
            piece = bytes(_PIECE)
            for _ in range(mebibytes):
                up_kb = max(up_kb, server.rss_kb())
                yield piece

        connection.request("POST", "/up", pieces(), {"content-type": "application/octet-stream"}, encode_chunked=True)
        sent = json.loads(connection.getresponse().read())
        connection.close()
    if received != mebibytes * _PIECE or sent != received:
        sys.exit(f"of {mebibytes} MiB {received:,} bytes came down and {sent:,} went up")
    return (down_kb - before_kb) / 1000, (up_kb - before_kb) / 1000


def main() -> int:
    options = arguments()
    if shutil.which("wrk") is None:
        subprocess.run([str(INSTALL), "wrk"], check=True)
    rounds, seconds = (1, 1) if options.quick else (3, 3)
    with tempfile.TemporaryDirectory() as folder:
        down_mb, up_mb = memory_mb(folder, 100 if options.quick else 1000)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        http_port = free_port()
        ours = stack.enter_context(engine(folder, free_port(), http_port)).wait_until_listening()
        quiet_port = free_port()
        quiet = stack.enter_context(
            engine(stack.enter_context(tempfile.TemporaryDirectory()), free_port(), quiet_port, more=WITHOUT_SPANS)
        ).wait_until_listening()
        servers = {
            "iii, through a worker": (ours, http_port),
            "iii, the same without spans": (quiet, quiet_port),
            "granian, bare handler": (
                server := stack.enter_context(bare("granian")).wait_until_listening(),
                server.port,
            ),
            "aiohttp, bare handler": (
                server := stack.enter_context(bare("aiohttp")).wait_until_listening(),
                server.port,
            ),
        }
        for each in (ours, quiet):
            stack.enter_context(Talker(sys.executable, "http_worker.py", each.port)).hear()
        calls = stack.enter_context(routing.Load(routing.CASES[1], "iii", ours))
        seen: dict[str, list[Figures]] = {name: [] for name in servers}
        called: list[routing.Figures] = []
        for number in range(rounds + 1):
            for name, (server, port) in servers.items():
                figures = wrk(server, port, 1 if number == 0 else seconds)
                if number:
                    seen[name].append(figures)
            figures_of_calls = calls.round(0.3 if number == 0 else 1.0)
            if number:
                called.append(figures_of_calls)
    results = {name: Figures(*map(median, zip(*each, strict=True))) for name, each in seen.items()}
    rpc_us = median(each.cpu_us for each in called)
    print(f"{f'GET, {CONNECTIONS} connections':32} {'req/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}")
    for name, row in results.items():
        print(f"{name:32} {row.requests_per_s:9,.0f} {row.p50_ms:8.2f} {row.p99_ms:8.2f} {row.cpu_us:8.1f}")
    print(f"{'iii, a call without HTTP':32} {'':9} {'':8} {'':8} {rpc_us:8.1f}")
    few, many = lookup_ns(10), lookup_ns(10_000)
    print(f"\na gigabyte streamed: the engine grows by {down_mb:.1f} MB down, by {up_mb:.1f} MB up")
    print(f"route lookup: {few:.0f} ns among 10, {many:.0f} ns among 10,000")
    iii = results["iii, through a worker"].cpu_us
    bars = [
        Bar("engine CPU per request / per call without HTTP", iii / rpc_us, 3.4, 2.6),
        Bar("engine CPU per request / aiohttp's bare handler", iii / results["aiohttp, bare handler"].cpu_us, 1.3, 1.0),
        Bar("with spans / without", iii / results["iii, the same without spans"].cpu_us, 1.5, 1.25),
        Bar("MB of growth while 1 GB is streamed", max(down_mb, up_mb), 20, 8),
        Bar("lookup among 10,000 routes / among 10", many / few, 1.5, 1.1),
    ]
    show(bars)
    if options.json is not None:
        rows = {name: row._asdict() for name, row in results.items()}
        options.json.write_text(json.dumps({"http": rows, "bars": [bar._asdict() for bar in bars]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
