"""Calls through the engine, beside nats-server, with raw load.

    python benchmarks/rpc.py [--quick] [--json FILE]

Rates on a shared machine lie: look at the CPU per call and at the ratios, which come from alternating rounds.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks import routing
from benchmarks.bars import Bar, show
from benchmarks.load import System
from benchmarks.processes import ProcessFailed, Server, engine, free_port, nats_server

INSTALL = Path(__file__).parents[1] / ".ci" / "install"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Calls through the engine, beside others in the same run.")
    parser.add_argument("--quick", action="store_true", help="one short round each, the first three loads only")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


def measure_routing(servers: dict[System, Server], quick: bool) -> dict[routing.Case, dict[System, routing.Figures]]:
    print(f"{'raw load':32} {'':5} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}   iii / nats: p50, CPU")
    results: dict[routing.Case, dict[System, routing.Figures]] = {}
    for case in routing.CASES[:3] if quick else routing.CASES:
        figures = results[case] = routing.compare(case, servers, 1 if quick else 3, 0.4 if quick else 1.0)
        for system, row in figures.items():
            line = f"{case.title if system == 'iii' else '':32} {system:5} {row.calls_per_s:9,.0f} {row.p50_ms:8.3f}"
            line += f" {row.p99_ms:8.3f} {row.cpu_us:8.2f}"
            if system == "nats":
                line += f"   {figures['iii'].p50_ms / row.p50_ms:15.2f} {figures['iii'].cpu_us / row.cpu_us:6.2f}"
            print(line, flush=True)
    return results


def main() -> int:
    options = arguments()
    if shutil.which("nats-server") is None:
        subprocess.run([str(INSTALL), "nats-server"], check=True)
    with ExitStack() as stack:

        def our_engine() -> Server:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            return stack.enter_context(engine(folder, free_port())).wait_until_listening()

        nats = stack.enter_context(nats_server(free_port())).wait_until_listening()
        servers: dict[System, Server] = {"iii": our_engine(), "nats": nats}
        routed = measure_routing(servers, options.quick)
    single, main_case = routed[routing.CASES[0]], routed[routing.CASES[1]]
    bars = [
        Bar(
            "router CPU per call / nats-server's, window 64, 32 B",
            main_case["iii"].cpu_us / main_case["nats"].cpu_us,
            0.85,
            0.6,
        ),
        Bar("p50 at window 1 / nats-server's", single["iii"].p50_ms / single["nats"].p50_ms, 1.3, 1.0),
    ]
    show(bars)
    if options.json:
        rows = [
            {"load": case.title, "system": system, **row._asdict()}
            for case, figures in routed.items()
            for system, row in figures.items()
        ]
        result = {"routing": rows, "bars": [{**bar._asdict(), "verdict": bar.verdict} for bar in bars]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ProcessFailed, subprocess.CalledProcessError) as error:
        sys.exit(f"benchmark failed: {error}")
