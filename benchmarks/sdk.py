"""Calls with our Python SDK: beside the published client, and with traces beside without.

    python benchmarks/sdk.py [--quick] [--json FILE]

Caller, worker and engine share the cores, so what one end saves the others get. On a machine with other work look at the CPU.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show
from benchmarks.clients import PUBLISHED, WINDOW, Client, Figures, Mode, compare
from benchmarks.processes import ProcessFailed, Server, engine, free_port

CLIENTS: tuple[Client, ...] = ("ours", "traced", "published")


def measure(quick: bool) -> dict[Mode, dict[Client, Figures]]:
    with ExitStack() as stack:
        engines: dict[Client, Server] = {}
        for client in CLIENTS:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            engines[client] = stack.enter_context(engine(folder, free_port())).wait_until_listening()
        return compare(engines, 1 if quick else 5, 0.5 if quick else 1.5)


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls with our SDK, beside the published one and with traces.")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args()
    results = measure(options.quick)
    print(f"{'':24} {'':16} {'calls/s':>9} {'CPU us: ends':>13} {'engine':>7}")
    for mode, rows in results.items():
        for client, row in rows.items():
            title = f"{mode}, {WINDOW if mode == 'async' else 1} in flight" if client == "ours" else ""
            name = PUBLISHED if client == "published" else client
            print(f"{title:24} {name:16} {row.calls_per_s:9,.0f} {row.ends_us:13.1f} {row.engine_us:7.1f}")
    ours, traced, published = (results["async"][client] for client in CLIENTS)
    blocking = results["blocking"]
    bars = [
        Bar("calls/s, 64 in flight / published", ours.calls_per_s / published.calls_per_s, 8, 10, True),
        Bar("CPU of caller and worker, published / ours", published.ends_us / ours.ends_us, 8, 10, True),
        Bar(
            "blocking calls/s / published", blocking["ours"].calls_per_s / blocking["published"].calls_per_s, 2, 4, True
        ),
        Bar("calls/s with traces / without", traced.calls_per_s / ours.calls_per_s, 0.75, 0.9, True),
        Bar("CPU of caller and worker, without traces / with", ours.ends_us / traced.ends_us, 0.75, 0.9, True),
    ]
    show(bars)
    if options.json:
        figures = {mode: {client: row._asdict() for client, row in rows.items()} for mode, rows in results.items()}
        result = {"clients": figures, "bars": [{**bar._asdict(), "verdict": bar.verdict} for bar in bars]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ProcessFailed, subprocess.CalledProcessError) as error:
        sys.exit(f"benchmark failed: {error}")
