"""What an idle engine costs: seconds to its first handshake, memory, memory per idle worker; and what a declared app does.

python benchmarks/footprint.py [--quick] [--json FILE]
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

import iii

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show
from benchmarks.load import Worker
from benchmarks.processes import ProcessFailed, Server, engine, free_port
from benchmarks.wire import WebSocketWire

SETTLE_S = 1.0  # after the last announcement, until memory is read
AT_ONCE = 50  # workers that connect together


def seconds_to_handshake(server: Server) -> float:
    """From exec to the first successful WebSocket handshake. Raises ProcessFailed."""
    opening = WebSocketWire("footprint", 32).opening()
    while True:
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall(opening)
                if connection.recv(1024).startswith(b"HTTP/1.1 101"):
                    return time.perf_counter() - server.started_s
        except OSError:
            pass
        server.check_starting()
        time.sleep(0.001)


async def kb_per_worker(server: Server, workers: int) -> float:
    """Growth of memory by idle workers with one function each."""
    before_kb = server.rss_kb()
    loop = asyncio.get_running_loop()
    for first in range(0, workers, AT_ONCE):
        peers = [
            Worker(WebSocketWire(f"idle{number}", 32), f"idle::f{number}", "joined")
            for number in range(first, min(first + AT_ONCE, workers))
        ]
        for peer in peers:
            await loop.create_connection(lambda peer=peer: peer, "127.0.0.1", server.port)  # type: ignore[misc]
        for peer in peers:
            await peer.ready
    await asyncio.sleep(SETTLE_S)
    return (server.rss_kb() - before_kb) / workers


_DECLARING = """
import sys
sys.path += {folders!r}
import time
before = time.process_time()
import benchmarks.declared_app
print(time.process_time() - before)
"""


def declaring_ms(folder: str) -> float:
    """CPU time of `import iii` and an app with 50 functions, with nothing installed but the SDK, and all of it compiled."""
    for package in (iii, msgspec):
        where = Path(str(package.__file__)).parent
        (Path(folder) / where.name).symlink_to(where)
    program = _DECLARING.format(folders=[folder, str(Path(__file__).parents[1])])
    command = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={folder}/compiled", "-c", program]
    _compiling, *others = (
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1000 for _ in range(10)
    )
    return min(others)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start time and memory of an idle engine.")
    parser.add_argument("--quick", action="store_true", help="two starts, 200 workers")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args()
    starts: list[float] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        declared_ms = declaring_ms(folder)
        for _ in range(3 if options.quick else 6):
            with engine(folder, free_port(), free_port()) as server:
                starts.append(seconds_to_handshake(server))
        del starts[0]  # which may compile what was changed since the last one
        server = stack.enter_context(engine(folder, free_port(), free_port()))
        seconds_to_handshake(server)
        time.sleep(SETTLE_S)
        idle_mb = server.rss_kb() / 1024
        workers = 200 if options.quick else 1000
        growth_kb = asyncio.run(kb_per_worker(server, workers))
    bars = [
        Bar(f"exec to first handshake, s (median of {len(starts)})", median(starts), 0.5, 0.3),
        Bar("idle RSS, MB", idle_mb, 60, 40),
        Bar(f"RSS per idle worker, KB ({workers} workers)", growth_kb, 40, 15),
        Bar("import iii and an App with 50 functions, CPU ms", declared_ms, 60, 30),
    ]
    show(bars)
    if options.json:
        options.json.write_text(
            json.dumps([{**bar._asdict(), "verdict": bar.verdict} for bar in bars], indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProcessFailed as error:
        sys.exit(f"benchmark failed: {error}")
