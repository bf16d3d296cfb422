"""Events of a stream to many subscribers: beside nats-server, which publishes to as many.

    python benchmarks/stream.py [--quick] [--json FILE]

Look at the CPU per delivered message, and at the ratios of alternating rounds. It needs Linux and nats-server.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import json
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from statistics import median
from typing import Literal, NamedTuple

from benchmarks.bars import Bar, show
from benchmarks.fanout_load import Task
from benchmarks.processes import Server, Talker, engine, free_port, nats_server

INSTALL = Path(__file__).parents[1] / ".ci" / "install"
SUBSCRIBERS = (1, 100, 1000)
PAYLOAD_BYTES = 100
IN_FLIGHT = 8

System = Literal["iii", "nats"]


class Figures(NamedTuple):
    """Medians over rounds."""

    delivered_per_s: float
    cpu_us: float  # of the server, per delivered message


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fan-out of stream events, beside nats-server.")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


class FanoutLoad:
    """One publisher and its subscribers."""

    def __init__(self, stack: ExitStack, system: System, server: Server, stream_port: int, subscribers: int) -> None:
        self._server = server
        self._subscribers = subscribers
        task = Task(
            system=system, port=server.port, stream_port=stream_port, subscribers=subscribers,
            payload_bytes=PAYLOAD_BYTES, in_flight=IN_FLIGHT,
        )  # fmt: skip
        self._talker = stack.enter_context(Talker(sys.executable, "fanout_load.py", task))
        self._talker.hear()

    def round(self, seconds: float) -> Figures:
        cpu_ns = self._server.cpu_ns()
        self._talker.say({"seconds": seconds})
        seen = self._talker.hear()
        cpu_ns = self._server.cpu_ns() - cpu_ns
        delivered = seen["messages"] * self._subscribers
        return Figures(delivered / seen["seconds"], cpu_ns / 1000 / delivered)


def main() -> int:
    options = arguments()
    if shutil.which("nats-server") is None:
        subprocess.run([str(INSTALL), "nats-server"], check=True)
    rounds, seconds = (1, 0.5) if options.quick else (3, 2.0)
    seen: dict[tuple[int, System], list[Figures]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stream_port = free_port()
        more = f"  - {{name: iii-stream, config: {{port: {stream_port}}}}}\n"
        servers: dict[System, Server] = {
            "iii": stack.enter_context(engine(folder, free_port(), more=more)).wait_until_listening(),
            "nats": stack.enter_context(nats_server(free_port())).wait_until_listening(),
        }
        for subscribers in SUBSCRIBERS:
            with ExitStack() as loads_stack:
                loads = {
                    system: FanoutLoad(loads_stack, system, server, stream_port, subscribers)
                    for system, server in servers.items()
                }
                for number in range(rounds + 1):
                    for system, load in loads.items():
                        figures = load.round(0.3 if number == 0 else seconds)
                        if number:
                            seen.setdefault((subscribers, system), []).append(figures)
    results = {key: Figures(*map(median, zip(*each, strict=True))) for key, each in seen.items()}
    print(
        f"{'subscribers':>11} {'iii delivered/s':>16} {'CPU us':>8} {'nats delivered/s':>17} {'CPU us':>8} {'ratio':>7}"
    )
    for subscribers in SUBSCRIBERS:
        ours, nats = results[subscribers, "iii"], results[subscribers, "nats"]
        print(
            f"{subscribers:11} {ours.delivered_per_s:16,.0f} {ours.cpu_us:8.2f} {nats.delivered_per_s:17,.0f} "
            f"{nats.cpu_us:8.2f} {ours.cpu_us / nats.cpu_us:7.2f}"
        )
    most = SUBSCRIBERS[-1]
    bars = [
        Bar(
            f"CPU per delivered message, {most} subscribers / nats",
            results[most, "iii"].cpu_us / results[most, "nats"].cpu_us, 1.5, 1.0,
        )
    ]  # fmt: skip
    show(bars)
    if options.json is not None:
        rows = {f"{system}, {subscribers}": row._asdict() for (subscribers, system), row in results.items()}
        options.json.write_text(json.dumps({"stream": rows, "bars": [bar._asdict() for bar in bars]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
